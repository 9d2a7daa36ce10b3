"""Slows down wrong tries to sign in, for each seat and each address, and locks nobody out.

After some wrong tries the next one must wait, longer each time. A try from a browser in which the person of a seat has
signed in before is counted for that browser alone, so a stranger who tries a name again and again makes only strangers
wait. A name that no seat has is counted in the same way. All is in memory, and bounded.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from app.desk.seat import Seat, name_form
from app.desk.seats import seat_knows

_FREE = 5  # wrong tries without a wait
_FIRST_WAIT = 15.0  # seconds
_LONGEST_WAIT = 900.0
_FORGOTTEN = 3600.0  # seconds after the last wrong try
_MAX_COUNTED = 4096


class SignInTries:
    """The wrong tries of the last hour; safe for threads."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, untrusted_name: str, seat: Seat | None, untrusted_browser: str, address: str) -> int:
        """Return the whole seconds until the next try may be made; 0 for none."""
        with self._lock:
            waits = [self._wait_of(key) for key in _keys(untrusted_name, seat, untrusted_browser, address)]
            return int(max(waits) + 0.999)

    def note_wrong(self, untrusted_name: str, seat: Seat | None, untrusted_browser: str, address: str) -> None:
        """Count one wrong try."""
        with self._lock:
            for key in _keys(untrusted_name, seat, untrusted_browser, address):
                self._counts[key] = (self._count_of(key) + 1, self._clock())
                self._counts.move_to_end(key)
            while len(self._counts) > _MAX_COUNTED:
                self._counts.popitem(last=False)

    def forget(self, untrusted_name: str, seat: Seat | None, untrusted_browser: str, address: str) -> None:
        """Forget the wrong tries of a person who has signed in; those of strangers at the seat stay counted."""
        with self._lock:
            for key in _keys(untrusted_name, seat, untrusted_browser, address):
                if not key.startswith("name "):
                    self._counts.pop(key, None)

    def strangers(self, name: str) -> int:
        """Return how many wrong tries of the last hour came with this name, from browsers that are new to its seat."""
        with self._lock:
            return self._count_of(_name_key(name))

    def _count_of(self, key: str) -> int:
        count, last = self._counts.get(key, (0, 0.0))
        return count if self._clock() - last < _FORGOTTEN else 0

    def _wait_of(self, key: str) -> float:
        count = self._count_of(key)
        if count < _FREE:
            return 0.0
        pause = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(count - _FREE, 10))
        return max(0.0, self._counts[key][1] + pause - self._clock())


def _keys(untrusted_name: str, seat: Seat | None, untrusted_browser: str, address: str) -> tuple[str, ...]:
    """Return under which keys a try is counted: the known browser alone, or the address and the name."""
    if seat and untrusted_browser and seat_knows(seat, untrusted_browser):
        return (f"browser {seat.id} {untrusted_browser}",)
    return (f"address {address}", _name_key(untrusted_name))


def _name_key(untrusted_name: str) -> str:
    return f"name {name_form(untrusted_name)[:100]}"
