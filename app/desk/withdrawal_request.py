"""The request of a sender that the desk does not pass a tip on: shown above all, and answered by a handler.

The request is an answer in the tip's thread. Until a handler has answered the request, the tip stays first in the queue
and cannot be closed. A tip whose sender has asked this once is passed on only by a deliberate choice with a reason,
which the journal keeps. A desk never says that a tip was not passed on after a part of the tip has left the desk.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from enum import StrEnum

from app.desk.case import Case
from app.desk.cases import Cases
from app.desk.errors import RefusedError
from app.desk.journal import JournalEntry
from app.desk.thread import WITHDRAWAL, MessageKind, ThreadMessage
from app.desk.withdrawn import WITHDRAWN, open_requests, was_asked_back
from app.vault.tip import TipId, new_tip_id


class WithdrawalAnswer(StrEnum):
    """What a handler answers to a request not to pass a tip on."""

    DESTROYED = "destroyed"
    NOT_PASSED_ON = "not-passed-on"
    PASSED_ON = "passed-on"
    CANNOT = "cannot"


# Why a handler passes a tip on although its sender asked the desk not to, by the code in the journal.
REASONS_DESPITE: Mapping[str, str] = {
    "danger": "Someone is in danger",
    "child": "A child must be protected",
    "agreed": "The sender agrees to it now",
    "law": "The law demands it",
}
_NOT_LEFT = frozenset({WithdrawalAnswer.DESTROYED, WithdrawalAnswer.NOT_PASSED_ON})


def is_asked_back(case: Case, cases: Cases) -> bool:
    """Return whether the sender ever asked the desk not to pass on a tip, or the tip that an answer belongs to."""
    parent = cases.parent(case)
    return was_asked_back(case) or (parent is not None and was_asked_back(parent))


def needs_answer(case: Case, cases: Cases) -> bool:
    """Return whether a handler must answer such a request on the page of this case, which is no answer in a thread."""
    return bool(open_requests(case)) and cases.parent(case) is None


def require_reason(case: Case, cases: Cases, despite: str) -> None:
    """Raise RefusedError `asked-back` unless nobody asked the desk not to pass a tip on, or a reason is given."""
    if is_asked_back(case, cases) and despite not in REASONS_DESPITE:
        raise RefusedError("asked-back")


def note_reason(cases: Cases, tip: str, who: str, despite: str) -> None:
    """Journal why `who` passes a tip on although its sender asked the desk not to; raises as `require_reason` does."""
    case = cases.get(tip)
    require_reason(case, cases, despite)
    if is_asked_back(case, cases):
        cases.journal.write(JournalEntry(who, "despite-request", case.id, despite))


class WithdrawalRequests:
    """The requests of senders in the cases of one desk."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases

    def answer(
        self, tip: str, who: str, untrusted_answer: str, kinds: Collection[str], *, message_id: TipId | None = None
    ) -> Case:
        """Answer every open request of a case; the answer waits in the thread until it is posted.

        `kinds` are those of the authorities that the tip went to. A tip that is to be destroyed is closed. Raises
        RefusedError: `no-answer`, `answered`, `claimed`, `busy`, `objectionable`, and `passed-on` where the tip left.
        """
        if untrusted_answer not in set(WithdrawalAnswer):
            raise RefusedError("no-answer")
        answer = WithdrawalAnswer(untrusted_answer)
        details = (answer, *sorted(kinds)) if answer is WithdrawalAnswer.PASSED_ON else (answer,)
        message = ThreadMessage(
            self._cases.today(),
            who,
            "",
            id=message_id or new_tip_id(),
            kind=MessageKind.STATUS,
            value=WITHDRAWAL,
            details=tuple(map(str, details)),
        )
        transition = self._answered(who, answer, message)
        return self._cases.change(tip, who, "answered-request", transition, what=f"{answer}")

    def _answered(self, who: str, answer: WithdrawalAnswer, message: ThreadMessage) -> Callable[[Case], Case]:
        def change(now: Case) -> Case:
            requests = open_requests(now)
            if not requests or self._cases.parent(now):
                raise RefusedError("answered")
            if now.holder not in ("", who):
                raise RefusedError("claimed")
            if now.leaving:
                raise RefusedError("busy")
            if answer in _NOT_LEFT and (now.referrals or self._left_to_translator(now)):
                raise RefusedError("passed-on")
            answered = (*now.answered_requests, *requests)
            changed = replace(now, thread=(*now.thread, message), answered_requests=answered)
            if answer is not WithdrawalAnswer.DESTROYED:
                return changed
            today = self._cases.today()
            return changed.ended(who, today, WITHDRAWN, now.outcome) if now.open else replace(changed, reason=WITHDRAWN)

        return change

    def _left_to_translator(self, case: Case) -> bool:
        return self._cases.journal.has_done("to-translator", case.id)
