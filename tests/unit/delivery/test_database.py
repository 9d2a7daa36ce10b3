"""The outbox's database: what its files say, which versions it takes, and what its faults are called."""

import hashlib
import itertools
import os
import secrets
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Date, DateTime, Integer, insert, select, update

from app.core.errors import ConfigError, OutboxError
from app.delivery import database as database_module
from app.delivery import sqlite_database
from app.delivery.database import Database
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.outbox import Envelope, Outbox
from app.delivery.schema import SCHEMA_VERSION, blobs, cells, driver_of, metadata, version
from app.delivery.sqlite_database import PAGE_BYTES, WAL_PAGES
from app.vault.tip import TipId, new_tip_id
from tests.support import databases
from tests.support.databases import BACKENDS, opened
from tests.support.faults import until

NOW = datetime(2026, 11, 22, 5, 43, 21, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 21, 11, 0, 0, tzinfo=UTC).timestamp()  # in New Zealand
ENVELOPE = 137_418
COUNTERS = (slice(24, 28), slice(92, 100))  # of changes, in the header of SQLite's file
SECRET = b"marker-of-what-was-sent"


def make(size: int = ENVELOPE) -> Envelope:
    return Envelope(new_tip_id(), "intake", os.urandom(size))


def ids(box: Outbox) -> set[str]:
    with box.database.read() as connection:
        return set(connection.execute(select(cells.c.id)).scalars())


def ask(box: Outbox, sql: str) -> object:
    with box.database.read() as connection:
        return connection.exec_driver_sql(sql).scalar()


@pytest.mark.parametrize("backend", BACKENDS)
def test_durable_settings(request, backend, tmp_path):
    """Every connection waits for the disk."""
    url = f"sqlite:///{tmp_path}/o.db" if backend == "sqlite" else request.getfixturevalue("postgres").database()
    settings = {"sqlite": {"PRAGMA synchronous": 2, "PRAGMA journal_mode": "wal", "PRAGMA secure_delete": 1}}
    settings["postgresql"] = {"SHOW synchronous_commit": "on", "SHOW fsync": "on"}
    with opened(url) as box:
        for question, answer in settings[backend].items():
            assert ask(box, question) == answer


# The version of the schema


def test_another_version_is_refused(url):
    """A database of a newer or an older version is left as it is, and the code says which."""
    for number, code in ((SCHEMA_VERSION + 1, "schema-newer"), (SCHEMA_VERSION - 1, "schema-older")):
        with opened(url) as box, box.database.write() as connection:
            connection.execute(update(version).values(number=number))
        other = Outbox(url)
        for use in (other.prepare, lambda: other.put([make()]), lambda: ids(other)):  # noqa: B023
            with pytest.raises(OutboxError, match=code):
                use()
        with closing(other.database._engine.connect()) as connection:
            connection.exec_driver_sql(f"UPDATE version SET number = {SCHEMA_VERSION}")
            connection.commit()
        other.database.close()


def test_the_first_version_is_refused(url, file):
    """A database from before versions were counted is older; tables of somebody else are no hindrance."""
    file.parent.mkdir()
    box = Outbox(url)
    for table, code in (("something_else", ""), ("envelopes", "schema-older")):
        with box.database._engine.begin() as connection:
            metadata.drop_all(connection)
            connection.exec_driver_sql(f"CREATE TABLE {table} (id INTEGER)")
        if code:
            with pytest.raises(OutboxError, match=code):
                box.prepare()
        else:
            box.prepare()
    box.database.close()


# What the disk says


def test_no_column_holds_a_time_or_a_size():
    """No column could hold a time, a size, an order or a link between rows, but those that the contract grants."""
    numbers = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Integer | BigInteger | Date | DateTime) and column.name != "slot"  # random
    }
    assert numbers == {
        *("replies.expires", "posted.expires", "agencies.since", "looks.day"),  # days
        *("looks.one", "looks.midnights"),  # of the forwarder's looks at the clock
        *("windows.one", "windows.start", "owners.until"),  # the forwarder's window
        *("version.one", "version.number"),
        "agencies.failures",
    }
    assert cells.c.keys() == ["id", "agency", "tried", "owner"]
    numbered = {t.name for t in metadata.tables.values() if t.dialect_options["sqlite"]["with_rowid"]}
    assert numbered == {"blobs", "spares", "messages", "message_spares"}


def test_slots_have_no_order(outbox):
    """The numbers under which blobs lie follow no order of arrival."""
    for _ in range(12):
        outbox.put([make(10)])
    with outbox.database.read() as connection:
        slots = list(connection.execute(select(blobs.c.slot)).scalars())
    assert min(abs(one - other) for one, other in itertools.combinations(slots, 2)) > 2**20
    assert max(slots) < 2**63


def disk(file: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(file.parent.iterdir()))


def without_counters(raw: bytes) -> bytes:
    file = bytearray(raw)
    for counter in COUNTERS:
        file[counter] = bytes(counter.stop - counter.start)
    return bytes(file)


class Ordered(SqliteMemoryStore):
    """A memory store that gives decoys in a known order."""

    order: tuple[TipId, ...] = ()

    def take_decoys(self, agency: str, count: int) -> list[TipId]:  # noqa: ARG002
        taken, self.order = self.order[:count], self.order[count:]
        return list(reversed(taken))


def test_the_files_do_not_tell_a_tip_from_decoys(tmp_path, memory_folder):
    """A tip of five envelopes leaves the files byte for byte as five deliveries do, each followed by a decoy."""
    stock, new = [make() for _ in range(24)], [make() for _ in range(5)]
    memory, files = Ordered(memory_folder), []
    for name in ("a tip", "decoys"):
        file = tmp_path / name / "outbox.db"
        with opened(file) as box:
            box.memory = memory
            for envelope in stock:
                box.put_decoy(envelope)
            if name == "a tip":
                memory.order = tuple(each.id for each in stock[7:12])
                box.put(new, nonce=b"n")
            else:
                for gone, envelope in zip(stock[7:12], new, strict=True):
                    box.settle(gone.id, decoy=envelope)
            assert file.with_name("outbox.db-wal").read_bytes() == b""
            files.append(without_counters(file.read_bytes()))
    assert ids(box) == {each.id for each in (*stock[:7], *stock[12:], *new)}
    assert files[0] == files[1]


def test_the_log_is_empty_between_writes(file, memory_folder, monkeypatch):
    """After each write, by whichever process, the log is empty and the file says the day alone."""
    monkeypatch.setattr(database_module, "_QUIET_SECONDS", 0)
    log = file.with_name("outbox.db-wal")
    with opened(file) as one, opened(file) as other:
        one.memory = other.memory = SqliteMemoryStore(memory_folder)
        for box in (one, other) * 3:
            for write in (
                lambda: box.put_decoy(make()),  # noqa: B023
                lambda: box.put([make(), make()], nonce=os.urandom(16)),  # noqa: B023
                lambda: box.settle(next(iter(ids(box))), decoy=make()),  # noqa: B023
            ):
                write()
                assert log.stat().st_size == 0
                assert datetime.fromtimestamp(file.stat().st_mtime, UTC).minute == 0
        size = file.stat().st_size
        for _ in range(10):
            other.settle(ids(other).pop(), decoy=make())
        assert file.stat().st_size == size, "one envelope goes, one comes"


def test_the_log_is_empty_soon_after_many_tips(file, monkeypatch):
    """Tips that come one upon another share one emptying, after the last of them; the file then says the day alone."""
    monkeypatch.setattr(database_module, "_QUIET_SECONDS", 0.5)
    log = file.with_name("outbox.db-wal")
    with opened(file) as box:
        box.put([make()])
        assert log.stat().st_size == 0, "one alone"
        while log.stat().st_size == 0:
            box.put([make()])
        until(lambda: log.stat().st_size == 0, "an empty log")
        until(lambda: datetime.fromtimestamp(file.stat().st_mtime, UTC).minute == 0, "a file that says the day alone")


def test_a_database_that_is_closed_leaves_an_empty_log(file, monkeypatch):
    """A program that ends right after a tip empties the log first."""
    monkeypatch.setattr(database_module, "_QUIET_SECONDS", 1)
    log = file.with_name("outbox.db-wal")
    with opened(file) as box, closing(sqlite3.connect(file)) as another_process:
        another_process.execute("SELECT 1 FROM cells")
        for _ in range(2):
            box.put([make()])
        assert log.stat().st_size > 0
        box.database.close()
        assert log.stat().st_size == 0


def test_the_log_stays_short_while_tips_come(file, monkeypatch):
    """However long tips come one upon another, the log is written from its beginning again and again."""
    monkeypatch.setattr(database_module, "_QUIET_SECONDS", 2)
    log = file.with_name("outbox.db-wal")
    with opened(file) as box:
        lengths = []
        for _ in range(40):
            box.put([make()])
            lengths.append(log.stat().st_size)
    assert sum(size > 0 for size in lengths) == 39, "all but the first are left in the log"
    assert 0 < max(lengths) < 1.5 * WAL_PAGES * PAGE_BYTES


def test_reading_leaves_no_trace_in_the_log(file):
    """A new connection that only reads writes nothing: the log stays empty, and its time says the day alone."""
    with opened(file) as box, ThreadPoolExecutor(4) as pool:
        box.put([make()])
        log, together = file.with_name("outbox.db-wal"), threading.Barrier(4)

        def read(_number: int) -> None:
            with box.database.read() as connection:
                together.wait(60)
                connection.execute(select(cells.c.id)).all()

        list(pool.map(read, range(4)))
        assert box.database._engine.pool.checkedin() == 4
        assert log.stat().st_size == 0
        assert datetime.fromtimestamp(log.stat().st_mtime, UTC).minute == 0


def test_the_files_lose_what_is_gone(file, memory_folder):
    """At once no byte of a settled envelope, of a decoy that gave its place, or of their ids is in any file."""
    with opened(file) as box:
        box.memory = SqliteMemoryStore(memory_folder)
        envelopes = [Envelope(new_tip_id(), "intake", secrets.token_bytes(64) + bytes(ENVELOPE)) for _ in range(20)]
        for envelope in envelopes:
            box.put_decoy(envelope)
        before = disk(file)
        assert all(each.data[:64] in before and each.id.encode() in before for each in envelopes)
        for envelope in envelopes[:10]:
            box.settle(envelope.id)
        box.put([make() for _ in range(6)], nonce=b"n" * 16, draft=b"d" * 16)
        after, left = disk(file), ids(box)
    gone = [each for each in envelopes if each.id not in left]
    assert len(gone) == 16
    for envelope in gone:
        assert envelope.data[:64] not in after
        assert envelope.id.encode() not in after
    for secret in (b"n" * 16, b"d" * 16):
        assert hashlib.sha256(secret).digest() not in after


def test_a_file_that_was_long_is_given_back_page_by_page(file, monkeypatch):
    """After a backlog the file becomes short again, a few pages each time, and nothing of it is lost or moved."""
    monkeypatch.setattr(database_module, "_QUIET_SECONDS", 0)
    with opened(file) as box:
        envelopes = [make() for _ in range(40)]
        for envelope in envelopes:
            box.put([envelope])
        longest, roots = file.stat().st_size, root_pages(file)
        for envelope in envelopes[::2] + envelopes[1:20:2]:
            box.settle(envelope.id)
        box.tidy(NOW, pages=16)
        once = file.stat().st_size
        assert longest - once == 16 * PAGE_BYTES
        for _ in range(80):
            box.tidy(NOW, pages=16)
        assert file.stat().st_size < longest * 0.3
        assert ask(box, "PRAGMA integrity_check") == "ok"
        assert (ask(box, "PRAGMA freelist_count"), ask(box, "PRAGMA auto_vacuum")) == (0, 2)
        assert root_pages(file) == roots
        left = envelopes[21::2]
        assert ids(box) == {each.id for each in left}
        assert [box.database.read_blob(each.id.encode(), blobs) for each in left] == [each.data for each in left]


def root_pages(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(file)) as connection:
        return dict(connection.execute("SELECT name, rootpage FROM sqlite_schema"))


def test_tables_begin_at_the_start_of_the_file(file):
    """Each table's root lies where an empty outbox has it: recovery relies on that."""
    with opened(file) as box:
        box.put([make()])
        assert sorted(root_pages(file).values()) == list(range(3, 3 + len(metadata.tables)))


def test_the_files_are_private_and_dated(file):
    """The folder is 0700, the files are 0600, and after a tidying their times are the day's two ends."""
    with opened(file) as box:
        box.put([make()])
        box.tidy(NOW)
        files = {path.name: path.stat() for path in file.parent.iterdir()}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert files.keys() == {"outbox.db", "outbox.db-wal", "outbox.db-shm"}
    for each in files.values():
        assert stat.S_IMODE(each.st_mode) == 0o600
        assert (each.st_mtime, each.st_atime) == (MIDNIGHT, MIDNIGHT + 86_400)


# Faults


def told(caught: pytest.ExceptionInfo[OutboxError], caplog: pytest.LogCaptureFixture) -> str:
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert SECRET.decode() not in str(caught.value) + repr(caught.value) + caplog.text
    assert "INSERT" not in str(caught.value) + caplog.text
    return caught.value.code


def canary() -> Envelope:
    return Envelope(new_tip_id(), "intake", SECRET * 6000)


@contextmanager
def powerless() -> Iterator[None]:
    """Be nobody for a while, if we are root, to whom nothing is read-only."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_read_only(caplog):
    """A database that may only be read keeps nothing, says so, and works again once mended."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outbox.db"
        with opened(file) as box:
            box.put([make()])
        Path(folder).chmod(0o555)
        file.chmod(0o444)
        box = Outbox(f"sqlite:///{file}")
        with powerless(), pytest.raises(OutboxError) as caught:
            box.put([canary()])
        assert told(caught, caplog) in {"read-only", "cannot-open"}
        Path(folder).chmod(0o755)
        file.chmod(0o644)
        box.put([make()])
        assert len(ids(box)) == 2
        box.database.close()


FULL = """
import os, resource, sys
from app.core.errors import OutboxError
from app.delivery.outbox import Envelope, Outbox
from app.vault.tip import new_tip_id
box = Outbox(sys.argv[1])
box.prepare()
kept = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
try:
    for _ in range(100):
        box.put([Envelope(new_tip_id(), "intake", os.urandom(137_418))])
        kept += 1
except OutboxError as fault:
    print(fault.code, kept)
try:
    box.tidy(0)
except OutboxError as fault:
    print(fault.code)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
box.put([Envelope(new_tip_id(), "intake", b"after")])
print("after")
"""


def test_no_room_on_the_disk(file):
    """Where a file cannot grow, the put fails and nothing before it is lost; with room again, it works."""
    done = subprocess.run([sys.executable, "-c", FULL, f"sqlite:///{file}"], capture_output=True, text=True, check=True)
    code, kept, *rest = done.stdout.split()
    assert code in {"disk", "disk-full"}
    assert rest[-1] == "after"
    assert int(kept) >= 5
    with opened(file) as box:
        assert len(ids(box)) == int(kept) + 1


def fill(box: Outbox) -> None:
    for _ in range(20):
        box.put([canary()])


def test_full_database(file, caplog):
    """A database that has reached its limit keeps nothing more, and says `disk-full`; without the limit it works."""
    with opened(file) as box:
        with box.database.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=100")
        with pytest.raises(OutboxError) as caught:
            fill(box)
        assert told(caught, caplog) == "disk-full"
        # The limit is of the connection that writes, which is opened anew after a fault.
        assert ask(box, "PRAGMA page_count") <= 100
        fill(box)
        assert len(ids(box)) > 20


def test_not_a_database(tmp_path, caplog):
    """A file that is no database is left as it is."""
    file = tmp_path / "outbox.db"
    file.write_bytes(b"something else " * 1000)
    box = Outbox(f"sqlite:///{file}")
    with pytest.raises(OutboxError) as caught:
        box.prepare()
    assert told(caught, caplog) == "corrupt"
    assert file.read_bytes() == b"something else " * 1000
    box.database.close()


def test_unprepared(tmp_path, caplog):
    """A database that was away at start is prepared by whoever first finds it there."""
    file = tmp_path / "away" / "outbox.db"
    box = Outbox(f"sqlite:///{file}")
    file.parent.write_text("not a folder")
    for use in (box.prepare, lambda: box.put([canary()]), lambda: ids(box)):
        with pytest.raises(OutboxError) as caught:
            use()
        assert told(caught, caplog) == "cannot-open"
    file.parent.unlink()
    box.put([make()])
    assert len(ids(box)) == 1
    box.database.close()


@pytest.mark.needs("postgres")
def test_database_away(caplog):
    """While the database is away nothing is kept and the code says so; afterwards it works without a restart."""
    with databases.postgres() as server:
        url = server.database()
        with opened(url) as box:
            first = make()
            box.put([first])
            server.stop()
            for _ in range(3):
                with pytest.raises(OutboxError) as caught:
                    box.put([canary()])
                assert told(caught, caplog) == "database-away"
            server.start()
            second = make()
            box.put([second])
            assert ids(box) == {first.id, second.id}


@pytest.mark.needs("postgres")
def test_postgres_that_does_not_fsync(caplog):
    """A PostgreSQL that does not wait for its disk is refused."""
    with databases.postgres() as server:
        url = server.database()
        with opened(url) as box, box.database.write() as connection:
            connection.exec_driver_sql("SELECT 1")
        server.stop()
        (server._folder / "data" / "postgresql.auto.conf").write_text("fsync = off\n")
        server.start()
        box = Outbox(url)
        with pytest.raises(OutboxError) as caught:
            box.prepare()
        assert told(caught, caplog) == "fsync-off"
        box.database.close()


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///:memory:", "mysql://h/d", "nonsense"])
def test_urls_refused(url):
    """A database that is none, that forgets, or of another kind, is a fault of the configuration."""
    with pytest.raises(ConfigError):
        Database(url)


def test_waiting_for_another_writer(file):
    """A writer waits for another process's transaction instead of failing."""
    with opened(file) as box, closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        timer.start()
        box.put([make()])
        timer.join()
        assert len(ids(box)) == 1


def test_a_waiting_writer_asks_often(file, monkeypatch):
    """A writer asks again soon, then each millisecond: SQLite's own waits grow to a hundred times what a tip takes."""
    with opened(file) as box, closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waits = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 20:
                other.execute("COMMIT")

        monkeypatch.setattr(sqlite_database.time, "sleep", wait)
        box.put([make()])
        assert (len(waits), waits[0], waits[-1]) == (20, 0.0002, 0.001)
        assert waits == sorted(waits)
        assert len(ids(box)) == 1
        assert box.database._engine.raw_connection().cursor().execute("PRAGMA busy_timeout").fetchone() == (30_000,)


def test_a_tip_of_words_runs_few_statements(file, memory_folder):
    """A tip's words take the place of a decoy with eight statements: one more of each would be one for each tip."""
    with opened(file, SqliteMemoryStore(memory_folder)) as box:
        box.put_decoy(make())
        ran: list[str] = []
        driver_of(box.database._sqlite._connection).set_trace_callback(ran.append)
        box.put([make()], nonce=b"one")
        words = [each.split()[0] for each in ran]
        assert words == ["BEGIN", *["DELETE"] * 4, *["INSERT"] * 4, "COMMIT", "PRAGMA"]
        assert len(ids(box)) == 1


def fail_half_way(box: Outbox) -> None:
    with box.database.write() as connection:
        connection.execute(insert(blobs).values(slot=1, data=b"half"))
        raise RuntimeError


def test_a_failed_transaction_leaves_nothing(outbox):
    """A transaction that fails half-way is undone."""
    with pytest.raises(RuntimeError):
        fail_half_way(outbox)
    with outbox.database.read() as connection:
        assert connection.execute(select(blobs.c.slot)).first() is None
