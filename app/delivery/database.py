"""The one database under the outbox and the replies: SQLite by default, PostgreSQL by its URL.

A `write` that returns is on the disk; the first prepares the database, should it have been away at start.
Every fault of the database comes out as an OutboxError with a code that is safe to log; neither SQL nor a
value is ever in it. `tidy` removes from SQLite's files what deleted rows and the order of arrival leave
there; on PostgreSQL that is the server's, and the threat model says so. Refuses a database that is kept in
memory, and a PostgreSQL that does not fsync.
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

from app.core.errors import ConfigError, OutboxError
from app.delivery.clock import midnight
from app.delivery.schema import blobs, metadata, spares, turns, whole

BUSY_SECONDS = 30
PAGE = 8192
WAL_PAGES = 2048  # 16 MiB between checkpoints: some 120 tips
LOCK = 0x4861756D  # PostgreSQL's advisory lock, for what only one process at a time may do

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


class Store:
    """One database, for the threads of one process; make it after forking."""

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
            raise ConfigError(("The outbox's url must be a SQLite file or a PostgreSQL; mend it",))
        self._prepared = False
        self._reads = self._engine.execution_options(reads=True)
        # SQLite lets one writer in at a time and makes others poll: threads queue here instead.
        self._writers = threading.Lock()

    def prepare(self) -> None:
        """Create what is missing: folder (0700), file (0600), write-ahead log, tables; raises OutboxError.

        On returning it has also been written to.
        """
        with faults():
            if self.path is not None:
                _make_private(self.path)
                with closing(self._engine.raw_connection()) as raw:
                    raw.cursor().execute("PRAGMA journal_mode=WAL")
        with self._transaction() as connection:
            if self.path is None and connection.execute(text("SHOW fsync")).scalar() != "on":
                raise OutboxError("fsync-off")
            self.alone(connection)
            metadata.create_all(connection)
            # A row that is written and stays as it was proves that the database takes writes.
            if connection.execute(update(turns).values(start=turns.c.start)).rowcount == 0:
                connection.execute(insert(turns).values(one=1, start=0))
        if self.path is not None:
            with faults():
                _fsync_folder(self.path.parent)
        self._prepared = True

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open one short transaction that is durable on leaving, or undone; raises OutboxError."""
        if not self._prepared:
            self.prepare()
        with self._transaction() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open one short transaction that changes nothing; raises OutboxError."""
        if not self._prepared:
            self.prepare()
        with faults(), self._reads.begin() as connection:
            yield connection

    def blob(self, slot: int) -> bytes:
        """Return a blob, from its second copy if the first is damaged; raises OutboxError (`gone`, `corrupt`, …)."""
        try:
            return self._copy(blobs, slot)
        except OutboxError as error:
            if error.code not in {"gone", "corrupt"}:
                raise
        return self._copy(spares, slot)

    def alone(self, connection: Connection) -> None:
        """Let no other process past this point until the transaction ends (SQLite's writers are alone)."""
        if self.path is None:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})

    def tidy(self, now: float) -> None:
        """Rebuild SQLite's file in key order, empty its log and set the files' times to the day.

        Raises OutboxError; on PostgreSQL it does nothing.
        """
        if self.path is None:
            return
        with faults(), self._one_writer():
            with closing(self._engine.raw_connection()) as raw:
                cursor = raw.cursor()
                # The copy that VACUUM makes stays in this folder, never in /tmp.
                folder = str(self.path.parent.absolute()).replace("'", "''")
                cursor.execute(f"PRAGMA temp_store_directory='{folder}'")
                cursor.execute("VACUUM")
                busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise OutboxError("busy")
            self._date_files(now)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def examine(self) -> None:
        """Look over every page of SQLite's file; raises OutboxError `corrupt` if the file is damaged."""
        if self.path is None:
            return
        with self.read() as connection:
            if connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() != "ok":
                raise OutboxError("corrupt")

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with faults(), self._one_writer(), self._engine.begin() as connection:
            yield connection

    def _copy(self, copies: Table, slot: int) -> bytes:
        with self.read() as connection:
            return whole(connection.execute(select(copies.c.data).where(copies.c.slot == slot)).scalar())

    def _date_files(self, now: float) -> None:
        assert self.path is not None
        moment = midnight(now).timestamp()
        for suffix in ("", "-wal", "-shm"):
            file = self.path.with_name(self.path.name + suffix)
            if file.exists():
                os.utime(file, (moment, moment))

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        with nullcontext() if self.path is None else _held(self._writers):
            yield


@contextmanager
def faults() -> Iterator[None]:
    """Turn every fault of the database or its files into an OutboxError with a safe code."""
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
def _held(lock: threading.Lock) -> Iterator[None]:
    if not lock.acquire(timeout=BUSY_SECONDS):
        raise OutboxError("busy")
    try:
        yield
    finally:
        lock.release()


def _open_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says
    for pragma in (
        f"busy_timeout={BUSY_SECONDS * 1000}",
        f"page_size={PAGE}",
        "synchronous=FULL",
        "secure_delete=ON",
        f"wal_autocheckpoint={WAL_PAGES}",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer that begins as a reader may find, too late, that another has written.
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
    def _settle(connection: psycopg.Connection[object], _entry: ConnectionPoolEntry) -> None:
        connection.execute("SET synchronous_commit = on")
        connection.execute(f"SET statement_timeout = '{BUSY_SECONDS}s'")
        connection.commit()

    return engine


def _make_private(path: Path) -> None:
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
