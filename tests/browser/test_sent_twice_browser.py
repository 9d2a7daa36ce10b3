"""Send pressed twice on a slow network, a lost answer and a reload, in a real Chromium: the code is always there."""

import pytest

from tests.support.browser import PHONE, chromium

pytestmark = pytest.mark.needs("browser")

LATENCY = 4000  # milliseconds, as on the edge of a mobile network
BETWEEN_TAPS = 2000  # milliseconds, in which a busy machine too gets the first report


@pytest.fixture
def page(running):
    with chromium() as browser:
        context = browser.new_context(viewport=PHONE, has_touch=True)
        page = context.new_page()
        page.goto(f"{running.base_url}/en/report")
        page.fill("#what", "They keep our passports.")
        page.check("input[name=reply]")
        with page.expect_navigation():
            page.click("button[value=check]")
        yield page


def code_on(page):
    page.wait_for_selector("#receipt-code")
    return page.text_content("#receipt-code")


@pytest.mark.slow
def test_a_double_tap_on_a_slow_network_shows_the_code(page):
    """Two taps, the second before any answer can come: the page that stays has a code, and so has a reload."""
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": LATENCY, "downloadThroughput": 20_000, "uploadThroughput": 20_000}
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    posts = []
    page.on("request", lambda request: posts.append(request.method) if request.method == "POST" else None)
    button = page.locator("button[value=send]")
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    for _ in range(2):
        page.touchscreen.tap(box["x"] + 20, box["y"] + 10)
        page.wait_for_timeout(BETWEEN_TAPS)
    code = code_on(page)
    assert posts == ["POST", "POST"]
    assert "Your report was not sent again." in page.text_content("main")
    page.reload()
    assert (len(code.split()), code_on(page)) == (8, code)


def test_a_lost_answer_loses_no_code(page):
    """The answer to Send is lost after the site had sent the report; a reload of the failed page shows its code."""
    answers = []

    def lose(route):
        answers.append(route.fetch().text())
        route.abort("connectionreset")

    page.route("**/en/report", lose)
    page.click("button[value=send]", no_wait_after=True)
    page.wait_for_event("requestfailed")
    page.unroute("**/en/report")
    page.wait_for_timeout(200)
    page.reload()
    (lost,) = answers
    assert f">{code_on(page)}</output>" in lost
