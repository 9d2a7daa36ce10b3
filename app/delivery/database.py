"""The one database of the outbox and the replies: SQLite by default, PostgreSQL by its URL.

A `write` that returns is on the disk; the first write prepares the database, which may have been away at start.
Every fault of the database is raised as an OutboxError with a code that is safe to log, without SQL or a value.
`vacuum` removes the traces of deleted rows and of the order of arrival from SQLite's files; on PostgreSQL these
traces remain, as the threat model says. Refuses a database in memory, and a PostgreSQL without fsync.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import psycopg
from sqlalchemy import Connection, Engine, Table, create_engine, event, insert, make_url, select, text, update
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from app.core.durable import fsync_folder
from app.core.errors import ConfigError, OutboxError
from app.delivery.clock import nz_midnight
from app.delivery.schema import blobs, metadata, spares, turns, verified_blob

BUSY_SECONDS = 30
PAGE_BYTES = 8192
WAL_PAGES = 2048  # 16 MiB between checkpoints: some 120 tips
LOCK = 0x4861756D  # PostgreSQL's advisory lock, for work of one process at a time

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
                parsed, hide_parameters=True, pool_size=64, max_overflow=0, pool_timeout=BUSY_SECONDS
            )
            event.listen(self._engine, "connect", _open_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        elif backend == "postgresql":
            self.path = None
            self._engine = _postgres(url)
        else:
            raise ConfigError(("The outbox's url must be a SQLite file or a PostgreSQL; correct it",))
        self._prepared = False
        self._reads = self._engine.execution_options(reads=True)
        # SQLite admits one writer at a time and lets others poll: threads wait for this lock instead.
        self._writers = threading.Lock()

    def prepare(self) -> None:
        """Create the missing parts: folder (0700), file (0600), write-ahead log, tables; raises OutboxError.

        A return also proves that the database takes writes.
        """
        with as_outbox_errors():
            if self.path is not None:
                _create_private_file(self.path)
                with closing(self._engine.raw_connection()) as raw:
                    raw.cursor().execute("PRAGMA journal_mode=WAL")
        with self._transaction() as connection:
            if self.path is None and connection.execute(text("SHOW fsync")).scalar() != "on":
                raise OutboxError("fsync-off")
            self.lock_exclusive(connection)
            metadata.create_all(connection)
            # An update that changes nothing proves that the database takes writes.
            if connection.execute(update(turns).values(start=turns.c.start)).rowcount == 0:
                connection.execute(insert(turns).values(one=1, start=0))
        if self.path is not None:
            with as_outbox_errors():
                fsync_folder(self.path.parent)
        self._prepared = True

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open one short transaction: durable when the block ends, undone when it raises; raises OutboxError."""
        if not self._prepared:
            self.prepare()
        with self._transaction() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open one short transaction for reading; raises OutboxError."""
        if not self._prepared:
            self.prepare()
        with as_outbox_errors(), self._reads.begin() as connection:
            yield connection

    def read_blob(self, slot: int) -> bytes:
        """Return a blob, from the second copy if the first is damaged; raises OutboxError (`gone`, `corrupt`, …)."""
        try:
            return self._read_copy(blobs, slot)
        except OutboxError as error:
            if error.code not in {"gone", "corrupt"}:
                raise
        return self._read_copy(spares, slot)

    def lock_exclusive(self, connection: Connection) -> None:
        """Exclude other processes until the transaction ends; a writer on SQLite is alone already."""
        if self.path is None:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})

    def vacuum(self, now: float) -> None:
        """Rebuild SQLite's file in key order, empty its log and set the files' times to the day.

        Does nothing on PostgreSQL. Raises OutboxError.
        """
        if self.path is None:
            return
        with as_outbox_errors(), self._one_writer():
            with closing(self._engine.raw_connection()) as raw:
                cursor = raw.cursor()
                # The copy that VACUUM makes stays in this folder, never in /tmp.
                folder = str(self.path.parent.absolute()).replace("'", "''")
                cursor.execute(f"PRAGMA temp_store_directory='{folder}'")
                cursor.execute("VACUUM")
                busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise OutboxError("busy")
            self._set_file_times(now)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def quick_check(self) -> None:
        """Check every page of SQLite's file; raises OutboxError `corrupt` if the file is damaged."""
        if self.path is None:
            return
        with self.read() as connection:
            if connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() != "ok":
                raise OutboxError("corrupt")

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with as_outbox_errors(), self._one_writer(), self._engine.begin() as connection:
            yield connection

    def _read_copy(self, copies: Table, slot: int) -> bytes:
        with self.read() as connection:
            return verified_blob(connection.execute(select(copies.c.data).where(copies.c.slot == slot)).scalar())

    def _set_file_times(self, now: float) -> None:
        assert self.path is not None
        moment = nz_midnight(now).timestamp()
        for suffix in ("", "-wal", "-shm"):
            file = self.path.with_name(self.path.name + suffix)
            if file.exists():
                os.utime(file, (moment, moment))

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        with nullcontext() if self.path is None else _acquired(self._writers):
            yield


@contextmanager
def as_outbox_errors() -> Iterator[None]:
    """Raise every fault of the database or its files as an OutboxError with a safe code."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, UnicodeDecodeError, MemoryError) as fault:
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
    if isinstance(fault, DBAPIError):
        state = getattr(original, "sqlstate", None)
        away = state is None or state.startswith(("08", "57P"))
        return "database-away" if away else _POSTGRES_CODES.get(str(state), "database")
    return "cannot-open" if isinstance(fault, OSError) else "busy"


@contextmanager
def _acquired(lock: threading.Lock) -> Iterator[None]:
    if not lock.acquire(timeout=BUSY_SECONDS):
        raise OutboxError("busy")
    try:
        yield
    finally:
        lock.release()


def _open_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # `_begin_sqlite` begins transactions
    for pragma in (
        f"busy_timeout={BUSY_SECONDS * 1000}",
        f"page_size={PAGE_BYTES}",
        "synchronous=FULL",
        "secure_delete=ON",
        f"wal_autocheckpoint={WAL_PAGES}",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that begins as a reader fails at its first write if another has written meanwhile.
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


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
        path.parent.mkdir(mode=0o700, parents=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
