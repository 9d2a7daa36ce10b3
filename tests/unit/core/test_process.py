"""How a program ends: with one line on standard error, and never with a traceback."""

import subprocess
import sys

import click
import pytest

from app.core import process
from tests.support.paths import ROOT


@pytest.mark.parametrize("platform", ["darwin", "win32", "freebsd14"])
def test_on_another_system_a_program_ends_with_one_line(monkeypatch, capsys, platform):
    """Nothing is started; the line names Linux, and what to do elsewhere."""
    monkeypatch.setattr(sys, "platform", platform)
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
