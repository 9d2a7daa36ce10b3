"""Who may start the next child process: the processors are shared fairly among the networks whose files wait.

A child has a place, of which this machine has one for each processor (and, beside these, some for recordings that are
encoded anew). A child may run on each of these processors, even if the process that starts the child may not. Files
wait for places in this order: those of networks that have no child now, then those of networks that have used least
place time within the hour. One network never has all places, and one that has used up its budget waits until nothing
else is cleaned. So neither many files nor slow ones keep another network's file from its turn for longer than one child
may run.
"""

import errno
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from threading import Condition

from app.core.errors import BusyError
from app.core.process import use_processors

BUDGET_SECONDS = 300.0
FILM_BUDGET_SECONDS = 600.0
_HOUR = 3600.0
_PAUSE = 0.02
_LONG_PAUSE = 0.25
_LAST_FEW = 8


@dataclass(eq=False)
class _Waiting:
    """One file that waits: its networks, narrowest first, and its number in the order of arrival."""

    networks: Sequence[str]
    number: int


@dataclass
class _Use:
    """What networks have used within an hour, in seconds of places, and how many places they have now."""

    began: float
    seconds: Counter[str] = field(default_factory=Counter)
    running: Counter[str] = field(default_factory=Counter)
    mean: float = 1.0  # seconds of one file, of the last few


class FileTurns:
    """Gives the places `name` of this machine to the files of this process that wait; `budget` is seconds an hour."""

    def __init__(
        self,
        name: str = "child",
        *,
        places: int = 0,
        budget: float = BUDGET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._processors = os.sched_getaffinity(0)
        self._name, self._places, self._budget, self._clock = name, places or len(self._processors), budget, clock
        self._change, self._waiting, self._count = Condition(), list[_Waiting](), 0
        self._use = _Use(clock())

    @contextmanager
    def turn(self, networks: Sequence[str], *, seconds: float) -> Iterator[None]:
        """Hold one place for a file of these networks, narrowest first; raises BusyError after so many seconds."""
        with closing(self._wait(networks, self._clock() + seconds)):
            began, own = self._clock(), os.sched_getaffinity(0)
            use_processors(self._processors)
            try:
                yield
            finally:
                use_processors(own)
                self._end(networks, self._clock() - began)

    def expected_seconds(self) -> float:
        """Return about how long a file that came now would wait, if all that wait take as long as the last few did."""
        with self._change:
            return self._use.mean * (len(self._waiting) + 1) / self._places

    def _wait(self, networks: Sequence[str], deadline: float) -> socket.socket:
        with self._change:
            self._count += 1
            mine = _Waiting(networks, self._count)
            self._waiting.append(mine)
            try:
                while True:
                    is_next = self._next() is mine
                    place = acquire_place(self._name, self._places) if is_next else None
                    if place:
                        self._use.running.update(networks)
                        return place
                    if self._clock() >= deadline:
                        raise BusyError
                    self._change.wait(_PAUSE if is_next else _LONG_PAUSE)
            finally:
                self._waiting.remove(mine)
                self._change.notify_all()

    def _end(self, networks: Sequence[str], seconds: float) -> None:
        with self._change:
            if self._clock() > self._use.began + _HOUR:
                self._use = _Use(self._clock(), running=self._use.running, mean=self._use.mean)
            self._use.running.subtract(networks)
            self._use.running = +self._use.running
            self._use.seconds.update(dict.fromkeys(networks, seconds))
            self._use.mean += (seconds - self._use.mean) / _LAST_FEW
            self._change.notify_all()

    def _next(self) -> _Waiting | None:
        """Return the file whose turn it is; None while every network that waits has its share."""
        able = [one for one in self._waiting if self._may_run(one.networks)]
        return min(able, key=self._rank, default=None)

    def _may_run(self, networks: Sequence[str]) -> bool:
        running, seconds = self._use.running, self._use.seconds
        if networks and seconds[networks[0]] > self._budget and running.total():
            return False
        return all(running[network] < max(1, self._places - 1) for network in networks)

    def _rank(self, one: _Waiting) -> tuple[object, ...]:
        running, seconds = self._use.running, self._use.seconds
        return ([running[name] for name in one.networks], [seconds[name] for name in one.networks], one.number)


def film_turns() -> FileTurns:
    """Return turns for recordings that are encoded anew, in places of their own."""
    return FileTurns("film", places=film_places(), budget=FILM_BUDGET_SECONDS)


def film_places() -> int:
    """Return how many recordings are encoded anew at once: half as many as there are processors, and one at least."""
    return max(1, cores() // 2)


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def acquire_place(name: str, places: int) -> socket.socket | None:
    """Return one of `places` places that all processes of this user and machine share, None if all are taken.

    A place is a name in Linux's abstract socket namespace (unix(7)): only one process can hold the name, the kernel
    frees it when that process ends for any reason, and no file is made. Nothing ever listens there. Raises BusyError
    where the system gives no socket.
    """
    for place in range(places):
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            held.bind(f"\0haumaru/{os.getuid()}/{name}/{place}")
        except OSError as error:
            held.close()
            if error.errno != errno.EADDRINUSE:
                raise BusyError("slots") from None
        else:
            return held
    return None
