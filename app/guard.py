"""What holds for every answer: its headers, the way out, error pages, and what may be logged.

Each header is set once, by assignment, here. Uploads stay in memory. An exception's log line holds a code and
the place in our own code where it rose, never anything that a visitor sent. Refuses requests that a page of
another site made a browser send, and everything but a redirect while the way out's two minutes last.
"""

import logging
import traceback
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from typing import IO, Any
from urllib.parse import urlsplit

from flask import Flask, Request, Response, g, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app import languages, lengths
from app.errors import HaumaruError
from app.gate import REFUSED

LATCH = "x"
_LATCH_SECONDS = 120
_LATCH_FREE = ("/healthz", "/agency/replies")
# What an HTTP error may say beside its page.
_KEPT_HEADERS = ("Allow", "Location", "Retry-After")

ShowError = Callable[[int, str], str]

log = logging.getLogger("haumaru")


class MemoryRequest(Request):
    """A request whose uploads never reach a temporary file, whatever their size."""

    max_form_memory_size = 500_000
    max_form_parts = 200

    def _get_file_stream(
        self,
        total_content_length: int | None,  # noqa: ARG002
        content_type: str | None,  # noqa: ARG002
        filename: str | None = None,  # noqa: ARG002
        content_length: int | None = None,  # noqa: ARG002
    ) -> IO[bytes]:
        return BytesIO()


def headers(*, exit_url: str, style_hashes: Sequence[str], secure: bool, demo: bool) -> dict[str, str]:
    """The headers of every answer, as OWASP's secure headers project and MDN's observatory ask for them."""
    exit_origin = "{0.scheme}://{0.netloc}".format(urlsplit(exit_url))
    styles = " ".join(f"'sha256-{value}'" for value in style_hashes)
    every = {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src 'none'; style-src {styles}; img-src data:; "
            f"form-action 'self' {exit_origin}; frame-ancestors 'none'; base-uri 'none'"
        ),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), interest-cohort=(), browsing-topics=()",
        "X-DNS-Prefetch-Control": "off",
        "Cache-Control": "no-store",
        "Server": "web",
    }
    if secure:
        every["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    if demo:
        every["X-Robots-Tag"] = "noindex, nofollow"
    return every


def same_origin(origins: Sequence[str]) -> bool:
    """Whether a page of ours sent this request: `Sec-Fetch-Site` says so, or where it is absent, `Origin` does."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    return request.headers.get("Origin") in origins


class Guard:
    """Set over an app, it sees every request first and every answer last."""

    def __init__(
        self, every: dict[str, str], codes: Sequence[str], *, exit_url: str, onion: str, show_error: ShowError
    ) -> None:
        self._every, self._codes, self._show_error = every, codes, show_error
        self._exit_url, self._onion = exit_url, onion

    def protect(self, app: Flask) -> None:
        """Set it over an app."""
        app.request_class = MemoryRequest
        app.before_request(self._stop)
        app.after_request(self._finish)
        app.register_error_handler(Exception, self._fail)

    def _stop(self) -> AnyResponse | None:
        g.lang = language_of(request.path, self._codes)
        if request.cookies.get(LATCH) and request.path not in _LATCH_FREE:
            return redirect(self._exit_url, 303)
        refused = request.environ.get(REFUSED)
        return self._error_page(refused) if refused else None

    def _finish(self, response: Response) -> Response:
        response.headers.update(self._every)
        if self._onion and not request.host.endswith(".onion"):
            # The same on every page: HTTP/2 squeezes headers, and what a path's letters take there would tell the page.
            response.headers["Onion-Location"] = f"{self._onion}/"
        if response.mimetype == "text/html" and not response.location:
            _fill(response)
        return response

    def _fail(self, error: Exception) -> AnyResponse:
        if isinstance(error, HTTPException):
            return self._error_page(error.code or 500, error.get_headers())
        record(error)
        if isinstance(error, HaumaruError):
            return self._error_page(error.status, sentence=error.message)
        return self._error_page(500)

    def _error_page(self, status: int, kept: Iterable[tuple[str, str]] = (), sentence: str = "") -> AnyResponse:
        answer = Response(self._show_error(status, sentence), status)
        for name, value in kept:
            if name in _KEPT_HEADERS:
                answer.headers[name] = value
        return answer


def language_of(untrusted_path: str, codes: Sequence[str]) -> str:
    """The language whose pages a path lies among, else the one of `codes` that the browser prefers."""
    code = untrusted_path.split("/", 2)[1] if untrusted_path.startswith("/") else ""
    return code if code in codes else languages.best(request.headers.get("Accept-Language", ""), codes)


def leave(origins: Sequence[str], *, exit_url: str, secure: bool) -> AnyResponse:
    """The way out: away, and a cookie that for two minutes sends every page of ours away too."""
    answer = redirect(exit_url, 303)
    if same_origin(origins):
        answer.set_cookie(LATCH, "1", max_age=_LATCH_SECONDS, httponly=True, samesite="Lax", secure=secure)
    return answer


def _fill(response: Response) -> None:
    """Fill a page, so that its length tells little of what is in it; an answer to a POST is never compressed."""
    if request.method == "POST":
        response.set_data(lengths.fill(response.get_data(), "", head=0))
        return
    coding = lengths.choose(request.headers.get("Accept-Encoding", ""))
    response.headers["Vary"] = "Accept-Encoding"
    if coding:
        response.headers["Content-Encoding"] = coding
    # As many digits as the length itself has.
    response.headers["Content-Length"] = "00000"
    head = lengths.head(response.status, response.headers)
    best = request.environ.get(lengths.BEST, False)
    response.set_data(lengths.fill(response.get_data(), coding, head=head, best=best))


def record(error: BaseException) -> None:
    """Log what rose and where in our code, by code and line alone: an exception's own words may quote a visitor."""
    code = error.code if isinstance(error, HaumaruError) else type(error).__name__
    log.error("error code=%s at=%s", code, place_of(error))


def place_of(error: BaseException) -> str:
    """The module and line of our own code where an exception rose."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        _, ours, module = frame.filename.replace("\\", "/").rpartition("/app/")
        if ours:
            return f"{module}:{frame.lineno}"
    return "-"


def quiet_logs(level: int = logging.INFO) -> None:
    """One handler to standard error for our own log; every other library's log is shut off."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("haumaru: %(message)s"))
    handler.addFilter(logging.Filter("haumaru"))
    log.handlers, log.propagate = [handler], False
    log.setLevel(level)
    root: Any = logging.getLogger()
    root.handlers = [logging.NullHandler()]
    for name in ("werkzeug", "flask_limiter", "flask-limiter", "sqlalchemy", "_granian", "granian.access"):
        logging.getLogger(name).disabled = True
