"""Reads each request body in another thread, so that a silent sender does not block a thread of the server.

A body must keep a pace: an average rate after the first seconds, and a total time that depends on its length. The
reader gives up a body that falls behind, and keeps the bytes that came. A body of which only the beginning is wanted is
still read to its end, because a browser reads no answer before the browser has sent everything.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Condition, Lock, Thread
from time import monotonic
from typing import Any

from app.web.http import WORDS_BYTES

# The server gives a piece only once all of its bytes have come: pieces are small at first, so that slow words count at
# once, and later so large that the freed memory of each goes back to the system.
_LEAST_PIECE, _LARGEST_PIECE = 4 * 1024, 256 * 1024
_PIECE_SHARE = 8  # a piece is at most such a part of what has come
_LOOK_SECONDS = 0.25
_MOST_IDLE = 8  # threads that are kept for the next bodies


@dataclass(frozen=True)
class BodyPace:
    """The slowest pace of a body: an average of `rate` bytes a second after `grace` seconds.

    The first WORDS_BYTES, which have the words of a form, may come at an average of `words_rate` after `words_grace`:
    a phone at the edge of a network sends few thousand bytes a second, and nothing at all for some seconds. The whole
    body may take `seconds`, and one second more for each `full_rate` bytes of its length.
    """

    grace: float = 5.0
    rate: int = 32_000
    words_grace: float = 20.0
    words_rate: int = 500
    seconds: float = 60.0
    full_rate: int = 256_000

    def keeps(self, received: int, length: int, elapsed: float) -> bool:
        """Return whether `received` of `length` bytes are enough after `elapsed` seconds."""
        if elapsed > self.seconds + length / self.full_rate:
            return False
        if received < WORDS_BYTES:
            return received >= self.words_rate * (elapsed - self.words_grace)
        return received >= self.rate * (elapsed - self.grace)


class BodyStream:
    """The file-like `wsgi.input` (PEP 3333) of a body in memory, which frees each piece after it is read."""

    def __init__(self, pieces: deque[bytes]) -> None:
        self._pieces = pieces

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, sometimes fewer than are left; all bytes if `size` is negative."""
        if size < 0:
            data = b"".join(self._pieces)
            self._pieces.clear()
            return data
        if not size or not self._pieces:
            return b""
        piece = self._pieces.popleft()
        if len(piece) > size:
            self._pieces.appendleft(piece[size:])
        return piece[:size]

    def head(self, size: int) -> bytes:
        """Return the first `size` bytes without removing the bytes from the stream."""
        found, got = [], 0
        for piece in self._pieces:
            found.append(piece[: size - got])
            got += len(found[-1])
            if got >= size:
                break
        return b"".join(found)

    def close(self) -> None:
        """Free the bytes that were not read."""
        self._pieces.clear()


class ReaderThreads:
    """Threads that read one body after another; a new one is made where none is idle."""

    def __init__(self) -> None:
        self._lock, self._idle = Lock(), list[SimpleQueue[Callable[[], None]]]()

    def run(self, task: Callable[[], None]) -> None:
        """Run a task in one of the threads."""
        with self._lock:
            tasks = self._idle.pop() if self._idle else None
        if tasks is None:
            tasks = SimpleQueue()
            Thread(target=self._work, args=(tasks,), daemon=True).start()
        tasks.put(task)

    def _work(self, tasks: SimpleQueue[Callable[[], None]]) -> None:
        idle = True
        while idle:
            tasks.get()()
            with self._lock:
                idle = len(self._idle) < _MOST_IDLE
                if idle:
                    self._idle.append(tasks)


class BodyReader:
    """Reads `length` bytes in one of `threads` and keeps the first `keep`; calls `ended` when the reading has ended."""

    def __init__(
        self, untrusted_input: Any, length: int, *, keep: int, ended: Callable[[], None], threads: ReaderThreads
    ) -> None:
        self._input, self._length, self._keep = untrusted_input, length, keep
        self._pieces: deque[bytes] = deque()
        self._received, self._kept = 0, 0
        self._change, self._stopped, self._done = Condition(), False, False
        threads.run(partial(self._run, ended))

    def wait(self, pace: BodyPace, *, most: float | None = None, clock: Callable[[], float] = monotonic) -> int:
        """Wait for the end of the body; return 0 if all came, 400 if the body ended early, 408 if it was too slow.

        After `most` seconds, if the bytes to keep have come, stop reading and return 0.
        """
        start = clock()
        with self._change:
            while not self._done:
                elapsed = clock() - start
                if not pace.keeps(self._received, self._length, elapsed):
                    return self._stop(408)
                if most is not None and elapsed > most and self._received >= self._keep:
                    return self._stop(0)
                self._change.wait(_LOOK_SECONDS)
            return 0 if self._received == self._length else 400

    def stream(self) -> BodyStream:
        """Return the kept bytes; call this after `wait`."""
        return BodyStream(self._pieces)

    def _stop(self, status: int) -> int:
        self._stopped = True
        return status

    def _run(self, ended: Callable[[], None]) -> None:
        try:
            with suppress(OSError):
                while self._received < self._length:
                    size = min(max(_LEAST_PIECE, self._received // _PIECE_SHARE), _LARGEST_PIECE)
                    piece = self._input.read(min(size, self._length - self._received))
                    if not piece or not self._add(piece):
                        break
        finally:
            with self._change:
                self._done = True
                self._change.notify_all()
            ended()

    def _add(self, piece: bytes) -> bool:
        """Keep the wanted bytes of a piece; return whether to read on."""
        with self._change:
            if self._stopped:
                return False
            wanted = piece[: self._keep - self._kept]
            if wanted:
                self._pieces.append(wanted)
            self._kept += len(wanted)
            self._received += len(piece)
            return True
