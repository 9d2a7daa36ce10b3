"""Delivers to one agency, one envelope a beat, and keeps the agency's stock of decoys, as large as any agency's is.

At each beat one envelope is chosen, marked as tried on the disk, delivered and settled, and a decoy takes its place.
An envelope is settled only when its agency has it, and is tried once in a window at most. Whatever fails, the beat ends
and the next one is made: an acknowledged tip must come through. Log lines hold the agency's id and a code.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from random import Random

from app.core.errors import DeliveryError, HaumaruError, MemoryStoreError, OutboxError
from app.delivery.leases import LeaseOwner, Leases
from app.delivery.memory_store import EnvelopeKind
from app.delivery.outbox import Envelope, Outbox
from app.delivery.pace import Pace, Slot, WaitingEnvelope, WindowPlans, choose, in_order, next_level
from app.delivery.transports import BoundedTransport, Transport
from app.vault.tip import TipId

DAMAGE_CODES = frozenset({"corrupt", "gone"})  # of one envelope: others may be delivered
MAX_FAILURES_IN_A_ROW = 3  # then `deliver_all` leaves the agency alone
_CHOICES = 8  # so often another envelope is chosen where one is damaged, or was replaced meanwhile
_EXTRA_DECOYS = 4  # that are put after one delivery, at most, where the outbox is filled above its stock

_log = logging.getLogger("haumaru.forward")


@dataclass(frozen=True)
class DeliveryOutcome:
    """The deliveries to one agency, decoys among them; `code` is the last failure, empty if there was none."""

    agency: str
    delivered: int
    waiting: int
    code: str


@dataclass
class _Window:
    """What happened in one window so far."""

    start: int
    plan: list[Slot]  # what is left of it, the next slot last
    tried: set[TipId] = field(default_factory=set)
    delivered: int = 0
    code: str = ""
    permanent: bool = False  # the last failure concerned its envelope alone


class AgencyForwarder:
    """The deliveries of one process to one agency; `make_decoy` is needed where the pace has a stock.

    `others` are the other agencies with a stock: the outbox is filled as far for each of them.
    """

    def __init__(
        self,
        agency: str,
        transport: Transport,
        pace: Pace,
        outbox: Outbox,
        *,
        seconds: float,
        make_decoy: Callable[[], Envelope] | None,
        clock: Callable[[], float],
        random: Random,
        others: Collection[str] = (),
    ) -> None:
        assert make_decoy or not pace.stock
        self.agency, self.pace = agency, pace
        self._outbox, self._leases = outbox, Leases(outbox.database)
        self._transport = BoundedTransport(transport)
        self._seconds, self._make_decoy, self._clock, self._random = seconds, make_decoy, clock, random
        self._others = others
        self._window = _Window(-1, [])
        self._moment = 0  # of the beat: larger at each beat of one window, and from one window to the next
        self._plans = WindowPlans(pace, random)
        self._seen: list[WaitingEnvelope] = []  # what waits beside the envelope in hand
        self._delivered: set[TipId] = set()  # the agency has these, but they are not settled yet

    def beat(self, owner: LeaseOwner, start: int) -> None:
        """Deliver one envelope in the window that begins at `start`, unless all cells of the window are used.

        A delivery that fails is recorded. Raises OutboxError where the database fails.
        """
        self._moment = start * self.pace.cells
        if start != self._window.start:
            self._begin_window(start)
        if not self._window.plan:
            return
        self._moment += 1 + self.pace.cells - len(self._window.plan)  # after what the window began with
        slot = self._window.plan.pop()
        self._settle_delivered()
        if self._transport.hangs:
            self._fail("timeout")
            return
        envelope = self._begin(owner, slot) or self._begin_decoy(owner)
        if envelope is not None:
            decoys = self._decoys_due(self._seen)
            if self._deliver(envelope, replace=decoys > 0):
                decoys -= 1
            self._put_decoys(decoys)
            self._outbox.tidy(self._clock())

    def deliver_all(self, owner: LeaseOwner, should_stop: Callable[[], bool]) -> DeliveryOutcome:
        """Deliver all that is stored, decoys too, and put no new ones; stop where the agency's end is not there.

        Raises OutboxError where the database fails.
        """
        self._window = _Window(-1, [])
        self._settle_delivered()
        failures = 0  # in a row
        for one in in_order(self._waiting(), random=self._random):
            if failures == MAX_FAILURES_IN_A_ROW or should_stop() or self._transport.hangs:
                break
            envelope = self._start(owner, one)
            if envelope is not None:
                failures = 0 if self._deliver(envelope, replace=False) or self._window.permanent else failures + 1
        if self._window.delivered and not self._window.code:
            self._leases.clear_failures(self.agency)
        return self.outcome()

    def outcome(self) -> DeliveryOutcome:
        """Return what happened in the window so far; raises OutboxError."""
        waiting = len(self._leases.waiting(self.agency).keys() - self._delivered)
        return DeliveryOutcome(self.agency, self._window.delivered, waiting, self._window.code)

    def _begin_window(self, start: int) -> None:
        # The window begins when all of this is done: after a fault the next beat does it again.
        before, self._window = self._window, _Window(-1, [])
        if before.delivered and not before.code:
            self._leases.clear_failures(self.agency)
        self._settle_delivered()
        if self.pace.stock:
            self._outbox.forget_absent(self.agency)
        waiting = self._waiting()
        self._put_decoys(self._decoys_due(waiting))
        tried, succeeded = sum(one.tried for one in waiting), before.delivered / self.pace.cells
        self._window.plan = self._plans.next_window(tried=tried, succeeded=succeeded)[::-1]
        self._window.start = start

    def _waiting(self) -> list[WaitingEnvelope]:
        """Return what may leave now: neither tried in this window nor delivered before."""
        waiting = self._leases.waiting(self.agency)
        kinds = self._kinds() or {}
        held_back = self._window.tried | self._delivered
        return [WaitingEnvelope(id_, tried, kinds.get(id_)) for id_, tried in waiting.items() if id_ not in held_back]

    def _kinds(self) -> Mapping[TipId, EnvelopeKind] | None:
        """Return what the memory store knows of the agency's envelopes, None while the memory store is away."""
        try:
            return self._outbox.memory.kinds(self.agency) if self._outbox.memory else None
        except MemoryStoreError as error:
            _log.warning("memory code=%s", error.code)
            return None

    def _begin(self, owner: LeaseOwner, slot: Slot) -> Envelope | None:
        """Choose an envelope and start with it; None if there is none that can leave."""
        self._seen = self._waiting()
        for _ in range(_CHOICES):
            one = choose(slot, self._seen, random=self._random)
            if one is None:
                break
            self._seen.remove(one)
            envelope = self._start(owner, one)
            if envelope is not None:
                return envelope
        return None

    def _start(self, owner: LeaseOwner, one: WaitingEnvelope) -> Envelope | None:
        """Load an envelope and mark it as tried; None if it is damaged, or a tip has taken its place meanwhile."""
        self._window.tried.add(one.id)
        try:
            data = self._leases.load(one.id)
        except OutboxError as error:
            if error.code not in DAMAGE_CODES:
                raise
            if error.code == "corrupt":
                self._fail(error.code)
            return None
        if not self._leases.begin(owner, one.id):
            return None
        self._forget(one.id)
        return Envelope(one.id, self.agency, data)

    def _forget(self, tip: TipId) -> None:
        """Let the memory store forget what was tried, which all are treated alike: no tip may take its place."""
        try:
            if self._outbox.memory:
                self._outbox.memory.forget([tip])
        except MemoryStoreError as error:
            _log.warning("memory code=%s", error.code)

    def _begin_decoy(self, owner: LeaseOwner) -> Envelope | None:
        """Put a decoy where nothing else can leave, and begin with that."""
        self._put_decoys(1 if self.pace.stock else 0)
        return self._begin(owner, Slot.WORDS) if self.pace.stock else None

    def _deliver(self, envelope: Envelope, *, replace: bool) -> bool:
        """Deliver and settle; with `replace`, a decoy takes the place of what was settled. Return whether it left."""
        try:
            self._transport.deliver(envelope, seconds=self._seconds)
        except Exception as fault:  # noqa: BLE001  # an acknowledged tip must come through
            self._window.permanent = isinstance(fault, DeliveryError) and fault.permanent
            self._fail(_code_of(fault), envelope.id)
            return False
        self._delivered.add(envelope.id)
        self._window.delivered += 1
        self._settle(envelope.id, decoy=self._new_decoy() if replace else None)
        return True

    def _settle_delivered(self) -> None:
        while self._transport.late:
            self._delivered.add(self._transport.late.pop())
        for each in tuple(self._delivered):
            self._settle(each)

    def _settle(self, tip: TipId, *, decoy: Envelope | None = None) -> None:
        try:
            self._outbox.settle(tip, decoy=decoy)
        except OutboxError as error:
            if error.code != "corrupt":
                raise
            self._fail(error.code)  # its row stands on a damaged page; others may be delivered
        else:
            self._delivered.discard(tip)

    def _decoys_due(self, waiting: Collection[WaitingEnvelope]) -> int:
        """Return how many decoys are to be put now, so that as many envelopes never tried lie here as should."""
        if not self.pace.stock:
            return 0
        fresh = [one for one in waiting if not one.tried]
        level = max(self.pace.stock, self._level(fresh))
        return level - len(fresh) if len(fresh) < self.pace.stock else min(level - len(fresh), 1 + _EXTRA_DECOYS)

    def _level(self, fresh: Collection[WaitingEnvelope]) -> int:
        """Return how far to fill at this beat: as far as for every agency, since more would show whose tips wait."""
        memory = self._outbox.memory
        if memory is None:
            return self.pace.stock
        try:
            before = memory.level()
            level = next_level(before, self.pace, fresh)
            for other in self._others:
                known = [WaitingEnvelope(id_, tried=False, kind=kind) for id_, kind in memory.kinds(other).items()]
                level = max(level, next_level(before, self.pace, known))
            return memory.agree_level(self._moment, level)
        except MemoryStoreError:
            return self.pace.stock

    def _put_decoys(self, count: int) -> None:
        """Put decoys one at a time; where that fails, envelopes leave all the same."""
        for _ in range(count):
            decoy = self._new_decoy()
            if decoy is None:
                return
            try:
                self._outbox.put_decoy(decoy)
            except OutboxError as error:
                _log.warning("decoys agency=%s code=%s", self.agency, error.code)
                return

    def _new_decoy(self) -> Envelope | None:
        assert self._make_decoy
        try:
            return self._make_decoy()
        except HaumaruError as error:  # tips must leave all the same
            self._fail(error.code)
            return None

    def _fail(self, code: str, tip: TipId | None = None) -> None:
        if code != self._window.code:
            _log.warning("delivery agency=%s code=%s", self.agency, code)
        self._window.code = code
        self._leases.record_failure(self.agency, code, now=self._clock(), tip=tip)


def _code_of(fault: Exception) -> str:
    return fault.code if isinstance(fault, HaumaruError) else type(fault).__name__
