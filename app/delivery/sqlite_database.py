"""SQLite as the outbox's database: the settings of a connection, and how a writer waits for its turn.

SQLite admits one writer at a time. A process that waits for another process asks each millisecond: SQLite's own waits
grow to a tenth of a second, while a tip takes a few milliseconds. Meanwhile it has a lock on the folder of the file, so
that the other process knows that somebody waits.
"""

import fcntl
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import cast

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_SECONDS = 30
PAGE_BYTES = 8192
WAL_PAGES = 2048  # 16 MiB: SQLite empties the log itself beyond that, should readers keep us from doing so
_BUSY_MILLISECONDS = BUSY_SECONDS * 1000
_POLL_SECONDS = 0.001


def open_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    """Set up a new connection of an engine."""
    connection.isolation_level = None  # SqliteWriters.begin begins transactions
    set_pragmas(connection, busy_milliseconds=_BUSY_MILLISECONDS)


def set_pragmas(connection: sqlite3.Connection, *, busy_milliseconds: int) -> None:
    """Set what a connection keeps to; a commit is then on the disk, and deleted bytes are overwritten."""
    for pragma in (
        f"busy_timeout={busy_milliseconds}",
        f"page_size={PAGE_BYTES}",
        "synchronous=FULL",
        "secure_delete=ON",
        f"wal_autocheckpoint={WAL_PAGES}",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def set_up_file(cursor: DBAPICursor) -> None:
    """Set what the file keeps to, whichever connection uses it; writes to the file."""
    cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")  # holds for a new file alone, and only before its first table
    cursor.execute("PRAGMA journal_mode=WAL")


class SqliteWriters:
    """The writers of one SQLite file, as one of their processes sees them; one thread at a time may use the object.

    A process that waits for another has a shared lock on the folder (flock(2)), which ends with the process. Where the
    folder cannot be locked, nobody is seen to wait.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._handle = folder, -1
        self.waits = False

    def begin(self, connection: Connection) -> None:
        """Begin a transaction, at once as the one writer unless the connection has the execution option `reads`."""
        # A transaction that begins as a reader fails at its first write if another has written meanwhile.
        if connection.get_execution_options().get("reads", False):
            connection.exec_driver_sql("BEGIN")
        else:
            self._begin_writing(cast("sqlite3.Connection", connection.connection.driver_connection))

    def end(self) -> None:
        """Note that this process waits no longer: its transaction has ended, or never begun."""
        if self.waits:
            self.waits = False
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def others_wait(self) -> bool:
        """Return whether another process waits to write."""
        try:
            self._lock(fcntl.LOCK_EX)
        except BlockingIOError:
            return True
        except OSError:
            return False
        fcntl.flock(self._handle, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Close the folder."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _begin_writing(self, connection: sqlite3.Connection) -> None:
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
                    self._wait()
                    time.sleep(_POLL_SECONDS)
                else:
                    return
        finally:
            connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")

    def _wait(self) -> None:
        if not self.waits:
            with suppress(OSError):  # another process may be looking just now
                self._lock(fcntl.LOCK_SH)
                self.waits = True

    def _lock(self, kind: int) -> None:
        if self._handle < 0:
            self._handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._handle, kind | fcntl.LOCK_NB)
