"""What holds for every answer of the site: security headers, the way out, error pages, padding, and what is logged.

Each header is set once, by assignment, here. Uploads stay in memory. The log line of an exception holds a code and a
place in our own code, never anything that a visitor sent. While the cookie of the way out is good, two minutes, every
page is answered with a redirect away from the site.
"""

from collections.abc import Callable, Iterable, Sequence
from urllib.parse import urlsplit

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app.core import i18n
from app.core.errors import HaumaruError
from app.core.log import log_error
from app.site.web.exit_cookie import ExitCookie
from app.site.web.padding import MAX_EFFORT, choose_coding, head_length, pad_response
from app.web.http import REFUSED, MemoryRequest, security_headers

# The statuses of a refused body whose beginning was kept.
_WITH_WORDS = (408, 413, 503)
# The headers of an HTTP error that its page keeps.
_KEPT_HEADERS = ("Allow", "Content-Range", "Location", "Retry-After")

RenderError = Callable[[int, str], str]


def response_headers(*, exit_url: str, style_hashes: Sequence[str], secure: bool, demo: bool) -> dict[str, str]:
    """Return the headers of every answer (OWASP Secure Headers Project, MDN HTTP Observatory)."""
    exit_origin = "{0.scheme}://{0.netloc}".format(urlsplit(exit_url))
    styles = " ".join(f"'sha256-{value}'" for value in style_hashes)
    headers = security_headers(
        {
            "script-src": "'none'",
            "style-src": styles,
            "img-src": "data:",
            "media-src": "'self'",
            "form-action": f"'self' {exit_origin}",
        },
        permissions="camera=(), geolocation=(), microphone=(), interest-cohort=(), browsing-topics=()",
    )
    headers["Server"] = "web"
    if secure:
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    if demo:
        headers["X-Robots-Tag"] = "noindex, nofollow"
    return headers


class SecurityExtension:
    """Flask extension: checks every request first, and finishes every answer last."""

    def __init__(
        self,
        headers: dict[str, str],
        codes: Sequence[str],
        *,
        exit_cookie: ExitCookie,
        onion: str,
        show_error: RenderError,
    ) -> None:
        self._headers, self._codes, self._show_error = headers, codes, show_error
        self._exit_cookie, self._onion = exit_cookie, onion

    def init_app(self, app: Flask) -> None:
        """Register with an application."""
        app.request_class = MemoryRequest
        app.before_request(self._check_request)
        app.after_request(self._finish_response)
        app.register_error_handler(Exception, self._handle_error)

    def _check_request(self) -> AnyResponse | None:
        g.lang = language_of(request.path, self._codes)
        left = self._exit_cookie.check(request)
        if left is not None:
            return left
        refused = request.environ.get(REFUSED)
        # A form comes back with its words; its view says what the status means.
        return self._error_page(refused) if refused and not (refused in _WITH_WORDS and request.form) else None

    def _finish_response(self, response: Response) -> Response:
        response.headers.update(self._headers)
        if response.location and response.location.startswith(request.host_url):
            # Behind a proxy that ends TLS, an address with a scheme would send a visitor over plain HTTP.
            response.headers["Location"] = f"/{response.location.removeprefix(request.host_url)}"
        if self._onion and not request.host.endswith(".onion"):
            # The same on every page: HTTP/2 compresses headers, and the length of a path would tell which page it is.
            response.headers["Onion-Location"] = f"{self._onion}/"
        if response.mimetype == "text/html" and not response.location:
            _pad_page(response)
        return response

    def _handle_error(self, error: Exception) -> AnyResponse:
        if isinstance(error, HTTPException):
            return self._error_page(error.code or 500, error.get_headers())
        log_error(error)
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
    """Return the language at the start of a path, or else the one of `codes` that the browser prefers."""
    code = untrusted_path.split("/", 2)[1] if untrusted_path.startswith("/") else ""
    return code if code in codes else i18n.best_language(request.headers.get("Accept-Language", ""), codes)


def _pad_page(response: Response) -> None:
    """Pad a page, so that its length does not tell which page it is; an answer to a POST is never compressed.

    A view may ask for a length of its own for the answers to some POSTs: `g.page_bytes`.
    """
    if request.method == "POST":
        response.set_data(pad_response(response.get_data(), "", head=0, size=g.get("page_bytes", 0)))
        return
    coding = choose_coding(request.headers.get("Accept-Encoding", ""))
    response.headers["Vary"] = "Accept-Encoding"
    if coding:
        response.headers["Content-Encoding"] = coding
    # As many digits as the length itself has.
    response.headers["Content-Length"] = "00000"
    head = head_length(response.status, response.headers)
    max_effort = request.environ.get(MAX_EFFORT, False)
    response.set_data(pad_response(response.get_data(), coding, head=head, max_effort=max_effort))
