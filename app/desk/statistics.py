"""Statistics for the agency itself: counts of tips as of today, in which every count under five is hidden.

Where a hidden count could be computed from the total, the next smallest is hidden too. That is not enough for the
public: two tables of two days differ by one tip (`outcome_counts` has what may be published). A case that is destroyed
leaves one sealed row, without a word of the tip.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.desk.case import Case
from app.desk.case_fields import OUTCOMES, Outcome, State
from app.desk.labels import KIND_LABELS
from app.desk.store import SealedStore
from app.vault.published_outcomes import month_of

MIN_COUNT = 5  # a smaller count is hidden
_ROWS_FILE = "tally.age"


@dataclass(frozen=True)
class StatisticsTable:
    """One table: its rows, and whether each tip is in exactly one row, so that the rows add up to the total."""

    title: str
    rows: tuple[tuple[str, str], ...]
    is_partition: bool


def statistics_row(case: Case) -> dict[str, Any]:
    """Return what is counted of a case, and nothing else."""
    return {
        "id": case.id,
        "month": month_of(case.received),
        "danger": case.danger,
        "children": case.children,
        "kinds": sorted(case.known_kinds),
        "outcome": str(case.outcome),
        "authorities": sorted({one.authority for one in case.referrals}),
        "referred": month_of(min(one.day for one in case.referrals)) if case.referrals else "",
        "closed": month_of(case.closed) if case.closed else "",
        "reason": case.reason,
    }


def keep_rows(store: SealedStore, cases: Iterable[Case]) -> None:
    """Keep the rows of cases that are about to be destroyed, each once; raises RefusedError."""
    rows = {one["id"]: one for one in kept_rows(store)} | {case.id: statistics_row(case) for case in cases}
    store.write(_ROWS_FILE, json.dumps(list(rows.values())).encode())


def kept_rows(store: SealedStore) -> list[dict[str, Any]]:
    """Return the rows of cases that were destroyed; raises RefusedError."""
    try:
        rows: list[dict[str, Any]] = json.loads(store.read(_ROWS_FILE))
    except FileNotFoundError:
        return []
    return rows


def statistics_rows(cases: Iterable[Case], gone: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return a row for each tip, here or destroyed; an answer in a thread does not count as a tip."""
    here = [statistics_row(case) for case in cases if case.answers_to is None and case.state is not State.OBJECTIONABLE]
    return list({one["id"]: one for one in [*gone, *here]}.values())


def statistics_tables(
    cases: Iterable[Case], gone: Iterable[Mapping[str, Any]], authorities: Mapping[str, str]
) -> list[StatisticsTable]:
    """Return the tables that the agency sees."""
    rows = statistics_rows(cases, gone)
    urgent = {"Someone in danger": "danger", "Children involved": "children"}
    names = {str(outcome): name for outcome, name in OUTCOMES.items()}
    return [
        _table("Tips by month", Counter(one["month"] for one in rows), is_partition=True),
        _table("Urgent", Counter(name for name, key in urgent.items() for one in rows if one[key]), is_partition=False),
        _table(
            "What they are about",
            # A row that was kept may name another kind, which somebody invented.
            Counter(label for one in rows for kind, label in KIND_LABELS.items() if kind in one["kinds"]),
            is_partition=False,
        ),
        _table(
            "Referred to",
            Counter(authorities.get(one, one) for each in rows for one in each["authorities"]),
            is_partition=False,
        ),
        _table(
            "Outcomes", Counter(names.get(one["outcome"], names[Outcome.UNKNOWN]) for one in rows), is_partition=True
        ),
    ]


def _table(title: str, counts: Counter[str], *, is_partition: bool) -> StatisticsTable:
    hidden = {name for name, count in counts.items() if count < MIN_COUNT}
    shown = sorted((count, name) for name, count in counts.items() if name not in hidden)
    if is_partition and len(hidden) == 1 and shown:
        hidden.add(shown[0][1])
        shown = shown[1:]
    rows = [(name, "hidden" if name in hidden else str(counts[name])) for name in sorted(counts)]
    # A total would reveal a hidden count, so that there is one only where nothing is hidden.
    if is_partition and not hidden:
        rows.append(("Total", str(counts.total())))
    return StatisticsTable(title, tuple(rows), is_partition)


def tables_to_csv(every: Iterable[StatisticsTable]) -> str:
    """Return the tables as CSV (RFC 4180); no cell begins with what a spreadsheet would run as a formula."""
    lines = ["table,row,count"]
    for table in every:
        lines += [f'"{table.title}","{name}",{count}' for name, count in table.rows if _is_safe_cell(name)]
    return "\r\n".join(lines) + "\r\n"


def _is_safe_cell(name: str) -> bool:
    return '"' not in name and name[:1] not in "=+-@\t\r"
