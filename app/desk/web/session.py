"""Sessions of the desk's browsers: the one-time link that starts one, who is working, shortcuts, and locking.

Links and sessions are held in memory only and end with the program. A link works once; a session ends when any
handler locks the desk, or when nobody has used the session for 15 minutes. What stays of it is the page on which its
handler worked, and the right to keep a text that was still typed (`Sessions.locked`).
The cookie is HttpOnly and SameSite=Strict and has no lifetime (ASVS 3.3). A browser sends the cookies of a host to
every port of the host (RFC 6265, 8.5), so every address of the desk begins with a secret that is new at each start,
and the cookie is for that path alone: a program at another port of this machine never gets it.
"""

import secrets
import threading
from collections.abc import Callable
from math import ceil
from typing import Any

from flask import Blueprint, Response, current_app, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.desk.errors import RefusedError
from app.desk.overdue import boot_seconds
from app.desk.seats import Seats
from app.desk.web.context import Session, current_desk, current_session, render_page, see_other

SESSIONS_EXTENSION = "haumaru-desk-sessions"
IDLE_SECONDS = 900  # after which a session that nobody uses is locked (WCAG 2.2, 2.2.1; ASVS 7.3.1)
WARNING_SECONDS = 120  # how long before that the page asks whether somebody is still there
_MAX_ENDED = 50
_ENTER = "/enter/"

blueprint = Blueprint("session", __name__)


class Sessions:
    """The one-time link that is valid now, and the sessions that earlier links started; safe for threads."""

    entrances = frozenset({"session.enter"})  # the endpoints for a browser that has no session yet
    seats: Seats | None = None  # of a desk on a network
    wrong_host = "host"  # the refusal of a request for another host

    def __init__(
        self, origin: str, *, show_link: Callable[[str], None], steady: Callable[[], float] = boot_seconds
    ) -> None:
        self.origin, self._show_link, self._steady = origin, show_link, steady
        self.address = f"{origin}/{secrets.token_urlsafe(32)}"  # with which every address of this desk begins
        self.path = self.address.removeprefix(origin)
        self.cookie_name = f"desk-{origin.rpartition(':')[2]}"
        self.cookie_options: dict[str, Any] = {"path": self.path, "httponly": True, "samesite": "Strict"}
        self._links: set[str] = set()
        self._sessions: dict[str, Session] = {}
        self._ended: dict[str, Session] = {}  # by cookie, those that were locked last
        self._lock = threading.RLock()

    def new_link(self) -> str:
        """Make a link that works once, and show it; earlier links stop working. Return its key."""
        key = secrets.token_urlsafe(32)
        with self._lock:
            self._links = {key}
        self._show_link(f"{self.address}{_ENTER}{key}")
        return key

    def start(self, untrusted_key: str) -> str | None:
        """Use up a link and start a session; return the value of its cookie, or None where no link has this key."""
        with self._lock:
            if untrusted_key not in self._links:
                return None
            self._links.clear()
            cookie = secrets.token_urlsafe(32)
            self._sessions[cookie] = Session(used=self._steady())
            return cookie

    def get(self, untrusted_cookie: str) -> Session | None:
        """Return the session of a cookie, or None; sessions that nobody uses end first."""
        self.end_idle()
        return self._sessions.get(untrusted_cookie)

    def locked(self, untrusted_cookie: str) -> Session | None:
        """Return the session that a cookie had before that session was locked, or None.

        Such a session shows nothing and changes nothing: it only says who typed the text that a page still sends.
        """
        return self._ended.get(untrusted_cookie)

    def note_use(self, session: Session) -> None:
        """Note that somebody uses a session now."""
        session.used = self._steady()

    def seconds_left(self, session: Session) -> int:
        """Return after how many seconds without use a session will be locked; 0 once it is."""
        return 0 if session.ended else max(0, ceil(session.used + IDLE_SECONDS - self._steady()))

    def end(self, session: Session, *, code: str = "idle") -> None:
        """End one session alone, for a reason that is a code of `RefusedError`, and show a new link."""
        if self._end(lambda one: one is session, code):
            self.new_link()

    def end_idle(self) -> None:
        """End each session that nobody has used for 15 minutes; a machine that slept counts its sleep."""
        if self._end(lambda one: not self.seconds_left(one), "idle"):
            self.new_link()

    def end_all(self) -> None:
        """End every session, and show a new link."""
        self._end(lambda _: True, "session")
        self.new_link()

    def turn_away(self, untrusted_cookie: str) -> AnyResponse:
        """Answer a request without a session; raises RefusedError."""
        locked = self.locked(untrusted_cookie)
        raise RefusedError(locked.ended if locked else "session")

    def lock(self, _session: Session) -> str:
        """End every session, as somebody asks in one; return the sentence for that person."""
        self.end_all()
        return "Nobody can see tips in a browser now. The terminal shows a new link. Open the link to work again."

    def _end(self, over: Callable[[Session], bool], code: str) -> int:
        """Lock sessions, and return how many there were."""
        with self._lock:
            cookies = [cookie for cookie, session in self._sessions.items() if over(session)]
            for cookie in cookies:
                session = self._ended[cookie] = self._sessions.pop(cookie)
                session.ended, session.notice = code, ""
            while len(self._ended) > _MAX_ENDED:
                self._ended.pop(next(iter(self._ended)))
            return len(cookies)

    def take_last_page(self, handler: str) -> str:
        """Return the page on which a handler worked when the session was locked, once; "" where there is none."""
        with self._lock:
            ended = [one for one in self._ended.values() if one.handler == handler and one.page]
            page = ended[-1].page if ended else ""
            for one in ended:
                one.page = ""
            return page


def current_sessions() -> Sessions:
    """Return the sessions of this application."""
    sessions: Sessions = current_app.extensions[SESSIONS_EXTENSION]
    return sessions


def require_own_origin() -> None:
    """Refuse a request that another site made; raises RefusedError `origin` (W3C Fetch Metadata, ASVS 3.5)."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise RefusedError("origin")
    if request.method not in {"GET", "HEAD"} and request.headers.get("Origin") != current_sessions().origin:
        raise RefusedError("origin")


@blueprint.get(f"{_ENTER}<key>")
def enter(key: str) -> AnyResponse:
    """Use up the one-time link; the cookie is for this browser alone and ends with the browser."""
    sessions = current_sessions()
    cookie = sessions.start(key)
    if cookie is None:
        raise RefusedError("session")
    answer = redirect(url_for("session.choose_handler"), 303)
    answer.set_cookie(sessions.cookie_name, cookie, **sessions.cookie_options)
    return answer


@blueprint.get("/who")
def choose_handler() -> AnyResponse:
    """Ask who is working."""
    return render_page("choose_handler.html", handlers=current_desk().config.handlers)


@blueprint.post("/who")
def set_handler() -> AnyResponse:
    """Note who is working."""
    handler = request.form.get("who", "")
    if handler not in current_desk().config.handlers:
        raise RefusedError("handler")
    session = current_session()
    session.handler, former = handler, session.handler
    session.handlers.add(handler)
    page = "" if former else current_sessions().take_last_page(handler)
    return see_other(page or url_for("queue.show"))


@blueprint.get("/left")
def tell_left() -> dict[str, int]:
    """Return after how many seconds without use this session will be locked, for the script of each page."""
    return {"left": current_sessions().seconds_left(current_session())}


@blueprint.post("/stay")
def stay() -> AnyResponse:
    """Count as use of the session: the script asks for this when somebody types, moves or presses "Stay"."""
    return Response(status=204)


@blueprint.post("/lock")
def lock() -> AnyResponse:
    """End every session of a desk on loopback, or one's own session where people have seats."""
    sessions = current_sessions()
    sentence = sessions.lock(current_session())
    answer = render_page("message.html", title="Locked", sentence=sentence, error=False, session=None)
    answer.delete_cookie(sessions.cookie_name, **sessions.cookie_options)
    return answer


@blueprint.post("/keys")
def set_shortcuts() -> AnyResponse:
    """Turn the one-letter shortcuts of this session on or off."""
    on = request.form.get("keys") == "on"
    current_session().shortcuts = on
    return see_other(url_for("session.show_help"), "One-letter keys are on." if on else "One-letter keys are off.")


@blueprint.get("/help")
def show_help() -> AnyResponse:
    """Show the keys, and the rules that matter most."""
    return render_page("help.html")


@blueprint.post("/loading/stop")
def stop_loading() -> AnyResponse:
    """Stop opening the store, unless that has ended; the guard then shows that it was stopped."""
    desk = current_desk()
    if not desk.loading.ended:
        desk.loading.stop()
    return see_other(url_for("queue.show"))
