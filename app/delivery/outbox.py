"""The durable queue of envelopes, as those who fill it see it: put, or hold first and confirm.

Each call that returns is on the disk; each that raises changed nothing. A nonce or a draft is kept as
its SHA-256, for 30 to 45 minutes, so that a form sent twice sends one tip. A held tip lies sealed until
it is confirmed, discarded, or its quarter-hour ends. What takes envelopes out is in `turns`.
"""

import hashlib
import threading
import time
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.core.errors import AlreadySentError, HeldFullError, HeldGoneError
from app.delivery.clock import QUARTER, end_of_quarter
from app.delivery.database import Store
from app.delivery.schema import destroy, envelopes, held, keep, labels, sweep, used
from app.vault.tip import TipId

HELD_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Envelope:
    """Sealed bytes, the id that names them everywhere, and the agency they are for."""

    id: TipId
    agency: str
    data: bytes


class Outbox:
    """The outbox of one database; `prepare` it before use, to learn at once what is wrong with it."""

    def __init__(self, url: str) -> None:
        self.store = Store(url)
        self._swept = 0  # the quarter-hour in which this process last swept
        self._sweeping = threading.Lock()

    def prepare(self) -> None:
        """Create what is missing in the database; raises OutboxError."""
        self.store.prepare()

    def put(self, envelope: Envelope, *, nonce: bytes | None = None, now: float | None = None) -> None:
        """Keep the envelope; on returning it is on the disk.

        Raises AlreadySentError if `nonce` was used, OutboxError if it could not be kept.
        """
        now = time.time() if now is None else now
        with self.store.write() as connection:
            self._sweep_sometimes(connection, now)
            if nonce is not None:
                _use(connection, _hash(nonce), now)
            slot = keep(connection, envelope.id.encode(), envelope.data)
            _enqueue(connection, envelope.id, envelope.agency, len(envelope.data), slot)

    def hold(self, envelope: Envelope, *, draft: bytes, nonce: bytes | None = None, now: float) -> None:
        """Keep the envelope sealed, not yet to be sent, in place of what the draft held before.

        The nonce is used up by `confirm`, so that a sender who goes back may change their mind. Raises
        AlreadySentError if the draft or the nonce was sent, HeldFullError beyond 256 MiB in all.
        """
        key = _hash(draft)
        once = None if nonce is None else _hash(nonce)
        with self.store.write() as connection:
            self.store.alone(connection)
            sweep(connection, now)
            if _is_used(connection, key) or (once is not None and _is_used(connection, once)):
                raise AlreadySentError
            destroy(connection, held, held.c.draft == key)
            total = connection.execute(select(func.coalesce(func.sum(held.c.length), 0))).scalar_one()
            if total + len(envelope.data) > HELD_BYTES:
                raise HeldFullError
            connection.execute(
                insert(held).values(
                    draft=key,
                    id=envelope.id,
                    agency=envelope.agency,
                    length=len(envelope.data),
                    slot=keep(connection, envelope.id.encode(), envelope.data),
                    nonce=once,
                    ends=end_of_quarter(now),
                )
            )

    def confirm(self, draft: bytes, *, now: float) -> None:
        """Move a held tip into the outbox, durably, in one transaction.

        Raises AlreadySentError if this draft, or its form, was sent before, and HeldGoneError if it has
        ended, was discarded, or never was.
        """
        key = _hash(draft)
        with self.store.write() as connection:
            row = _held_row(connection, key, now)
            _use(connection, key, now)
            if row.nonce is not None:
                _use(connection, row.nonce, now)
            connection.execute(delete(held).where(held.c.draft == key))
            _enqueue(connection, row.id, row.agency, row.length, row.slot)

    def discard(self, draft: bytes) -> None:
        """Destroy a held tip, if it is still there; raises AlreadySentError if it was sent."""
        key = _hash(draft)
        with self.store.write() as connection:
            # A confirmation on its way is waited for, and then told truly.
            connection.execute(select(held.c.id).where(held.c.draft == key).with_for_update())
            if _is_used(connection, key):
                raise AlreadySentError
            destroy(connection, held, held.c.draft == key)

    def extend(self, draft: bytes, *, now: float) -> None:
        """Give a held tip 30 minutes more from now; raises as `confirm` does."""
        key = _hash(draft)
        with self.store.write() as connection:
            _held_row(connection, key, now)
            connection.execute(update(held).where(held.c.draft == key).values(ends=end_of_quarter(now)))

    def _sweep_sometimes(self, connection: Connection, now: float) -> None:
        quarter = int(now) // QUARTER
        with self._sweeping:
            due, self._swept = quarter != self._swept, quarter
        if due:
            sweep(connection, now)


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _enqueue(connection: Connection, tip: str, agency: str, length: int, slot: int) -> None:
    connection.execute(insert(envelopes).values(id=tip, agency=agency, length=length, slot=slot))
    connection.execute(insert(labels).values(id=tip, agency=agency, length=length))


def _use(connection: Connection, nonce: bytes, now: float) -> None:
    try:
        connection.execute(insert(used).values(nonce=nonce, ends=end_of_quarter(now)))
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
