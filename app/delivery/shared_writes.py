"""Lets writes that come at the same time share one transaction, so that all of them wait for the disk once.

The first thread that comes leads: it begins the transaction, runs what has come meanwhile, commits, and hands the lead
on. Nobody is told of a write before its transaction is durable. A write that is refused before it changed anything is
no matter of the others; where anything else fails, all of the transaction is undone, and each write is tried again in a
transaction of its own. What has to follow a write, and costs as much as a write, follows many of them once.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from threading import Lock, Thread
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection

from app.core.errors import HaumaruError
from app.delivery.schema import driver_of

MOST_TOGETHER = 16  # writes of one transaction

_T = TypeVar("_T")


class _Write(Generic[_T]):
    """One write, and what became of it; its own thread waits until another thread calls `wake`."""

    def __init__(self, run: Callable[[Connection], _T]) -> None:
        self._run, self._answer = run, cast("_T", None)
        self.fault: BaseException | None = None
        self.done = False
        self._asleep = Lock()
        self._asleep.acquire()

    def run(self, connection: Connection) -> None:
        """Run the write; an earlier fault counts no more."""
        self.fault = None
        self._answer = self._run(connection)

    def run_with_others(self, connection: Connection) -> None:
        """Run the write; raise a refusal, which is one of our own errors, only if the write has changed something."""
        before = driver_of(connection).total_changes
        try:
            self.run(connection)
        except HaumaruError as fault:
            if driver_of(connection).total_changes != before:
                raise
            self.fault = fault

    def wait(self) -> None:
        """Wait until the write is done, or until its thread has to lead."""
        self._asleep.acquire()

    def wake(self) -> None:
        """Let the thread of the write go on."""
        self._asleep.release()

    def answer(self) -> _T:
        """Return what the write returned, or raise what the write raised."""
        fault, self.fault = self.fault, None
        if fault is None:
            return self._answer
        try:
            raise fault
        finally:
            del fault  # which would otherwise keep this frame, and the frame keeps the fault


class SharedWrites:
    """The writes of one process to SQLite; `begin` opens a transaction that is durable when its block ends."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin
        self._lock = Lock()
        self._line = deque[_Write[Any]]()
        self._led = False

    @property
    def anyone_waits(self) -> bool:
        """Return whether a write waits for the next transaction."""
        return bool(self._line)

    def run(self, write: Callable[[Connection], _T]) -> _T:
        """Run a write in a transaction that others may share; return what it returns once that is durable.

        The write may run in another thread, and again after a fault. Raises what the write or the transaction raises.
        """
        mine = _Write(write)
        with self._lock:
            self._line.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            mine.wait()
        if not mine.done:
            self._lead(mine)
        return mine.answer()

    def _lead(self, mine: _Write[Any]) -> None:
        group: list[_Write[Any]] = []
        try:
            self._run_together(group)
        finally:
            with self._lock:
                self._led = bool(self._line)
                following = self._line[0] if self._line else None
            for each in (*group, following):
                if each is not None and each is not mine:
                    each.wake()

    def _run_together(self, group: list[_Write[Any]]) -> None:
        """Run the writes that wait, in one transaction, and put them into `group`."""
        try:
            with self._begin() as connection:
                self._take(group)
                for each in group:
                    if len(group) == 1:
                        each.run(connection)
                    else:
                        each.run_with_others(connection)
        except BaseException as fault:  # noqa: BLE001  # raised in the thread of each write
            if len(group) > 1:
                self._run_alone(group)
            else:
                if not group:  # the transaction did not begin
                    self._take(group)
                for each in group:
                    each.fault = fault
        for each in group:
            each.done = True

    def _run_alone(self, group: list[_Write[Any]]) -> None:
        for each in group:
            try:
                with self._begin() as connection:
                    each.run(connection)
            except BaseException as fault:  # noqa: BLE001  # raised in the thread of the write
                each.fault = fault

    def _take(self, group: list[_Write[Any]]) -> None:
        with self._lock:
            while self._line and len(group) < MOST_TOGETHER:
                group.append(self._line.popleft())


class WriteBurst:
    """What is done after each write, or once where many come one upon another: so many `seconds` after the last.

    One thread at most waits, and it ends with the work. The work must not raise, and several threads may begin it.
    """

    def __init__(self, work: Callable[[], None], *, seconds: float) -> None:
        self._work, self._seconds = work, seconds
        self._lock = Lock()
        self._last_write = -seconds
        self._waits = False

    def wrote(self) -> None:
        """Do the work now, or in another thread once the writes have ceased; raises nothing."""
        with self._lock:
            now = time.monotonic()
            seldom, self._last_write = now - self._last_write >= self._seconds, now
            later = self._waits or (not seldom and self._starts_to_wait())
        if not later:
            self._work()

    def _starts_to_wait(self) -> bool:
        with suppress(RuntimeError):  # there is no room for one more thread
            Thread(target=self._wait, name="write-burst").start()
            self._waits = True
        return self._waits

    def _wait(self) -> None:
        while True:
            time.sleep(self._seconds)
            with self._lock:
                if time.monotonic() - self._last_write >= self._seconds:
                    self._waits = False
                    break
        self._work()
