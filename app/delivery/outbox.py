"""The outbox as a sender of envelopes sees it: put an envelope, or hold it first and confirm later.

A call that returns is on the disk; a call that raises changed nothing. The SHA-256 of a nonce or a draft is kept for
30 to 45 minutes, so that a form that is sent twice sends one tip. A held tip stays sealed until it is confirmed or
discarded, or until its quarter-hour ends. `leases` takes envelopes out.
"""

import hashlib
import threading
import time
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.core.errors import AlreadySentError, HeldFullError, HeldGoneError
from app.delivery.clock import QUARTER_HOUR_SECONDS, quarter_hour_end
from app.delivery.database import Database
from app.delivery.schema import delete_expired, delete_with_blobs, envelopes, held, insert_blob, labels, used
from app.vault.tip import TipId

MAX_HELD_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Envelope:
    """Sealed bytes, their id, which every other part uses too, and the agency that receives them."""

    id: TipId
    agency: str
    data: bytes


class Outbox:
    """The outbox of one database; call `prepare` before use, to learn at once of a fault.

    At most `max_held_bytes` of envelopes are held at a time.
    """

    def __init__(self, url: str, *, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self.database = Database(url)
        self._max_held_bytes = max_held_bytes
        self._last_cleanup = 0  # the quarter-hour in which this process last deleted expired rows
        self._cleanup_lock = threading.Lock()

    def prepare(self) -> None:
        """Create the missing parts of the database; raises OutboxError."""
        self.database.prepare()

    def put(self, envelope: Envelope, *, nonce: bytes | None = None, now: float | None = None) -> None:
        """Put an envelope into the outbox; a return means that the envelope is on the disk.

        Raises AlreadySentError if `nonce` was used, OutboxError if the envelope could not be stored.
        """
        now = time.time() if now is None else now
        with self.database.write() as connection:
            self._delete_expired_each_quarter(connection, now)
            if nonce is not None:
                _use_nonce(connection, _hash(nonce), now)
            slot = insert_blob(connection, envelope.id.encode(), envelope.data)
            _enqueue(connection, envelope.id, envelope.agency, len(envelope.data), slot)

    def hold(self, envelope: Envelope, *, draft: bytes, nonce: bytes | None = None, now: float) -> None:
        """Hold an envelope until `confirm`, in place of the envelope that the draft held before.

        Only `confirm` uses the nonce up, so that a sender may go back and change the report. Raises AlreadySentError
        if the draft or the nonce was sent, HeldFullError beyond `max_held_bytes` in all.
        """
        key = _hash(draft)
        nonce_key = None if nonce is None else _hash(nonce)
        with self.database.write() as connection:
            self.database.lock_exclusive(connection)
            delete_expired(connection, now)
            if _is_used(connection, key) or (nonce_key is not None and _is_used(connection, nonce_key)):
                raise AlreadySentError
            delete_with_blobs(connection, held, held.c.draft == key)
            total = connection.execute(select(func.coalesce(func.sum(held.c.length), 0))).scalar_one()
            if total + len(envelope.data) > self._max_held_bytes:
                raise HeldFullError
            connection.execute(
                insert(held).values(
                    draft=key,
                    id=envelope.id,
                    agency=envelope.agency,
                    length=len(envelope.data),
                    slot=insert_blob(connection, envelope.id.encode(), envelope.data),
                    nonce=nonce_key,
                    ends=quarter_hour_end(now),
                )
            )

    def confirm(self, draft: bytes, *, now: float) -> None:
        """Move a held tip into the outbox, durably, in one transaction.

        Raises AlreadySentError if this draft, or its form, was sent before, and HeldGoneError if the held tip has
        expired, was discarded, or never existed.
        """
        key = _hash(draft)
        with self.database.write() as connection:
            row = _held_row(connection, key, now)
            _use_nonce(connection, key, now)
            if row.nonce is not None:
                _use_nonce(connection, row.nonce, now)
            connection.execute(delete(held).where(held.c.draft == key))
            _enqueue(connection, row.id, row.agency, row.length, row.slot)

    def discard(self, draft: bytes) -> None:
        """Delete a held tip if there is one; raises AlreadySentError if the held tip was sent."""
        key = _hash(draft)
        with self.database.write() as connection:
            # Wait for a confirmation that runs at the same time, so that its result is known.
            connection.execute(select(held.c.id).where(held.c.draft == key).with_for_update())
            if _is_used(connection, key):
                raise AlreadySentError
            delete_with_blobs(connection, held, held.c.draft == key)

    def extend(self, draft: bytes, *, now: float) -> None:
        """Let a held tip expire 30 minutes from now; raises as `confirm` does."""
        key = _hash(draft)
        with self.database.write() as connection:
            _held_row(connection, key, now)
            connection.execute(update(held).where(held.c.draft == key).values(ends=quarter_hour_end(now)))

    def _delete_expired_each_quarter(self, connection: Connection, now: float) -> None:
        quarter = int(now) // QUARTER_HOUR_SECONDS
        with self._cleanup_lock:
            due, self._last_cleanup = quarter != self._last_cleanup, quarter
        if due:
            delete_expired(connection, now)


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _enqueue(connection: Connection, tip: str, agency: str, length: int, slot: int) -> None:
    connection.execute(insert(envelopes).values(id=tip, agency=agency, length=length, slot=slot))
    connection.execute(insert(labels).values(id=tip, agency=agency, length=length))


def _use_nonce(connection: Connection, nonce: bytes, now: float) -> None:
    try:
        connection.execute(insert(used).values(nonce=nonce, ends=quarter_hour_end(now)))
    except IntegrityError:
        raise AlreadySentError from None


def _is_used(connection: Connection, nonce: bytes) -> bool:
    return connection.execute(select(used.c.nonce).where(used.c.nonce == nonce)).first() is not None


def _held_row(connection: Connection, key: bytes, now: float) -> Row[tuple[object, ...]]:
    row = connection.execute(select(held).where(held.c.draft == key).with_for_update()).first()
    if row is None and _is_used(connection, key):
        raise AlreadySentError
    if row is None or row.ends <= now:
        raise HeldGoneError
    return row
