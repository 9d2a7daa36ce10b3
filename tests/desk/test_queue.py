"""The queue: its order, filters and search."""

from datetime import timedelta

from app.desk.queue import Queue, QueueFilter
from tests.support.desk import DAY, receive, tip


def test_a_tip_changed_in_the_thread_of_another_is_searched_anew(office):
    """Search finds what was noted a moment ago, and no longer what was wiped."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        assert desk.queue.page(QueueFilter(words="inspector"), "Ana").total == 0
        desk.cases.note(one, "Ana", "told the inspector")
        assert desk.queue.page(QueueFilter(words="inspector"), "Ana").total == 1
        desk.cases.lock_away(one, "Ana")
        assert desk.queue.page(QueueFilter(words="inspector"), "Ana").total == 0


def test_danger_and_children_come_first_then_the_oldest_day(office):
    """The queue's order is that of urgency, whatever the order of arrival."""
    days = [DAY - timedelta(days=number) for number in range(4)]
    made = [
        tip({"what": "recent"}, received=days[0]),
        tip({"what": "old"}, received=days[3]),
        tip({"what": "child", "children": "yes"}, received=days[0]),
        tip({"what": "danger", "danger": "yes"}, received=days[0]),
        tip({"what": "both", "danger": "yes", "children": "yes"}, received=days[0]),
        tip({"what": "old child", "kinds": ("child",)}, received=days[2]),
    ]
    for one in made:
        office.drop(one)
    with office.desk() as desk:
        receive(desk)
        order = [case.text("what") for case in desk.queue.order()]
    assert order == ["both", "danger", "old child", "child", "old", "recent"]


def test_the_queue_is_filtered_and_searched(office):
    """By view, kind, danger, children, place, words in any answer or note, and whose they are."""
    office.drop(tip({"what": "A vineyard", "where": "Blenheim", "kinds": ("work",), "danger": "yes"}))
    two = office.drop(tip({"what": "A house", "where": "Ōtara", "kinds": ("domestic",), "children": "yes"}))
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(two, "Ana")
        desk.cases.note(two, "Ana", "Labour inspector informed")
        for wanted, total in (
            (QueueFilter(), 2),
            (QueueFilter(view="new"), 1),
            (QueueFilter(view="work"), 1),
            (QueueFilter(kind="domestic"), 1),
            (QueueFilter(danger=True, children=True), 0),
            (QueueFilter(place="ōTARA"), 1),
            (QueueFilter(words="vineyard BLENHEIM"), 1),
            (QueueFilter(words="inspector"), 1),
            (QueueFilter(words="inspector vineyard"), 0),
            (QueueFilter(mine=True), 1),
            (QueueFilter(view="closed"), 0),
        ):
            assert desk.queue.page(wanted, "Ana").total == total, wanted
        assert Queue(desk.cases).page(QueueFilter(page=99), "Ana").number == 1
