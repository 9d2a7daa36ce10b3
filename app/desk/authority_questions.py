"""The questions that authorities ask about referrals: taken in, put to the sender by a handler, or declined.

A question counts only if the key of an authority in desk.toml signed it for this desk, and if that very authority has
the referral that it names. Everything else is set aside as a bad envelope is, and never shown as a question. Nothing
goes to the sender by itself: a handler who works on the case decides, and what is sent are the handler's words. What a
question became stands in the case: an answer in its referrals, everything else in the question.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

from app.core.errors import EnvelopeError
from app.core.unicode import clean_text
from app.desk.arrival_notice import find_shown
from app.desk.asking import question_messages
from app.desk.case import Case
from app.desk.case_fields import CaseQuestion, QuestionState, State
from app.desk.cases import Cases
from app.desk.config import Authority
from app.desk.errors import RefusedError
from app.desk.journal import DESK, JournalEntry
from app.desk.question_bundle import AuthorityQuestion
from app.desk.referral import reference_of
from app.desk.replies import ReplyQueue
from app.desk.thread import MessageKind, ThreadMessage
from app.desk.withdrawn import is_promised
from app.vault.signature import decode_public_key, encode_public_key
from app.vault.tip import new_tip_id

MAX_WAITING_QUESTIONS = 20  # of one case
MAX_TRAVEL_DAYS = 30  # from the day that a question names to the day on which it arrives
DECLINE_REASONS: Mapping[str, str] = {
    "no-way": "The sender left no way to write back",
    "identity": "It asks who or where the sender is",
    "danger": "It could put the sender or somebody else in danger",
    "known": "The tip or an earlier answer says this already",
    "other": "Another reason",
}
_RECEIVED, _ENDED = "question-received", "reference-ended"
_HASH_CHARACTERS = 32  # of a reference's SHA-256 in the journal


class AuthorityQuestions:
    """The questions that come to one desk; `authorities` by id, `desk_key` the desk's public signing key."""

    def __init__(self, cases: Cases, authorities: Mapping[str, Authority], desk_key: bytes) -> None:
        self._cases, self._desk_key = cases, encode_public_key(desk_key)
        self._authorities = {party.question_key: party for party in authorities.values() if party.question_key}
        entries = cases.journal.entries
        self._known = {one.what.split(" ")[1] for one in entries if one.did == _RECEIVED}
        self._ended = {one.what for one in entries if one.did == _ENDED}

    def receive(self, question: AuthorityQuestion) -> None:
        """Put a question into the case whose referral it is about.

        Raises EnvelopeError, with a code that begins with `question-`, for what is to be set aside, and RefusedError
        for a fault of the disk or journal.
        """
        authority = self._require_authority(question)
        case = self._find_case(question, authority)
        asked = CaseQuestion(
            question.id,
            authority.id,
            authority.name,
            question.reference,
            question.day,
            clean_text(question.text),
            question.questions,
        )
        what = f"question {question.id} from {authority.id}"
        if case is None or case.state is State.OBJECTIONABLE or is_promised(case):
            self._cases.journal.write(JournalEntry(DESK, "question-ended", case.id if case else "", what))
            raise EnvelopeError("question-ended")
        self._cases.change(case.id, DESK, _RECEIVED, lambda now: _with_question(now, asked), what=what)
        self._known.add(question.id)
        self._cases.arrivals.note_question(question.id)

    def note_ended(self, cases: Iterable[Case]) -> None:
        """Journal, before cases are destroyed, which references are known no more; raises RefusedError."""
        marks = [
            (case.id, _ended_mark(sent.authority, reference_of(sent.id))) for case in cases for sent in case.referrals
        ]
        new = [(case_id, mark) for case_id, mark in marks if mark not in self._ended]
        if new:
            self._cases.journal.write(*(JournalEntry(DESK, _ENDED, case_id, mark) for case_id, mark in new))
            self._ended.update(mark for _, mark in new)

    def _require_authority(self, question: AuthorityQuestion) -> Authority:
        authority = self._authorities.get(decode_public_key(question.key))
        if authority is None:
            raise EnvelopeError("question-key")
        if self._cases.days_left(authority.expires) < 0:
            raise EnvelopeError("question-expired")
        if question.to != self._desk_key:
            raise EnvelopeError("question-desk")
        today = self._cases.today()
        if not today - timedelta(days=MAX_TRAVEL_DAYS) <= question.day <= today + timedelta(days=1):
            raise EnvelopeError("question-day")
        if question.id in self._known:
            raise EnvelopeError("question-again")
        return authority

    def _find_case(self, question: AuthorityQuestion, authority: Authority) -> Case | None:
        """Return the case whose thread the question is about, None where that is destroyed; raises EnvelopeError."""
        sent = [
            (case, one.authority)
            for case in self._cases.all()
            for one in case.referrals
            if reference_of(one.id) == question.reference
        ]
        found = [case for case, party in sent if party == authority.id]
        if len(found) != 1:
            if not sent and _ended_mark(authority.id, question.reference) in self._ended:
                return None
            raise EnvelopeError("question-case" if sent else "question-unknown")
        case = self._cases.parent(found[0]) or found[0]
        if len(case.undecided) >= MAX_WAITING_QUESTIONS:
            raise EnvelopeError("question-many")
        return case


def find_question(cases: Cases, case: Case, question_id: str) -> tuple[Case, CaseQuestion]:
    """Return a question, and the case that has it: this case, or that to whose thread this one belongs.

    Raises RefusedError `gone`.
    """
    for one in (case, cases.parent(case)):
        found = next((each for each in one.questions if each.id == question_id), None) if one else None
        if one and found:
            return one, found
    raise RefusedError("gone")


def question_state(cases: Cases, case: Case, question: CaseQuestion) -> QuestionState:
    """Return the state of a question of a case; an answer may have gone out with an answer of the case's thread."""
    if any(sent.question == question.id for each in (case, *thread_cases(cases, case)) for sent in each.referrals):
        return QuestionState.ANSWERED
    if question.declined:
        return QuestionState.DECLINED
    return QuestionState.PUT if question.put else QuestionState.WAITING


def thread_cases(cases: Cases, case: Case) -> list[Case]:
    """Return the cases of the sender's answers in the thread of a case that are still here and may be shown."""
    shown = (find_shown(cases, message.id) for message in case.thread if not message.who)
    return [one for one in shown if one is not None]


def require_undecided(cases: Cases, case: Case, question_id: str) -> CaseQuestion:
    """Return a question that is neither answered nor declined; raises RefusedError `question-decided`, `gone`."""
    owner, question = find_question(cases, case, question_id)
    if question_state(cases, owner, question) in {QuestionState.ANSWERED, QuestionState.DECLINED}:
        raise RefusedError("question-decided")
    return question


def answered_question(cases: Cases, case: Case) -> CaseQuestion | None:
    """Return the question that the draft of a case answers, None for an ordinary referral; raises RefusedError."""
    return require_undecided(cases, case, case.draft.question) if case.draft.question else None


def without_refusals(case: Case, unsent: Collection[str]) -> tuple[CaseQuestion, ...]:
    """Return the questions of a case, with those refusals to be sent again that have not left."""
    return tuple(
        replace(one, refusal="", wants_refusal=True) if one.refusal in unsent else one for one in case.questions
    )


def is_question_key_confirmed(cases: Cases, authority: Authority) -> bool:
    """Whether the journal says that the key of an authority's questions was compared by voice."""
    return cases.journal.has("confirmed-key", _key_mark(authority))


def confirm_question_key(cases: Cases, authority: Authority, who: str) -> None:
    """Journal that the key of an authority's questions was compared by voice."""
    cases.journal.write(JournalEntry(who, "confirmed-key", "", _key_mark(authority)))


def put_to_sender(
    cases: Cases,
    replies: ReplyQueue,
    case: Case,
    who: str,
    question_id: str,
    *,
    untrusted_text: str,
    ids: Iterable[str],
) -> Case:
    """Write a question into the thread with the sender, in a handler's words or by ids of the catalogue, once.

    Raises RefusedError: `question-decided`, `no-words` without either, and as `ReplyQueue.checked` and
    `Case.require_holder` do.
    """
    replies.require_way(case)
    text = replies.checked(untrusted_text) if clean_text(untrusted_text) else ""
    ticked = list(dict.fromkeys(ids))

    def put(now: Case) -> Case:
        now.require_holder(who)
        question = _waiting_question(now, question_id)
        day = cases.today()
        words = [ThreadMessage(day, who, text, id=new_tip_id())] if text else []
        chosen = [one for one in question.asked if one in ticked]
        messages = [*words, *question_messages(now, who, day, chosen)]
        asked_before = [one.id for one in now.thread if one.kind is MessageKind.QUESTION and one.value in chosen]
        if not messages and not asked_before:
            raise RefusedError("no-words")
        changed = replace(question, put=tuple([one.id for one in messages] or asked_before), by=who)
        return replace(with_changed_question(now, changed), thread=(*now.thread, *messages))

    return cases.change(case.id, who, "question-put", put, what=f"question {question_id}")


def with_changed_question(case: Case, question: CaseQuestion) -> Case:
    """Return a case with a question in place of the one of the same id."""
    return replace(case, questions=tuple(question if one.id == question.id else one for one in case.questions))


def _waiting_question(case: Case, question_id: str) -> CaseQuestion:
    found = next((one for one in case.undecided if one.id == question_id), None)
    if found is None:
        raise RefusedError("question-decided")
    return found


def _with_question(now: Case, asked: CaseQuestion) -> Case:
    return replace(now, questions=(*now.questions, asked))


def _ended_mark(authority_id: str, reference: str) -> str:
    return f"{authority_id} {sha256(reference.encode()).hexdigest()[:_HASH_CHARACTERS]}"


def _key_mark(authority: Authority) -> str:
    return f"{authority.id} question {sha256(authority.question_key).hexdigest()[:_HASH_CHARACTERS]}"
