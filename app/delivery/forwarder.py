"""The forwarder: delivers the waiting envelopes at the start of each window, together and in random order.

The number of envelopes of the smallest class that leave for the padded agency is always batch × a power of two,
filled up with decoys, so that a watcher sees the same whether or not a tip was sent. A failure of one agency or one
envelope never delays another. The forwarder never gives up, and settles an envelope only when its agency has the
envelope. Log lines hold an agency's id and a code.
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
from app.delivery.leases import ClaimedEnvelope, LeaseOwner, Leases
from app.delivery.outbox import Envelope, Outbox
from app.delivery.recovery import recover_envelopes
from app.delivery.transports import Transport
from app.vault.bundle import SIZE_CLASSES

MAX_FAILURES_IN_A_ROW = 3  # then an agency is left alone until the next window
AGENCY_WIDE_CODES = frozenset({"unreachable", "tls", "auth"})  # failures that every envelope to the agency would meet
DAMAGE_CODES = frozenset({"corrupt", "database", "memory"})  # a damaged schema or length may look like the last two
RUN_ONCE_SECONDS = 900

_Batch = list[ClaimedEnvelope | None]  # None: a decoy, made just before its delivery

_log = logging.getLogger("haumaru.forward")


@dataclass(frozen=True)
class ForwardRules:
    """How envelopes leave: `window` in seconds, and `batch`, the smallest number of envelopes of a window."""

    window: int
    batch: int
    padded: str | None = None  # the agency that gets decoys
    envelope_seconds: float = 120  # for one delivery in all
    pace: float = 0.0  # deliveries begin at multiples of this many seconds; 0: at once


@dataclass(frozen=True)
class DeliveryOutcome:
    """The deliveries to one agency in one window; `code` is the last failure, empty if there was none."""

    agency: str
    delivered: int  # without decoys
    waiting: int
    code: str


@dataclass(frozen=True)
class _Pacer:
    """Begins deliveries at a fixed pace, since the work between two deliveries takes longer for a tip than a decoy."""

    begun: float
    ends: float
    number: int
    pace: float

    def seconds_until_next(self) -> float:
        """Return the seconds to wait; the pace is shortened where not all deliveries would begin in half the time."""
        step = min(self.pace, (self.ends - self.begun) / 2 / max(1, self.number))
        return (self.begun - time.monotonic()) % step if step > 0 else 0.0


@dataclass
class _Tally:
    """The deliveries to one agency in one window so far."""

    delivered: int = 0
    waiting: int = 0
    any_delivered: bool = False
    failures_in_a_row: int = 0
    code: str = ""
    agency_failed: bool = False

    @property
    def should_stop(self) -> bool:
        return self.code in AGENCY_WIDE_CODES or self.failures_in_a_row >= MAX_FAILURES_IN_A_ROW

    def record_success(self, *, decoy: bool) -> None:
        self.delivered += not decoy
        self.any_delivered = True
        self.failures_in_a_row = 0

    def record_failure(self, fault: Exception) -> None:
        self.code = _code_of(fault)
        if self.code == "corrupt" or (isinstance(fault, DeliveryError) and fault.permanent):
            self.failures_in_a_row = 0  # this envelope is the fault: others may be delivered
        else:
            self.failures_in_a_row += 1
            self.agency_failed = self.agency_failed or isinstance(fault, DeliveryError)


class Forwarder:
    """The forwarder of one process; any number of forwarders may work on one outbox."""

    def __init__(
        self,
        outbox: Outbox,
        transports: Mapping[str, Transport],
        rules: ForwardRules,
        *,
        make_decoy: Callable[[], Envelope] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = outbox.database
        self._leases = Leases(outbox.database)
        self._transports = transports
        self._rules = rules
        self._make_decoy = make_decoy
        self._clock = clock
        self._stop = threading.Event()
        self._delivered: set[str] = set()  # taken by the agency, but not yet settled in the database

    def run(self, stop: threading.Event, wait: Callable[[float], object] | None = None) -> None:
        """Deliver at the start of every window until `stop` is set, then finish the delivery that has begun."""
        self._stop = stop
        window = self._rules.window
        last = _window_start(self._clock(), window)
        while not stop.is_set():
            now = self._clock()
            start = _window_start(now, window)
            if start == last:
                # A short wait, so that a corrected clock is noticed.
                (wait or stop.wait)(min(start + window - now, 30.0))
                continue
            last = start
            try:
                self.run_window(start)
            except Exception as fault:  # noqa: BLE001  # an acknowledged tip must come through
                _log.error("turn code=%s", _code_of(fault))  # a traceback may hold data

    def run_window(self, start: int) -> tuple[DeliveryOutcome, ...] | None:
        """Deliver in the window that begins at `start` (unix seconds); None if another forwarder has the window.

        Raises OutboxError if the database is away or the vacuum fails.
        """
        window = self._rules.window
        owner = self._leases.take_window(start, seconds=window)
        if owner is None:
            return None
        # The last tenth is for the vacuum: at the end of the window the claims pass to another forwarder.
        ends = time.monotonic() + max(0.0, start + window - self._clock()) * 0.9
        with self._lease(owner):
            backing_off = self._leases.agencies_in_backoff(start) & self._transports.keys()
            ready = self._transports.keys() - backing_off
            # An envelope that was never tried does not wait for the backoff, unless a watcher would see that.
            claimed = self._leases.claim(owner, ready=ready, fresh=backing_off - {self._rules.padded})
            batches = _by_agency(claimed)
            if self._rules.padded in ready:
                batch = batches.setdefault(self._rules.padded, [])
                batch.extend([None] * self._decoys_needed(batch))
            return self._deliver_all(batches, start, ends, pace=self._rules.pace)

    def run_once(self) -> tuple[DeliveryOutcome, ...]:
        """Deliver all waiting envelopes now, without decoys and in spite of any backoff; raises OutboxError.

        From a damaged SQLite file, deliver every envelope that can be read, and leave the file as it is.
        """
        try:
            return self._deliver_waiting()
        except OutboxError as error:
            if error.code not in DAMAGE_CODES:
                raise
        return self._deliver_recovered()

    def _deliver_waiting(self) -> tuple[DeliveryOutcome, ...]:
        start = int(self._clock())
        ends = time.monotonic() + RUN_ONCE_SECONDS
        owner = self._leases.acquire_lease(start, seconds=RUN_ONCE_SECONDS)
        with self._lease(owner):
            return self._deliver_all(_by_agency(self._leases.claim(owner, ready=self._transports.keys())), start, ends)

    def _deliver_recovered(self) -> tuple[DeliveryOutcome, ...]:
        tallies: dict[str, _Tally] = {}
        for envelope in recover_envelopes(self._database):
            tally = tallies.setdefault(envelope.agency, _Tally())
            try:
                self._transports[envelope.agency].deliver(envelope, seconds=self._rules.envelope_seconds)
            except Exception as fault:  # noqa: BLE001  # an acknowledged tip must come through
                tally.record_failure(fault)
                tally.waiting += 1
            else:
                tally.record_success(decoy=False)
        return tuple(DeliveryOutcome(name, one.delivered, one.waiting, one.code) for name, one in tallies.items())

    @contextmanager
    def _lease(self, owner: LeaseOwner) -> Iterator[None]:
        try:
            yield
        finally:
            self._leases.release(owner)
            self._leases.finish_window(self._clock())

    def _deliver_all(
        self, batches: Mapping[str, _Batch], start: int, ends: float, *, pace: float = 0.0
    ) -> tuple[DeliveryOutcome, ...]:
        with ThreadPoolExecutor(max(1, len(batches))) as pool:
            paced = (
                (agency, batch, _Pacer(time.monotonic(), ends, len(batch), pace)) for agency, batch in batches.items()
            )
            going = [pool.submit(self._deliver_to, agency, batch, start, pacer) for agency, batch, pacer in paced]
        return tuple(each.result() for each in going)

    def _decoys_needed(self, batch: Iterable[ClaimedEnvelope | None]) -> int:
        """Return how many decoys fill the smallest class up to batch × the least power of two that holds the tips."""
        small = sum(one is not None and one.length < 2 * SIZE_CLASSES["128KiB"] for one in batch)
        leaving = self._rules.batch
        while leaving < small:
            leaving *= 2
        return leaving - small

    def _deliver_to(self, agency: str, batch: _Batch, start: int, pacer: _Pacer) -> DeliveryOutcome:
        secrets.SystemRandom().shuffle(batch)
        tally = _Tally()
        for one in batch:
            if self._stop.is_set() or time.monotonic() >= pacer.ends or tally.should_stop:
                break
            try:
                self._deliver(agency, one, pacer)
            except Exception as fault:  # noqa: BLE001  # an acknowledged tip must come through
                tally.record_failure(fault)
            else:
                tally.record_success(decoy=one is None)
        if tally.code:
            _log.warning("delivery agency=%s code=%s", agency, tally.code)
        if tally.any_delivered or tally.code:
            backoff = tally.agency_failed and not tally.any_delivered
            self._leases.record_outcome(agency, code=tally.code, backoff=backoff, at=start, seconds=self._rules.window)
        waiting = sum(one is not None for one in batch) - tally.delivered
        return DeliveryOutcome(agency, tally.delivered, waiting, tally.code)

    def _deliver(self, agency: str, one: ClaimedEnvelope | None, pacer: _Pacer) -> None:
        if one is None:
            assert self._make_decoy is not None
            self._send(self._make_decoy(), agency, pacer)
            return
        if one.id not in self._delivered:
            self._send(Envelope(one.id, agency, self._leases.load(one.id)), agency, pacer)
            self._delivered.add(one.id)
        self._leases.settle(one.id)
        self._delivered.discard(one.id)

    def _send(self, envelope: Envelope, agency: str, pacer: _Pacer) -> None:
        self._stop.wait(pacer.seconds_until_next())
        seconds = min(self._rules.envelope_seconds, max(0.1, pacer.ends - time.monotonic()))
        self._transports[agency].deliver(envelope, seconds=seconds)


def _by_agency(claimed: Iterable[ClaimedEnvelope]) -> dict[str, _Batch]:
    batches: dict[str, _Batch] = {}
    for one in claimed:
        batches.setdefault(one.agency, []).append(one)
    return batches


def _code_of(fault: Exception) -> str:
    return fault.code if isinstance(fault, HaumaruError) else type(fault).__name__


def _window_start(now: float, window: int) -> int:
    return int(now) // window * window
