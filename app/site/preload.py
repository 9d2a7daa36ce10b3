"""Reads at start whatever a request would otherwise be the first to read.

A file system notes when a file was last read, to the second. A catalogue, a template or a table of telephone numbers
that is first read for a visitor would say when somebody came, in which language, and whether they sent a report. What
is read here stays in memory, and no request opens a file of the program (tests/system/test_file_times.py).
"""

import encodings.idna
import encodings.latin_1
from collections.abc import Iterable
from datetime import date
from time import time

import phonenumbers
from flask import Flask, g
from flask_babel import format_date, get_translations

from app.delivery.clock import nz_day
from app.delivery.receipt_codes import new_code, parse_code

# Modules that Python would import for the first text in another encoding.
_CODECS = (encodings.idna, encodings.latin_1)


def preload_tables() -> None:
    """Read the tables that every process shares: call it before the workers are forked."""
    phonenumbers.PhoneMetadata.load_all()
    parse_code(new_code())
    nz_day(time())


def preload_app(app: Flask, languages: Iterable[str]) -> None:
    """Read every template, and for each language its catalogue and its rules for dates: call it in each worker."""
    for name in app.jinja_env.list_templates():
        app.jinja_env.get_template(name)
    for code in languages:
        with app.test_request_context():
            g.lang = code
            get_translations()
            format_date(date(2000, 1, 1), "long")
