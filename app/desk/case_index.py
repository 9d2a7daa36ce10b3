"""Values derived from all cases that are kept up to date case by case, so that nobody has to look at every case.

`case_records` gives each change, the case before and after, to all that watch. A watcher only changes values in memory,
and never waits for a disk: a handler who reads is not held up by another who writes.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from typing import Protocol

from app.desk.case import Case


class CaseWatcher(Protocol):
    """What is told of each change of a case."""

    def change(self, before: Case | None, after: Case | None) -> None:
        """Note that a case has come (`before` is None), has changed, or has gone (`after` is None)."""


class CaseIndex:
    """Which cases have a key, in the order in which they got the key."""

    def __init__(self, keys: Callable[[Case], Iterable[str]]) -> None:
        self._keys, self._lock = keys, threading.Lock()
        self._ids: dict[str, dict[str, None]] = {}

    def change(self, before: Case | None, after: Case | None) -> None:
        """Note that a case has come, has changed, or has gone."""
        former = frozenset(self._keys(before)) if before else frozenset()
        present = frozenset(self._keys(after)) if after else frozenset()
        with self._lock:
            for key in former - present:
                ids = self._ids[key]
                ids.pop(before.id if before else "")
                if not ids:
                    del self._ids[key]
            for key in present - former:
                self._ids.setdefault(key, {})[after.id if after else ""] = None

    def find(self, key: str) -> tuple[str, ...]:
        """Return the ids of the cases that have a key."""
        with self._lock:
            return tuple(self._ids.get(key, ()))


class CaseTally:
    """How many of something, such as messages that wait, all cases together have of each day."""

    def __init__(self, days: Callable[[Case], Iterable[date]]) -> None:
        self._days, self._lock = days, threading.Lock()
        self._counts: Counter[date] = Counter()

    def change(self, before: Case | None, after: Case | None) -> None:
        """Note that a case has come, has changed, or has gone."""
        former = Counter(self._days(before) if before else ())
        present = Counter(self._days(after) if after else ())
        if former == present:
            return
        with self._lock:
            self._counts.update(present)
            self._counts.subtract(former)
            for day in former:
                if not self._counts[day]:
                    del self._counts[day]

    def since(self, first_day: date) -> int:
        """Return how many there are of a day and all days after it."""
        with self._lock:
            return sum(count for day, count in self._counts.items() if day >= first_day)
