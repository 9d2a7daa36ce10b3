"""The sandbox really denies: each attempt works outside, and fails inside, even with one half of the lock alone."""

import subprocess
import sys

import pytest

from app.files import sandbox
from app.files.clean import probe_sandbox
from tests.support.paths import ROOT


def run(code: str) -> list[str]:
    """Return the lines that a fresh Python prints when it runs the code."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_probe_names_all_that_was_denied():
    """Files, sockets, processes, programs, signals and new code are each tried inside and refused."""
    assert set(probe_sandbox()) == set(sandbox.ATTEMPTS)


@pytest.mark.parametrize("name", sandbox.ATTEMPTS)
def test_what_the_probe_tries_works_without_the_sandbox(name):
    """Each attempt succeeds outside, so that its failure inside means something."""
    code = f"from app.files import sandbox\nsandbox.ATTEMPTS[{name!r}]()\nprint('worked')"
    assert run(code) == ([] if name == "run a program" else ["worked"])


def test_landlock_alone_denies_files():
    """Without the filter Landlock still denies every file."""
    denied = run(
        "from app.files import sandbox as s\ns._prctl(38, 1)\n"
        "s.restrict_with_landlock()\nprint(*s.denied_attempts()[:4], sep='\\n')"
    )
    assert {"read a file", "write a file", "list a folder"} <= set(denied)


def test_the_filter_alone_denies_everything():
    """Without Landlock the filter still denies every attempt."""
    denied = run(
        "from app.files import sandbox as s\ns._prctl(38, 1)\n"
        "s.restrict_with_seccomp()\nprint(*s.denied_attempts(), sep='\\n')"
    )
    assert set(denied) == set(sandbox.ATTEMPTS)


@pytest.mark.parametrize(("left_out", "still_denied"), [("seccomp", 3), ("landlock", len(sandbox.ATTEMPTS))])
def test_the_lock_has_both_parts(left_out, still_denied):
    """`lock_process` sets Landlock as well as the filter: with either one left out, the other still denies."""
    code = (
        f"from app.files import sandbox as s\ns.restrict_with_{left_out} = lambda: None\n"
        "s.lock_process()\nprint(*s.denied_attempts(), sep='\\n')"
    )
    assert {"read a file", "write a file", "list a folder"} <= set(run(code))
    assert len(run(code)) >= still_denied


def test_a_thread_is_as_locked_as_the_process():
    """Threads of a decoder are filtered too, even those that were started before the lock."""
    code = (
        "import threading\nfrom app.files import sandbox as s\n"
        "go, seen = threading.Event(), []\n"
        "early = threading.Thread(target=lambda: (go.wait(), seen.append(s.denied_attempts())))\n"
        "early.start()\ns._prctl(38, 1)\ns.restrict_with_seccomp()\ngo.set()\nearly.join()\n"
        "late = threading.Thread(target=lambda: seen.append(s.denied_attempts()))\nlate.start()\nlate.join()\n"
        "print(*map(len, seen))"
    )
    assert run(code) == [f"{len(sandbox.ATTEMPTS)} {len(sandbox.ATTEMPTS)}"]


def test_the_limits_are_set():
    """Memory, CPU, file size, open files and cores are limited, hard, and no core handler may see the process."""
    code = (
        "import ctypes, resource as r\nfrom app.files import sandbox\nsandbox.set_limits()\n"
        "for n in ('AS', 'CPU', 'FSIZE', 'NOFILE', 'CORE'): print(n, *r.getrlimit(getattr(r, 'RLIMIT_' + n)))\n"
        "print(ctypes.CDLL(None).prctl(3))"
    )
    assert run(code) == [
        "AS 1073741824 1073741824", "CPU 20 20", "FSIZE 0 0", "NOFILE 64 64", "CORE 0 0", "0",
    ]  # fmt: skip
