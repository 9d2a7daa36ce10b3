#!/bin/sh
# Sends the operator a mail when a unit failed, with the output of `haumaru status`: counts and codes, no word of a report.
set -eu
unit=${1:?which unit failed}
haumaru=${HAUMARU:-/opt/haumaru/current/bin/haumaru}
config=${HAUMARU_CONFIG:-/etc/haumaru/haumaru.toml}
{
    printf 'From: %s\nTo: %s\nSubject: haumaru: somebody must act (%s)\n' "${ALERT_FROM:?}" "${ALERT_TO:?}" "$unit"
    printf 'Content-Type: text/plain; charset=utf-8\n\n'
    printf '%s failed. docs/operator.md says what each line below asks for.\n\n' "$unit"
    "$haumaru" status --config "$config" 2>&1 || true
} | "${SENDMAIL:-/usr/sbin/sendmail}" -t
