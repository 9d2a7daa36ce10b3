"""What strangers seal: days that cannot be true, fields without end, and threads without end."""

from datetime import date, timedelta

import pytest

from app.desk.arrival import MAX_ANSWERS, MAX_TRAVEL_DAYS, MAX_UNKNOWN_FIELDS, believable_day
from app.desk.queue import QueueFilter
from tests.support.desk import DAY, receive, reply_to, tip


@pytest.mark.parametrize(
    "day", [date.min, date(1970, 1, 1), DAY - timedelta(days=31), DAY + timedelta(days=1), date.max]
)
def test_a_day_that_cannot_be_true_is_the_day_of_arrival(office, day):
    """A tip from the year 1 stands on top of no queue, and one from the year 9999 is not hidden at the end of one."""
    honest = office.drop(tip(received=DAY - timedelta(days=3)))
    forged = office.drop(tip({"what": "look at me first"}, received=day))
    with office.desk() as desk:
        receive(desk)
        assert [row.id for row in desk.queue.page(QueueFilter(), "Ana").rows] == [honest, forged]
        assert desk.cases.get(forged).received == DAY
        assert desk.cases.original(desk.cases.get(forged)).received == day, "the envelope stays as it came"


def test_a_tip_that_was_long_on_its_way_keeps_its_day():
    """After an outage of weeks the day on which the site took a tip is still the day in the queue."""
    for days in range(MAX_TRAVEL_DAYS + 1):
        assert believable_day(DAY - timedelta(days=days), DAY) == DAY - timedelta(days=days)


def test_fields_without_end_are_bounded_and_named(office, browser, desk):
    """Of two thousand fields that our form does not have, twenty are shown, and a note says how many there are."""
    fields = {f"odd-{chr(97 + at // 676)}{chr(97 + at // 26 % 26)}{chr(97 + at % 26)}": "x" for at in range(2000)}
    one = office.drop(tip({"what": "Seven men", **fields}))
    receive(desk)
    case = desk.cases.get(one)
    assert len(case.answers) == 1 + MAX_UNKNOWN_FIELDS
    assert case.text("what") == "Seven men"
    assert "2000 answers" in case.notes[0].text
    assert browser.get(f"/tips/{one}").text.count("<h3>odd-") == MAX_UNKNOWN_FIELDS


@pytest.mark.parametrize("first_comes_last", [False, True])
def test_a_thread_takes_a_bounded_number_of_answers_and_loses_none(office, first_comes_last):
    """Beyond a hundred answers, each of bounded length, an answer is a row of its own: no thread is endless."""
    first = tip(reply=reply_to())
    answers = [tip({"what": "y" * 60_000}, answers_to=reply_to().locator) for _ in range(MAX_ANSWERS + 5)]
    with office.desk() as desk:
        for batch in [answers, [first]] if first_comes_last else [[first], answers]:
            for one in batch:
                office.drop(one)
            receive(desk)
        thread = desk.cases.get(first.id).thread
        assert len(thread) == MAX_ANSWERS
        assert {len(message.text) for message in thread} == {10_001}
        assert desk.queue.page(QueueFilter(), "Ana").total == 1 + 5
    with office.desk() as desk:
        assert len(desk.cases.get(first.id).thread) == MAX_ANSWERS, "the next start adds none"
        assert desk.queue.page(QueueFilter(), "Ana").total == 1 + 5
