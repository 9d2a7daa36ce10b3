"""What holds for every answer: its headers, the way out, error pages, and what may be logged.

Each header is set once, by assignment, here. Uploads stay in memory. An exception's log line holds a code and
the place in our own code where it rose, never anything that a visitor sent. Refuses requests that a page of
another site made a browser send, and everything but a redirect while the way out's two minutes last.
"""

import logging
import traceback
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import IO, Any
from urllib.parse import urlsplit

from flask import Flask, Request, Response, g, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app import languages
from app.errors import HaumaruError
from app.gate import REFUSED

LATCH = "x"
_LATCH_SECONDS = 120
_LATCH_FREE = ("/healthz", "/agency/replies")
_PADDING = 64 * 1024

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


def protect(
    app: Flask, every: dict[str, str], *, exit_url: str, onion: str, show_error: Callable[[int, str], str]
) -> None:
    """Set up all of the above on an app; `show_error(status, sentence)` renders an error page."""
    app.request_class = MemoryRequest

    @app.before_request
    def stop() -> AnyResponse | None:
        g.lang = language_of(request.path)
        if request.cookies.get(LATCH) and request.path not in _LATCH_FREE:
            return redirect(exit_url, 303)
        if REFUSED in request.environ:
            status = request.environ[REFUSED]
            return Response(show_error(status, ""), status)
        return None

    @app.after_request
    def finish(response: Response) -> Response:
        for name, value in every.items():
            if name != "Cache-Control" or "Cache-Control" not in response.headers:
                response.headers[name] = value
        if onion and not request.host.endswith(".onion"):
            response.headers["Onion-Location"] = onion + request.path
        if request.method == "POST" and response.mimetype == "text/html" and response.status_code != 303:  # noqa: PLR2004
            response.set_data(pad(response.get_data()))
        return response

    @app.errorhandler(HTTPException)
    def known(error: HTTPException) -> AnyResponse:
        status = error.code or 500
        answer = Response(show_error(status, ""), status)
        for name, value in error.get_headers():
            if name in ("Allow", "Location", "Retry-After"):
                answer.headers[name] = value
        return answer

    @app.errorhandler(HaumaruError)
    def ours(error: HaumaruError) -> AnyResponse:
        record(error)
        return Response(show_error(error.status, error.message), error.status)

    @app.errorhandler(Exception)
    def unknown(error: Exception) -> AnyResponse:
        record(error)
        return Response(show_error(500, ""), 500)


def language_of(untrusted_path: str) -> str:
    """The language whose pages a path lies among, else the one the browser prefers."""
    code = untrusted_path.split("/", 2)[1] if untrusted_path.startswith("/") else ""
    if code in languages.LANGUAGES:
        return code
    return languages.best(request.headers.get("Accept-Language", ""))


def leave(origins: Sequence[str], *, exit_url: str, secure: bool) -> AnyResponse:
    """The way out: away, and a cookie that for two minutes sends every page of ours away too."""
    answer = redirect(exit_url, 303)
    if same_origin(origins):
        answer.set_cookie(LATCH, "1", max_age=_LATCH_SECONDS, httponly=True, samesite="Lax", secure=secure)
    return answer


def pad(page: bytes) -> bytes:
    """A page filled with spaces to a multiple of 64 KiB, so that its length tells little of what is in it."""
    return page + b" " * (-len(page) % _PADDING)


def record(error: BaseException) -> None:
    """Log what rose and where in our code, by code and line alone: an exception's own words may quote a visitor."""
    code = error.code if isinstance(error, HaumaruError) else type(error).__name__
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/app/" in f.filename.replace("\\", "/")]
    where = f"{frames[-1].filename.replace(chr(92), '/').rpartition('/app/')[2]}:{frames[-1].lineno}" if frames else "-"
    log.error("error code=%s at=%s", code, where)


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
