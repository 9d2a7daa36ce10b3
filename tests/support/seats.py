"""People at a desk with seats: their software keys, and browsers without a network that sign in as they do."""

import html
import re

from app.desk.seat import PassphraseVerifier, Role, Seat, SecurityKey
from app.desk.seats import Seats
from app.desk.service import Desk
from app.desk.web.factory import create_app
from app.desk.web.seat_sessions import SeatSessions
from tests.support.security_key import SoftwareKey

HOST = "desk.example"
ORIGIN = "https://desk.example:8443"
PASSPHRASE = "kererū over four hills"
VERIFIER = PassphraseVerifier(bytes(16), bytes(32))
KEY = SecurityKey(b"credential")


def enrolled(seats: Seats, name: str, role: Role = Role.SUPERVISOR, by: Seat | None = None) -> Seat:
    """Return the seat of somebody who has used a one-time link, without a browser."""
    _, code = seats.add(by, name, role)
    return seats.enrol(code, VERIFIER, KEY, f"browser of {name}")


class Clock:
    """Seconds that a test moves."""

    def __init__(self, seconds: float = 1000.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


class SeatedDesk:
    """An open desk with seats, as an application, and the people who have seats."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.steady = desk, Clock()
        self.sessions = SeatSessions(HOST, ORIGIN, desk.seats, steady=self.steady)
        self.app = create_app(desk, self.sessions, demo=False)
        self.keys: dict[str, SoftwareKey] = {}

    def browser(self, address: str = "192.0.2.1") -> "SeatBrowser":
        """Return a browser that nobody has used yet."""
        return SeatBrowser(self, address)

    def person(self, name: str, role: Role = Role.SUPERVISOR, by: Seat | None = None) -> "SeatBrowser":
        """Return the browser of somebody who has just used a one-time link, and is signed in."""
        _, code = self.desk.seats.add(by, name, role)
        browser = self.browser()
        browser.enrol(code, name)
        return browser


class SeatBrowser:
    """One browser on the agency's network."""

    def __init__(self, office: SeatedDesk, address: str) -> None:
        self.office, self.address = office, address
        self.client = office.app.test_client()

    @property
    def seat(self) -> Seat:
        """The seat that is signed in here, as it is now."""
        session = self.office.sessions._sessions[self.cookie("__Host-desk")]
        assert session.seat is not None
        return self.office.desk.seats.get(session.seat.id)

    @property
    def token(self) -> str:
        """The form token of the session, that of one that has just ended too."""
        sessions, cookie = self.office.sessions, self.cookie("__Host-desk")
        session = sessions._sessions.get(cookie) or sessions.locked(cookie)
        return session.token if session else ""

    def cookie(self, name: str) -> str:
        """The value of a cookie, "" where there is none."""
        found = self.client.get_cookie(name, domain=HOST, path="/")
        return found.value if found else ""

    def get(self, path: str, **headers: str):
        """Ask for a page."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(path, base_url=ORIGIN, headers=named, environ_base={"REMOTE_ADDR": self.address})

    def post(self, path: str, *, origin: str = ORIGIN, token: str | None = None, **fields: object):
        """Send a form, as a page of the desk would."""
        return self.client.post(
            path,
            base_url=ORIGIN,
            data={"token": self.token if token is None else token, **fields},
            headers={"Origin": origin} if origin else {},
            environ_base={"REMOTE_ADDR": self.address},
        )

    def options(self, path: str) -> str:
        """What the page of a key asks the key to sign."""
        page = self.get(path).get_data(as_text=True)
        return html.unescape(re.search(r'data-security-key="([^"]+)"', page)[1])

    def enrol(self, code: str, name: str, key: SoftwareKey | None = None, passphrase: str = PASSPHRASE):
        """Use a one-time link up to its end."""
        key = self.office.keys[name] = key or SoftwareKey(ORIGIN, HOST)
        assert self.post(f"/enrol/{code}", passphrase=passphrase, again=passphrase).location == "/enrol"
        return self.post("/enrol", answer=key.register(self.options("/enrol")))

    def type_passphrase(self, name: str, passphrase: str = PASSPHRASE):
        """Send the first form."""
        return self.post("/sign-in", name=name, passphrase=passphrase)

    def sign_in(self, name: str, passphrase: str = PASSPHRASE):
        """Sign in with the passphrase and the key of a person."""
        assert self.type_passphrase(name, passphrase).location == "/sign-in/key"
        return self.post("/sign-in/key", answer=self.office.keys[name].sign(self.options("/sign-in/key")))
