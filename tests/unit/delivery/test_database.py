"""The database under the outbox: durable settings, and one clear error for each way in which it fails."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert

from app.core.errors import ConfigError, OutboxError
from app.delivery.database import Database
from app.delivery.leases import Leases
from app.delivery.outbox import Envelope, Outbox
from app.delivery.schema import blobs
from app.vault.tip import new_tip_id
from tests.support import databases
from tests.support.databases import BACKENDS, opened
from tests.support.envelopes import NOW, SECRET, count, make, waiting


def test_a_cut_log_loses_nothing_acknowledged(file, tmp_path):
    """Whatever is cut off the log's end after an acknowledgement, the acknowledged envelopes are there."""
    log = file.with_name("outbox.db-wal")
    with opened(file) as box:
        acknowledged = []
        for _ in range(12):
            acknowledged.append((make(20_000), 0))
            box.put(acknowledged[-1][0])
            acknowledged[-1] = (acknowledged[-1][0], log.stat().st_size)
        database, whole = file.read_bytes(), log.read_bytes()
    cuts = sorted({*(size for _, size in acknowledged), *random.sample(range(len(whole)), 25)})
    for cut in cuts:
        copy = tmp_path / f"cut-{cut}"
        copy.mkdir()
        (copy / "outbox.db").write_bytes(database)
        (copy / "outbox.db-wal").write_bytes(whole[:cut])
        with opened(copy / "outbox.db") as box:
            found = waiting(box)
        for envelope, size in acknowledged:
            assert size > cut or found[envelope.id] == envelope.data
        shutil.rmtree(copy)


@pytest.mark.parametrize("backend", BACKENDS)
def test_durable_settings(request, backend, tmp_path):
    """Every connection waits for the disk."""
    url = f"sqlite:///{tmp_path}/o.db" if backend == "sqlite" else request.getfixturevalue("postgres").database()
    ask = {"sqlite": {"PRAGMA synchronous": 2, "PRAGMA journal_mode": "wal", "PRAGMA secure_delete": 1}}
    ask["postgresql"] = {"SHOW synchronous_commit": "on", "SHOW fsync": "on"}
    with opened(url) as box, box.database.read() as connection:
        for question, answer in ask[backend].items():
            assert connection.exec_driver_sql(question).scalar() == answer


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
            box.put(make())
        Path(folder).chmod(0o555)
        file.chmod(0o444)
        box = Outbox(f"sqlite:///{file}")
        with powerless(), pytest.raises(OutboxError) as caught:
            box.put(canary())
        assert told(caught, caplog) in {"read-only", "cannot-open"}
        Path(folder).chmod(0o755)
        file.chmod(0o644)
        box.put(make())
        assert len(waiting(box)) == 2
        box.database.close()


FULL = """
import os, resource, sys
from app.core.errors import OutboxError
from app.delivery.outbox import Envelope, Outbox
from app.delivery.leases import Leases
from app.vault.tip import new_tip_id
box = Outbox(sys.argv[1])
box.prepare()
kept = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
try:
    for _ in range(100):
        box.put(Envelope(new_tip_id(), "intake", os.urandom(140_000)))
        kept += 1
except OutboxError as fault:
    print(fault.code, kept)
try:
    Leases(box.database).finish_window(0)
except OutboxError as fault:
    print(fault.code)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
box.put(Envelope(new_tip_id(), "intake", b"after"))
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
        assert len(waiting(box)) == int(kept) + 1


def fill(box: Outbox) -> None:
    for _ in range(20):
        box.put(canary())


def test_full_database(file, caplog):
    """A database that has reached its limit keeps nothing more, and says `disk-full`."""
    with opened(file) as box:
        with closing(box.database._engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA max_page_count=100")
        with pytest.raises(OutboxError) as caught:
            fill(box)
        assert told(caught, caplog) == "disk-full"


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
    for use in (box.prepare, lambda: box.put(canary()), lambda: Leases(box.database).status(NOW)):
        with pytest.raises(OutboxError) as caught:
            use()
        assert told(caught, caplog) == "cannot-open"
    file.parent.unlink()
    box.put(make())
    assert len(waiting(box)) == 1
    box.database.close()


@pytest.mark.needs("postgres")
def test_database_away(caplog):
    """While the database is away nothing is kept and the code says so; afterwards it works without a restart."""
    with databases.postgres() as server:
        url = server.database()
        with opened(url) as box:
            first = make()
            box.put(first)
            server.stop()
            for _ in range(3):
                with pytest.raises(OutboxError) as caught:
                    box.put(canary())
                assert told(caught, caplog) == "database-away"
            server.start()
            second = make()
            box.put(second)
            assert waiting(box).keys() == {first.id, second.id}


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
        box.put(make())
        timer.join()
        assert len(waiting(box)) == 1


def fail_half_way(box: Outbox) -> None:
    with box.database.write() as connection:
        connection.execute(insert(blobs).values(slot=1, data=b"half"))
        raise RuntimeError


def test_a_failed_transaction_leaves_nothing(outbox):
    """A transaction that fails half-way is undone."""
    with pytest.raises(RuntimeError):
        fail_half_way(outbox)
    assert count(outbox, blobs) == 0
