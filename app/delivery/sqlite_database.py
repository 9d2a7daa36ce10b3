"""SQLite as the outbox's database: the settings of a connection, and how a writer waits for its turn.

SQLite admits one writer at a time. A process that waits for another process asks each millisecond: SQLite's own waits
grow to a tenth of a second, while a tip takes a few milliseconds.
"""

import sqlite3
import time
from typing import cast

from sqlalchemy import Connection
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_SECONDS = 30
PAGE_BYTES = 8192
WAL_PAGES = 2048  # 16 MiB: SQLite empties the log itself beyond that, should readers keep us from doing so
_BUSY_MILLISECONDS = BUSY_SECONDS * 1000
_POLL_SECONDS = 0.001


def open_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    """Set up a new connection of an engine."""
    connection.isolation_level = None  # `begin_sqlite` begins transactions
    set_pragmas(connection, busy_milliseconds=_BUSY_MILLISECONDS)


def set_pragmas(connection: sqlite3.Connection, *, busy_milliseconds: int) -> None:
    """Set what a connection keeps to; a commit is then on the disk, and deleted bytes are overwritten."""
    for pragma in (
        f"busy_timeout={busy_milliseconds}",
        f"page_size={PAGE_BYTES}",
        "auto_vacuum=INCREMENTAL",  # holds for a new file alone, and only before its first table
        "synchronous=FULL",
        "secure_delete=ON",
        f"wal_autocheckpoint={WAL_PAGES}",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def begin_sqlite(connection: Connection) -> None:
    """Begin a transaction, at once as the one writer unless the connection has the execution option `reads`."""
    # A transaction that begins as a reader fails at its first write if another has written meanwhile.
    if connection.get_execution_options().get("reads", False):
        connection.exec_driver_sql("BEGIN")
    else:
        _begin_writing(cast("sqlite3.Connection", connection.connection.driver_connection))


def _begin_writing(connection: sqlite3.Connection) -> None:
    """Begin a transaction as the one writer; ask often: SQLite itself waits longer and longer."""
    end = time.monotonic() + BUSY_SECONDS
    connection.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as fault:
                if fault.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(_POLL_SECONDS)
            else:
                return
    finally:
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
