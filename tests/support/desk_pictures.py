"""The pictures of the handler's guide, made anew: `python -m tests.support.desk_pictures`.

The desk holds invented tips, runs on loopback with keys of its own, and is thrown away. A name after the command makes
that picture alone, such as `desk-queue`. Chromium draws the pages; each picture has few colours, to be small.
"""

import io
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageDraw
from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as NoElementError

from app.delivery.clock import nz_day
from app.vault.tip import TipFile
from tests.support.browser import chromium
from tests.support.desk import Office, Program, program, reply_to, tip, wait_for
from tests.support.paths import ROOT

FOLDER = ROOT / "docs/images"
SIZE = {"width": 1120, "height": 720}
COLOURS = 96
PACKHOUSE = {
    "what": "Seven men sleep in a shed behind the packhouse. My sister works there. They cannot leave."
    " Call 021 555 0199.",
    "where": "A packhouse near Katikati",
    "people": "The boss is Ray Example, he drives a white van, KTR482",
    "how-known": "I saw them when I picked her up on Friday",
    "kinds": ("work", "documents", "movement"),
    "danger": "yes",
    "children": "no",
    "hazards": ("dogs",),
}
TIPS = (
    ("Workers sleep in containers behind the vineyard and are paid six dollars an hour in cash", "Blenheim", 4),
    ("Six people live in containers at the vineyard. A white van, KTR482, brings them at night.", "Blenheim", 2),
    ("ʻOku nau ngāue ʻi he pō mo e ʻaho pea ʻoku ʻikai ke totongi kinautolu", "Pukekohe", 1),
    ("A woman in the house next door never goes out, and her phone was taken away", "Porirua", 6),
    ("अमो ने सबके पासपोर्ट रख लिए हैं और पैसे नहीं देता", "Ōtāhuhu", 0),
)


def _photo() -> TipFile:
    """A drawn yard with a van and a number plate."""
    picture = Image.new("RGB", (900, 600), "#b9cfe0")
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 380, 900, 600), fill="#8d8a7c")
    pen.rectangle((60, 150, 430, 400), fill="#6b4f3a")
    pen.polygon([(40, 150), (245, 50), (450, 150)], fill="#4a3527")
    pen.rectangle((210, 260, 290, 400), fill="#2e2118")
    pen.rounded_rectangle((500, 280, 830, 460), 30, fill="#f4f4f4")
    pen.rectangle((740, 300, 825, 370), fill="#53707f")
    for x in (560, 760):
        pen.ellipse((x - 38, 422, x + 38, 498), fill="#222222")
    pen.rectangle((505, 400, 600, 430), fill="#fbd642")
    pen.text((522, 404), "KTR482", fill="black", font_size=20)
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=85)
    return TipFile("files/1.jpg", "image/jpeg", (), target.getvalue())


def _fill(office: Office) -> str:
    """Put the invented tips into the inbox; return the id of the one that most pictures show."""
    today = nz_day(time.time())
    for what, where, days in TIPS:
        answers = {"what": what, "where": where, "danger": "no", "children": "no", "kinds": ("work",)}
        office.drop(tip(answers, received=today - timedelta(days)))
    return office.drop(tip(PACKHOUSE, received=today, reply=reply_to(), files=(_photo(),)))


def _give(page: Page, desk: Program) -> None:
    """Let Ben give a tip to Ana, who then works."""
    page.goto(desk.url("/?words=containers"))
    page.locator("[data-row] a").first.click()
    page.select_option("#colleague", "Ana")
    page.get_by_role("button", name="Give the tip").click()
    page.goto(desk.url("/who"))
    page.click("button[value=Ana]")


def _queue(page: Page, desk: Program, _one: str) -> None:
    page.goto(desk.url("/"))


def _tip(page: Page, desk: Program, one: str) -> None:
    page.goto(desk.url(f"/tips/{one}"))
    with suppress(NoElementError):
        page.get_by_role("button", name="Claim this tip").click(timeout=2000)
    page.locator("img").first.wait_for()
    page.wait_for_load_state("networkidle")


def _redact(page: Page, desk: Program, one: str) -> None:
    page.goto(desk.url(f"/tips/{one}/redact"))
    page.fill("#summary", "Seven men are kept in a shed behind a packhouse near Katikati and cannot leave.")
    page.get_by_role("button", name="Save", exact=True).first.click()
    page.goto(desk.url(f"/tips/{one}/redact"))


def _reword(page: Page, desk: Program, one: str) -> None:
    page.goto(desk.url(f"/tips/{one}/redact"))
    page.get_by_role("button", name="Write it in our own words").click()
    page.wait_for_url("**/reword*")
    page.check("input[name=way-1][value=own]")
    page.fill("#own-1", "Men are kept in a building at a packhouse. Somebody there can be called: 0215550199.")
    page.locator("#watched-1 .places mark").filter(has_text="0199").wait_for()


def _boxes(page: Page, desk: Program, one: str) -> None:
    page.goto(desk.url(f"/tips/{one}/boxes/1"))
    page.fill("#boxes", "1 55 65 68 73\n1 82 49 92 63")
    page.locator(".box").first.wait_for()


def _refer(page: Page, desk: Program, one: str) -> None:
    page.goto(desk.url(f"/tips/{one}/redact"))
    page.get_by_role("button", name="Look at what they will see").click()
    page.wait_for_url("**/refer*")


def _reply(page: Page, desk: Program, one: str) -> None:
    page.goto(desk.url(f"/tips/{one}/reply"))
    page.select_option("#ready", "place")
    page.select_option("#ready-language", "to")
    page.get_by_role("button", name="Put it into the reply").click()
    page.locator("#text").scroll_into_view_if_needed()
    page.locator("form.card").nth(0).evaluate("form => form.scrollIntoView()")
    page.evaluate("scrollBy(0, -80)")


PICTURES: dict[str, Callable[[Page, Program, str], None]] = {
    "desk-queue": _queue,
    "desk-tip": _tip,
    "desk-redact": _redact,
    "desk-reword": _reword,
    "desk-boxes": _boxes,
    "desk-refer": _refer,
    "desk-reply": _reply,
}


def _save(png: bytes, path: Path) -> None:
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(path, "PNG", optimize=True)


def make_pictures(folder: Path, names: list[str]) -> None:
    """Make the named pictures in a folder, or all of them."""
    with TemporaryDirectory() as place, chromium() as browser:
        office = Office(Path(place))
        one = _fill(office)
        with program(office.config, env={"DESK_PORT": "0"}) as desk:
            page = browser.new_page(viewport=SIZE)
            page.goto(desk.link)
            page.click("button[value=Ben]")
            wait_for(lambda: page.goto(desk.url("/")) and page.locator("[data-row]").count() == len(TIPS) + 1)
            _give(page, desk)
            for name, show in PICTURES.items():
                show(page, desk, one)
                if not names or name in names:
                    _save(page.screenshot(), folder / f"{name}.png")


if __name__ == "__main__":
    make_pictures(FOLDER, sys.argv[1:])
