"""Closing a tip: danger is asked about, "referred and finished" is true, and what was closed can be undone."""

from dataclasses import replace

import pytest

from app.desk.case_fields import SentReferral, State
from app.desk.closing import close_case, undo_closing
from app.desk.errors import RefusedError
from app.desk.queue import QueueFilter
from app.vault.tip import new_tip_id
from tests.support.desk import DAY, receive, tip

DANGER = {"what": "A man with a gun holds them", "danger": "yes"}


def test_a_tip_in_danger_is_closed_only_once_the_danger_is_dealt_with(office, desk):
    """The desk refuses to close a tip in danger until the handler confirms that 111 was called, or nobody is left."""
    one = office.drop(tip(DANGER))
    receive(desk)
    with pytest.raises(RefusedError, match=r"^danger$"):
        close_case(desk.cases, one, "Ana", "nothing")
    assert desk.cases.get(one).state is State.NEW
    assert close_case(desk.cases, one, "Ana", "nothing", danger_over=True).state is State.CLOSED


def test_a_tip_is_referred_and_finished_only_if_it_was_referred(office, desk):
    """The reason "Referred and finished" is refused for a tip that never left the desk."""
    one = office.drop(tip())
    receive(desk)
    with pytest.raises(RefusedError, match=r"^not-referred$"):
        close_case(desk.cases, one, "Ana", "finished")
    sent = SentReferral(new_tip_id(), "police", "Example Police", DAY, "Ana", "", "{}", "")
    desk.cases.change(one, "Ana", "referred", lambda now: replace(now, state=State.REFERRED, referrals=(sent,)))
    assert close_case(desk.cases, one, "Ana", "finished").reason == "finished"


@pytest.mark.parametrize("was_held", [False, True])
def test_a_closed_tip_is_undone_to_what_it_was(office, desk, was_held):
    """A tip that nobody worked on is new again, another is again with its handler; nothing is undone twice."""
    one = office.drop(tip())
    receive(desk)
    if was_held:
        desk.cases.claim(one, "Ana")
    before = desk.cases.get(one)
    close_case(desk.cases, one, "Ana", "nothing")
    after = undo_closing(desk.cases, one, "Ana", was_held=was_held)
    assert replace(after, version=before.version) == before
    assert [entry.did for entry in desk.journal.entries][-1] == "undone"
    with pytest.raises(RefusedError, match=r"^state$"):
        undo_closing(desk.cases, one, "Ana", was_held=was_held)


def test_the_next_new_tip_is_one_of_the_list(office, desk):
    """Closing leads to the next new tip that the filter shows, and to none where the list has no other."""
    first, second = (office.drop(tip({"what": f"A vineyard near Blenheim, house {number}"})) for number in range(2))
    office.drop(tip(DANGER))
    receive(desk)
    vineyards = QueueFilter(words="vineyard")
    found = {desk.queue.next_new(desk.cases.get(one), vineyards, "Ana").id for one in (first, second)}
    assert found == {first, second}
    desk.cases.claim(second, "Ana")
    assert desk.queue.next_new(desk.cases.get(first), vineyards, "Ana") is None
