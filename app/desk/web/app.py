"""The desk's web application: who may speak to it, and what every answer carries.

It answers only under its own address. A one-time link, shown in the terminal, starts a session; the cookie alone
changes nothing: each POST needs the exact Origin, port and all, and the session's form token. Everything is kept in
memory, `no-store`, and the one stylesheet and the one script run by their hashes.
"""

import hmac
import inspect
import secrets
import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from flask import Flask, Response, g, redirect, render_template, request
from jinja2 import StrictUndefined
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import FileRefusedError, HaumaruError
from app.core.log import record
from app.desk.errors import RefusedError
from app.desk.service import Desk
from app.web.headers import security_headers
from app.web.request import MemoryRequest, is_query

View = TypeVar("View", bound=Callable[..., AnyResponse])

_HERE = Path(__file__).parent.parent / "templates"
_MOST = 2_000_000
_TOO_LARGE = 413


@dataclass
class Session:
    """One browser that came in by a one-time link."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    who: str = ""
    notice: str = ""
    keys: bool = True  # one-letter shortcuts (WCAG 2.1.4: they can be turned off)


class Sessions:
    """One-time links and the sessions that they started, in memory."""

    def __init__(self, origin: str, *, say: Callable[[str], None]) -> None:
        self.origin, self._say = origin, say
        self.cookie = f"desk-{origin.rpartition(':')[2]}"  # cookies are not told apart by port
        self._links: set[str] = set()
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def show_link(self) -> str:
        """Make a link that works once, and show it in the terminal."""
        key = secrets.token_urlsafe(32)
        with self._lock:
            self._links = {key}
        self._say(f"{self.origin}/enter/{key}")
        return key

    def enter(self, untrusted_key: str) -> str | None:
        """Use up a link; the cookie's value of a new session, or None."""
        with self._lock:
            if untrusted_key not in self._links:
                return None
            self._links.clear()
            cookie = secrets.token_urlsafe(32)
            self._sessions[cookie] = Session()
            return cookie

    def of(self, untrusted_cookie: str) -> Session | None:
        """The session of a cookie."""
        return self._sessions.get(untrusted_cookie)

    def end(self) -> None:
        """End every session, and show a new link."""
        self._sessions.clear()
        self.show_link()


def get(rule: str) -> Callable[[View], View]:
    """Mark a method as the page of an address."""
    return _route(rule, "GET")


def post(rule: str) -> Callable[[View], View]:
    """Mark a method as what a form of an address does."""
    return _route(rule, "POST")


def _route(rule: str, method: str) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.__dict__.setdefault("routes", []).append((rule, method))
        return view

    return mark


def add(app: Flask, pages: object) -> None:
    """Add every marked method to an app."""
    for name, view in inspect.getmembers(pages, inspect.ismethod):
        for rule, method in getattr(view, "routes", ()):
            app.add_url_rule(rule, endpoint=f"{type(pages).__name__}.{name}", view_func=view, methods=[method])


def build(desk: Desk, sessions: Sessions, *, demo: bool) -> Flask:
    """The application without its pages; those register themselves."""
    app = Flask("app.desk", template_folder=str(_HERE), static_folder=None)
    app.request_class = MemoryRequest
    app.config["MAX_CONTENT_LENGTH"] = _MOST
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    style, script = (_read(name) for name in ("desk.css", "desk.js"))
    app.jinja_env.globals.update(style=style, script=script, demo=demo)
    every = _headers(style, script)
    _guard(app, desk, sessions)

    @app.after_request
    def finish(response: Response) -> Response:
        for name, value in every.items():
            response.headers[name] = value
        return response

    @app.context_processor
    def common() -> dict[str, Any]:
        session = g.get("session")
        return {"session": session, "desk": desk, "path": request.path, "token": lambda: _field(session), "notice": ""}

    @app.errorhandler(HaumaruError)
    def ours(error: HaumaruError) -> AnyResponse:
        status = error.answer if isinstance(error, RefusedError) else error.status
        if not isinstance(error, RefusedError | FileRefusedError):
            record(error)
        return problem(status, error.message)

    @app.errorhandler(HTTPException)
    def known(error: HTTPException) -> AnyResponse:
        status = error.code or 500
        too_long = "That is more than this desk takes at once. Nothing was changed. Shorten it, then try again."
        usual = "There is no such page, or it cannot be asked for in this way."
        return problem(status, too_long if status == _TOO_LARGE else usual)

    @app.errorhandler(Exception)
    def unknown(error: Exception) -> AnyResponse:
        record(error)
        return problem(500, "Something went wrong in this program. Nothing was sent. What was saved before is safe.")

    return app


def problem(status: int, sentence: str) -> AnyResponse:
    """A page that says what is wrong."""
    return Response(render_template("problem.html", sentence=sentence, status=status), status, mimetype="text/html")


def page(template: str, status: int = 200, **values: Any) -> AnyResponse:
    """A page, with what the last action has to say."""
    notice = ""
    if g.get("session"):
        notice, g.session.notice = g.session.notice, ""
    return Response(render_template(template, notice=notice, **values), status, mimetype="text/html")


def go(where: str, notice: str = "") -> AnyResponse:
    """After a POST: on to a page that says what was done."""
    if notice:
        g.session.notice = notice
    return redirect(where, 303)


def who() -> str:
    """The handler who works in this session."""
    name: str = g.session.who
    return name


def _guard(app: Flask, desk: Desk, sessions: Sessions) -> None:
    own = sessions.origin.partition("://")[2]

    @app.before_request
    def stop() -> AnyResponse | None:
        g.session = None
        if request.host != own or not is_query(request.environ["QUERY_STRING"]):
            raise RefusedError("host")
        if request.path.startswith("/enter/"):
            return None
        g.session = sessions.of(request.cookies.get(sessions.cookie, ""))
        if g.session is None:
            raise RefusedError("session")
        _check_site(g.session, sessions.origin)
        if not desk.loading.ended or desk.loading.code or desk.loading.stopped:
            return _loading(desk)
        return redirect("/who", 303) if not g.session.who and request.path != "/who" else None


def _check_site(session: Session, origin: str) -> None:
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise RefusedError("origin")
    if request.method in {"GET", "HEAD"}:
        return
    if request.headers.get("Origin") != origin:
        raise RefusedError("origin")
    if not hmac.compare_digest(request.form.get("token", "").encode(), session.token.encode()):
        raise RefusedError("token")


def _field(session: Session | None) -> Markup:
    """The hidden field that each form carries."""
    return Markup('<input type="hidden" name="token" value="{}">').format(session.token if session else "")


def _loading(desk: Desk) -> AnyResponse:
    if request.method == "POST" and request.path == "/loading/stop":
        desk.loading.stop()
    return page("loading.html", work=desk.loading)


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8").strip()


def _headers(style: str, script: str) -> dict[str, str]:
    hashes = [b64encode(sha256(text.encode()).digest()).decode() for text in (style, script)]
    policy = {
        "style-src": f"'sha256-{hashes[0]}'",
        "script-src": f"'sha256-{hashes[1]}'",
        "img-src": "'self' data:",
        "media-src": "'self'",
        "form-action": "'self'",
    }
    return security_headers(policy, permissions="camera=(), geolocation=(), microphone=()")
