"""The outbox: what is acknowledged is on the disk, once, and the disk says neither when nor in which order."""

import hashlib
import itertools
import os
import random
import secrets
import shutil
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
from sqlalchemy import BigInteger, Date, DateTime, Integer, func, insert, select

from app.core.errors import AlreadySentError, ConfigError, HeldFullError, HeldGoneError, OutboxError
from app.delivery.database import Database
from app.delivery.leases import Leases
from app.delivery.outbox import MAX_HELD_BYTES, Envelope, Outbox
from app.delivery.schema import blobs, held, metadata, used
from app.vault.tip import TipId, new_tip_id
from tests.support import databases
from tests.support.databases import BACKENDS, opened

NOW = datetime(2026, 11, 22, 5, 43, 21, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 21, 11, 0, 0, tzinfo=UTC).timestamp()  # in New Zealand
ENVELOPE = 140_000
SECRET = b"marker-of-what-was-sent"


def make(size: int = ENVELOPE, tip: TipId | None = None) -> Envelope:
    return Envelope(tip or new_tip_id(), "intake", os.urandom(size))


def waiting(box: Outbox) -> dict[str, bytes]:
    leases = Leases(box.database)
    owner = leases.acquire_lease(NOW, seconds=60)
    found = {one.id: leases.load(one.id) for one in leases.claim(owner, ready={"intake"})}
    leases.release(owner)
    return found


def count(box: Outbox, table: object) -> int:
    with box.database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


# Put


def test_put_is_seen_by_another(url, outbox):
    """What was put is there, byte for byte, for whoever opens the same database."""
    envelopes = [make(), make(3_000_000)]
    for envelope in envelopes:
        outbox.put(envelope)
    with opened(url) as other:
        assert waiting(other) == {envelope.id: envelope.data for envelope in envelopes}


def test_a_nonce_is_used_once(outbox):
    """A form sent twice is one envelope; another form is another."""
    first = make()
    outbox.put(first, nonce=b"n" * 16, now=NOW)
    with pytest.raises(AlreadySentError):
        outbox.put(make(), nonce=b"n" * 16, now=NOW)
    second = make()
    outbox.put(second, nonce=b"m" * 16, now=NOW)
    assert waiting(outbox).keys() == {first.id, second.id}


def test_nonce_and_envelope_go_together(outbox):
    """Where the envelope cannot be kept, its nonce stays unused."""
    taken = make()
    outbox.put(taken)
    with pytest.raises(OutboxError) as caught:
        outbox.put(make(tip=taken.id), nonce=b"n" * 16)
    assert not isinstance(caught.value, AlreadySentError)
    outbox.put(make(), nonce=b"n" * 16)
    assert waiting(outbox)[taken.id] == taken.data


def test_many_clicks_at_once_are_one(outbox):
    """A form sent by many threads at once is one envelope."""

    def click(_: int) -> str:
        try:
            outbox.put(make(1000), nonce=b"n" * 16)
        except AlreadySentError:
            return "already"
        return "sent"

    with ThreadPoolExecutor(16) as pool:
        answers = sorted(pool.map(click, range(16)))
    assert answers == ["already"] * 15 + ["sent"]
    assert len(waiting(outbox)) == 1


def test_many_threads(outbox):
    """Sixty-four threads put at once, and nothing is lost."""
    envelopes = [make() for _ in range(128)]
    with ThreadPoolExecutor(64) as pool:
        list(pool.map(outbox.put, envelopes))
    assert waiting(outbox) == {envelope.id: envelope.data for envelope in envelopes}


PUTTER = """
import os, sys
from app.delivery.outbox import Envelope, Outbox
from app.vault.tip import new_tip_id
box = Outbox(sys.argv[1])
box.prepare()
for _ in range(int(sys.argv[2])):
    data = os.urandom(140_000)
    tip = new_tip_id()
    box.put(Envelope(tip, "intake", data))
    print(tip, flush=True)
"""


def run_putter(url: str, times: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PUTTER, url, str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes(url):
    """Several processes prepare and fill one database at once, and nothing is lost."""
    running = [run_putter(url, 20) for _ in range(3)]
    acknowledged = {line for process in running for line in process.communicate()[0].split()}
    assert [process.returncode for process in running] == [0, 0, 0]
    with opened(url) as box:
        assert waiting(box).keys() == acknowledged
    assert len(acknowledged) == 60


def test_killed_while_putting(url):
    """What a process acknowledged before it was killed is there, whole."""
    acknowledged = set()
    for lines in (1, 4, 9):
        with run_putter(url, 1000) as process:
            acknowledged |= {process.stdout.readline().strip() for _ in range(lines)}
            process.kill()
            acknowledged |= {line for line in process.stdout.read().split("\n")[:-1] if line}
    with opened(url) as box:
        found = waiting(box)
    assert acknowledged <= found.keys()
    assert len(acknowledged) >= 14
    assert {len(data) for data in found.values()} == {ENVELOPE}


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


# Held


def test_held_then_confirmed(outbox):
    """A held tip waits for nobody until it is confirmed, and then it is in the outbox, once."""
    envelope = make()
    outbox.hold(envelope, draft=b"d" * 16, nonce=b"n" * 16, now=NOW)
    assert waiting(outbox) == {}
    outbox.confirm(b"d" * 16, now=NOW)
    assert waiting(outbox) == {envelope.id: envelope.data}
    for again in (
        lambda: outbox.confirm(b"d" * 16, now=NOW),
        lambda: outbox.extend(b"d" * 16, now=NOW),
        lambda: outbox.discard(b"d" * 16),
        lambda: outbox.hold(make(), draft=b"d" * 16, now=NOW),
        lambda: outbox.put(make(), nonce=b"n" * 16, now=NOW),
    ):
        with pytest.raises(AlreadySentError):
            again()
    assert waiting(outbox).keys() == {envelope.id}
    assert count(outbox, held) == 0


def test_confirmed_by_many_clicks(outbox):
    """A confirmation clicked many times at once sends one tip, and says to the others that it was sent."""
    outbox.hold(make(), draft=b"d" * 16, now=NOW)

    def click(_: int) -> str:
        try:
            outbox.confirm(b"d" * 16, now=NOW)
        except AlreadySentError:
            return "already"
        return "sent"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(click, range(8))) == ["already"] * 7 + ["sent"]
    assert len(waiting(outbox)) == 1


def test_held_then_discarded(outbox):
    """A discarded tip is gone; discarding again is no fault, sending it is, and its form may be sent anew."""
    outbox.hold(make(), draft=b"d" * 16, nonce=b"n" * 16, now=NOW)
    outbox.discard(b"d" * 16)
    outbox.discard(b"d" * 16)
    assert count(outbox, held) == count(outbox, blobs) == 0
    with pytest.raises(HeldGoneError):
        outbox.confirm(b"d" * 16, now=NOW)
    outbox.put(make(), nonce=b"n" * 16, now=NOW)


def test_held_anew(outbox):
    """A sender who goes back and changes their files holds the last of them alone."""
    outbox.hold(make(), draft=b"d" * 16, nonce=b"n" * 16, now=NOW)
    last = make()
    outbox.hold(last, draft=b"d" * 16, nonce=b"n" * 16, now=NOW)
    assert count(outbox, held) == count(outbox, blobs) == 1
    outbox.confirm(b"d" * 16, now=NOW)
    assert waiting(outbox) == {last.id: last.data}


def test_one_form_held_twice_is_sent_once(outbox):
    """Of two held tips from one form, only the first confirmed is sent."""
    first, second = make(), make()
    outbox.hold(first, draft=b"d" * 16, nonce=b"n" * 16, now=NOW)
    outbox.hold(second, draft=b"e" * 16, nonce=b"n" * 16, now=NOW)
    outbox.confirm(b"e" * 16, now=NOW)
    with pytest.raises(AlreadySentError):
        outbox.confirm(b"d" * 16, now=NOW)
    with pytest.raises(AlreadySentError):
        outbox.hold(make(), draft=b"f" * 16, nonce=b"n" * 16, now=NOW)
    assert waiting(outbox).keys() == {second.id}


@pytest.mark.parametrize("moment", [0, 1, 899, 900, 12_345])
def test_a_held_tip_ends(outbox, moment):
    """A held tip lives 30 to 45 minutes, ends with a quarter-hour, and is then destroyed."""
    now = NOW + moment
    outbox.hold(make(), draft=b"d" * 16, now=now)
    with outbox.database.read() as connection:
        ends = connection.execute(select(held.c.ends)).scalar_one()
    assert ends % 900 == 0
    assert 1800 < ends - now <= 2700
    with pytest.raises(HeldGoneError):
        outbox.confirm(b"d" * 16, now=ends)
    Leases(outbox.database).finish_window(ends - 1)
    assert count(outbox, held) == 1
    outbox.put(make(), now=ends)
    assert count(outbox, held) == 0
    assert count(outbox, blobs) == 1


def test_more_time(outbox):
    """A held tip can be given 30 minutes more, again and again, but not once it has ended."""
    outbox.hold(make(), draft=b"d" * 16, now=NOW)
    for later in (1500, 3000, 4500):
        outbox.extend(b"d" * 16, now=NOW + later)
    with pytest.raises(HeldGoneError):
        outbox.extend(b"d" * 16, now=NOW + 4500 + 2700)
    outbox.confirm(b"d" * 16, now=NOW + 4500 + 1799)
    with pytest.raises(HeldGoneError):
        outbox.extend(b"never", now=NOW)


def test_used_nonces_end_with_the_window(outbox):
    """A used nonce is kept 30 to 45 minutes, as its hash, then destroyed."""
    outbox.put(make(), nonce=b"n" * 16, now=NOW)
    with outbox.database.read() as connection:
        row = connection.execute(select(used)).one()
    assert row.nonce == hashlib.sha256(b"n" * 16).digest()
    assert 1800 < row.ends - NOW <= 2700
    Leases(outbox.database).finish_window(row.ends)
    assert count(outbox, used) == 0


def test_an_end_written_under_a_wrong_clock(outbox):
    """Held tips and nonces from a clock that ran ahead do not stay until it is right again."""
    outbox.hold(make(), draft=b"d" * 16, now=NOW + 1_000_000)
    outbox.put(make(), nonce=b"n", now=NOW + 1_000_000)
    Leases(outbox.database).finish_window(NOW)
    assert (count(outbox, held), count(outbox, used), count(outbox, blobs)) == (0, 0, 1)


def test_held_room(url):
    """Beyond the room for held envelopes nothing more is held, until something goes."""
    part = 64 * 1024
    with opened(url, max_held_bytes=4 * part) as outbox:
        for number in range(4):
            outbox.hold(make(part), draft=bytes([number]), now=NOW)
        with pytest.raises(HeldFullError):
            outbox.hold(make(1), draft=b"one more", now=NOW)
        outbox.hold(make(part), draft=bytes([3]), now=NOW)
        outbox.put(make(), now=NOW)
        outbox.discard(bytes([3]))
        outbox.hold(make(1), draft=b"one more", now=NOW)
        with outbox.database.read() as connection:
            lengths = connection.execute(select(held.c.length)).scalars().all()
        assert sum(lengths) == 3 * part + 1


def test_256_mib_are_held_in_all(tmp_path):
    """The room for held envelopes is 256 MiB unless it is given, so that held tips cannot fill a disk."""
    assert MAX_HELD_BYTES == 256 * 1024 * 1024
    with opened(tmp_path / "outbox.db") as outbox:
        assert outbox._max_held_bytes == MAX_HELD_BYTES


# What the disk says


def test_no_column_holds_a_time():
    """No table has a column that could hold a time or an order, but those that the contract grants."""
    times = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Integer | BigInteger | Date | DateTime) and column.name != "slot"  # random
    }
    assert times == {
        *("held.ends", "used.ends"),  # the quarter-hour in which they end
        *("envelopes.since", "replies.expires", "posted.expires"),  # days
        *("envelopes.length", "labels.length", "held.length"),
        *("turns.one", "turns.start", "owners.until"),  # the forwarder's window
        *("agencies.failures", "agencies.retry"),  # the agency's backoff
    }
    numbered = {t.name for t in metadata.tables.values() if t.dialect_options["sqlite"]["with_rowid"]}
    assert numbered == {"blobs", "spares"}


def test_slots_have_no_order(outbox):
    """The numbers under which blobs lie follow no order of arrival."""
    for _ in range(12):
        outbox.put(make(10))
    with outbox.database.read() as connection:
        slots = list(connection.execute(select(blobs.c.slot)).scalars())
    assert min(abs(one - other) for one, other in itertools.combinations(slots, 2)) > 2**20
    assert max(slots) < 2**63


def disk(file: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(file.parent.iterdir()))


def test_the_files_lose_the_order_of_arrival(tmp_path):
    """Before a window's end the order of arrival is in the files; after it they are the same whatever it was."""
    envelopes = [Envelope(new_tip_id(), "intake", secrets.token_bytes(24) + bytes(ENVELOPE)) for _ in range(40)]
    files = []
    for name, arrivals in (("one", envelopes), ("other", envelopes[::-1])):
        file = tmp_path / name / "outbox.db"
        with opened(file) as box:
            for envelope in arrivals:
                box.put(envelope, nonce=envelope.id.encode(), now=NOW)
            raw = disk(file)
            assert sorted(arrivals, key=lambda envelope: raw.find(envelope.data[:24])) == arrivals
            Leases(box.database).finish_window(NOW)
            files.append((file.read_bytes(), file.with_name("outbox.db-wal").read_bytes()))
    assert files[0] == files[1]
    assert files[0][1] == b""
    assert all(envelope.data[:24] in files[0][0] for envelope in envelopes)


def test_the_files_lose_what_is_gone(file):
    """After a window's end no byte of a settled, discarded or ended envelope, nor its id, is in any file."""
    with opened(file) as box:
        leases = Leases(box.database)
        stays = Envelope(new_tip_id(), "intake", secrets.token_bytes(64) + bytes(ENVELOPE))
        gone = [Envelope(new_tip_id(), "intake", secrets.token_bytes(64) + bytes(ENVELOPE)) for _ in range(20)]
        box.put(stays)
        for envelope in gone[:10]:
            box.put(envelope, nonce=b"nonce" + envelope.id.encode(), now=NOW)
        for envelope in gone[10:]:
            box.hold(envelope, draft=envelope.id.encode(), now=NOW)
        before = disk(file)
        assert all(envelope.data[:64] in before and envelope.id.encode() in before for envelope in gone)
        for envelope in gone[:10]:
            leases.settle(envelope.id)
        for envelope in gone[10:15]:
            box.discard(envelope.id.encode())
        leases.finish_window(NOW + 2700)
        after = disk(file)
    assert stays.data[:64] in after
    for envelope in gone:
        assert envelope.data[:64] not in after
        assert envelope.id.encode() not in after
        assert hashlib.sha256(envelope.id.encode()).digest() not in after
        assert hashlib.sha256(b"nonce" + envelope.id.encode()).digest() not in after


def test_the_files_are_private_and_dated(file):
    """The folder is 0700, the files are 0600, and after a window's end their times are the day's beginning."""
    with opened(file) as box:
        box.put(make())
        Leases(box.database).finish_window(NOW)
        files = {path.name: path.stat() for path in file.parent.iterdir()}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert files.keys() == {"outbox.db", "outbox.db-wal", "outbox.db-shm"}
    for each in files.values():
        assert stat.S_IMODE(each.st_mode) == 0o600
        assert (each.st_mtime, each.st_atime) == (MIDNIGHT, MIDNIGHT)


def test_the_rebuilding_stays_in_the_folder(tmp_path, monkeypatch):
    """The copy that a rebuilding needs is never made in /tmp: it works where that cannot be written."""
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path / "nowhere"))
    file = tmp_path / "it's" / "outbox.db"
    with opened(file) as box:
        for _ in range(40):
            box.put(make())
        Leases(box.database).finish_window(NOW)
        with closing(sqlite3.connect(":memory:")) as connection:
            (folder,) = connection.execute("PRAGMA temp_store_directory").fetchone()
    assert folder == str(file.parent)


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
