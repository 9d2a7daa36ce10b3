"""The tables of the outbox and the replies, and the deletion of expired rows.

Every key is random or a hash, and no table keeps SQLite's rowid. The only times are the quarter-hour in which a held
tip or a used nonce ends, the day on which a window first left an envelope over, and the day on which a reply ends.
Blobs have a table of their own, under a hash of their name: SQLite rewrites a whole row when any column changes, and
reads whole rows to compare other keys. Everything that delivery needs is stored twice, in two tables, so that no
damaged page loses an envelope.
"""

import hashlib

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Date,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    insert,
    or_,
    select,
)

from app.core.errors import OutboxError
from app.delivery.clock import HELD_SECONDS, QUARTER_HOUR_SECONDS, nz_day

metadata = MetaData()
_slot = BigInteger().with_variant(Integer, "sqlite")  # SQLite takes only INTEGER for the rows' own numbers


def _table(name: str, *columns: Column[object] | PrimaryKeyConstraint) -> Table:
    return Table(name, metadata, *columns, sqlite_with_rowid=False)


envelopes = _table(
    "envelopes",
    Column("id", String(26), primary_key=True),
    Column("agency", String, nullable=False),
    Column("length", Integer, nullable=False),
    Column("slot", BigInteger, nullable=False),
    Column("since", Date),  # the day of the first window that left the envelope over
    Column("owner", LargeBinary),  # the forwarder that is delivering the envelope
)
labels = _table(
    "labels",  # a second copy of what `envelopes` says
    Column("id", String(26), primary_key=True),
    Column("agency", String, nullable=False),
    Column("length", Integer, nullable=False),
)


def _blobs(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("slot", _slot, primary_key=True, autoincrement=False),
        Column("data", LargeBinary, nullable=False),  # its SHA-256, then the blob itself
    )


blobs = _blobs("blobs")
spares = _blobs("spares")  # a second copy of `blobs`
held = _table(
    "held",
    Column("draft", LargeBinary, primary_key=True),  # SHA-256
    Column("id", String(26), nullable=False),
    Column("agency", String, nullable=False),
    Column("length", Integer, nullable=False),
    Column("slot", BigInteger, nullable=False),
    Column("nonce", LargeBinary),  # SHA-256
    Column("ends", BigInteger, nullable=False),
)
used = _table(
    "used",
    Column("nonce", LargeBinary, primary_key=True),  # SHA-256 of a form's nonce or a held tip's draft
    Column("ends", BigInteger, nullable=False),
)
turns = _table(
    "turns",
    Column("one", Integer, primary_key=True),
    Column("start", BigInteger, nullable=False),  # of the last window that a forwarder took
)
owners = _table(
    "owners",
    Column("owner", LargeBinary, primary_key=True),
    Column("until", BigInteger, nullable=False),
)
agencies = _table(
    "agencies",
    Column("agency", String, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("retry", BigInteger, nullable=False),
    Column("code", String, nullable=False),
)
replies = _table(
    "replies",
    Column("locator", String, nullable=False),
    Column("reply", LargeBinary, nullable=False),  # SHA-256 of the desk's reply_id
    Column("expires", Date, nullable=False),
    Column("slot", BigInteger, nullable=False),
    PrimaryKeyConstraint("locator", "reply"),
)
posted = _table(
    "posted",
    Column("reply", LargeBinary, primary_key=True),
    Column("expires", Date, nullable=False),
)


def blob_id(name: bytes) -> int:
    """Return the slot of the blob of a random name: a hash of the name, so that slots have no order either."""
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") >> 1  # 63 bits: what both databases hold


def insert_blob(connection: Connection, name: bytes, data: bytes) -> int:
    """Insert the blob of a random name into both blob tables; return its slot."""
    slot = blob_id(name)
    stored = hashlib.sha256(data).digest() + data
    for copies in (blobs, spares):
        connection.execute(insert(copies).values(slot=slot, data=stored))
    return slot


def verified_blob(stored: bytes | None) -> bytes:
    """Return the blob of a stored value; raises OutboxError `gone` for None, `corrupt` for a wrong digest."""
    if stored is None:
        raise OutboxError("gone")
    digest, data = bytes(stored[:32]), bytes(stored[32:])
    if hashlib.sha256(data).digest() != digest:
        raise OutboxError("corrupt")
    return data


def delete_with_blobs(connection: Connection, table: Table, rows: ColumnElement[bool]) -> None:
    """Delete rows of a table, and their blobs."""
    for copies in (blobs, spares):
        connection.execute(delete(copies).where(copies.c.slot.in_(select(table.c.slot).where(rows))))
    connection.execute(delete(table).where(rows))


def delete_expired(connection: Connection, now: float) -> None:
    """Delete the held tips, used nonces and replies that have expired by `now` (unix seconds).

    Rows that expire later than any row can were written under a wrong clock, and are deleted too.
    """
    latest = now + HELD_SECONDS + 2 * QUARTER_HOUR_SECONDS
    delete_with_blobs(connection, held, or_(held.c.ends <= now, held.c.ends > latest))
    connection.execute(delete(used).where(or_(used.c.ends <= now, used.c.ends > latest)))
    delete_with_blobs(connection, replies, replies.c.expires < nz_day(now))
    connection.execute(delete(posted).where(posted.c.expires < nz_day(now)))
