"""What the people who watch a desk must know: envelopes that wait, deliveries that fail, keys that expire.

The queue's page and `haumaru-desk status` both show it. Nothing is opened, so no identity is needed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from app.delivery.clock import days_left
from app.delivery.forwarder import DEFAULT_PACE
from app.delivery.leases import AgencyQueue, Leases
from app.delivery.outbox import Outbox
from app.delivery.pace import Pace
from app.desk.assignment import read_overdue
from app.desk.certificate import certificate_sentences
from app.desk.config import REPLY_SITE_ID, Authority, DeskConfig
from app.desk.day_key_store import DAY_KEYS_FOLDER, last_day_with_key
from app.desk.labels import days_label
from app.vault.day_keys import LOW_DAYS

EXPIRY_WARNING_DAYS = 42
_NEXT_DAY_KEYS = "Make new ones with haumaru-desk day-keys, and give the file to the site"


@dataclass(frozen=True)
class HealthReport:
    """Sentences for a person, and whether one of them asks somebody to act."""

    lines: tuple[str, ...]
    action_needed: bool


def expiring_keys(config: DeskConfig, now: float) -> list[tuple[str, int]]:
    """Return the owners of keys that expire within six weeks of `now` (unix seconds), and the days that are left."""
    parties = (*config.authorities.values(), *config.translators.values())
    ends = {"This desk": config.expires} | {party.name: party.expires for party in parties}
    left = {name: days_left(end, now) for name, end in ends.items()}
    return [(name, days) for name, days in left.items() if days <= EXPIRY_WARNING_DAYS]


def day_key_sentences(names: Iterable[str], now: float, *, damaged: int = 0) -> list[str]:
    """Return what to do about the day keys, by the names of their files: new ones from two weeks before the last day.

    `damaged` is how many of the files do not open. Without day keys there is nothing to do.
    """
    last = last_day_with_key(names)
    days = days_left(last, now) if last else LOW_DAYS
    sentences = []
    if days < 0:
        sentences.append(f"The day keys of this desk have ended, so the site's form is closed. {_NEXT_DAY_KEYS}.")
    elif days < LOW_DAYS:
        sentences.append(f"The day keys of this desk end {_in_days(days)}. {_NEXT_DAY_KEYS}.")
    if damaged:
        lost = f"Day keys that do not open: {damaged}. The desk cannot open envelopes of those days."
        sentences.append(f"{lost} {_NEXT_DAY_KEYS} at once.")
    return sentences


def party_pace(party: Authority) -> Pace:
    """Return the pace at which envelopes leave for a party: with cells of its own exactly as many, else at most 16."""
    return Pace(cells=party.cells, stock=party.cells) if party.cells else DEFAULT_PACE


def waiting_deliveries(outbox: Outbox, config: DeskConfig) -> dict[str, AgencyQueue]:
    """Return the queue of each party: how many envelopes beyond its stock wait, and how its deliveries fail."""
    parties = {**config.authorities, **config.translators}
    stocks = {name: party_pace(party).stock for name, party in parties.items()}
    queues = Leases(outbox.database).status().agencies
    return {name: replace(one, waiting=max(0, one.waiting - stocks.get(name, 0))) for name, one in queues.items()}


def waiting_sentence(config: DeskConfig, party: str, count: int) -> str:
    """Return how many envelopes wait for the party of this id, or replies for the site."""
    if party == REPLY_SITE_ID:
        one, many, name = "reply waits", "replies wait", "the site"
    else:
        known = {**config.authorities, **config.translators}.get(party)
        one, many, name = "envelope waits", "envelopes wait", known.name if known else party
    return f"{count or 'No'} {one if count <= 1 else many} for {name}"


def check_health(config: DeskConfig, now: float) -> HealthReport:
    """Return what waits, fails and expires at `now` (Unix seconds), as far as files and the outbox say."""
    waiting = _count_files(config.inbox, "*.age")
    aside = _count_files(config.store / "aside", "*")
    expiring = expiring_keys(config, now)
    deliveries = _deliveries(config)
    lines = [f"Envelopes in the inbox: {waiting}", f"Envelopes set aside: {aside}"]
    lines += [f"{name}: the key {_expiry_words(days)}; get a new key" for name, days in expiring]
    lines += (certificate := certificate_sentences(config.host, now))
    lines += (day_keys := day_key_sentences(_names(config.store / DAY_KEYS_FOLDER), now))
    lines += [
        waiting_sentence(config, name, queue.waiting) + _failure_words(queue) for name, queue in deliveries.items()
    ]
    lines += (overdue := _overdue_sentences(config.store))
    failing = any(queue.code for queue in deliveries.values())
    return HealthReport(
        tuple(lines), action_needed=bool(aside or expiring or certificate or day_keys or overdue or failing)
    )


def _failure_words(queue: AgencyQueue) -> str:
    since = f" since {queue.since.isoformat()}" if queue.since else ""
    return f". Sending has failed{since} ({queue.code})" if queue.code else ""


def _overdue_sentences(store: Path) -> list[str]:
    day, count = read_overdue(store) or (date.min, 0)
    words = f"Tips that are overdue: {count} (counted by the desk on {day.isoformat()}); open the queue and choose Due"
    return [words] if count else []


def _expiry_words(days: int) -> str:
    return f"expired {days_label(-days)} ago" if days < 0 else f"expires {_in_days(days)}"


def _in_days(days: int) -> str:
    return f"in {days_label(days)}" if days else "today"


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def _count_files(folder: Path, pattern: str) -> int:
    return sum(1 for _ in folder.glob(pattern)) if folder.exists() else 0


def _deliveries(config: DeskConfig) -> dict[str, AgencyQueue]:
    database = config.store / "outbox.db"
    if not database.exists():
        return {}
    outbox = Outbox(f"sqlite:///{database}")
    try:
        return waiting_deliveries(outbox, config)
    finally:
        outbox.database.close()
