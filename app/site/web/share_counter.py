"""Counts what networks take of their shares, in Redis for all nodes or in the memory of one process.

A place in several shares is reserved at once, before the work, and given back if nothing comes of the work. Two
requests at the same time never reserve the last place of a share together. A share is counted under a name that changes
each hour, and expires. While Redis is away, counting goes on in this process.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from time import time
from typing import Any, cast

from flask import Flask
from flask_limiter import Limiter
from limits import RateLimitItemPerHour
from limits.errors import StorageError
from limits.storage import Storage
from limits.strategies import RateLimiter
from redis.exceptions import RedisError

from app.core.errors import RateError
from app.web.networks import HOUR_SECONDS

_STORE_ERRORS = (StorageError, OSError, RedisError)


@dataclass(frozen=True)
class Share:
    """At most `amount` in an hour, counted under a name that holds a network's hourly name."""

    name: str
    amount: int


class CounterStore(Storage):
    """The counts of one process, as a storage of `limits`: a number by name; a name that counts nothing is forgotten.

    The memory storage of `limits` starts a thread after each count, which looks through all names: with thousands of
    networks that takes longer than all other work for a tip. Here the owner forgets all names when their hour is over.
    """

    STORAGE_SCHEME = ["counter-store"]  # noqa: RUF012  # the registry of `limits` asks for a list
    base_exceptions = ()

    def __init__(self, uri: str = "", *, wrap_exceptions: bool = False, **_options: float | str | bool) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The names that are counted now."""
        return tuple(self._counts)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:  # noqa: ARG002
        """Count `amount`, which may be negative, and return the count, at least 0."""
        with self._lock:
            count = max(0, self._counts.pop(key, 0) + amount)
            if count:
                self._counts[key] = count
            return count

    def get(self, key: str) -> int:
        """Return a count, 0 for a name that is not counted."""
        return self._counts.get(key, 0)

    def get_expiry(self, key: str) -> float:  # noqa: ARG002
        """Return now: no name outlives the owner's hour."""
        return time()

    def check(self) -> bool:
        """Return True: memory is always there."""
        return True

    def reset(self) -> int:
        """Forget all names, and return how many there were."""
        with self._lock:
            count = len(self._counts)
            self._counts.clear()
            return count

    def clear(self, key: str) -> None:
        """Forget one name."""
        with self._lock:
            self._counts.pop(key, None)


class ShareCounter:
    """Counts in the store of a URL: `memory://` or `redis://…`."""

    def __init__(self, url: str) -> None:
        local = _limiter("counter-store://")
        self._local, self._local_names = local.limiter, cast("CounterStore", local.storage)
        shared = None if url.startswith("memory:") else _limiter(url)
        self._shared: RateLimiter | None = shared.limiter if shared else None
        self._storage: Any = shared.storage if shared else None

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
        self._local_names.reset()
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
        item = RateLimitItemPerHour(share.amount, namespace="haumaru")

        def give_back() -> None:
            with suppress(*_STORE_ERRORS):  # otherwise the place stays taken until the hour ends
                limiter.hit(item, share.name, cost=-1)

        if limiter.hit(item, share.name, cost=1):
            return give_back
        give_back()
        return None


def _limiter(url: str) -> Limiter:
    # What counts is known only once something was taken, so no route of the site has a limit of the extension's own. In
    # an application of its own the extension does not ask about such limits at each request of the site.
    return Limiter(
        lambda: "", app=Flask("share_counter"), storage_uri=url, strategy="fixed-window", headers_enabled=False
    )
