"""What became of a tip, told to its sender: opened, referred to some kind of authority, closed for a reason.

The desk writes a status by itself, if the sender asked for replies and neither `[desk] acknowledge` nor a handler says
no. A status is a message of the thread that leaves as any reply does, but not in the hour of the desk's pace in which
it was written, nor in the next: so a handler can hold the status back, and nobody learns the hour of the work. What the
sender must not learn is not sealed: whom the desk referred to, and that somebody else reported the same.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from enum import StrEnum

from app.desk.case import Case
from app.desk.case_fields import State
from app.desk.case_index import CaseTally
from app.desk.cases import Cases
from app.desk.config import Authority
from app.desk.errors import RefusedError
from app.desk.journal import DESK
from app.desk.labels import days_label
from app.desk.replies import DAYS, readable_reply_to, unposted_of
from app.desk.thread import MessageKind, ThreadMessage, is_by_handler, unposted_messages
from app.vault.tip import SCHEMA, new_tip_id

_DAY_SECONDS = 86_400
_LATE = (
    "{count} statuses for senders wait for the site, and the last will leave in {days} or more. To send them sooner,"
    " ask the person who runs the desk to set a shorter time for [site] every in desk.toml."
)
_HOURS_BEFORE = 2  # the hour in which a status is written, and one whole hour in which a handler can hold it back


class TipStatus(StrEnum):
    """What the sender of a tip is told about the tip."""

    OPENED = "opened"
    REFERRED = "referred"
    CLOSED = "closed"


# A sender who reads a reason is not told that the tip looked like nonsense, or like the tip of another person.
_TOLD_REASONS: Mapping[str, str] = {"nothing": "nothing", "test": "nothing", "other": "other"}


def authority_kind(authority: Authority) -> str:
    """Return the kind of an authority by the first topic that it takes, "" where its topics name no kind."""
    work = {"work", *(kind.value for kind in SCHEMA.kinds if kind.topic == "work")}
    topics = {"trafficking": {"trafficking"}, "work": work, "children": {"children", "child"}, "danger": {"danger"}}
    return next((kind for kind, of_kind in topics.items() if of_kind.intersection(authority.takes)), "")


class StatusQueue:
    """The statuses of one desk: written into threads, where they wait until they are posted or held back.

    `tells` is whether this desk tells senders anything; `every` is the pace of its posts, in seconds.
    """

    def __init__(self, cases: Cases, *, tells: bool, every: int, clock: Callable[[], float]) -> None:
        self._cases, self.tells, self._every, self._clock = cases, tells, every, clock
        self._days = cases.records.watch(CaseTally(_unposted_days))

    def can_tell(self, case: Case) -> bool:
        """Return whether the sender of a case can be told what became of it."""
        return (
            self.tells
            and readable_reply_to(case) is not None
            and case.answers_to is None
            and case.state is not State.OBJECTIONABLE
        )

    def note_opened(self, case: Case) -> Case:
        """Tell the sender that the tip was opened, when a handler opens it for the first time."""
        if not case.open or case.state is State.REFERRED or _statuses(case):
            return case
        return self._write(case, TipStatus.OPENED)

    def note_referred(self, case: Case, authorities: Iterable[Authority], *, with_kinds: bool) -> Case:
        """Tell the sender that the tip was referred and, `with_kinds`, to which kinds of authority."""
        kinds = {authority_kind(authority) for authority in authorities} if with_kinds else set()
        return self._write(case, TipStatus.REFERRED, sorted(kinds - {""}))

    def note_closed(self, case: Case) -> Case:
        """Tell the sender that the tip was closed, and the reason where the sender may know the reason."""
        reason = _TOLD_REASONS.get(case.reason, "")
        return self._write(case, TipStatus.CLOSED, [reason] if reason else [])

    def note_reopened(self, case: Case, who: str) -> Case:
        """Hold back "closed" where that still waits; where the sender may have read it, say that the tip is opened."""
        closed = [one for one in _statuses(case) if one.value == TipStatus.CLOSED and not one.held]
        waiting = [one.id for one in closed if not one.posted]
        for status_id in waiting:
            case = self.hold_back(case.id, who, status_id)
        return self._write(case, TipStatus.OPENED) if len(closed) > len(waiting) else case

    def late_sentence(self) -> str:
        """Return how late statuses will leave, where more wait than the desk posts in a day; else ""."""
        waiting = self._days.since(self._first_day())
        days = waiting * self._every // _DAY_SECONDS
        return _LATE.format(count=f"{waiting:,}", days=days_label(days)) if days else ""

    def waiting_ids(self, case: Case) -> frozenset[str]:
        """Return the ids of the messages of a thread that will still leave for the site."""
        return frozenset(one.id for one in unposted_messages(case.thread, self._first_day()))

    def hold_back(self, tip: str, who: str, status_id: str) -> Case:
        """Hold back a status that has not left; raises RefusedError `posted` if the status has left, or `gone`."""

        def hold(now: Case) -> Case:
            found = [one for one in _statuses(now) if one.id == status_id]
            if not found or found[0].posted:
                raise RefusedError("posted" if found else "gone")
            return replace(now, thread=tuple(_held(one) if one.id == status_id else one for one in now.thread))

        return self._cases.change(tip, who, "held-back", hold)

    def set_silent(self, tip: str, who: str, *, silent: bool) -> Case:
        """Tell the sender of a case nothing from now on, and hold back what waits; or tell the sender again."""

        def change(now: Case) -> Case:
            thread = tuple(_held(one) if silent and one in _statuses(now) else one for one in now.thread)
            return replace(now, silent=silent, thread=thread)

        return self._cases.change(tip, who, "silenced" if silent else "told-again", change)

    def _first_day(self) -> date:
        return self._cases.today() - timedelta(days=DAYS)

    def _write(self, case: Case, status: TipStatus, details: Iterable[str] = ()) -> Case:
        if not self.can_tell(case) or case.silent:
            return case
        earliest = (int(self._clock()) // self._every + _HOURS_BEFORE) * self._every
        message = ThreadMessage(
            self._cases.today(),
            DESK,
            "",
            id=new_tip_id(),
            kind=MessageKind.STATUS,
            value=status,
            details=tuple(details),
            earliest=earliest,
        )

        def write(now: Case) -> Case:
            if now.silent or (status is TipStatus.OPENED and _last_told(now) == status):
                raise RefusedError("written")
            return replace(now, thread=(*now.thread, message))

        try:
            return self._cases.change(case.id, DESK, "told", write, what=status)
        except RefusedError as error:
            if error.code != "written":
                raise
            return self._cases.get(case.id)


def _last_told(case: Case) -> str:
    return next((one.value for one in reversed(_statuses(case)) if not one.held), "")


def _unposted_days(case: Case) -> list[date]:
    return [one.day for one in unposted_of(case) if not is_by_handler(one)]


def _statuses(case: Case) -> list[ThreadMessage]:
    return [one for one in case.thread if one.who and not is_by_handler(one)]


def _held(message: ThreadMessage) -> ThreadMessage:
    return message if message.posted else replace(message, held=True)
