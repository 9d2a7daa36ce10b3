"""The parent of a worker: what the child is given, what its exit codes mean, and what is left behind."""

import os
import re
import time
from pathlib import Path

import pytest

from app.core.errors import FileRefusedError
from app.files.child_process import _refusal_code, _worker, run_worker
from app.files.protocol import EXIT_CODES, MUST_ENCODE, REFUSALS, Task


@pytest.mark.usefixtures("no_child_left")
def test_the_child_knows_nothing_of_its_parent():
    """Its environment is empty, its command names only the task, and its session is its own."""
    with _worker(Task.TEXT) as process:
        while not (command := _read(process, "cmdline")).endswith(b"text\0"):
            time.sleep(0.01)
        assert command.count(b"\0") == 6
        assert _read(process, "environ") == b""
        assert os.getsid(process.pid) == process.pid
    assert process.returncode is not None


@pytest.mark.usefixtures("no_child_left")
def test_the_child_is_limited_and_filtered_before_it_reads():
    """A worker that waits for its file has its limits and its filter, and no file open but the three streams."""
    with _worker(Task.TEXT) as process:
        while b"Seccomp:\t2" not in (status := _read(process, "status")):
            assert process.poll() is None
            time.sleep(0.01)
        assert b"NoNewPrivs:\t1" in status
        limits = _read(process, "limits").decode()
        for name, most in (("address space", 1024**3), ("cpu time", 20), ("file size", 0), ("open files", 64)):
            assert re.search(rf"Max {name} +{most} +{most} ", limits), limits


def _read(process, name: str) -> bytes:
    return Path(f"/proc/{process.pid}/{name}").read_bytes()


def test_every_exit_code_means_one_refusal():
    """Exit codes are one for each refusal and one for "must-encode", clear of those that Python and signals use."""
    assert set(EXIT_CODES) == {*REFUSALS, MUST_ENCODE}
    assert len(set(EXIT_CODES.values())) == len(REFUSALS) + 1
    assert all(2 < number < 100 for number in EXIT_CODES.values())
    assert all(_refusal_code(number) == code for code, number in EXIT_CODES.items())
    assert _refusal_code(1) == "no-sandbox"
    assert _refusal_code(-9) == _refusal_code(-24) == "too-slow"
    assert _refusal_code(-6) == "too-heavy"
    assert _refusal_code(-11) == _refusal_code(7) == "damaged"


def test_a_result_that_is_too_large_is_cut_off():
    """A child that writes more than it may is stopped while it writes."""
    with pytest.raises(FileRefusedError, match="too-large"):
        run_worker(Task.TEXT, b"Kia ora " * 100_000, seconds=10, most=1000)
