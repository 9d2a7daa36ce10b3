"""The only times that delivery may know: days in New Zealand, and the ends of quarters of an hour.

Every day is a day in Pacific/Auckland, in a tip as in the times of a file: days of two time zones side by side would
reveal the half of the day. This small module is shared by delivery, site and desk.
"""

from datetime import date, datetime
from zoneinfo import ZoneInfo

QUARTER_HOUR_SECONDS = 900
HELD_SECONDS = 1800


def nz_midnight(now: float) -> datetime:
    """Return the midnight, in New Zealand, that began the day of `now` (unix seconds)."""
    return datetime.fromtimestamp(now, ZoneInfo("Pacific/Auckland")).replace(hour=0, minute=0, second=0, microsecond=0)


def nz_day(now: float) -> date:
    """Return the day in New Zealand at `now` (unix seconds)."""
    return nz_midnight(now).date()


def days_left(last_day: date, now: float) -> int:
    """Return the whole days from the day of `now` (unix seconds) to `last_day`; negative once `last_day` is past."""
    return (last_day - nz_day(now)).days


def quarter_hour_end(now: float) -> int:
    """Return the end, in unix seconds, of the quarter-hour 30 to 45 minutes after `now`."""
    return (int(now + HELD_SECONDS) // QUARTER_HOUR_SECONDS + 1) * QUARTER_HOUR_SECONDS
