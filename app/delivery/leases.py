"""The outbox as a forwarder sees it: take a window, list what waits, begin a delivery, give back what failed.

Exactly one forwarder owns each window, however many forwarders run. An envelope is marked as tried, durably, before its
bytes leave, and no other forwarder takes it meanwhile. The mark of an owner ends with its lease: what a killed
forwarder had in hand is delivered again, under the same id. Failures are kept for each agency, with the day since which
its deliveries fail, and never become a refusal. Raises OutboxError.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import NewType

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, or_, select, update

from app.core.errors import OutboxError
from app.delivery.clock import nz_day
from app.delivery.database import Database
from app.delivery.schema import agencies, blobs, cells, labels, owners, spares, windows
from app.vault.tip import TipId

LONGEST_LEASE_SECONDS = 2 * 86_400  # a lease that ends later was written under a wrong clock

LeaseOwner = NewType("LeaseOwner", bytes)


@dataclass(frozen=True)
class AgencyQueue:
    """The envelopes that lie in the outbox for one agency, decoys among them, and how its deliveries fail."""

    waiting: int = 0
    failures: int = 0  # deliveries that failed, since there was a window without a failure
    code: str = ""  # of the last failure; empty if deliveries do not fail
    since: date | None = None  # the day of the first of these failures


@dataclass(frozen=True)
class QueueStatus:
    """The queue of each agency, and the start of the last window that was taken (unix seconds; 0: none)."""

    agencies: Mapping[str, AgencyQueue]
    last_window: int


class Leases:
    """What forwarders do with the outbox of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take_window(self, start: int, *, seconds: int, lease: int) -> LeaseOwner | None:
        """Return the owner of the window that begins at `start` (unix seconds); None if the window is taken or past.

        The window lasts `seconds`, the owner's lease `lease` seconds from the start of the window.
        """
        with self._database.write() as connection:
            # A start far ahead was written under a wrong clock, and must not stop deliveries for good.
            free = or_(windows.c.start < start, windows.c.start > start + 2 * seconds)
            if connection.execute(update(windows).where(free).values(start=start)).rowcount == 0:
                return None
            return _insert_owner(connection, start, start + lease)

    def acquire_lease(self, now: float, *, seconds: int) -> LeaseOwner:
        """Return a further owner beside the owner of the window, for at most `seconds`."""
        with self._database.write() as connection:
            return _insert_owner(connection, int(now), int(now) + seconds)

    def waiting(self, agency: str) -> dict[TipId, bool]:
        """Return the envelopes of an agency that no forwarder has in hand, and whether each was tried before.

        Envelopes that stand on a damaged page are found through `labels`; they count as never tried.
        """
        free = or_(cells.c.owner.is_(None), cells.c.owner.not_in(select(owners.c.owner)))
        listed = exists().where(cells.c.id == labels.c.id)
        try:
            with self._database.read() as connection:
                rows = connection.execute(select(cells.c.id, cells.c.tried).where(cells.c.agency == agency, free))
                found = {TipId(row.id): bool(row.tried) for row in rows}
            return self._labelled(and_(labels.c.agency == agency, ~listed)) | found
        except OutboxError as error:
            if error.code != "corrupt":
                raise
        return self._labelled(labels.c.agency == agency)

    def begin(self, owner: LeaseOwner, tip: TipId) -> bool:
        """Mark an envelope as tried and in hand, durably, before its bytes leave; return whether it is still there.

        An envelope whose row stands on a damaged page cannot be marked, and is there.
        """
        free = or_(cells.c.owner.is_(None), cells.c.owner.not_in(select(owners.c.owner)))
        try:
            with self._database.write() as connection:
                marked = update(cells).where(cells.c.id == tip, free).values(tried=True, owner=owner)
                if connection.execute(marked).rowcount:
                    return True
                unlisted = and_(labels.c.id == tip, ~exists().where(cells.c.id == tip))
                return connection.execute(select(labels.c.id).where(unlisted)).first() is not None
        except OutboxError as error:
            if error.code != "corrupt":
                raise
        return True

    def load(self, tip_id: TipId) -> bytes:
        """Return the bytes of an envelope; raises OutboxError `gone` or `corrupt`."""
        return self._database.read_blob(tip_id.encode(), blobs, spares)

    def record_failure(self, agency: str, code: str, *, now: float, tip: TipId | None = None) -> None:
        """Record that a delivery failed, and since which day deliveries fail; give back the envelope in hand."""
        with self._database.write() as connection:
            this_agency = agencies.c.agency == agency
            again = update(agencies).where(this_agency).values(failures=agencies.c.failures + 1, code=code)
            if connection.execute(again).rowcount == 0:
                connection.execute(insert(agencies).values(agency=agency, failures=1, code=code, since=nz_day(now)))
            if tip is not None:
                connection.execute(update(cells).where(cells.c.id == tip).values(owner=None))

    def clear_failures(self, agency: str) -> None:
        """Record that deliveries to an agency fail no longer."""
        with self._database.write() as connection:
            connection.execute(delete(agencies).where(agencies.c.agency == agency))

    def release(self, owner: LeaseOwner) -> None:
        """End the lease of this owner and give back what it has in hand."""
        with self._database.write() as connection:
            connection.execute(delete(owners).where(owners.c.owner == owner))
            connection.execute(update(cells).where(cells.c.owner == owner).values(owner=None))

    def status(self) -> QueueStatus:
        """Return the queue of each agency."""
        with self._database.read() as connection:
            counts = connection.execute(select(cells.c.agency, func.count().label("waiting")).group_by(cells.c.agency))
            waiting = {row.agency: row.waiting for row in counts}
            failing = {row.agency: row for row in connection.execute(select(agencies))}
            start = connection.execute(select(windows.c.start)).scalar() or 0
        queues = {}
        for agency in sorted(waiting.keys() | failing.keys()):
            row = failing.get(agency)
            failure = (row.failures, row.code, row.since) if row else (0, "", None)
            queues[agency] = AgencyQueue(waiting.get(agency, 0), *failure)
        return QueueStatus(queues, last_window=start)

    def _labelled(self, which: ColumnElement[bool]) -> dict[TipId, bool]:
        with self._database.read() as connection:
            return {TipId(tip): False for tip in connection.execute(select(labels.c.id).where(which)).scalars()}


def _insert_owner(connection: Connection, now: int, until: int) -> LeaseOwner:
    """Insert an owner; delete owners whose lease is over, or ends later than any lease can."""
    owner = LeaseOwner(secrets.token_bytes(16))
    ended = or_(owners.c.until <= now, owners.c.until > until + LONGEST_LEASE_SECONDS)
    connection.execute(delete(owners).where(ended))
    connection.execute(insert(owners).values(owner=owner, until=until))
    return owner
