"""The figures of what became of tips that an agency publishes: each changed a little, and never counted anew.

Anybody may send tips, so to hide small counts is not enough: who sends five tips of one kind, and then sees a six,
knows that a sixth person wrote. So a random number is added to each count before the count is hidden or rounded. It is
n with the probability 1/4 * (3/5)^|n| (the two-sided geometric mechanism: Ghosh, Roughgarden, Sundararajan 2009). One
tip more or less makes no figure more than 5/3 times as likely, whatever else is known, and no sum of figures yields
another. Then the result is rounded to the nearest multiple of three, and hidden under six, as Stats NZ does with counts
(2013 Census confidentiality rules). Periods do not overlap: months, and calendar years. Each figure is made once, when
its time has come, and kept: a later publication adds months and changes nothing. The random numbers follow from the
desk's signing key, so that a store that came back from a backup repeats them.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.desk.case_fields import REASONS
from app.desk.cases import Cases
from app.desk.errors import RefusedError
from app.desk.journal import JournalEntry
from app.desk.statistics import kept_rows, statistics_rows
from app.vault.published_outcomes import (
    LAG_MONTHS,
    MAX_MONTHS,
    MAX_YEARS,
    ROUNDED_TO,
    SMALLEST,
    Figure,
    MonthOutcomes,
    PublishedOutcomes,
    YearOutcomes,
    add_months,
    is_counted,
    month_of,
    sign_outcomes,
)
from app.vault.tip import SCHEMA

SETTLE_DAYS = 7  # after the end of a month, so that what was on its way is counted too
_FIGURES_FILE = "outcomes.age"
_LARGEST = 40  # of the random numbers; larger ones would come once in a thousand million draws
_NOT_REAL = frozenset({"test", "repeat"})  # reasons of tips that say nothing of what tips are about
_DRAW_BITS = 256


@dataclass(frozen=True)
class _PublishedCell:
    """A figure as it was first made, and the day of that (ISO 8601)."""

    figure: Figure
    day: str


_PublishedCells = Mapping[str, _PublishedCell]


class OutcomeCounts:
    """The figures of one desk's cases under one agency's id; safe for several threads."""

    def __init__(self, cases: Cases, key: Ed25519PrivateKey, agency: str) -> None:
        self._cases, self._key, self._agency = cases, key, agency
        self._secret = HKDF(SHA256(), 32, salt=None, info=b"haumaru/outcomes-noise/1").derive(key.private_bytes_raw())
        self._lock = threading.Lock()

    def preview(self) -> PublishedOutcomes:
        """Return the figures that `publish` would save now; raises RefusedError `no-month`."""
        months = self._finished_months()
        return self._outcomes(self._cells(months), months)

    def publish(self, who: str) -> bytes:
        """Keep the figures for good, journal that, and return the signed file: the same until another month is over.

        Raises RefusedError: `no-month`, and faults of the disk.
        """
        with self._lock:
            months = self._finished_months()
            cells = self._cells(months)
            raw = {name: [cell.figure, cell.day] for name, cell in cells.items()}
            self._cases.store.write(_FIGURES_FILE, json.dumps(raw).encode())
            self._cases.journal.write(JournalEntry(who, "published", "", months[-1]))
            return sign_outcomes(self._outcomes(cells, months), self._key)

    def _finished_months(self) -> list[str]:
        """Return every month since the journal begins, the oldest first; raises RefusedError `no-month`.

        To begin with the month of the first tip would say when a tip came.
        """
        first = min((one.at[:7] for one in self._cases.journal.entries), default="9999-12")
        until = add_months(month_of(self._cases.today() - timedelta(days=SETTLE_DAYS)), -1)
        if until < first:
            raise RefusedError("no-month")
        return list(_months(first, until))

    def _cells(self, months: list[str]) -> dict[str, _PublishedCell]:
        """Return the figures that were made before, and those whose time has come since."""
        today = self._cases.today().isoformat()
        # What was made on a day that lies ahead was made under a wrong clock.
        made = {name: cell for name, cell in self._read().items() if cell.day <= today}
        rows = statistics_rows(self._cases.all(), kept_rows(self._cases.store))
        counts = _count(rows, months)
        new = {name: _PublishedCell(self._figure(name, count), today) for name, count in counts.items()}
        return {**new, **made}

    def _figure(self, name: str, count: int) -> Figure:
        changed = count + self._random_number(name)
        return None if changed < SMALLEST else (changed + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO

    def _random_number(self, name: str) -> int:
        """Return the number that is added to a count: always the same for one name."""
        mac = HMAC(self._secret, SHA256())
        mac.update(f"{self._agency}/{name}".encode())
        return geometric_number(int.from_bytes(mac.finalize()))

    def _read(self) -> dict[str, _PublishedCell]:
        try:
            raw = json.loads(self._cases.store.read(_FIGURES_FILE))
        except FileNotFoundError:
            return {}
        return {name: _PublishedCell(figure, day) for name, (figure, day) in raw.items()}

    def _outcomes(self, cells: _PublishedCells, months: list[str]) -> PublishedOutcomes:
        until, years = months[-1], _counted_years(months)
        return PublishedOutcomes(
            agency=self._agency,
            until=until,
            months=tuple(_month_outcomes(cells, month, until) for month in months[: -MAX_MONTHS - 1 : -1]),
            years=tuple(_year_outcomes(cells, year) for year in years[: -MAX_YEARS - 1 : -1]),
        )


def geometric_number(draw: int) -> int:
    """Return n with the probability 1/4 * (3/5)^|n|, at most 40 either way, for a uniform draw of 256 bits."""
    for size in range(_LARGEST + 1):
        share = (1 << _DRAW_BITS) * 3**size // (4 * 5**size)
        for number in (size, -size) if size else (0,):
            if draw < share:
                return number
            draw -= share
    return 0


def _count(rows: Iterable[Mapping[str, Any]], months: list[str]) -> dict[str, int]:
    """Return the true count of each figure whose time has come, by the figure's name."""
    counts = dict.fromkeys(_names(months), 0)
    for row in rows:
        for name in _names_of_row(row):
            if name in counts:
                counts[name] += 1
    return counts


def _names(months: list[str]) -> Iterator[str]:
    for month in months:
        yield f"{month} received"
        if is_counted(month, months[-1]):
            yield from (f"{month} referred", f"{month} closed")
    for year in _counted_years(months):
        yield from (f"{year} reason {reason}" for reason in REASONS)
        yield from (f"{year} kind {kind.value}" for kind in SCHEMA.kinds)


def _names_of_row(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the figures that count a tip, as far as was known three months after its period was over.

    A row that an earlier version kept has no months of referral and closing: the tip was closed, and counts as closed
    in time.
    """
    month, year = row["month"], row["month"][:4]
    month_end, year_end = add_months(month, LAG_MONTHS), add_months(f"{year}-12", LAG_MONTHS)
    referred = row.get("referred", month if row["authorities"] else "")
    closed, reason = row.get("closed", month), row.get("reason", "")
    yield f"{month} received"
    if referred and referred <= month_end:
        yield f"{month} referred"
    if closed and closed <= month_end:
        yield f"{month} closed"
    if closed and closed <= year_end:
        yield f"{year} reason {reason}"
    if not (closed and closed <= year_end and reason in _NOT_REAL):
        yield from (f"{year} kind {kind}" for kind in set(row["kinds"]))


def _months(first: str, last: str) -> Iterator[str]:
    while first <= last:
        yield first
        first = add_months(first, 1)


def _counted_years(months: list[str]) -> list[int]:
    return [int(year) for year in sorted({month[:4] for month in months}) if is_counted(f"{year}-12", months[-1])]


def _month_outcomes(cells: _PublishedCells, month: str, until: str) -> MonthOutcomes:
    received = cells[f"{month} received"].figure
    if not is_counted(month, until):
        return MonthOutcomes(month, received)
    referred, closed = (_at_most(received, cells[f"{month} {what}"].figure) for what in ("referred", "closed"))
    return MonthOutcomes(month, received, is_counted=True, referred=referred, closed=closed)


def _at_most(most: Figure, figure: Figure) -> Figure:
    """Return a figure, or `most` where, by chance, the figure is larger: no more tips can be closed than came."""
    return None if most is None or figure is None else min(most, figure)


def _year_outcomes(cells: _PublishedCells, year: int) -> YearOutcomes:
    reasons = {reason: cells[f"{year} reason {reason}"].figure for reason in REASONS}
    kinds = {kind.value: cells[f"{year} kind {kind.value}"].figure for kind in SCHEMA.kinds}
    return YearOutcomes(year, reasons, kinds)
