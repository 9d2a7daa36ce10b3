"""How long the first report of an honest person waits while hostile addresses send all that they can.

A simulated clock; the limits, the outbox and the pace of the program. Envelopes hold no tips, and no decoys leave.
"""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from flask import Flask

from app.core.errors import RateError
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.outbox import Envelope, Outbox
from app.delivery.pace import Pace, WaitingEnvelope, WindowPlans, choose
from app.site.web.rate_limits import RateLimits, WordsPace
from app.vault.tip import TipId, new_tip_id

WINDOW, CELLS, HOUR = 600, 16, 3600
_START = 1_795_327_200


@dataclass
class HonestReports:
    """The reports of honest people: how many were refused, and the hours after which each of the others left."""

    refused: int = 0
    hours: list[float] = field(default_factory=list)
    waiting: int = 0  # have not left when the simulation ends
    most_backlog: int = 0

    @property
    def taken(self) -> int:
        """How many were taken."""
        return len(self.hours) + self.waiting

    def within(self, share: float) -> float:
        """The hours after which such a share of those that were taken had left; infinite if they had not."""
        ranked = [*sorted(self.hours), *[float("inf")] * self.waiting]
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


class Siege:
    """Hostile addresses that send in every window all they can, and one honest person with an address of their own."""

    def __init__(self, folder: Path, *, seed: int = 1) -> None:
        self.now = float(_START)
        self._dice, self._app = random.Random(seed), Flask("siege")
        self._memory = SqliteMemoryStore(folder / "memory")
        self._outbox = Outbox(f"sqlite:///{folder}/outbox.db", self._memory)
        self._limits = RateLimits(
            url="memory://",
            per_address="20/hour",
            workers=1,
            pace=WordsPace(CELLS, WINDOW),
            clock=lambda: self.now,
        )
        self._plans = WindowPlans(Pace(CELLS), self._dice)
        self._honest: dict[TipId, float] = {}
        self._people = 0

    def run(self, hostile: list[str], *, hours: int, tries: int = 20, rest: int = 0) -> HonestReports:
        """Let each hostile address try so often in each window, for some hours; then nobody sends for `rest` hours."""
        found = HonestReports()
        for window in range((hours + rest) * HOUR // WINDOW):
            if window < hours * HOUR // WINDOW:
                self._send_all(hostile, tries, found)
            found.most_backlog = max(found.most_backlog, self._memory.count_words())
            self._leave(found)
            self.now += WINDOW
        found.waiting = len(self._honest)
        return found

    def close(self) -> None:
        """Close the database."""
        self._outbox.database.close()
        self._memory.close()

    def _send_all(self, hostile: list[str], tries: int, found: HonestReports) -> None:
        moment = self._dice.randrange(len(hostile))
        for number, address in enumerate(self._dice.sample(hostile, len(hostile))):
            if number == moment:
                self._send_honest(found)
            for _ in range(tries):
                if self._send(address) is None:
                    break

    def _send_honest(self, found: HonestReports) -> None:
        self._people += 1
        tip = self._send(f"11.{self._people // 256}.{self._people % 256}.1")
        if tip is None:
            found.refused += 1
        else:
            self._honest[tip] = self.now

    def _send(self, address: str) -> TipId | None:
        tip = Envelope(new_tip_id(), "intake", os.urandom(100))
        with (
            suppress(RateError),
            self._app.test_request_context(environ_base={"REMOTE_ADDR": address}),
            self._limits.reserved("tip") as place,
        ):
            self._outbox.put([tip], now=self.now, most_waiting=place.most_waiting)
            return tip.id
        return None

    def _leave(self, found: HonestReports) -> None:
        waiting = [WaitingEnvelope(one, tried=False, kind=kind) for one, kind in self._memory.kinds("intake").items()]
        for slot in self._plans.next_window(tried=0, succeeded=1):
            one = choose(slot, waiting, random=self._dice)
            if one is not None:
                waiting.remove(one)
                self._outbox.settle(one.id)
                if (sent := self._honest.pop(one.id, None)) is not None:
                    found.hours.append((self.now + WINDOW - sent) / HOUR)


@contextmanager
def siege(folder: Path, *, seed: int = 1) -> Iterator[Siege]:
    """A siege in a folder, which should be in memory."""
    one = Siege(folder, seed=seed)
    try:
        yield one
    finally:
        one.close()


def addresses(number: int) -> list[str]:
    """So many addresses, each in a /24 of its own."""
    return [f"12.{one // 256}.{one % 256}.1" for one in range(number)]
