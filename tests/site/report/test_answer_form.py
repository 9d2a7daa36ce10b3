"""Questions that the desk asked by id: shown in the reader's language, answered by ticks or words, sealed by id."""

import os
import time
from datetime import timedelta
from unittest.mock import patch

import pytest

from app.delivery.clock import nz_day
from app.delivery.database import Database
from app.delivery.outbox import Outbox
from app.delivery.receipt_codes import derive_keys, new_code
from app.delivery.reply_store import ReplyPost, ReplyStore
from app.site.report.answer_form import known_questions
from app.vault.age_open import unseal
from app.vault.asked_questions import QUESTIONS
from app.vault.keys import DEMONSTRATION
from app.vault.reply import seal_reply
from app.vault.tip import MAX_REPLIES, MAX_REPLY_LENGTH
from app.vault.tip_bundles import read_words
from tests.support.visit import open_site

WORDS = [name for name, question in QUESTIONS.items() if not question.choices]
ASKED = ["locked-in", "languages", "safe-time"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site in this process, in English, Tongan and Hindi."""
    limits = {"LIMITS_PER_ADDRESS": "1000/hour"}
    return open_site(tmp_path_factory.mktemp("site"), ("en", "to", "hi"), REPORT_MIN_FILL="0s", **limits)


def hidden(answer, steps=("answer", "send")):
    """The hidden fields of the last form on a page with one of these buttons, each with its values."""
    fields = {}
    inside = [one.within("form") for one in answer.document.all("button") if one.attrs.get("value") in steps]
    form = inside[-1]
    for field in answer.document.all("input", type="hidden"):
        if field.within("form") is form:
            fields.setdefault(field.attrs["name"], []).append(field.attrs["value"])
    return fields


def go_on(site, answer, step, lang="en", **fields):
    """The page after a button of the last form on a page was pressed."""
    typed = {name.replace("_", "-").removesuffix("-"): value for name, value in fields.items()}
    return site.post(f"/{lang}/reply", {**hidden(answer), "step": step, **typed})


def read_page(site, ids, lang="en", code=None):
    """The page of the replies under a code, after the desk has asked these questions."""
    code = code or new_code()
    keys, now = derive_keys(code), time.time()
    box = ReplyStore(Database(site.prerendered.config.outbox_url))
    for number, one in enumerate(ids):
        said = {"kind": "question", "question": one, "day": "2026-11-22", "number": number}
        sealed = seal_reply(said, keys.reply_key, keys.locator)
        box.store(ReplyPost("intake", os.urandom(8).hex(), keys.locator, nz_day(now) + timedelta(90), sealed), now=now)
    token = site.get(f"/{lang}/reply").document.one("input", name="csrf_token").attrs["value"]
    return site.post(f"/{lang}/reply", {"csrf_token": token, "step": "read", "code": code})


def sent_tip(site, look, **fields):
    """The tip in the envelope that Send puts."""
    with patch.object(Outbox, "put") as put:
        assert go_on(site, look, "send", **fields).status == 200
    (envelope,) = put.call_args.args[0]
    return read_words(unseal(envelope.data, [DEMONSTRATION])).tip


def boxes(answer):
    """The names of the fields of questions that a page shows, each once, in order."""
    fields = answer.document.all("input", type="radio") + answer.document.all("textarea")
    names = dict.fromkeys(field.attrs["name"] for field in fields)
    return [name.removeprefix("q-") for name in names if name.startswith("q-")]


def test_the_reader_sees_each_question_in_the_language_of_the_page(site):
    """The Tongan page asks in Tongan, with the answers to tick, and is called a reply; no English word is left."""
    answer = read_page(site, ["locked-in", "safe-time"], lang="to")
    assert answer.document.one("h1").text == "Ko ha tali kiate koe"
    assert "ʻOku lokaʻi ha taha ʻi loto?" in answer.text
    assert "ʻOku ʻikai ha taimi ʻe malu" in answer.text
    assert boxes(answer) == ["locked-in", "safe-time"]
    for english in ("Is anyone locked in?", "No time is safe", "Questions about your report"):
        assert english not in answer.text


def test_the_button_that_deletes_stands_after_the_questions(site):
    """A reader meets the questions first: one that is deleted cannot be answered any more."""
    page = read_page(site, ASKED)
    buttons = [one for one in page.document.all("button", name="step") if "lang" not in one.attrs]
    steps = [one.attrs["value"] for one in buttons]
    assert steps == ["answer", "withdraw", "done"]
    assert [one.text for one in page.document.all("h2")] == ["Questions about your report", "Tell us more"]


def test_every_question_is_answered_by_its_boxes(site):
    """Each of the forty is shown with its own answers, or with a box for words that says not to name oneself."""
    for start in range(0, len(QUESTIONS), MAX_REPLIES):
        ids = [*QUESTIONS][start : start + MAX_REPLIES]
        answer = read_page(site, ids)
        assert {*boxes(answer)} == {*ids}
        for one in ids:
            values = [field.attrs["value"] for field in answer.document.all("input", type="radio", name=f"q-{one}")]
            assert values == [choice.value for choice in QUESTIONS[one].choices]
            assert values or answer.document.one("textarea", name=f"q-{one}").attrs["aria-describedby"]
    assert answer.text.count("Do not write your name or anything that shows who you are.") == 1 + len(WORDS) - sum(
        one in WORDS for one in [*QUESTIONS][:MAX_REPLIES]
    )


def test_ticks_alone_are_an_answer(site):
    """No other words are needed: the look shows the ticks, and the tip holds them by id, in no language."""
    page = read_page(site, ASKED, lang="hi")
    look = go_on(site, page, "answer", lang="hi", q_locked_in="yes", q_safe_time="night")
    assert look.status == 200
    assert "क्या किसी को अंदर बंद रखा गया है?" in look.text
    assert "रात में" in look.text
    tip = sent_tip(site, look, lang="hi")
    assert (dict(tip.answers), dict(tip.replies)) == ({}, {"locked-in": "yes", "safe-time": "night"})


def test_words_about_the_sender_can_be_taken_out_of_a_reply(site):
    """The look has boxes for what is found in a reply; the number plate of a suspect is no such finding."""
    page = read_page(site, ["languages", "vehicles"])
    said = {"q_languages": "Tongan, call me on 021 555 0199", "q_vehicles": "Blue van, phone on it 021 555 0123"}
    look = go_on(site, page, "answer", **said, what="They moved.")
    found = [field.attrs["value"] for field in look.document.all("input", name="remove")]
    assert [value.partition(":")[0] for value in found] == ["q-languages"]
    tip = sent_tip(site, look, remove=found)
    assert tip.replies == {
        "languages": "Tongan, call me on [removed]",
        "vehicles": "Blue van, phone on it 021 555 0123",
    }
    assert tip.answers == {"what": "They moved."}


def test_a_reply_that_grows_when_words_are_taken_out_still_fits(site):
    """`[removed]` is longer than some words that it stands for: the end is cut, and nothing that was ticked is sent."""
    text = ("a@b.nz " * 29)[:MAX_REPLY_LENGTH]
    look = go_on(site, read_page(site, ["languages"]), "answer", q_languages=text)
    found = [field.attrs["value"] for field in look.document.all("input", name="remove")]
    assert len(found) > 20
    tip = sent_tip(site, look, remove=found)
    assert len(tip.replies["languages"]) == MAX_REPLY_LENGTH
    assert "a@b" not in tip.replies["languages"]


def test_an_answer_without_a_tick_or_a_word_is_asked_for_again(site):
    """422, the questions are still there; so they are, with what was ticked, where the words are too long."""
    code = new_code()
    page = read_page(site, ASKED, code=code)
    empty = go_on(site, page, "answer")
    assert (empty.status, boxes(empty)) == (422, ["locked-in", "safe-time", "languages"])
    assert "Write your answer. A few words are enough." in empty.text
    long = go_on(site, empty, "answer", q_locked_in="no", q_languages="x" * (MAX_REPLY_LENGTH + 1))
    assert (long.status, long.document.one("textarea", name="q-languages").text) == (422, "x" * (MAX_REPLY_LENGTH + 1))
    (ticked,) = [field for field in long.document.all("input", type="radio") if "checked" in field.attrs]
    assert (ticked.attrs["name"], ticked.attrs["value"]) == ("q-locked-in", "no")
    look = go_on(site, long, "answer", q_locked_in="no")
    back = go_on(site, look, "edit")
    assert [field.attrs["value"] for field in back.document.all("input", type="radio") if "checked" in field.attrs] == [
        "no"
    ]


def test_an_unknown_question_shows_nothing_and_breaks_nothing(site):
    """A question of a newer desk is left out beside one that is known, and alone there is nothing to see."""
    beside = read_page(site, ["newer-question", "locked-in", "<b>"])
    assert boxes(beside) == ["locked-in"]
    assert "newer-question" not in beside.text
    alone = read_page(site, ["newer-question"])
    assert (alone.status, boxes(alone)) == (200, [])


def test_an_answer_holds_no_more_than_its_tip_can(site):
    """Of more questions than a tip has room for, the first twenty are asked; what nobody asked is not read."""
    assert known_questions([*QUESTIONS, *QUESTIONS]) == (*QUESTIONS,)
    page = read_page(site, [*QUESTIONS, *QUESTIONS])
    assert hidden(page)["asked"] == [*QUESTIONS][:MAX_REPLIES]
    assert {*boxes(page)} == {*[*QUESTIONS][:MAX_REPLIES]}
    page = read_page(site, ["locked-in"])
    look = go_on(site, page, "answer", q_locked_in="yes", q_dogs="yes", what="They moved.")
    assert "dangerous dogs" not in look.text
    assert dict(sent_tip(site, look).replies) == {"locked-in": "yes"}


@pytest.mark.parametrize("lang", ["en", "hi"])
def test_a_page_with_questions_is_as_long_as_one_without(site, lang):
    """Twenty questions, the most that are asked, leave the page at the length of every other: 64 KiB."""
    longest = sorted(QUESTIONS, key=lambda name: -len(QUESTIONS[name].choices))[:MAX_REPLIES]
    lengths = [len(read_page(site, ids, lang=lang).response.get_data()) for ids in ([], ["locked-in"], longest)]
    assert lengths == [64 * 1024] * 3


def test_ticks_to_take_words_out_of_a_reply_are_kept_on_the_way_back(site):
    """A number that was ticked in the words for a question is ticked again after "Go back and change my answer"."""
    look = go_on(site, read_page(site, ["languages"]), "answer", q_languages="Tongan, call me on 021 555 0199")
    (found,) = (field.attrs["value"] for field in look.document.all("input", name="remove"))
    back = go_on(site, look, "edit", remove=found)
    again = go_on(site, back, "answer", q_languages="Tongan and Fijian, call me on 021 555 0199")
    (box,) = (box for box in again.document.all("input", name="remove") if "checked" in box.attrs)
    assert sent_tip(site, again, remove=box.attrs["value"]).replies == {
        "languages": "Tongan and Fijian, call me on [removed]"
    }


def send_more(site, look):
    """The page after a tip was sent and "Send more under this code" was pressed."""
    with patch.object(Outbox, "put"):
        sent = go_on(site, look, "send")
    assert sent.status == 200
    return site.post("/en/reply", {**hidden(sent, ["read"]), "step": "read"})


def test_who_sends_more_is_asked_only_what_is_not_answered_yet(site):
    """After an answer the others of the desk's questions are asked; a code that is typed again shows all of them."""
    code = new_code()
    page = read_page(site, ASKED, code=code)
    rest = send_more(site, go_on(site, page, "answer", q_locked_in="yes"))
    assert boxes(rest) == ["safe-time", "languages"]
    assert rest.document.one("h1").text == "A reply for you"
    other = site.post("/to/reply", {**hidden(rest), "step": "read"})
    assert boxes(other) == ["safe-time", "languages"]
    last = send_more(site, go_on(site, rest, "answer", q_safe_time="night"))
    assert boxes(last) == ["languages"]
    token = site.get("/en/reply").document.one("input", name="csrf_token").attrs["value"]
    anew = site.post("/en/reply", {"csrf_token": token, "step": "read", "code": code})
    assert {*boxes(anew)} == {*ASKED}


def test_where_every_question_is_answered_more_can_be_written(site):
    """The page says "Tell us more" once, never that there is no reply, and the questions can be deleted."""
    page = read_page(site, ["locked-in"])
    done = send_more(site, go_on(site, page, "answer", q_locked_in="no"))
    assert (done.status, boxes(done)) == (200, [])
    assert "There is no reply for this code" not in done.text
    assert [one.text for one in done.document.all("h1") + done.document.all("h2")] == ["Tell us more"]
    buttons = [one for one in done.document.all("button", name="step") if "lang" not in one.attrs]
    assert [one.attrs["value"] for one in buttons] == ["answer", "withdraw", "done"]
    look = go_on(site, done, "answer", what="They moved.")
    assert dict(sent_tip(site, look).answers) == {"what": "They moved."}
