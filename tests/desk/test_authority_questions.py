"""Questions of authorities at the desk: which count, what becomes of them, and that nothing else is shown."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from app.delivery.outbox import Envelope
from app.desk.arrival_notice import notice_arrivals
from app.desk.authority_questions import MAX_WAITING_QUESTIONS, put_to_sender, question_state
from app.desk.case_fields import QuestionState
from app.desk.case_json import decode_case, encode_case
from app.desk.closing import close_case
from app.desk.envelopes import deposit_envelope
from app.desk.errors import RefusedError
from app.desk.question_bundle import question_bundle, question_json
from app.desk.queue import QueueFilter
from app.vault.age import ENVELOPE_BYTES, seal
from app.vault.bundle import pack
from app.vault.keys import recipient_of
from app.vault.signature import SignatureContext, encode_public_key, new_signing_key, read_signing_key, sign
from app.vault.tip_bundles import Bundle
from tests.support.desk import DAY, NOON, Office, receive, reply_to, tip
from tests.support.questions import TEXT, ask, drop, question, referred


def test_a_question_comes_into_its_case_and_brings_it_back_among_the_open_tips(office, desk):
    """A closed tip that an authority asks about stands under "To do" and "Authority asks", and the notice says so."""
    case = referred(office, desk)
    close_case(desk.cases, case.id, "Ana", "finished")
    assert desk.queue.page(QueueFilter(), "Ana").total == 0
    seen = len(desk.cases.arrivals.ids)
    asked = ask(office, desk, case)
    assert (asked.authority, asked.name, asked.text, asked.day) == ("police", "Example Police", TEXT, DAY)
    for view in ("open", "asked"):
        assert [row.id for row in desk.queue.page(QueueFilter(view=view), "Ana").rows] == [case.id]
    assert notice_arrivals(desk.cases, seen).sentence == "1 authority asks about a tip."
    received = [entry for entry in desk.journal.entries if entry.did == "question-received"]
    assert [(entry.tip, entry.what) for entry in received] == [(case.id, f"question {asked.id} from police")]
    assert not list(office.inbox.iterdir())


def _other_key():
    return read_signing_key(new_signing_key(None)[0], None)


def test_what_is_forged_replayed_or_about_another_case_is_set_aside(office, desk):
    """Each of ten bad questions is set aside with its reason, none of its words is shown, and the good one counts."""
    case = referred(office, desk)
    mbie = referred(office, desk, parties=("mbie",))
    good = question(office, case)
    drop(office, good)
    receive(desk)
    stranger = _other_key()
    bad = {
        "question-key": lambda: drop(office, question(office, case), key=stranger),
        "question-signature": lambda: _drop_unsigned(office, question(office, case)),
        "question-desk": lambda: drop(office, question(office, case, to=encode_public_key(bytes(32)))),
        "question-unknown": lambda: drop(office, question(office, case, reference="0000-0000")),
        "question-case": lambda: drop(office, question(office, mbie)),
        "question-day": lambda: drop(office, question(office, case, day=DAY - timedelta(days=31))),
        "question-again": lambda: drop(office, replace(good, text="Who are you?")),
        "name": lambda: drop(office, question(office, case)).rename(office.inbox / f"{'2' * 26}.age"),
    }
    for code, act in bad.items():
        before = [name for name, _ in desk.inbox.set_aside()]
        act()
        receive(desk)
        assert [found for name, found in desk.inbox.set_aside() if name not in before] == [code]
    drop(office, good)  # the same words, sealed anew
    drop(office, question(office, case, day=DAY + timedelta(days=2)))
    receive(desk)
    codes = sorted(code for _, code in desk.inbox.set_aside())
    assert codes == sorted([*bad, "question-again", "question-day"])
    assert [one.id for one in desk.cases.get(case.id).questions] == [good.id]
    assert desk.cases.get(mbie.id).questions == ()
    assert sum(entry.did == "set-aside" for entry in desk.journal.entries) == len(codes)


def _drop_unsigned(office, asked):
    """Drop a question that the police's key did not sign, though the question names that key."""
    line = question_json(asked)
    signature = sign(SignatureContext.QUESTION, line, _other_key()).encode()
    office.drop_bundle(Bundle(asked.id, pack({"question.json": line, "question.sig": signature})))


def test_a_question_arrives_from_the_receiver_and_from_a_mailbox_too(office, desk):
    """What `receive` or the mailbox puts into the inbox has the length of every envelope, and is a question alike."""
    case = referred(office, desk)
    asked = question(office, case)
    bundle = question_bundle(asked, office.police_key)
    envelope = Envelope(bundle.id, "", seal(bundle.data, [recipient_of(office.identity)]))
    assert len(envelope.data) == ENVELOPE_BYTES, "the receiver takes no other length"
    assert deposit_envelope(office.inbox, envelope)
    receive(desk)
    assert [one.id for one in desk.cases.get(case.id).undecided] == [asked.id]


def test_a_question_is_known_again_after_a_restart(office):
    """The desk knows by its journal which questions it had: a replay after a restart is set aside too."""
    with office.desk() as desk:
        case = referred(office, desk)
        asked = question(office, case)
        drop(office, asked)
        receive(desk)
    with office.desk() as desk:
        assert [one.text for one in desk.cases.get(case.id).undecided] == [TEXT]
        drop(office, asked)
        receive(desk)
        assert [code for _, code in desk.inbox.set_aside()] == ["question-again"]


def test_an_authority_whose_key_expired_or_which_has_none_is_refused(tmp_path):
    """Past the last day of its keys, or without a key for questions in desk.toml, an authority asks in vain."""
    office = Office(tmp_path)
    text = office.config.read_text()
    with office.desk() as desk:
        case = referred(office, desk)
    for changed, code in (
        (text.replace(f'question_key = "{office.question_key}"', ""), "question-key"),
        (text.replace("question_key =", "expires = 2026-11-21\nquestion_key ="), "question-expired"),
    ):
        office.config.write_text(changed)
        with office.desk() as desk:
            drop(office, question(office, case))
            receive(desk)
            assert code in [found for _, found in desk.inbox.set_aside()]
            assert desk.cases.get(case.id).questions == ()


def test_a_question_about_a_destroyed_or_locked_tip_is_noted_without_words(office):
    """The envelope is set aside with that reason, the journal says who asked, and no word of the question is kept."""
    times = [NOON]
    with office.desk(clock=lambda: times[0]) as desk:
        locked, gone = referred(office, desk), referred(office, desk)
        desk.cases.lock_away(locked.id, "Ana")
        close_case(desk.cases, gone.id, "Ana", "finished")
        desk.authority_questions.note_ended([gone])
        desk.cases.destroy([desk.cases.get(gone.id)])
        for case in (locked, gone):
            drop(office, question(office, case))
        receive(desk)
        assert [code for _, code in desk.inbox.set_aside()] == ["question-ended"] * 2
        noted = [entry for entry in desk.journal.entries if entry.did == "question-ended"]
        assert sorted(entry.tip for entry in noted) == sorted(["", locked.id])
        assert desk.cases.get(locked.id).questions == ()
    with office.desk(clock=lambda: times[0]) as desk:
        drop(office, question(office, gone))
        receive(desk)
        assert [code for _, code in desk.inbox.set_aside()] == ["question-ended"] * 3, "after a restart too"


def test_a_case_that_is_over_leaves_its_references_in_the_journal(office):
    """When the desk destroys what was closed long ago, it journals the references, so that a question is understood."""
    times = [NOON]
    with office.desk(clock=lambda: times[0]) as desk:
        case = referred(office, desk)
        close_case(desk.cases, case.id, "Ana", "finished")
        for days in (31, 33):
            times[0] = NOON + days * 86_400
            desk.destroy_overdue()
        assert desk.cases.all() == ()
        drop(office, question(office, case, day=desk.cases.today()))
        receive(desk)
        assert [code for _, code in desk.inbox.set_aside()] == ["question-ended"]


def test_one_case_has_at_most_twenty_questions_that_wait(office, desk):
    """An authority, or the thief of its key, fills no case: the twenty-first question is set aside."""
    case = referred(office, desk)
    for _ in range(MAX_WAITING_QUESTIONS + 1):
        drop(office, question(office, case))
    receive(desk)
    assert len(desk.cases.get(case.id).undecided) == MAX_WAITING_QUESTIONS
    assert [code for _, code in desk.inbox.set_aside()] == ["question-many"]


def test_two_handlers_at_once_put_a_question_to_the_sender_once(office, desk):
    """Only who works on the tip decides, and only once: a second press finds the question decided."""
    case = referred(office, desk)
    asked = ask(office, desk, case, questions=("dogs",))
    put = {"untrusted_text": "Which day does the van come?", "ids": ("dogs", "weapons")}
    with pytest.raises(RefusedError, match="claimed"):
        put_to_sender(desk.cases, desk.replies, desk.cases.get(case.id), "Ben", asked.id, **put)
    done = put_to_sender(desk.cases, desk.replies, desk.cases.get(case.id), "Ana", asked.id, **put)
    with pytest.raises(RefusedError, match="question-decided"):
        put_to_sender(desk.cases, desk.replies, desk.cases.get(case.id), "Ana", asked.id, **put)
    written = [(one.who, one.kind, one.value or one.text) for one in desk.cases.get(case.id).thread if one.who == "Ana"]
    assert written == [("Ana", "message", "Which day does the van come?"), ("Ana", "question", "dogs")]
    assert question_state(desk.cases, done, done.questions[0]) is QuestionState.PUT
    assert done.undecided == ()


def test_a_question_that_was_put_waits_over_a_restart_for_its_post(office):
    """A desk that ends between the handler's yes and the post loses nothing: the words wait, sealed, and go once."""
    with office.desk() as desk:
        case = referred(office, desk)
        asked = ask(office, desk, case)
        put_to_sender(
            desk.cases, desk.replies, desk.cases.get(case.id), "Ana", asked.id, untrusted_text="Which day?", ids=()
        )
    with office.desk() as desk:
        waiting = [message.text for _, message in desk.replies.waiting(NOON)]
        assert waiting == ["Which day?"]
        assert desk.cases.get(case.id).questions[0].put
        written = [path.read_bytes() for path in office.store.rglob("*") if path.is_file()]
        assert written
        assert not any(words in data for data in written for words in (b"Which day", TEXT.encode()))


def test_nothing_is_put_to_a_sender_who_left_no_way_back(office, desk):
    """Without a way back the question waits, and nothing is written."""
    case = referred(office, desk, sent=tip())
    asked = ask(office, desk, case)
    with pytest.raises(RefusedError, match="no-reply"):
        put_to_sender(desk.cases, desk.replies, desk.cases.get(case.id), "Ana", asked.id, untrusted_text="x", ids=())
    assert len(desk.cases.get(case.id).undecided) == 1


def test_a_question_about_a_referred_answer_comes_into_the_tip_of_the_thread(office, desk):
    """An answer of a sender that was referred by itself has no thread: the question is asked in that of its tip."""
    whole = referred(office, desk)
    later = referred(office, desk, sent=tip({"what": "The van is white."}, answers_to=reply_to().locator))
    asked = ask(office, desk, later)
    assert [one.id for one in desk.cases.get(whole.id).questions] == [asked.id]
    assert desk.cases.get(later.id).questions == ()


def test_a_store_from_before_questions_opens(office):
    """Records that know nothing of questions are read, with none."""
    with office.desk() as desk:
        case = referred(office, desk)
        raw = json.loads(encode_case(desk.cases.get(case.id)))
        del raw["questions"], raw["draft"]["question"], raw["referrals"][0]["question"]
        old = decode_case(json.dumps(raw).encode())
        assert (old.questions, old.draft.question, old.referrals[0].question) == ((), "", "")
