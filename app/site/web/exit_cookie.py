"""The one cookie: after the way out, it closes the site for two minutes, so that Back does not show a page of ours.

The cookie holds the second at which the way out was pressed, signed with the secret of the forms under a context of its
own. Only the site can make such a cookie, and the cookie closes the site for two minutes from that second and no
longer, whatever a browser was told to keep: a cookie that somebody else has set, or an old one, is ignored.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from flask import Request, redirect
from itsdangerous import BadSignature, Signer
from werkzeug.wrappers import Response

from app.site.web.wsgi import EXIT_COOKIE
from app.web.http import same_origin

EXIT_SECONDS = 120
_CLOCK_SKEW_SECONDS = 60  # between the machines of one site
_EXEMPT = ("/healthz", "/agency/replies")  # addresses that no visitor opens


class ExitCookie:
    """Sets and reads the cookie; `clock` gives unix seconds, `url` is the page to which the way out leads."""

    def __init__(self, secret: bytes, url: str, *, clock: Callable[[], float]) -> None:
        self._signer = Signer(secret, salt="haumaru/exit/1", key_derivation="hmac", digest_method=sha256)
        self._url, self._clock = url, clock

    def leave(self, origins: Sequence[str], *, secure: bool) -> Response:
        """Return the redirect away from the site, with the cookie where a page of `origins` asked for it."""
        answer = redirect(self._url, 303)
        if same_origin(origins):
            value = self._signer.sign(str(int(self._clock()))).decode()
            answer.set_cookie(EXIT_COOKIE, value, max_age=EXIT_SECONDS, httponly=True, samesite="Lax", secure=secure)
        return answer

    def check(self, request: Request) -> Response | None:
        """Return the redirect away from the site where a request has a cookie that is ours and not over, or None.

        A browser may send several cookies of one name (RFC 6265, section 5.4): one that is good is enough, so that a
        cookie of somebody else opens nothing.
        """
        if "HTTP_COOKIE" not in request.environ or request.path in _EXEMPT:
            return None
        if not any(map(self._is_good, request.cookies.getlist(EXIT_COOKIE))):
            return None
        return redirect(self._url, 303)

    def _is_good(self, untrusted_value: str) -> bool:
        try:
            left = int(self._signer.unsign(untrusted_value.encode()))
        except (BadSignature, ValueError):
            return False
        return left - _CLOCK_SKEW_SECONDS <= self._clock() <= left + EXIT_SECONDS
