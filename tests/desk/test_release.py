"""Sending a referral: what the case says of it, where the outbox refuses or the desk is killed meanwhile."""

import pytest

from app.core.errors import OutboxError
from app.desk.case_fields import RedactionDraft, State
from app.desk.closing import close_case
from app.desk.dispatch import confirm_key
from app.desk.errors import RefusedError
from app.desk.release import decide_interrupted, send_referrals, send_to_translator
from tests.support.desk import receive, tip


def _ready(office, desk):
    """A claimed tip with a finished draft for two authorities, whose keys were confirmed."""
    one = office.drop(tip())
    receive(desk)
    desk.cases.claim(one, "Ana")
    parties = list(desk.config.authorities.values())
    for party in (*parties, *desk.config.translators.values()):
        confirm_key(desk.cases, party, "Ana")
    return desk.cases.redact(one, "Ana", RedactionDraft(summary="Seven men.", authorities=("police", "mbie"))), parties


def test_what_the_outbox_refuses_counts_as_not_sent(office, desk, monkeypatch):
    """A full disk: the case is as it was before, can be sent again, and the journal says that it was not sent."""
    case, parties = _ready(office, desk)
    put = desk.outbox.put
    monkeypatch.setattr(desk.outbox, "put", lambda _: (_ for _ in ()).throw(OutboxError("disk-full")))
    with pytest.raises(OutboxError):
        send_referrals(case, parties, desk.referral_context, "Ana")
    now = desk.cases.get(case.id)
    assert (now.state, now.holder, now.referrals, now.leaving, now.draft) == (State.WORK, "Ana", (), (), case.draft)
    with pytest.raises(OutboxError):
        send_to_translator(now, desk.config.translators["translator"], desk.referral_context, "Ana")
    now = desk.cases.get(case.id)
    assert (now.state, now.translator, now.leaving) == (State.WORK, False, ())
    monkeypatch.setattr(desk.outbox, "put", put)
    send_referrals(now, parties, desk.referral_context, "Ana")
    assert desk.waiting_deliveries() == {"police": (1, ""), "mbie": (1, "")}
    done = [entry.did for entry in desk.journal.entries][-5:]
    assert done == ["not-sent", "to-translator", "not-sent", "referred", "in-outbox"]


@pytest.mark.parametrize("reached", [True, False])
def test_a_desk_that_was_killed_while_sending_decides_at_the_next_start(office, monkeypatch, reached):
    """What is in the outbox stays sent; what is not counts as not sent, and a note says that it must be sent again."""
    with office.desk() as desk:
        case, parties = _ready(office, desk)
        put = desk.outbox.put

        def die(envelopes):
            if reached:
                put(envelopes)
            raise KeyboardInterrupt

        monkeypatch.setattr(desk.outbox, "put", die)
        with pytest.raises(KeyboardInterrupt):
            send_referrals(case, parties[:1], desk.referral_context, "Ana")
        assert len(desk.cases.get(case.id).leaving) == 1
    with office.desk() as desk:
        decide_interrupted(desk.referral_context)
        now = desk.cases.get(case.id)
        assert now.leaving == ()
        assert (now.state, len(now.referrals)) == ((State.REFERRED, 1) if reached else (State.WORK, 0))
        assert ["counts as not sent" in note.text for note in now.notes] == ([] if reached else [True])


def test_nobody_changes_a_tip_while_its_referral_is_being_sealed(office, desk, monkeypatch):
    """While envelopes are sealed, closing, giving back and sending again are refused; a note is not, and is kept."""
    case, parties = _ready(office, desk)
    put, refused = desk.outbox.put, []

    def put_slowly(envelopes):
        for act in (
            lambda: close_case(desk.cases, case.id, "Ana", "finished"),
            lambda: desk.cases.release(case.id, "Ana"),
            lambda: desk.cases.release(case.id, "Ben", force=True),
            lambda: send_referrals(desk.cases.get(case.id), parties, desk.referral_context, "Ana"),
        ):
            with pytest.raises(RefusedError) as error:
                act()
            refused.append(error.value.code)
        desk.cases.note(case.id, "Ben", "seen")
        decide_interrupted(desk.referral_context)
        put(envelopes)

    monkeypatch.setattr(desk.outbox, "put", put_slowly)
    send_referrals(case, parties[:1], desk.referral_context, "Ana")
    now = desk.cases.get(case.id)
    assert refused == ["busy"] * 4
    assert (len(now.referrals), now.leaving, [note.text for note in now.notes]) == (1, (), ["seen"])
    assert desk.waiting_deliveries() == {"police": (1, "")}


def test_what_a_full_disk_left_undecided_is_decided_later(office, desk, monkeypatch):
    """The referral is in the outbox and the disk is full before the case says so: the next look decides it as sent."""
    case, parties = _ready(office, desk)
    change = desk.cases.change

    def fail(tip_id, who, did, transition, **more):
        if did == "in-outbox":
            raise RefusedError("disk-full")
        return change(tip_id, who, did, transition, **more)

    monkeypatch.setattr(desk.cases, "change", fail)
    with pytest.raises(RefusedError, match="disk-full"):
        send_referrals(case, parties[:1], desk.referral_context, "Ana")
    assert len(desk.cases.get(case.id).leaving) == 1
    decide_interrupted(desk.referral_context)
    now = desk.cases.get(case.id)
    assert (now.state, len(now.referrals), now.leaving, now.notes) == (State.REFERRED, 1, (), ())
