"""The database's tables and files say neither when a tip came nor in which order."""

import hashlib
import itertools
import secrets
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from sqlalchemy import BigInteger, Date, DateTime, Integer, select

from app.delivery.leases import Leases
from app.delivery.outbox import Envelope
from app.delivery.schema import blobs, metadata
from app.vault.tip import new_tip_id
from tests.support.databases import opened
from tests.support.envelopes import ENVELOPE, MIDNIGHT, NOW, make


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
