"""The queue: its order, filters and search."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.desk.case import Case
from app.desk.case_fields import State
from app.desk.case_records import CaseRecords
from app.desk.closing import close_case
from app.desk.common_details import CommonDetails
from app.desk.queue import PAGE_ROWS, Queue, QueueFilter
from app.desk.store import SealedStore
from app.vault.tip import TipId
from tests.support.desk import DAY, jpeg, languages, phrases, receive, reply_to, tip


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
        assert (
            Queue(desk.cases.records, languages(), desk.common, today=lambda: DAY)
            .page(QueueFilter(page=99), "Ana")
            .number
            == 1
        )


def test_one_search_looks_through_every_state_but_locked_tips(office):
    """The view of all finds a plate in a new, a claimed, a referred and a closed tip; a locked one is in no search."""
    ids = [office.drop(tip({"what": f"The van KTR482 came again, night {number}"})) for number in range(5)]
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(ids[1], "Ana")
        desk.cases.change(ids[2], "Ana", "test", lambda now: replace(now, state=State.REFERRED))
        close_case(desk.cases, ids[3], "Ana", "nothing")
        desk.cases.lock_away(ids[4], "Ana")
        found = desk.queue.page(QueueFilter(view="all", words="ktr482"), "Ana")
        assert {case.id for case in found.rows} == set(ids[:4])
        assert (found.counts["all"], found.counts["objectionable"]) == (4, 1)
        for narrowed in (
            QueueFilter(words="KTR482"),
            QueueFilter(mine=True),
            QueueFilter(translator=True),
            QueueFilter(answerable=True),
            QueueFilter(files=True),
            QueueFilter(language="en"),
            QueueFilter(language="unknown"),
        ):
            assert desk.queue.page(replace(narrowed, view="objectionable"), "Ana").total == 0, narrowed


def test_tips_are_narrowed_by_language_files_and_a_way_to_answer(office):
    """The guess decides the language, and "not known" is one that can be asked for."""
    office.drop(tip({"what": "They are not paid and the boss keeps the passports", "where": ""}, reply=reply_to()))
    office.drop(tip({"what": "老板拿走了我们的护照", "where": ""}, files=(jpeg(),)))
    office.drop(tip({"what": "KTR482", "where": ""}))
    with office.desk() as desk:
        receive(desk)
        for wanted, what in (
            (QueueFilter(language="en"), "They are not paid and the boss keeps the passports"),
            (QueueFilter(language="zh-Hans"), "老板拿走了我们的护照"),
            (QueueFilter(language="unknown"), "KTR482"),
            (QueueFilter(answerable=True), "They are not paid and the boss keeps the passports"),
            (QueueFilter(files=True), "老板拿走了我们的护照"),
        ):
            assert [case.text("what") for case in desk.queue.page(wanted, "Ana").rows] == [what], wanted


def test_the_newest_day_can_come_first_and_tips_of_one_day_stay_by_urgency(office):
    """Sorted by day, an old danger comes after a tip of today."""
    old, today = DAY - timedelta(days=3), DAY
    office.drop(tip({"what": "old danger", "danger": "yes"}, received=old))
    office.drop(tip({"what": "plain"}, received=today))
    office.drop(tip({"what": "child", "children": "yes"}, received=today))
    with office.desk() as desk:
        receive(desk)
        urgent, newest = (desk.queue.page(QueueFilter(sort=sort), "Ana").rows for sort in ("urgent", "newest"))
    assert [case.text("what") for case in urgent] == ["old danger", "child", "plain"]
    assert [case.text("what") for case in newest] == ["child", "plain", "old danger"]


@pytest.mark.parametrize("sort", ["urgent", "newest"])
def test_the_neighbours_of_each_tip_are_those_of_the_filtered_list(office, sort):
    """From the first to the last, over the end of a page; a tip that left the filter keeps its place."""
    made = {
        f"{number:026}": Case(TipId(f"{number:026}"), DAY - timedelta(days=number % 7), {"danger": "yes"})
        for number in range(PAGE_ROWS + 5)
    }
    records = CaseRecords(SealedStore(office.store, (office.identity,)))
    for case in made.values():
        records.publish(case)
    queue = Queue(records, languages(), CommonDetails(records, phrases(), never=()), today=lambda: DAY)
    chosen = QueueFilter("new", sort=sort)
    first, second = queue.page(chosen, "Ana"), queue.page(replace(chosen, page=2), "Ana")
    rows = [*first.rows, *second.rows]
    assert len(rows) == PAGE_ROWS + 5
    for place, case in enumerate(rows):
        beside = queue.neighbours(case, chosen, "Ana")
        assert beside.previous == (rows[place - 1] if place else None)
        assert beside.following == (rows[place + 1] if place + 1 < len(rows) else None)
        assert beside.following_page == (1 if place + 1 < PAGE_ROWS else 2)
    assert queue.neighbours(rows[PAGE_ROWS], chosen, "Ana").previous_page == 1
    gone = replace(rows[3], state=State.CLOSED)
    records.publish(gone)
    beside = queue.neighbours(gone, chosen, "Ana")
    assert (beside.previous, beside.following) == (rows[2], rows[4])
