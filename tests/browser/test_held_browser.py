"""The page before a report with files is sent, in a real Chromium: accessible, and usable without a script."""

import wave
from io import BytesIO

import pytest
from PIL import Image

from tests.support.browser import DESK, PHONE, chromium, violations

pytestmark = pytest.mark.needs("browser")

STORY = "My name is Rangi Sample. Call 021 555 0199, they lock the door at 9.45pm."


@pytest.fixture(scope="module")
def browser(running):
    with chromium() as browser:
        yield browser


@pytest.fixture(params=[(PHONE, "light"), (DESK, "dark")], ids=str)
def page(browser, request):
    size, scheme = request.param
    context = browser.new_context(viewport=size, color_scheme=scheme, java_script_enabled=True)
    yield context.new_page()
    context.close()


def uploads():
    """A photograph, a text with a name in it, a recording, and a file that nobody can read."""
    photo, sound = BytesIO(), BytesIO()
    Image.linear_gradient("L").resize((600, 800)).convert("RGB").save(photo, "JPEG")
    with wave.open(sound, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(8_000)
        recording.writeframes(bytes(range(250)) * 64)
    files = [("a photo.jpg", photo), ("n" * 60 + ".txt", BytesIO(STORY.encode())), ("voice.wav", sound)]
    files.append(("odd.bin", BytesIO(bytes(range(256)))))
    return [{"name": name, "mimeType": "application/octet-stream", "buffer": file.getvalue()} for name, file in files]


def press(page, button):
    """Press a button and wait for the page that answers."""
    with page.expect_navigation():
        page.click(button)


def look(page):
    """What axe finds, and whether the page is wider than the window."""
    return violations(page), page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_what_is_done_before_sending_works_without_a_script(running, page):
    """Ticked words turn into [removed] at once; files are seen, covered, changed and cut; every page passes axe."""
    page.goto(f"{running.base_url}/en/report")
    page.fill("#what", STORY)
    press(page, "button[value=check]")
    assert "[removed]" not in page.inner_text("dl.answers dd")
    page.check("input.k0")
    shown = page.evaluate("getComputedStyle(document.querySelector('mark.t0'), '::after').content")
    assert shown == '"[removed]"'
    assert page.evaluate("document.querySelector('mark.t0 span').getClientRects().length") == 0
    assert page.evaluate("getComputedStyle(document.querySelector('mark.t1'), '::after').content") in ('""', "none")
    found = {"check": look(page)}
    page.set_input_files("#files", uploads())
    press(page, "button[value=send]")
    assert page.inner_text("dl.answers .quoted").startswith("[removed]. Call")
    assert page.locator("ul.held img").count() == 1
    found["held"] = look(page)
    press(page, "button[value='cover:1']")
    boxes = page.locator("input[name=box]")
    assert boxes.count() == 12 * 16
    sizes = [boxes.nth(number).bounding_box() for number in (0, 100, 191)]
    assert all(min(size["width"], size["height"]) >= 24 for size in sizes)
    boxes.nth(0).focus()
    page.keyboard.press("Space")
    boxes.nth(17).check()
    found["cover"] = look(page)
    press(page, "button[value^='paint:1']")
    press(page, "button[value='lower:3']")
    page.check("input[name=cut] >> nth=0")
    press(page, "button[value=cut]")
    found["changed"] = look(page)
    page.check("input[name=cut] >> nth=0")
    press(page, "button[value=confirm]")
    assert found == dict.fromkeys(found, ([], True))


def test_what_was_taken_out_opens_without_a_touch_on_a_button_below(running, page):
    """The line that shows all that was taken out is as high as a button, and apart from those that change the file."""
    photo, exif = BytesIO(), Image.Exif()
    exif.update({271: "Samsung", 272: "SM-A135F", 306: "2026:11:20 09:11:00", 315: "Sione T"})
    Image.new("RGB", (60, 80), "green").save(photo, "JPEG", exif=exif)
    page.goto(f"{running.base_url}/en/report")
    page.fill("#what", "They lock the door.")
    press(page, "main button[value=check]")
    page.set_input_files("#files", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo.getvalue()})
    press(page, "main button[value=send]")
    line = page.locator("ul.held summary").bounding_box()
    button = page.locator("button[value='blur:1']").bounding_box()
    assert line["height"] >= 44
    assert button["y"] - (line["y"] + line["height"]) >= 8
