"""Divides places or bytes among the networks that ask for them, so that no network takes all.

A request belongs to several networks, one inside another. Random-looking keys name them, the narrowest first. The
narrowest may take a quarter of the whole, or another share, and each wider network twice as much. A network that has
taken nothing may always take a free amount. A refused amount is not taken, and nobody learns how much is left.
Requests may wait in line: none passes an earlier one that lacks nothing but room.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition

from app.core.errors import BusyError
from app.web.networks import Networks


def share_names(networks: Networks) -> tuple[str, ...]:
    """Return the names of a visitor's networks, narrowest first; the whole onion service is never the narrowest."""
    names = tuple(network.key for network in networks.nested)
    return (secrets.token_hex(8), *names) if networks.narrowest.width == "onion" else names


@dataclass(eq=False)
class _WaitingAmount:
    """An amount that a request waits for, and its networks, narrowest first."""

    networks: Sequence[str]
    amount: int


class NetworkShares:
    """`total` places or bytes, of which one network takes at most the fraction `share`.

    `reserve` is the fraction that only amounts of at most an eighth of `total` may take. `draw` gives each network a
    number from 0 up to 1, which makes its share smaller, by at most half. So a visitor who is refused cannot count what
    others of the same network have taken.
    """

    def __init__(
        self,
        total: int,
        *,
        share: float = 0.25,
        reserve: float = 0.0,
        draw: Callable[[str, str], float] = lambda _network, _purpose: 0.0,
    ) -> None:
        self._total, self._share, self._reserve, self._draw = total, share, reserve, draw
        self._used, self._of = 0, Counter[str]()
        self._change, self._line = Condition(), list[_WaitingAmount]()

    @property
    def used(self) -> int:
        """Return the amount that is taken now."""
        return self._used

    def take(self, networks: Sequence[str], amount: int = 1) -> bool:
        """Take an amount for a request of these networks, narrowest first; return whether that worked."""
        with self._change:
            if not self._fits(networks, amount):
                return False
            self._add(networks, amount)
            return True

    def wait_for(self, networks: Sequence[str], amount: int = 1, *, seconds: float) -> bool:
        """Take an amount as `take` does, once there is room; wait in line for at most so many seconds."""
        mine = _WaitingAmount(networks, amount)
        with self._change:
            self._line.append(mine)
            try:
                return self._take_once(lambda: self._is_next(mine) and self._fits(networks, amount), mine, seconds)
            finally:
                self._line.remove(mine)
                self._change.notify_all()

    def take_more(self, networks: Sequence[str], amount: int, *, seconds: float) -> bool:
        """Take more for an accepted request, from all that is free; wait at most so many seconds for it."""
        with self._change:
            more = _WaitingAmount(networks, amount)
            return self._take_once(lambda: amount <= self._total - self._used, more, seconds)

    @contextmanager
    def hold_more(self, networks: Sequence[str], amount: int, *, seconds: float) -> Iterator[None]:
        """Hold what `take_more` takes; raises BusyError where that is not there in time."""
        if not self.take_more(networks, amount, seconds=seconds):
            raise BusyError
        try:
            yield
        finally:
            self.give_back(networks, amount)

    def give_back(self, networks: Sequence[str], amount: int = 1) -> None:
        """Give back what `take` took."""
        with self._change:
            self._used -= amount
            self._change.notify_all()
            for network in set(networks):
                self._of[network] -= amount
                if self._of[network] <= 0:
                    del self._of[network]

    def _take_once(self, ready: Callable[[], bool], waiting: _WaitingAmount, seconds: float) -> bool:
        """Take the amount once it is `ready`, with the lock held; False after so many seconds, or if it never fits."""
        if waiting.amount > self._total or not self._change.wait_for(ready, seconds):
            return False
        self._add(waiting.networks, waiting.amount)
        return True

    def _add(self, networks: Sequence[str], amount: int) -> None:
        self._used += amount
        self._of.update(dict.fromkeys(networks, amount))

    def _is_next(self, mine: _WaitingAmount) -> bool:
        """Return whether everyone before in the line is kept waiting by the share of a network of theirs."""
        for other in self._line:
            if other is mine:
                break
            if self._is_within_share(other.networks, other.amount):
                return False
        return True

    def _fits(self, networks: Sequence[str], amount: int) -> bool:
        free = self._total - self._used
        if amount > self._total / 8:
            free -= int(self._reserve * self._total)
        return amount <= free and self._is_within_share(networks, amount)

    def _is_within_share(self, networks: Sequence[str], amount: int) -> bool:
        for width, network in enumerate(networks):
            held = self._of.get(network, 0)
            most = self._total * self._share * (2 if width else 1)
            if held and held + amount > most * (1 - self._draw(network, "share") / 2):
                return False
        return True
