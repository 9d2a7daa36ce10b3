"""Giving a tip to a colleague, and due days."""

import json
from datetime import date, timedelta

import pytest

from app.desk.assignment import OVERDUE_FILE, due_day, giver, is_due, read_overdue
from app.desk.case_fields import State
from app.desk.case_json import decode_case, encode_case
from app.desk.closing import close_case
from app.desk.errors import RefusedError
from app.desk.health import check_health
from app.desk.queue import QueueFilter
from tests.support.desk import DAY, NOON, receive, tip

NAMES = ("Ana", "Ben")


@pytest.fixture
def one(office, desk):
    """The id of one new tip without danger."""
    made = office.drop(tip({"what": "Workers sleep in containers"}))
    receive(desk)
    return made


def test_a_tip_is_given_to_a_colleague_and_journaled(desk, one):
    """The colleague works on the tip and reads who gave it, until the tip is given back."""
    case = desk.assignments.give(one, "Ana", "Ben", NAMES)
    assert (case.state, case.holder, giver(case)) == (State.WORK, "Ben", "Ana")
    assert desk.queue.page(QueueFilter(mine=True), "Ben").total == 1
    lines = [(entry.who, entry.did) for entry in desk.journal.entries[-2:]]
    assert lines == [("Ana", "gave"), ("Ben", "was-given")]
    with pytest.raises(RefusedError, match=r"^claimed$"):
        desk.assignments.give(one, "Ana", "Ben", NAMES)
    released = desk.cases.release(one, "Ben")
    assert (released.state, giver(released)) == (State.NEW, "")
    assert giver(desk.cases.claim(one, "Ben")) == ""


@pytest.mark.parametrize("colleague", ["", "Ana", "Mallory"])
def test_a_tip_is_given_only_to_another_handler_of_this_desk(desk, one, colleague):
    """Nobody, oneself and a name that the desk does not know are refused; nothing changes."""
    with pytest.raises(RefusedError, match=r"^colleague$"):
        desk.assignments.give(one, "Ana", colleague, NAMES)
    assert desk.cases.get(one).state is State.NEW


def test_a_tip_that_waits_for_release_or_is_closed_is_not_given(desk, one):
    """What a second person must release, and what is closed, stays where it is."""
    desk.cases.claim(one, "Ana")
    desk.cases.change(one, "Ana", "prepared", lambda now: now.prepared("Ana"))
    with pytest.raises(RefusedError, match=r"^state$"):
        desk.assignments.give(one, "Ana", "Ben", NAMES)
    desk.cases.send_back(one, "Ana")
    close_case(desk.cases, one, "Ana", "nothing")
    with pytest.raises(RefusedError, match=r"^not-open$"):
        desk.assignments.give(one, "Ana", "Ben", NAMES)


def test_a_due_day_is_set_by_hand_and_danger_is_due_on_its_own_day(office, desk, one):
    """A tip has no due day before somebody sets one; danger is due on the day it came, until that is set otherwise."""
    urgent = office.drop(tip({"what": "He has a gun", "danger": "yes"}, received=DAY - timedelta(days=2)))
    receive(desk)
    assert [due_day(desk.cases.get(each)) for each in (one, urgent)] == [None, DAY - timedelta(days=2)]
    later = DAY + timedelta(days=3)
    assert due_day(desk.assignments.set_due(one, "Ana", later)) == later
    assert due_day(desk.assignments.set_due(urgent, "Ana", DAY)) == DAY
    assert [is_due(desk.cases.get(each), DAY) for each in (one, urgent)] == [False, True]
    assert [case.id for case in desk.queue.page(QueueFilter(sort="due"), "Ana").rows] == [urgent, one]
    assert [case.id for case in desk.queue.page(QueueFilter(due=True), "Ana").rows] == [urgent]
    assert due_day(desk.assignments.set_due(urgent, "Ana", None)) == DAY - timedelta(days=2)
    close_case(desk.cases, urgent, "Ana", "nothing", danger_over=True)
    assert due_day(desk.cases.get(urgent)) is None


@pytest.mark.parametrize("day", [DAY - timedelta(days=1), DAY + timedelta(days=800), date.max, date.min])
def test_a_day_that_is_past_or_far_away_is_refused(desk, one, day):
    """A slip of the year is refused, and nothing is journaled."""
    before = len(desk.journal.entries)
    with pytest.raises(RefusedError, match=r"^day$"):
        desk.assignments.set_due(one, "Ana", day)
    assert len(desk.journal.entries) == before


def test_the_status_names_overdue_tips_in_number_only(office):
    """The desk notes a number and a day outside the seal; the command reads both without an identity."""
    urgent = office.drop(tip({"what": "He has a gun", "danger": "yes"}, received=DAY - timedelta(days=1)))
    with office.desk() as desk:
        assert read_overdue(office.store) is None
        receive(desk)
        for _ in range(2):
            desk.assignments.note_overdue(desk.store)
        assert (office.store / OVERDUE_FILE).read_bytes() == b"2026-11-22 1\n"
        health = check_health(desk.config, NOON)
        assert any("Tips that are overdue: 1 (counted by the desk on 2026-11-22)" in line for line in health.lines)
        assert health.action_needed
        desk.assignments.set_due(urgent, "Ana", DAY)
        desk.assignments.note_overdue(desk.store)
        assert not check_health(desk.config, NOON).action_needed
    for damaged in (b"\xff", b"", b"2026-11-22 x\n", b"2026-99-99 1\n"):
        (office.store / OVERDUE_FILE).write_bytes(damaged)
        assert read_overdue(office.store) is None


def test_a_case_of_an_earlier_version_opens(desk, one):
    """A record without a giver and a due day is read as a case that has none."""
    record = json.loads(encode_case(desk.cases.get(one)))
    del record["given"], record["due"]
    assert decode_case(json.dumps(record).encode()) == desk.cases.get(one)
    changed = desk.assignments.set_due(one, "Ana", DAY)
    assert decode_case(encode_case(changed)) == changed
