"""Answers to threads that the desk does not have: nobody sees them, they are bounded, and none that belongs is lost."""

from hashlib import sha256

import pytest

from app.desk.arrival import case_of_arrival
from app.desk.case_json import encode_case
from app.desk.early_answers import EarlyAnswers
from app.desk.jobs import Job
from app.desk.journal import DESK
from app.desk.queue import VIEWS, QueueFilter
from app.desk.waiting_envelopes import WAITING_DAYS
from app.vault.tip import ReplyTo
from app.vault.tip_bundles import to_bundles
from tests.support.desk import ANSWERS, DAY, NOON, Browser, big_file, jpeg, receive, reply_to, tip, words_of

_DAY_SECONDS = 86_400
_LOCATOR = reply_to().locator


def _answer(text="They moved on Friday", locator=_LOCATOR, **more):
    return tip({"what": text}, reply=ReplyTo(bytes(32), locator), answers_to=locator, **more)


def _rows(desk):
    return {view: desk.queue.page(QueueFilter(view=view), "Ana").total for view in VIEWS}


def _waiting(office):
    return sorted(path.name for path in (office.store / "answers").glob("*"))


def test_answers_to_codes_that_were_never_given_fill_nothing_that_a_handler_sees(office):
    """Of two hundred answers under made-up codes, none is a row, a count, a similar tip or a line of the journal."""
    with office.desk() as desk:
        first = office.drop(tip(reply=reply_to()))
        receive(desk)
        rows, lines = _rows(desk), len(desk.journal.entries)
        for number in range(200):
            office.drop(_answer(ANSWERS["what"], f"{number:032x}"))
        receive(desk)
        assert _rows(desk) == rows
        assert len(desk.journal.entries) == lines
        assert [case.id for case in desk.cases.all()] == [first]
        page = Browser(desk).get(f"/tips/{first}").text
        assert "Similar tips" not in page
        assert "The sender has answered" not in page
        assert len(_waiting(office)) == 200
        assert list(office.inbox.iterdir()) == []


def test_an_answer_that_waits_shows_neither_its_words_nor_its_locator_on_the_disk(office):
    """An early answer lies sealed under its day and two hashes."""
    with office.desk() as desk:
        office.drop(_answer())
        receive(desk)
        (name,) = _waiting(office)
        assert name.startswith(f"{DAY.isoformat()}.{sha256(_LOCATOR.encode()).hexdigest()[:32]}.")
        data = (office.store / "answers" / name).read_bytes()
        assert b"Friday" not in data
        assert _LOCATOR.encode() not in data


@pytest.mark.parametrize("restart", [False, True])
def test_an_answer_that_came_before_its_words_is_in_the_thread_with_its_file(office, restart):
    """An early answer joins the thread of the words that come later, after a restart too, and waits no more."""
    first, answer = tip(reply=reply_to()), _answer(files=(big_file(parts=2),))
    office.drop(answer)
    envelope = (office.inbox / f"{answer.id}.age").read_bytes()
    with office.desk() as desk:
        receive(desk)
        assert desk.cases.all() == ()
        if not restart:
            office.drop(first)
            receive(desk)
    with office.desk() as desk:
        if restart:
            office.drop(first)
            receive(desk)
        case = desk.cases.get(first.id)
        assert [one.text for one in case.thread] == ["They moved on Friday"]
        assert case.unread
        assert desk.cases.original(desk.cases.get(answer.id)) == answer
        assert [entry.did for entry in desk.journal.entries].count("received") == 2
        assert _waiting(office) == []
        (office.inbox / f"{answer.id}.age").write_bytes(envelope)
        receive(desk)
        assert len(desk.cases.all()) == 2, "the same envelope, again, is known"


@pytest.mark.parametrize("step", ["receive_words", "delete"])
def test_a_desk_that_is_killed_while_an_answer_joins_finishes_at_its_next_start(office, monkeypatch, step):
    """Killed before or after the early answer is kept, the desk has the answer in its thread once."""
    first, answer = tip(reply=reply_to()), _answer()
    office.drop(answer)
    with office.desk() as desk:
        receive(desk)
        office.drop(first)
        take = desk.cases.early_answers.take

        def killed(*_args):
            raise KeyboardInterrupt

        def take_and_die(case, receive_words):
            if step == "delete":
                monkeypatch.setattr(desk.cases.early_answers._waiting, "delete", killed)
            take(case, killed if step == "receive_words" else receive_words)

        monkeypatch.setattr(desk.cases.early_answers, "take", take_and_die)
        with pytest.raises(KeyboardInterrupt):
            receive(desk)
    with office.desk() as desk:
        assert [one.text for one in desk.cases.get(first.id).thread] == ["They moved on Friday"]
        assert _waiting(office) == []
        assert len(desk.cases.all()) == 2


def test_an_answer_that_waited_for_thirty_days_is_destroyed_and_counted(office):
    """After 30 days and two looks a day apart the answers are gone, and the journal says how many; no day earlier."""
    now = [NOON]
    with office.desk(clock=lambda: now[0]) as desk:
        for number in range(3):
            office.drop(_answer(locator=f"{number:032x}"))
        receive(desk)
        for days in (WAITING_DAYS, WAITING_DAYS + 1):
            now[0] = NOON + days * _DAY_SECONDS
            desk.destroy_overdue()
            assert len(_waiting(office)) == 3
        now[0] += _DAY_SECONDS
        desk.destroy_overdue()
        assert _waiting(office) == []
        entry = desk.journal.entries[-1]
        assert (entry.who, entry.did, entry.tip, entry.what) == (DESK, "answers-destroyed", "", "3")
        desk.destroy_overdue()
        assert desk.journal.entries[-1] == entry


def test_a_flood_of_answers_takes_bounded_room_and_those_that_gave_their_place_are_counted(office):
    """Beyond the bound one answer at random gives its place for each that comes; the journal has one line for all."""
    with office.desk() as desk:
        early = EarlyAnswers(desk.store, desk.journal, [office.identity], desk.cases.today, most=5)
        for number in range(12):
            path = office.drop_bundle(_bundle(_answer(locator=f"{number:032x}")))
            early.add(f"{number:032x}", path.read_bytes(), sha256(path.read_bytes()).hexdigest())
        assert len(_waiting(office)) == 5
        lines = len(desk.journal.entries)
        early.destroy([], by=DESK)
        assert [entry.what for entry in desk.journal.entries[lines:]] == ["7"]


def _bundle(one):
    return to_bundles(one)[0]


@pytest.mark.parametrize("how", ["destroyed", "locked"])
def test_what_a_sender_writes_after_the_end_of_the_tip_is_still_shown(office, how):
    """An answer to a tip that the desk has destroyed or locked is a row of its own, after a restart too."""
    now = [NOON]
    first = tip(reply=reply_to(), files=(jpeg(),))
    office.drop(first)
    with office.desk(clock=lambda: now[0]) as desk:
        receive(desk)
        if how == "locked":
            desk.cases.lock_away(first.id, "Ana")
        else:
            desk.cases.destroy([desk.cases.get(first.id)])
    with office.desk(clock=lambda: now[0]) as desk:
        answer = office.drop(_answer())
        office.drop(_answer(locator="f" * 32))
        receive(desk)
        assert [row.id for row in desk.queue.page(QueueFilter(), "Ana").rows] == [answer]
        assert "destroyed or locked" in desk.cases.get(answer).notes[0].text
        assert len(_waiting(office)) == 1


def test_a_case_that_an_earlier_version_made_of_such_an_answer_stays_and_joins_its_thread(office):
    """An answer that is a row of an existing store stays one, and is in its thread once its words come."""
    answer, first = _answer(), tip(reply=reply_to())
    with office.desk() as desk:
        case = case_of_arrival(words_of(answer), answer.id, DAY, by=DESK)
        envelope = office.drop_bundle(_bundle(answer)).read_bytes()
        desk.store.put_sealed(f"envelopes/{answer.id}.age", envelope)
        desk.store.write(f"tips/{answer.id}.age", encode_case(case))
        next(office.inbox.glob("*")).unlink()
    with office.desk() as desk:
        assert [row.id for row in desk.queue.page(QueueFilter(), "Ana").rows] == [answer.id]
        office.drop(first)
        receive(desk)
        assert [row.id for row in desk.queue.page(QueueFilter(), "Ana").rows] == [first.id]
        assert [one.text for one in desk.cases.get(first.id).thread] == ["They moved on Friday"]


def test_early_answers_are_sealed_to_a_new_key_with_the_rest(office):
    """After the store is sealed anew, an early answer opens with the new identity alone and joins its thread."""
    with office.desk() as desk:
        office.drop(_answer())
        receive(desk)
        before = (office.store / "answers" / _waiting(office)[0]).read_bytes()
        desk.cases.reseal(Job("test"))
        assert (office.store / "answers" / _waiting(office)[0]).read_bytes() != before
        office.drop(tip(reply=reply_to()))
        receive(desk)
        assert _waiting(office) == []
        assert len(desk.cases.all()) == 2
