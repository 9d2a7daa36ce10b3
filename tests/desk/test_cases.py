"""The cases of a store: what is kept, who works on it, and when it is destroyed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app.desk.case_fields import Outcome, RedactionDraft, State
from app.desk.closing import close_case, reopen_case
from app.desk.errors import RefusedError
from app.desk.queue import QueueFilter
from app.desk.statistics import kept_rows
from tests.support.desk import NOON, jpeg, receive, reply_to, tip


def test_the_same_envelope_twice_is_one_case_and_a_forged_id_suppresses_no_tip(office):
    """The desk knows envelopes by their SHA-256: two tips that bear one id are two cases, in whichever order."""
    first = tip(files=(jpeg(),))
    forged = replace(first, answers={"what": "something else"}, files=())
    with office.desk() as desk:
        office.drop(forged)
        receive(desk)
        office.drop(first)
        came = (office.inbox / f"{first.id}.age").read_bytes()
        receive(desk)
        (office.inbox / f"{first.id}.age").write_bytes(came)
        receive(desk)
        cases = {case.text("what")[:5]: case for case in desk.cases.all()}
        assert set(cases) == {"somet", "Seven"}
        assert cases["somet"].id == first.id
        assert cases["Seven"].id != first.id
        assert desk.cases.original(cases["Seven"]) == first
        assert list(office.inbox.iterdir()) == []


def test_a_start_that_was_cut_short_loses_nothing(office):
    """Killed before the arrival was saved, the desk takes the envelope in at its next start, once."""
    one = office.drop(tip())
    envelope = (office.inbox / f"{one}.age").read_bytes()
    with office.desk() as desk:
        receive(desk)
    kept = (office.store / f"envelopes/{one}.age").read_bytes()
    (office.inbox / f"{one}.age").write_bytes(envelope)
    (office.store / "arrivals.age").unlink()
    with office.desk() as desk:
        receive(desk)
        assert [case.id for case in desk.cases.all()] == [one]
        assert (office.store / f"envelopes/{one}.age").read_bytes() == kept
        assert [entry.did for entry in desk.journal.entries] == ["received"]
        assert desk.cases.original(desk.cases.get(one)).id == one


def test_two_never_work_one_tip(office):
    """Whoever claims first has it; the second is told, and can change nothing until it is given back."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(one, "Ana")
        with pytest.raises(RefusedError, match="claimed"):
            desk.cases.claim(one, "Ben")
        for act in (
            lambda: desk.cases.release(one, "Ben"),
            lambda: close_case(desk.cases, one, "Ben", "test"),
            lambda: desk.cases.redact(one, "Ben", RedactionDraft()),
        ):
            with pytest.raises(RefusedError, match="claimed"):
                act()
        desk.cases.release(one, "Ana")
        assert desk.cases.get(one).state is State.NEW
        assert desk.cases.claim(one, "Ben").holder == "Ben"
        desk.cases.release(one, "Ana", force=True)
        assert [entry.did for entry in desk.journal.entries][-1] == "took-away"


def test_twenty_at_once_claim_and_one_has_it(office):
    """However many press Claim at the same moment, exactly one gets the tip and the journal has one claim."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)

        def claim(who):
            try:
                return desk.cases.claim(one, who).holder
            except RefusedError:
                return ""

        with ThreadPoolExecutor(20) as pool:
            got = [who for who in pool.map(claim, [f"handler {number}" for number in range(20)]) if who]
        assert got == [desk.cases.get(one).holder]
        assert [entry.did for entry in desk.journal.entries].count("claimed") == 1


def test_the_state_of_a_tip_outlives_the_desk(office):
    """Claims, notes, outcomes and reasons are there again at the next start."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(one, "Ana")
        desk.cases.note(one, "Ben", "called the labour inspector")
        close_case(desk.cases, one, "Ana", "nothing", Outcome.VICTIM_SAFE)
    with office.desk() as desk:
        case = desk.cases.get(one)
        assert (case.state, case.outcome, case.reason, case.notes[0].text) == (
            State.CLOSED,
            Outcome.VICTIM_SAFE,
            "nothing",
            "called the labour inspector",
        )
        assert reopen_case(desk.cases, one, "Ana").state is State.WORK


def test_closed_tips_are_destroyed_when_their_time_is_over(office):
    """After `retain_days` record and envelope are gone, journaled, and their counts stay; locked ones stay whole."""
    old, locked, kept = (office.drop(tip(files=(jpeg(),))) for _ in range(3))
    came = (office.inbox / f"{old}.age").read_bytes()
    later = {"now": NOON}
    with office.desk(clock=lambda: later["now"]) as desk:
        receive(desk)
        close_case(desk.cases, old, "Ana", "nothing", Outcome.NO_ACTION)
        desk.cases.lock_away(locked, "Ana")
        later["now"] += 29 * 86400
        desk.destroy_overdue()
        assert len(desk.cases.all()) == 3
        later["now"] += 2 * 86400
        desk.destroy_overdue()
        assert len(desk.cases.all()) == 3, "one look destroys nothing"
        later["now"] += 86400
        desk.destroy_overdue()
        assert {case.id for case in desk.cases.all()} == {locked, kept}
        assert not list(office.store.rglob(f"{old}*"))
        assert desk.journal.entries[-1].did == "destroyed"
        assert [row["outcome"] for row in kept_rows(desk.store)] == ["no-action"]
        (office.inbox / f"{old}.age").write_bytes(came)
        receive(desk)
        assert len(desk.cases.all()) == 2, "an envelope that was here once is known for good"


def test_a_closed_tip_in_which_something_waits_is_not_destroyed(office):
    """Words of the sender that nobody has read keep a closed tip for as long as nobody reads them, and no longer."""
    one, later = office.drop(tip()), {"now": NOON}
    with office.desk(clock=lambda: later["now"]) as desk:
        receive(desk)
        close_case(desk.cases, one, "Ana", "nothing", Outcome.NO_ACTION)
        desk.cases.change(one, "Ana", "noted", lambda now: replace(now, unread=True))
        for _ in range(3):
            later["now"] += 31 * 86400
            desk.destroy_overdue()
            assert desk.cases.all()
        desk.cases.change(one, "Ana", "read-answer", lambda now: now.read())
        for there in (True, False):
            later["now"] += 86400
            desk.destroy_overdue()
            assert bool(desk.cases.all()) is there


def test_a_locked_tip_is_wiped_and_never_changes(office):
    """Objectionable: its words leave the record, its envelope stays sealed, and nothing can be done with it."""
    one = office.drop(tip(files=(jpeg(),)))
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(one, "Ana")
        desk.cases.lock_away(one, "Ana")
        case = desk.cases.get(one)
        assert (dict(case.answers), case.files, case.reply) == ({}, (), None)
        assert b"packhouse" not in desk.store.read(f"tips/{one}.age")
        assert (office.store / f"envelopes/{one}.age").exists()
        assert len(list((office.store / "parts").glob(f"{one}.*.age"))) == 1
        for act in (
            lambda: desk.cases.original(case),
            lambda: desk.cases.claim(one, "Ana"),
            lambda: desk.cases.note(one, "Ana", "x"),
            lambda: close_case(desk.cases, one, "Ana", "test"),
        ):
            with pytest.raises(RefusedError, match="objectionable"):
                act()
        desk.cases.view(one, "Ben")
        assert [(entry.who, entry.did) for entry in desk.journal.entries][-1] == ("Ben", "opened")
        assert desk.queue.page(QueueFilter(view="objectionable", words="packhouse"), "Ana").total == 0


@pytest.mark.parametrize("order", [lambda first, answer: (first, answer), lambda first, answer: (answer, first)])
def test_an_answer_joins_its_thread(office, order):
    """Whichever comes first, an answer is found in the thread of the first tip, marks it, and is no row."""
    first = tip(reply=reply_to())
    answer = tip({"what": "They moved on Friday"}, reply=reply_to(), answers_to=reply_to().locator)
    stranger = tip({"what": "No thread here"}, answers_to="f" * 32)
    with office.desk() as desk:
        for one in (stranger, *order(first, answer)):
            office.drop(one)
            receive(desk)
        case = desk.cases.get(first.id)
        assert [(one.who, one.text) for one in case.thread] == [("", "They moved on Friday")]
        assert case.unread
        rows = {row.id for row in desk.queue.page(QueueFilter(), "Ana").rows}
        assert rows == {first.id}
        assert desk.queue.page(QueueFilter(view="answered"), "Ana").total == 1
        desk.cases.read_thread(first.id, "Ana")
        assert desk.queue.page(QueueFilter(view="answered"), "Ana").total == 0
