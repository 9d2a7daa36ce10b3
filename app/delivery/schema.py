"""The tables of the outbox and the replies, and what in them comes to an end.

Every key is random or a hash, no table keeps SQLite's rowid, and nothing holds a time but: the
quarter-hour in which a held tip or a used nonce ends, the day on which an envelope was first left over
at a window's end, and the day on which a reply ends. Blobs have a table of their own, under a hash of
their name: SQLite rewrites a whole row when any of it changes, and reads whole rows to compare other keys.
Whatever delivery needs lies twice, in trees of its own, so that no damaged page loses an envelope.
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
from app.delivery.clock import HELD_SECONDS, QUARTER, day

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
    Column("since", Date),  # the first window's end at which it was left over
    Column("owner", LargeBinary),  # the forwarder that is delivering it
)
labels = _table(
    "labels",  # what `envelopes` says, once more
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
spares = _blobs("spares")  # what `blobs` holds, once more
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


def slot_of(name: bytes) -> int:
    """Return the slot of a blob that goes with a random name: a number that has no order either."""
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") >> 1  # 63 bits: what both databases hold


def keep(connection: Connection, name: bytes, data: bytes) -> int:
    """Keep a blob that goes with a random name, twice; return its slot."""
    slot = slot_of(name)
    kept = hashlib.sha256(data).digest() + data
    for copies in (blobs, spares):
        connection.execute(insert(copies).values(slot=slot, data=kept))
    return slot


def whole(kept: bytes | None) -> bytes:
    """Return the blob in what was kept; raises OutboxError `gone`, or `corrupt` where it is another than was kept."""
    if kept is None:
        raise OutboxError("gone")
    digest, data = bytes(kept[:32]), bytes(kept[32:])
    if hashlib.sha256(data).digest() != digest:
        raise OutboxError("corrupt")
    return data


def destroy(connection: Connection, table: Table, rows: ColumnElement[bool]) -> None:
    """Delete rows together with their blobs."""
    for copies in (blobs, spares):
        connection.execute(delete(copies).where(copies.c.slot.in_(select(table.c.slot).where(rows))))
    connection.execute(delete(table).where(rows))


def sweep(connection: Connection, now: float) -> None:
    """Destroy what has ended by `now`: held tips, used nonces, replies.

    An end further off than any could be was written under a wrong clock, and is not waited for.
    """
    latest = now + HELD_SECONDS + 2 * QUARTER
    destroy(connection, held, or_(held.c.ends <= now, held.c.ends > latest))
    connection.execute(delete(used).where(or_(used.c.ends <= now, used.c.ends > latest)))
    destroy(connection, replies, replies.c.expires < day(now))
    connection.execute(delete(posted).where(posted.c.expires < day(now)))
