"""The only times that delivery may know: days in New Zealand, and the ends of quarters of an hour.

Every day is a day in Pacific/Auckland, in a tip as in the times of a file: days of two time zones side by side would
reveal the half of the day. What is destroyed for good at the end of a day asks a SteadyClock first: a clock that jumped
destroys nothing until it has run steadily for a day. This small module is shared by delivery, site and desk.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

_STEADY_DAYS = 2  # two midnights in a row: a whole day lies between them
QUARTER_HOUR_SECONDS = 900
HELD_SECONDS = 1800


def nz_midnight(now: float) -> datetime:
    """Return the midnight, in New Zealand, that began the day of `now` (unix seconds)."""
    return datetime.fromtimestamp(now, ZoneInfo("Pacific/Auckland")).replace(hour=0, minute=0, second=0, microsecond=0)


def nz_day(now: float) -> date:
    """Return the day in New Zealand at `now` (unix seconds)."""
    return nz_midnight(now).date()


def nz_day_end(now: float) -> int:
    """Return the end, in unix seconds, of the day in New Zealand of `now`; that day has 23, 24 or 25 hours."""
    return int((nz_midnight(now) + timedelta(days=1)).timestamp())


def days_left(last_day: date, now: float) -> int:
    """Return the whole days from the day of `now` (unix seconds) to `last_day`; negative once `last_day` is past."""
    return (last_day - nz_day(now)).days


def quarter_hour_end(now: float) -> int:
    """Return the end, in unix seconds, of the quarter-hour 30 to 45 minutes after `now`."""
    return (int(now + HELD_SECONDS) // QUARTER_HOUR_SECONDS + 1) * QUARTER_HOUR_SECONDS


@dataclass(frozen=True)
class SteadyClock:
    """What looks at the clock have shown: the last day, and over how many midnights in a row the clock has run.

    Keep the value where it outlives a restart, and look at least once a day. Without a look yet, `day` is `date.min`.
    """

    day: date = date.min
    midnights: int = 0

    @property
    def steady(self) -> bool:
        """Whether a whole day has passed since the clock jumped, so that what ended may be destroyed."""
        return self.midnights >= _STEADY_DAYS

    def look(self, now: float) -> "SteadyClock":
        """Return what is known after a look at `now` (unix seconds).

        The machines of one site do not pass midnight together: a look from the day before changes nothing. A jump of
        more than a day, forward or back, begins the count again, and so does a day without a look.
        """
        today = nz_day(now)
        if today in (self.day, self.day - timedelta(days=1) if self.day > date.min else self.day):
            return self
        follows = self.day < date.max and today == self.day + timedelta(days=1)
        return SteadyClock(today, min(self.midnights + 1, _STEADY_DAYS) if follows else 0)
