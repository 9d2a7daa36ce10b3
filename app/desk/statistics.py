"""Figures for a public report: counts of tips, with everything under five hidden.

Where one hidden count of a table could be worked out from the total, the next smallest is hidden too. Of a tip
that was destroyed a row without a word of it stays, sealed.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.desk.case import OUTCOMES, Case, Outcome, State
from app.desk.store import SealedStore

FEWEST = 5
_TALLY = "tally.age"


@dataclass(frozen=True)
class StatisticsTable:
    """One table: `whole` says that each tip is in exactly one row, so that the rows add up to the total."""

    title: str
    rows: tuple[tuple[str, str], ...]
    whole: bool


def statistics_row(case: Case) -> dict[str, Any]:
    """What counts of a tip, and no more."""
    return {
        "id": case.id,
        "month": case.received.strftime("%Y-%m"),
        "danger": case.danger,
        "children": case.children,
        "kinds": sorted(case.known_kinds),
        "outcome": str(case.outcome),
        "authorities": sorted({one.authority for one in case.referrals}),
    }


def keep_rows(store: SealedStore, cases: Iterable[Case]) -> None:
    """Keep the rows of tips that are about to be destroyed; once each."""
    rows = {one["id"]: one for one in kept_rows(store)} | {case.id: statistics_row(case) for case in cases}
    store.write(_TALLY, json.dumps(list(rows.values())).encode())


def kept_rows(store: SealedStore) -> list[dict[str, Any]]:
    """The rows of tips that were destroyed."""
    try:
        rows: list[dict[str, Any]] = json.loads(store.read(_TALLY))
    except FileNotFoundError:
        return []
    return rows


def statistics_tables(
    cases: Iterable[Case], gone: Iterable[Mapping[str, Any]], authorities: Mapping[str, str]
) -> list[StatisticsTable]:
    """The tables of a public report; answers in a thread are not tips of their own."""
    here = [statistics_row(case) for case in cases if case.answers_to is None and case.state is not State.OBJECTIONABLE]
    rows = list({one["id"]: one for one in [*gone, *here]}.values())
    urgent = {"Someone in danger": "danger", "Children involved": "children"}
    names = {str(outcome): name for outcome, name in OUTCOMES.items()}
    return [
        _table("Tips by month", Counter(one["month"] for one in rows), whole=True),
        _table("Urgent", Counter(name for name, key in urgent.items() for one in rows if one[key]), whole=False),
        _table("What they are about", Counter(kind for one in rows for kind in one["kinds"]), whole=False),
        _table(
            "Referred to",
            Counter(authorities.get(one, one) for each in rows for one in each["authorities"]),
            whole=False,
        ),
        _table("Outcomes", Counter(names.get(one["outcome"], names[Outcome.UNKNOWN]) for one in rows), whole=True),
    ]


def _table(title: str, counts: Counter[str], *, whole: bool) -> StatisticsTable:
    hidden = {name for name, count in counts.items() if count < FEWEST}
    shown = sorted((count, name) for name, count in counts.items() if name not in hidden)
    if whole and len(hidden) == 1 and shown:
        hidden.add(shown[0][1])
        shown = shown[1:]
    rows = [(name, "hidden" if name in hidden else str(counts[name])) for name in sorted(counts)]
    # The sum would give a hidden count away: it is told only where nothing is hidden.
    if whole and not hidden:
        rows.append(("Total", str(counts.total())))
    return StatisticsTable(title, tuple(rows), whole)


def tables_to_csv(every: Iterable[StatisticsTable]) -> str:
    """The tables as CSV; nothing in it begins with what a spreadsheet would run."""
    lines = ["table,row,count"]
    for table in every:
        lines += [f'"{table.title}","{name}",{count}' for name, count in table.rows if _is_safe_cell(name)]
    return "\r\n".join(lines) + "\r\n"


def _is_safe_cell(name: str) -> bool:
    return '"' not in name and name[:1] not in "=+-@\t\r"
