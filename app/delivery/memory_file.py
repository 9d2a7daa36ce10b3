"""The SQLite file of the memory store: shared by the processes of one machine, in a folder that is a tmpfs.

Nothing waits for a disk, and a killed process leaves the file whole. Where the folder is deleted under a running
process, or the file is damaged, all processes go on with a new, empty file. The file has a write-ahead log, so that
readers and the writer do not wait for each other. The log is emptied after each write, because its order would show
what was noted together; while writes come one upon another, a twentieth of a second after the last of them.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENOSPC
from pathlib import Path

from app.core.errors import HeldFullError, MemoryStoreError
from app.delivery.shared_writes import WriteBurst

MEMORY_FILE = "memory.db"
_BUSY_SECONDS = 5
_QUIET_SECONDS = 0.05  # without a write, after which the log is emptied
_LOG_PAGES = 256  # 1 MiB: SQLite copies a longer log into the file, and then writes the log from its beginning
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class MemoryFile:
    """The file in one folder, as the threads of one process use it, one at a time; create the object after forking.

    `schema` are the statements that make its tables. Every use raises MemoryStoreError where SQLite or the system does.
    """

    def __init__(self, folder: Path, schema: str) -> None:
        self._folder, self._file, self._schema = folder, folder / MEMORY_FILE, schema
        self._files = (self._file, folder / f"{MEMORY_FILE}-wal")
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, ...] = ()  # inodes of the file and the log that the connection has open
        self._lock = threading.Lock()
        self._burst = WriteBurst(self._empty_log, seconds=_QUIET_SECONDS)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Return the connection; each statement is a transaction of its own."""
        with as_memory_errors(), self._lock:
            connection = self._current_connection()
            with self._without_damage():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Return the connection for statements that write, each a transaction of its own."""
        try:
            with self.reading() as connection:
                yield connection
        finally:
            self._burst.wrote()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Return the connection in one transaction, which is undone if the block raises."""
        with self.writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._close()

    def _current_connection(self) -> sqlite3.Connection:
        """Return a connection to the file that stands in the folder now: another one may have deleted the folder."""
        if self._connection is not None and not self._stands():
            self._close()
        if self._connection is None:
            with self._without_damage(), self._alone():
                self._connection = self._open()
        return self._connection

    def _stands(self) -> bool:
        """Return whether the folder still has the file and the log of the connection."""
        return bool(self._opened) and self._opened == self._inodes()

    def _inodes(self) -> tuple[int, ...]:
        """Return the inodes of the file and its log; empty where one is missing."""
        try:
            return tuple(file.stat().st_ino for file in self._files)
        except FileNotFoundError:
            return ()

    @contextmanager
    def _without_damage(self) -> Iterator[None]:
        """Delete the file with its log where it is found damaged: all that it holds may be lost."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                self._close()
                with self._alone():  # nobody opens the file while a part of it is left
                    for ending in ("-journal", "-wal", "-shm", ""):
                        self._file.with_name(f"{MEMORY_FILE}{ending}").unlink(missing_ok=True)
            raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Exclude other processes that open or delete the file (flock(2) on its folder)."""
        make_private(self._folder)
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            for pragma in (
                "synchronous=OFF",
                "secure_delete=ON",
                "trusted_schema=OFF",
                "journal_mode=WAL",
                f"wal_autocheckpoint={_LOG_PAGES}",
            ):
                connection.execute(f"PRAGMA {pragma}")
            connection.executescript(f"BEGIN IMMEDIATE; {self._schema} COMMIT")
        except BaseException:
            connection.close()
            raise
        self._opened = self._inodes()
        return connection

    def _empty_log(self) -> None:
        """Copy the log into the file and cut it to nothing, unless another process reads or writes: it cuts the log."""
        with suppress(MemoryStoreError, HeldFullError), as_memory_errors(), self._lock:
            if self._connection is None or not self._stands():
                return  # a file that is gone is not made again for this
            connection = self._connection
            with self._without_damage():
                connection.execute("PRAGMA busy_timeout=0")
                try:
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                finally:
                    connection.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


@contextmanager
def as_memory_errors() -> Iterator[None]:
    """Raise what SQLite or the system raises as MemoryStoreError, or as HeldFullError where there is no room."""
    try:
        yield
    except OSError as error:
        raise (HeldFullError if error.errno == ENOSPC else MemoryStoreError) from None
    except sqlite3.Error:
        raise MemoryStoreError from None


def make_private(folder: Path) -> None:
    """Make a folder that this user alone can read, if it is missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
