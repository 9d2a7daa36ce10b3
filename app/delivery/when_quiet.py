"""Work that waits until calls for it have ceased, because it costs less to do it once."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress


class WhenQuiet:
    """Does some work at once where it is asked for seldom, otherwise so many `seconds` after the last call.

    One thread at most waits, and it ends with the work. The work must not raise, and several threads may begin it.
    """

    def __init__(self, work: Callable[[], None], *, seconds: float) -> None:
        self._work, self._seconds = work, seconds
        self._lock = threading.Lock()
        self._last_call = -seconds
        self._waits = False

    def ask(self) -> None:
        """Ask for the work; raises nothing."""
        with self._lock:
            now = time.monotonic()
            seldom, self._last_call = now - self._last_call >= self._seconds, now
            later = self._waits or (not seldom and self._starts_to_wait())
        if not later:
            self._work()

    def _starts_to_wait(self) -> bool:
        with suppress(RuntimeError):  # there is no room for one more thread
            threading.Thread(target=self._wait, name="when-quiet").start()
            self._waits = True
        return self._waits

    def _wait(self) -> None:
        while True:
            time.sleep(self._seconds)
            with self._lock:
                if time.monotonic() - self._last_call >= self._seconds:
                    self._waits = False
                    break
        self._work()
