"""What is over its time is destroyed only when two looks a day apart agree: no step of a clock destroys anything.

The time of the first look is kept, sealed, for each name that was found overdue; a look that does not find a name
forgets that time. The day between two looks must have passed on the clock of the wall and, unless the machine was
started anew meanwhile, on the clock that counts from the machine's start and that nobody sets (clock_gettime(2)).
The site cannot use this rule: its machines share one database, which may hold days only (`delivery.clock.SteadyClock`).
The desk cannot use the site's rule: a desk that is closed on most days never sees two midnights in a row.
"""

import json
import time
from collections.abc import Callable, Collection

from app.desk.store import SealedStore

DAY_SECONDS = 86_400
_LOOKS_FILE = "overdue.age"


def boot_seconds() -> float:
    """Return the seconds since this machine was started, its sleep among them; no correction of the time moves them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class OverdueLooks:
    """The first look at which each name was found overdue; safe for one thread alone."""

    def __init__(self, store: SealedStore, *, clock: Callable[[], float], steady: Callable[[], float]) -> None:
        self._store, self._clock, self._steady = store, clock, steady

    def confirm(self, names: Collection[str]) -> frozenset[str]:
        """Note which names this look finds overdue, and return those of which a look a day before said the same.

        Raises RefusedError for a fault of the disk.
        """
        wall, steady = self._clock(), self._steady()
        known = self._read()
        looks = {name: known.get(name, (wall, steady)) for name in names}
        # A first look that lies ahead was made under a wrong clock.
        looks = {name: first if first[0] <= wall else (wall, steady) for name, first in looks.items()}
        if looks != known:
            self._store.write(_LOOKS_FILE, json.dumps(looks).encode())
        return frozenset(name for name, first in looks.items() if _is_day_apart(first, wall, steady))

    def _read(self) -> dict[str, tuple[float, float]]:
        try:
            looks = json.loads(self._store.read(_LOOKS_FILE))
        except FileNotFoundError:
            return {}
        return {name: (wall, steady) for name, (wall, steady) in looks.items()}


def _is_day_apart(first: tuple[float, float], wall: float, steady: float) -> bool:
    restarted = steady < first[1]
    return wall - first[0] >= DAY_SECONDS and (restarted or steady - first[1] >= DAY_SECONDS)
