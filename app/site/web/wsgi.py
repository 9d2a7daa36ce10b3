"""WSGI middleware that serves prerendered pages from memory, in front of everything else.

A known page is sent from memory, unless the request may carry the exit cookie, has a query, names another host, or
asks for a part of a recording.
Every other request is passed on. See docs/decisions/0003.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# Content codings, the best first (RFC 9110, 8.4.1); "" is none.
CODINGS = ("br", "gzip", "")
# The cookie that closes the site for two minutes after the way out; short, because every request may carry it.
EXIT_COOKIE = "x"
_EXIT_COOKIE_PAIR = f"{EXIT_COOKIE}="


class PrerenderedAnswer(NamedTuple):
    """One answer: headers without a length, and the body in each content coding (RFC 9110, 8.4), empty if not kept."""

    headers: tuple[tuple[str, str], ...]
    identity: bytes
    gzip: bytes
    br: bytes

    def coded(self, coding: str) -> tuple[list[tuple[str, str]], bytes, str]:
        """Return all headers and the body for a coding, and the coding that the body has: "" where none is kept."""
        body = getattr(self, coding) if coding else b""
        sent, used = (body, coding) if body else (self.identity, "")
        length = ("Content-Length", str(len(sent)))
        return [*self.headers, length, *([("Content-Encoding", used)] if used else [])], sent, used


class PrerenderedPages:
    """Serves `pages` by path to requests for one of `hosts`; hands every other request to `app`."""

    def __init__(self, app: WSGIApplication, *, pages: Mapping[str, PrerenderedAnswer], hosts: frozenset[str]) -> None:
        self._app, self._hosts = app, hosts
        # A player asks for a part of a recording: the application makes the answer.
        self._in_parts = frozenset(path for path, page in pages.items() if ("Accept-Ranges", "bytes") in page.headers)
        self._pages = {path: {coding: page.coded(coding)[:2] for coding in CODINGS} for path, page in pages.items()}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        method = environ["REQUEST_METHOD"]
        if method == "GET" or method == "HEAD":  # noqa: PLR1714  # quicker than a set, on the one hot path
            page = self._pages.get(environ["PATH_INFO"])
            if (
                page is not None
                and _EXIT_COOKIE_PAIR not in environ.get("HTTP_COOKIE", "")
                and not environ["QUERY_STRING"]
                and environ.get("HTTP_HOST") in self._hosts
                and not ("HTTP_RANGE" in environ and environ["PATH_INFO"] in self._in_parts)
            ):
                accepted = environ.get("HTTP_ACCEPT_ENCODING", "")
                headers, body = page["br" if "br" in accepted else "gzip" if "gzip" in accepted else ""]
                start_response("200 OK", headers)
                return [body if method == "GET" else b""]
        return self._app(environ, start_response)
