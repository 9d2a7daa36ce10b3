"""Runs one worker process for one file, with limits on time and output, and leaves no process behind.

The child gets an empty environment, its three standard streams and no other file, and a session of its own, which is
killed as a group. Its exit code is looked up in a closed list, and a signal in a list of what the signal means.
Nothing is written to disk.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

from app.core.errors import FileRefusedError
from app.files.protocol import EXIT_CODES, MAX_OUTPUT_BYTES, MAX_PREVIEW_BYTES, Task

_CHUNK = 1 << 16
_RESULT_HEADER_ROOM = 4096 + MAX_PREVIEW_BYTES
_REFUSAL_OF_EXIT_CODE = {number: code for code, number in EXIT_CODES.items()}
# A decoder that cannot get memory ends itself with one of these signals.
_OUT_OF_MEMORY = {-signal.SIGABRT, -signal.SIGTRAP, -signal.SIGILL}
_OUT_OF_TIME = {-signal.SIGXCPU, -signal.SIGKILL}


def run_worker(task: Task, untrusted_file: bytes, *, seconds: float, most: int = MAX_OUTPUT_BYTES) -> BytesIO:
    """Return one worker's raw result: at most `most` bytes of files, within `seconds` of wall-clock time.

    Raises FileRefusedError with a key of `protocol.REFUSALS` for everything else that can happen.
    """
    deadline = time.monotonic() + seconds
    with _worker(task) as process:
        result = _exchange(process, untrusted_file, deadline, most + _RESULT_HEADER_ROOM)
        try:
            exit_code = process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise FileRefusedError("too-slow") from None
    if exit_code:
        raise FileRefusedError(_refusal_code(exit_code))
    return result


def _refusal_code(exit_code: int) -> str:
    if exit_code in _OUT_OF_TIME:
        return "too-slow"
    if exit_code in _OUT_OF_MEMORY:
        return "too-heavy"
    if exit_code == 1:  # Python ended before the worker read the file: an import or a limit failed
        return "no-sandbox"
    return _REFUSAL_OF_EXIT_CODE.get(exit_code, "damaged")


@contextmanager
def _worker(task: Task) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker and kill its process group at the end; a worker holds nothing that needs an orderly end."""
    process = subprocess.Popen(  # noqa: S603 - our own module under our own interpreter
        [sys.executable, "-I", "-B", "-m", "app.files.worker", task],
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
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    # The process is not reaped yet, so no other process can have its number.
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _exchange(process: subprocess.Popen[bytes], data: bytes, deadline: float, most: int) -> BytesIO:
    """Write the file and read the result at the same time, so that neither pipe blocks the other."""
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin.fileno(), process.stdout.fileno()
    os.set_blocking(stdin, False)
    rest, result = memoryview(data), BytesIO()
    with selectors.DefaultSelector() as ready:
        ready.register(stdin, selectors.EVENT_WRITE)
        ready.register(stdout, selectors.EVENT_READ)
        while ready.get_map():
            events = ready.select(max(0.0, deadline - time.monotonic()))
            if not events:
                raise FileRefusedError("too-slow")
            for key, _ in events:
                if key.fd == stdin:
                    rest = _write_chunk(stdin, rest)
                    if not rest:
                        ready.unregister(stdin)
                        process.stdin.close()
                elif chunk := os.read(stdout, _CHUNK):
                    result.write(chunk)
                else:
                    ready.unregister(stdout)
                if result.tell() > most:
                    raise FileRefusedError("too-large")
    return result


def _write_chunk(pipe: int, rest: memoryview) -> memoryview:
    try:
        return rest[os.write(pipe, rest[:_CHUNK]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:  # the child ended early; its exit code says why
        return rest[:0]
