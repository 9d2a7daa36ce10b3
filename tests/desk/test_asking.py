"""Questions that a handler asks by their ids: five at once, each a message of the thread, and what is said to them."""

import json
import re

import pytest

from app.desk.asking import MAX_ASKED, QuestionQueue, question_states, questions_by_topic, warned_replies
from app.desk.dispatch import build_referral
from app.desk.errors import RefusedError
from app.desk.export import export_json
from app.desk.redaction import ANSWERED, answer_texts, left_out_at_first
from app.desk.replies import ReplyQueue
from app.desk.thread import MessageKind, ThreadMessage, sealed_fields
from app.vault.asked_questions import QUESTIONS
from app.vault.reply import PLAIN_BYTES, seal_reply
from tests.support.desk import DAY, NOON, Browser, receive, reply_to, tip

A_DAY = 24 * 3600


@pytest.fixture
def case(office, desk):
    one = office.drop(tip(reply=reply_to()))
    receive(desk)
    return desk.cases.claim(one, "Ana")


def ids_of(case):
    return [one.value for one in case.thread if one.kind is MessageKind.QUESTION]


def answer(**more):
    return tip({"what": "At night"}, answers_to=reply_to().locator, reply=reply_to(), **more)


def test_a_question_waits_in_the_thread_under_its_id(desk, case):
    """What is asked waits as a message of its own, and its reply has the id, day and place, and no words."""
    case = desk.questions.ask(case, "Ana", ["locked-in", "how-many"])
    assert ids_of(case) == ["locked-in", "how-many"]
    assert desk.replies.count_waiting() == 2
    said = sealed_fields(case.thread[1], desk.replies.number(case.thread[1].id))
    assert said == {"kind": "question", "question": "how-many", "day": DAY.isoformat(), "number": 1}
    assert desk.cases.journal.entries[-1].did == "asked"


def test_a_question_is_asked_once_however_often_the_button_is_pressed(office):
    """A question that waits, or was asked on the same day, is not asked again; on a later day it can be."""
    clock = [NOON]
    with office.desk(clock=lambda: clock[0]) as desk:
        one = office.drop(tip(reply=reply_to()))
        receive(desk)
        case = desk.cases.claim(one, "Ana")
        for _ in range(3):
            case = desk.questions.ask(case, "Ana", ["locked-in"])
        assert ids_of(case) == ["locked-in"]
        assert ids_of(desk.questions.ask(case, "Ana", ["locked-in", "dogs"])) == ["locked-in", "dogs"]
        desk.replies.note_posted(case.thread[0].id)
        assert ids_of(desk.questions.ask(case, "Ana", ["locked-in"])) == ["locked-in", "dogs"]
        clock[0] += A_DAY
        again = desk.questions.ask(case, "Ana", ["locked-in", "dogs"])
        assert ids_of(again) == ["locked-in", "dogs", "locked-in"]


def test_what_cannot_be_asked_is_refused(desk, office, case):
    """No known question, more than five, no way back, and a tip that somebody else works on: each with its reason."""
    many = [*QUESTIONS][: MAX_ASKED + 1]
    mute = office.drop(tip())
    receive(desk)
    without_site = QuestionQueue(desk.cases, ReplyQueue(desk.cases, has_site=False))
    for about, who, ids, queue, code in (
        (case, "Ana", ["no-such-question"], desk.questions, "no-question"),
        (case, "Ana", [], desk.questions, "no-question"),
        (case, "Ana", many, desk.questions, "many-questions"),
        (case, "Ben", ["dogs"], desk.questions, "claimed"),
        (desk.cases.claim(mute, "Ana"), "Ana", ["dogs"], desk.questions, "no-reply"),
        (case, "Ana", ["dogs"], without_site, "no-site"),
    ):
        with pytest.raises(RefusedError, match=code):
            queue.ask(about, who, ids)
    assert desk.cases.get(case.id).thread == ()
    assert len(ids_of(desk.questions.ask(case, "Ana", many[:MAX_ASKED]))) == MAX_ASKED


def test_a_question_is_as_long_as_any_reply():
    """The sealed reply of each question has the length of every reply."""
    for name in QUESTIONS:
        said = sealed_fields(ThreadMessage(DAY, "Ana", "", kind=MessageKind.QUESTION, value=name), 9999)
        assert len(seal_reply(said, bytes(32), "0" * 32)) == PLAIN_BYTES + 28


def test_the_page_shows_every_question_in_english(desk, case):
    """A handler chooses among all forty, grouped, and sees the answers that the sender can tick; ticks are not lost."""
    browser = Browser(desk)
    page = browser.get(f"/tips/{case.id}/reply").text
    assert re.findall(r'name="question" value="([a-z-]+)"', page) == [*QUESTIONS]
    assert [topic for topic in questions_by_topic() if f"<legend>{topic}</legend>" not in page] == []
    assert "In the morning · In the afternoon" in page
    ticked = [*QUESTIONS][: MAX_ASKED + 1]
    refused = browser.post(f"/tips/{case.id}/questions", question=ticked)
    assert refused.status_code == 409
    assert re.findall(r'value="([a-z-]+)" checked', refused.text) == ticked
    assert browser.post(f"/tips/{case.id}/questions", question=ticked[:2]).status_code == 303
    page = browser.get(f"/tips/{case.id}/reply").text
    assert page.count("asked on 2026-11-22") == 2
    assert ids_of(desk.cases.get(case.id)) == ticked[:2]


def test_what_is_said_to_a_question_is_read_in_english(desk, office, case):
    """The thread shows ticks in English, words as they were written, and an unknown question under its id."""
    replies = {"safe-time": "night", "languages": "lea faka-Tonga", "newer-question": "yes <b>"}
    desk.questions.ask(case, "Ana", ["safe-time"])
    office.drop(answer(replies=replies))
    receive(desk)
    page = Browser(desk).get(f"/tips/{case.id}/reply").text
    for said in (
        '<dt>Is there a safe time for officers to go there?</dt><dd dir="auto">At night</dd>',
        '<dt>What languages do the people speak?</dt><dd dir="auto">lea faka-Tonga</dd>',
        '<dt>newer-question</dt><dd dir="auto">yes &lt;b&gt;</dd>',
        "answered on 2026-11-22",
    ):
        assert said in page
    thread = json.loads(export_json(desk.cases.get(case.id), desk.cases.parts))["thread"]
    assert [one.get("question") for one in thread] == ["safe-time", None]
    assert thread[1]["replies"] == replies
    assert question_states(desk.cases.get(case.id).thread)["safe-time"] == "answered on 2026-11-22"


def test_who_redacts_sees_what_the_sender_said_later(desk, office, case):
    """The page on which a tip is redacted shows the later answers, which are not in a referral at first."""
    office.drop(answer(replies={"pass-on": "no"}))
    receive(desk)
    page = Browser(desk).get(f"/tips/{case.id}/redact").text
    shown = re.sub(r"<[^>]+>", "", page)
    assert "At night" in shown
    assert "May we pass on what you wrote, word for word?\nNo" in shown
    boxes = re.findall(r'name="keep" value="(later-[0-9a-z]{26})"( checked)?', page)
    assert [ticked for _, ticked in boxes] == [""]
    context = desk.referral_context
    made = build_referral(desk.cases.get(case.id), context.redaction(desk.cases.get(case.id)), "Police", context)
    assert "At night" not in str(made.fields)


def test_what_must_be_known_before_a_referral_is_said_wherever_a_tip_is_passed_on(desk, office, case):
    """The last answer counts: danger, no safe time and "do not pass on" stand on each page before a referral."""
    browser = Browser(desk)
    pages = (f"/tips/{case.id}", f"/tips/{case.id}/redact", f"/tips/{case.id}/refer")
    warning = "Before you pass this tip on:"
    assert not any(warning in browser.get(page).text for page in pages)
    office.drop(answer(replies={"visit-danger": "unsure", "pass-on": "yes", "weapons": "yes", "dogs": "no"}, number=1))
    office.drop(answer(replies={"pass-on": "no", "weapons": "no", "safe-time": "never"}, number=2))
    receive(desk)
    assert warned_replies(desk.cases.get(case.id).thread) == [
        "Is there a safe time for officers to go there? No time is safe (2026-11-22)",
        "Would it put anyone in danger if officers went there? I am not sure (2026-11-22)",
        "May we pass on what you wrote, word for word? No (2026-11-22)",
    ]
    for page in pages:
        text = browser.get(page).text
        assert warning in text
        assert "word for word? No (2026-11-22)" in text


def test_an_answer_can_be_redacted_as_a_case(desk, office, case):
    """What was said to questions is a text of the answer's own case, left out of a referral until chosen."""
    one = office.drop(answer(replies={"languages": "Tongan", "dogs": "yes"}))
    receive(desk)
    texts = answer_texts(desk.cases.get(one))
    assert texts == {
        "what": "At night",
        ANSWERED: "What languages do the people speak?\nTongan\n\nAre there dangerous dogs at the place?\nYes",
    }
    assert left_out_at_first(texts) == (ANSWERED,)
    assert "Answers to questions of the desk" in Browser(desk).get(f"/tips/{one}").text
