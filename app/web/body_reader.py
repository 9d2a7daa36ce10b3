"""Reads one request body in a thread of its own, so that a sender who goes silent holds no thread of the server.

A body keeps a pace: after the first seconds an average rate, and in all a time that follows its length. A body that
falls behind is given up, and what came of it until then is kept. A body of which only the beginning is wanted is read
to its end all the same, because a browser reads no answer before it has sent everything.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic
from typing import Any

_CHUNK = 256 * 1024  # so large that each goes back to the system when it is freed
_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class BodyPace:
    """How slowly a body may come: an average of `rate` bytes a second after `grace` seconds.

    In all it may take `seconds`, and one second more for each `full_rate` bytes of its length.
    """

    grace: float = 5.0
    rate: int = 32_000
    seconds: float = 60.0
    full_rate: int = 256_000

    def keeps(self, received: int, length: int, elapsed: float) -> bool:
        """Return whether `received` of `length` bytes are enough after `elapsed` seconds."""
        if elapsed > self.seconds + length / self.full_rate:
            return False
        return received >= self.rate * (elapsed - self.grace)


class BodyStream:
    """The file-like `wsgi.input` (PEP 3333) of a body in memory, which frees each piece as it is read."""

    def __init__(self, pieces: deque[bytes]) -> None:
        self._pieces = pieces

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, not always as many as there are; all bytes if `size` is negative."""
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
        """Return the first `size` bytes, which stay to be read."""
        found, got = [], 0
        for piece in self._pieces:
            found.append(piece[: size - got])
            got += len(found[-1])
            if got >= size:
                break
        return b"".join(found)

    def close(self) -> None:
        """Free what was not read."""
        self._pieces.clear()


class BodyReader:
    """Reads `length` bytes, of which the first `keep` are kept; calls `ended` when nothing is read any more."""

    def __init__(self, untrusted_input: Any, length: int, *, keep: int, ended: Callable[[], None]) -> None:
        self._input, self._length, self._keep = untrusted_input, length, keep
        self._pieces: deque[bytes] = deque()
        self._received, self._kept = 0, 0
        self._change, self._stopped, self._done = Condition(), False, False
        Thread(target=self._run, args=(ended,), daemon=True).start()

    def wait(self, pace: BodyPace, *, most: float | None = None, clock: Callable[[], float] = monotonic) -> int:
        """Wait for the end of the body: 0 if all came, 400 if it broke off, 408 if it fell behind its pace.

        After `most` seconds the rest is given up and counts as come.
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
        """Return what was kept, once `wait` has returned."""
        return BodyStream(self._pieces)

    def _stop(self, status: int) -> int:
        self._stopped = True
        return status

    def _run(self, ended: Callable[[], None]) -> None:
        try:
            with suppress(OSError):
                while self._received < self._length:
                    piece = self._input.read(min(_CHUNK, self._length - self._received))
                    if not piece or not self._add(piece):
                        break
        finally:
            with self._change:
                self._done = True
                self._change.notify_all()
            ended()

    def _add(self, piece: bytes) -> bool:
        """Keep what is wanted of a piece; return whether more is wanted."""
        with self._change:
            if self._stopped:
                return False
            wanted = piece[: self._keep - self._kept]
            if wanted:
                self._pieces.append(wanted)
            self._kept += len(wanted)
            self._received += len(piece)
            return True
