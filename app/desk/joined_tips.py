"""Tips that handlers say belong together: one leads, the others follow it, and can be taken apart again.

To join tips only groups them. Each keeps its own words, thread, redaction and referral: nothing of one tip reaches the
sender of another, or an authority, because tips were joined. Who claims the leading tip claims the free ones with it,
and the others can be closed as repeats of it, each by the rules for every tip. Each change is journaled with the ids.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from app.desk.arrival_notice import find_shown
from app.desk.case import Case
from app.desk.case_index import CaseIndex
from app.desk.cases import Cases
from app.desk.closing import REPEAT, close_case
from app.desk.errors import RefusedError

MAX_JOINED = 100  # tips that follow one: a page lists them all
_MIN_TYPED = 6  # characters of a tip's number that a handler types


class JoinedTips:
    """The joined tips of one desk, found by an index; a tip that follows never leads."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases
        self._followers = cases.records.watch(CaseIndex(lambda case: (case.follows,) if case.follows else ()))
        self._repeats = cases.records.watch(CaseIndex(lambda case: (case.repeats,) if case.repeats else ()))

    def lead(self, case: Case) -> Case | None:
        """Return the tip that a case follows; None where it follows none, or where that is locked or destroyed."""
        return find_shown(self._cases, case.follows) if case.follows else None

    def followers(self, case: Case) -> list[Case]:
        """Return the tips that follow a case, the oldest first."""
        return _by_day(self._cases.records.find(self._followers, case.id))

    def count_followers(self, case: Case) -> int:
        """Return how many tips follow a case."""
        return len(self._followers.find(case.id))

    def repeats(self, case: Case) -> list[Case]:
        """Return the tips that were closed as repeats of a case, the oldest first."""
        return _by_day(self._cases.records.find(self._repeats, case.id))

    def others(self, case: Case) -> list[Case]:
        """Return the other tips of the group of a case, the leading one first; none for a tip that is not joined."""
        lead = self.lead(case)
        group = [lead, *self.followers(lead)] if lead else self.followers(case)
        return [one for one in group if one.id != case.id]

    def read_number(self, untrusted_text: str) -> Case:
        """Return the tip whose number begins as a handler typed; raises RefusedError `no-number`."""
        typed = untrusted_text.strip().casefold()
        found = [case for case in self._cases.all() if case.id.startswith(typed)] if len(typed) >= _MIN_TYPED else []
        if len(found) != 1 or find_shown(self._cases, found[0].id) is None:
            raise RefusedError("no-number")
        return found[0]

    def join(self, tip: str, others: Iterable[str], who: str) -> int:
        """Let others, and what follows them, follow the tip that leads `tip`; return how many follow anew.

        Raises RefusedError: `no-tips`, `gone`, `objectionable`, `thread-answer`, `joined`, `many-joined`.
        """
        case = self._cases.get(tip)
        lead = self.lead(case) or case
        groups = [self._group(self._cases.get(other)) for other in others]
        moved = {one.id: one for group in groups for one in group if lead.id not in {one.id, one.follows}}
        if not moved:
            raise RefusedError("no-tips")
        if self.count_followers(lead) + len(moved) > MAX_JOINED:
            raise RefusedError("many-joined")
        for one in (lead, *moved.values()):
            self._require_joinable(one)
        if lead.follows:  # what it followed is no longer here
            lead = self._cases.change(lead.id, who, "taken-apart", _apart, what=lead.follows)
        for one in moved.values():
            self._cases.change(one.id, who, "joined", self._follow(lead.id), what=lead.id)
        return len(moved)

    def take_apart(self, tip: str, who: str) -> None:
        """Let a tip follow no other, or let none follow the tip if it leads; raises RefusedError `not-joined`."""
        case = self._cases.get(tip)
        parted = [case] if case.follows else self.followers(case)
        if not parted:
            raise RefusedError("not-joined")
        for one in parted:
            self._cases.change(one.id, who, "taken-apart", _apart, what=one.follows)

    def claim(self, tip: str, who: str) -> Case:
        """Claim a tip, and those free tips that follow it; raises RefusedError if the tip itself cannot be claimed."""
        case = self._cases.claim(tip, who)
        for one in self.followers(case):
            if one.open and not one.holder:
                with suppress(RefusedError):
                    self._cases.claim(one.id, who)
        return case

    def release(self, tip: str, who: str, *, force: bool = False) -> None:
        """Give a tip back, and those tips that follow it and are held by the same person."""
        holder = self._cases.get(tip).holder
        case = self._cases.release(tip, who, force=force)
        for one in self.followers(case):
            if one.open and one.holder == holder:
                with suppress(RefusedError):
                    self._cases.release(one.id, who, force=force)

    def close_repeats(self, tip: str, who: str) -> tuple[list[Case], Counter[str]]:
        """Close the open tips that follow a tip as its repeats; return those, and how many were left for which code.

        A tip whose sender is in danger, or asked the desk not to pass it on, is left for its own page.
        """
        closed, left = [], Counter[str]()
        for one in self.followers(self._cases.get(tip)):
            if not one.open:
                continue
            try:
                closed.append(close_case(self._cases, one.id, who, REPEAT, repeats=tip))
            except RefusedError as error:
                left[error.code] += 1
        return closed, left

    def _group(self, case: Case) -> list[Case]:
        """Return a case with what follows it or its lead, the leading tip last: it is moved when none follows it."""
        lead = self.lead(case) or case
        return [*self.followers(lead), lead]

    def _require_joinable(self, case: Case) -> None:
        case.require_shown()
        if self._cases.parent(case) is not None:
            raise RefusedError("thread-answer")

    def _follow(self, lead: str) -> Callable[[Case], Case]:
        def follow(now: Case) -> Case:
            # Under the lock of every change: two handlers may join the same tips at once, each from another page.
            target = self._cases.get(lead)
            target.require_shown()
            if target.follows or self._followers.find(now.id):
                raise RefusedError("joined")
            return replace(now, follows=lead)

        return follow


def _apart(now: Case) -> Case:
    if not now.follows:
        raise RefusedError("not-joined")
    return replace(now, follows="")


def _by_day(cases: Iterable[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: (case.received, case.id))
