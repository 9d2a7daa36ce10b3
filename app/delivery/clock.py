"""The only times that delivery may know: New Zealand's days, and quarters of an hour that are about to end.

The day is Pacific/Auckland's everywhere, in a tip as in a file's times: two calendars side by side
would tell the half of the day.
"""

from datetime import date, datetime
from zoneinfo import ZoneInfo

QUARTER = 900
HELD_SECONDS = 1800


def midnight(now: float) -> datetime:
    """Return the midnight, in New Zealand, that began the day of `now` (unix seconds)."""
    return datetime.fromtimestamp(now, ZoneInfo("Pacific/Auckland")).replace(hour=0, minute=0, second=0, microsecond=0)


def day(now: float) -> date:
    """Return the day in New Zealand at `now` (unix seconds)."""
    return midnight(now).date()


def end_of_quarter(now: float) -> int:
    """Return the end, in unix seconds, of the quarter-hour 30 to 45 minutes after `now`."""
    return (int(now + HELD_SECONDS) // QUARTER + 1) * QUARTER
