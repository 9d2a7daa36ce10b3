"""Limits what one network takes in an hour: tips, looks at a report before sending, and looks for replies.

Only what was taken counts: a place is reserved before the work, and given back if nothing comes of the work. Shares are
nested: an address, the networks around it, a Tor circuit. Reading pages, and confirming or destroying a held tip, is
never limited. How large a share is, is drawn anew for each network and hour, and each refusal names the end of the
hour: so neither tells finely what others behind the same address have sent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from math import ceil
from time import time
from types import MappingProxyType

from flask import request
from limits import parse

from app.core.errors import RateError, WordsFullError
from app.site.web.share_counter import Share, ShareCounter
from app.web.networks import Network, NetworkReader

# What a network may take, in multiples of what an address may. Many people share a /24 (carrier-grade NAT, RFC 6598);
# a household has a /56, an organisation a /48 (RFC 6177). The onion service counts only where Tor names no circuits.
_TIMES = MappingProxyType(
    {"ipv4/32": 1, "ipv4/24": 8, "ipv6/64": 1, "ipv6/56": 2, "ipv6/48": 4, "circuit": 1, "onion": 100, "unknown": 1}
)
# How many first tips of an hour come in before second ones, from all of a wider network together.
# Where Tor names no circuits, nobody can tell whose first tip one is.
_FIRST_TIPS = MappingProxyType(
    {"ipv4/32": 1, "ipv4/24": 8, "ipv6/64": 1, "ipv6/56": 2, "ipv6/48": 4, "circuit": 1, "onion": 10**9, "unknown": 1}
)
_LOOKS = 6  # for each tip: people look several times before they send once
_BACKLOG_WINDOWS = 6  # of words, which a second tip may find waiting,
_SOON_SECONDS = 600  # or what leaves within this time: it delays nobody
_FIRST_SECONDS = 14 * 3600  # in which the words leave that a first tip may find waiting: a thousand in an hour come in
_LEAST_DRAWN = 10  # half of less would refuse people too soon
_LEAST_SHARE = 0.5  # of an amount, where its share is drawn
_LEAST_WAITING = 0.75
_ONION_SHARE = 0.25  # of those: circuits cost nothing, and must not make reports from elsewhere wait


@dataclass(frozen=True)
class WordsPace:
    """How many tips' words can leave: `cells` in each window of `window` seconds."""

    cells: int
    window: int


@dataclass(frozen=True)
class Place:
    """A place in the shares of a visitor; a tip may find `most_waiting` words waiting."""

    give_back: Callable[[], None]
    most_waiting: int


class RateLimits:
    """The shares of each network; an address has at most `per_address`, such as "20/hour".

    The `workers` of one machine divide the shares among them if `url` is `memory://`. `clock` gives unix seconds.
    """

    def __init__(
        self,
        *,
        url: str,
        per_address: str,
        workers: int,
        pace: WordsPace,
        clock: Callable[[], float] = time,
    ) -> None:
        self._counter = ShareCounter(url)
        self._reader = NetworkReader(clock=clock, share_key=self._counter.share_key)
        self._workers = workers if url.startswith("memory:") else 1
        amount = parse(per_address).amount
        self._amounts = {"tip": amount, "look": amount * _LOOKS, "reply": amount}
        windows = max(_BACKLOG_WINDOWS, _SOON_SECONDS // pace.window)
        self._most_second = windows * pace.cells
        self._most_first = max(windows, _FIRST_SECONDS // pace.window) * pace.cells

    @contextmanager
    def reserved(self, purpose: str) -> Iterator[Place]:
        """Reserve a "tip", a "look" or a "reply" for this request's networks, given back if the block raises.

        A network's first tip of an hour may find 14 hours of words waiting, any other six windows of words. Raises
        RateError, also in place of a WordsFullError of the block.
        """
        networks, places, first = self._networks(), ExitStack(), False
        places.callback(self._reserve(purpose, networks, _TIMES, self._amounts[purpose]))
        try:
            with suppress(RateError):
                if purpose == "tip":
                    places.callback(self._reserve("first", networks, _FIRST_TIPS, 1))
                    first = True
            yield Place(places.close, self._most_waiting(networks, first=first))
        except WordsFullError:
            places.close()
            raise RateError(seconds=self._reader.seconds_left()) from None
        except BaseException:
            places.close()
            raise

    def _networks(self) -> Sequence[Network]:
        """Return the networks of this request that have shares, the narrowest first."""
        nested = self._reader.of_environ(request.environ).nested
        return nested[:1] if nested[0].width == "circuit" else nested

    def _reserve(
        self, purpose: str, networks: Sequence[Network], times: Mapping[str, int], amount: int
    ) -> Callable[[], None]:
        shares = [
            Share(f"{purpose}/{one.key}", ceil(self._drawn(amount * times[one.width], one, purpose) / self._workers))
            for one in reversed(networks)  # a wide network that is over its share fills no memory with narrow ones
        ]
        return self._counter.reserve(shares, seconds=self._reader.seconds_left())

    def _most_waiting(self, networks: Sequence[Network], *, first: bool) -> int:
        """Return how many words a tip of these networks may find waiting."""
        most = self._most_first if first else self._most_second
        if first and networks[0].width in ("circuit", "onion"):
            most = ceil(most * _ONION_SHARE)
        return self._drawn(most, networks[0], "waiting", least=_LEAST_WAITING)

    def _drawn(self, amount: int, network: Network, purpose: str, *, least: float = _LEAST_SHARE) -> int:
        """Return a number from the `least` part of an amount to all of it, fixed for a network and an hour."""
        if amount < _LEAST_DRAWN:
            return amount
        return amount - int(self._reader.draw(network.key, purpose) * (int(amount * (1 - least)) + 1))
