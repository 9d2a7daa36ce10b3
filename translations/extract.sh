#!/usr/bin/env bash
# Collects the program's own words into messages.pot and carries what changed into each catalogue.
# A sentence that changed stays untranslated, never guessed. Needs gettext. Run it as: make sheets
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
$bin/pybabel -q extract -F translations/babel.cfg -k N_ -k _l -k gettext --no-location --sort-output --no-wrap \
    --project=Haumaru --version=1 --copyright-holder=Haumaru -o translations/messages.pot .
# The day it was made would make every run another file.
sed -i '/^"POT-Creation-Date:/d; /^"PO-Revision-Date:/d; /^# FIRST AUTHOR/d; /^"Report-Msgid-Bugs-To:/d; /^"Last-Translator:/d; s/^# Copyright.*/# The words of the program. Licence: Apache-2.0./' translations/messages.pot
[ "${1:-}" = --only-template ] && exit 0
for catalogue in translations/*/LC_MESSAGES/messages.po; do
    [ -e "$catalogue" ] || continue
    msgmerge -q --update --backup=none --no-fuzzy-matching --no-wrap --sort-output "$catalogue" translations/messages.pot
    msgattrib --no-obsolete --no-wrap --sort-output -o "$catalogue" "$catalogue"
done
