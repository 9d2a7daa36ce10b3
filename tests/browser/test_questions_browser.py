"""Questions of the desk in a real Chromium: answered by keyboard, readable on a small phone, in three languages."""

import os
import time
from datetime import timedelta

import pytest

from app.delivery.clock import nz_day
from app.delivery.database import Database
from app.delivery.receipt_codes import derive_keys, new_code
from app.delivery.reply_store import ReplyPost, ReplyStore
from app.vault.reply import seal_reply
from tests.support.browser import PHONE, chromium, violations

pytestmark = pytest.mark.needs("browser")

ASKED = ("locked-in", "safe-time", "languages", "vehicles")


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


def ask(running):
    """A code under which the desk has asked some questions."""
    code, now = new_code(), time.time()
    keys = derive_keys(code)
    database = Database(f"sqlite:///{running.folder}/instance/demo/outbox.db")
    for number, one in enumerate(ASKED):
        said = {"kind": "question", "question": one, "day": "2026-11-22", "number": number}
        sealed = seal_reply(said, keys.reply_key, keys.locator)
        post = ReplyPost("example", os.urandom(8).hex(), keys.locator, nz_day(now) + timedelta(90), sealed)
        ReplyStore(database).store(post, now=now)
    database.close()
    return code


def press(page, step):
    """Press a button and wait for the page that answers."""
    with page.expect_navigation():
        page.click(f'button[value="{step}"]')


@pytest.mark.parametrize("lang", ["en", "to", "hi"])
def test_questions_are_answered_on_a_small_phone_by_keyboard(running, browser, lang):
    """No violation and no sideways scrolling before and after an error; Space ticks, and the look shows the tick."""
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    looked = []

    def look():
        looked.append(violations(page))
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    page.goto(f"{running.base_url}/{lang}/reply")
    page.fill("#code", ask(running))
    press(page, "read")
    look()
    press(page, "answer")  # without a tick or a word
    look()
    assert page.get_attribute("#what", "aria-invalid") == "true"
    page.focus("input[name=q-locked-in]")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    assert page.is_checked("input[name=q-locked-in][value=no]")
    page.fill("[name=q-languages]", "My phone is 021 555 0199")
    press(page, "answer")
    look()
    page.check("input[name=remove]")
    press(page, "edit:q-locked-in")
    assert page.evaluate("document.activeElement.value") == "no"
    press(page, "answer")
    press(page, "send")
    look()
    assert looked == [[]] * 4
    context.close()
