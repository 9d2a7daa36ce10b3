"""Simulated days as a watcher of the line sees them: whatever he refuses, he tells tips from decoys by chance alone."""

import itertools
import random
from collections import defaultdict
from collections.abc import Sequence

import pytest

from app.delivery.leases import Leases
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.pace import Pace
from app.vault.tip import TipId
from tests.support.databases import opened
from tests.support.faults import LONG, report, scale
from tests.support.watched import START, WINDOW, Days, LeasesInMemory, OutboxInMemory, simulate, told_apart_in

PACE = Pace(cells=16, stock=64)
PHOTOGRAPH = 22  # envelopes: the words, and 2.7 MB of parts
WINDOWS = 144


def nothing() -> Sequence[int]:
    return []


class Arriving:
    """Tips now and then: words alone, about three in an hour, or with a photograph, about five a day."""

    def __init__(self, seed: int, *, photographs: bool = False) -> None:
        self._chance, self._photographs = random.Random(seed), photographs

    def __call__(self) -> Sequence[int]:
        if self._chance.random() < (0.002 if self._photographs else 0.03):
            return [PHOTOGRAPH if self._photographs else 1]
        return []


class Watcher:
    """One who refuses all, none, half by his dice, all for some hours a day, or every fourth id for good."""

    def __init__(self, how: str, seed: int) -> None:
        self.how, self._chance, self._chosen = how, random.Random(seed), {}

    def __call__(self, tip: TipId, number: int) -> bool:
        dice = self._chance.random()
        if self.how == "hours":
            return 20 <= number // PACE.cells % 72 < 32
        if self.how == "chosen":
            return self._chosen.setdefault(tip, dice < 0.25)
        return dice < {"none": 0, "all": 1, "half": 0.5}[self.how]


def days(how: str, arriving, *, seed: int, windows: int = 0) -> Days:
    return simulate(
        OutboxInMemory(random.Random(seed)),
        LeasesInMemory,
        windows=windows or WINDOWS * scale(1, 20),
        arriving=arriving,
        refuses=Watcher(how, seed),
        pace=PACE,
        seed=seed,
    )


@pytest.mark.parametrize("photographs", [False, True], ids=["words", "photographs"])
@pytest.mark.parametrize("how", ["none", "all", "half", "hours"])
def test_days_with_tips_are_the_same_as_days_without(how, photographs):
    """Under the same dice each delivery's time, whether its id is new, and the rows that lie here are the same."""
    quiet, some = days(how, nothing, seed=1), days(how, Arriving(5, photographs=photographs), seed=1)
    assert len(some.tips) > 20
    assert {count for count, _, _ in quiet.windows()} == {PACE.cells}
    assert [(one.moment, one.passed) for one in quiet.seen] == [(one.moment, one.passed) for one in some.seen]
    assert quiet.windows() == some.windows()
    # Five photographs in a day of refusals, or words for weeks, are more than the stock: the outbox grows in steps, and
    # one copy shows that.
    assert quiet.rows == some.rows or (how == "all" and (photographs or LONG))
    report(f"windows that differ with tips and without, a watcher who refuses {how}", differ=0, windows=len(some.rows))


def test_days_with_tips_are_at_chance_where_ids_are_refused_for_good():
    """Where a watcher refuses ids that he chose, new ids and rows are at chance beside those of days without tips."""
    many = scale(14, 60)
    both = [
        [days("chosen", way(seed), seed=seed, windows=48) for seed in seeds]
        for way, seeds in ((Arriving, range(100, 100 + many)), (lambda _: nothing, range(500, 500 + many)))
    ]
    assert all({count for count, _, _ in one.windows()} == {PACE.cells} for run in both for one in run)
    columns = {
        "new ids": lambda one: sum(new for _, new, _ in one.windows()),
        "passed": lambda one: sum(passed for _, _, passed in one.windows()),
        "rows never tried": lambda one: sum(new for new, _ in one.rows),
        "rows tried": lambda one: sum(tried for _, tried in one.rows),
    }
    found = {}
    for name, value in columns.items():
        found[name], away = told_apart_in([tuple([value(one) for one in run] for run in both)])
        assert found[name] < 0.5 + away, found
    report("days with tips beside days without, a watcher who refuses chosen ids", **found, runs=2 * many)


@pytest.mark.parametrize("how", ["all", "half", "chosen", "hours"])
def test_no_id_tells_a_tip_from_a_decoy(how):
    """How often an id comes, how soon again and where in a window is at chance between tips and decoys."""
    some = days(how, Arriving(5), seed=21)
    firsts = [seen[0] for seen in some.by_id().values()]
    before = {later.id: later.moment - one.moment for one, later in itertools.pairwise(firsts)} | {firsts[0].id: 0}
    features = {
        "times": len,
        "gap before the first": lambda seen: before[seen[0].id],
        "windows until the second": lambda seen: seen[1].window - seen[0].window if len(seen) > 1 else 10_000,
        "place of the first": lambda seen: (seen[0].moment - START) % WINDOW,
        "place of the last": lambda seen: (seen[-1].moment - START) % WINDOW,
    }
    found = {}
    for name, value in features.items():
        # Ids that were first seen in one window: how many of those are tips is for the senders alone to say.
        groups = defaultdict(lambda: ([], []))
        for tip, seen in some.by_id().items():
            groups[seen[0].window][tip not in some.tips].append(value(seen))
        found[name], away = told_apart_in(list(groups.values()))
        assert found[name] < 0.5 + away, (how, name, found)
    report(f"a tip told from a decoy by its id, a watcher who refuses {how}", **found, tips=len(some.tips))


def test_no_id_comes_twice_in_a_window():
    """Whatever is refused, nothing is tried twice in one window."""
    for how in ("none", "all", "half", "chosen", "hours"):
        seen = [(one.window, one.id) for one in days(how, Arriving(3), seed=31, windows=60).seen]
        assert len(seen) == len(set(seen))


def test_a_photograph_arrives_soon_and_shows_nowhere():
    """A photograph of 21 parts is with the agency after two windows, and no window has more deliveries than another."""
    sizes = iter([[PHOTOGRAPH]])
    some = days("none", lambda: next(sizes, []), seed=41, windows=10)
    last = max(one.window for one in some.seen if one.id in some.tips)
    assert last <= 2
    assert {count for count, _, _ in some.windows()} == {PACE.cells}
    assert {rows for rows, _ in some.rows} == {PACE.stock}


def test_after_a_day_of_refusals_everything_arrives():
    """After a day in which nothing passed, all that came meanwhile arrives within some hours."""
    arriving = Arriving(7)
    clock = iter(range(10**9))

    def first_day() -> Sequence[int]:
        return arriving() if next(clock) < 144 * PACE.cells else []

    some = simulate(
        OutboxInMemory(random.Random(1)),
        LeasesInMemory,
        windows=288,
        arriving=first_day,
        refuses=lambda _, number: number < 144 * PACE.cells,
        pace=PACE,
        seed=51,
    )
    arrived = {one.id: one.window for one in some.seen if one.passed and one.id in some.tips}
    assert arrived.keys() == some.tips
    report("hours until all tips of a day of refusals arrive", hours=(max(arrived.values()) - 143) / 6)
    assert max(arrived.values()) < 144 + 72
    assert max(tried for _, tried in some.rows) < 400


def test_a_real_outbox_gives_the_same_days(memory_folder):
    """The same dice on the tables of a database give the same deliveries, one by one, as the dictionaries do."""
    runs = []
    for real in (False, True):
        # The memory store of the program takes its own dice, so that tips come only where no decoy is there to choose.
        with opened(memory_folder / "outbox.db") as box:
            box.memory = SqliteMemoryStore(memory_folder / "memory")
            sizes = iter([[1], [], [3], [], [], [2]])
            runs.append(
                simulate(
                    box if real else OutboxInMemory(random.Random(1)),
                    Leases if real else LeasesInMemory,
                    windows=6,
                    arriving=lambda sizes=sizes: next(sizes, []),
                    refuses=Watcher("half", 3),
                    pace=Pace(4, 16),
                    seed=61,
                )
            )
    assert [(one.moment, one.passed) for one in runs[0].seen] == [(one.moment, one.passed) for one in runs[1].seen]
    assert runs[0].rows == runs[1].rows
    assert runs[0].windows() == runs[1].windows()
