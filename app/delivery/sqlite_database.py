"""SQLite as the outbox's database: the settings of a connection, and how a writer waits for its turn.

SQLite admits one writer at a time, so the threads of a process share one connection that writes. A process that waits
for another process asks five times a millisecond at first, and each millisecond later: SQLite's own waits grow to a
tenth of a second, while a tip takes a few milliseconds. Meanwhile it has a lock on the folder of the file, so that the
other process knows that somebody waits.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.pool import ConnectionPoolEntry

from app.core.errors import HaumaruError
from app.delivery.schema import driver_of

BUSY_SECONDS = 30
PAGE_BYTES = 8192
WAL_PAGES = 256  # 2 MiB: SQLite copies a longer log into the file, and then writes the log from its beginning
_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.0002, 0.001


def open_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    """Set up a new connection of an engine: a commit is then on the disk, and deleted bytes are overwritten."""
    connection.isolation_level = None  # SqliteWriters begins transactions
    for pragma in (
        f"busy_timeout={BUSY_SECONDS * 1000}",
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

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._connection: Connection | None = None  # the one that writes
        self._folder, self._handle = folder, -1
        self.waits = False
        event.listen(engine, "begin", self._begin)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open one transaction on the connection that writes; raises what SQLite and SQLAlchemy raise."""
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
                self._connection.detach()  # from the pool, whose connections wait in SQLite
                driver_of(self._connection).execute("PRAGMA busy_timeout=0")
            with self._connection.begin():
                yield self._connection
        except HaumaruError:  # a refusal, which SQLite knows nothing of
            raise
        except BaseException:
            self._close_connection()  # a fault may have left it unusable
            raise
        finally:
            self._wait_no_longer()

    def empty_log(self) -> None:
        """Copy SQLite's log into the database and cut it to nothing, unless somebody else writes or reads."""
        if self._connection is not None:
            driver_of(self._connection).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

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
        """Close the connection and the folder."""
        self._close_connection()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _begin(self, connection: Connection) -> None:
        """Begin a transaction, at once as the one writer where the connection is the one that writes."""
        # A transaction that begins as a reader fails at its first write if another has written meanwhile.
        if connection is self._connection:
            self._begin_writing(driver_of(connection))
        else:
            driver_of(connection).execute("BEGIN")

    def _begin_writing(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction as the one writer; ask often: SQLite itself waits longer and longer."""
        end, pause = time.monotonic() + BUSY_SECONDS, _SHORTEST_PAUSE_SECONDS
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as fault:
                if fault.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                self._wait()
                time.sleep(pause)
                pause = min(1.1 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                return

    def _wait(self) -> None:
        if not self.waits:
            with suppress(OSError):  # another process may be looking just now
                self._lock(fcntl.LOCK_SH)
                self.waits = True

    def _wait_no_longer(self) -> None:
        if self.waits:
            self.waits = False
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def _close_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _lock(self, kind: int) -> None:
        if self._handle < 0:
            self._handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._handle, kind | fcntl.LOCK_NB)
