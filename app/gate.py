"""The first thing a request meets: a plain WSGI function in front of Flask.

A known page goes out from memory as ready bytes, unless the cookie of the way out may be there. Everything
else goes on to Flask, but a body only after it has been read whole into memory: never to disk, never longer than
the limit, never more than a few at once, so that slow senders cannot take every thread. What is refused is left
unread, and Flask answers it with a page.
"""

from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from threading import BoundedSemaphore
from time import monotonic
from typing import Any, Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# Under this key Flask finds the status with which a request was stopped here.
REFUSED = "haumaru.refused"
_CHUNK = 16 * 1024


class Ready(Protocol):
    """One answer as it leaves: its headers without a length, and its bytes for each content coding (RFC 9110, 8.4)."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...  # noqa: D102
    @property
    def identity(self) -> bytes: ...  # noqa: D102
    @property
    def gzip(self) -> bytes: ...  # noqa: D102
    @property
    def br(self) -> bytes: ...  # noqa: D102


class Gate:
    """Serves `ready` pages and reads bodies; `deadline` in seconds, `max_body` in bytes."""

    def __init__(
        self,
        app: WSGIApplication,
        *,
        ready: Mapping[str, Ready],
        hosts: frozenset[str],
        bodies: int,
        max_body: int,
        deadline: float = 60.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._app, self._hosts = app, hosts
        self._slots = BoundedSemaphore(bodies)
        self._max_body, self._deadline, self._clock = max_body, deadline, clock
        self._ready = {
            path: {coding: _coded(page, coding) for coding in ("", "gzip", "br")} for path, page in ready.items()
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        method = environ["REQUEST_METHOD"]
        if method == "GET" or method == "HEAD":  # noqa: PLR1714  # quicker than a set, on the one hot path
            page = self._ready.get(environ["PATH_INFO"])
            if (
                page is not None
                and "x=" not in environ.get("HTTP_COOKIE", "")
                and not environ["QUERY_STRING"]
                and environ.get("HTTP_HOST") in self._hosts
            ):
                accepted = environ.get("HTTP_ACCEPT_ENCODING", "")
                headers, body = page["br" if "br" in accepted else "gzip" if "gzip" in accepted else ""]
                start_response("200 OK", headers)
                return [body if method == "GET" else b""]
        known = environ.get("HTTP_HOST") in self._hosts or environ["PATH_INFO"] == "/healthz"
        if not (known and is_query(environ["QUERY_STRING"])):
            environ[REFUSED] = 400
        else:
            self._read_body(environ)
        return self._app(environ, start_response)

    def _read_body(self, environ: WSGIEnvironment) -> None:
        length, untrusted_input = environ.get("CONTENT_LENGTH"), environ["wsgi.input"]
        environ["wsgi.input"] = BytesIO()
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            environ["CONTENT_LENGTH"] = "0"
        elif length is None or not (length.isascii() and length.isdigit()):
            environ[REFUSED] = 411
        elif int(length) > self._max_body:
            environ[REFUSED] = 413
        elif not self._slots.acquire(blocking=False):
            environ[REFUSED] = 503
        else:
            try:
                environ["wsgi.input"] = self._read(untrusted_input, int(length), environ)
            finally:
                self._slots.release()

    def _read(self, untrusted_input: Any, length: int, environ: WSGIEnvironment) -> BytesIO:
        body, end = BytesIO(), self._clock() + self._deadline
        while length:
            chunk = untrusted_input.read(min(length, _CHUNK))
            if not chunk:
                environ[REFUSED] = 400
                return BytesIO()
            if self._clock() > end:
                environ[REFUSED] = 408
                return BytesIO()
            body.write(chunk)
            length -= len(chunk)
        body.seek(0)
        return body


def is_query(untrusted_text: str) -> bool:
    """Whether a browser may have sent this query (RFC 3986, 3.4); Werkzeug cannot decode or send back every other."""
    return untrusted_text.isascii() and untrusted_text.isprintable()


def _coded(page: Ready, coding: str) -> tuple[list[tuple[str, str]], bytes]:
    body = getattr(page, coding) if coding else b""
    used = body or page.identity
    length = ("Content-Length", str(len(used)))
    return [*page.headers, length, *([("Content-Encoding", coding)] if body else [])], used
