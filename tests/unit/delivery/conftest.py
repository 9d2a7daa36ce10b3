"""Outboxes for the tests of delivery, on each database that the program can use."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.delivery.outbox import Outbox
from tests.support.databases import BACKENDS, opened


@pytest.fixture(params=BACKENDS)
def url(request, tmp_path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/private/outbox.db"
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def outbox(url) -> Iterator[Outbox]:
    """An outbox, empty and prepared."""
    with opened(url) as box:
        yield box


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """An empty folder in a tmpfs."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="haumaru-") as folder:
        yield Path(folder)


@pytest.fixture
def file(tmp_path) -> Path:
    """Where the outbox of the SQLite tests has its file."""
    return tmp_path / "private" / "outbox.db"


@pytest.fixture
def sqlite(file) -> Iterator[Outbox]:
    """An outbox of SQLite, for what does not depend on the database."""
    with opened(file) as box:
        yield box
