"""The desk in a real Chromium: every screen accessible and valid, a referral by keyboard, no script but ours."""

import json
import re
import subprocess
import time

import pytest

from app.desk.journal import JournalEntry
from tests.support.browser import chromium, violations
from tests.support.desk import Office, jpeg, picture, program, reply_to, tip, wait_for
from tests.support.paths import ROOT

pytestmark = pytest.mark.needs("browser")

VNU = ROOT / "tests/tools/node_modules/vnu-jar/build/dist/vnu.jar"
SIZES = [
    ({"width": 320, "height": 640}, "light"),
    ({"width": 1280, "height": 800}, "light"),
    ({"width": 1280, "height": 800}, "dark"),
]
YEARS = 4 * 366 * 86_400.0
EVIL = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\"> and some more words here"


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    office = Office(folder, release=2)
    office.drop(tip(files=(jpeg(1, picture(640, 480)),), reply=reply_to()))
    office.drop(tip({"what": EVIL, "danger": "yes", "children": "yes", "where": EVIL, "hazards": ("weapons", EVIL)}))
    office.drop(tip({"what": "A locked one"}))
    for _ in range(2):
        office.drop(
            tip({"what": "Workers sleep in containers behind the vineyard and are paid six dollars an hour in cash"})
        )
    (office.inbox / f"{'0' * 26}.age").write_bytes(b"not an envelope")
    with office.desk(clock=lambda: time.time() - YEARS) as desk:
        desk.journal.write(JournalEntry("Ana", "noted"))  # so that the page of figures to publish has all tables
    return office


@pytest.fixture(scope="module")
def desk(office):
    with program(office.config, env={"DESK_PORT": "0"}) as running:
        yield running


@pytest.fixture(scope="module")
def context(desk):
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.goto(desk.link)
        page.wait_for_selector("button[name=who]")
        page.click("button[value=Ana]")
        wait_for(lambda: page.goto(desk.url("/")) and page.locator("[data-row]").count() == 5)
        page.close()
        yield context


@pytest.fixture
def page(context):
    page = context.new_page()
    yield page
    page.close()


def _tip(page, desk, words):
    page.goto(desk.url("/"))
    return page.get_by_role("link", name=re.compile(words)).first.get_attribute("href").split("?")[0]


def test_a_tip_that_comes_in_is_said_aloud_and_stands_in_the_queue(desk, office, context):
    """Given an open queue with a ticked row, when danger comes in, page and title say so, and the tick stays."""
    page = context.new_page()
    page.clock.install()
    page.goto(desk.url("/?words=vineyard"))
    box = page.locator("[data-row] input[type=checkbox]").first
    box.check()
    box.focus()
    ticked = box.get_attribute("value")
    office.drop(tip({"what": "A van at the vineyard, and a man with a gun", "danger": "yes"}))
    alarm = page.locator(".arrivals [role=alert]")
    assert alarm.text_content() == ""
    wait_for(lambda: page.clock.run_for(10_000) or "in danger now" in alarm.text_content())
    assert re.fullmatch(r"\(1, danger\) Queue – Desk", page.title())
    assert page.locator("[data-row]", has_text="a man with a gun").count() == 1
    assert page.locator("[data-row] input:checked").evaluate_all("boxes => boxes.map((box) => box.value)") == [ticked]
    assert page.evaluate("document.activeElement.value") == ticked
    page.goto(desk.url("/help"))
    office.drop(tip({"what": "Another one at the vineyard"}))
    wait_for(lambda: page.clock.run_for(10_000) or "new tip" in page.locator(".arrivals [role=status]").text_content())
    assert page.get_by_role("link", name="Show the queue").is_visible()
    assert violations(page) == []
    page.close()


def test_next_previous_and_back_by_keyboard_within_the_filter(desk, page):
    """From a filtered queue, `o` opens, `j` and `k` go on and back, `q` returns, and `a` chooses all."""
    page.goto(desk.url("/?words=containers&sort=newest"))
    rows = page.locator("[data-row]")
    hrefs = rows.get_by_role("link", name=re.compile("containers")).evaluate_all(
        "links => links.map((one) => one.href)"
    )
    assert len(hrefs) == 2
    boxes = page.locator("[data-row] input[name=tip]")
    for chosen in (2, 0):
        page.keyboard.press("a")
        assert boxes.evaluate_all("boxes => boxes.filter((box) => box.checked).length") == chosen
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.wait_for_url(hrefs[0])
    page.keyboard.press("j")
    page.wait_for_url(lambda url: url.split("?")[0] == hrefs[1].split("?")[0])
    assert violations(page) == []
    assert page.locator("[data-key=j]").count() == 0, "the last of the list"
    page.keyboard.press("k")
    page.wait_for_url(lambda url: url.split("?")[0] == hrefs[0].split("?")[0])
    page.keyboard.press("q")
    page.wait_for_url(lambda url: "words=containers" in url and "/tips/" not in url)
    assert page.locator("#words").input_value() == "containers"
    assert page.locator("#sort").input_value() == "newest"
    assert page.locator("[data-row]").count() == 2


def test_a_referral_by_keyboard_alone(desk, context, page):
    """From the queue to a prepared referral without a mouse: keys move, claim, mark words, summarise, look and send."""
    page.goto(desk.url("/?words=packhouse"))
    page.keyboard.press("j")
    page.keyboard.press("c")
    page.wait_for_url("**/tips/*")
    where = page.url
    page.keyboard.press("r")
    page.wait_for_url("**/redact*")
    words = page.locator(".words").first
    first = words.locator("input").first
    assert not first.is_checked()
    first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    assert words.locator("input").nth(1).is_checked()
    assert words.locator("input[tabindex='0']").count() == 1, "Tab stops once in each answer"
    page.keyboard.press("s")
    page.keyboard.type("Men are held at a packhouse.")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("l")
    page.wait_for_url("**/refer*")
    after = page.locator("[aria-labelledby=after]").inner_text()
    assert "Seven men" not in after
    assert "My sister" not in after
    assert after.count("[removed]") >= 3
    for box in page.locator("input[name=confirmed]").all():
        box.focus()
        page.keyboard.press("Space")
    page.keyboard.press("s")
    page.wait_for_url(where)
    assert "Prepared" in page.locator(".note[role=status]").inner_text()


def test_words_are_marked_with_the_mouse(desk, page):
    """Dragging over words marks all that it passes; pressing one again keeps it."""
    href = _tip(page, desk, "Workers sleep")
    page.goto(desk.url(href))
    page.get_by_role("button", name="Claim this tip").click()
    page.get_by_role("button", name="Give this tip back").wait_for()
    page.goto(desk.url(href + "/redact"))
    labels = page.locator(".words").first.locator("label")
    start, end = labels.nth(0).bounding_box(), labels.nth(3).bounding_box()
    page.mouse.move(start["x"] + 3, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(end["x"] + 3, end["y"] + 5, steps=25)
    page.mouse.up()
    checked = [labels.nth(place).locator("input").is_checked() for place in range(5)]
    assert checked == [True, True, True, True, False]
    again = labels.nth(1).bounding_box()
    page.mouse.click(again["x"] + again["width"] / 2, again["y"] + again["height"] / 2)
    assert not labels.nth(1).locator("input").is_checked()


def test_boxes_are_drawn_with_mouse_and_keys(desk, context, page, office):
    """A box drawn, one added and moved by keys, one removed: the lines say so, and saving burns them in."""
    one = office.drop(tip({"what": "A picture with a face"}, files=(jpeg(1, picture(640, 480)),)))
    wait_for(lambda: page.goto(desk.url("/?words=face")) and page.locator("[data-row]").count())
    page.keyboard.press("j")
    page.keyboard.press("c")
    page.wait_for_url("**/tips/*")
    # The picture comes in an envelope of its own, maybe after the words.
    wait_for(lambda: page.goto(desk.url(f"/tips/{one}/boxes/1")) and page.locator(".stage img").count())
    page.wait_for_function("document.querySelector('.stage img').complete")
    frame = page.locator(".stage").bounding_box()
    page.mouse.move(frame["x"] + frame["width"] * 0.25, frame["y"] + frame["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.5, frame["y"] + frame["height"] * 0.5, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Add a box").click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    lines = page.input_value("#boxes").split("\n")
    drawn = [float(side) for side in lines[0].split()[1:]]
    assert all(abs(side - wanted) < 1 for side, wanted in zip(drawn, [25, 25, 50, 50], strict=True))
    assert lines[1] == "1 41.00 40.00 61.00 61.00"
    page.locator(".box").nth(0).focus()
    page.keyboard.press("Delete")
    assert page.input_value("#boxes") == lines[1]
    page.get_by_role("button", name="Save the boxes").click()
    page.wait_for_url("**/redact*")
    assert "Draw black boxes (1)" in page.content()


def test_nothing_that_a_sender_wrote_is_run(desk, page):
    """Script and handlers in a tip's text do not run on any screen, and no other address is asked for anything."""
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    href = _tip(page, desk, "script")
    for rest in ("", "/print", "/reply"):
        page.goto(desk.url(href + rest))
        assert "run" not in page.title()
    page.goto(desk.url(href))
    page.get_by_role("button", name="Claim this tip").click()
    page.get_by_role("button", name="Give this tip back").wait_for()
    page.goto(desk.url(href + "/redact"))
    page.fill("#summary", EVIL)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Look at what").click()
    page.wait_for_url("**/refer*")
    assert "run" not in page.title()
    assert [url for url in asked if not url.startswith((desk.url("/"), "data:"))] == []
    assert said == []


def _claimed(page, desk, office, what, *, danger="no", **more):
    """A new tip that this handler works on; its path."""
    one = office.drop(tip({"what": what, "danger": danger}, **more))
    wait_for(lambda: one in _html(page, desk.url("/?view=new")))
    page.goto(desk.url(f"/tips/{one}"))
    page.get_by_role("button", name="Claim this tip").click()
    page.get_by_role("button", name="Give this tip back").wait_for()
    pictures = len(more.get("files", ()))  # each comes in an envelope of its own, maybe after the words
    wait_for(lambda: page.locator("main img").count() >= pictures or not page.reload())
    return f"/tips/{one}"


def _prepared(page, desk, office):
    """A tip whose referral waits for the second person; its path."""
    path = _claimed(page, desk, office, "A tip that is ready to be referred")
    page.goto(desk.url(f"{path}/redact"))
    page.fill("#summary", "It is ready.")
    page.get_by_role("button", name="Look at what").click()
    page.wait_for_url("**/refer*")
    for box in page.locator("input[name=confirmed]").all():
        box.check()
    page.get_by_role("button", name="Hand to a second person").click()
    page.wait_for_url(f"**{path}")
    return path


def _type_own_words(page, desk, path, words):
    """Go from the redaction of a tip to its own words, and type some in place of the first text."""
    page.goto(desk.url(f"{path}/redact"))
    page.fill("#summary", "Men are held.")
    page.get_by_role("button", name="Write it in our own words").click()
    page.wait_for_url("**/reword*")
    assert page.locator("#own-1").is_hidden(), "the field for own words is shown with that choice"
    page.check("input[name=way-1][value=own]")
    page.fill("#own-1", words)


def test_own_words_are_watched_as_they_are_typed(desk, office, page):
    """A taken-out word is said aloud and marked while somebody types; a tick stays, and the way on is open again."""
    path = _claimed(page, desk, office, "Mele Fifita is held in the blue shed. My number is 021 555 0199.")
    page.goto(desk.url(f"{path}/redact"))
    page.fill("#terms", "Mele Fifita")
    page.get_by_role("button", name="Save").click()
    _type_own_words(page, desk, path, "A person is held. Ask М\u0435l\u0435, or 0215550199.")
    said, places = page.locator("#said-1"), page.locator("#watched-1 .places li")
    said.filter(has_text="2 places stop the referral.").wait_for()
    assert places.locator("mark").all_inner_texts() == ["Mele", "0215550199"]
    places.nth(0).get_by_role("checkbox").check()
    page.locator("#own-1").focus()
    page.keyboard.press("End")
    page.keyboard.type(" Now.")
    said.filter(has_text="1 place stops the referral.").wait_for()
    assert page.locator("#watched-1 input:checked").count() == 1
    page.fill("#own-1", "A person is held.")
    said.filter(has_text="Nothing stops the referral here.").wait_for()
    page.get_by_role("button", name="Look at what").click()
    page.wait_for_url("**/refer*")
    assert "A person is held." in page.locator("[aria-labelledby=after]").inner_text()


def test_one_key_closes_no_danger_and_what_was_closed_is_undone(desk, office, page):
    """`e` closes no danger before a reason is chosen and the box is ticked; then Undo opens the tip again."""
    path = _claimed(page, desk, office, "They beat him in the yard", danger="yes")
    page.locator("h1").click()
    for act in (lambda: None, lambda: page.select_option("#reason", "test")):
        act()
        page.locator("h1").click()
        page.keyboard.press("e")
        assert page.locator("#finish").is_visible()
        assert page.get_by_role("button", name="Give this tip back").is_visible(), "the tip is still open"
    page.check("input[name=danger-over]")
    page.locator("h1").click()
    page.keyboard.press("e")
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url(f"**{path}")
    assert page.get_by_role("button", name="Give this tip back").is_visible()


def _screens(page, desk, office):
    """Every screen's address; one tip is locked on the way."""
    held = _claimed(page, desk, office, "One to work on", reply=reply_to())
    pictured = _claimed(page, desk, office, "One with a picture", files=(jpeg(1, picture(640, 480)),))
    waiting = _prepared(page, desk, office)
    _type_own_words(page, desk, held, "My sister is one to work on.")
    page.get_by_role("button", name="Save").first.click()
    page.goto(desk.url(pictured))
    page.fill("#other-number", held.rpartition("/")[2][:8])
    page.get_by_role("button", name="These belong together").click()
    locked = _claimed(page, desk, office, "One to lock")
    page.locator("#objectionable summary").click()
    page.check("input[name=sure]")
    page.get_by_role("button", name="Lock this tip").click()
    fixed = [
        "/",
        "/?view=closed",
        "/aside",
        "/journal",
        "/figures",
        "/figures/outcomes",
        "/help",
        "/who",
        "/progress/intake",
        "/nowhere",
    ]
    work = [f"{held}{rest}" for rest in ("", "/redact", "/reword", "/refer", "/reply", "/print")]
    more = [waiting, f"{waiting}/refer", f"{waiting}/reply", locked, f"{pictured}/boxes/1", f"{pictured}/redact"]
    return [*fixed, *work, *more]


def _html(page, url):
    page.goto(url)
    return page.locator("main").inner_html()


@pytest.mark.slow
@pytest.mark.needs("java", "node")
def test_every_screen_is_accessible_and_valid(desk, office, context, page, tmp_path):
    """Neither axe-core (WCAG 2.2 AA, best practice) in three ways of looking nor Nu finds a fault."""
    screens = _screens(page, desk, office)
    assert len(screens) >= 18
    found = []
    for size, scheme in SIZES:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        for path in screens:
            page.goto(desk.url(path))
            found += [f"{size['width']} {scheme} {path}: {one}" for one in violations(page)]
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"):
                found.append(f"{size['width']} {path}: wider than the screen")
    assert found == []
    for number, path in enumerate(screens):
        source = page.request.get(desk.url(path)).text()
        (tmp_path / f"{number:02}.html").write_text(source, encoding="utf-8")
    command = ["java", "-jar", VNU, "--format", "json", "--exit-zero-always", *sorted(tmp_path.glob("*.html"))]
    checked = subprocess.run(command, capture_output=True, text=True, check=True)
    messages = [
        f"{screens[int(one['url'].rsplit('/', 1)[1][:2])]}: {one['message']}"
        for one in json.loads(checked.stderr or checked.stdout)["messages"]
        if one["type"] == "error"
    ]
    assert messages == []


def test_the_second_person_releases(desk, page, office):
    """Another handler sees what waits, cannot be the first, releases it, and the authority gets it."""
    href = _prepared(page, desk, office)
    page.goto(desk.url(f"{href}/refer"))
    assert "You prepared this" in page.content()
    page.goto(desk.url("/who"))
    page.click("button[value=Ben]")
    page.goto(desk.url(f"{href}/refer"))
    page.get_by_role("button", name="Release and send").click()
    page.wait_for_url(f"**{href}")
    wait_for(lambda: office.referred("police"))
    page.goto(desk.url("/who"))
    page.click("button[value=Ana]")


def test_the_shortcuts_can_be_turned_off(desk, page):
    """With the one-letter keys off a letter does nothing (WCAG 2.1.4)."""
    page.goto(desk.url("/help"))
    page.get_by_role("button", name="Turn them off").click()
    turn_on = page.get_by_role("button", name="Turn them on")
    turn_on.wait_for()
    page.wait_for_load_state()
    page.keyboard.press("q")
    assert page.url.endswith("/help")
    turn_on.click()
    page.get_by_role("button", name="Turn them off").wait_for()
    page.wait_for_load_state()  # a key that is pressed before the page's script has run is nobody's
    page.keyboard.press("q")
    page.wait_for_url(desk.url("/"))


def test_a_refused_referral_keeps_its_page_and_says_why_beside_the_box(desk, context, page, office):
    """Given a note in another window, when the second person releases, the page stays, with the reason in focus."""
    href = _prepared(page, desk, office)
    page.goto(desk.url("/who"))
    page.click("button[value=Ben]")
    page.goto(desk.url(f"{href}/refer"))
    other = context.new_page()
    other.goto(desk.url(href))
    other.fill("#note", "A second thought")
    other.get_by_role("button", name="Save the note").click()
    other.wait_for_url("**#notes")
    other.close()
    page.get_by_role("button", name="Release and send").click()
    reason = page.locator("#refusal")
    reason.wait_for()
    assert page.url.endswith("/refer")
    assert "This tip was changed" in reason.inner_text()
    assert page.evaluate("document.activeElement.id") == "refusal"
    assert reason.bounding_box()["y"] < page.viewport_size["height"], "the reason is in sight"
    assert violations(page) == []
    page.get_by_role("button", name="Release and send").click()
    page.wait_for_url(f"**{href}")
    assert "Released." in page.locator(".note[role=status]").inner_text()
    page.goto(desk.url("/who"))
    page.click("button[value=Ana]")


def test_a_call_is_written_down_with_one_press(desk, page):
    """Given danger, the red line is in sight and accessible, and its button adds the note "Called 111"."""
    href = _tip(page, desk, "script")
    page.goto(desk.url(href))
    button = page.get_by_role("button", name="I called 111")
    assert button.bounding_box()["y"] < 400, "the line is above the fold"
    assert violations(page) == []
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**#notes")
    assert "Called 111" in page.locator("[aria-labelledby=notes]").inner_text()


@pytest.mark.slow
def test_a_picture_opens_large_and_turns_by_keyboard(desk, page, office):
    """A picture opens as wide as the window, blurred until asked, then pixel by pixel and turned; Escape leads back."""
    said = []
    page.on("console", lambda message: said.append(message.text))
    href = _claimed(page, desk, office, "A plate on a photo", files=(jpeg(1, picture(640, 480)),))
    for rest in ("", "/redact"):
        page.goto(desk.url(href + rest))
        opener = page.get_by_role("button", name="Open large")
        opener.focus()
        page.keyboard.press("Enter")
        large, sheet = page.locator(".turned img"), page.locator(".sheet")
        page.wait_for_function("document.querySelector('.turned').offsetWidth > 0")
        room = sheet.evaluate("one => one.clientWidth")
        assert room > 1200
        assert abs(large.bounding_box()["width"] - room) < 1
        blur = large.evaluate("one => getComputedStyle(one).filter")
        assert float(re.search(r"blur\(([\d.]+)px\)", blur)[1]) > 100, "a large picture is blurred more"
        assert violations(page) == []
        page.keyboard.press("v")
        assert large.evaluate("one => getComputedStyle(one).filter") == "none"
        page.keyboard.press("z")
        assert [round(large.bounding_box()[side]) for side in ("width", "height")] == [640, 480]
        page.keyboard.press("t")
        assert [round(large.bounding_box()[side]) for side in ("width", "height")] == [480, 640]
        page.get_by_role("button", name="100 %").press("Enter")
        assert abs(large.bounding_box()["width"] - room) < 1
        page.keyboard.press("q")
        assert page.url.endswith(href + rest), "a key for the page behind does nothing"
        page.keyboard.press("Escape")
        large.wait_for(state="detached")
        assert opener.evaluate("one => one === document.activeElement")
    assert said == []


def test_the_lock_for_images_of_a_child_is_one_press_from_the_files(desk, page, office):
    """Given a tip with a picture, the link above the files opens the lock and brings its button into sight."""
    href = _claimed(page, desk, office, "A photo that nobody should see", files=(jpeg(1, picture(64, 48)),))
    page.goto(desk.url(href))
    button = page.get_by_role("button", name="Lock this tip")
    assert not button.is_visible()
    page.get_by_role("link", name="lock this tip").press("Enter")
    button.wait_for()
    top, height = button.bounding_box()["y"], page.viewport_size["height"]
    assert 0 < top < height
    assert violations(page) == []
