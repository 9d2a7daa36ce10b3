"""Renders every page that never changes once at start, by asking the application itself.

An answer from memory therefore equals the application's own answer in every byte and header. Pages are padded to one
length (`site/web/padding`), so each content coding is asked for. An address that does not answer 200 raises
AssertionError: the program does not start with a broken page. The stylesheet of all pages is minified here too.
"""

import gzip
import re
from base64 import b64encode
from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from pathlib import Path

import brotli
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.site.web import padding
from app.site.web.wsgi import PrerenderedAnswer
from app.text.find import REMOVED_PLACEHOLDER

LIVE_FINDINGS = 40  # of one answer; a box beyond them takes its words out too, but they are not shown as taken out

_STYLESHEET = Path(__file__).parent.parent / "templates" / "style.css"
_COMPRESSED_TYPES = frozenset({"application/pdf", "application/zip", "audio/mpeg"})
# The middleware adds these for the coding that it sends.
_CODING_HEADERS = frozenset({"Content-Length", "Content-Encoding"})


def minified_stylesheet() -> str:
    """Return the stylesheet without comments and needless spaces, the names of its tokens one letter long.

    Its last rule shows `[removed]` in place of each finding of an answer whose box is ticked.
    """
    ticked = ",".join(f"dd:has(.k{number}:checked) .t{number}" for number in range(LIVE_FINDINGS))
    text = _STYLESHEET.read_text(encoding="utf-8") + f"{ticked}{{--words:none;--removed:'{REMOVED_PLACEHOLDER}'}}"
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r" ?([{};,]) ?|(?<=:) ", r"\1", text).replace(";}", "}").strip()
    names = sorted(set(re.findall(r"--[a-z-]+", text)))
    return re.sub(r"--[a-z-]+", lambda match: f"--{chr(ord('a') + names.index(match[0]))}", text)


def csp_hash(style: str) -> str:
    """Return the SHA-256 of an inline style in base64, for `style-src 'sha256-…'` (CSP level 3, 2.3.1)."""
    return b64encode(sha256(style.encode()).digest()).decode()


def render_all(app: Flask, paths: Iterable[str], base_url: str) -> dict[str, PrerenderedAnswer]:
    """Return the answer to each path; AssertionError if one is not 200."""
    client = app.test_client(use_cookies=False)
    return {path: _render(client, path, base_url) for path in paths}


def _render(client: FlaskClient, path: str, base_url: str) -> PrerenderedAnswer:
    request = partial(_request, client, path, base_url)
    plain = request("identity")
    body, headers = plain.get_data(), tuple(pair for pair in plain.headers if pair[0] not in _CODING_HEADERS)
    if plain.mimetype == "text/html":
        return PrerenderedAnswer(headers, body, request("gzip").get_data(), request("br").get_data())
    if plain.mimetype in _COMPRESSED_TYPES:
        return PrerenderedAnswer(headers, body, b"", b"")
    compressed = gzip.compress(body, 9, mtime=0), brotli.compress(body, quality=11)
    return PrerenderedAnswer((*headers, ("Vary", "Accept-Encoding")), body, *compressed)


def _request(client: FlaskClient, path: str, base_url: str, coding: str) -> TestResponse:
    response = client.get(
        path, base_url=base_url, headers={"Accept-Encoding": coding}, environ_overrides={padding.MAX_EFFORT: True}
    )
    if response.status_code != 200:  # noqa: PLR2004
        raise AssertionError(f"{path} answered {response.status_code}")
    return response
