#!/usr/bin/env bash
# What the tests need of the system beside .venv. As root on Debian or Ubuntu it installs what is missing;
# elsewhere it names what is missing and the command that would install it, and fails. SKIP= leaves things out.
set -euo pipefail

# what the tests call it : a command that shows it is there : the Debian package
NEEDS="
browser:chromium:chromium
browser-firefox:firefox-esr:firefox-esr
postgres:pg_ctl:postgresql
redis:redis-server:redis-server
java:java:default-jre-headless
exiftool:exiftool:libimage-exiftool-perl
poppler:pdftotext:poppler-utils
haproxy:haproxy:haproxy
nginx:nginx:nginx-light
ip:ip:iproute2
tor:tor:tor
systemd:systemd-analyze:systemd
compose:docker-compose:docker-compose
dovecot:dovecot:dovecot-imapd
gettext:msgfmt:gettext
espeak:espeak-ng:espeak-ng
unzip:unzip:unzip
openssl:openssl:openssl
"
PATH="$PATH:/usr/sbin:/sbin:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')"
missing=()
for need in $NEEDS; do
    IFS=: read -r name command package <<<"$need"
    case ",${SKIP:-}," in *",${name%%-*},"*) continue ;; esac
    command -v "$command" >/dev/null || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing what the tests need: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # Servers that Debian would start at once are started by the tests themselves, on ports of their own.
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && trap 'rm -f "$policy"' EXIT; }
    $install >/dev/null
else
    echo "haumaru: the tests need what is missing here; run: sudo $install" >&2
    exit 1
fi
