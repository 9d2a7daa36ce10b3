"""Limits how often one address, and all addresses together, may send; reading pages is never limited.

Addresses are counted under an HMAC whose key lives in memory and changes each hour, so that nothing kept can be turned
back into an address; with Redis the nodes share that key, with a lifetime. IPv6 counts by /64. Over an onion service
all visitors have one address: there each Tor circuit counts where Tor names it, and otherwise no single visitor; the
onion service has a total of its own. The second half of a total is kept for those who have sent little, so that a
flood leaves others able to send. If the store is away, counting goes on in this process: no report is refused for that.
"""

import hmac
import secrets
from collections.abc import Callable
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from math import ceil
from time import time
from typing import Any, TypeVar

from flask import Flask, request
from flask_limiter import Limiter
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, RateLimiter
from redis.exceptions import RedisError

from app.core.errors import RateError

_HOUR = 3600
# Only senders with at most so many sends may use the second half of a total.
_SENDS_ON_RESERVE = 2
# The network in which Tor gives each circuit an address (tor(1), HiddenServiceExportCircuitID).
_TOR_CIRCUITS = ip_network("fc00:dead:beef:4dad::/64")
Address = IPv4Address | IPv6Address
_T = TypeVar("_T")
_STORE_ERRORS = (StorageError, OSError, RedisError)


class RateLimits:
    """Counts sends, checks and look-ups of replies against rates such as "20/hour".

    `total` limits the sends of all addresses together, once over the onion service and once elsewhere. The `workers`
    of one machine divide every rate among them if `url` is `memory://`.
    """

    def __init__(
        self,
        app: Flask,
        *,
        url: str,
        per_address: str,
        total: str,
        workers: int,
        clock: Callable[[], float] = time,
    ) -> None:
        self._limiter = Limiter(
            key_func=lambda: "", app=app, storage_uri=url, strategy="fixed-window", headers_enabled=False
        )
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._shared = not url.startswith("memory:")
        share = 1 if self._shared else workers
        self._rates: dict[str, RateLimitItem] = {
            "send": _scaled_rate(per_address, share),
            # People check several times before they send once.
            "check": _scaled_rate(per_address, share, times=6),
            "reply": _scaled_rate(per_address, share),
            "total": _scaled_rate(total, share),
            "onion-check": _scaled_rate(total, share, times=6),
            "onion-reply": _scaled_rate(total, share),
        }
        self._clock = clock
        self._key: tuple[int, bytes] = (0, b"")

    def count(self, purpose: str) -> None:
        """Count one use of "send", "check" or "reply" by this request's address; `RateError` once over the limit."""
        onion, sender = self._identify_sender()
        if sender:
            self._hit(purpose, f"{purpose}/{sender}")
        elif purpose != "send":
            self._hit(f"onion-{purpose}", f"{purpose}/onion")
        if purpose == "send":
            self._hit_total("total/onion" if onion else "total", sender)

    def _identify_sender(self) -> tuple[bool, str]:
        """Return whether the request came over the onion service, and its own counting key or ""."""
        address = _parse_address(request.remote_addr or "")
        if address is None:
            return False, "-"
        # Our proxy passes on the address of a visitor: a private address with an onion host came through Tor.
        onion = request.host.endswith(".onion") and address.is_private
        return onion, "" if onion and address not in _TOR_CIRCUITS else self._hash_address(address)

    def _hit_total(self, key: str, sender: str) -> None:
        total, send = self._rates["total"], self._rates["send"]
        reset, left = self._query(lambda strategy: strategy.get_window_stats(total, key))
        if sender and left <= total.amount // 2:
            mine = self._query(lambda strategy: strategy.get_window_stats(send, f"send/{sender}"))
            if send.amount - mine.remaining > _SENDS_ON_RESERVE:
                raise RateError(seconds=self._seconds_until(reset))
        self._hit("total", key)

    def _hit(self, name: str, key: str) -> None:
        item = self._rates[name]
        passed, stats = self._query(lambda strategy: (strategy.hit(item, key), strategy.get_window_stats(item, key)))
        if not passed:
            raise RateError(seconds=self._seconds_until(stats.reset_time))

    def _query(self, query: Callable[[RateLimiter], _T]) -> _T:
        try:
            return query(self._limiter.limiter)
        except _STORE_ERRORS:
            return query(self._local)

    def _seconds_until(self, reset: float) -> int:
        return max(1, ceil(reset - self._clock()))

    def _hash_address(self, address: Address) -> str:
        packed = address.packed
        if address.version == 6 and address not in _TOR_CIRCUITS:  # noqa: PLR2004
            packed = packed[:8]
        return hmac.new(self._hourly_key(), packed, sha256).hexdigest()

    def _hourly_key(self) -> bytes:
        hour = int(self._clock()) // _HOUR
        if self._key[0] != hour:
            self._key = (hour, self._shared_key(hour) if self._shared else secrets.token_bytes(32))
        return self._key[1]

    def _shared_key(self, hour: int) -> bytes:
        fresh = secrets.token_bytes(32)
        try:
            store: Any = self._limiter.storage
            name = f"haumaru:limit-key:{hour}"
            store.storage.set(name, fresh, nx=True, ex=_HOUR)
            return bytes(store.storage.get(name) or fresh)
        except _STORE_ERRORS:
            return fresh


def _parse_address(untrusted_address: str) -> Address | None:
    try:
        address = ip_address(untrusted_address)
    except ValueError:
        return None
    # A dual-stack socket reports an IPv4 address as an IPv4-mapped IPv6 address.
    return getattr(address, "ipv4_mapped", None) or address


def _scaled_rate(rate: str, by: int, *, times: int = 1) -> RateLimitItem:
    item = parse(rate)
    return type(item)(max(1, ceil(item.amount * times / by)), item.multiples, namespace="haumaru")
