"""The rows of the queue in their orders, brought up to date case by case.

Which cases have changed is noted as they change; the rows of these cases alone are made anew when the queue is next
asked for. Nothing older than the last change is ever shown.
"""

import threading
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from app.desk.case import Case
from app.desk.case_records import CaseRecords
from app.desk.similarity import SimilarGroups

SortKey = tuple[int | str, ...]  # ends with the id of the case
EVERY_ROW = ""  # the view that has all rows
_FEW = 100  # rows that are put into their places one by one; more of them are sorted


@dataclass(frozen=True)
class QueueRow:
    """One case of the queue: its place in each order, the views that show it, and what a search asks of every row."""

    case: Case
    keys: Mapping[str, SortKey]  # by order
    views: tuple[str, ...]
    search_text: str
    danger: bool
    children: bool


class QueueRows:
    """Every row of the queue, in each view and order; safe for threads.

    `make_row` returns the row of a case, or None where the case has no row of its own.
    """

    def __init__(self, records: CaseRecords, make_row: Callable[[Case], QueueRow | None]) -> None:
        self._records, self._make_row = records, make_row
        self._lock, self._noting = threading.Lock(), threading.Lock()
        self._changed: set[str] = set()
        self._rows: dict[str, QueueRow] = {}
        self._orders: dict[tuple[str, str], list[SortKey]] = defaultdict(list)  # by view and order
        self._groups = SimilarGroups()
        records.watch(self)

    def change(self, before: Case | None, after: Case | None) -> None:
        """Note that the row of a case is stale, and with it the rows of the answers to the case."""
        stale = {case.id for case in (before, after) if case}
        locators = {case.reply.locator for case in (before, after) if case and case.reply and case.answers_to is None}
        for locator in locators:
            stale.update(answer.id for answer in self._records.answers_to(locator))
        with self._noting:
            self._changed |= stale

    def of(self, view: str, order: str) -> list[QueueRow]:
        """Return the rows of a view in an order."""
        with self._lock:
            self._renew()
            return [self._rows[str(key[-1])] for key in self._orders[view, order]]

    def some_of(self, view: str, order: str, start: int, stop: int) -> tuple[list[QueueRow], int]:
        """Return a few rows of a view in an order, and how many rows the view has."""
        with self._lock:
            self._renew()
            keys = self._orders[view, order]
            return [self._rows[str(key[-1])] for key in keys[max(0, start) : stop]], len(keys)

    def around(self, view: str, order: str, key: SortKey) -> tuple[int, list[QueueRow]]:
        """Return how many rows of a view come before a key, and the last of these rows with the two after them."""
        with self._lock:
            self._renew()
            keys = self._orders[view, order]
            place = bisect_left(keys, key)
            return place, [self._rows[str(one[-1])] for one in keys[max(0, place - 1) : place + 2]]

    def counts(self) -> Counter[str]:
        """Return how many rows each view has."""
        with self._lock:
            self._renew()
            orders = {view: keys for (view, _), keys in self._orders.items() if view != EVERY_ROW}
            return Counter({view: len(keys) for view, keys in orders.items()})

    def similar(self, case: Case) -> frozenset[str]:
        """Return the ids of the open cases that say much the same as a case, its own among them; empty for none."""
        with self._lock:
            self._renew()
            return self._groups.of(case.id)

    def count_similar(self, case: Case) -> int:
        """Return how many open cases say much the same as a case, itself among them; 0 for none."""
        with self._lock:
            self._renew()
            return self._groups.size(case.id)

    def _renew(self) -> None:
        with self._noting:
            changed, self._changed = self._changed, set()
        try:
            cases = {case_id: self._records.find_one(case_id) for case_id in changed}
            rows = {case_id: self._make_row(case) if case else None for case_id, case in cases.items()}
        except Exception:
            with self._noting:
                self._changed |= changed  # no row is lost by a fault in another
            raise
        self._remove(place for case_id in rows for place in _places(self._rows.pop(case_id, None)))
        self._add([place for row in rows.values() for place in _places(row)])
        for case_id, row in rows.items():
            if row is not None:
                self._rows[case_id] = row
            self._groups.put(case_id, row.case.sketch if row is not None and row.case.open else ())

    def _remove(self, places: Iterable[tuple[str, str, SortKey]]) -> None:
        for view, order, key in places:
            keys = self._orders[view, order]
            del keys[bisect_left(keys, key)]

    def _add(self, places: list[tuple[str, str, SortKey]]) -> None:
        if len(places) <= _FEW:
            for view, order, key in places:
                insort(self._orders[view, order], key)
            return
        for view, order, key in places:
            self._orders[view, order].append(key)
        for view, order in {(view, order) for view, order, _ in places}:
            self._orders[view, order].sort()


def _places(row: QueueRow | None) -> list[tuple[str, str, SortKey]]:
    """Return the places of a row: view, order and key."""
    if row is None:
        return []
    return [(view, order, key) for view in (EVERY_ROW, *row.views) for order, key in row.keys.items()]
