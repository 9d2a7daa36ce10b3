"""The tables of the outbox and the replies, and the deletion of expired rows.

Every key is random or a hash, and no table keeps SQLite's rowid. No column says whether a row is a tip or a decoy, when
the row came, or which rows belong together. The only times are the forwarders' windows and leases, the day since which
an agency's deliveries fail, the day of the last look at the clock, and the day on which a reply ends. Blobs have tables
of their own, under a hash of their name: SQLite rewrites a whole row when any column changes, and reads whole rows to
compare other keys. Everything that delivery needs is stored twice, in two tables, so that no damaged page loses an
envelope.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from sqlalchemy import (
    BigInteger,
    Boolean,
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
    bindparam,
    delete,
    false,
    insert,
    select,
    update,
)
from sqlalchemy.sql.expression import ClauseElement

from app.core.errors import OutboxError
from app.delivery.clock import SteadyClock, nz_day

SCHEMA_VERSION = 3
KEY_ERRORS = (sqlite3.IntegrityError, psycopg.IntegrityError)  # what a driver raises where a key is there already

metadata = MetaData()
_slot = BigInteger().with_variant(Integer, "sqlite")  # SQLite takes only INTEGER for the rows' own numbers


def _table(name: str, *columns: Column[object] | PrimaryKeyConstraint) -> Table:
    return Table(name, metadata, *columns, sqlite_with_rowid=False)


version = _table(
    "version",
    Column("one", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
)
cells = _table(
    "cells",  # the envelopes that wait, decoys among them
    Column("id", String(26), primary_key=True),
    Column("agency", String, nullable=False),
    Column("tried", Boolean, nullable=False, server_default=false()),  # set before the bytes leave for the first time
    Column("owner", LargeBinary),  # the forwarder that is delivering the envelope
)
labels = _table(
    "labels",  # a second copy of what delivery needs of `cells`
    Column("id", String(26), primary_key=True),
    Column("agency", String, nullable=False),
)


def _blobs(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("slot", _slot, primary_key=True, autoincrement=False),
        Column("data", LargeBinary, nullable=False),  # its SHA-256, then the blob itself
    )


blobs = _blobs("blobs")  # the envelopes' bytes: all of one length
spares = _blobs("spares")  # a second copy of `blobs`
_BOTH = (blobs, spares)
messages = _blobs("messages")  # the replies' bytes: all of one length
message_spares = _blobs("message_spares")  # a second copy of `messages`
windows = _table(
    "windows",
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
    Column("failures", Integer, nullable=False),  # deliveries that failed, since there was a window without a failure
    Column("code", String, nullable=False),
    Column("since", Date, nullable=False),  # the day of the first of these failures
)
replies = _table(
    "replies",
    Column("locator", String, nullable=False),
    Column("reply", LargeBinary, nullable=False),  # SHA-256 of the desk's reply_id
    Column("expires", Date, nullable=False),
    PrimaryKeyConstraint("locator", "reply"),
)
looks = _table(
    "looks",  # at the clock, so that a clock that jumps destroys no reply
    Column("one", Integer, primary_key=True),
    Column("day", Date, nullable=False),
    Column("midnights", Integer, nullable=False),
)
posted = _table(
    "posted",
    Column("reply", LargeBinary, primary_key=True),
    Column("expires", Date, nullable=False),
)


class _Statement:
    """A statement that every tip runs: compiled once, and run by the driver, since SQLAlchemy takes longer to run it.

    Its values are named as its parameters, or as the columns of the row that it inserts.
    """

    def __init__(self, made: ClauseElement) -> None:
        self._made = made
        self._sql: dict[str, str] = {}  # by the name of the database

    def run(self, connection: Connection, **values: str | int | bytes) -> int:
        """Return the number of rows that the statement inserted or deleted; raises what the driver raises."""
        name = connection.dialect.name
        if name not in self._sql:
            self._sql[name] = str(self._made.compile(dialect=connection.dialect, column_keys=list(values)))
        return int(driver_of(connection).execute(self._sql[name], values).rowcount)


_INSERT_CELL, _INSERT_LABEL = _Statement(insert(cells)), _Statement(insert(labels))
_cell = delete(cells).where(cells.c.id == bindparam("tip"))
_DELETE_CELL = _Statement(_cell)
_DELETE_UNTRIED_CELL = _Statement(_cell.where(~cells.c.tried & cells.c.owner.is_(None)))
_DELETE_LABEL = _Statement(delete(labels).where(labels.c.id == bindparam("tip")))
_BLOBS = (blobs, spares, messages, message_spares)
_INSERT_BLOB = {table: _Statement(insert(table)) for table in _BLOBS}
_DELETE_BLOB = {table: _Statement(delete(table).where(table.c.slot == bindparam("wanted"))) for table in _BLOBS}


def driver_of(connection: Connection) -> Any:
    """Return the driver's own connection, of sqlite3 or psycopg: both have `execute`, with values by their names."""
    return connection.connection.dbapi_connection


def blob_id(name: bytes) -> int:
    """Return the slot of the blob of a random name: a hash of the name, so that slots have no order either."""
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") >> 1  # 63 bits: what both databases hold


def stored_blob(data: bytes) -> bytes:
    """Return the stored value of a blob, which `verified_blob` checks: its SHA-256, then the blob itself."""
    return hashlib.sha256(data).digest() + data


def insert_envelope(connection: Connection, tip: str, agency: str, stored: bytes) -> None:
    """Insert an envelope, with everything that delivery needs twice; raises one of KEY_ERRORS where the id is there.

    `stored` is the stored value of its bytes.
    """
    _insert_blob(connection, _BOTH, tip.encode(), stored)
    insert_rows(connection, [(tip, agency)])


def insert_rows(connection: Connection, envelopes: Sequence[tuple[str, str]]) -> None:
    """Insert the ids and agencies of envelopes whose bytes are there; raises one of KEY_ERRORS where an id is there."""
    for insert_row in (_INSERT_CELL, _INSERT_LABEL):
        for tip, agency in envelopes:
            insert_row.run(connection, id=tip, agency=agency)


def stage_bytes(connection: Connection, tip: str, data: bytes) -> None:
    """Insert the bytes of an envelope that has no row yet, in place of those that a killed process staged."""
    _delete_blob(connection, _BOTH, tip.encode())
    _insert_blob(connection, _BOTH, tip.encode(), stored_blob(data))


def count_staged(connection: Connection, tips: Sequence[str]) -> int:
    """Return how many copies of the bytes of some envelopes are there: two for each, if they all are."""
    if not tips:
        return 0
    slots = [blob_id(tip.encode()) for tip in tips]
    return sum(len(connection.execute(select(each.c.slot).where(each.c.slot.in_(slots))).all()) for each in _BOTH)


def slots_without_row(connection: Connection) -> set[int]:
    """Return the slots of bytes that no row names: staged ones, or those that a killed process has left."""
    named = {
        blob_id(tip.encode()) for table in (cells, labels) for tip in connection.execute(select(table.c.id)).scalars()
    }
    return {slot for each in _BOTH for slot in connection.execute(select(each.c.slot)).scalars()} - named


def delete_slots(connection: Connection, slots: Iterable[int]) -> None:
    """Delete the bytes in some slots."""
    for slot in slots:
        for each in _BOTH:
            connection.execute(delete(each).where(each.c.slot == slot))


def delete_envelope(connection: Connection, tip: str) -> None:
    """Delete an envelope with both its copies; deleting an envelope twice is no error."""
    _DELETE_CELL.run(connection, tip=tip)
    _delete_all_but_cell(connection, tip)


def delete_untried_envelope(connection: Connection, tip: str) -> bool:
    """Delete an envelope that nobody has tried to deliver; return False, and delete nothing, if somebody has.

    Only this statement decides whether a decoy may give its place to a tip.
    """
    if _DELETE_UNTRIED_CELL.run(connection, tip=tip) == 0:
        return False
    _delete_all_but_cell(connection, tip)
    return True


def insert_message(connection: Connection, reply: bytes, data: bytes) -> None:
    """Insert the bytes of a reply, whose random name is the SHA-256 of its id, into both tables."""
    _insert_blob(connection, (messages, message_spares), reply, stored_blob(data))


def delete_replies(connection: Connection, rows: ColumnElement[bool]) -> None:
    """Delete rows of `replies` with their bytes."""
    for reply in connection.execute(select(replies.c.reply).where(rows)).scalars().all():
        _delete_blob(connection, (messages, message_spares), reply)
    connection.execute(delete(replies).where(rows))


def verified_blob(stored: bytes | None) -> bytes:
    """Return the blob of a stored value; raises OutboxError `gone` for None, `corrupt` for a wrong digest."""
    if stored is None:
        raise OutboxError("gone")
    digest, data = bytes(stored[:32]), bytes(stored[32:])
    if hashlib.sha256(data).digest() != digest:
        raise OutboxError("corrupt")
    return data


def delete_expired(connection: Connection, now: float) -> None:
    """Delete the replies that have expired by `now` (unix seconds), and what is remembered of them.

    Nothing is deleted before the clock has run steadily for a day.
    """
    row = connection.execute(select(looks.c.day, looks.c.midnights)).one_or_none()
    before = SteadyClock(*row) if row else SteadyClock()
    clock = before.look(now)
    if clock != before:
        connection.execute(update(looks).values(day=clock.day, midnights=clock.midnights))
    if not clock.steady:
        return
    delete_replies(connection, replies.c.expires < nz_day(now))
    connection.execute(delete(posted).where(posted.c.expires < nz_day(now)))


def _delete_all_but_cell(connection: Connection, tip: str) -> None:
    _DELETE_LABEL.run(connection, tip=tip)
    _delete_blob(connection, _BOTH, tip.encode())


def _insert_blob(connection: Connection, tables: tuple[Table, Table], name: bytes, stored: bytes) -> None:
    slot = blob_id(name)
    for table in tables:
        _INSERT_BLOB[table].run(connection, slot=slot, data=stored)


def _delete_blob(connection: Connection, tables: tuple[Table, Table], name: bytes) -> None:
    slot = blob_id(name)
    for table in tables:
        _DELETE_BLOB[table].run(connection, wanted=slot)
