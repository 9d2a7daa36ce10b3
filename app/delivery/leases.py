"""The outbox as those who empty it see it: take a window, claim, load, settle, say how it went.

One forwarder takes each window, whatever number of them runs. A claim lasts as long as the turn of
its owner: one that is killed loses its claims at its turn's end, and the next window's owner delivers
what is left, under the same ids. Backoff is kept per agency, doubles from one window up to an hour,
and never becomes a refusal.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NewType

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, or_, select, update

from app.core.errors import OutboxError
from app.delivery.clock import day
from app.delivery.database import Store
from app.delivery.schema import agencies, destroy, envelopes, held, labels, owners, slot_of, sweep, turns
from app.vault.tip import TipId

LONGEST_REST = 3600

Owner = NewType("Owner", bytes)


@dataclass(frozen=True)
class Claimed:
    """One envelope that waits, without its bytes; `length` is theirs."""

    id: TipId
    agency: str
    length: int


@dataclass(frozen=True)
class Agency:
    """How an agency's deliveries stand: what waits, for how many days, and the last turn's failure."""

    waiting: int = 0
    oldest_days: int = 0  # counted from the first window's end at which an envelope was left over
    failures: int = 0  # turns in a row in which nothing passed
    code: str = ""  # of the last turn's failure; empty if there was none


@dataclass(frozen=True)
class Status:
    """What `haumaru status` tells: each agency, the last window taken (unix seconds, 0: none), bytes held."""

    agencies: Mapping[str, Agency]
    last_turn: int
    held_bytes: int


class Turns:
    """The forwarders' half of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, start: int, *, seconds: int) -> Owner | None:
        """Take the window that begins at `start` (unix seconds); None if it is another's, or past."""
        with self._store.write() as connection:
            # A start far ahead was written under a wrong clock, and must not stop the post for good.
            free = or_(turns.c.start < start, turns.c.start > start + 2 * seconds)
            if connection.execute(update(turns).where(free).values(start=start)).rowcount == 0:
                return None
            return _enter(connection, start, start + seconds)

    def join(self, now: float, *, seconds: int) -> Owner:
        """Become an owner beside the window's, for `seconds` at most."""
        with self._store.write() as connection:
            return _enter(connection, int(now), int(now) + seconds)

    def claim(self, owner: Owner, *, ready: Collection[str], fresh: Collection[str] = ()) -> list[Claimed]:
        """Claim what waits for the agencies in `ready`, and for those in `fresh` what was never tried.

        What a damaged page no longer says, the labels say: to this owner, and to any other.
        """
        mine = labels.c.agency.in_([*ready, *fresh])
        said = exists().where(envelopes.c.id == labels.c.id, envelopes.c.agency == labels.c.agency)
        try:
            return self._claim(owner, ready, fresh) + self._labelled(and_(mine, ~said))
        except OutboxError as error:
            if error.code != "corrupt":
                raise
        return self._labelled(mine)

    def _labelled(self, which: ColumnElement[bool]) -> list[Claimed]:
        with self._store.read() as connection:
            rows = connection.execute(select(labels).where(which))
            return [Claimed(TipId(row.id), row.agency, row.length) for row in rows]

    def _claim(self, owner: Owner, ready: Collection[str], fresh: Collection[str]) -> list[Claimed]:
        wanted = or_(envelopes.c.agency.in_(ready), and_(envelopes.c.agency.in_(fresh), envelopes.c.since.is_(None)))
        free = or_(envelopes.c.owner.is_(None), envelopes.c.owner.not_in(select(owners.c.owner)))
        chosen = select(envelopes.c.id).where(wanted, free).with_for_update(skip_locked=True)
        with self._store.write() as connection:
            rows = connection.execute(
                update(envelopes)
                .where(envelopes.c.id.in_(chosen))
                .values(owner=owner)
                .returning(envelopes.c.id, envelopes.c.agency, envelopes.c.length)
            )
            return [Claimed(TipId(row.id), row.agency, row.length) for row in rows]

    def load(self, tip: TipId) -> bytes:
        """Return an envelope's bytes, as they were put; raises OutboxError."""
        return self._store.blob(slot_of(tip.encode()))

    def settle(self, tip: TipId) -> None:
        """Forget an envelope that its agency has; one already settled stays so."""
        with self._store.write() as connection:
            destroy(connection, envelopes, envelopes.c.id == tip)
            connection.execute(delete(labels).where(labels.c.id == tip))

    def resting(self, at: int) -> frozenset[str]:
        """Return the agencies that are not to be tried at `at` (unix seconds)."""
        with self._store.read() as connection:
            rest = and_(agencies.c.retry > at, agencies.c.retry <= at + LONGEST_REST)
            return frozenset(connection.execute(select(agencies.c.agency).where(rest)).scalars())

    def note(self, agency: str, *, code: str, rest: bool, at: int, seconds: int) -> None:
        """Keep how an agency's turn went: its failure's code or "", and whether it must now rest."""
        with self._store.write() as connection:
            mine = agencies.c.agency == agency
            before = connection.execute(select(agencies.c.failures).where(mine)).scalar() or 0
            connection.execute(delete(agencies).where(mine))
            if not code:
                return
            failures = before + 1 if rest else 0
            pause = min(seconds * 2 ** min(before, 12), LONGEST_REST) if rest else 0
            connection.execute(insert(agencies).values(agency=agency, failures=failures, retry=at + pause, code=code))

    def release(self, owner: Owner) -> None:
        """Give back every claim of this owner."""
        with self._store.write() as connection:
            connection.execute(delete(owners).where(owners.c.owner == owner))
            connection.execute(update(envelopes).where(envelopes.c.owner == owner).values(owner=None))

    def end(self, now: float) -> None:
        """End a window: what is left over learns the day, what has ended goes, the files are tidied."""
        with self._store.write() as connection:
            connection.execute(update(envelopes).where(envelopes.c.since.is_(None)).values(since=day(now)))
            sweep(connection, now)
        self._store.tidy(now)

    def status(self, now: float) -> Status:
        """Return how each agency's deliveries stand; raises OutboxError."""
        with self._store.read() as connection:
            count = select(envelopes.c.agency, func.count(), func.min(envelopes.c.since))
            waiting = {a: (n, since) for a, n, since in connection.execute(count.group_by(envelopes.c.agency))}
            failing = {row.agency: (row.failures, row.code) for row in connection.execute(select(agencies))}
            start = connection.execute(select(turns.c.start)).scalar() or 0
            kept = connection.execute(select(func.coalesce(func.sum(held.c.length), 0))).scalar_one()
        return Status(
            agencies={
                agency: _agency(waiting.get(agency, (0, None)), failing.get(agency, (0, "")), day(now))
                for agency in sorted(waiting.keys() | failing.keys())
            },
            last_turn=start,
            held_bytes=int(kept),
        )


def _agency(waiting: tuple[int, date | None], failing: tuple[int, str], today: date) -> Agency:
    count, since = waiting
    failures, code = failing
    return Agency(count, max(0, (today - since).days) if since else 0, failures, code)


def _enter(connection: Connection, now: int, until: int) -> Owner:
    """Add an owner; others' turns that are over, or further off than any could be, end here."""
    owner = Owner(secrets.token_bytes(16))
    past = or_(owners.c.until <= now, owners.c.until > until + LONGEST_REST)
    connection.execute(delete(owners).where(past))
    connection.execute(insert(owners).values(owner=owner, until=until))
    return owner
