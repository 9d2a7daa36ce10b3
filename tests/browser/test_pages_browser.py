"""The pages in a real Chromium: nothing breaks accessibility, nothing is sent, and the way out holds."""

import http.server
import io
import re
import threading
from contextlib import contextmanager, suppress

import pypdfium2
import pytest
from playwright.sync_api import expect
from werkzeug.serving import make_server

from tests.support.browser import COLOURS, DESK, PHONE, RUN_AXE, chromium, violations
from tests.support.firefox import firefox
from tests.support.outcomes import published_figures
from tests.support.paths import ROOT
from tests.support.servers import Certificates
from tests.support.visit import open_site

pytestmark = pytest.mark.needs("browser")

LANDSCAPE = {"width": 740, "height": 360}
EXIT = "https://exit.example/"
WEATHER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
    b"<!doctype html><title>Weather</title><h1>Weather</h1>"
)
# The bar of the way out may not lie over what has the focus.
COVERED = """() => {
    const focused = document.activeElement, bar = document.querySelector('.exit');
    if (bar.contains(focused)) return '';
    const a = focused.getBoundingClientRect(), b = bar.getBoundingClientRect();
    return a.top >= b.top - 1 && a.bottom <= b.bottom + 1 ? focused.outerHTML.slice(0, 80) : '';
}"""
WIDE = """() => [document.documentElement, document.querySelector('.page')]
    .some(e => e.scrollWidth > Math.min(e.clientWidth, innerWidth))"""
SMALL = """() => [...document.querySelectorAll(
        'button, .button, summary, .choice, select, header a, footer nav a, .doors a, .calls a, .files a')]
    .filter(e => !e.closest('.now, .demo') && e.checkVisibility())
    .map(e => [e.getBoundingClientRect().height, e.textContent.trim().slice(0, 40)])
    .filter(([height]) => height < 43.9)"""


class Weather(http.server.BaseHTTPRequestHandler):
    """Some other site, to which the way out leads, and a tunnel for Firefox to it (RFC 9110, 9.3.6)."""

    certificates: Certificates

    def do_GET(self):
        self.wfile.write(WEATHER)
        self.close_connection = True

    def do_CONNECT(self):
        self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        # A browser may open a connection and not use it.
        with suppress(OSError), self.certificates.context().wrap_socket(self.connection, server_side=True) as inner:
            if inner.recv(65536):
                inner.sendall(WEATHER)
        self.close_connection = True

    def log_message(self, *_):
        pass


@contextmanager
def exit_site(folder, *, tunnel):
    """That site over https, straight or through a tunnel; its port."""
    handler = type("Handler", (Weather,), {"certificates": Certificates(folder, names=("exit.example",))})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if not tunnel:
        server.socket = handler.certificates.context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def exit_port(tmp_path_factory):
    with exit_site(tmp_path_factory.mktemp("exit"), tunnel=False) as port:
        yield port


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True)
    base = f"http://127.0.0.1:{server.server_port}"
    folder = tmp_path_factory.mktemp("site")
    figures = published_figures(folder)  # so that the page of the figures has all that it can have
    visitor = open_site(folder, SITE_BASE_URL=base, SITE_EXIT_URL=EXIT, **figures)
    server.app = visitor.app
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield visitor
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def chrome(exit_port):
    with chromium(f"--host-resolver-rules=MAP exit.example:443 127.0.0.1:{exit_port}") as browser:
        yield browser


@pytest.fixture
def tab(chrome):
    """A way to open a tab of a size, light or dark, with or without JavaScript."""
    contexts = []

    def open_tab(size=DESK, **options):
        context = chrome.new_context(viewport=size, ignore_https_errors=True, **options)
        contexts.append(context)
        return context.new_page()

    yield open_tab
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def pages(site):
    return [
        path
        for path, page in site.prerendered.pages.items()
        if dict(page.headers)["Content-Type"].startswith("text/html")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_axe_finds_nothing_on_any_page_of_any_language(site, pages, tab, size):
    """WCAG 2.2 AA and best practice, light and dark: no violation, with the self-check answered yes as well."""
    assert pages
    page = tab(size, color_scheme="light")
    found = {}
    for path in pages:
        page.goto(site.base + path)
        if path.endswith("/self-check"):
            page.locator(".yes").first.check()
        faults = violations(page)
        page.emulate_media(color_scheme="dark")  # changes colours alone, as the next test says
        faults += page.evaluate(RUN_AXE, COLOURS)
        page.emulate_media(color_scheme="light")
        if faults:
            found[path] = faults
    assert not found


def test_the_dark_pages_differ_in_colours_alone():
    """The style for dark screens sets colours and nothing else, so the light pages show all other faults."""
    style = (ROOT / "app/site/templates/style.css").read_text(encoding="utf-8")
    dark = re.findall(r"@media \(prefers-color-scheme: dark\) \{\n((?:  .*\n)+)\}", style)
    assert len(dark) == style.count("prefers-color-scheme") > 0
    set_there = re.findall(r"([\w-]+): ([^;]+);", "".join(dark))
    assert set_there
    assert [name for name, value in set_there if not (name.startswith("--") and value.startswith("#"))] == []


@pytest.mark.slow
def test_no_page_is_wider_than_a_small_phone(site, pages, tab):
    """At 320 pixels nothing has to be pushed sideways."""
    page = tab(PHONE)
    wide = []
    for path in pages:
        page.goto(site.base + path)
        if page.evaluate(WIDE):
            wide.append(path)
    assert not wide


@pytest.mark.slow
def test_what_a_thumb_has_to_hit_is_large(site, pages, tab):
    """Buttons, choices and the links of menus and lists are at least 44 pixels high."""
    page = tab(PHONE)
    small = {}
    for path in pages:
        page.goto(site.base + path)
        found = page.evaluate(SMALL)
        if found:
            small[path] = found
    assert not small


@pytest.mark.slow
def test_a_page_is_one_request_and_says_nothing_to_the_console(site, pages, tab):
    """Nothing but the page itself is asked for, of anyone, and no policy is broken."""
    page = tab()
    asked, told = [], []
    page.on("request", lambda request: asked.append(request.url) if not request.url.startswith("data:") else None)
    page.on("console", lambda message: told.append(message.text))
    for path in pages:
        page.goto(site.base + path)
    assert asked == [site.base + path for path in pages]
    assert told == []


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_keyboard_reaches_the_way_out_first_and_everything_after(site, tab, size):
    """Tab reaches the way out, then the skip link, then everything in turn, and the bar covers none of it."""
    page = tab(size)
    for path in ("/en/", "/en/help", "/en/plan", "/en/sheets"):
        page.goto(site.base + path)
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Leave this site now")).to_be_focused()
        page.keyboard.press("Tab")
        skip = page.locator(".skip")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport()
        reached = 2
        while page.evaluate("document.activeElement !== document.body") and reached < 200:
            assert page.evaluate(COVERED) == ""
            page.keyboard.press("Tab")
            reached += 1
        assert 10 < reached < 200


def test_the_skip_link_leads_to_the_content(site, tab):
    """Enter on it brings the focus to the main part."""
    page = tab()
    page.goto(f"{site.base}/en/help")
    for key in ("Tab", "Tab", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("main")).to_be_focused()


def test_languages_and_menu_work_by_keyboard(site, tab):
    """The list of languages opens with Enter, and a link in it leads to the same page in that language."""
    page = tab(PHONE)
    page.goto(f"{site.base}/en/law")
    page.locator(".langs summary").focus()
    page.keyboard.press("Enter")
    other = site.languages[-1]
    link = page.locator(f".langs a[lang={other}]")
    expect(link).to_be_visible()
    link.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.base}/{other}/law")


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
def test_the_self_check_answers_and_tells_nobody(site, tab, script):
    """Answering asks nobody anything and leaves nothing behind, with JavaScript on and off."""
    page = tab(PHONE, java_script_enabled=script)
    page.goto(f"{site.base}/en/self-check")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    yes, none = page.locator(".if-yes"), page.locator(".if-none")
    expect(yes).to_be_hidden()
    expect(none).to_be_hidden()
    for n in range(1, 9):
        page.locator(f"input[name=q{n}]:not(.yes)").check()
    expect(none).to_be_visible()
    expect(yes).to_be_hidden()
    page.locator("input[name=q3].yes").check()
    expect(yes).to_be_visible()
    expect(none).to_be_hidden()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Clear my answers").click()
    expect(yes).to_be_hidden()
    assert page.locator("input:checked").count() == 0
    assert asked == []
    assert page.url == f"{site.base}/en/self-check"
    assert page.context.cookies() == []
    assert page.context.storage_state()["origins"] == []


def test_a_reload_forgets_the_answers(site, tab):
    """What was answered is not there again after a reload."""
    page = tab()
    page.goto(f"{site.base}/en/self-check")
    page.locator(".yes").first.check()
    page.reload()
    assert page.locator("input:checked").count() == 0


def test_printing_the_self_check_prints_no_answer(site, tab):
    """On paper there are no boxes, all that it could say, and the warning not to tick."""
    page = tab()
    page.goto(f"{site.base}/en/self-check")
    page.locator(".yes").first.check()
    page.emulate_media(media="print")
    assert page.locator("input:visible").count() == 0
    for name in (".if-yes", ".if-none", ".on-paper"):
        expect(page.locator(name)).to_be_visible()


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
@pytest.mark.parametrize("path", ["/en/", "/en/self-check"])
def test_the_way_out_leads_away_and_back_stays_away(site, tab, script, path):
    """With the back-forward cache on, Back twice shows the other site and never ours, for two minutes."""
    page = tab(PHONE, java_script_enabled=script)
    page.goto(f"{site.base}/en/help")
    page.goto(site.base + path)
    page.get_by_role("button", name="Leave this site now").click()
    expect(page).to_have_url(EXIT)
    for _ in range(2):
        page.go_back()
        expect(page.get_by_role("heading", name="Weather")).to_be_visible()
        expect(page).to_have_url(EXIT)
    page.goto(f"{site.base}/en/help")
    expect(page).to_have_url(EXIT)


@pytest.mark.needs("firefox")
@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
def test_the_way_out_holds_in_firefox(site, tmp_path, script):
    """In Firefox too Back shows the other site, twice, and our pages stay closed."""
    with (
        exit_site(tmp_path, tunnel=True) as port,
        firefox(tmp_path / "profile", proxy=("exit.example", port), javascript=script) as tab,
    ):
        tab.open(f"{site.base}/en/help")
        tab.open(f"{site.base}/en/self-check")
        assert "Check your situation" in tab.source
        tab.click(".exit button")
        for _ in range(3):
            assert tab.address == EXIT
            assert "<h1>Weather</h1>" in tab.source
            tab.back()
        tab.open(f"{site.base}/en/help")
        assert tab.address == EXIT


def test_the_way_out_hides_the_page_while_it_waits(site, tab):
    """From the tap on, before any answer has come, nothing but the bar is to be seen."""
    page = tab(PHONE)
    page.goto(f"{site.base}/en/self-check")
    page.route("**/go", lambda route: route.abort("aborted"))
    button = page.get_by_role("button", name="Leave this site now")
    button.click(no_wait_after=True)
    expect(page.locator("h1")).to_have_css("visibility", "hidden")
    expect(page.locator(".now")).to_have_css("visibility", "hidden")
    expect(button).to_have_css("visibility", "visible")


def test_the_way_out_is_always_in_reach_of_a_thumb(site, tab):
    """The page scrolls as a document; the button stays at the foot of the screen, and the last words end above it."""
    page = tab(PHONE)
    page.goto(f"{site.base}/en/help")
    for place in ("0", "0.5", "1"):
        page.evaluate(f"scrollTo(0, {place} * document.documentElement.scrollHeight)")
        bar = page.locator(".exit").bounding_box()
        assert abs(bar["y"] + bar["height"] - PHONE["height"]) <= 1
    assert page.evaluate("scrollY") > PHONE["height"]
    last = page.locator("footer p").last.bounding_box()
    assert last["y"] + last["height"] <= bar["y"] + 1


@pytest.mark.parametrize(
    ("size", "share"), [({"width": 360, "height": 740}, 0.1), ({"width": 180, "height": 370}, 0.2), (LANDSCAPE, 0.2)]
)
def test_the_way_out_leaves_the_screen_to_the_words(site, tab, size, share):
    """On a phone, with letters of double size and in landscape, the bar takes a small share of the height."""
    page = tab(size)
    page.goto(f"{site.base}/en/help")
    assert page.locator(".exit").bounding_box()["height"] <= share * size["height"]
    assert not page.evaluate(WIDE)


def test_the_four_doors_of_home_stand_in_the_first_screen_of_a_phone(site, tab):
    """Above the bar of a phone of 360 by 740 pixels, the four doors can be pressed, in every language."""
    page = tab({"width": 360, "height": 740})
    for code in site.languages:
        page.goto(f"{site.base}/{code}/")
        page.evaluate("document.querySelector('.demo').remove()")
        bar = page.locator(".exit").bounding_box()["y"]
        doors = [door.bounding_box() for door in page.locator(".doors a").all()]
        assert len(doors) == 4
        assert all(door["y"] + 44 <= bar for door in doors), f"{code}: {doors[-1]} under {bar}"


def test_the_first_door_of_home_shows_on_a_small_and_low_phone(site, tab):
    """At 320 by 450 pixels, under the notice of a demonstration, 24 pixels of the first door are above the bar."""
    page = tab(PHONE)
    for code in site.languages:
        page.goto(f"{site.base}/{code}/")
        room = page.locator(".exit").bounding_box()["y"] - page.locator(".doors a").first.bounding_box()["y"]
        assert room >= 24, f"{code}: {room}"


def test_a_sheets_page_prints_on_one_side_of_a4(site, tab):
    """In every language the sheet as a page is one page of paper."""
    page = tab()
    for code in site.languages:
        page.goto(f"{site.base}/{code}/sheets")
        pdf = pypdfium2.PdfDocument(io.BytesIO(page.pdf(prefer_css_page_size=True, format="A4")))
        assert len(pdf) == 1, f"{code}: {len(pdf)} pages"
