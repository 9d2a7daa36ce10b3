"""What is over its time: destroyed after two looks a day apart, and never by a clock that steps."""

import pytest

from app.desk.case_fields import State
from app.desk.closing import close_case, reopen_case
from app.desk.overdue import boot_seconds
from app.vault.tip_bundles import to_bundles
from tests.support.desk import NOON, big_file, receive, tip

HOUR, DAY = 3600, 86_400


class Clocks:
    """The clock of the wall, which anybody may set, and the clock that counts from the machine's start."""

    def __init__(self):
        self.wall, self.steady = NOON, 500.0

    def pass_time(self, seconds):
        self.wall += seconds
        self.steady += seconds

    def open(self, office):
        return office.desk(clock=lambda: self.wall, steady=lambda: self.steady)


@pytest.fixture
def clocks():
    return Clocks()


def _closed(office, desk):
    one = office.drop(tip())
    office.drop_bundle(to_bundles(tip(files=(big_file(),)))[1])
    receive(desk)
    close_case(desk.cases, one, "Ana", "nothing")
    return one


def _left(desk):
    return len(desk.cases.all()), len(desk.store.list_names("waiting"))


def test_a_clock_that_steps_ahead_destroys_nothing(office, clocks):
    """The clock is 92 days ahead for as many looks as fit into some hours, and steps again: all is there afterwards."""
    with clocks.open(office) as desk:
        _closed(office, desk)
        for step in (92 * DAY, DAY, 400 * DAY):
            clocks.wall += step
            for _ in range(5):
                desk.destroy_overdue()
                clocks.pass_time(HOUR)
        assert _left(desk) == (1, 1)
        clocks.wall -= 493 * DAY
        desk.destroy_overdue()
        clocks.pass_time(2 * DAY)
        desk.destroy_overdue()
        assert _left(desk) == (1, 1)


def test_a_look_that_disagrees_begins_the_day_anew(office, clocks):
    """The clock is ahead for a moment on two days, and right between them: nothing is destroyed."""
    with clocks.open(office) as desk:
        _closed(office, desk)
        for _ in range(3):
            clocks.wall += 92 * DAY
            desk.destroy_overdue()
            clocks.wall -= 92 * DAY
            clocks.pass_time(HOUR)
            desk.destroy_overdue()
            clocks.pass_time(DAY)
        assert _left(desk) == (1, 1)


def test_after_a_day_of_agreeing_looks_it_is_destroyed(office, clocks):
    """Once the time is over, looks that agree for a day destroy case and part, whether or not the desk was closed."""
    with clocks.open(office) as desk:
        _closed(office, desk)
        clocks.pass_time(31 * DAY)
        desk.destroy_overdue()
        clocks.pass_time(DAY - HOUR)
        desk.destroy_overdue()
        assert _left(desk) == (1, 1)
    with clocks.open(office) as desk:
        clocks.pass_time(HOUR)
        desk.destroy_overdue()
        assert _left(desk) == (0, 0)


def test_a_machine_that_was_started_anew_goes_by_the_wall(office, clocks):
    """After a restart the clock from the machine's start begins anew, and the day is counted by the wall alone."""
    with clocks.open(office) as desk:
        _closed(office, desk)
        clocks.pass_time(31 * DAY)
        desk.destroy_overdue()
    clocks.wall, clocks.steady = clocks.wall + DAY, 10.0
    with clocks.open(office) as desk:
        desk.destroy_overdue()
        assert _left(desk) == (0, 0)


def test_a_case_closed_under_a_clock_that_was_behind_keeps_its_time(office, clocks):
    """A case that is closed while the clock says 1980 counts as closed on the day it came, not before."""
    with clocks.open(office) as desk:
        one = _closed(office, desk)
        reopen_case(desk.cases, one, "Ana")
        clocks.wall = 0.0
        close_case(desk.cases, one, "Ana", "nothing")
        clocks.wall = NOON + DAY
        desk.destroy_overdue()
        clocks.pass_time(2 * DAY)
        desk.destroy_overdue()
        assert desk.cases.get(one).state is State.CLOSED


def test_the_clock_from_the_start_of_the_machine_only_goes_forward():
    """The clock that nobody sets is there, and goes forward."""
    assert 0 < boot_seconds() <= boot_seconds()
