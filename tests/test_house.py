"""The house's structure: floors, strangers, empty `__init__`s, docstrings, routes."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "app").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def test_the_contracts_of_the_house_hold():
    """No import goes up a floor, between strangers, in a circle, or from the public side to what opens tips."""
    done = subprocess.run(
        [sys.executable, "-m", "importlinter.cli", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    done = done if done.returncode != 1 or done.stdout else done
    assert "KEPT" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
