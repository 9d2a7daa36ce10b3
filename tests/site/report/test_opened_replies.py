"""What became of a report, as its sender reads it: the newest status first, in the reader's language, with its day."""

import os
import time
from datetime import timedelta

import pytest

from app.delivery.clock import nz_day
from app.delivery.database import Database
from app.delivery.receipt_codes import derive_keys, new_code
from app.delivery.reply_store import ReplyPost, ReplyStore
from app.site.report.opened_replies import open_replies
from app.vault.reply import seal_reply
from tests.support.visit import open_site

DAY = "2026-11-24"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site in this process, in three languages."""
    limits = {"LIMITS_PER_ADDRESS": "1000/hour"}
    return open_site(tmp_path_factory.mktemp("site"), ("en", "to", "hi"), REPORT_MIN_FILL="0s", **limits)


def status(value, number=0, day=DAY, **fields):
    return {"kind": "status", "status": value, "day": day, "number": number, "details": [], **fields}


def read(site, replies, *, lang="en", code=None, step="read", **fields):
    """The page that a sender reads to whom a desk wrote these replies."""
    code = code or new_code()
    keys, box, now = derive_keys(code), ReplyStore(Database(site.prerendered.config.outbox_url)), time.time()
    for each in replies:
        sealed = seal_reply(each, keys.reply_key, keys.locator)
        post = ReplyPost("intake", os.urandom(8).hex(), keys.locator, nz_day(now) + timedelta(90), sealed)
        box.store(post, now=now)
    token = site.get(f"/{lang}/reply").document.one("input", name="csrf_token").attrs["value"]
    return site.post(f"/{lang}/reply", {"csrf_token": token, "step": step, "code": code, **fields})


def title(answer):
    return answer.document.one("h1").text


@pytest.mark.parametrize(
    ("lang", "expected"),
    [
        ("en", "Your report was opened on 24 November 2026"),
        ("to", "Naʻe fakaava hoʻo lipootí ʻi he ʻaho 24 Nōvema 2026"),
        ("hi", "आपकी रिपोर्ट 24 नवंबर 2026 को खोली गई"),
    ],
)
def test_the_title_says_the_newest_status_in_the_language_of_the_reader(site, lang, expected):
    """A report that was opened and nothing more has that as its title, with the day as the language writes days."""
    answer = read(site, [status("opened")], lang=lang)
    assert (answer.status, title(answer)) == (200, expected)


def test_statuses_stand_in_their_order_and_the_newest_is_the_title(site):
    """Opened, passed on, closed, opened again and closed: in the order of days and numbers, whatever their ids."""
    said = [
        status("opened", 0),
        status("referred", 1, details=["trafficking", "work"]),
        status("closed", 2),
        status("closed", 5, day="2026-12-01", details=["nothing"]),
    ]
    answer = read(site, list(reversed(said)))
    assert title(answer) == "Your report was closed on 1 December 2026"
    shown = [element.text for element in answer.document.all("strong") if element.text.startswith("Your report")]
    assert shown == [
        "Your report was opened on 24 November 2026",
        "Your report was passed on to another agency on 24 November 2026",
        "Your report was closed on 24 November 2026",
        "Your report was closed on 1 December 2026",
    ]
    for sentence in ("investigates people trafficking", "workers are paid and treated", "too little to act on"):
        assert sentence in answer.text


def test_a_reply_beside_statuses_is_the_title_and_the_newest_status_comes_next(site):
    """Who has words to answer reads that first; the status is said above the thread, and stands in the thread too."""
    answer = read(site, [status("opened"), {"kind": "message", "text": "Is anyone hurt?", "day": DAY, "number": 1}])
    assert title(answer) == "A reply for you"
    assert [element.attrs["datetime"] for element in answer.document.all("time")] == [DAY], "of the words alone"
    assert answer.document.one("p", class_="lead").text == "Your report was opened on 24 November 2026"
    assert "Is anyone hurt?" in answer.text


@pytest.mark.parametrize(
    "unknown",
    [
        status("burnt"),
        status("opened", day="soon"),
        status(["opened"]),
        status({"opened": 1}),
        {"kind": "picture", "day": DAY, "number": 0},
        {"kind": ["status"], "status": "opened", "day": DAY},
        {"kind": "nothing"},
        {},
    ],
)
def test_what_this_site_does_not_know_is_not_shown_and_breaks_nothing(site, unknown):
    """An unknown kind or status, or a status without a day, shows nothing; another status beside it is read."""
    assert title(read(site, [unknown])) == "There is no reply for this code"
    assert title(read(site, [unknown, status("opened", 1)])) == "Your report was opened on 24 November 2026"


@pytest.mark.parametrize("details", [["<b>bold</b>"], [["work"]], {"work": 1}, "work", None, ["nothing"]])
def test_a_detail_that_this_site_does_not_know_is_left_out(site, details):
    """Only the site's own sentences stand beside a status: nothing that a desk put there is shown."""
    answer = read(site, [status("referred", details=details)])
    assert title(answer) == "Your report was passed on to another agency on 24 November 2026"
    assert "bold" not in answer.text
    assert "Your report went to" not in answer.text


def test_without_any_status_the_page_says_what_may_be_true(site):
    """A code without a reply reads that perhaps nobody has opened the report yet."""
    answer = read(site, [])
    assert title(answer) == "There is no reply for this code"
    assert "Perhaps nobody has opened your report yet" in answer.text


def test_a_status_is_deleted_as_a_reply_is(site):
    """The button that deletes replies takes the statuses that its page showed, and unknown kinds with them."""
    code = new_code()
    page = read(site, [status("opened"), status("burnt", 1)], code=code)
    seen = [element.attrs["value"] for element in page.document.all("input", name="seen")]
    assert len(set(seen)) == 2
    assert title(read(site, [], code=code, step="done", seen=sorted(set(seen)))) == "The reply has been deleted"
    assert title(read(site, [], code=code)) == "There is no reply for this code"


def test_no_status_asks_whether_the_agency_asked_who_you_are(site):
    """The warning about questions stands where a person at the desk wrote, not beside statuses alone."""
    sentence = "not allowed to ask who you are"
    assert sentence not in read(site, [status("opened")]).text
    assert sentence in read(site, [status("opened"), {"kind": "message", "text": "Kia ora", "day": DAY}]).text


def test_a_reply_of_another_locator_opens_nothing():
    """Statuses moved under another locator do not open, and count as replies that could not be opened."""
    keys, other = derive_keys(new_code()), derive_keys(new_code())
    opened = open_replies([seal_reply(status("opened"), keys.reply_key, keys.locator)], keys.reply_key, other.locator)
    assert (opened.replies, opened.digests, opened.unopened) == ([], [], 1)


@pytest.mark.parametrize(
    ("lang", "details", "expected"),
    [
        ("en", ["destroyed"], "Your report was not passed on. The agency is destroying your report."),
        ("en", ["not-passed-on"], "The agency will not pass your report on, unless someone is in danger"),
        ("en", ["passed-on", "work"], "Your report went to an agency that checks how workers are paid and treated."),
        ("en", ["cannot"], "Someone is in danger, so the agency cannot keep your report back."),
        ("to", ["cannot"], "ʻOku ʻi ha tuʻunga fakatuʻutāmaki ha taha, ko ia"),
        ("hi", ["passed-on"], "आपका अनुरोध आने से पहले ही"),
    ],
)
def test_the_answer_to_a_request_not_to_pass_a_report_on_is_said(site, lang, details, expected):
    """Each answer of the agency has its own sentence, in the language of the reader, with the day in the title."""
    answer = read(site, [status("withdrawal", details=details)], lang=lang)
    assert expected in answer.text
    assert "2026" in title(answer)


def test_an_unknown_answer_to_a_request_says_that_there_is_one(site):
    """A detail that this site does not know is left out; the title stays."""
    answer = read(site, [status("withdrawal", details=["later", "work-of-others"])])
    assert title(answer) == "The agency answered your request on 24 November 2026"
    assert "later" not in answer.text.split("24 November 2026")[1].split("Tell us more")[0]
