"""Counts what networks take of their shares, in Redis for all nodes or in the memory of one process.

A place in several shares is reserved at once, before the work, and given back if nothing comes of the work. Two
requests at the same time never reserve the last place of a share together. A share is counted under a name that changes
each hour, and expires. While Redis is away, counting goes on in this process.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask_limiter import Limiter
from limits import RateLimitItemPerHour
from limits.errors import StorageError
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, RateLimiter
from redis.exceptions import RedisError

from app.core.errors import RateError
from app.web.networks import HOUR_SECONDS

_STORE_ERRORS = (StorageError, OSError, RedisError)


@dataclass(frozen=True)
class Share:
    """At most `amount` in an hour, counted under a name that holds a network's hourly name."""

    name: str
    amount: int


class ShareCounter:
    """Counts for an application in the store of a URL: `memory://` or `redis://…`."""

    def __init__(self, app: Flask, url: str) -> None:
        # No route has a limit of Flask-Limiter's own: what counts is known only once something was taken.
        limiter = Limiter(lambda: "", app=app, storage_uri=url, strategy="fixed-window", headers_enabled=False)
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()  # MemoryStorage can lose a count when two threads begin a share at once
        self._storage: Any = None if url.startswith("memory:") else limiter.storage
        self._shared: RateLimiter | None = limiter.limiter if self._storage else None

    def reserve(self, shares: Sequence[Share], *, seconds: int) -> Callable[[], None]:
        """Reserve a place in each share; return what gives the places back.

        Raises RateError with `seconds`, and reserves nothing, if one of the shares is used up.
        """
        places = ExitStack()
        for share in shares:
            give_back = self._take(share)
            if give_back is None:
                places.close()
                raise RateError(seconds=seconds)
            places.callback(give_back)
        return places.close

    def share_key(self, hour: int, fresh: bytes) -> bytes:
        """Return the key that all nodes use in an hour: the `fresh` one of the node that asks first.

        The key expires with its hour. Where there is no Redis, or while it is away, the fresh one is this process's.
        """
        name = f"haumaru:limit-key:{hour}"
        with suppress(*_STORE_ERRORS):
            if self._storage:
                self._storage.storage.set(name, fresh, nx=True, ex=HOUR_SECONDS)
                return bytes(self._storage.storage.get(name) or fresh)
        return fresh

    def _take(self, share: Share) -> Callable[[], None] | None:
        """Count one; return what counts one back, or None, with nothing counted, if the share is used up."""
        if self._shared:
            with suppress(*_STORE_ERRORS):
                return self._take_of(self._shared, share)
        return self._take_of(self._local, share)

    def _take_of(self, limiter: RateLimiter, share: Share) -> Callable[[], None] | None:
        def give_back() -> None:
            with suppress(*_STORE_ERRORS):  # otherwise the place stays taken until the hour ends
                self._hit(limiter, share, -1)

        if self._hit(limiter, share, 1):
            return give_back
        give_back()
        return None

    def _hit(self, limiter: RateLimiter, share: Share, cost: int) -> bool:
        with self._lock if limiter is self._local else nullcontext():
            return limiter.hit(RateLimitItemPerHour(share.amount, namespace="haumaru"), share.name, cost=cost)
