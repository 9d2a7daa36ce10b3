"""What each view of the desk uses: the open desk, the browser's session, the handler, and the kinds of answer.

The desk is an extension of the application and the session is a value of the request, so a view holds no state. Each
answer is a page of ours, a redirection after a POST, a file to save, or a cleaned file to show within a page.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Response, current_app, g, redirect, render_template, request
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import HaumaruError
from app.core.log import log_error
from app.desk.case import Case
from app.desk.seat import Seat
from app.desk.service import Desk
from app.files.clean import CleanedFile

DESK_EXTENSION = "haumaru-desk"
BACKGROUND_HEADER = "Desk-Background"  # of a request that the script of a page makes without a handler


UNDO_SECONDS = 300.0


@dataclass(frozen=True)
class LastClosed:
    """What one handler closed last, so that it can be undone for five minutes."""

    tips: dict[str, bool]  # by tip, whether the handler worked on the tip before
    who: str
    at: float  # on the clock that nobody sets

    def is_recent(self, who: str, now: float) -> bool:
        """Return whether `who` closed this less than five minutes before `now`."""
        return who == self.who and now - self.at < UNDO_SECONDS


@dataclass
class Session:
    """One browser that came in by a one-time link."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    handler: str = ""  # "" until somebody says who is working
    notice: str = ""  # what the last action has to say, shown once
    handlers: set[str] = field(default_factory=set)  # who has worked in this session
    last_closed: LastClosed | None = None
    shortcuts: bool = True  # one-letter keys can be turned off (WCAG 2.2, 2.1.4)
    used: float = 0.0  # when somebody last used the session, in seconds since the start of the machine
    page: str = ""  # the address of the last page of the desk that this browser was shown
    started: float = 0.0  # when the person signed in, in seconds since the start of the machine
    seat: Seat | None = None  # who signed in; None at a desk on loopback, which has no seats
    ended: str = ""  # why the session ended, as a code of `RefusedError`; "" while the session goes on


def current_desk() -> Desk:
    """Return the desk that this application shows."""
    desk: Desk = current_app.extensions[DESK_EXTENSION]
    return desk


def session_or_none() -> Session | None:
    """Return the session of the browser that sent the request, or None where the guard has found none."""
    session: Session | None = g.get("session")
    return session


def current_session() -> Session:
    """Return the session of the browser that sent the request; every view but `session.enter` has one."""
    session: Session = g.session
    return session


def current_handler() -> str:
    """Return the name of the handler who works in this session."""
    return current_session().handler


def handler_names() -> tuple[str, ...]:
    """Return who works on tips at this desk: the people of `desk.toml`, or those who have seats for that work."""
    desk = current_desk()
    if current_session().seat is None:
        return desk.config.handlers
    return tuple(one.name for one in desk.seats.all() if one.handles_tips)


def form_token() -> Markup:
    """Return the hidden field that each form carries, against forged requests (ASVS 3.5.1)."""
    session = session_or_none()
    return Markup('<input type="hidden" name="token" value="{}">').format(session.token if session else "")


def render_page(template: str, status: int = 200, **values: Any) -> AnyResponse:
    """Return a page, with the notice of the last action, which is then forgotten."""
    session, notice = session_or_none(), ""
    if session:
        notice, session.notice = session.notice, ""
        background = request.headers.get(BACKGROUND_HEADER)
        if request.method == "GET" and request.blueprint != "session" and not background:
            session.page = (request.root_path + request.full_path).rstrip("?")
    return Response(render_template(template, notice=notice, **values), status, mimetype="text/html")


def see_other(url: str, notice: str = "") -> AnyResponse:
    """Return the answer to a POST: 303 to a page, which shows `notice` (RFC 9110, 15.4.4)."""
    session = session_or_none()
    if session and notice:
        session.notice = notice
    return redirect(url, 303)


def tell_sender(write: Callable[[], Case]) -> str:
    """Write a status that the handler wants the sender to read, where the form's box says so.

    Returns a sentence for the notice, "" where all is well: what the handler did before has been done all the same.
    """
    if request.form.get("tell") != "yes":
        return ""
    try:
        write()
    except HaumaruError as error:
        log_error(error)
        return " But the desk could not write to the sender."
    return ""


def file_to_save(data: bytes, name: str, mimetype: str) -> Response:
    """Return bytes that the browser saves and never shows."""
    return Response(data, mimetype=mimetype, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def file_to_show(cleaned: CleanedFile) -> Response:
    """Return the bytes of a cleaned file, for the browser to show within a page of ours."""
    return Response(cleaned.data, mimetype=cleaned.type, headers={"Content-Disposition": "inline"})
