"""The session in a real Chromium: what locks, what is kept of what was typed, and who else has the same tip open."""

from contextlib import contextmanager

import pytest

from app.desk.config import ListenAddress
from app.desk.web.factory import create_app, listen, serving
from tests.support.browser import PHONE, chromium, violations
from tests.support.desk import Office, jpeg, picture, receive, reply_to, tip, wait_for

pytestmark = pytest.mark.needs("browser")


class _Served:
    """A desk in this process that real browsers reach, with the sessions that the test may grow old."""

    def __init__(self, chrome, folder):
        self.chrome, self.office, self.links, self.apps = chrome, Office(folder), [], []

    @contextmanager
    def open(self):
        def build(sessions):
            self.sessions = sessions
            return create_app(self.desk, sessions, demo=False)

        with self.office.desk() as self.desk:
            server = listen(ListenAddress("127.0.0.1", 0), self.links.append, build)
            with serving(server):
                yield self

    def sign_in(self, who, page=None):
        """A page of a browser of its own (or the one given) in which somebody says who works."""
        self.sessions.new_link()
        page = page or self.chrome.new_context().new_page()
        page.goto(self.links[-1])
        page.click(f"button[value={who}]")
        return page

    def url(self, path):
        return self.sessions.address + path

    def new_tip(self, words, files=()):
        made = self.office.drop(tip({"what": words}, reply=reply_to(), files=files))
        receive(self.desk)
        return made

    def let_pass(self, seconds):
        for session in self.sessions._sessions.values():
            session.used -= seconds


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with chromium() as chrome, _Served(chrome, tmp_path_factory.mktemp("served")).open() as made:
        yield made


def test_a_warning_comes_before_the_lock_and_stay_keeps_the_session(served):
    """Two minutes before the lock a dialog takes the focus; a key keeps the session; else the page is covered."""
    made = served.new_tip("Seven men behind the packhouse")
    page = served.sign_in("Ana")
    page.clock.install()
    page.set_viewport_size(PHONE)
    page.goto(served.url(f"/tips/{made}"))
    served.let_pass(800)
    page.clock.run_for(785_000)
    warning = page.get_by_role("alertdialog", name="The desk will lock within two minutes")
    warning.wait_for()
    assert page.title().startswith("Locks soon: ")
    assert page.evaluate("document.activeElement.textContent") == "Stay"
    assert violations(page) == []
    page.keyboard.press("Enter")
    warning.wait_for(state="hidden")
    assert not page.title().startswith("Locks")
    assert max(served.sessions.seconds_left(one) for one in served.sessions._sessions.values()) > 890
    links = len(served.links)
    served.let_pass(1000)
    page.clock.run_for(785_000)
    page.get_by_text("nobody used it for 15 minutes").wait_for()
    assert "packhouse" not in page.content()
    assert violations(page) == []
    wait_for(lambda: len(served.links) == links + 1)
    page.goto(served.links[-1])
    page.click("button[value=Ana]")
    assert page.url == served.url(f"/tips/{made}")
    page.context.close()


def test_a_page_is_covered_when_the_desk_no_longer_answers(served):
    """Given a desk that does not answer, the page that nobody uses is covered all the same after 15 minutes."""
    made = served.new_tip("A woman who may not leave the house")
    page = served.sign_in("Ana")
    page.clock.install()
    page.goto(served.url(f"/tips/{made}"))
    page.route("**/left", lambda route: route.abort())
    page.clock.run_for(890_000)
    assert "may not leave" in page.content()
    page.clock.run_for(15_000)
    page.get_by_role("heading", name="Locked").wait_for()
    assert "may not leave" not in page.content()
    page.context.close()


def test_a_note_comes_back_after_leaving_at_once_and_after_a_lock(served):
    """What is typed is kept two seconds later, and when the page is left; it comes back, is discarded, and is saved."""
    made = served.new_tip("Women in a house with no door key")
    page, asked = served.sign_in("Ana"), []
    page.on("dialog", lambda question: asked.append(question.type) or question.accept())
    page.clock.install()
    page.goto(served.url(f"/tips/{made}"))
    note = page.locator("#note")
    note.press_sequentially("A thought")
    page.goto(served.url("/help"))
    wait_for(lambda: served.desk.typed.of("Ana", made, "note"))
    page.goto(served.url(f"/tips/{made}"))
    assert note.input_value() == "A thought"
    assert violations(page) == []
    note.press("Control+End")
    with page.expect_response("**/typed") as kept:
        note.press_sequentially(", whole")
        page.clock.run_for(2500)
    assert kept.value.status == 204
    served.let_pass(1000)
    note.press_sequentially(" and more")
    page.clock.run_for(785_000)
    page.get_by_text("nobody used it for 15 minutes").wait_for()
    wait_for(lambda: served.desk.typed.of("Ana", made, "note")[0].first("text").endswith("and more"))
    served.sign_in("Ana", page)
    assert note.input_value() == "A thought, whole and more"
    page.get_by_role("button", name="Discard what you wrote").click()
    page.get_by_text("What you had not saved is gone.").wait_for()
    assert note.input_value() == ""
    note.press_sequentially("Another")
    page.get_by_role("button", name="Save the note").click()
    page.wait_for_url("**#notes")
    assert "Another" in page.locator("[aria-labelledby=notes]").inner_text()
    assert served.desk.typed.of("Ana", made, "note") == []
    assert asked == []
    page.context.close()


def test_a_text_that_cannot_be_kept_is_said_and_leaving_asks(served):
    """Given a desk that keeps nothing, the page says so in words, and leaving the page asks first."""
    made = served.new_tip("A ship whose crew has no pay")
    page, asked = served.sign_in("Ana"), []
    page.on("dialog", lambda question: asked.append(question.type) or question.accept())
    page.clock.install()
    page.route("**/typed", lambda route: route.fulfill(status=409))
    page.goto(served.url(f"/tips/{made}"))
    page.locator("#note").press_sequentially("A thought")
    page.clock.run_for(2500)
    page.get_by_text("could not keep what you typed").wait_for()
    assert violations(page) == []
    page.goto(served.url("/help"))
    assert asked == ["beforeunload"]
    page.context.close()


def test_two_people_on_one_tip_see_each_other_without_a_reload(served):
    """Ana's open page says that Ben opened the tip, changed it, and left; "Show it" keeps what she typed."""
    made = served.new_tip("A cook whose passport is with his employer")
    ana, ben = served.sign_in("Ana"), served.sign_in("Ben")
    ana.set_viewport_size(PHONE)
    ana.clock.install()
    ana.goto(served.url(f"/tips/{made}"))
    ben.goto(served.url(f"/tips/{made}"))
    beside = ana.locator("[data-beside] [role=status]")
    wait_for(lambda: ana.clock.run_for(10_000) or "Ben has this tip open too." in beside.first.text_content())
    ben.locator("#note").fill("I called them")
    ben.get_by_role("button", name="Save the note").click()
    ben.wait_for_url("**#notes")
    wait_for(lambda: ana.clock.run_for(10_000) or "changed by Ben" in beside.last.text_content())
    assert violations(ana) == []
    ana.locator("#note").press_sequentially("So did I")
    ana.get_by_role("link", name="Show it").click()
    ana.get_by_text("I called them").wait_for()
    wait_for(lambda: served.desk.typed.of("Ana", made, "note"))
    ana.goto(served.url(f"/tips/{made}"))
    assert ana.locator("#note").input_value() == "So did I"
    ben.goto(served.url("/help"))
    wait_for(lambda: ana.clock.run_for(10_000) or beside.first.text_content() == "")
    for page in (ana, ben):
        page.context.close()


def test_marks_that_were_dragged_come_back_and_one_window_is_one_window(served):
    """Words marked with the mouse and boxes that were added come back; going from page to page is no second window."""
    made = served.new_tip("Three people sleep in a shed", files=(jpeg(1, picture(320, 240)),))
    page = served.sign_in("Ana")
    page.clock.install()
    page.goto(served.url(f"/tips/{made}"))
    page.get_by_role("button", name="Claim this tip").click()
    page.get_by_role("link", name="Redact and refer").click()
    labels = page.locator(".words").first.locator("label")
    labels.first.wait_for()
    start, end = labels.nth(0).bounding_box(), labels.nth(2).bounding_box()
    page.mouse.move(start["x"] + 3, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(end["x"] + 3, end["y"] + 5, steps=25)
    page.mouse.up()
    page.goto(served.url(f"/tips/{made}/boxes/1"))
    add = page.get_by_role("button", name="Add a box")
    add.click()
    drawn = page.input_value("#boxes")
    page.goto(served.url(f"/tips/{made}/redact"))
    wait_for(lambda: served.desk.typed.forms("Ana", made) == {"redaction", "boxes-1"})
    page.goto(served.url(f"/tips/{made}/redact"))
    checked = [labels.nth(place).locator("input").is_checked() for place in range(4)]
    assert checked == [True, True, True, False]
    assert not served.desk.cases.get(made).draft.looked
    page.goto(served.url(f"/tips/{made}/boxes/1"))
    assert page.input_value("#boxes") == drawn
    assert violations(page) == []
    beside = page.locator("[data-beside] [role=status]").first
    with page.expect_response("**/beside*"):
        page.clock.run_for(10_000)
    wait_for(lambda: page.clock.run_for(10_000) or beside.text_content() == "")
    page.context.close()
