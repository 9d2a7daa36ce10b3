"""One desk for each test: its folder, the open desk, and a handler's browser."""

from collections.abc import Iterator

import pytest

from app.desk.service import Desk
from tests.support.desk import Browser, Office


@pytest.fixture
def office(tmp_path) -> Office:
    """A folder with everything that a desk needs."""
    return Office(tmp_path)


@pytest.fixture
def desk(office) -> Iterator[Desk]:
    """The open desk of that folder."""
    with office.desk() as made:
        yield made


@pytest.fixture
def browser(desk) -> Browser:
    """A handler's browser, signed in at that desk."""
    return Browser(desk)
