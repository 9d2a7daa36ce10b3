"""Counts what networks take of their shares, in Redis for all nodes or in the memory of one process.

A place in several shares is reserved at once, before the work, and given back if nothing comes of the work. Two
requests at the same time never reserve the last place of a share together. A share is counted under a name that changes
each hour, and expires. While Redis is away, counting goes on in this process.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItemPerHour
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from app.core.errors import RateError
from app.web.networks import HOUR_SECONDS

_STORE_ERRORS = (StorageError, OSError, RedisError)


@dataclass(frozen=True)
class Share:
    """At most `amount` in an hour, counted under a name that holds a network's hourly name."""

    name: str
    amount: int


class _ProcessCounts:
    """The counts of one process, each a number by name; a name that counts nothing is forgotten.

    The memory storage of `limits` starts a thread after each count, which looks through all names: with thousands of
    networks that takes longer than all other work for a tip.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names that are counted now."""
        return tuple(self._counts)

    def take(self, share: Share) -> bool:
        """Count one, and return True; count nothing, and return False, if the share is used up."""
        with self._lock:
            count = self._counts.get(share.name, 0)
            if count >= share.amount:
                return False
            self._counts[share.name] = count + 1
            return True

    def give_back(self, share: Share) -> None:
        """Count one back, unless the hour of the share is over."""
        with self._lock:
            count = self._counts.pop(share.name, 0)
            if count > 1:
                self._counts[share.name] = count - 1

    def forget_all(self) -> None:
        """Forget the names of an hour that is over."""
        with self._lock:
            self._counts.clear()


class ShareCounter:
    """Counts in the store of a URL: `memory://` or `redis://…`."""

    def __init__(self, url: str) -> None:
        self._local = _ProcessCounts()
        self._storage: Any = None if url.startswith("memory:") else storage_from_string(url)
        self._shared = FixedWindowRateLimiter(self._storage) if self._storage else None

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
        Call this once at the beginning of each hour: the counts of this process, under names of the hour before, are
        then forgotten.
        """
        self._local.forget_all()
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
                return self._take_shared(self._shared, share)
        return (lambda: self._local.give_back(share)) if self._local.take(share) else None

    def _take_shared(self, limiter: FixedWindowRateLimiter, share: Share) -> Callable[[], None] | None:
        item = RateLimitItemPerHour(share.amount, namespace="haumaru")

        def give_back() -> None:
            with suppress(*_STORE_ERRORS):  # otherwise the place stays taken until the hour ends
                limiter.hit(item, share.name, cost=-1)

        if limiter.hit(item, share.name, cost=1):
            return give_back
        give_back()
        return None
