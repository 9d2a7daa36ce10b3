"""Giving a tip to a colleague, and the day by which somebody must have worked on it.

A tip whose sender says that someone is in danger now is due on the day on which it came in, until it is referred or a
handler sets another day. Days only: the desk keeps no hours. While the desk runs, how many tips are overdue stands in
a file that is not sealed, so that `haumaru-desk status` needs no identity: a number and a day, and nothing of a tip.
"""

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from app.desk.case import Case
from app.desk.case_fields import REDACTABLE_STATES, State
from app.desk.cases import Cases
from app.desk.errors import RefusedError
from app.desk.journal import JournalEntry
from app.desk.store import SealedStore, replace_file

OVERDUE_FILE = "overdue"  # not sealed
_LINE = re.compile(r"(\d{4}-\d\d-\d\d) (\d{1,9})\n", re.ASCII)
_MOST_DAYS = 731  # from today to a due day


class Assignments:
    """Who works on what, and until when; the tips that were given since the desk was opened are in memory."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases
        self.given: list[tuple[str, str, str]] = []  # the tip, the colleague, the giver; in their order

    def give(self, tip: str, who: str, colleague: str, colleagues: Collection[str]) -> Case:
        """Give a tip, one's own or nobody's, to a colleague; raises RefusedError `colleague`, `claimed` and `state`."""
        if colleague not in colleagues or colleague == who:
            raise RefusedError("colleague")

        def give(now: Case) -> Case:
            now.require_open()
            if now.state not in REDACTABLE_STATES:
                raise RefusedError("state")
            if now.holder not in ("", who):
                raise RefusedError("claimed")
            state = State.WORK if now.state is State.NEW else now.state
            return replace(now, holder=colleague, given=(colleague, who), state=state)

        case = self._cases.change(tip, who, "gave", give)
        self._cases.journal.write(JournalEntry(colleague, "was-given", case.id))  # details hold codes, never names
        self.given.append((case.id, colleague, who))
        return case

    def set_due(self, tip: str, who: str, day: date | None) -> Case:
        """Set the day by which a tip is due, or none; raises RefusedError `day` for a past one or one far away."""
        today = self._cases.today()
        if day and not today <= day <= today + timedelta(days=_MOST_DAYS):
            raise RefusedError("day")

        def set_day(now: Case) -> Case:
            now.require_open()
            return replace(now, due=day)

        return self._cases.change(tip, who, "due", set_day, what=day.isoformat() if day else "")

    def note_overdue(self, store: SealedStore) -> None:
        """Write how many tips are overdue today, where that has changed; raises RefusedError if the disk fails."""
        today = self._cases.today()
        line = f"{today.isoformat()} {count_overdue(self._cases.all(), today)}\n".encode()
        path = store.folder / OVERDUE_FILE
        if not path.exists() or path.read_bytes() != line:
            replace_file(path, line, timestamp=store.midnight())


def due_day(case: Case) -> date | None:
    """Return the day by which somebody must have worked on a case, or None."""
    if not case.open:
        return None
    urgent = case.danger and case.state is not State.REFERRED and not case.answers_to
    return case.due or (case.received if urgent else None)


def is_due(case: Case, today: date) -> bool:
    """Return whether a case is due today, or overdue."""
    day = due_day(case)
    return day is not None and day <= today


def count_overdue(cases: Iterable[Case], today: date) -> int:
    """Return how many cases should have been worked on before today."""
    days = map(due_day, cases)
    return sum(day is not None and day < today for day in days)


def giver(case: Case) -> str:
    """Return who gave a case to the handler who works on it now, or "" if nobody did."""
    colleague, who = case.given or ("", "")
    return who if colleague and colleague == case.holder else ""


def read_overdue(store: Path) -> tuple[date, int] | None:
    """Return the day on which the desk last noted how many tips are overdue, and the number; None without a note."""
    with suppress(OSError, ValueError):
        found = _LINE.fullmatch((store / OVERDUE_FILE).read_text(encoding="ascii"))
        if found:
            return date.fromisoformat(found[1]), int(found[2])
    return None
