"""The forwarder: one envelope leaves for each agency at each beat, at one pace, whether or not somebody wrote.

Each agency has a thread of its own, so that an agency that fails or hangs delays no other. One forwarder owns each
window, for all agencies; any number of forwarders may work on one outbox. Beats that were missed, by a pause or an
outage, are not made up for: nothing makes more envelopes leave at once. The forwarder never gives up. Log lines hold an
agency's id and a code.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random, SystemRandom

from app.core.errors import HaumaruError, OutboxError
from app.delivery.agency_forwarder import AgencyForwarder, DeliveryOutcome
from app.delivery.leases import LeaseOwner, Leases
from app.delivery.outbox import Envelope, Outbox
from app.delivery.pace import Beats, Pace
from app.delivery.recovery import recover_envelopes
from app.delivery.transports import Transport

DELIVERY_SECONDS = 120.0
DEFAULT_PACE = Pace(cells=16)
# Faults for which `run_once` recovers what can be read: a damaged schema or length may look like the last two.
RECOVERABLE_CODES = frozenset({"corrupt", "database", "memory"})
RUN_ONCE_SECONDS = 900
_LONGEST_WAIT = 30.0  # so that a corrected clock is noticed
_NOTICED_WITHIN = 1.0  # so soon the forwarder ends that is told to stop

_log = logging.getLogger("haumaru.forward")


@dataclass(frozen=True)
class ForwardRules:
    """How envelopes leave: `window` in seconds, and the pace of each agency, 16 cells and no stock unless named."""

    window: int
    paces: Mapping[str, Pace] = field(default_factory=dict)
    delivery_seconds: float = DELIVERY_SECONDS  # for one delivery in all, independent of the window


class _WindowLease:
    """The windows that this process owns, one after another, for the threads of all agencies."""

    def __init__(self, leases: Leases, rules: ForwardRules) -> None:
        self._leases, self._window = leases, rules.window
        # The lease outlasts the window by a delivery that began in its last second.
        self._lease = rules.window + int(rules.delivery_seconds) + 1
        self._lock = threading.Lock()
        self._taken: dict[int, LeaseOwner | None] = {}  # the last two windows: None where another process has one

    def owner_of(self, start: int) -> LeaseOwner | None:
        """Return the owner of the window that begins at `start`; None if another process owns it."""
        with self._lock:
            if start not in self._taken:
                owner = self._leases.take_window(start, seconds=self._window, lease=self._lease)
                self._taken = dict([*self._taken.items()][-1:]) | {start: owner}
            return self._taken[start]

    def release(self) -> None:
        """End the leases that may still run."""
        for owner in self._taken.values():
            if owner is not None:
                self._leases.release(owner)
        self._taken = {}


class Forwarder:
    """The forwarder of one process; `make_decoy` makes a decoy for an agency whose pace has a stock."""

    def __init__(
        self,
        outbox: Outbox,
        transports: Mapping[str, Transport],
        rules: ForwardRules,
        *,
        make_decoy: Callable[[str], Envelope] | None = None,
        clock: Callable[[], float] = time.time,
        random: Random | None = None,
    ) -> None:
        self._outbox, self._transports, self._rules, self._clock = outbox, transports, rules, clock
        self._leases = Leases(outbox.database)
        self._windows = _WindowLease(self._leases, rules)

        stocked = {agency for agency in transports if rules.paces.get(agency, DEFAULT_PACE).stock}

        def agency_forwarder(agency: str, transport: Transport) -> AgencyForwarder:
            return AgencyForwarder(
                agency,
                transport,
                rules.paces.get(agency, DEFAULT_PACE),
                outbox,
                seconds=rules.delivery_seconds,
                make_decoy=None if make_decoy is None else lambda: make_decoy(agency),
                clock=clock,
                random=random or SystemRandom(),
                others=stocked - {agency},
            )

        self._agencies = {agency: agency_forwarder(agency, way) for agency, way in transports.items()}

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set, then finish the deliveries that have begun."""
        with self._threads(lambda agency: self.run_agency(agency, stop)):
            # A signal that comes just as a wait without an end begins would be noticed by nobody.
            while not stop.wait(_NOTICED_WITHIN):
                pass
        with suppress(OutboxError):
            self._windows.release()

    def run_agency(self, agency: str, stop: threading.Event, wait: Callable[[float], object] | None = None) -> None:
        """Deliver to one agency, at its beats, until `stop` is set."""
        beats = Beats(self._rules.window / self._agencies[agency].pace.cells)
        while not stop.is_set():
            beats.next_beat(self._clock())
            while not stop.is_set() and (left := beats.seconds_left(self._clock())):
                (wait or stop.wait)(min(left, _LONGEST_WAIT))
            if not stop.is_set():
                beats.begin(self._clock())
                self._beat(agency)

    def run_window(self, start: int) -> tuple[DeliveryOutcome, ...] | None:
        """Make all beats of the window that begins at `start` at once; None if another forwarder has the window.

        For a caller that has its own pace, and for tests. Raises OutboxError where the database fails.
        """
        owner = self._windows.owner_of(start)
        if owner is None:
            return None
        for number in range(max(agency.pace.cells for agency in self._agencies.values())):
            for agency in self._agencies.values():
                if number < agency.pace.cells:
                    agency.beat(owner, start)
        return tuple(agency.outcome() for agency in self._agencies.values())

    def run_once(self) -> tuple[DeliveryOutcome, ...]:
        """Deliver all that is stored, decoys too, now, and whatever failed before; raises OutboxError.

        From a damaged SQLite file, deliver every envelope that can be read, and leave the file as it is.
        """
        try:
            return self._deliver_stored()
        except OutboxError as error:
            if error.code not in RECOVERABLE_CODES:
                raise
        return self._deliver_recovered()

    def _beat(self, agency: str) -> None:
        start = int(self._clock()) // self._rules.window * self._rules.window
        try:
            owner = self._windows.owner_of(start)
            if owner is not None:
                self._agencies[agency].beat(owner, start)
        except Exception as fault:  # noqa: BLE001  # an acknowledged tip must come through
            # A traceback may hold data.
            _log.error("beat agency=%s code=%s", agency, _code_of(fault))

    def _deliver_stored(self) -> tuple[DeliveryOutcome, ...]:
        owner = self._leases.acquire_lease(self._clock(), seconds=RUN_ONCE_SECONDS)
        ends = time.monotonic() + RUN_ONCE_SECONDS
        results: dict[str, DeliveryOutcome | Exception] = {}

        def deliver(agency: str) -> None:
            try:
                results[agency] = self._agencies[agency].deliver_all(owner, lambda: time.monotonic() >= ends)
            except Exception as fault:  # noqa: BLE001  # raised again below
                results[agency] = fault

        try:
            with self._threads(deliver, seconds=RUN_ONCE_SECONDS):
                pass
        finally:
            self._leases.release(owner)
        for result in results.values():
            if isinstance(result, Exception):
                raise result
        return tuple(one for one in results.values() if isinstance(one, DeliveryOutcome) and _is_worth_saying(one))

    def _deliver_recovered(self) -> tuple[DeliveryOutcome, ...]:
        counts: dict[str, DeliveryOutcome] = {}
        for envelope in recover_envelopes(self._outbox.database):
            before = counts.get(envelope.agency, DeliveryOutcome(envelope.agency, 0, 0, ""))
            delivered, waiting, code = before.delivered, before.waiting, before.code
            try:
                self._transports[envelope.agency].deliver(envelope, seconds=self._rules.delivery_seconds)
                delivered += 1
            except Exception as fault:  # noqa: BLE001  # an acknowledged tip must come through
                waiting, code = waiting + 1, _code_of(fault)
            counts[envelope.agency] = DeliveryOutcome(envelope.agency, delivered, waiting, code)
        return tuple(counts.values())

    @contextmanager
    def _threads(self, work: Callable[[str], None], *, seconds: float | None = None) -> Iterator[None]:
        """Run `work` in a thread for each agency; wait for their ends, but not for a delivery that hangs."""
        threads = [threading.Thread(target=work, args=(agency,), daemon=True) for agency in self._agencies]
        for thread in threads:
            thread.start()
        yield
        ends = time.monotonic() + (self._rules.delivery_seconds + 10 if seconds is None else seconds)
        for thread in threads:
            thread.join(max(0.0, ends - time.monotonic()))


def _is_worth_saying(outcome: DeliveryOutcome) -> bool:
    return bool(outcome.delivered or outcome.waiting or outcome.code)


def _code_of(fault: Exception) -> str:
    return fault.code if isinstance(fault, HaumaruError) else type(fault).__name__
