"""What holds for every answer: its headers, the way out, error pages, and what may be logged.

Each header is set once, by assignment, here. Uploads stay in memory. An exception's log line holds a code and
the place in our own code where it rose, never anything that a visitor sent. Refuses requests that a page of
another site made a browser send, and everything but a redirect while the way out's two minutes last.
"""

from collections.abc import Callable, Iterable, Sequence
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app.core import i18n
from app.core.errors import HaumaruError
from app.core.log import record
from app.site.web import padding
from app.web.headers import security_headers
from app.web.middleware import REFUSED
from app.web.request import MemoryRequest, same_origin

EXIT_COOKIE = "x"
_EXIT_SECONDS = 120
_EXIT_EXEMPT = ("/healthz", "/agency/replies")
# What an HTTP error may say beside its page.
_KEPT_HEADERS = ("Allow", "Location", "Retry-After")

ShowError = Callable[[int, str], str]


def headers(*, exit_url: str, style_hashes: Sequence[str], secure: bool, demo: bool) -> dict[str, str]:
    """The headers of every answer, as OWASP's secure headers project and MDN's observatory ask for them."""
    exit_origin = "{0.scheme}://{0.netloc}".format(urlsplit(exit_url))
    styles = " ".join(f"'sha256-{value}'" for value in style_hashes)
    every = security_headers(
        {
            "script-src": "'none'",
            "style-src": styles,
            "img-src": "data:",
            "form-action": f"'self' {exit_origin}",
        },
        permissions="camera=(), geolocation=(), microphone=(), interest-cohort=(), browsing-topics=()",
    )
    every["Server"] = "web"
    if secure:
        every["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    if demo:
        every["X-Robots-Tag"] = "noindex, nofollow"
    return every


class Guard:
    """Set over an app, it sees every request first and every answer last."""

    def __init__(
        self, every: dict[str, str], codes: Sequence[str], *, exit_url: str, onion: str, show_error: ShowError
    ) -> None:
        self._every, self._codes, self._show_error = every, codes, show_error
        self._exit_url, self._onion = exit_url, onion

    def init_app(self, app: Flask) -> None:
        """Set it over an app."""
        app.request_class = MemoryRequest
        app.before_request(self._stop)
        app.after_request(self._finish)
        app.register_error_handler(Exception, self._fail)

    def _stop(self) -> AnyResponse | None:
        g.lang = language_of(request.path, self._codes)
        if request.cookies.get(EXIT_COOKIE) and request.path not in _EXIT_EXEMPT:
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
    return code if code in codes else i18n.best(request.headers.get("Accept-Language", ""), codes)


def quick_exit(origins: Sequence[str], *, exit_url: str, secure: bool) -> AnyResponse:
    """The way out: away, and a cookie that for two minutes sends every page of ours away too."""
    answer = redirect(exit_url, 303)
    if same_origin(origins):
        answer.set_cookie(EXIT_COOKIE, "1", max_age=_EXIT_SECONDS, httponly=True, samesite="Lax", secure=secure)
    return answer


def _fill(response: Response) -> None:
    """Fill a page, so that its length tells little of what is in it; an answer to a POST is never compressed."""
    if request.method == "POST":
        response.set_data(padding.fill(response.get_data(), "", head=0))
        return
    coding = padding.choose(request.headers.get("Accept-Encoding", ""))
    response.headers["Vary"] = "Accept-Encoding"
    if coding:
        response.headers["Content-Encoding"] = coding
    # As many digits as the length itself has.
    response.headers["Content-Length"] = "00000"
    head = padding.head(response.status, response.headers)
    best = request.environ.get(padding.BEST, False)
    response.set_data(padding.fill(response.get_data(), coding, head=head, best=best))
