"""Signing in at a seat: what a thief, a stranger and a person whose seat was changed reach."""

import re

import pytest

from app.desk.seat import Role
from app.desk.seats import LINK_SECONDS
from tests.support.desk import NOON
from tests.support.seats import ORIGIN, PASSPHRASE, SeatedDesk
from tests.support.security_key import SoftwareKey


@pytest.fixture
def office(desk):
    return SeatedDesk(desk)


def test_a_person_enrols_signs_out_and_signs_in(office, desk):
    """A one-time link leads to the queue, and so do the passphrase and the key; the journal has both."""
    kaia = office.person("Kaia")
    page = kaia.get("/")
    assert page.status_code == 200
    assert "Sign out" in page.text
    assert "Seats" in page.text
    assert "Who is working" not in page.text
    assert kaia.post("/lock").status_code == 200
    assert kaia.get("/").location == "/sign-in"
    assert kaia.sign_in("Kaia").location == "/"
    assert kaia.get("/").status_code == 200
    assert [one.did for one in desk.journal.entries] == ["seat-added", "seat-enrolled", "signed-in"]


def test_no_answer_tells_whether_a_name_exists(office, desk):
    """A wrong name, a wrong passphrase, a closed seat and a seat without a key get one and the same page."""
    kaia = office.person("Kaia")
    tui = office.person("Tui", Role.HANDLER, kaia.seat)
    desk.seats.set_disabled(kaia.seat, tui.seat.id, tui.seat.version, disabled=True)
    desk.seats.add(kaia.seat, "Rui", Role.HANDLER)
    pages = set()
    for number, (name, passphrase) in enumerate(
        [("Nobody", "x" * 12), ("Kaia", "x" * 12), ("Tui", PASSPHRASE), ("Rui", ""), ("", ""), ("Kaia", "x" * 400_000)]
    ):
        answer = office.browser(f"192.0.2.{number}").type_passphrase(name, passphrase)
        pages.add((answer.status_code, re.sub(r'value="[^"]*"( autofocus)?| autofocus', "", answer.text)))
    assert len(pages) == 1
    assert next(iter(pages))[0] == 403


def test_a_stranger_waits_and_the_person_does_not(office):
    """After wrong tries a stranger must wait, even with the right passphrase; the person's own browser need not."""
    kaia = office.person("Kaia")
    kaia.post("/lock")
    for number in range(12):
        office.browser(f"192.0.2.{50 + number}").type_passphrase("Kaia", "x" * 12)
    stranger = office.browser("198.51.100.7").type_passphrase("Kaia")
    assert stranger.status_code == 429
    assert "Wait" in stranger.text
    assert kaia.sign_in("Kaia").location == "/"
    assert "wrong tries with your name in a new browser" in kaia.get("/").text
    assert "with your name in a new browser" not in kaia.get("/").text


def test_a_passphrase_alone_opens_nothing(office):
    """Between the passphrase and the key no page of the desk opens, and after five minutes neither does the key's."""
    office.person("Kaia")
    thief = office.browser()
    assert thief.type_passphrase("Kaia").location == "/sign-in/key"
    assert thief.get("/").location == "/sign-in"
    assert thief.get("/seats").location == "/sign-in"
    assert thief.post("/sign-in/key", answer="{}").status_code == 403
    assert thief.get("/enrol").location == "/sign-in"
    office.steady.seconds += 301
    assert thief.get("/sign-in/key").location == "/sign-in"


def test_an_answer_of_a_key_works_once_and_at_its_own_seat(office, desk):
    """An answer that is sent again, or that was made for the challenge of another seat, signs nobody in."""
    kaia = office.person("Kaia")
    mere = office.person("Mere", Role.SUPERVISOR, kaia.seat)
    first, second = office.browser(), office.browser()
    first.type_passphrase("Kaia")
    answer = office.keys["Kaia"].sign(first.options("/sign-in/key"))
    assert first.post("/sign-in/key", answer=answer).location == "/"
    assert first.post("/sign-in/key", answer=answer).location == "/sign-in"
    second.type_passphrase("Kaia")
    second.options("/sign-in/key")
    assert second.post("/sign-in/key", answer=answer).status_code == 403
    second.type_passphrase("Mere")
    of_mere = second.options("/sign-in/key")
    assert second.post("/sign-in/key", answer=office.keys["Kaia"].sign(of_mere)).status_code == 403
    assert second.get("/").location == "/sign-in"
    assert mere.get("/").status_code == 200


def test_a_copied_key_is_refused_and_told(office, desk):
    """A key whose count goes back signs nobody in; the person and every supervisor read of it, and the journal too."""
    kaia = office.person("Kaia")
    mere = office.person("Mere", Role.SUPERVISOR, kaia.seat)
    tui = office.person("Tui", Role.HANDLER, kaia.seat)
    tui.sign_in("Tui")
    office.keys["Tui"].count = 0
    thief = office.browser()
    thief.type_passphrase("Tui")
    answer = thief.post("/sign-in/key", answer=office.keys["Tui"].sign(thief.options("/sign-in/key")))
    assert answer.status_code == 403
    assert "copied" in answer.text
    for one in (kaia, mere, tui):
        assert "The key of Tui may have been copied" in one.get("/").text
    assert desk.journal.entries[-1].did == "copied-key"
    kaia.post("/news")
    assert "may have been copied" not in kaia.get("/").text
    assert "may have been copied" in mere.get("/").text


def test_a_link_works_once_and_ends_after_a_day(office, desk):
    """Of two browsers with one link the second is refused, even in the middle; a link of yesterday is refused."""
    kaia = office.person("Kaia")
    _, code = desk.seats.add(kaia.seat, "Tui", Role.HANDLER)
    first, second = office.browser(), office.browser()
    for one in (first, second):
        assert one.post(f"/enrol/{code}", passphrase=PASSPHRASE, again=PASSPHRASE).location == "/enrol"
    options = second.options("/enrol")
    assert first.enrol(code, "Tui").location == "/"
    assert second.post("/enrol", answer=SoftwareKey(ORIGIN, "desk.example").register(options)).status_code in {404, 409}
    assert second.get("/").location == "/sign-in"
    assert second.get(f"/enrol/{code}").status_code == 404


def test_an_expired_link_is_refused(office, desk, monkeypatch):
    """A one-time link works for a day."""
    _, code = desk.seats.add(None, "Kaia", Role.SUPERVISOR)
    assert office.browser().get(f"/enrol/{code}").status_code == 200
    monkeypatch.setattr(desk.seats, "_clock", lambda: NOON + LINK_SECONDS)
    assert office.browser().get(f"/enrol/{code}").status_code == 404
    answer = office.browser().post(f"/enrol/{code}", passphrase=PASSPHRASE, again=PASSPHRASE)
    assert answer.status_code == 404


def test_a_weak_passphrase_and_a_wrong_repeat_are_said_beside_the_form(office, desk):
    """The page of a link comes again with the reason, and the link still works."""
    _, code = desk.seats.add(None, "Kaia", Role.SUPERVISOR)
    browser = office.browser()
    for passphrase, again, reason in (
        ("tiny", "tiny", "too short"),
        ("Kaia Kaia Kaia", "Kaia Kaia Kaia", "has few different letters"),
        ("desk example 1", "desk example 1", "little more than your name, the name of the desk"),
        ("123qwe123qwe", "123qwe123qwe", "Many people use this passphrase"),
        (PASSPHRASE, "something else", "not the same"),
    ):
        page = browser.post(f"/enrol/{code}", passphrase=passphrase, again=again)
        assert page.status_code == 409
        assert reason in page.text
        assert passphrase not in page.text
    assert browser.enrol(code, "Kaia").location == "/"


@pytest.mark.parametrize("change", ["role", "disabled", "recovered", "end-all", "twelve hours", "idle"])
def test_a_live_session_ends_at_the_next_request(office, desk, change):
    """A change of the seat, a supervisor's word and the clock each end a session before its next page."""
    kaia = office.person("Kaia")
    tui = office.person("Tui", Role.HANDLER, kaia.seat)
    assert tui.get("/").status_code == 200
    seat = tui.seat
    if change == "role":
        kaia.post(f"/seats/{seat.id}", version=seat.version, do="role", role="translator")
    elif change == "disabled":
        kaia.post(f"/seats/{seat.id}", version=seat.version, do="disable", sure="yes")
    elif change == "recovered":
        kaia.post(f"/seats/{seat.id}", version=seat.version, do="recover", sure="yes")
    elif change == "end-all":
        kaia.post("/seats/end-all")
        assert kaia.get("/").location == "/sign-in?why=session"
    elif change == "idle":
        office.steady.seconds += 901
    else:
        for _ in range(49):
            office.steady.seconds += 899
            kaia.get("/")
            tui.get("/")
    assert tui.get("/").location.startswith("/sign-in")
    answer = tui.post("/take-in")
    assert answer.status_code == 403
    assert "not signed in any more" in answer.text


def test_a_lost_key_is_replaced_by_a_supervisor(office, desk):
    """After a recovery the old key and passphrase open nothing, and the new link leads to new ones."""
    kaia = office.person("Kaia")
    tui = office.person("Tui", Role.HANDLER, kaia.seat)
    seat = tui.seat
    page = kaia.post(f"/seats/{seat.id}", version=seat.version, do="recover", sure="yes").text
    code = re.search(rf'value="{ORIGIN}/enrol/([\w-]+)"', page)[1]
    assert tui.type_passphrase("Tui").status_code == 403
    assert tui.enrol(code, "Tui", passphrase="another one for Tui").status_code == 303
    assert "Kaia took the keys and the passphrase of Tui away" in tui.get("/").text
    assert tui.post("/news").location == "/"
    assert "took the keys" not in tui.get("/").text


def test_a_stolen_cookie_changes_nothing_from_another_origin(office):
    """With the cookie alone another site, another port and a page without the token change nothing."""
    kaia = office.person("Kaia")
    for origin in ("https://evil.example", "https://desk.example", "https://desk.example:9443", "", "null"):
        assert kaia.post("/seats", origin=origin, name="Mallory", role="supervisor").status_code == 403
        assert office.browser().post("/sign-in", origin=origin, name="Kaia", passphrase=PASSPHRASE).status_code == 403
    assert kaia.post("/seats", token="guessed", name="Mallory", role="supervisor").status_code == 403
    assert kaia.get("/", Sec_Fetch_Site="cross-site").status_code == 403
    assert kaia.get("/", Host="evil.example").status_code == 400
    assert kaia.get("/sign-in", Host="192.0.2.9:8443").status_code == 400
    assert [one.name for one in office.desk.seats.all()] == ["Kaia"]


def test_the_cookies_and_headers_of_a_desk_on_a_network(office):
    """Each cookie has the prefix that binds it to this host and TLS, and each answer asks for TLS from now on."""
    kaia = office.person("Kaia")
    kaia.post("/lock")
    kaia.type_passphrase("Kaia")
    answer = kaia.post("/sign-in/key", answer=office.keys["Kaia"].sign(kaia.options("/sign-in/key")))
    cookies = answer.headers.getlist("Set-Cookie")
    assert len(cookies) == 3
    for cookie in cookies:
        assert cookie.startswith("__Host-")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_second_key_needs_the_passphrase_and_is_told(office):
    """A signed-in person adds a key with the passphrase, and signs in with it; a thief of the session adds none."""
    kaia = office.person("Kaia")
    mere = office.person("Mere", Role.SUPERVISOR, kaia.seat)
    wrong = mere.post("/seat", passphrase="guessed by a thief")
    assert wrong.status_code == 409
    assert "The passphrase is wrong" in wrong.text
    assert mere.post("/seat", passphrase=PASSPHRASE).location == "/enrol"
    second = SoftwareKey(ORIGIN, "desk.example")
    assert mere.post("/enrol", answer=second.register(mere.options("/enrol"))).location == "/seat"
    assert "Keys: 2" in mere.get("/seat").text
    assert "Mere registered a further key." in kaia.get("/").text
    office.keys["Mere"] = second
    mere.post("/lock")
    assert mere.sign_in("Mere").location == "/seat"
    kaia.post("/seat", passphrase=PASSPHRASE)
    options = kaia.options("/enrol")
    kaia.post("/lock")
    assert kaia.post("/enrol", answer=SoftwareKey(ORIGIN, "desk.example").register(options)).status_code == 403
    assert len(office.desk.seats.named("Kaia").keys) == 1


def test_signing_in_leads_back_to_the_page_of_the_same_person(office):
    """After an idle lock a person comes back to the same page, and another person does not come there."""
    kaia = office.person("Kaia")
    tui = office.person("Tui", Role.HANDLER, kaia.seat)
    tui.get("/journal")
    office.steady.seconds += 901
    assert tui.get("/journal").location == "/sign-in?why=idle"
    assert "nobody used it for 15 minutes" in tui.get("/sign-in?why=idle").text
    assert kaia.sign_in("Kaia").location == "/"
    assert tui.sign_in("Tui").location == "/journal"
