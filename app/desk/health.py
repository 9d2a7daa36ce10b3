"""What the people who watch a desk must know: envelopes that wait, deliveries that fail, keys that expire.

The queue's page and `haumaru-desk status` both show it. Nothing is opened, so no identity is needed.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from app.delivery.clock import nz_day
from app.delivery.leases import Leases
from app.delivery.outbox import Outbox
from app.desk.config import REPLY_SITE_ID, DeskConfig

EXPIRY_WARNING_DAYS = 42


@dataclass(frozen=True)
class HealthReport:
    """Sentences for a person, and whether one of them asks somebody to act."""

    lines: tuple[str, ...]
    action_needed: bool


def expiring_keys(config: DeskConfig, today: date) -> list[tuple[str, int]]:
    """Return the owners of keys that expire within six weeks or have expired, each with the days that are left."""
    parties = (*config.authorities.values(), *config.translators.values())
    ends = {"This desk": config.expires} | {party.name: party.expires for party in parties}
    left = {name: (end - today).days for name, end in ends.items()}
    return [(name, days) for name, days in left.items() if days <= EXPIRY_WARNING_DAYS]


def waiting_deliveries(outbox: Outbox, now: float) -> dict[str, tuple[int, str]]:
    """Return how many envelopes wait for each party, and the code of the last failure ("" for none)."""
    return {name: (one.waiting, one.code) for name, one in Leases(outbox.database).status(now).agencies.items()}


def waiting_sentence(name: str, count: int) -> str:
    """Return how many referrals wait for a party, or replies for the site."""
    one, many, whom = ("reply", "replies", "the site") if name == REPLY_SITE_ID else ("referral", "referrals", name)
    return f"1 {one} waits for {whom}" if count == 1 else f"{count} {many} wait for {whom}"


def check_health(config: DeskConfig, now: float) -> HealthReport:
    """Return what waits, fails and expires at `now` (Unix seconds), as far as files and the outbox say."""
    waiting = _count_files(config.inbox, "*.age")
    aside = _count_files(config.store / "aside", "*")
    expiring = expiring_keys(config, nz_day(now))
    deliveries = _deliveries(config, now)
    lines = [f"{waiting} envelopes wait in the inbox", f"{aside} were set aside"]
    lines += [f"{name}: the key {_expiry_words(days)}; arrange a new one" for name, days in expiring]
    lines += [
        waiting_sentence(name, count) + (f": {code}" if code else "") for name, (count, code) in deliveries.items()
    ]
    failing = any(code for _, code in deliveries.values())
    return HealthReport(tuple(lines), action_needed=bool(aside or expiring or failing))


def _expiry_words(days: int) -> str:
    return f"expired {-days} days ago" if days < 0 else f"expires in {days} days"


def _count_files(folder: Path, pattern: str) -> int:
    return sum(1 for _ in folder.glob(pattern)) if folder.exists() else 0


def _deliveries(config: DeskConfig, now: float) -> dict[str, tuple[int, str]]:
    database = config.store / "outbox.db"
    if not database.exists():
        return {}
    outbox = Outbox(f"sqlite:///{database}")
    try:
        return waiting_deliveries(outbox, now)
    finally:
        outbox.database.close()
