"""A desk for a team in a real Chromium over TLS: enrolling, signing in with a security key, and every page of seats."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import trustme

from app.desk.config import HostConfig, ListenAddress
from app.desk.seat import Role
from app.desk.web.factory import create_app, listen_on_network, serving
from tests.support.browser import DESK, PHONE, chromium, violations
from tests.support.desk import Office, receive, reply_to, tip, wait_for
from tests.support.nu import nu_errors
from tests.support.ports import free_port
from tests.support.seats import PASSPHRASE, enrolled

pytestmark = pytest.mark.needs("browser")


class _Team:
    """A desk under the name localhost that real browsers reach."""

    def __init__(self, chrome, folder):
        self.chrome, self.folder, self.port = chrome, folder, free_port()
        (folder / "office").mkdir()
        self.office = Office(folder / "office", release=2)
        made = trustme.CA().issue_cert("localhost")
        made.cert_chain_pems[0].write_to_path(folder / "desk.crt")
        made.private_key_pem.write_to_path(folder / "desk.key")
        self.host = HostConfig("localhost", self.port, folder / "desk.crt", folder / "desk.key")

    @contextmanager
    def open(self):
        def build(sessions):
            self.sessions = sessions
            return create_app(self.desk, sessions, demo=False)

        with self.office.desk() as self.desk:
            server = listen_on_network(ListenAddress("127.0.0.1", self.port), self.host, self.desk, build)
            with serving(server):
                yield self

    def page(self, **more):
        """A page of a browser of its own, with a virtual security key."""
        page = self.chrome.new_context(ignore_https_errors=True, **more).new_page()
        client = page.context.new_cdp_session(page)
        client.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "usb", "hasUserVerification": True, "isUserVerified": True}
        client.send("WebAuthn.addVirtualAuthenticator", {"options": options | {"automaticPresenceSimulation": True}})
        return page

    def url(self, path):
        return self.host.origin + path

    def enrol(self, page, name, role, by=None):
        _, code = self.desk.seats.add(by, name, role)
        page.goto(self.url(f"/enrol/{code}"))
        page.fill("#passphrase", PASSPHRASE)
        page.fill("#again", PASSPHRASE)
        page.click("text=Continue")
        page.get_by_role("button", name="Register your security key").click()
        page.wait_for_url(lambda url: "/enrol" not in url)
        return self.desk.seats.named(name)


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    with chromium() as chrome, _Team(chrome, tmp_path_factory.mktemp("team")).open() as made:
        yield made


@pytest.fixture(scope="module")
def kaia(team):
    """A page on which a supervisor is signed in."""
    page = team.page()
    team.enrol(page, "Kaia Rangi", Role.SUPERVISOR)
    return page


def test_a_person_signs_in_with_a_security_key_and_the_keyboard(team):
    """A passphrase, Enter, and the key: the queue is there; after signing out the page asks for them again."""
    page = team.page(viewport=PHONE)
    team.enrol(page, "Ata", Role.HANDLER)
    assert page.url == team.url("/")
    assert page.get_by_role("heading", name="Queue").is_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").click()
    assert page.evaluate("document.activeElement.id") == "name"
    page.keyboard.type("ata")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSPHRASE)
    page.keyboard.press("Enter")
    page.wait_for_url(team.url("/"))
    assert page.get_by_role("heading", name="Queue").is_visible()
    assert {one.did for one in team.desk.journal.entries if one.who == "Ata"} >= {"seat-enrolled", "signed-in"}
    page.context.close()


def test_a_person_changes_the_own_passphrase(team):
    """The form on the own seat's page leads to the key, which answers by itself; the page then says what happened."""
    page = team.page(viewport=PHONE)
    team.enrol(page, "Hemi", Role.HANDLER)
    page.goto(team.url("/seat"))
    page.fill("#present", PASSPHRASE)
    page.fill("#new", "seven kayaks near the bridge")
    page.fill("#again", "seven kayaks near a bridge")
    page.get_by_role("button", name="Change the passphrase").click()
    page.get_by_text("The two new passphrases are not the same").wait_for()
    assert violations(page) == []
    assert page.input_value("#present") == ""
    page.fill("#present", PASSPHRASE)
    page.fill("#new", "seven kayaks near the bridge")
    page.fill("#again", "seven kayaks near the bridge")
    page.keyboard.press("Enter")
    page.get_by_text("Your passphrase is changed.").wait_for()
    assert page.url == team.url("/seat")
    assert page.get_by_text("Hemi chose another passphrase.").is_visible()
    page.context.close()


def test_a_key_that_does_not_answer_is_said_aloud(team):
    """Without a key the page says what to do, in a status; without JavaScript the page says that a key needs it."""
    page = team.page()
    team.enrol(page, "Rui", Role.HANDLER)
    page.context.close()
    bare = team.chrome.new_context(ignore_https_errors=True).new_page()
    bare.context.new_cdp_session(bare).send("WebAuthn.enable")  # and no key
    bare.add_init_script("navigator.credentials.get = () => Promise.reject(new Error('no key'))")
    bare.goto(team.url("/sign-in"))
    bare.fill("#name", "Rui")
    bare.fill("#passphrase", PASSPHRASE)
    bare.click("text=Continue")
    bare.get_by_text("The key did not answer").wait_for()
    assert bare.evaluate("document.activeElement.textContent") == "Use your security key"
    assert violations(bare) == []
    bare.context.close()
    silent = team.chrome.new_context(ignore_https_errors=True, java_script_enabled=False).new_page()
    silent.goto(team.url("/sign-in"))
    silent.fill("#name", "Rui")
    silent.fill("#passphrase", PASSPHRASE)
    silent.click("text=Continue")
    assert silent.get_by_text("only with JavaScript").is_visible()
    assert not silent.get_by_role("button", name="Use your security key").is_visible()
    silent.context.close()


def test_a_supervisor_makes_and_closes_a_seat(team, kaia):
    """A supervisor adds a seat, reads its link once, and closes the seat; the page says what happened."""
    kaia.goto(team.url("/seats"))
    kaia.fill("#name", "Tui Hill")
    kaia.select_option("#new-role", "translator")
    kaia.click("text=Add this seat")
    link = kaia.input_value("#link")
    assert link.startswith(team.url("/enrol/"))
    assert violations(kaia) == []
    kaia.goto(team.url("/seats"))
    assert kaia.locator("#link").count() == 0
    card = kaia.get_by_role("region", name="Tui Hill")
    card.get_by_role("button", name="Close this seat").click()
    kaia.get_by_text("Tick the box first").wait_for()
    card.get_by_role("checkbox").check()
    card.get_by_role("button", name="Close this seat").click()
    kaia.get_by_text("The seat of Tui Hill is changed").wait_for()
    assert kaia.get_by_text("Kaia Rangi closed the seat of Tui Hill.").is_visible()
    assert violations(kaia) == []
    kaia.get_by_role("button", name="I have read this").click()
    assert kaia.get_by_text("closed the seat of Tui Hill").count() == 0


@pytest.mark.slow
def test_every_page_of_seats_is_accessible_and_valid(team, kaia):
    """Each page of seats, of signing in and of a translator: axe finds nothing, Nu finds nothing, 320 px are enough."""
    seat, code = team.desk.seats.add(None, "Mere with a rather long name of many letters", Role.HANDLER)
    one = team.office.drop(tip({"what": "कृपया मदद करें। The [men] sleep there."}, reply=reply_to()))
    receive(team.desk)
    marked = {"translator": True, "draft": replace(team.desk.cases.get(one).draft, looked=True)}
    team.desk.cases.change(one, "Kaia Rangi", "redacted", lambda now: replace(now, **marked))
    translator, stranger = team.page(), team.page()
    team.enrol(translator, "Hine", Role.TRANSLATOR)
    reader = team.page()
    team.enrol(reader, "Io", Role.FIGURES)
    mere = enrolled(team.desk.seats, "Mere Supervisor")
    new = team.page()
    team.enrol(new, "Pou with a rather long name of many letters", Role.HANDLER, by=mere)
    pages = {
        "sign-in": (stranger, "/sign-in?why=idle"),
        "enrol": (stranger, f"/enrol/{code}"),
        "no-link": (stranger, "/enrol/none"),
        "seats": (kaia, "/seats"),
        "seat": (kaia, "/seat"),
        "new-seat": (new, "/seat"),
        "list": (translator, "/translate"),
        "translate": (translator, f"/translate/{one}"),
        "refused": (translator, "/seats"),
        "figures": (reader, "/figures"),
    }
    sources = {}
    for name, (page, path) in pages.items():
        for size in (DESK, PHONE):
            page.set_viewport_size(size)
            answer = page.goto(team.url(path))
            assert violations(page) == [], (name, size)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, size)
        sources[name] = answer.body()
    assert nu_errors(sources, team.folder) == []
    assert seat.in_use is False
    for page in (translator, reader, stranger, new):
        page.context.close()


def test_a_typed_note_comes_back_after_signing_in_again(team):
    """After an idle lock a person signs in with passphrase and key, and the note that was half written is there."""
    page = team.page()
    team.enrol(page, "Wiremu", Role.HANDLER)
    made = team.office.drop(tip({"what": "Eight people in one room"}, reply=reply_to()))
    receive(team.desk)
    page.goto(team.url(f"/tips/{made}"))
    page.fill("#note", "Half of a note")
    wait_for(lambda: any(one and one.first("text") == "Half of a note" for one in team.desk.typed._texts.values()))
    for session in list(team.sessions._sessions.values()):
        session.used -= 1000 if session.handler == "Wiremu" else 0
    page.goto(team.url("/"))
    assert page.get_by_text("nobody used it for 15 minutes").is_visible()
    page.fill("#name", "Wiremu")
    page.fill("#passphrase", PASSPHRASE)
    page.click("text=Continue")
    page.wait_for_url(team.url(f"/tips/{made}"))
    assert page.input_value("#note") == "Half of a note"
    page.context.close()


def test_a_colleague_confirms_a_new_seat_with_the_keyboard(team, kaia):
    """A handler opens the own seat's page, ticks that the two have spoken, and presses the button; the page says so."""
    page = team.page(viewport=PHONE)
    team.enrol(page, "Aroha", Role.HANDLER)
    new = enrolled(team.desk.seats, "Niko", Role.HANDLER, team.desk.seats.named("Kaia Rangi"))
    page.get_by_role("link", name="your seat").click()
    page.get_by_role("checkbox", name="I have spoken with Niko, who uses this seat").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("You have confirmed the seat of Niko").wait_for()
    assert violations(page) == []
    assert team.desk.seats.get(new.id).counts
    page.context.close()
