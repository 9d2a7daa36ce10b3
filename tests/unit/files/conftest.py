"""Fixtures of the tests that clean files."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def no_child_left():
    """Check after a test that no process which the test started is left."""
    yield
    listings = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    assert [number for listing in listings for number in listing.read_text().split()] == []
