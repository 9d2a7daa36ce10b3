"""A write cut anywhere loses no acknowledged tip: the database is copied as each crash could leave it, and opened."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.delivery.leases import Leases
from app.delivery.outbox import Envelope, Outbox
from app.vault.tip import new_tip_id
from tests.support.faults import report, scale

SECTOR = 512  # what a disk writes whole
NOW = 1_795_326_000
TIPS = 12


@dataclass
class Crashing:
    """An outbox whose files are copied between its steps."""

    file: Path
    box: Outbox
    acknowledged: dict[str, bytes]

    def put(self, times: int) -> None:
        for _ in range(times):
            envelope = Envelope(new_tip_id(), "intake", random.randbytes(100_000))
            self.box.put(envelope, nonce=random.randbytes(16), now=NOW)
            self.acknowledged[envelope.id] = envelope.data

    def run(self, sql: str) -> None:
        with closing(self.box.database._engine.raw_connection()) as raw:
            raw.cursor().execute(sql).fetchall()

    @property
    def log(self) -> Path:
        return self.file.with_name(self.file.name + "-wal")

    def bytes(self) -> tuple[bytes, bytes]:
        return self.file.read_bytes(), self.log.read_bytes()


@pytest.fixture
def crashing(tmp_path) -> Iterator[Crashing]:
    file = tmp_path / "real" / "outbox.db"
    box = Outbox(f"sqlite:///{file}")
    box.prepare()
    yield Crashing(file, box, {})
    box.database.close()


@contextmanager
def after_a_crash(folder: Path, database: bytes, log: bytes) -> Iterator[dict[str, bytes]]:
    """What an outbox holds that finds these two files when it starts."""
    place = folder / "crashed"
    place.mkdir()
    (place / "outbox.db").write_bytes(database)
    (place / "outbox.db-wal").write_bytes(log)
    box = Outbox(f"sqlite:///{place}/outbox.db")
    try:
        box.prepare()
        leases = Leases(box.database)
        owner = leases.acquire_lease(NOW, seconds=60)
        yield {one.id: leases.load(one.id) for one in leases.claim(owner, ready={"intake"})}
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
    """While a tip is being written to the log: every tip acknowledged before it is there, whole."""
    crashing.put(TIPS)
    database, before = crashing.bytes()
    acknowledged = dict(crashing.acknowledged)
    crashing.put(1)
    _, after = crashing.bytes()
    cuts = scale(40, 2_000)
    for number in range(cuts):
        at = random.randrange(len(before), len(after))
        log = after[:at] if number % 2 else torn(before, after[:at])
        with after_a_crash(tmp_path, database, log) as found:
            assert found == acknowledged
    report("log cut", cuts=cuts, acknowledged=cuts * TIPS, lost=0)


def test_a_checkpoint_cut_anywhere(crashing, tmp_path):
    """While the log is copied into the database, sector by sector in any order: every acknowledged tip is there."""
    crashing.put(TIPS)
    database, log = crashing.bytes()
    crashing.run("PRAGMA wal_checkpoint(FULL)")
    copied, _ = crashing.bytes()
    assert copied != database
    cuts = scale(40, 2_000)
    for _ in range(cuts):
        with after_a_crash(tmp_path, torn(database, copied), log) as found:
            assert found == crashing.acknowledged
    report("checkpoint cut", cuts=cuts, acknowledged=cuts * TIPS, lost=0)


def test_a_new_log_cut_anywhere(crashing, tmp_path):
    """While a log that was copied is written over from its beginning: every acknowledged tip is there."""
    crashing.put(TIPS)
    crashing.run("PRAGMA wal_checkpoint(FULL)")
    database, old = crashing.bytes()
    acknowledged = dict(crashing.acknowledged)
    crashing.put(1)
    _, new = crashing.bytes()
    assert new[:32] != old[:32], "the log began anew"
    cuts = scale(40, 2_000)
    for number in range(cuts):
        # SQLite writes the header first and waits for the disk before any frame.
        log = cut(old, new) if number % 2 else new[:32] + torn(old[32:], new[32:])
        with after_a_crash(tmp_path, database, log) as found:
            assert acknowledged.items() <= found.items()
    report("new log cut", cuts=cuts, acknowledged=cuts * TIPS, lost=0)


def test_a_window_s_end_cut_anywhere(crashing, tmp_path):
    """While a window's end rebuilds the file, in the log and then in place: every acknowledged tip is there."""
    crashing.put(TIPS)
    for tip in list(crashing.acknowledged)[::3]:
        Leases(crashing.box.database).settle(tip)
        del crashing.acknowledged[tip]
    database, before = crashing.bytes()
    crashing.run("VACUUM")
    in_place, after = crashing.bytes()
    crashing.run("PRAGMA wal_checkpoint(FULL)")
    rebuilt, _ = crashing.bytes()
    assert rebuilt != database
    cuts = scale(40, 2_000)
    for number in range(cuts):
        if number % 2:
            # Rebuilding in the log; SQLite may have copied part of it already where it was long.
            where = random.randrange(min(len(before), len(after)), len(after) + 1)
            files = (database, after[:where]) if in_place == database else (torn(in_place, rebuilt), after)
        else:
            files = (torn(database, rebuilt), after)
        with after_a_crash(tmp_path, *files) as found:
            assert found == crashing.acknowledged
    with closing(sqlite3.connect(crashing.file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    report("window's end cut", cuts=cuts, acknowledged=cuts * len(crashing.acknowledged), lost=0)
