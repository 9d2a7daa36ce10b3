"""A person changes the own passphrase: with the present one and the key, and nobody else can."""

import pytest

from app.desk.errors import RefusedError
from app.desk.seat import Role
from tests.support.seats import ORIGIN, PASSPHRASE, SeatedDesk
from tests.support.security_key import SoftwareKey

NEW = "seven kayaks near the bridge"


@pytest.fixture
def office(desk):
    return SeatedDesk(desk)


@pytest.fixture
def kaia(office):
    return office.person("Kaia")


@pytest.fixture
def tui(office, kaia):
    return office.person("Tui", Role.TRANSLATOR, kaia.seat)


def ask(browser, present=PASSPHRASE, new=NEW, again=None, **more):
    """Send the form of the own seat's page."""
    return browser.post("/seat/passphrase", passphrase=present, new=new, again=new if again is None else again, **more)


def touch(browser, name):
    """Let the key of a person answer the page that asks for it."""
    return browser.post("/sign-in/key", answer=browser.office.keys[name].sign(browser.options("/sign-in/key")))


def test_a_person_of_any_role_changes_the_own_passphrase_and_works_on(office, desk, kaia, tui):
    """After the present passphrase, the new one twice and the key the new one signs in, and the old one does not."""
    version = tui.seat.version
    assert ask(tui).location == "/sign-in/key"
    assert tui.seat.version == version, "nothing has changed before the key"
    assert touch(tui, "Tui").location == "/seat"
    page = tui.get("/seat").text
    assert "Your passphrase is changed." in page
    assert "Tui chose another passphrase." in page
    assert "Tui chose another passphrase." in kaia.get("/seats").text
    line = desk.journal.entries[-1]
    assert (line.who, line.did) == ("Tui", "seat-passphrase")
    tui.post("/lock")
    assert tui.type_passphrase("Tui").status_code == 403
    assert tui.sign_in("Tui", NEW).status_code == 303
    assert office.sessions.passphrases.matches(NEW, tui.seat.verifier)
    assert len(tui.seat.keys) == 1


def test_all_other_sessions_and_begun_sign_ins_of_the_seat_end(office, tui):
    """A thief's session ends at its next request, and so does a sign-in that waits for the key; cookies are new."""
    thief, waiting = office.browser("192.0.2.9"), office.browser("192.0.2.10")
    thief.sign_in("Tui")
    waiting.type_passphrase("Tui")
    options = waiting.options("/sign-in/key")
    before, known = tui.cookie("__Host-desk"), tui.cookie("__Host-desk-browser")
    ask(tui)
    touch(tui, "Tui")
    assert tui.get("/translate").status_code == 200
    assert tui.cookie("__Host-desk") != before
    assert thief.get("/translate").location == "/sign-in?why=seat-ended"
    answer = waiting.post("/sign-in/key", answer=office.keys["Tui"].sign(options))
    assert answer.status_code == 409
    assert waiting.get("/translate").location.startswith("/sign-in")
    assert office.sessions.get(before) is None
    assert tui.cookie("__Host-desk-browser") != known
    assert len(tui.seat.browsers) == 1


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"present": "guessed by a thief"}, "The passphrase is wrong"),
        ({"again": "seven kayaks near a bridge"}, "The two new passphrases are not the same"),
        ({"new": PASSPHRASE}, "This is your passphrase now"),
        ({"new": "four hills"}, "too short"),
        ({"new": "123qwe123qwe"}, "Many people use this passphrase"),
        ({"new": "Tui at desk 26"}, "little more than your name"),
    ],
)
def test_a_form_that_is_not_right_changes_nothing_and_says_why(office, tui, form, reason):
    """A wrong present passphrase, a wrong repeat and a weak new one bring the page again, without what was typed."""
    seat = tui.seat
    page = ask(tui, **form)
    assert page.status_code == 409
    assert reason in page.text
    assert not any(typed in page.text for typed in form.values())
    assert tui.get("/sign-in/key").location == "/sign-in"
    assert tui.seat == seat


def test_a_thief_of_the_session_or_of_a_copied_form_changes_nothing(office, kaia, tui):
    """Without the token, from another origin, without the key or with another's key the passphrase stays."""
    verifier = tui.seat.verifier
    assert ask(tui, token="guessed").status_code == 403
    assert ask(tui, origin="https://evil.example").status_code == 403
    ask(tui)
    assert tui.post("/sign-in/key", answer="{}").status_code == 403
    answer = SoftwareKey(ORIGIN, "desk.example").sign(tui.options("/sign-in/key"))
    assert tui.post("/sign-in/key", answer=answer).status_code == 403
    answer = office.keys["Tui"].sign(tui.options("/sign-in/key"))
    assert tui.post("/sign-in/key", origin="https://evil.example", answer=answer).status_code == 403
    assert tui.seat.verifier == verifier


def test_a_change_that_was_begun_ends_with_the_session(office, kaia, tui):
    """After signing out, for another person in the same browser, and after five minutes the key changes nothing."""
    verifier = tui.seat.verifier
    ask(tui)
    options, begun = tui.options("/sign-in/key"), tui.cookie("__Host-desk-sign-in")
    tui.post("/lock")
    answer = tui.post("/sign-in/key", answer=office.keys["Tui"].sign(options))
    assert answer.status_code == 403
    assert "not signed in any more" in answer.text
    tui.sign_in("Kaia")
    tui.client.set_cookie("__Host-desk-sign-in", begun, domain="desk.example", path="/")
    assert touch(tui, "Tui").status_code == 403
    tui.sign_in("Tui")
    ask(tui)
    options = tui.options("/sign-in/key")
    office.steady.seconds += 301
    assert tui.post("/sign-in/key", answer=office.keys["Tui"].sign(options)).location == "/sign-in"
    assert tui.seat.verifier == verifier


def test_a_seat_that_was_changed_meanwhile_keeps_what_the_supervisor_did(office, desk, kaia, tui):
    """A recovery between the form and the key wins: the person must begin again with the new link."""
    ask(tui)
    options, seat = tui.options("/sign-in/key"), tui.seat
    desk.seats.recover(kaia.seat, seat.id, seat.version)
    assert tui.post("/sign-in/key", answer=office.keys["Tui"].sign(options)).status_code == 403
    assert desk.seats.get(seat.id).verifier is None


def test_wrong_tries_at_the_form_wait_as_at_the_sign_in(office, tui):
    """Whoever sits at an open browser cannot try passphrases without end: even the right one is refused then."""
    for _ in range(6):
        ask(tui, present="guessed by a thief")
    assert ask(tui).status_code == 409
    office.steady.seconds += 60
    assert ask(tui).location == "/sign-in/key"


def test_a_copied_key_changes_no_passphrase(office, kaia, tui):
    """A key whose count went back changes nothing, and everybody who must know reads of it."""
    tui.sign_in("Tui")
    ask(tui)
    office.keys["Tui"].count = 0
    answer = touch(tui, "Tui")
    assert answer.status_code == 403
    assert "The key of Tui may have been copied" in kaia.get("/").text
    assert office.sessions.passphrases.matches(PASSPHRASE, tui.seat.verifier)


def test_a_full_disk_keeps_the_passphrase_and_the_session(office, desk, tui, monkeypatch):
    """Where the journal cannot be written the old passphrase stays, and the person is still signed in."""
    ask(tui)
    options = tui.options("/sign-in/key")

    def fail(*_):
        raise RefusedError("disk-full")

    monkeypatch.setattr(desk.journal, "write", fail)
    assert tui.post("/sign-in/key", answer=office.keys["Tui"].sign(options)).status_code == 409
    monkeypatch.undo()
    assert tui.get("/seat").status_code == 200
    assert office.sessions.passphrases.matches(PASSPHRASE, tui.seat.verifier)
