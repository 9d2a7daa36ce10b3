"""The one database of the outbox and the replies: SQLite by default, PostgreSQL by its URL.

A `write` that returns is on the disk; the first write prepares the database, which may have been away at start.
Every fault of the database is raised as an OutboxError with a code that is safe to log, without SQL or a value.
SQLite's log is emptied after each write, so that no commit in the log shows how many rows came together, and deleted
bytes are overwritten; while tips come one upon another, a twentieth of a second after the last of them. On PostgreSQL
such traces remain, as the threat model says. Refuses a database in memory, of another schema version (`schema-older`,
`schema-newer`), and a PostgreSQL without fsync.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import psycopg
from sqlalchemy import Connection, Engine, Table, create_engine, event, insert, inspect, make_url, select, text, update
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from app.core.durable import fsync_folder
from app.core.errors import ConfigError, OutboxError
from app.delivery.clock import SteadyClock, nz_midnight
from app.delivery.schema import SCHEMA_VERSION, blob_id, looks, metadata, verified_blob, version, windows
from app.delivery.shared_writes import SharedWrites, WriteBurst
from app.delivery.sqlite_database import BUSY_SECONDS, SqliteWriters, open_sqlite, set_up_file

# Without a tip, after which the log is emptied: to cut the log and let it grow again takes as long as to write a tip.
_QUIET_SECONDS = 0.05
_DAY_AND_MORE_SECONDS = 26 * 3600  # from one midnight into the next day, in which a day has 23 to 25 hours
LOCK = 0x4861756D  # PostgreSQL's advisory lock, for work of one process at a time
_FIRST_VERSION_TABLE = "envelopes"  # the first version of the schema had it, and no table `version`

_SQLITE_CODES = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_IOERR: "disk",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
    sqlite3.SQLITE_FULL: "disk-full",
    sqlite3.SQLITE_CANTOPEN: "cannot-open",
}
_POSTGRES_CODES = {
    "25006": "read-only",
    "40P01": "busy",
    "53100": "disk-full",
    "53300": "busy",
    "55P03": "busy",
    "57014": "busy",
    "XX001": "corrupt",
    "XX002": "corrupt",
}


_T = TypeVar("_T")


class Database:
    """One database for the threads of one process; create the object after forking."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ConfigError(
                ("The outbox's url cannot be read; write sqlite:///… or postgresql+psycopg://…",)
            ) from None
        backend = parsed.get_backend_name()
        if backend == "sqlite" and parsed.database not in {None, "", ":memory:"}:
            self.path: Path | None = Path(str(parsed.database))
            self._engine = create_engine(
                parsed,
                hide_parameters=True,
                paramstyle="named",  # as driver_of(…).execute needs it
                pool_size=64,
                max_overflow=0,
                pool_timeout=BUSY_SECONDS,
            )
            event.listen(self._engine, "connect", open_sqlite)
            self._sqlite = SqliteWriters(self._engine, self.path.parent)
        elif backend == "postgresql":
            self.path = None
            self._engine = _postgres(url)
        else:
            raise ConfigError(("The outbox's url must be a SQLite file or a PostgreSQL; correct it",))
        self._prepared = False
        # SQLite admits one writer at a time and lets others poll: threads wait for this lock instead.
        self._writers = threading.Lock()
        burst = WriteBurst(self._empty_log, seconds=_QUIET_SECONDS)
        self._shared = SharedWrites(partial(self._write, burst.wrote))
        self._day = (0.0, 0.0)  # the midnights before and after the last time that the files were dated

    def prepare(self) -> None:
        """Create the missing parts: folder (0700), file (0600), write-ahead log, tables; raises OutboxError.

        A return also proves that the database takes writes and is of our schema version; another version is left as it
        is.
        """
        with as_outbox_errors():
            if self.path is not None:
                _create_private_file(self.path)
                with closing(self._engine.raw_connection()) as raw:
                    set_up_file(raw.cursor())
        with self._transaction(self._empty_log) as connection:
            if self.path is None and connection.execute(text("SHOW fsync")).scalar() != "on":
                raise OutboxError("fsync-off")
            self.lock_exclusive(connection)
            _create_tables(connection)
            # An update that changes nothing proves that the database takes writes.
            if connection.execute(update(windows).values(start=windows.c.start)).rowcount == 0:
                connection.execute(insert(windows).values(one=1, start=0))
            if connection.execute(select(looks.c.one)).first() is None:
                connection.execute(insert(looks).values(one=1, day=SteadyClock().day, midnights=0))
        if self.path is not None:
            with as_outbox_errors():
                fsync_folder(self.path.parent)
        self._prepared = True

    def write(self) -> AbstractContextManager[Connection]:
        """Open one short transaction: durable when the block ends, undone when it raises; raises OutboxError."""
        return self._write(self._empty_log)

    def write_with_others(self, write: Callable[[Connection], _T]) -> _T:
        """Run a write in a durable transaction, which writes of other threads may share; return what it returns.

        The write may run in another thread, and again after a fault; see SharedWrites. Raises what the write raises,
        and OutboxError. On PostgreSQL, where writers do not wait for each other, each has a transaction of its own.
        """
        if self.path is not None:
            return self._shared.run(write)
        with self.write() as connection:
            return write(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open one short transaction for reading; raises OutboxError."""
        if not self._prepared:
            self.prepare()
        with as_outbox_errors(), self._engine.begin() as connection:
            yield connection

    def read_blob(self, name: bytes, *tables: Table) -> bytes:
        """Return the blob of a name from the first of these tables that holds an undamaged copy.

        Raises OutboxError (`gone`, `corrupt`, …).
        """
        fault = OutboxError("gone")
        for table in tables:
            try:
                with self.read() as connection:
                    stored = select(table.c.data).where(table.c.slot == blob_id(name))
                    return verified_blob(connection.execute(stored).scalar())
            except OutboxError as error:
                if error.code not in {"gone", "corrupt"}:
                    raise
                fault = error
        raise fault

    def lock_exclusive(self, connection: Connection, lock: int = LOCK) -> None:
        """Exclude other processes that ask for this lock until the transaction ends.

        A writer on SQLite is alone already.
        """
        if self.path is None:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})

    def compact(self, now: float, *, pages: int) -> None:
        """Give at most so many free pages of SQLite's file back, empty the log, set the files' times to the day.

        Takes time for these pages alone, however long the file is. Does nothing on PostgreSQL. Raises OutboxError.
        """
        if self.path is None:
            return
        with self._transaction(self._empty_log) as connection:
            free = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
            # Python steps such a statement once, and SQLite gives back one page a step.
            for _ in range(min(pages, free)):
                connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
        with as_outbox_errors():
            self._set_file_times(now)

    def close(self) -> None:
        """Empty the log and close every connection, after the write that another thread may have begun."""
        self._empty_log()
        with suppress(OutboxError), _acquired(self._writers):
            if self.path is not None:
                self._sqlite.close()
        self._engine.dispose()

    def quick_check(self) -> None:
        """Check every page of SQLite's file; raises OutboxError `corrupt` if the file is damaged."""
        if self.path is None:
            return
        with self.read() as connection:
            if connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() != "ok":
                raise OutboxError("corrupt")

    @contextmanager
    def _write(self, empty_log: Callable[[], None]) -> Iterator[Connection]:
        if not self._prepared:
            self.prepare()
        with self._transaction(empty_log) as connection:
            yield connection

    @contextmanager
    def _transaction(self, empty_log: Callable[[], None]) -> Iterator[Connection]:
        with as_outbox_errors():
            if self.path is None:
                with self._engine.begin() as connection:
                    yield connection
                return
            with _acquired(self._writers), self._sqlite.transaction() as connection:
                yield connection
            empty_log()

    def _empty_log(self) -> None:
        """Copy SQLite's log into the database and cut it to nothing, unless somebody else writes, reads or waits.

        Whoever writes next empties the log too. What was committed is durable before and after: a failure is no fault.
        """
        if self.path is None or not self._writers.acquire(blocking=False):
            return
        with suppress(sqlite3.Error, OSError), _releasing(self._writers):
            if not self._shared.anyone_waits and not self._sqlite.others_wait():
                self._sqlite.empty_log()
                self._set_file_times(time.time())

    def _set_file_times(self, now: float) -> None:
        """Date the files to the day, and their last reading to its end.

        A file system mounted with `relatime`, as is usual, then notes no reading before that end (mount(8)).
        """
        assert self.path is not None
        moment, end = self._day
        if not moment <= now < end:
            moment = nz_midnight(now).timestamp()
            end = nz_midnight(moment + _DAY_AND_MORE_SECONDS).timestamp()
            self._day = (moment, end)
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.utime(f"{self.path}{ending}", (end, moment))


@contextmanager
def as_outbox_errors() -> Iterator[None]:
    """Raise every fault of the database or its files as an OutboxError with a safe code."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, psycopg.Error, OSError, UnicodeDecodeError, MemoryError) as fault:
        raise OutboxError(_code(fault)) from None


def _code(fault: Exception) -> str:
    original = fault.orig if isinstance(fault, DBAPIError) else fault
    undecodable = isinstance(original, sqlite3.OperationalError) and not hasattr(original, "sqlite_errorcode")
    if undecodable or isinstance(original, UnicodeDecodeError):
        return "corrupt"  # what we wrote was UTF-8
    if isinstance(original, MemoryError):
        return "memory"  # or a damaged length that asks for all of it
    if isinstance(original, sqlite3.Error):
        return _SQLITE_CODES.get(getattr(original, "sqlite_errorcode", 0) & 0xFF, "database")
    if isinstance(original, psycopg.Error):
        state = getattr(original, "sqlstate", None)
        away = state is None or state.startswith(("08", "57P"))
        return "database-away" if away else _POSTGRES_CODES.get(str(state), "database")
    return "cannot-open" if isinstance(fault, OSError) else "busy"


@contextmanager
def _acquired(lock: threading.Lock) -> Iterator[None]:
    if not lock.acquire(timeout=BUSY_SECONDS):
        raise OutboxError("busy")
    with _releasing(lock):
        yield


@contextmanager
def _releasing(lock: threading.Lock) -> Iterator[None]:
    try:
        yield
    finally:
        lock.release()


def _create_tables(connection: Connection) -> None:
    """Create the tables of a new database; raises OutboxError where ours are there in another version."""
    present = set(inspect(connection).get_table_names())
    if version.name in present:
        number = connection.execute(select(version.c.number)).scalar()
    elif present & {*metadata.tables, _FIRST_VERSION_TABLE}:
        number = 1
    else:
        metadata.create_all(connection)
        connection.execute(insert(version).values(one=1, number=SCHEMA_VERSION))
        return
    if number is None:
        raise OutboxError("corrupt")
    if number != SCHEMA_VERSION:
        raise OutboxError("schema-older" if number < SCHEMA_VERSION else "schema-newer")


def _postgres(url: str) -> Engine:
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_size=16,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5, "keepalives_idle": 10, "tcp_user_timeout": BUSY_SECONDS * 1000},
    )

    @event.listens_for(engine, "connect")
    def _set_durability(connection: psycopg.Connection[object], _entry: ConnectionPoolEntry) -> None:
        connection.execute("SET synchronous_commit = on")
        connection.execute(f"SET statement_timeout = '{BUSY_SECONDS}s'")
        connection.commit()

    return engine


def _create_private_file(path: Path) -> None:
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # another process may be making it
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
