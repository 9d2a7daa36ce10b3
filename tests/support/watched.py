"""Simulated days of one agency's deliveries, as a watcher of the line sees them, on an outbox that is only in memory.

The forwarder is the program's own, with its plan, choice, stock and levels; only the tables are replaced by
dictionaries, so that a month takes seconds. `tests/unit/delivery/test_watched.py` shows that the tables of a real
database give the same days.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from app.core.errors import DeliveryError
from app.delivery import agency_forwarder
from app.delivery.agency_forwarder import AgencyForwarder
from app.delivery.memory_store import DECOY, EnvelopeKind
from app.delivery.outbox import Envelope
from app.delivery.pace import Beats, Pace, WindowPlans
from app.vault.tip import TipId

WINDOW = 600
START = 1_795_326_000


class OutboxInMemory:
    """What a forwarder and a sender do with an outbox and its memory store, in dictionaries.

    The desk's outbox, for authorities, has no memory store: `remembers` is false.
    """

    def __init__(self, chance: random.Random, *, remembers: bool = True) -> None:
        self.database, self.memory = self, self if remembers else None
        self._chance = chance
        self.tried: dict[TipId, bool] = {}
        self.known: dict[TipId, EnvelopeKind] = {}
        self._level = 0

    # The outbox.

    def put(self, envelopes: Sequence[Envelope], *, now: float = 0) -> None:  # noqa: ARG002  # as the true one
        decoys = sorted(one for one, kind in self.known.items() if kind == DECOY)
        for one in self._chance.sample(decoys, min(len(envelopes), len(decoys))):
            del self.tried[one], self.known[one]
        for number, envelope in enumerate(envelopes):
            self.tried[envelope.id] = False
            if self.memory:
                self.known[envelope.id] = EnvelopeKind("part" if number else "words", len(envelopes) - 1)

    def put_decoy(self, decoy: Envelope) -> None:
        self.tried[decoy.id] = False
        if self.memory:
            self.known[decoy.id] = DECOY

    def settle(self, tip: TipId, *, decoy: Envelope | None = None) -> None:
        del self.tried[tip]
        if decoy is not None:
            self.put_decoy(decoy)

    def tidy(self, now: float) -> None:
        """Nothing is deleted late."""

    def forget_absent(self, agency: str) -> None:
        """Nothing is absent."""

    # The memory store.

    def forget(self, ids: Sequence[TipId]) -> None:
        for one in ids:
            self.known.pop(one, None)

    def kinds(self, agency: str) -> Mapping[TipId, EnvelopeKind]:  # noqa: ARG002
        return self.known

    def level(self) -> int:
        return self._level

    def agree_level(self, moment: int, level: int) -> int:  # noqa: ARG002
        self._level = level
        return level


class LeasesInMemory:
    """What a forwarder does with the rows of such an outbox."""

    def __init__(self, outbox: OutboxInMemory) -> None:
        self._outbox = outbox

    def waiting(self, agency: str) -> dict[TipId, bool]:  # noqa: ARG002
        return dict(sorted(self._outbox.tried.items()))

    def begin(self, owner: bytes, tip: TipId) -> bool:  # noqa: ARG002
        self._outbox.tried[tip] = True
        return True

    def load(self, tip: TipId) -> bytes:  # noqa: ARG002
        return b""

    def record_failure(self, agency: str, code: str, *, now: float, tip: TipId | None = None) -> None:
        """Failures are not counted here."""

    def clear_failures(self, agency: str) -> None:
        """Failures are not counted here."""


@dataclass(frozen=True)
class Seen:
    """One delivery as a watcher sees it: when it begins, under which id, and whether he let it pass."""

    moment: float
    id: TipId
    passed: bool

    @property
    def window(self) -> int:
        return int(self.moment - START) // WINDOW


@dataclass
class Days:
    """What was seen in some days: each delivery, the rows (new, tried) at each window's end, and which ids are tips."""

    seen: list[Seen] = field(default_factory=list)
    rows: list[tuple[int, int]] = field(default_factory=list)
    tips: set[TipId] = field(default_factory=set)

    def windows(self) -> list[tuple[int, int, int]]:
        """Return for each window how many deliveries began, how many under a new id, how many passed."""
        known: set[TipId] = set()
        all_, new, passed = Counter(), Counter(), Counter()
        for one in self.seen:
            all_[one.window] += 1
            new[one.window] += one.id not in known
            passed[one.window] += one.passed
            known.add(one.id)
        return [(all_[number], new[number], passed[number]) for number in range(len(self.rows))]

    def by_id(self) -> dict[TipId, list[Seen]]:
        """Return the deliveries under each id, in order."""
        found: dict[TipId, list[Seen]] = {}
        for one in self.seen:
            found.setdefault(one.id, []).append(one)
        return found


Refuses = Callable[[TipId, int], bool]  # a watcher: the id and the number of the delivery, to whether he refuses


def simulate(
    outbox: object,
    leases: type,
    *,
    windows: int,
    arriving: Callable[[], Sequence[int]],
    refuses: Refuses,
    pace: Pace,
    seed: int,
) -> Days:
    """Deliver for so many windows, while `arriving` says, before each beat, of how many envelopes each new tip is.

    The dice of ids, plans and choices are thrown apart, so that days with one seed have the same plans.
    """
    ids, chance, plans = (random.Random(seed + number) for number in range(3))
    days, now = Days(), [float(START)]

    def envelope() -> Envelope:
        return Envelope(TipId(f"{ids.getrandbits(125):026x}"[-26:]), "intake", b"")

    class Line:
        def deliver(self, envelope: Envelope, *, seconds: float) -> None:
            assert seconds > 0
            passed = not refuses(envelope.id, len(days.seen))
            days.seen.append(Seen(now[0], envelope.id, passed))
            if not passed:
                raise DeliveryError("refused")

        def probe(self, *, seconds: float) -> int | None:  # noqa: ARG002
            return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agency_forwarder, "Leases", leases)
        patch.setattr(agency_forwarder, "BoundedTransport", _Unbounded)
        patch.setattr(agency_forwarder, "WindowPlans", lambda pace, _: WindowPlans(pace, plans))
        patch.setattr(agency_forwarder._log, "warning", lambda *_: None)
        forwarder = AgencyForwarder(
            "intake", Line(), pace, outbox, seconds=1, make_decoy=envelope, clock=lambda: now[0], random=chance
        )
        beats = Beats(WINDOW / pace.cells)
        for number in range(windows * pace.cells):
            for size in arriving():
                tip = [envelope() for _ in range(size)]
                outbox.put(tip, now=now[0])
                days.tips.update(one.id for one in tip)
            now[0] = beats.next_beat(now[0])
            start = START + number // pace.cells * WINDOW
            forwarder.beat(b"owner", start)
            if number % pace.cells == pace.cells - 1:
                days.rows.append(_rows(outbox, leases))
    return days


class _Unbounded:
    """A transport without the thread that bounds it in time."""

    hangs = False

    def __init__(self, transport: object) -> None:
        self.deliver = transport.deliver
        self.late: set[TipId] = set()


def _rows(outbox: object, leases: type) -> tuple[int, int]:
    tried = leases(outbox.database).waiting("intake").values()
    return len(tried) - sum(tried), sum(tried)


def told_apart(some: Sequence[float], others: Sequence[float]) -> float:
    """How often a watcher is right who guesses by size alone which of two is which: 0.5 is chance, 1 is always."""
    return told_apart_in([(some, others)])[0]


def told_apart_in(groups: Sequence[tuple[Sequence[float], Sequence[float]]]) -> tuple[float, float]:
    """The same for pairs within one group alone; and how far from chance that comes once in ten thousand times."""
    pairs = wins = variance = 0.0
    for some, others in groups:
        counts = Counter(others)
        for one in some:
            wins += sum(number * ((one > other) + (one == other) / 2) for other, number in counts.items())
        pairs += len(some) * len(others)
        variance += len(some) * len(others) * (len(some) + len(others) + 1) / 12
    return max(wins / pairs, 1 - wins / pairs), 4 * variance**0.5 / pairs
