"""Answers made once, at start: each address asked of the app itself, its bytes kept plain, gzipped and in brotli.

So an answer from memory is, to the byte and the header, the one that the app would give.
"""

import gzip
from collections.abc import Iterable
from typing import NamedTuple

import brotli
from flask import Flask
from werkzeug.test import TestResponse

_ALREADY_SMALL = frozenset({"application/pdf", "application/zip"})


class Rendered(NamedTuple):
    """One answer: its headers without a length, and its bytes for each content coding; empty where there is none."""

    headers: tuple[tuple[str, str], ...]
    identity: bytes
    gzip: bytes
    br: bytes


def render_all(app: Flask, paths: Iterable[str], base_url: str) -> dict[str, Rendered]:
    """Every address to its answer; an answer that is not 200 is a fault of ours and raises."""
    client = app.test_client(use_cookies=False)
    return {path: _answer(client.get(path, base_url=base_url), path) for path in paths}


def _answer(response: TestResponse, path: str) -> Rendered:
    if response.status_code != 200:  # noqa: PLR2004
        raise AssertionError(f"{path} answered {response.status_code}")
    body = response.get_data()
    headers = [(name, value) for name, value in response.headers if name != "Content-Length"]
    if response.mimetype in _ALREADY_SMALL:
        return Rendered(tuple(headers), body, b"", b"")
    headers.append(("Vary", "Accept-Encoding"))
    return Rendered(tuple(headers), body, gzip.compress(body, 9, mtime=0), brotli.compress(body, quality=11))
