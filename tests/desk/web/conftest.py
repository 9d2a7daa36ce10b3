"""A desk that holds one tip, for the tests of its pages."""

import pytest

from tests.support.desk import jpeg, receive, reply_to, tip


@pytest.fixture
def one(office, desk):
    """The id of a tip with a picture, whose sender can be answered."""
    tip_id = office.drop(tip(files=(jpeg(),), reply=reply_to()))
    receive(desk)
    return tip_id
