"""Sessions of a desk with seats: who has typed the passphrase, who has signed in, and when a session ends.

A session belongs to one seat. It ends when its person locks it, when nobody uses it, after twelve hours, when a
supervisor ends all, and with each change of what the seat may do: the seat is looked at again for every request. The
cookie has the prefix `__Host-` (RFC 6265bis, 4.1.3.2): the name of the host stands for the secret path that a desk on
loopback has, so nothing else may be served under that name.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.desk.errors import RefusedError
from app.desk.overdue import boot_seconds
from app.desk.passphrases import Passphrases
from app.desk.seat import PassphraseVerifier, Seat
from app.desk.seats import Seats
from app.desk.security_keys import KeyChallenge, SecurityKeys
from app.desk.sign_in_tries import SignInTries
from app.desk.web.context import Session
from app.desk.web.session import Sessions, current_sessions

SIGN_IN_COOKIE = "__Host-desk-sign-in"
BROWSER_COOKIE = "__Host-desk-browser"
_PENDING_SECONDS = 300.0  # from the passphrase to the key
_LONGEST_SECONDS = 12 * 3600.0  # of one session (ASVS 7.3.2)
_MAX_PENDING = 200


@dataclass
class PendingSignIn:
    """Somebody who has typed the passphrase of a seat, or chosen one, and whose key is asked next."""

    seat: Seat
    ends: float
    code: str = field(default="", repr=False)  # of the one-time link; "" for a seat in use
    verifier: PassphraseVerifier | None = None
    adds: bool = False  # a further key, by somebody who is signed in
    _challenges: list[KeyChallenge] = field(default_factory=list, repr=False)  # one at most

    @property
    def registers(self) -> bool:
        """Whether a new key is asked for."""
        return bool(self.code) or self.adds

    def ask(self, challenge: KeyChallenge) -> str:
        """Keep a challenge in the place of the one before; return the options for the browser."""
        self._challenges[:] = [challenge]
        return challenge.options

    def take_challenge(self) -> KeyChallenge:
        """Return the challenge, once; raises RefusedError `security-key`."""
        try:
            return self._challenges.pop()  # in one step: of two threads one gets it
        except IndexError:
            raise RefusedError("security-key") from None


class SeatSessions(Sessions):
    """The sessions of people who signed in at their seats; safe for threads."""

    entrances = frozenset(
        f"sign_in.{name}"
        for name in ("show", "check_passphrase", "show_key", "check_key", "show_link", "choose_passphrase")
    ) | {"sign_in.show_new_key", "sign_in.keep_new_key"}
    wrong_host = "host-name"

    def __init__(self, host: str, origin: str, seats: Seats, *, steady: Callable[[], float] = boot_seconds) -> None:
        super().__init__(origin, show_link=lambda _: None, steady=steady)
        self.address, self.path, self.cookie_name = origin, "", "__Host-desk"
        self.cookie_options = {"secure": True, "httponly": True, "samesite": "Strict"}  # for the whole host
        self.seats: Seats = seats
        self.keys = SecurityKeys(host, origin)
        self.passphrases, self.tries = Passphrases(host.split(".")), SignInTries(clock=steady)
        self._pending: dict[str, PendingSignIn] = {}

    def begin(
        self, seat: Seat, *, code: str = "", verifier: PassphraseVerifier | None = None, adds: bool = False
    ) -> str:
        """Note that a passphrase was right, or was chosen; return the value of the cookie for the key's page."""
        with self._lock:
            now, cookie = self._steady(), secrets.token_urlsafe(32)
            self._pending = {key: one for key, one in self._pending.items() if one.ends > now}
            while len(self._pending) >= _MAX_PENDING:
                self._pending.pop(next(iter(self._pending)))
            self._pending[cookie] = PendingSignIn(seat, now + _PENDING_SECONDS, code, verifier, adds)
            return cookie

    def pending(self, untrusted_cookie: str) -> PendingSignIn | None:
        """Return who is asked for a key, or None where there is nobody or the time is over."""
        found = self._pending.get(untrusted_cookie)
        return found if found and found.ends > self._steady() else None

    def sign_in(self, seat: Seat, untrusted_pending: str, untrusted_former: str, *, notice: str = "") -> str:
        """Start the session of a seat, and end what this browser had before; return the value of its cookie.

        `notice` is what the first page says.
        """
        with self._lock:
            self._pending.pop(untrusted_pending, None)
            if former := self._sessions.get(untrusted_former):
                self.end(former, code="session")
            now, cookie = self._steady(), secrets.token_urlsafe(32)
            self._sessions[cookie] = Session(used=now, started=now, seat=seat, handler=seat.name, notice=notice)
            return cookie

    def get(self, untrusted_cookie: str) -> Session | None:
        """Return the session of a cookie, with its seat as the seat is now; None where the session has ended."""
        session = super().get(untrusted_cookie)
        if session is None or session.seat is None:
            return None
        try:
            seat = self.seats.get(session.seat.id)
        except RefusedError:
            seat = replace(session.seat, disabled=True)
        if seat.version != session.seat.version or not seat.in_use:
            self.end(session, code="seat-ended")
            return None
        if self._steady() - session.started > _LONGEST_SECONDS:
            self.end(session, code="session")
            return None
        session.seat = seat
        return session

    def turn_away(self, untrusted_cookie: str) -> AnyResponse:
        """Lead a browser without a session to the page where people sign in."""
        locked = self.locked(untrusted_cookie)
        if request.method in {"GET", "HEAD"}:
            return redirect(url_for("sign_in.show", why=locked.ended if locked else None), 303)
        raise RefusedError("signed-out")

    def lock(self, session: Session) -> str:
        """End the session of one person; return the sentence for that person."""
        self.end(session, code="session")
        return "You are signed out. Nobody can see tips in this browser now."

    def count_of(self, seat: Seat) -> int:
        """Return how many sessions a seat has."""
        with self._lock:
            return sum(1 for one in self._sessions.values() if one.seat and one.seat.id == seat.id)


def current_seat_sessions() -> SeatSessions:
    """Return the sessions of this application, which has seats."""
    sessions = current_sessions()
    assert isinstance(sessions, SeatSessions)
    return sessions
