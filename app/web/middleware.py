"""WSGI middleware that bounds request bodies before Flask sees a request.

A body is read whole into memory: never to a disk, never longer than the limit, and only a few at once, so that
slow senders cannot take every thread. A request that is refused here is left unread and passed on with a status
under `REFUSED`, for the application to answer with a page.
"""

from collections.abc import Callable, Iterable
from io import BytesIO
from threading import BoundedSemaphore
from time import monotonic
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from app.web.http import is_query

# Under this key of the WSGI environment the application finds the status with which a request was refused.
REFUSED = "haumaru.refused"
_CHUNK = 16 * 1024


class BodyLimiter:
    """Reads request bodies for an application: `bodies` at once, `max_body` bytes each, within `deadline` seconds.

    `hosts` are the values of Host that are answered; None answers under every name.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        hosts: frozenset[str] | None,
        bodies: int,
        max_body: int,
        deadline: float = 60.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._app, self._hosts = app, hosts
        self._slots = BoundedSemaphore(bodies)
        self._max_body, self._deadline, self._clock = max_body, deadline, clock

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        known = self._hosts is None or environ.get("HTTP_HOST") in self._hosts or environ["PATH_INFO"] == "/healthz"
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
