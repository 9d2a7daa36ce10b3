"""The pages of an authority's question in a real Chromium: accessible, valid, and usable without a mouse."""

import time

import pytest

from app.desk.authority_questions import put_to_sender
from app.desk.question_answers import begin_answer, decline_question
from tests.support.browser import chromium, violations
from tests.support.desk import Office, program, receive, reply_to, tip
from tests.support.nu import nu_errors
from tests.support.questions import TEXT, ask, referred

pytestmark = pytest.mark.needs("browser")
SIZES = ({"width": 320, "height": 640}, {"width": 1280, "height": 800})


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("asked"))


@pytest.fixture(scope="module")
def paths(office):
    """The pages of one tip about which an authority asked in each way, and of the answer that is redacted."""
    with office.desk(clock=time.time) as desk:
        case, today = referred(office, desk), desk.cases.today()
        asked = {
            "waiting": ask(office, desk, case, day=today, text=f"Who are you? {TEXT}", questions=("dogs", "weapons")),
            "put": ask(office, desk, case, day=today, text=TEXT),
            "declined": ask(office, desk, case, day=today, text=TEXT),
        }
        put = {"untrusted_text": "When does the van come?", "ids": ()}
        put_to_sender(desk.cases, desk.replies, desk.cases.get(case.id), "Ana", asked["put"].id, **put)
        decline_question(desk.cases, case.id, "Ana", asked["declined"].id, "danger", wants_refusal=True)
        answer = tip({"what": "The van comes on Mondays."}, answers_to=reply_to().locator, received=today)
        later = office.drop(answer)
        receive(desk)
        begin_answer(desk.referral_context, case.id, "Ana", asked["put"].id, later)
    pages = {name: f"/tips/{case.id}/asked/{one.id}" for name, one in asked.items()}
    return {"tip": f"/tips/{case.id}", "redact": f"/tips/{later}/redact", "queue": "/?view=asked", **pages}


@pytest.fixture(scope="module")
def desk(office, paths):
    with program(office.config, env={"DESK_PORT": "0"}) as running:
        yield running


@pytest.fixture(scope="module")
def page(desk):
    with chromium() as browser:
        page = browser.new_context(viewport=SIZES[1]).new_page()
        page.goto(desk.link)
        page.wait_for_selector("button[name=who]")
        page.click("button[value=Ana]")
        yield page


@pytest.mark.slow
@pytest.mark.needs("java", "node")
def test_every_page_of_a_question_is_accessible_and_valid(desk, page, paths, tmp_path):
    """Neither axe-core nor Nu finds a fault, at 320 px too, and nothing is wider than the screen."""
    found, sources = [], {}
    for size in SIZES:
        page.set_viewport_size(size)
        for name, path in paths.items():
            page.goto(desk.url(path))
            found += [f"{size['width']} {name}: {one}" for one in violations(page)]
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"):
                found.append(f"{size['width']} {name}: wider than the screen")
            sources[name] = page.request.get(desk.url(path)).body()
    assert found == []
    assert nu_errors(sources, tmp_path) == []


def test_a_question_is_put_to_the_sender_by_keyboard(desk, page, paths):
    """The handler compares the key, writes own words, and sends; the page then says that the question was put."""
    page.goto(desk.url(paths["tip"]))
    page.get_by_role("link", name="Read the question").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{paths['waiting']}*")
    assert page.get_by_text("This may ask who the sender is.").is_visible()
    page.get_by_label("I compared the key for questions by voice").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Compare the key first").wait_for(state="detached")
    page.get_by_label("Your words to the sender").fill("Which day does the van come?")
    page.get_by_role("button", name="Seal and send to the sender").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Put to the sender", exact=True).first.wait_for()
    assert page.get_by_role("button", name="Seal and send to the sender").count() == 0
