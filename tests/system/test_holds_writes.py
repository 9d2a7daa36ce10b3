"""A write cut anywhere loses no acknowledged tip and puts no tip in part.

The database is copied as each crash could leave it, and opened.
"""

import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from app.delivery import sqlite_database
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.outbox import Envelope, Outbox
from app.delivery.schema import blobs, labels, spares
from app.delivery.sqlite_database import PAGE_BYTES
from app.vault.tip import new_tip_id
from tests.support.faults import report, scale

SECTOR = 512  # what a disk writes whole
NOW = 1_795_326_000
TIPS = 6
PARTS = 2
DECOYS = 24


@dataclass
class Crashing:
    """An outbox full of decoys, of which tips take the places; its files are copied between its steps."""

    file: Path
    box: Outbox

    def put(self, times: int) -> None:
        for _ in range(times):
            self.box.put([envelope() for _ in range(1 + PARTS)], nonce=random.randbytes(16), now=NOW)

    def waiting(self) -> dict[str, bytes]:
        return waiting(self.box)

    def run(self, sql: str) -> None:
        with closing(self.box.database._engine.raw_connection()) as raw:
            raw.cursor().execute(sql).fetchall()

    @property
    def log(self) -> Path:
        return self.file.with_name(self.file.name + "-wal")

    def bytes(self) -> tuple[bytes, bytes]:
        return self.file.read_bytes(), self.log.read_bytes()


def waiting(box: Outbox) -> dict[str, bytes]:
    with box.database.read() as connection:
        ids = connection.execute(select(labels.c.id)).scalars().all()
    return {each: box.database.read_blob(each.encode(), blobs, spares) for each in ids}


def envelope() -> Envelope:
    return Envelope(new_tip_id(), "intake", random.randbytes(30_000))


@pytest.fixture
def crashing(tmp_path, monkeypatch) -> Iterator[Crashing]:
    file = tmp_path / "real" / "outbox.db"
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        # The log is copied and emptied step by step, by the tests.
        monkeypatch.setattr(sqlite_database, "WAL_PAGES", 0)
        box = Outbox(f"sqlite:///{file}", SqliteMemoryStore(Path(folder)))
        for _ in range(DECOYS):
            box.put_decoy(envelope())
        monkeypatch.setattr(box.database._sqlite, "empty_log", lambda: None)
        yield Crashing(file, box)
        box.database.close()


@contextmanager
def after_a_crash(folder: Path, database: bytes, log: bytes) -> Iterator[dict[str, bytes]]:
    """What an outbox holds that finds these two files when it starts; every envelope is whole."""
    place = folder / "crashed"
    place.mkdir()
    (place / "outbox.db").write_bytes(database)
    (place / "outbox.db-wal").write_bytes(log)
    box = Outbox(f"sqlite:///{place}/outbox.db")
    try:
        box.prepare()
        yield waiting(box)
    finally:
        box.database.close()
        shutil.rmtree(place)


def torn(old: bytes, new: bytes) -> bytes:
    """A file of which each sector had, or had not yet, been written when the power went."""
    length = random.choice([len(old), len(new), max(len(old), len(new))])
    old, new = old.ljust(length, b"\0")[:length], new.ljust(length, b"\0")[:length]
    share = random.random()
    return b"".join((new if random.random() < share else old)[at : at + SECTOR] for at in range(0, length, SECTOR))


def cut(old: bytes, new: bytes) -> bytes:
    """A file being written from its beginning, up to any byte."""
    at = random.randrange(len(new) + 1)
    return new[:at] + old[at:]


def test_a_log_cut_anywhere(crashing, tmp_path):
    """While a tip of several envelopes is written to the log: the outbox is as before or as after."""
    crashing.put(TIPS)
    database, before = crashing.bytes()
    old = crashing.waiting()
    crashing.put(1)
    new, (_, after) = crashing.waiting(), crashing.bytes()
    assert len(old) == len(new) == DECOYS
    cuts, put = scale(40, 2_000), 0
    for number in range(cuts):
        at = random.randrange(len(before), len(after) + 1)
        log = after[:at] if number % 2 else torn(before, after[:at])
        with after_a_crash(tmp_path, database, log) as found:
            assert found in (old, new)
            put += found == new
    report("log cut", cuts=cuts, acknowledged=cuts * TIPS, lost=0, put_before_the_cut=put)


def test_a_checkpoint_cut_anywhere(crashing, tmp_path):
    """While the log is copied into the database, in any order of sectors, and then emptied: every envelope is there."""
    crashing.put(TIPS)
    database, log = crashing.bytes()
    crashing.run("PRAGMA wal_checkpoint(FULL)")
    copied, _ = crashing.bytes()
    assert copied != database
    cuts = scale(40, 2_000)
    for number in range(cuts):
        # Only a log that was copied as a whole is emptied, at once.
        files = (torn(database, copied), log) if number % 8 else (copied, b"")
        with after_a_crash(tmp_path, *files) as found:
            assert found == crashing.waiting()
    report("checkpoint cut", cuts=cuts, acknowledged=cuts * TIPS, lost=0)


def test_a_new_log_cut_anywhere(crashing, tmp_path):
    """While a log that was copied is written over from its beginning: the outbox is as before or as after."""
    crashing.put(TIPS)
    crashing.run("PRAGMA wal_checkpoint(FULL)")
    database, old_log = crashing.bytes()
    old = crashing.waiting()
    crashing.put(1)
    new, (_, new_log) = crashing.waiting(), crashing.bytes()
    assert new_log[:32] != old_log[:32], "the log began anew"
    cuts = scale(40, 2_000)
    for number in range(cuts):
        # SQLite writes the header first and waits for the disk before any frame.
        log = cut(old_log, new_log) if number % 2 else new_log[:32] + torn(old_log[32:], new_log[32:])
        with after_a_crash(tmp_path, database, log) as found:
            assert found in (old, new)
    report("new log cut", cuts=cuts, acknowledged=cuts * TIPS, lost=0)


def test_a_tidying_cut_anywhere(crashing, tmp_path):
    """While free pages are given back, in the log and then in place: every envelope is there."""
    crashing.put(TIPS)
    for each in list(crashing.waiting())[::3]:
        crashing.box.settle(each)
    crashing.run("PRAGMA wal_checkpoint(TRUNCATE)")
    database, before = crashing.bytes()
    crashing.box.database.compact(NOW, pages=100)
    in_place, log = crashing.bytes()
    assert (before, in_place) == (b"", database)
    crashing.run("PRAGMA wal_checkpoint(FULL)")
    shorter, _ = crashing.bytes()
    assert len(database) - len(shorter) >= 50 * PAGE_BYTES
    left, cuts = crashing.waiting(), scale(40, 2_000)
    for number in range(cuts):
        files = (database, log[: random.randrange(len(log))]) if number % 2 else (torn(database, shorter), log)
        with after_a_crash(tmp_path, *files) as found:
            assert found == left
    with closing(sqlite3.connect(crashing.file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    report("tidying cut", cuts=cuts, acknowledged=cuts * len(left), lost=0)
