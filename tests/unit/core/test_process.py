"""How a program ends: with one line on standard error, and never with a traceback."""

import platform
import subprocess
import sys

import click
import pytest

from app.core import process
from tests.support.paths import ROOT


@pytest.mark.parametrize("system", ["darwin", "win32", "freebsd14"])
def test_on_another_system_a_program_ends_with_one_line(monkeypatch, capsys, system):
    """Nothing is started; the line names Linux, and what to do elsewhere."""
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(SystemExit) as caught:
        process.run_program(click.Group("never"), "haumaru")
    assert caught.value.code == 1
    assert capsys.readouterr().err == (
        "haumaru: runs on Linux only (prctl, fork, Landlock); use a Linux container or virtual machine\n"
    )


@pytest.mark.parametrize("wanted", ["run", "test"])
def test_on_another_system_make_ends_with_the_same_line(tmp_path, wanted):
    """The set-up stops before it makes anything."""
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "setup.py").write_bytes((ROOT / "deploy" / "setup.py").read_bytes())
    code = "import runpy, sys; sys.platform = 'darwin'; runpy.run_path('deploy/setup.py', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, wanted], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("haumaru: runs on Linux only")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["deploy"]


_SCHEDULING = """
import ctypes, os, platform, struct
from app.core.process import use_batch_scheduling
os.nice(3)
use_batch_scheduling()
got = ctypes.create_string_buffer(48)
ctypes.CDLL(None).syscall({"x86_64": 315, "aarch64": 275}[platform.machine()], 0, got, 48, 0)
_, policy, _, nice, _, nanoseconds, _, _ = struct.unpack("=IIQiIQQQ", got.raw)
print(policy == os.SCHED_BATCH, nice, nanoseconds)
"""


def test_a_batch_process_has_slices_of_ten_milliseconds_and_keeps_its_priority():
    """Where the kernel knows slices of a process (since 6.12), threads run for 10 ms before another may interrupt."""
    done = subprocess.run([sys.executable, "-c", _SCHEDULING], cwd=ROOT, capture_output=True, text=True, check=True)
    knows = tuple(map(int, platform.release().split(".")[:2])) >= (6, 12)
    assert done.stdout.split() == ["True", "3", "10000000" if knows else "0"]
