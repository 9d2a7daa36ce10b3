"""Answers made once, at start: each address asked of the app itself, its bytes kept plain, gzipped and in brotli.

So an answer from memory is, to the byte and the header, the one that the app would give; pages, which are filled
up to one length, are asked for in each coding.
"""

import gzip
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import brotli
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.site.web import padding

_ALREADY_SMALL = frozenset({"application/pdf", "application/zip"})
# What the gate adds for the coding that leaves.
_OF_A_CODING = frozenset({"Content-Length", "Content-Encoding"})


class Rendered(NamedTuple):
    """One answer: its headers without a length, and its bytes for each content coding; empty where there is none."""

    headers: tuple[tuple[str, str], ...]
    identity: bytes
    gzip: bytes
    br: bytes


def render_all(app: Flask, paths: Iterable[str], base_url: str) -> dict[str, Rendered]:
    """Every address to its answer; an answer that is not 200 is a fault of ours and raises."""
    client = app.test_client(use_cookies=False)
    return {path: _answer(client, path, base_url) for path in paths}


def _answer(client: FlaskClient, path: str, base_url: str) -> Rendered:
    ask = partial(_ask, client, path, base_url)
    plain = ask("identity")
    body, headers = plain.get_data(), tuple(pair for pair in plain.headers if pair[0] not in _OF_A_CODING)
    if plain.mimetype == "text/html":
        return Rendered(headers, body, ask("gzip").get_data(), ask("br").get_data())
    if plain.mimetype in _ALREADY_SMALL:
        return Rendered(headers, body, b"", b"")
    small = gzip.compress(body, 9, mtime=0), brotli.compress(body, quality=11)
    return Rendered((*headers, ("Vary", "Accept-Encoding")), body, *small)


def _ask(client: FlaskClient, path: str, base_url: str, coding: str) -> TestResponse:
    response = client.get(
        path, base_url=base_url, headers={"Accept-Encoding": coding}, environ_overrides={padding.BEST: True}
    )
    if response.status_code != 200:  # noqa: PLR2004
        raise AssertionError(f"{path} answered {response.status_code}")
    return response
