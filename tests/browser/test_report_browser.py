"""The report form in a real Chromium: accessible at every step, by keyboard alone, and nothing left behind."""

import http.server
import sqlite3
import threading

import pytest

from app.delivery.receipt_codes import new_code
from app.vault.tip import SCHEMA
from tests.support.browser import DESK, PHONE, chromium, violations, with_memory
from tests.support.visit import KNOWN

pytestmark = pytest.mark.needs("browser")

STORY = "My name is Rangi Sample. Call 021 555 0199, they lock the door at 9.45pm."
WRONG_CODE = "account across address bridge garden window yellow zebra"
SHOWS_ALL = "e => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight"


@pytest.fixture(scope="module")
def browser(running):
    with chromium() as browser:
        yield browser


@pytest.fixture(params=[(PHONE, "light"), (PHONE, "dark"), (DESK, "light"), (DESK, "dark")], ids=str)
def page(browser, request):
    size, scheme = request.param
    context = browser.new_context(viewport=size, color_scheme=scheme)
    yield context.new_page()
    context.close()


def no_sideways_scrolling(page):
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def press(page, button):
    """Press a button and wait for the page that answers: what is looked at must not be the page before."""
    with page.expect_navigation():
        page.click(button)


def test_every_step_passes_axe(running, page):
    """The form, its errors, the look before sending, the sent page, the code and the reply page: no violation."""
    steps = {}

    def look(name):
        steps[name] = (violations(page), no_sideways_scrolling(page))

    page.goto(f"{running.base_url}/en/report")
    look("form")
    press(page, "button[value=check]")
    look("errors")
    page.click(".more summary")
    look("form with all questions")
    page.fill("#what", STORY)
    page.check("input[name=danger][value=yes]")
    page.check("input[name=reply]")
    press(page, "button[value=check]")
    look("check")
    press(page, "button[value=send]")
    look("sent")
    page.fill("#typed", "not the code")
    press(page, "button[value=kept]")
    look("kept")
    page.goto(f"{running.base_url}/en/reply")
    look("reply")
    page.fill("#code", new_code())
    press(page, "button[value=read]")
    look("no reply")
    page.goto(f"{running.base_url}/en/nothing")
    look("error")
    assert len(steps) == 9
    assert steps == dict.fromkeys(steps, ([], True))


def test_ticks_on_the_page_of_signs_come_into_the_form(running, page):
    """At 320 pixels and on a desk: tick, press, and the form holds the words; no violation, no tick in the address."""
    page.goto(f"{running.base_url}/en/signs")
    page.get_by_label("have no money and no identity papers").check()
    page.get_by_label("Does another person answer every question").check()
    assert (violations(page), no_sideways_scrolling(page)) == ([], True)
    press(page, "button[value=begin]")
    assert (violations(page), no_sideways_scrolling(page)) == ([], True)
    assert "- have no money and no identity papers" in page.input_value("#what")
    assert "- Does another person answer every question" in page.input_value("#what")
    assert page.is_checked("input[name=kinds][value=documents]")
    assert "Nothing has been sent yet." in page.inner_text(".note")
    assert page.url == f"{running.base_url}/en/report"
    press(page, "button[value=check]")
    assert "have no money and no identity papers" in page.inner_text("main")


def test_a_report_can_be_written_by_keyboard_alone(running, browser):
    """From the way out by Tab through every field to the button, and the hidden box is never reached."""
    page = browser.new_page(viewport=DESK)
    page.goto(f"{running.base_url}/en/report")
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()")
        if name == "what" and "what" not in reached:
            page.keyboard.type("Written without a mouse")
        if name == "More, if you know it":
            page.keyboard.press("Enter")
        reached.append(name)
        if page.evaluate("document.activeElement.value") == "check":
            break
    assert reached[0] == "Leave this site now"
    assert reached.index("what") < reached.index("danger") < reached.index("children") < reached.index("where")
    assert {field.name for field in SCHEMA.fields} | {"reply"} <= set(reached)
    assert "website" not in reached
    page.keyboard.press("Enter")
    page.wait_for_selector("button[value=send]")
    assert page.input_value("input[name=what]") == "Written without a mouse"
    page.close()


def test_the_hidden_box_is_out_of_sight_and_of_the_accessibility_tree(running, browser):
    """Nobody sees the honeypot, and no screen reader says it."""
    page = browser.new_page(viewport=DESK)
    page.goto(f"{running.base_url}/en/report")
    box = page.locator(".trap").bounding_box()
    hidden = page.evaluate("getComputedStyle(document.querySelector('.trap')).clipPath")
    assert (box["width"] <= 1, hidden) == (True, "inset(50%)")
    assert "Leave this box empty" not in page.locator("main").aria_snapshot()
    page.close()


def test_an_error_takes_the_reader_to_its_field(running, browser):
    """The summary's link puts the focus on the field that it names."""
    page = browser.new_page(viewport=PHONE)
    page.goto(f"{running.base_url}/en/report")
    page.click("button[value=check]")
    page.click(".error-summary a")
    assert page.evaluate("document.activeElement.id") == "what"
    page.close()


def test_changing_the_language_keeps_the_words(running, browser):
    """In a browser too, the language button carries everything along."""
    page = browser.new_page(viewport=DESK)
    page.goto(f"{running.base_url}/en/report")
    page.fill("#what", "Kept over languages")
    page.click(".more summary")
    page.check("input[name=kinds][value=debt]")
    page.click(".langs summary")
    page.click("button[formaction='/to/report']")
    assert page.evaluate("document.documentElement.lang") == "to"
    assert page.input_value("#what") == "Kept over languages"
    assert page.is_checked("input[name=kinds][value=debt]")
    page.close()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_a_change_takes_the_sender_to_the_question(running, browser, size):
    """From the look before sending, each button goes to its question, in sight of the sender and beside the way out."""
    page = browser.new_page(viewport=size)
    page.goto(f"{running.base_url}/en/report")
    page.click(".more summary")
    page.fill("#what", STORY)
    page.fill("#where", "Katikati")
    page.check("input[name=paid][value=wages-back]")
    for name, control in (("where", "textarea"), ("paid", "input"), ("what", "textarea")):
        press(page, "button[value=check]")
        press(page, f"button[value='edit:{name}']")
        focused = page.locator(f"{control}[name={name}]:focus")
        box, bar = focused.bounding_box(), page.locator(".exit").bounding_box()
        assert 0 <= box["y"] < size["height"] - 20, (name, box)
        assert not bar["y"] - 20 < box["y"] < bar["y"] + bar["height"], (name, box, bar)
    assert page.is_checked("input[name=paid][value=wages-back]")
    page.close()


@pytest.mark.parametrize("lang", ["en", "to", "hi"])
def test_a_whole_code_is_seen_on_a_small_phone(running, browser, lang):
    """A sender who typed one wrong word at 320 pixels sees all eight words, and all eight numbers, in the box."""
    page = browser.new_page(viewport=PHONE)
    page.goto(f"{running.base_url}/{lang}/reply")
    for wrong in (WRONG_CODE, " ".join(["2048"] * 8)):
        page.fill("#code", wrong)
        press(page, "main button[value=read]")
        assert page.input_value("#code") == wrong
        assert page.locator("#code[aria-invalid=true]").evaluate(SHOWS_ALL)
    page.close()


def test_nothing_stands_close_below_the_code_and_its_buttons(running, browser):
    """On the sent page a line of space is between the code, the button that compares it, and the words below each."""
    page = browser.new_page(viewport=PHONE)
    page.goto(f"{running.base_url}/to/report")
    page.fill("#what", STORY)
    page.check("input[name=reply]")
    press(page, "main button[value=check]")
    press(page, "main button[value=send]")
    code, card = page.locator("#receipt-code"), page.locator(".card")
    after_code, button = card.locator("p:has(#receipt-code) + p"), card.locator("button[value=kept]")
    for above, below in ((code, after_code), (button, card.locator("#more p"))):
        end, start = above.bounding_box(), below.bounding_box()
        assert start["y"] - (end["y"] + end["height"]) >= 16
    page.fill("#typed", WRONG_CODE)
    assert page.locator("#typed").evaluate(SHOWS_ALL)
    page.close()


def test_only_the_field_with_the_error_is_marked(running, browser):
    """Files that must be chosen again mark their field, not all questions about files, so the field stays wide."""
    page = browser.new_page(viewport=PHONE)
    page.goto(f"{running.base_url}/en/report")
    page.fill("#what", STORY)
    press(page, "main button[value=check]")
    page.set_input_files("#files", {"name": "odd.bin", "mimeType": "video/mp4", "buffer": bytes(range(256))})
    press(page, "main button[value=send]")
    press(page, "main button[value=edit]")
    press(page, "main button[value=check]")
    marked = page.evaluate(
        "[...document.querySelectorAll('main form *')].filter(e => parseInt(getComputedStyle(e).borderLeftWidth) > 4)"
        ".map(e => e.querySelector('label')?.htmlFor)"
    )
    assert marked == ["files"]
    page.close()


def test_no_phone_number_is_broken_over_two_lines(running, browser):
    """At 320 pixels each number stands on one line, in every language, on the pages that have numbers."""
    page = browser.new_page(viewport=PHONE)
    for lang in KNOWN:
        for path in ("help", "contact", "self-check", "report"):
            page.goto(f"{running.base_url}/{lang}/{path}")
            lines = page.eval_on_selector_all("a[href^='tel:']", "all => all.map(one => one.getClientRects().length)")
            assert lines
            assert set(lines) <= {0, 1}, (lang, path)  # 0: not shown before an answer
    page.close()


class _Control(http.server.BaseHTTPRequestHandler):
    """A form that does not ask the browser to forget."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><form method=post><input name=code id=code><button>go</button></form>")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def control():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Control)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_browser_remembers_no_field(running, browser, control, tmp_path):
    """Chromium keeps what is typed into an ordinary form, and nothing of what is typed into ours."""
    with with_memory(browser, tmp_path / "profile") as context:
        page = context.new_page()
        page.goto(control)
        page.click("#code")
        page.keyboard.type("control entry")
        page.click("button")
        page.wait_for_timeout(1000)
        page.goto(f"{running.base_url}/en/report")
        page.click("#what")
        page.keyboard.type("remember nothing")
        page.click(".more summary")
        page.click("#where")
        page.keyboard.type("remember nothing")
        page.check("input[name=reply]")
        page.click("button[value=check]")
        page.click("button[value=send]")
        page.click("#typed")
        page.keyboard.type("remember nothing")
        page.click("button[value=kept]")
        page.goto(f"{running.base_url}/en/reply")
        page.click("#code")
        page.keyboard.type("remember nothing")
        page.click("button[value=read]")
        page.wait_for_timeout(2000)
    remembered = sqlite3.connect(tmp_path / "profile" / "Default" / "Web Data")
    assert remembered.execute("select name, value from autofill").fetchall() == [("code", "control entry")]
    remembered.close()
