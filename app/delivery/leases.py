"""The outbox as a forwarder sees it: take a window, claim envelopes, load, settle, record each agency's outcome.

Exactly one forwarder takes each window, however many forwarders run. A claim ends with the lease of its owner: a
forwarder that is killed loses its claims when its lease ends, and the owner of the next window delivers the rest
under the same ids. Backoff is kept for each agency, doubles from one window up to an hour, and never becomes a
refusal. Raises OutboxError.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NewType

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, or_, select, update

from app.core.errors import OutboxError
from app.delivery.clock import nz_day
from app.delivery.database import Database
from app.delivery.schema import agencies, blob_id, delete_expired, delete_with_blobs, envelopes, labels, owners, turns
from app.vault.tip import TipId

MAX_BACKOFF_SECONDS = 3600

LeaseOwner = NewType("LeaseOwner", bytes)


@dataclass(frozen=True)
class ClaimedEnvelope:
    """One waiting envelope without its bytes; `length` is the number of its bytes."""

    id: TipId
    agency: str
    length: int


@dataclass(frozen=True)
class AgencyQueue:
    """The envelopes that wait for one agency, for how many days, and the failure of its last delivery."""

    waiting: int = 0
    oldest_days: int = 0  # since the end of the first window that left an envelope over
    failures: int = 0  # windows in a row without a delivery
    code: str = ""  # of the last window's failure; empty if there was none


@dataclass(frozen=True)
class QueueStatus:
    """The queue of each agency, and the start of the last window that was taken (unix seconds; 0: none)."""

    agencies: Mapping[str, AgencyQueue]
    last_window: int


class Leases:
    """What forwarders do with the outbox of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take_window(self, start: int, *, seconds: int) -> LeaseOwner | None:
        """Return the owner of the window that begins at `start` (unix seconds); None if the window is taken or past."""
        with self._database.write() as connection:
            # A start far ahead was written under a wrong clock, and must not stop deliveries for good.
            free = or_(turns.c.start < start, turns.c.start > start + 2 * seconds)
            if connection.execute(update(turns).where(free).values(start=start)).rowcount == 0:
                return None
            return _insert_owner(connection, start, start + seconds)

    def acquire_lease(self, now: float, *, seconds: int) -> LeaseOwner:
        """Return a further owner beside the owner of the window, for at most `seconds`."""
        with self._database.write() as connection:
            return _insert_owner(connection, int(now), int(now) + seconds)

    def claim(self, owner: LeaseOwner, *, ready: Collection[str], fresh: Collection[str] = ()) -> list[ClaimedEnvelope]:
        """Claim all envelopes for the agencies in `ready`, and for the agencies in `fresh` those never tried.

        Envelopes that stand on a damaged page are found through `labels`; such envelopes are not claimed for this
        owner alone, so a second forwarder may deliver them too.
        """
        wanted = labels.c.agency.in_([*ready, *fresh])
        listed = exists().where(envelopes.c.id == labels.c.id, envelopes.c.agency == labels.c.agency)
        try:
            return self._claim(owner, ready, fresh) + self._find_by_label(and_(wanted, ~listed))
        except OutboxError as error:
            if error.code != "corrupt":
                raise
        return self._find_by_label(wanted)

    def _find_by_label(self, which: ColumnElement[bool]) -> list[ClaimedEnvelope]:
        with self._database.read() as connection:
            rows = connection.execute(select(labels).where(which))
            return [ClaimedEnvelope(TipId(row.id), row.agency, row.length) for row in rows]

    def _claim(self, owner: LeaseOwner, ready: Collection[str], fresh: Collection[str]) -> list[ClaimedEnvelope]:
        wanted = or_(envelopes.c.agency.in_(ready), and_(envelopes.c.agency.in_(fresh), envelopes.c.since.is_(None)))
        free = or_(envelopes.c.owner.is_(None), envelopes.c.owner.not_in(select(owners.c.owner)))
        chosen = select(envelopes.c.id).where(wanted, free).with_for_update(skip_locked=True)
        with self._database.write() as connection:
            rows = connection.execute(
                update(envelopes)
                .where(envelopes.c.id.in_(chosen))
                .values(owner=owner)
                .returning(envelopes.c.id, envelopes.c.agency, envelopes.c.length)
            )
            return [ClaimedEnvelope(TipId(row.id), row.agency, row.length) for row in rows]

    def load(self, tip_id: TipId) -> bytes:
        """Return the bytes of an envelope; raises OutboxError `gone` or `corrupt`."""
        return self._database.read_blob(blob_id(tip_id.encode()))

    def settle(self, tip_id: TipId) -> None:
        """Delete an envelope that its agency has; settling an envelope twice is no error."""
        with self._database.write() as connection:
            delete_with_blobs(connection, envelopes, envelopes.c.id == tip_id)
            connection.execute(delete(labels).where(labels.c.id == tip_id))

    def agencies_in_backoff(self, at: int) -> frozenset[str]:
        """Return the agencies that must not be tried before their backoff is over, at `at` (unix seconds)."""
        with self._database.read() as connection:
            backing_off = and_(agencies.c.retry > at, agencies.c.retry <= at + MAX_BACKOFF_SECONDS)
            return frozenset(connection.execute(select(agencies.c.agency).where(backing_off)).scalars())

    def record_outcome(self, agency: str, *, code: str, backoff: bool, at: int, seconds: int) -> None:
        """Record the last failure of an agency in a window (`code`, or ""), and whether a backoff begins."""
        with self._database.write() as connection:
            this_agency = agencies.c.agency == agency
            before = connection.execute(select(agencies.c.failures).where(this_agency)).scalar() or 0
            connection.execute(delete(agencies).where(this_agency))
            if not code:
                return
            failures = before + 1 if backoff else 0
            pause = min(seconds * 2 ** min(before, 12), MAX_BACKOFF_SECONDS) if backoff else 0
            connection.execute(insert(agencies).values(agency=agency, failures=failures, retry=at + pause, code=code))

    def release(self, owner: LeaseOwner) -> None:
        """End the lease of this owner and give back all its claims."""
        with self._database.write() as connection:
            connection.execute(delete(owners).where(owners.c.owner == owner))
            connection.execute(update(envelopes).where(envelopes.c.owner == owner).values(owner=None))

    def finish_window(self, now: float) -> None:
        """Finish a window: mark envelopes left over with the day, delete expired rows, vacuum the database."""
        with self._database.write() as connection:
            connection.execute(update(envelopes).where(envelopes.c.since.is_(None)).values(since=nz_day(now)))
            delete_expired(connection, now)
        self._database.vacuum(now)

    def status(self, now: float) -> QueueStatus:
        """Return the queue of each agency."""
        with self._database.read() as connection:
            count = select(envelopes.c.agency, func.count(), func.min(envelopes.c.since))
            waiting = {a: (n, since) for a, n, since in connection.execute(count.group_by(envelopes.c.agency))}
            failing = {row.agency: (row.failures, row.code) for row in connection.execute(select(agencies))}
            start = connection.execute(select(turns.c.start)).scalar() or 0
        return QueueStatus(
            agencies={
                agency: _agency_queue(waiting.get(agency, (0, None)), failing.get(agency, (0, "")), nz_day(now))
                for agency in sorted(waiting.keys() | failing.keys())
            },
            last_window=start,
        )


def _agency_queue(waiting: tuple[int, date | None], failing: tuple[int, str], today: date) -> AgencyQueue:
    count, since = waiting
    failures, code = failing
    return AgencyQueue(count, max(0, (today - since).days) if since else 0, failures, code)


def _insert_owner(connection: Connection, now: int, until: int) -> LeaseOwner:
    """Insert an owner; delete owners whose lease is over, or ends later than any lease can."""
    owner = LeaseOwner(secrets.token_bytes(16))
    ended = or_(owners.c.until <= now, owners.c.until > until + MAX_BACKOFF_SECONDS)
    connection.execute(delete(owners).where(ended))
    connection.execute(insert(owners).values(owner=owner, until=until))
    return owner
