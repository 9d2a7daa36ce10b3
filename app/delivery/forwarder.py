"""Brings envelopes to their agencies: together, at each window's end, in random order.

What leaves for the padded agency in the smallest class is always batch × a power of two, decoys filling
it, so that a watcher sees the same whether or not somebody wrote. One agency's trouble never holds up
another's, nor one envelope's another's. It never gives up, and an envelope is settled only when its
agency has it. Log lines hold an agency's id and a code.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from app.core.errors import DeliveryError, HaumaruError, OutboxError
from app.delivery.leases import Claimed, Owner, Turns
from app.delivery.outbox import Envelope, Outbox
from app.delivery.recovery import rescue
from app.delivery.transports import Transport
from app.vault.bundle import SIZE_CLASSES

IN_A_ROW = 3  # failures after which an agency is left alone until its next turn
AGENCY_WIDE = frozenset({"unreachable", "tls", "auth"})  # failures that the next envelope would meet too
DAMAGED = frozenset({"corrupt", "database", "memory"})  # a damaged schema or length may look like the last two
ONCE_SECONDS = 900

_Load = list[Claimed | None]  # None: a decoy, made when its turn comes

_log = logging.getLogger("haumaru.forward")


@dataclass(frozen=True)
class Rules:
    """How envelopes leave: `window` in seconds, `batch` envelopes, and who gets decoys (None: nobody)."""

    window: int
    batch: int
    padded: str | None = None
    envelope_seconds: float = 120  # for one delivery in all
    pace: float = 0.0  # deliveries of a turn begin at multiples of this many seconds; 0: when they can


@dataclass(frozen=True)
class Outcome:
    """How one agency's turn went; `code` is its last failure, empty if there was none."""

    agency: str
    delivered: int  # decoys left out
    waiting: int
    code: str


@dataclass(frozen=True)
class _Beat:
    """When deliveries of a turn begin: what comes between them takes longer for a tip than for a decoy."""

    begun: float
    ends: float
    number: int
    pace: float

    def rest(self) -> float:
        """Return the seconds until the next may begin; never so long that the turn would not end in time."""
        step = min(self.pace, (self.ends - self.begun) / 2 / max(1, self.number))
        return (self.begun - time.monotonic()) % step if step > 0 else 0.0


@dataclass
class _Tally:
    """How one agency's turn is going."""

    delivered: int = 0
    waiting: int = 0
    any_passed: bool = False
    in_a_row: int = 0
    code: str = ""
    their_trouble: bool = False

    @property
    def hopeless(self) -> bool:
        return self.code in AGENCY_WIDE or self.in_a_row >= IN_A_ROW

    def passed(self, *, decoy: bool) -> None:
        self.delivered += not decoy
        self.any_passed = True
        self.in_a_row = 0

    def missed(self, fault: Exception) -> None:
        self.code = _code(fault)
        if self.code == "corrupt" or (isinstance(fault, DeliveryError) and fault.permanent):
            self.in_a_row = 0  # the envelope's own fault: the others may pass
        else:
            self.in_a_row += 1
            self.their_trouble = self.their_trouble or isinstance(fault, DeliveryError)


class Forwarder:
    """One process's forwarder; any number of them may work on one outbox."""

    def __init__(
        self,
        outbox: Outbox,
        transports: Mapping[str, Transport],
        rules: Rules,
        *,
        make_decoy: Callable[[], Envelope] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = outbox.store
        self._turns = Turns(outbox.store)
        self._transports = transports
        self._rules = rules
        self._make_decoy = make_decoy
        self._clock = clock
        self._stop = threading.Event()
        self._delivered: set[str] = set()  # the agency has them, but the database was away

    def run(self, stop: threading.Event, wait: Callable[[float], object] | None = None) -> None:
        """Work at the start of every window until `stop` is set, then finish the envelope in hand."""
        self._stop = stop
        window = self._rules.window
        last = _start(self._clock(), window)
        while not stop.is_set():
            now = self._clock()
            start = _start(now, window)
            if start == last:
                # Never long, so that a clock that was put right is noticed.
                (wait or stop.wait)(min(start + window - now, 30.0))
                continue
            last = start
            try:
                self.turn(start)
            except Exception as fault:  # noqa: BLE001  # what is acknowledged must come through
                _log.error("turn code=%s", _code(fault))  # a traceback may hold data

    def turn(self, start: int) -> tuple[Outcome, ...] | None:
        """Work the window that begins at `start` (unix seconds); None if another forwarder has it.

        Raises OutboxError if the database is away or cannot be tidied.
        """
        window = self._rules.window
        owner = self._turns.take(start, seconds=window)
        if owner is None:
            return None
        # The last tenth is for tidying: at the window's end the claims are another's.
        ends = time.monotonic() + max(0.0, start + window - self._clock()) * 0.9
        with self._owning(owner):
            resting = self._turns.resting(start) & self._transports.keys()
            ready = self._transports.keys() - resting
            # What was never tried does not wait for another's failure, unless a watcher would see it.
            claimed = self._turns.claim(owner, ready=ready, fresh=resting - {self._rules.padded})
            loads = _by_agency(claimed)
            if self._rules.padded in ready:
                own = loads.setdefault(self._rules.padded, [])
                own.extend([None] * self._missing(own))
            return self._deliver_all(loads, start, ends, pace=self._rules.pace)

    def run_once(self) -> tuple[Outcome, ...]:
        """Deliver all that waits, now, without decoys and whatever the backoff; raises OutboxError.

        From a damaged SQLite file it delivers what can be read, and leaves the file as it is.
        """
        try:
            return self._all_that_waits()
        except OutboxError as error:
            if error.code not in DAMAGED:
                raise
        return self._rescued()

    def _all_that_waits(self) -> tuple[Outcome, ...]:
        start = int(self._clock())
        ends = time.monotonic() + ONCE_SECONDS
        owner = self._turns.join(start, seconds=ONCE_SECONDS)
        with self._owning(owner):
            return self._deliver_all(_by_agency(self._turns.claim(owner, ready=self._transports.keys())), start, ends)

    def _rescued(self) -> tuple[Outcome, ...]:
        tallies: dict[str, _Tally] = {}
        for envelope in rescue(self._store):
            tally = tallies.setdefault(envelope.agency, _Tally())
            try:
                self._transports[envelope.agency].deliver(envelope, seconds=self._rules.envelope_seconds)
            except Exception as fault:  # noqa: BLE001  # what is acknowledged must come through
                tally.missed(fault)
                tally.waiting += 1
            else:
                tally.passed(decoy=False)
        return tuple(Outcome(name, one.delivered, one.waiting, one.code) for name, one in tallies.items())

    @contextmanager
    def _owning(self, owner: Owner) -> Iterator[None]:
        try:
            yield
        finally:
            self._turns.release(owner)
            self._turns.end(self._clock())

    def _deliver_all(
        self, loads: Mapping[str, _Load], start: int, ends: float, *, pace: float = 0.0
    ) -> tuple[Outcome, ...]:
        with ThreadPoolExecutor(max(1, len(loads))) as pool:
            beats = ((agency, load, _Beat(time.monotonic(), ends, len(load), pace)) for agency, load in loads.items())
            going = [pool.submit(self._deliver_to, agency, load, start, beat) for agency, load, beat in beats]
        return tuple(each.result() for each in going)

    def _missing(self, load: Iterable[Claimed | None]) -> int:
        """Count the decoys that bring the smallest class to batch × the least power of two that takes it."""
        small = sum(one is not None and one.length < 2 * SIZE_CLASSES["128KiB"] for one in load)
        leaving = self._rules.batch
        while leaving < small:
            leaving *= 2
        return leaving - small

    def _deliver_to(self, agency: str, load: _Load, start: int, beat: _Beat) -> Outcome:
        secrets.SystemRandom().shuffle(load)
        tally = _Tally()
        for one in load:
            if self._stop.is_set() or time.monotonic() >= beat.ends or tally.hopeless:
                break
            try:
                self._deliver(agency, one, beat)
            except Exception as fault:  # noqa: BLE001  # likewise
                tally.missed(fault)
            else:
                tally.passed(decoy=one is None)
        if tally.code:
            _log.warning("delivery agency=%s code=%s", agency, tally.code)
        if tally.any_passed or tally.code:
            rest = tally.their_trouble and not tally.any_passed
            self._turns.note(agency, code=tally.code, rest=rest, at=start, seconds=self._rules.window)
        waiting = sum(one is not None for one in load) - tally.delivered
        return Outcome(agency, tally.delivered, waiting, tally.code)

    def _deliver(self, agency: str, one: Claimed | None, beat: _Beat) -> None:
        if one is None:
            assert self._make_decoy is not None
            self._hand_over(self._make_decoy(), agency, beat)
            return
        if one.id not in self._delivered:
            self._hand_over(Envelope(one.id, agency, self._turns.load(one.id)), agency, beat)
            self._delivered.add(one.id)
        self._turns.settle(one.id)
        self._delivered.discard(one.id)

    def _hand_over(self, envelope: Envelope, agency: str, beat: _Beat) -> None:
        self._stop.wait(beat.rest())
        seconds = min(self._rules.envelope_seconds, max(0.1, beat.ends - time.monotonic()))
        self._transports[agency].deliver(envelope, seconds=seconds)


def _by_agency(claimed: Iterable[Claimed]) -> dict[str, _Load]:
    loads: dict[str, _Load] = {}
    for one in claimed:
        loads.setdefault(one.agency, []).append(one)
    return loads


def _code(fault: Exception) -> str:
    return fault.code if isinstance(fault, HaumaruError) else type(fault).__name__


def _start(now: float, window: int) -> int:
    return int(now) // window * window
