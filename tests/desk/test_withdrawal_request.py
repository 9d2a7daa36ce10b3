"""A sender asks the desk not to pass a tip on: shown above all, answered, and overruled only with a reason."""

import json
from dataclasses import replace

import pytest

from app.desk.arrival import MAX_ANSWERS
from app.desk.case_fields import RedactionDraft, State
from app.desk.case_json import decode_case, encode_case
from app.desk.closing import close_case, reopen_case
from app.desk.dispatch import confirm_key
from app.desk.errors import RefusedError
from app.desk.export import export_json
from app.desk.queue import QueueFilter
from app.desk.release import (
    prepare_hand_over,
    prepare_referral,
    release_hand_over,
    release_referral,
    send_referrals,
    send_to_translator,
)
from app.desk.withdrawal_request import WithdrawalAnswer
from app.desk.withdrawn import open_requests
from tests.support.desk import ANSWERS, NOON, Browser, Office, receive, reply_to, tip

DAY_SECONDS = 86_400


def ask(**more):
    """An answer that asks the desk not to pass the tip on."""
    values = {"answers_to": reply_to().locator, "reply": reply_to(), "withdraw": True} | more
    return replace(tip({}), answers={}, **values)


def asked(office, desk, *, before=lambda _case: None):
    """A tip whose sender asks that; `before` works on the tip before the request comes."""
    one = office.drop(tip(reply=reply_to()))
    receive(desk)
    before(one)
    request = office.drop(ask())
    receive(desk)
    return one, request


def rows(desk, view="open"):
    return [row.id for row in desk.queue.page(QueueFilter(view=view), "Ana").rows]


def draft(desk, one, who="Ana"):
    desk.cases.claim(one, who)
    desk.cases.redact(one, who, RedactionDraft(summary="Men held near Katikati", authorities=("police",), looked=True))
    for party in (*desk.config.authorities.values(), *desk.config.translators.values()):
        confirm_key(desk.cases, party, who)
    return desk.cases.get(one)


def did(desk, one):
    return [(entry.who, entry.did, entry.what) for entry in desk.journal.entries if entry.tip == one]


def test_a_request_is_above_all_in_the_queue_and_on_its_page(office, desk, browser):
    """The tip comes before one with danger, has a view of its own, and its page says so first."""
    urgent = office.drop(tip({**ANSWERS, "danger": "yes"}))
    one, request = asked(office, desk)
    assert rows(desk) == [one, urgent]
    assert rows(desk, "withdrawn") == [one]
    assert "Do not pass on" in browser.get("/").text
    page = browser.get(f"/tips/{one}").text
    assert page.index("The sender asks you not to pass this tip on") < page.index("Nobody has checked this tip")
    assert "The sender asks you not to pass this tip on" in browser.get(f"/tips/{one}/reply").text
    assert "asks not to pass this tip on" in browser.get(f"/tips/{one}/print").text
    received = [entry.what for entry in desk.journal.entries if entry.tip == request]
    assert received[0].endswith(f" answers {one} withdraws")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_request_that_comes_before_its_tip_is_not_overlooked(office, order):
    """Whichever envelope comes first, the tip is asked back, and is so after a restart."""
    first, request = tip(reply=reply_to()), ask()
    with office.desk() as desk:
        for number in order:
            office.drop([first, request][number])
            receive(desk)
        assert open_requests(desk.cases.get(first.id)) == [request.id]
    with office.desk() as desk:
        assert rows(desk, "withdrawn") == [first.id]


@pytest.mark.parametrize("state", ["referred", "closed"])
def test_a_request_brings_a_finished_tip_back_to_do(office, desk, state):
    """A tip that was referred or closed before the request is to do again until it is answered."""

    def finish(one):
        if state == "closed":
            close_case(desk.cases, one, "Ana", "nothing")
        else:
            send_referrals(draft(desk, one), [desk.config.authorities["police"]], desk.referral_context, "Ana")

    one, _ = asked(office, desk, before=finish)
    assert rows(desk) == [one]
    desk.requests.answer(one, "Ana", "passed-on", ["danger"])
    assert rows(desk) == []
    assert desk.cases.get(one).state == state


def test_a_tip_is_closed_only_once_its_sender_is_answered(office, desk, browser):
    """Closing one, or many, is refused while the sender waits for an answer."""
    one, _ = asked(office, desk)
    with pytest.raises(RefusedError, match="request"):
        close_case(desk.cases, one, "Ana", "nothing")
    assert "Answer that" in browser.post(f"/tips/{one}/close", reason="nothing").text
    browser.post("/close", reason="nothing", tip=[one])
    assert desk.cases.get(one).state is State.NEW
    desk.requests.answer(one, "Ana", "not-passed-on", [])
    assert close_case(desk.cases, one, "Ana", "nothing").state is State.CLOSED


def referring(desk, how, despite):
    """Each way by which a tip leaves the desk."""
    context, police = desk.referral_context, desk.config.authorities["police"]
    translator = desk.config.translators["translator"]
    return {
        "refer": lambda case: send_referrals(case, [police], context, "Ana", despite=despite),
        "prepare": lambda case: prepare_referral(case, context, "Ana", despite=despite),
        "translate": lambda case: send_to_translator(case, translator, context, "Ana", despite=despite),
        "prepare-translation": lambda case: prepare_hand_over(case, translator, context, "Ana", despite=despite),
    }[how]


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("how", ["refer", "prepare", "translate", "prepare-translation"])
def test_a_tip_leaves_only_with_a_reason_that_is_journaled(office, desk, how, answered):
    """No way out of the desk works without a reason of ours, before the answer and after; the journal keeps it."""
    one, _ = asked(office, desk)
    case = draft(desk, one)
    if answered:
        case = desk.requests.answer(one, "Ana", "not-passed-on", [])
    for despite in ("", "because", "Danger"):
        with pytest.raises(RefusedError, match="asked-back"):
            referring(desk, how, despite)(case)
    assert desk.cases.get(one) == case
    referring(desk, how, "danger")(case)
    assert ("Ana", "despite-request", "danger") in did(desk, one)


def test_a_request_that_comes_while_a_referral_is_looked_at_stops_the_referral(office, desk, browser):
    """Between the look and the button the request arrives: nothing leaves, and the page says why."""
    one = office.drop(tip(reply=reply_to()))
    receive(desk)
    case = draft(desk, one)
    assert "although the sender asks" not in browser.get(f"/tips/{one}/refer").text
    office.drop(ask())
    receive(desk)
    page = browser.post(f"/tips/{one}/refer", version=case.version)
    assert page.status_code == 409
    assert "choose the reason why you must" in page.text
    assert desk.cases.get(one).state is State.WORK
    assert desk.outbox.present([sent.id for sent in desk.cases.get(one).referrals]) == []


def test_the_pages_pass_a_tip_on_only_with_the_box_and_a_reason(office, desk, browser):
    """A reason without the box, and the box without a reason, pass nothing on; both together do."""
    one, _ = asked(office, desk)
    case = draft(desk, one)
    assert "Pass it on although the sender asks me not to" in browser.get(f"/tips/{one}/refer").text
    for fields in ({}, {"despite": "danger"}, {"sure": "yes"}, {"sure": "yes", "despite": "x"}):
        assert browser.post(f"/tips/{one}/refer", version=case.version, **fields).status_code == 409
    assert desk.cases.get(one).state is State.WORK
    browser.post(f"/tips/{one}/refer", version=case.version, sure="yes", despite="law")
    assert desk.cases.get(one).state is State.REFERRED
    assert ("Ana", "despite-request", "law") in did(desk, one)


@pytest.mark.parametrize("way", ["referral", "translation"])
def test_the_second_person_sees_the_request_and_decides_anew(tmp_path, way):
    """What one prepared before the request came, a second person cannot release without a reason either."""
    office = Office(tmp_path, release=2)
    with office.desk() as desk:
        context, police = desk.referral_context, desk.config.authorities["police"]
        translator = desk.config.translators["translator"]

        def prepare(one):
            if way == "referral":
                prepare_referral(draft(desk, one), context, "Ana")
            else:
                prepare_hand_over(draft(desk, one), translator, context, "Ana")

        one, _ = asked(office, desk, before=prepare)
        case = desk.cases.get(one)
        assert case.state is State.WAITING
        assert "The sender asks you not to pass this tip on" in Browser(desk, "Ben").get(f"/tips/{one}/refer").text
        for despite, ends in (("", False), ("child", True)):
            release = (
                (lambda reason: release_referral(case, [police], context, "Ben", despite=reason))
                if way == "referral"
                else (lambda reason: release_hand_over(case, translator, context, "Ben", despite=reason))
            )
            if ends:
                release(despite)
            else:
                with pytest.raises(RefusedError, match="asked-back"):
                    release(despite)
        assert ("Ben", "despite-request", "child") in did(desk, one)


@pytest.mark.parametrize("answer", [str(each) for each in WithdrawalAnswer])
def test_an_answer_waits_for_its_post_before_any_status_and_needs_no_acknowledging(office, desk, answer):
    """Each answer is a status with its id, and waits as a handler's own words do, in a silent case too."""
    one, _ = asked(office, desk)
    desk.statuses.set_silent(one, "Ana", silent=True)
    desk.requests.answer(one, "Ana", answer, ["work"])
    ((_, message),) = desk.replies.waiting(NOON)
    details = (answer, "work") if answer == "passed-on" else (answer,)
    assert (message.kind, message.value, message.details) == ("status", "withdrawal", details)
    assert desk.replies.count_waiting() == 1
    desk.statuses.set_silent(one, "Ana", silent=True)
    assert len(desk.replies.waiting(NOON)) == 1, "what a handler answered is not held back with the desk's own"
    with pytest.raises(RefusedError, match="gone"):
        desk.statuses.hold_back(one, "Ana", message.id)
    assert ("Ana", "answered-request", answer) in did(desk, one)


@pytest.mark.parametrize("way", ["referral", "translation"])
def test_a_desk_does_not_say_that_a_tip_stayed_here_after_it_left(office, desk, way):
    """After a referral, or a hand-over to a translator, "not passed on" and "destroyed" are refused."""
    context = desk.referral_context

    def leave(one):
        if way == "referral":
            send_referrals(draft(desk, one), [desk.config.authorities["police"]], context, "Ana")
        else:
            send_to_translator(draft(desk, one), desk.config.translators["translator"], context, "Ana")

    one, _ = asked(office, desk, before=leave)
    for answer in ("destroyed", "not-passed-on"):
        with pytest.raises(RefusedError, match="passed-on"):
            desk.requests.answer(one, "Ana", answer, [])
    desk.requests.answer(one, "Ana", "passed-on", [])


def test_an_answer_is_given_once_by_whoever_has_the_tip(office, desk):
    """A colleague's tip, a second answer and an unknown answer are refused; a second request is open again."""
    one, request = asked(office, desk)
    desk.cases.claim(one, "Ana")
    for who, answer, code in (("Ben", "cannot", "claimed"), ("Ana", "perhaps", "no-answer"), ("Ana", "", "no-answer")):
        with pytest.raises(RefusedError, match=code):
            desk.requests.answer(one, who, answer, [])
    desk.requests.answer(one, "Ana", "cannot", [])
    with pytest.raises(RefusedError, match="answered"):
        desk.requests.answer(one, "Ana", "cannot", [])
    second = office.drop(ask(number=2))
    receive(desk)
    case = desk.cases.get(one)
    assert open_requests(case) == [second]
    assert request in case.answered_requests
    assert decode_case(encode_case(case)) == case


def test_a_tip_that_the_desk_promised_to_destroy_is_destroyed_once_its_sender_can_read_that(tmp_path):
    """The tip is closed, stays until the site has the answer, is never opened again, and then goes within two looks."""
    office, now = Office(tmp_path), [NOON]
    with office.desk(clock=lambda: now[0]) as desk:
        one, request = asked(office, desk)
        case = desk.requests.answer(one, "Ana", "destroyed", [])
        assert (case.state, case.reason) == (State.CLOSED, "withdrawn")
        with pytest.raises(RefusedError, match="promised"):
            reopen_case(desk.cases, one, "Ana")
        for _ in range(3):
            now[0] += DAY_SECONDS
            desk.destroy_overdue()
        assert desk.cases.get(one) == case, "the sender cannot read it yet"
        desk.replies.note_posted(case.thread[-1].id)
        for _ in range(3):
            now[0] += DAY_SECONDS
            desk.destroy_overdue()
        with pytest.raises(RefusedError, match="gone"):
            desk.cases.get(one)
        assert not list(office.store.glob(f"*/*{one}*"))
        assert not list(office.store.glob(f"*/*{request}*"))


def test_a_request_has_a_place_in_a_full_thread(office, desk):
    """After a hundred answers a request not to pass the tip on is still above all, once."""
    one = tip(reply=reply_to())
    office.drop(one)
    for _ in range(MAX_ANSWERS):
        office.drop(tip({"what": "more"}, answers_to=reply_to().locator))
    receive(desk)
    for _ in range(3):
        office.drop(ask())
    receive(desk)
    assert sum(message.withdraw for message in desk.cases.get(one.id).thread) == 1
    assert rows(desk, "withdrawn") == [one.id], "further requests take no row above all"
    assert rows(desk) == [one.id]


def test_a_request_for_a_tip_that_was_destroyed_is_a_row_that_can_be_answered(office, desk):
    """The sender of a tip that is gone hears so."""
    one = office.drop(tip(reply=reply_to()))
    receive(desk)
    desk.cases.destroy([desk.cases.get(one)])
    request = office.drop(ask())
    receive(desk)
    assert rows(desk, "withdrawn") == [request]
    desk.requests.answer(request, "Ana", "not-passed-on", [])
    assert len(desk.replies.waiting(NOON)) == 1


def test_the_page_answers_with_the_kinds_of_the_authorities_only_where_that_is_ticked(office, desk, browser):
    """The kinds of authority are told only if the handler ticks the box; no name is in the thread."""

    def refer(one):
        send_referrals(draft(desk, one), [desk.config.authorities["police"]], desk.referral_context, "Ana")

    one, _ = asked(office, desk, before=refer)
    page = browser.get(f"/tips/{one}").text
    assert 'value="not-passed-on"' not in page
    assert 'value="passed-on"' in page
    browser.post(f"/tips/{one}/withdrawal", answer="passed-on")
    assert desk.cases.get(one).thread[-1].details == ("passed-on",)
    office.drop(ask(number=2))
    receive(desk)
    browser.post(f"/tips/{one}/withdrawal", **{"answer": "passed-on", "tell-kinds": "yes"})
    details = desk.cases.get(one).thread[-1].details
    assert details[0] == "passed-on"
    assert len(details) == 2


def test_an_answer_of_the_thread_does_not_leave_by_its_own_page_either(office, desk, browser):
    """What the sender wrote later is gated as the tip is, and the request is answered on the page of the tip alone."""
    later = office.drop(tip({"what": "They moved to Te Puke."}, reply=reply_to(), answers_to=reply_to().locator))
    one, request = asked(office, desk)
    case = draft(desk, later)
    with pytest.raises(RefusedError, match="asked-back"):
        referring(desk, "refer", "")(case)
    assert "Pass it on although the sender asks me not to" in browser.get(f"/tips/{later}/refer").text
    page = browser.get(f"/tips/{request}").text
    assert "Answer the sender" not in page
    with pytest.raises(RefusedError, match="answered"):
        desk.requests.answer(request, "Ana", "cannot", [])
    assert rows(desk, "withdrawn") == [one]
    referring(desk, "refer", "danger")(case)
    assert ("Ana", "despite-request", "danger") in did(desk, later)


def test_an_export_says_that_its_sender_asked_not_to_pass_the_tip_on(office, desk):
    """Who gets a tip as JSON reads the request at its head and in the thread."""
    one, _ = asked(office, desk)
    exported = json.loads(export_json(desk.cases.get(one), desk.cases.parts))
    assert exported["asked_back"] is True
    assert exported["thread"][0]["withdraw"] is True
    other = office.drop(tip())
    receive(desk)
    assert json.loads(export_json(desk.cases.get(other), desk.cases.parts))["asked_back"] is False
