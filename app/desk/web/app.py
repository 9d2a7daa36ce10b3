"""The desk's web application: its guard, its security headers and its error pages.

The application answers only under its own address. On loopback it answers below the secret path of this start: every
other path gets an empty 404, which does not show that a desk is there, and a one-time link, shown in the terminal,
starts a session. On a network people sign in at their seats, and a role says what each seat may do. The cookie alone
changes nothing: each POST needs the exact Origin, port included, and the session's form token. Every answer is `no-
store`, and the one stylesheet and the one script run by their hashes.
"""

import hmac
import time
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Response, g, redirect, render_template, request, url_for
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import FileRefusedError, HaumaruError
from app.core.log import log_error
from app.desk.errors import RefusedError
from app.desk.service import Desk
from app.desk.web.context import (
    BACKGROUND_HEADER,
    DESK_EXTENSION,
    Session,
    current_desk,
    current_session,
    form_token,
    render_page,
    session_or_none,
)
from app.desk.web.presence import open_page
from app.desk.web.roles import home_url, may, may_confirm_keys, require_role
from app.desk.web.session import (
    IDLE_SECONDS,
    SESSIONS_EXTENSION,
    WARNING_SECONDS,
    Sessions,
    current_sessions,
    require_own_origin,
)
from app.desk.web.typed import keep_refused, settle_typed
from app.web.http import REFUSED, MemoryRequest, is_query, security_headers

_TEMPLATES = Path(__file__).parent.parent / "templates"
_SCRIPTS = ("desk.js", "session.js", "typed.js", "presence.js", "security_key.js")
_MAX_REQUEST_BYTES = 2_000_000
_TOO_LARGE = 413
_KEPT = "The desk kept what you wrote, and shows it again on the page where you wrote it."
_BACKGROUND_ENDPOINTS = frozenset(
    {"queue.tell_arrivals", "queue.show_progress", "session.tell_left", "presence.tell", "presence.leave"}
)
_WHILE_LOADING = frozenset({"session.stop_loading", "session.lock"})


def create_base_app(desk: Desk, sessions: Sessions, *, demo: bool) -> Flask:
    """Return the application with its guard and error pages; the caller registers the blueprints."""
    app = Flask("app.desk", template_folder=str(_TEMPLATES), static_folder=None)
    app.request_class = MemoryRequest
    app.config["MAX_CONTENT_LENGTH"] = _MAX_REQUEST_BYTES
    app.extensions |= {DESK_EXTENSION: desk, SESSIONS_EXTENSION: sessions}
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    style, script = _read_asset("desk.css"), "\n".join(_read_asset(name) for name in _SCRIPTS)
    app.jinja_env.globals.update(style=style, script=script, demo=demo, form_token=form_token)
    app.jinja_env.globals.update(
        open_page=open_page,
        seconds_left=lambda: sessions.seconds_left(current_session()),
        idle_seconds=IDLE_SECONDS,
        warning_seconds=WARNING_SECONDS,
        may=may,
        may_confirm_keys=may_confirm_keys,
        home_url=home_url,
    )
    headers = _headers(style, script, sessions.origin)

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in headers.items():
            response.headers[name] = value
        return response

    app.after_request(settle_typed)
    app.context_processor(_template_values)
    app.before_request(_guard)
    app.register_error_handler(HaumaruError, _show_refusal)
    app.register_error_handler(HTTPException, _show_http_error)
    app.register_error_handler(Exception, _show_fault)
    app.wsgi_app = DispatcherMiddleware(_answer_nothing, {sessions.path: app.wsgi_app})  # type: ignore[method-assign]
    return app


def _answer_nothing(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a path that does not begin with the secret (PEP 3333)."""
    start_response("404 Not Found", [("Content-Length", "0"), ("Cache-Control", "no-store")])
    return [b""]


def _read_asset(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()


def _headers(style: str, script: str, origin: str) -> dict[str, str]:
    hashes = [b64encode(sha256(text.encode()).digest()).decode() for text in (style, script)]
    policy = {
        "style-src": f"'sha256-{hashes[0]}'",
        "script-src": f"'sha256-{hashes[1]}'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "media-src": "'self'",
        "form-action": "'self'",
    }
    headers = security_headers(policy, permissions="camera=(), geolocation=(), microphone=()")
    if origin.startswith("https://") and not origin.startswith("https://localhost"):
        headers["Strict-Transport-Security"] = "max-age=31536000"  # RFC 6797
    return headers


def _template_values() -> dict[str, Any]:
    session = session_or_none()
    last = session.last_closed if session else None
    undo = len(last.tips) if session and last and last.is_recent(session.handler, time.monotonic()) else 0
    return {"session": session, "desk": current_desk(), "notice": "", "undo_count": undo}


def _guard() -> AnyResponse | None:
    """Let a request pass (None), answer with the page that comes first, or raise RefusedError."""
    desk, sessions = current_desk(), current_sessions()
    if request.host != sessions.origin.partition("://")[2] or not is_query(request.environ["QUERY_STRING"]):
        raise RefusedError(sessions.wrong_host)
    if request.endpoint in sessions.entrances:
        return None
    untrusted_cookie = request.cookies.get(sessions.cookie_name, "")
    session = sessions.get(untrusted_cookie)
    if session is None:
        return _turn_away(sessions, untrusted_cookie)
    g.session = session
    _check_origin(session)
    if request.endpoint == "queue.show" and not may("queue.show"):  # the desk's bare address
        return redirect(home_url(), 303)
    require_role()
    g.trusted_session = session
    if not _is_background(desk):
        sessions.note_use(session)
    if not desk.loading.ended or desk.loading.code or desk.loading.stopped:
        return None if request.endpoint in _WHILE_LOADING else _loading_page(desk)
    if not session.handler and request.endpoint not in {"session.choose_handler", "session.set_handler"}:
        return redirect(url_for("session.choose_handler"), 303)
    return None


def _turn_away(sessions: Sessions, untrusted_cookie: str) -> AnyResponse:
    """Answer a request without a session: it shows and does nothing, but the text that a locked one sends is kept.

    Raises RefusedError. A seat that was changed keeps nothing.
    """
    locked = sessions.locked(untrusted_cookie)
    if locked and request.method == "POST" and locked.ended != "seat-ended":
        _check_origin(locked)
        g.trusted_session = locked
    return sessions.turn_away(untrusted_cookie)


def _is_background(desk: Desk) -> bool:
    """Return whether a page asks for this by itself, so that nobody need be there."""
    asked = request.headers.get(BACKGROUND_HEADER) or request.endpoint in _BACKGROUND_ENDPOINTS
    return bool(asked) or not desk.loading.ended


def _loading_page(desk: Desk) -> AnyResponse:
    return render_page(
        "progress.html", job=desk.loading, stop_url=url_for("session.stop_loading"), look_url=url_for("queue.show")
    )


def _check_origin(session: Session) -> None:
    """Refuse a request that another site made, or that does not come from a page of this session."""
    require_own_origin()
    if request.method in {"GET", "HEAD"}:
        return
    token = request.form.get("token", "")
    if REFUSED in request.environ:  # the form was longer than this desk takes, and was not read to its end
        raise RequestEntityTooLarge
    if not hmac.compare_digest(token.encode(), session.token.encode()):
        raise RefusedError("token")


def _show_refusal(error: HaumaruError) -> AnyResponse:
    if not isinstance(error, RefusedError | FileRefusedError):
        log_error(error)
    return _error_page(error.answer if isinstance(error, RefusedError) else error.status, error.message)


def _show_http_error(error: HTTPException) -> AnyResponse:
    if error.code == _TOO_LARGE:
        too_large = (
            "You sent more than this desk can take at once. Nothing was changed. Shorten your text, then try again."
        )
        return _error_page(_TOO_LARGE, too_large)
    return _error_page(error.code or 500, "The desk cannot find this page. Go back to the queue.")


def _show_fault(error: Exception) -> AnyResponse:
    log_error(error)
    return _error_page(500, "The desk has a fault. Nothing was sent. Everything that you saved before is safe.")


def _error_page(status: int, sentence: str) -> AnyResponse:
    kept = keep_refused()
    page = render_template(
        "message.html",
        title="That did not work",
        sentence=f"{sentence} {_KEPT}" if kept else sentence,
        error=True,
        lost=request.form.get("text", "") if kept is False else "",
    )
    return Response(page, status, mimetype="text/html")
