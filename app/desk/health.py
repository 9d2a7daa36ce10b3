"""What the people who watch a desk must know: envelopes that wait, deliveries that fail, keys that expire.

The queue's page and `haumaru-desk status` both show it. Nothing is opened, so no identity is needed.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from app.delivery.clock import nz_day
from app.delivery.forwarder import DEFAULT_PACE
from app.delivery.leases import Leases
from app.delivery.outbox import Outbox
from app.delivery.pace import Pace
from app.desk.config import REPLY_SITE_ID, Authority, DeskConfig

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


def party_pace(party: Authority) -> Pace:
    """Return the pace at which envelopes leave for a party: with cells of its own exactly as many, else at most 16."""
    return Pace(cells=party.cells, stock=party.cells) if party.cells else DEFAULT_PACE


def waiting_deliveries(outbox: Outbox, config: DeskConfig) -> dict[str, tuple[int, str]]:
    """Return how many envelopes beyond its stock wait for each party, and the last failure's code ("" for none)."""
    parties = {**config.authorities, **config.translators}
    stocks = {name: party_pace(party).stock for name, party in parties.items()}
    queues = Leases(outbox.database).status().agencies
    return {name: (max(0, one.waiting - stocks.get(name, 0)), one.code) for name, one in queues.items()}


def waiting_sentence(name: str, count: int) -> str:
    """Return how many envelopes wait for a party, or replies for the site."""
    one, many, whom = ("reply", "replies", "the site") if name == REPLY_SITE_ID else ("envelope", "envelopes", name)
    if count <= 1:
        return f"{count or 'no'} {one} waits for {whom}"
    return f"{count} {many} wait for {whom}"


def check_health(config: DeskConfig, now: float) -> HealthReport:
    """Return what waits, fails and expires at `now` (Unix seconds), as far as files and the outbox say."""
    waiting = _count_files(config.inbox, "*.age")
    aside = _count_files(config.store / "aside", "*")
    expiring = expiring_keys(config, nz_day(now))
    deliveries = _deliveries(config)
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


def _deliveries(config: DeskConfig) -> dict[str, tuple[int, str]]:
    database = config.store / "outbox.db"
    if not database.exists():
        return {}
    outbox = Outbox(f"sqlite:///{database}")
    try:
        return waiting_deliveries(outbox, config)
    finally:
        outbox.database.close()
