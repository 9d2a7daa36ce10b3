"""What a page is told of tips that came in since it was shown."""

from app.desk.arrival_notice import notice_arrivals
from tests.support.desk import receive, reply_to, tip


def test_nothing_is_told_of_what_was_there_before(desk, office):
    """A page that was just shown is told of nothing, wherever it says that it stood."""
    office.drop(tip())
    receive(desk)
    length = len(desk.cases.arrivals.ids)
    for since in (length, length + 7):
        notice = notice_arrivals(desk.cases, since)
        assert (notice.seen, notice.sentence, notice.count, notice.urgent) == (length, "", 0, False)


def test_what_came_in_is_counted_by_kind_and_danger_is_urgent(desk, office):
    """Tips, answers, requests not to pass a tip on, and danger have a sentence each, and are told once."""
    sender = reply_to()
    office.drop(tip(reply=sender))
    receive(desk)
    since = len(desk.cases.arrivals.ids)
    office.drop(tip({"what": "They lock the doors", "danger": "yes"}))
    office.drop(tip())
    office.drop(tip({"what": "More of it"}, answers_to=sender.locator))
    receive(desk)
    notice = notice_arrivals(desk.cases, since)
    assert notice.sentence == ("2 new tips came in. 1 sender wrote again. 1 says that someone is in danger now.")
    assert (notice.count, notice.urgent) == (3, True)
    assert notice_arrivals(desk.cases, notice.seen).count == 0


def test_a_locked_tip_is_not_told(desk, office):
    """Nothing is said of a tip that was locked away before the page asked."""
    one = office.drop(tip({"what": "Locked", "danger": "yes"}))
    receive(desk)
    desk.cases.lock_away(one, "Ana")
    notice = notice_arrivals(desk.cases, 0)
    assert (notice.count, notice.urgent) == (0, False)
