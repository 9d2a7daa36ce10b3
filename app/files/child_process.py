"""Runs one worker for one file: feeds it, watches the clock and the amount, and leaves no process behind.

The child gets an empty environment, three pipes' worth of nothing else, and a session of its own that is killed as
a group. Its exit code is looked up in a closed list; a signal is told by what it means. Nothing is written to disk.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app.core.errors import FileRefusedError
from app.files.protocol import EXITS, MOST_OUT, Family

_CHUNK = 1 << 16
_HEADROOM = 4096
_CODES = {number: code for code, number in EXITS.items()}
# Decoders that cannot get memory end themselves in one of these ways.
_OUT_OF_MEMORY = {-signal.SIGABRT, -signal.SIGTRAP, -signal.SIGILL}
_OUT_OF_TIME = {-signal.SIGXCPU, -signal.SIGKILL}


def run(family: Family, data: bytes, *, seconds: float, most: int = MOST_OUT) -> bytes:
    """One worker's raw answer, at most `most` bytes within `seconds` on the wall.

    FileRefusedError with one of `kinds.REFUSALS` for everything else that can happen.
    """
    deadline = time.monotonic() + seconds
    with _worker(family) as process:
        answer = _exchange(process, data, deadline, most + _HEADROOM)
        try:
            ended = process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise FileRefusedError("too-slow") from None
    if ended:
        raise FileRefusedError(_reason(ended))
    return answer


def _reason(ended: int) -> str:
    if ended in _OUT_OF_TIME:
        return "too-slow"
    if ended in _OUT_OF_MEMORY:
        return "too-heavy"
    if ended == 1:  # it never came to its work: nothing of the machine or of Python fitted
        return "no-sandbox"
    return _CODES.get(ended, "damaged")


@contextmanager
def _worker(family: Family) -> Iterator[subprocess.Popen[bytes]]:
    """The process for as long as it is wanted; it has nothing to put in order, so it ends by a kill of its group."""
    process = subprocess.Popen(  # noqa: S603 - our own module under our own interpreter
        [sys.executable, "-I", "-B", "-m", "app.files.worker", family],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        start_new_session=True,
        bufsize=0,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    # Not yet reaped, so its number cannot have gone to another process.
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _exchange(process: subprocess.Popen[bytes], data: bytes, deadline: float, most: int) -> bytes:
    """Feed and read at once, so that neither pipe can stall the other, with the clock always running."""
    assert process.stdin is not None
    assert process.stdout is not None
    inward, outward = process.stdin.fileno(), process.stdout.fileno()
    os.set_blocking(inward, False)
    rest, answer = memoryview(data), bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(inward, selectors.EVENT_WRITE)
        ready.register(outward, selectors.EVENT_READ)
        while ready.get_map():
            events = ready.select(max(0.0, deadline - time.monotonic()))
            if not events:
                raise FileRefusedError("too-slow")
            for key, _ in events:
                if key.fd == inward:
                    rest = _feed(inward, rest)
                    if not rest:
                        ready.unregister(inward)
                        process.stdin.close()
                elif chunk := os.read(outward, _CHUNK):
                    answer += chunk
                else:
                    ready.unregister(outward)
                if len(answer) > most:
                    raise FileRefusedError("too-large")
    return bytes(answer)


def _feed(pipe: int, rest: memoryview) -> memoryview:
    try:
        return rest[os.write(pipe, rest[:_CHUNK]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:  # it left early; its exit code will say why
        return rest[:0]
