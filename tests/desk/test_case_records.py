"""The records of cases: one is found by a key without a look at the others, and the index never lags behind them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.desk.case import Case, case_from_words
from app.desk.case_fields import State
from app.desk.case_index import CaseIndex, CaseTally
from app.desk.case_records import CaseRecords
from app.desk.errors import RefusedError
from app.desk.queue import PAGE_ROWS, QueueFilter
from app.desk.thread import ThreadMessage
from app.vault.part import read_part
from app.vault.tip import ReplyTo, new_tip_id
from app.vault.tip_bundles import to_bundles
from tests.support.desk import DAY, big_file, tip, words_of


def a_thread(number: int) -> Case:
    """A case with a code, and with a reply that waits for its post."""
    words = words_of(tip(reply=ReplyTo(bytes(32), f"{number:032x}")))
    reply = ThreadMessage(DAY, "Ana", "Thank you.", id=new_tip_id())
    return replace(case_from_words(words, ()), thread=(reply,))


def looks(work, monkeypatch) -> int:
    """How many cases some work looks at."""
    seen = set()
    plain = object.__getattribute__

    def get(case, name):
        seen.add(plain(case, "id"))
        return plain(case, name)

    with monkeypatch.context() as patched:
        patched.setattr(Case, "__getattribute__", get, raising=False)
        work()
    return len(seen)


@pytest.mark.parametrize("number", [20, 400])
def test_a_thread_is_found_without_a_look_at_the_other_cases(office, monkeypatch, number):
    """An answer, a part, a posted reply and the place of a reply each look at no more than a few of all cases."""
    with office.desk() as desk:
        cases = [a_thread(one) for one in range(number)]
        for case in cases:
            desk.cases.records.publish(case)
        last = cases[-1]
        bundles = to_bundles(tip(files=(big_file(),)))
        part = read_part(bundles[1].data)
        answer = words_of(tip({"what": "They moved"}, answers_to=last.reply.locator))
        for act in (
            lambda: desk.cases.arrivals.receive_words(answer, b"an envelope", "f" * 64),
            lambda: desk.cases.arrivals.receive_part(part, b"a part", "e" * 64),
            lambda: desk.cases.note_posted(last.thread[0].id),
            lambda: desk.replies.number(last.thread[0].id),
            lambda: desk.cases.parent(desk.cases.get(answer.tip.id)),
        ):
            assert looks(act, monkeypatch) <= 4
        assert [one.text for one in desk.cases.get(last.id).thread] == ["Thank you.", "They moved"]
        assert desk.cases.get(last.id).thread[0].posted
        assert looks(desk.replies.count_waiting, monkeypatch) == looks(desk.statuses.late_sentence, monkeypatch) == 0
        assert desk.replies.count_waiting() == number - 1


def test_after_a_change_the_queue_looks_only_at_what_it_shows(office, monkeypatch):
    """A page, its counts, the next tip and the tips beside one cost the rows of a page, however many tips there are."""
    with office.desk() as desk:
        for number in range(400):
            desk.cases.records.publish(a_thread(number))
        assert desk.queue.page(QueueFilter(), "Ana").total == 400
        middle = desk.queue.order()[200]

        def work() -> None:
            desk.cases.records.publish(replace(middle, holder="Ana", state=State.WORK, version=1))
            page = desk.queue.page(QueueFilter(page=4), "Ana")
            assert (page.total, page.counts["new"], page.counts["work"]) == (400, 399, 1)
            beside = desk.queue.neighbours(middle, QueueFilter(), "Ana")
            assert beside.previous
            assert beside.following
            desk.queue.next_new(middle, QueueFilter(), "Ana")
            desk.queue.similar_to(middle)

        assert looks(work, monkeypatch) <= PAGE_ROWS + 6


def test_a_tally_counts_the_days_of_what_is_there_now():
    """A message that is posted, and a case that is destroyed, are no longer counted; a day before the first is not."""
    tally = CaseTally(lambda case: [one.day for one in case.thread if not one.posted])
    case = a_thread(1)
    tally.change(None, case)
    assert (tally.since(DAY), tally.since(DAY + timedelta(days=1))) == (1, 0)
    tally.change(case, replace(case, thread=(replace(case.thread[0], posted=True),)))
    assert tally.since(DAY) == 0
    tally.change(None, case)
    tally.change(case, None)
    assert tally.since(DAY) == 0


def test_the_index_follows_every_change(office):
    """A case that is locked away, or destroyed, is found by no key of its thread; of two with a key the first is."""
    with office.desk() as desk:
        records = CaseRecords(desk.store)
        first, second = a_thread(1), a_thread(1)
        for case in (first, second):
            records.publish(case)
        locator = first.reply.locator
        assert records.thread(locator) is first
        records.publish(replace(first, holder="Ana", version=1))
        assert records.thread(locator).holder == "Ana"
        records.publish(first.locked_away())
        assert records.thread(locator) is second
        assert records.with_reply(first.thread[0].id) is None
        assert [one.state for one in records.with_tip_id(first.tip_id)] == [State.OBJECTIONABLE]
        records.forget(second)
        assert records.thread(locator) is None
        with pytest.raises(RefusedError, match="gone"):
            records.get(second.id)


def test_an_index_keeps_no_key_that_no_case_has():
    """The last case of a key takes the key away with it."""
    index = CaseIndex(lambda case: (case.tip_id,))
    case = a_thread(1)
    index.change(None, case)
    index.change(case, replace(case, tip_id="other"))
    assert (index.find(case.tip_id), index.find("other")) == ((), (case.id,))
    index.change(replace(case, tip_id="other"), None)
    assert index._ids == {}
