"""What goes back to an authority that asked: an answer, redacted and released as a referral is, or a refusal.

A refusal is one fixed sentence, signed and sealed as a referral is: it names no reason, because a reason would say
something about the sender. With two-person release a second person lets it go. Without a refusal nothing leaves, and
the authority cannot tell whether the question was declined, was put to the sender, or never arrived.
"""

from dataclasses import replace

from app.desk.authority_questions import (
    DECLINE_REASONS,
    find_question,
    require_undecided,
    thread_cases,
    with_changed_question,
)
from app.desk.case import Case
from app.desk.case_fields import CaseQuestion
from app.desk.cases import Cases
from app.desk.config import Authority
from app.desk.dispatch import ReferralContext
from app.desk.errors import RefusedError
from app.desk.redaction import MAX_TERMS
from app.desk.referral import Referral, referral_bundles, referral_words
from app.desk.release import ReadyReferral, put_into_outbox, require_usable_key, sending
from app.vault.signature import encode_public_key, public_bytes
from app.vault.tip import new_tip_id

REFUSAL = "The desk does not put this question to the sender. This says nothing about the sender or the tip."


def answer_sources(cases: Cases, case: Case, question: CaseQuestion) -> list[Case]:
    """Return what can answer a question of a case: the case itself, and what its sender wrote since the question."""
    days = [message.day for message in case.thread if message.id in question.put]
    since = [message.id for message in case.thread if not message.who and days and message.day >= min(days)]
    return [case, *(one for one in thread_cases(cases, case) if one.id in since)]


def begin_answer(context: ReferralContext, tip: str, who: str, question_id: str, untrusted_source: str) -> Case:
    """Let `who` redact one of the sources as the answer to a question, for the authority that asked alone.

    What was taken out of the tip is taken out of a later answer too, as far as the list of words has room. Raises
    RefusedError: `question-decided`, `gone`, and as `Case.require_holder` and `Cases.claim` do.
    """
    cases = context.cases
    case = cases.get(tip)
    case.require_holder(who)
    question = require_undecided(cases, case, question_id)
    source = next((one for one in answer_sources(cases, case, question) if one.id == untrusted_source), None)
    if source is None:
        raise RefusedError("gone")
    removed = context.redaction(case).removed if case.draft.looked and source.id != case.id else ()
    cases.claim(source.id, who)

    def begin(now: Case) -> Case:
        require_undecided(cases, now, question_id)
        terms = tuple(dict.fromkeys([*now.draft.terms, *removed]))[:MAX_TERMS]
        draft = replace(now.draft, question=question_id, authorities=(question.authority,), terms=terms)
        return now.with_draft(who, draft)

    return cases.change(source.id, who, "answering", begin, what=f"question {question_id}")


def decline_question(
    cases: Cases, tip: str, who: str, question_id: str, untrusted_reason: str, *, wants_refusal: bool
) -> Case:
    """Decline a question for one of our reasons; with `wants_refusal` a refusal is yet to be sent.

    Raises RefusedError: `question-reason`, `question-decided`, and as `Case.require_redactor` does.
    """
    if untrusted_reason not in DECLINE_REASONS:
        raise RefusedError("question-reason")

    def decline(now: Case) -> Case:
        now.require_redactor(who)
        question = require_undecided(cases, now, question_id)
        return with_changed_question(
            now, replace(question, declined=untrusted_reason, by=who, wants_refusal=wants_refusal)
        )

    return cases.change(tip, who, "question-declined", decline, what=f"question {question_id} {untrusted_reason}")


def send_refusal(
    case: Case, party: Authority, question_id: str, context: ReferralContext, who: str, *, two_persons: bool
) -> Case:
    """Sign and seal the refusal of a declined question for the authority that asked, and put it into the outbox.

    With `two_persons`, `who` must not be the person who declined. Raises RefusedError (`question-decided`,
    `question-other`, `same-person`, `expired`, `unconfirmed`, …) and OutboxError.
    """
    require_usable_key(party, context)
    _, question = find_question(context.cases, case, question_id)
    ready = _ready_refusal(question, party, context)

    def refuse(now: Case) -> Case:
        present = _require_wanted(now, question_id)
        if present.authority != party.id:
            raise RefusedError("question-other")
        if two_persons and present.by == who:
            raise RefusedError("same-person")
        changed = with_changed_question(now, replace(present, wants_refusal=False, refusal=ready.id))
        return replace(changed, leaving=(ready.id,))

    with sending([ready], context):
        what = f"question {question_id} to {party.id}"
        context.cases.change(case.id, who, "question-refused", refuse, what=what)
        return put_into_outbox(case, [ready], context, who)


def drop_refusal(cases: Cases, tip: str, who: str, question_id: str) -> Case:
    """Send no refusal of a declined question; raises RefusedError `question-decided` where it has left."""

    def drop(now: Case) -> Case:
        return with_changed_question(now, replace(_require_wanted(now, question_id), wants_refusal=False))

    return cases.change(tip, who, "question-not-told", drop, what=f"question {question_id}")


def _require_wanted(now: Case, question_id: str) -> CaseQuestion:
    now.require_open()
    found = next((one for one in now.questions if one.id == question_id), None)
    if found is None or not found.wants_refusal:
        raise RefusedError("question-decided")
    return found


def _ready_refusal(question: CaseQuestion, party: Authority, context: ReferralContext) -> ReadyReferral:
    words = referral_words(
        Referral(
            id=new_tip_id(),
            to=party.name,
            day=question.day,
            summary=REFUSAL,
            danger="",
            children="",
            kinds=(),
            fields={},
            files=(),
            removed=(),
            contact=context.contact,
            key=encode_public_key(public_bytes(context.key)),
            purpose="cannot-ask",
            question=question.id,
            about=question.reference,
        )
    )
    return ReadyReferral(party, words, tuple(referral_bundles(words, (), context.key)))
