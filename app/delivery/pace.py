"""The pace at which envelopes leave for one agency: when the next one leaves, and which one that is.

Pure functions without clock or database. What a watcher of the line or of one copy of the disk can see (when an
envelope leaves, how many were tried before, how many lie in the outbox) never depends on what an envelope holds: a tip
and a decoy are treated alike once they were tried, and only the choice among envelopes that nobody has seen prefers
tips. Random numbers come from the caller, who takes them from the operating system.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

from app.delivery.memory_store import DECOY, PART, EnvelopeKind
from app.vault.tip import TipId

_RANDOM_SHARE = 0.25  # of the tips, chosen whatever their size, so that a large one is not put off for ever
_SLIP_STEPS = 8  # a late beat begins at a multiple of this part of the interval, so that no work before it shows


class Slot(Enum):
    """What leaves first in one cell of a window."""

    TRIED = "tried"
    WORDS = "words"
    PART = "part"


@dataclass(frozen=True)
class Pace:
    """At most `cells` envelopes leave in each window; with a `stock`, exactly as many, decoys among them."""

    cells: int
    stock: int = 0


@dataclass(frozen=True)
class WaitingEnvelope:
    """One envelope in the outbox: whether its delivery was ever tried, and what the memory store knows of it."""

    id: TipId
    tried: bool
    kind: EnvelopeKind | None = None  # None: unknown, which counts as a tip's words


@dataclass
class WindowPlans:
    """The plans of one agency's windows, one after another: what leaves first in each cell."""

    pace: Pace
    random: Random
    _fresh: float = 0.0  # what is left of the shares of earlier windows, so that the shares of many windows add up
    _parts: float = 0.0

    def next_window(self, *, tried: int, succeeded: float) -> list[Slot]:
        """Return the slots of a window in their order, where `tried` envelopes were tried before and lie here still.

        At most half are for tried ones; a quarter of all cells, and at most half of what is left, is for parts. While
        few deliveries succeed (`succeeded`: the share of the last window's), and more than a stock was tried, more are
        for tried ones, so that an outage of a month fills no disk. A watcher knows all three numbers anyway. The slots
        for new ones are spread evenly, over the windows too: after a longer gap, a tip would be more likely.
        """
        cells, share = self.pace.cells, self.pace.cells / 2
        if 0 < self.pace.stock < tried:
            share *= max(succeeded, (self.pace.stock / tried) ** 2)
        self._fresh, fresh = math.modf(self._fresh + share)
        fresh = max(int(fresh), cells - tried)
        self._parts, parts = math.modf(self._parts + min(cells / 4, fresh / 2))
        new = [Slot.PART] * int(parts) + [Slot.WORDS] * (fresh - int(parts))
        self.random.shuffle(new)
        slots = [Slot.TRIED] * cells
        for place, slot in enumerate(new):
            slots[int((place + 0.5) * cells / fresh)] = slot
        return slots


def choose(slot: Slot, waiting: Collection[WaitingEnvelope], *, random: Random) -> WaitingEnvelope | None:
    """Return the envelope that leaves in a slot, None if none waits.

    Words leave before parts, parts before decoys, and small tips before large ones, but a quarter of the tips is
    chosen whatever their size. Decoys and tried envelopes are chosen at random.
    """
    tried = [one for one in waiting if one.tried]
    decoys = [one for one in waiting if not one.tried and one.kind == DECOY]
    parts = [one for one in waiting if not one.tried and _is_part(one)]
    words = [one for one in waiting if not (one.tried or one.kind == DECOY or _is_part(one))]
    order = {
        Slot.TRIED: (tried, words, parts, decoys),
        Slot.WORDS: (words, parts, decoys, tried),
        Slot.PART: (parts, words, decoys, tried),
    }
    group = next((group for group in order[slot] if group), None)
    if group is None:
        return None
    if group in (tried, decoys) or random.random() < _RANDOM_SHARE:
        return random.choice(group)
    return _smallest(group, random)


def in_order(waiting: Collection[WaitingEnvelope], *, random: Random) -> list[WaitingEnvelope]:
    """Return all that waits as it leaves where no pace is kept: words, parts, decoys, then what was tried before."""
    shuffled = random.sample(list(waiting), len(waiting))
    return sorted(shuffled, key=lambda one: 3 if one.tried else 2 if one.kind == DECOY else int(_is_part(one)))


def next_level(level: int, pace: Pace, waiting: Collection[WaitingEnvelope]) -> int:
    """Return how many envelopes never tried should lie in the outbox: the stock × a power of two.

    The level doubles while known decoys are less than a quarter of it, and halves when tips are at most a quarter.
    Unknown envelopes count as tips, but at most one stock of them: reboots in a row must not double the level without
    end.
    """
    fresh = [one for one in waiting if not one.tried]
    unknown = sum(one.kind is None for one in fresh)
    tips = sum(one.kind is not None and one.kind != DECOY for one in fresh) + min(unknown, pace.stock)
    level = max(level, pace.stock)
    while 4 * tips > 3 * level:
        level *= 2
    while level > pace.stock and 4 * tips <= level:
        level //= 2
    return level


@dataclass
class Beats:
    """When the beats of one agency begin: one each `interval` seconds, later if one takes longer, never closer."""

    interval: float
    due: float | None = None

    def next_beat(self, now: float) -> float:
        """Return when the next beat begins, at `now` (unix seconds); call it once before each beat."""
        if self.due is None:
            self.due = (math.floor(now / self.interval) + 0.5) * self.interval
            self.due += self.interval if self.due < now else 0.0
            return self.due
        self.due += self.interval
        if self._is_late(now):
            step = self.interval / _SLIP_STEPS
            self.due = math.ceil(now / step) * step
        return self.due

    def seconds_left(self, now: float) -> float:
        """Return the seconds until the beat that is due; where the clock was set back, a whole interval at most."""
        assert self.due is not None
        self.due = min(self.due, now + self.interval)
        return max(0.0, self.due - now)

    def begin(self, now: float) -> None:
        """Note that the beat that was due begins at `now`: the next one keeps its distance from a late one."""
        if self._is_late(now):
            self.due = now

    def _is_late(self, now: float) -> bool:
        return self.due is not None and self.due < now - self.interval / 10


def _is_part(one: WaitingEnvelope) -> bool:
    return one.kind is not None and one.kind.name == PART


def _smallest(group: Sequence[WaitingEnvelope], random: Random) -> WaitingEnvelope:
    rank = min(one.kind.rank if one.kind else 0 for one in group)
    return random.choice([one for one in group if (one.kind.rank if one.kind else 0) == rank])
