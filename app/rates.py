"""How often one address, and everybody together, may send; reading pages is never limited.

Addresses are counted under an HMAC whose key lives in memory and turns over each hour, so that nothing kept
can be turned back into one; with Redis the nodes share that key, with a lifetime. IPv6 counts by /64. Where
the store is away, counting goes on in this process: a flood guard is no reason to turn a report away.
"""

import hmac
import secrets
from collections.abc import Callable
from hashlib import sha256
from ipaddress import ip_address, ip_network
from math import ceil
from time import time
from typing import Any

from flask import Flask, request
from flask_limiter import Limiter
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from app.errors import RateError

_HOUR = 3600
_STORE_AWAY = (StorageError, OSError, RedisError)


class Rates:
    """Counts sends, checks and replies; `total` is for everybody's sends together, `workers` share `memory://`."""

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
            "send": _shared(per_address, share),
            # People look several times before they send once.
            "check": _shared(per_address, share, times=6),
            "reply": _shared(per_address, share),
            "total": _shared(total, share),
        }
        self._clock = clock
        self._key: tuple[int, bytes] = (0, b"")

    def count(self, purpose: str) -> None:
        """Count one use of "send", "check" or "reply" by this request's address; `RateError` once over the limit."""
        address = self._blind(request.remote_addr or "")
        self._hit(purpose, f"{purpose}/{address}")
        if purpose == "send":
            self._hit("total", "total")

    def _hit(self, name: str, key: str) -> None:
        item = self._rates[name]
        try:
            strategy = self._limiter.limiter
            passed, reset = strategy.hit(item, key), strategy.get_window_stats(item, key).reset_time
        except _STORE_AWAY:
            passed, reset = self._local.hit(item, key), self._local.get_window_stats(item, key).reset_time
        if not passed:
            raise RateError(seconds=max(1, ceil(reset - self._clock())))

    def _blind(self, address: str) -> str:
        try:
            parsed = ip_address(address)
        except ValueError:
            return "-"
        if parsed.version == 6:  # noqa: PLR2004
            parsed = ip_network((parsed, 64), strict=False).network_address
        return hmac.new(self._current_key(), parsed.packed, sha256).hexdigest()

    def _current_key(self) -> bytes:
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
        except _STORE_AWAY:
            return fresh


def _shared(rate: str, by: int, *, times: int = 1) -> RateLimitItem:
    item = parse(rate)
    return type(item)(max(1, ceil(item.amount * times / by)), item.multiples, namespace="haumaru")
