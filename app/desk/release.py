"""Send a referral, or a hand-over to a translator: by one handler, or prepared by one and released by a second.

The case changes first, under the lock of every change, and only then anything is sealed: however often a button is
pressed, one press changes the case, and every other press finds the case changed. What could not be put into the outbox
is taken back in the case; what a killed desk left undecided is decided at the next start. Nothing is sealed to a key
that has expired or was never confirmed by voice. With two-person release nothing leaves that only one person looked at.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from app.core.errors import BundleError
from app.delivery.outbox import Envelope
from app.desk.authority_questions import answered_question, without_refusals
from app.desk.case import Case
from app.desk.case_fields import CaseNote, SentReferral, State
from app.desk.cases import Cases
from app.desk.config import Authority
from app.desk.dispatch import ReferralContext, build_referral, is_key_confirmed
from app.desk.errors import RefusedError
from app.desk.journal import DESK
from app.desk.referral import ReferralWords, referral_bundles, referral_json, referral_words
from app.desk.withdrawal_request import note_reason, require_reason
from app.vault.age import seal
from app.vault.signature import SignatureContext, sign
from app.vault.tip import TipId
from app.vault.tip_bundles import Bundle

_INTERRUPTED = (
    "The desk stopped while it was sending this. The desk cannot tell if it was sent, so it counts as not sent. Look "
    "at the tip and send it again. If both arrive, they have different references."
)


@dataclass(frozen=True)
class ReadyReferral:
    """A referral that is ready to be sealed for one party, in bundles, its words first."""

    party: Authority
    words: ReferralWords
    bundles: tuple[Bundle, ...]

    @property
    def id(self) -> TipId:
        """The id of the referral, and of the envelope of its words."""
        return self.words.referral.id


def send_referrals(
    case: Case,
    parties: Sequence[Authority],
    context: ReferralContext,
    who: str,
    *,
    second: str = "",
    despite: str = "",
) -> Case:
    """Note one referral for each party in the case, then seal each and put it into the outbox.

    `second` is the person who releases what `who` prepared; `despite` is the reason to pass on what its sender asked
    the desk not to. Raises RefusedError and OutboxError. A case that was changed since it was read is refused
    (`changed`), so that only what was looked at is sent.
    """
    _require_complete(case, parties)
    _require_asker(case, parties, context)
    prepared = _prepare(case, parties, context)
    sent = tuple(_record(one, context, who, second) for one in prepared)

    def refer(now: Case) -> Case:
        if second:
            now.require_second(second)
        else:
            now.require_redactor(who)
        _require_unchanged(now, case)
        require_reason(now, context.cases, despite)
        answered_question(context.cases, now)
        referred = now.referred(sent, holder="" if second else now.holder)
        return replace(referred, draft=replace(referred.draft, question=""))

    what = "to " + " ".join(party.id for party in parties)
    with sending(prepared, context):
        note_reason(context.cases, case.id, second or who, despite)
        context.cases.change(case.id, second or who, "referred", refer, what=what)
        return put_into_outbox(case, prepared, context, second or who)


def prepare_referral(case: Case, context: ReferralContext, who: str, *, despite: str = "") -> Case:
    """Hand a finished draft to a second person; raises as `send_referrals` would for the same draft."""
    _require_complete(case, case.draft.authorities)
    build_referral(case, context.redaction(case), "-", context)
    return _wait_for_second(case, context.cases, who, despite=despite)


def release_referral(
    case: Case, parties: Sequence[Authority], context: ReferralContext, who: str, *, despite: str = ""
) -> Case:
    """Send what another person prepared; raises RefusedError `same-person` or `state`, and as `send_referrals` does."""
    case.require_second(who)
    return send_referrals(case, parties, context, case.draft.by, second=who, despite=despite)


def send_to_translator(
    case: Case, translator: Authority, context: ReferralContext, who: str, *, second: str = "", despite: str = ""
) -> Case:
    """Note that a translator gets the redacted text, without files, then seal the text and put it into the outbox.

    `second` is the person who releases what `who` prepared. Raises RefusedError and OutboxError.
    """
    prepared = _prepare(without_files(case), [translator], context, purpose="translation")

    def hand_over(now: Case) -> Case:
        _require_unchanged(now, case)
        require_reason(now, context.cases, despite)
        return now.handed_over(who, prepared[0].id, second=second)

    with sending(prepared, context):
        note_reason(context.cases, case.id, second or who, despite)
        context.cases.change(case.id, second or who, "to-translator", hand_over, what=translator.id)
        return put_into_outbox(case, prepared, context, second or who)


def prepare_hand_over(
    case: Case, translator: Authority, context: ReferralContext, who: str, *, despite: str = ""
) -> Case:
    """Hand the text for a translator to a second person; raises as `send_to_translator` would for the same draft."""
    require_usable_key(translator, context)
    shown = without_files(case)
    build_referral(shown, context.redaction(shown), translator.name, context, purpose="translation")
    return _wait_for_second(case, context.cases, who, translator=translator.id, despite=despite)


def release_hand_over(
    case: Case, translator: Authority, context: ReferralContext, who: str, *, despite: str = ""
) -> Case:
    """Send to a translator what another person prepared; raises RefusedError `same-person` or `state`."""
    case.require_second(who)
    return send_to_translator(case, translator, context, case.draft.by, second=who, despite=despite)


def without_files(case: Case) -> Case:
    """Return a case as a translator gets it: with a draft that carries no file."""
    return replace(case, draft=replace(case.draft, files=()))


def decide_interrupted(context: ReferralContext) -> None:
    """Decide what a killed desk or a full disk left undecided, and nobody is sending now.

    What is not in the outbox counts as not sent, and a note says so. Call this before the forwarder begins, then from
    time to time. Raises RefusedError and OutboxError.
    """
    cases = context.cases
    for case in cases.all():
        if case.leaving and not context.sending.intersection(case.leaving):
            sent = frozenset(context.outbox.present([TipId(one) for one in case.leaving]))
            note = CaseNote(cases.today(), DESK, _INTERRUPTED)
            cases.change(case.id, DESK, "interrupted", _after_interruption(sent, note))


def _after_interruption(sent: frozenset[TipId], note: CaseNote) -> Callable[[Case], Case]:
    def decide(now: Case) -> Case:
        if sent.issuperset(now.leaving):
            return replace(now, leaving=())
        referrals = _without(now, frozenset(now.leaving) - sent)
        state = State.REFERRED if referrals else State.WORK
        questions = without_refusals(now, frozenset(now.leaving) - sent)
        notes = (*now.notes, note)
        return replace(now, state=state, holder="", referrals=referrals, questions=questions, notes=notes, leaving=())

    return decide


@contextmanager
def sending(prepared: Sequence[ReadyReferral], context: ReferralContext) -> Iterator[None]:
    """Say, until the block ends, that these are being sent: nobody else then decides what became of them."""
    """Say, until the block ends, that these are being sent: nobody else then decides what became of them."""
    ids = {one.id for one in prepared}
    context.sending.update(ids)
    try:
        yield
    finally:
        context.sending.difference_update(ids)


def put_into_outbox(before: Case, prepared: Sequence[ReadyReferral], context: ReferralContext, who: str) -> Case:
    """Seal and put what is noted in the case as leaving; what fails is taken back there, and raised."""
    try:
        # All or none: after a failure the case says that nothing was sent.
        context.outbox.put(
            [
                Envelope(bundle.id, one.party.id, seal(bundle.data, one.party.recipients))
                for one in prepared
                for bundle in one.bundles
            ]
        )
    except Exception:
        context.cases.change(before.id, who, "not-sent", lambda now: _taken_back(now, before))
        raise
    return context.cases.change(before.id, who, "in-outbox", lambda now: replace(now, leaving=()))


def _taken_back(now: Case, before: Case) -> Case:
    return replace(
        now,
        state=before.state,
        holder=before.holder,
        draft=before.draft,
        translator=before.translator,
        referrals=_without(now, now.leaving),
        questions=without_refusals(now, now.leaving),
        leaving=(),
    )


def _without(case: Case, unsent: Collection[str]) -> tuple[SentReferral, ...]:
    return tuple(one for one in case.referrals if one.id not in unsent)


def _wait_for_second(case: Case, cases: Cases, who: str, *, translator: str = "", despite: str = "") -> Case:
    def prepare(now: Case) -> Case:
        _require_unchanged(now, case)
        require_reason(now, cases, despite)
        return now.prepared(who, translator=translator)

    note_reason(cases, case.id, who, despite)
    return cases.change(case.id, who, "prepared", prepare, what=translator)


def _prepare(
    case: Case, parties: Sequence[Authority], context: ReferralContext, *, purpose: str = "referral"
) -> list[ReadyReferral]:
    """Return the referral of each party, ready to be sealed; raises RefusedError."""
    for party in parties:
        require_usable_key(party, context)
    redaction, prepared = context.redaction(case), []
    for party in parties:
        referral = build_referral(case, redaction, party.name, context, purpose=purpose)
        words = referral_words(referral)
        try:
            bundles = referral_bundles(words, referral.files, context.key)
        except BundleError as error:
            raise (RefusedError("referral-too-long") if error.code == "too-large" else error) from None
        prepared.append(ReadyReferral(party, words, tuple(bundles)))
    return prepared


def _record(one: ReadyReferral, context: ReferralContext, who: str, second: str) -> SentReferral:
    text, day = referral_json(one.words), context.cases.today()
    signature = sign(SignatureContext.REFERRAL, text, context.key)
    question = one.words.referral.question
    return SentReferral(one.id, one.party.id, one.party.name, day, who, second, text.decode(), signature, question)


def _require_complete(case: Case, chosen: Sequence[object]) -> None:
    if not chosen:
        raise RefusedError("no-authority")
    if not case.draft.summary:
        raise RefusedError("no-summary")


def _require_asker(case: Case, parties: Sequence[Authority], context: ReferralContext) -> None:
    """Raise RefusedError `question-other` unless an answer goes to the authority that asked, and to no other."""
    question = answered_question(context.cases, case)
    if question and [party.id for party in parties] != [question.authority]:
        raise RefusedError("question-other")


def _require_unchanged(now: Case, case: Case) -> None:
    if now.version != case.version:
        raise RefusedError("changed")


def require_usable_key(party: Authority, context: ReferralContext) -> None:
    """Raise RefusedError `expired`, or `unconfirmed` for keys that nobody compared by voice."""
    """Raise RefusedError `expired`, or `unconfirmed` for keys that nobody compared by voice."""
    if context.cases.days_left(party.expires) < 0:
        raise RefusedError("expired")
    if not is_key_confirmed(context.cases, party):
        raise RefusedError("unconfirmed")
