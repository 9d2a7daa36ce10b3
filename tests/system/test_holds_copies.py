"""One copy of the disk: where the bytes of an envelope lie says nothing about whether it is a tip or a decoy.

A day of an outbox is simulated, tips among its decoys, and its raw file is copied now and then. Each measure that the
pages of SQLite's file give is tried as a classifier: the area under its curve (AUC) is a half at chance.
"""

import bisect
import itertools
import math
import os
import random
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.delivery import database as database_module
from app.delivery.leases import Leases
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.outbox import Envelope, Outbox
from app.delivery.schema import blob_id
from app.delivery.sqlite_database import PAGE_BYTES
from app.vault.age import ENVELOPE_BYTES
from app.vault.tip import TipId, new_tip_id
from tests.support.faults import report, scale

STOCK = 64
WARMING_UP = 150  # beats
TIP_EACH, COPY_EACH = 15, 6  # beats, on average
# Bytes of a row on its leaf page, and on each page after it (SQLite's file format, section 1.6).
LEAST_LOCAL, USABLE = 1003, PAGE_BYTES - 4
DEVIATIONS = 4.5  # of the AUC at chance: of fourteen measures, one passes this by chance in 10,000 runs

Measures = dict[str, dict[str, float]]  # by envelope, then by name


@pytest.fixture(autouse=True)
def _at_rest(monkeypatch):
    """Copies are taken at rest: the simulated tips come one upon another, and SQLite's log is emptied after each."""
    monkeypatch.setattr(database_module, "_QUIET_SECONDS", 0)


def envelope() -> Envelope:
    return Envelope(new_tip_id(), "intake", os.urandom(64).ljust(ENVELOPE_BYTES, b"."))


class Day:
    """An outbox whose envelopes leave one a beat, with a decoy in the place of each, and tips that come at random."""

    def __init__(self, folder: Path, *, in_place: bool, takes_back: bool = False) -> None:
        self._takes_back = takes_back
        self.file = folder / "outbox" / "outbox.db"
        self.memory = SqliteMemoryStore(folder / "memory")
        self.box = Outbox(f"sqlite:///{self.file}", self.memory)
        self.tips: dict[TipId, TipId] = {}  # the envelopes of tips, and the words of each
        self.withdrawn: dict[TipId, TipId] = {}  # decoys in the places of tips, and the first of each tip
        self._in_place, self._leases = in_place, Leases(self.box.database)
        self._owner = self._leases.acquire_lease(0, seconds=86_400)
        for _ in range(STOCK):
            self.box.put_decoy(envelope())

    def copies(self, beats: int) -> Iterator[Measures]:
        """Let beats pass; yield what each copy of the file measures, taken in between."""
        for beat in range(beats + WARMING_UP):
            if random.random() < 1 / TIP_EACH:
                self._put(random.choice([1, 1, 1, 6, 22]))
            if beat >= WARMING_UP and random.random() < 1 / COPY_EACH:
                yield measure(self.file, [*self._leases.waiting("intake")])
            if self._takes_back and random.random() < 1 / TIP_EACH:
                self._take_back()
            self._beat()

    def gone(self, beats: int, envelopes: int) -> int:
        """Let beats pass, with a tip of so many envelopes in the middle; return how many of the envelopes are gone."""
        before = set(self._leases.waiting("intake"))
        for beat in range(beats):
            if envelopes and beat == beats // 2:
                self._put(envelopes)
            self._beat()
        return len(before - self._leases.waiting("intake").keys())

    def close(self) -> None:
        self.box.database.close()
        self.memory.close()

    def _put(self, number: int) -> None:
        tip = [envelope() for _ in range(number)]
        self.box.memory = self.memory if self._in_place else None
        self.box.put(tip)
        self.box.memory = self.memory
        self.tips |= {each.id: tip[0].id for each in tip}

    def _take_back(self) -> None:
        """Withdraw what has not left of a tip: decoys take the places of its envelopes."""
        words = next(iter(self.tips.values()), None)
        pairs = [(each, envelope()) for each, tip in self.tips.items() if tip == words]
        self.box.replace_untried(pairs, now=0)
        self.withdrawn |= {decoy.id: pairs[0][1].id for _, decoy in pairs}
        for each, _ in pairs:
            self.tips.pop(each)

    def _beat(self) -> None:
        waiting = [*self._leases.waiting("intake")]
        tips = [each for each in waiting if each in self.tips]
        leaving = random.choice(tips) if tips and random.random() < 0.5 else random.choice(waiting)
        self._leases.begin(self._owner, leaving)
        self.box.settle(leaving, decoy=envelope() if len(waiting) <= STOCK else None)
        self.box.tidy(0)
        self.tips.pop(leaving, None)


def measure(file: Path, ids: list[TipId]) -> Measures:
    """What the raw file says of each envelope: where its rows and its pages lie, and in which order."""
    raw, found = file.read_bytes(), defaultdict(dict)
    pages = [raw[at : at + PAGE_BYTES] for at in range(0, len(raw), PAGE_BYTES)]
    slots = {blob_id(each.encode()): each for each in ids}
    with closing(sqlite3.connect(file)) as connection:
        leaves = connection.execute("SELECT name, pageno FROM dbstat WHERE pagetype = 'leaf'").fetchall()
    for table, number in leaves:
        page = pages[number - 1]
        if table in {"cells", "labels"}:
            for each in ids:
                if (at := page.find(each.encode())) >= 0:
                    found[each][f"{table} place"] = at
        if table in {"blobs", "spares"}:
            for slot, at, chain in rows_of(page, pages):
                found[slots[slot]] |= {
                    f"{table} leaf": number,
                    f"{table} place": at,
                    f"{table} first": chain[0],
                    f"{table} mean": sum(chain) / len(chain),
                    f"{table} jumps": sum(abs(one - other) > 1 for one, other in itertools.pairwise(chain)),
                    f"{table} turns": sum(one > other for one, other in itertools.pairwise(chain)),
                }
    return found


def rows_of(page: bytes, pages: list[bytes]) -> Iterator[tuple[int, int, list[int]]]:
    """The rows of a leaf page: slot, place on the page, and the numbers of the pages that follow."""
    for number in range(int.from_bytes(page[3:5], "big")):
        at = int.from_bytes(page[8 + 2 * number : 10 + 2 * number], "big")
        length, after = varint(page, at)
        slot, after = varint(page, after)
        local = LEAST_LOCAL + (length - LEAST_LOCAL) % USABLE
        local = local if local <= PAGE_BYTES - 35 else LEAST_LOCAL
        chain, following = [], int.from_bytes(page[after + local : after + local + 4], "big")
        while following:
            chain.append(following)
            following = int.from_bytes(pages[following - 1][:4], "big")
        yield slot, at, chain


def varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(at, at + 8):
        value = value << 7 | page[place] & 0x7F
        if not page[place] & 0x80:
            return value, place + 1
    return value << 8 | page[at + 8], at + 9


def auc(some: list[float], others: list[float]) -> float:
    """How often one of `some` is greater than one of `others`."""
    ordered = sorted(others)
    below = sum(bisect.bisect_left(ordered, each) + bisect.bisect_right(ordered, each) for each in some)
    return below / 2 / len(some) / len(others)


def classify(beats: int, *, in_place: bool) -> tuple[dict[str, float], float]:
    """The AUC of each measure, of tips against decoys, and the AUC's standard deviation at chance.

    Of each tip and each decoy one sight counts, drawn from all copies: envelopes of one tip lie side by side, and so
    do those of one envelope in copies that follow each other, so that more sights would not be independent.
    """
    tips, decoys = defaultdict(list), defaultdict(list)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        day = Day(Path(folder), in_place=in_place)
        for copy in day.copies(beats):
            for each, measures in copy.items():
                tip = day.tips.get(each)
                (decoys[each] if tip is None else tips[tip]).append(measures)
        day.close()
    return compare(tips, decoys)


def compare(
    one: dict[TipId, list[dict[str, float]]], other: dict[TipId, list[dict[str, float]]]
) -> tuple[dict[str, float], float]:
    """The AUC of each measure, of one sight drawn of each envelope or tip, and the AUC's deviation at chance."""
    some, others = ([random.choice(sights) for sights in kind.values()] for kind in (one, other))
    names = sorted({name for sight in others for name in sight})
    found = {name: auc([sight[name] for sight in some], [sight[name] for sight in others]) for name in names}
    return found, math.sqrt((1 / len(some) + 1 / len(others)) / 12)  # Mann and Whitney, 1947


@pytest.mark.slow
def test_one_copy_of_the_disk_does_not_tell_tips_from_decoys():
    """Each measure of where an envelope's bytes lie is at chance."""
    beats = scale(800, 6_000)
    found, deviation = classify(beats, in_place=True)
    worst = max(found.items(), key=lambda one: abs(one[1] - 0.5))
    report("one copy of the disk (SQLite)", beats=beats, measures=len(found), worst=f"{worst[0]} {worst[1]:.3f}")
    assert len(found) == 14
    assert abs(worst[1] - 0.5) < DEVIATIONS * deviation, found


@pytest.mark.slow
def test_one_copy_of_the_disk_does_not_tell_where_a_report_was_taken_back():
    """Each measure of the decoys that took the places of withdrawn tips is at chance against all other decoys."""
    taken, others, beats = defaultdict(list), defaultdict(list), scale(4_000, 12_000)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        day = Day(Path(folder), in_place=True, takes_back=True)
        for copy in day.copies(beats):
            for each, measures in copy.items():
                if each not in day.tips:
                    first = day.withdrawn.get(each)
                    (others[each] if first is None else taken[first]).append(measures)
        day.close()
    found, deviation = compare(taken, others)
    worst = max(found.items(), key=lambda one: abs(one[1] - 0.5))
    report("one copy after withdrawals (SQLite)", withdrawn=len(taken), worst=f"{worst[0]} {worst[1]:.3f}")
    assert len(taken) > 10
    assert abs(worst[1] - 0.5) < DEVIATIONS * deviation, found


@pytest.mark.slow
def test_these_measures_would_tell():
    """Where tips do not take the places of decoys the same measures tell them: the classifier is not blind."""
    found, deviation = classify(scale(800, 2_000), in_place=False)
    assert max(abs(each - 0.5) for each in found.values()) > DEVIATIONS * deviation, found


@pytest.mark.slow
def test_two_copies_within_a_window_tell_that_a_photograph_came():
    """More of the first copy is gone in the second than leaves: so many decoys gave their places to a tip's envelopes.

    The threat model says so: this is what two copies tell, and one copy does not.
    """
    beats, gone = 8, defaultdict(list)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        day = Day(Path(folder), in_place=True)
        for envelopes in random.sample([0, 1, 22] * scale(10, 200), scale(30, 600)):
            gone[envelopes].append(float(day.gone(beats, envelopes)))
            day.gone(60, 0)  # until the tip has left
        day.close()
    words, photograph = (auc(gone[size], gone[0]) for size in (1, 22))
    report("two copies within a window (SQLite), AUC", words=f"{words:.2f}", photograph=f"{photograph:.2f}")
    assert max(gone[0]) <= beats
    assert photograph > 0.9
