"""The outbox as a forwarder sees it: take a window, claim envelopes, load, settle, record each agency's outcome.

Exactly one forwarder takes each window, however many forwarders run. A claim ends with the lease of its owner: a
forwarder that is killed loses its claims when its lease ends, and the owner of the next window delivers the rest
under the same ids. Raises OutboxError.
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
from app.delivery.schema import agencies, blobs, cells, delete_envelope, labels, owners, spares, windows
from app.vault.tip import TipId

MAX_LEASE_SECONDS = 3600

LeaseOwner = NewType("LeaseOwner", bytes)


@dataclass(frozen=True)
class ClaimedEnvelope:
    """One waiting envelope without its bytes."""

    id: TipId
    agency: str


@dataclass(frozen=True)
class AgencyQueue:
    """The envelopes that wait for one agency, decoys among them, and since which day its deliveries fail."""

    waiting: int = 0
    since: date | None = None
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
            free = or_(windows.c.start < start, windows.c.start > start + 2 * seconds)
            if connection.execute(update(windows).where(free).values(start=start)).rowcount == 0:
                return None
            return _insert_owner(connection, start, start + seconds)

    def acquire_lease(self, now: float, *, seconds: int) -> LeaseOwner:
        """Return a further owner beside the owner of the window, for at most `seconds`."""
        with self._database.write() as connection:
            return _insert_owner(connection, int(now), int(now) + seconds)

    def claim(self, owner: LeaseOwner, *, ready: Collection[str]) -> list[ClaimedEnvelope]:
        """Claim all envelopes for the agencies in `ready`.

        Envelopes that stand on a damaged page are found through `labels`; such envelopes are not claimed for this
        owner alone, so a second forwarder may deliver them too.
        """
        wanted = labels.c.agency.in_(ready)
        listed = exists().where(cells.c.id == labels.c.id, cells.c.agency == labels.c.agency)
        try:
            return self._claim(owner, ready) + self._find_by_label(and_(wanted, ~listed))
        except OutboxError as error:
            if error.code != "corrupt":
                raise
        return self._find_by_label(wanted)

    def _find_by_label(self, which: ColumnElement[bool]) -> list[ClaimedEnvelope]:
        with self._database.read() as connection:
            rows = connection.execute(select(labels).where(which))
            return [ClaimedEnvelope(TipId(row.id), row.agency) for row in rows]

    def _claim(self, owner: LeaseOwner, ready: Collection[str]) -> list[ClaimedEnvelope]:
        free = or_(cells.c.owner.is_(None), cells.c.owner.not_in(select(owners.c.owner)))
        chosen = select(cells.c.id).where(cells.c.agency.in_(ready), free).with_for_update(skip_locked=True)
        with self._database.write() as connection:
            rows = connection.execute(
                update(cells).where(cells.c.id.in_(chosen)).values(owner=owner).returning(cells.c.id, cells.c.agency)
            )
            return [ClaimedEnvelope(TipId(row.id), row.agency) for row in rows]

    def load(self, tip: TipId) -> bytes:
        """Return the bytes of an envelope; raises OutboxError `gone` or `corrupt`."""
        return self._database.read_blob(tip.encode(), blobs, spares)

    def settle(self, tip: TipId) -> None:
        """Delete an envelope that its agency has; settling an envelope twice is no error."""
        with self._database.write() as connection:
            delete_envelope(connection, tip)

    def record_outcome(self, agency: str, *, code: str, now: float) -> None:
        """Record how the deliveries to an agency ended in a window: `code` of the last failure, or "" for none."""
        with self._database.write() as connection:
            this_agency = agencies.c.agency == agency
            before = connection.execute(select(agencies).where(this_agency)).first()
            connection.execute(delete(agencies).where(this_agency))
            if code:
                failures, since = (before.failures, before.since) if before else (0, nz_day(now))
                row = {"agency": agency, "failures": failures + 1, "code": code, "since": since}
                connection.execute(insert(agencies).values(row))

    def release(self, owner: LeaseOwner) -> None:
        """End the lease of this owner and give back all its claims."""
        with self._database.write() as connection:
            connection.execute(delete(owners).where(owners.c.owner == owner))
            connection.execute(update(cells).where(cells.c.owner == owner).values(owner=None))

    def status(self) -> QueueStatus:
        """Return the queue of each agency."""
        with self._database.read() as connection:
            count = select(cells.c.agency, func.count()).group_by(cells.c.agency)
            waiting = {row[0]: row[1] for row in connection.execute(count)}
            failing = {row.agency: row for row in connection.execute(select(agencies))}
            start = connection.execute(select(windows.c.start)).scalar() or 0
        queues = {}
        for agency in sorted(waiting.keys() | failing.keys()):
            row, number = failing.get(agency), waiting.get(agency, 0)
            queues[agency] = AgencyQueue(number, row.since, row.failures, row.code) if row else AgencyQueue(number)
        return QueueStatus(agencies=queues, last_window=start)


def _insert_owner(connection: Connection, now: int, until: int) -> LeaseOwner:
    """Insert an owner; delete owners whose lease is over, or ends later than any lease can."""
    owner = LeaseOwner(secrets.token_bytes(16))
    ended = or_(owners.c.until <= now, owners.c.until > until + MAX_LEASE_SECONDS)
    connection.execute(delete(owners).where(ended))
    connection.execute(insert(owners).values(owner=owner, until=until))
    return owner
