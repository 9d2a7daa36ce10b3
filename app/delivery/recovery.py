"""What can still be read of a damaged SQLite outbox: every envelope, whichever one page is damaged.

Reads a copy beside the file and changes nothing in it. The copy gets the first page of a new outbox, which says
where each table begins: tables are made in one order and never move. Everything else that delivery needs lies
twice. Refuses to call whole what is not: each envelope is compared with its digest.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from app.core.errors import OutboxError
from app.delivery.database import PAGE, Store, faults
from app.delivery.outbox import Envelope, Outbox
from app.delivery.schema import slot_of, whole
from app.vault.tip import TipId

# Where a file's header says how many pages it has, and where the list of its free ones begins and how long it is
# (SQLite's file format, 1.3): pages are counted anew, and none is free.
_COUNT, _FREE = slice(28, 32), slice(32, 40)


def rescue(store: Store) -> Iterator[Envelope]:
    """Yield every envelope of a damaged outbox that can be read whole; raises OutboxError where none can."""
    if store.path is None:
        raise OutboxError("corrupt")
    with faults(), tempfile.TemporaryDirectory(dir=store.path.parent) as folder:
        copy = _copy(store.path, Path(folder))
        with closing(sqlite3.connect(copy)) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            for tip, agency in sorted(_names(connection)):
                with suppress(OutboxError):
                    yield Envelope(TipId(tip), agency, _blob(connection, slot_of(tip.encode())))


def _copy(path: Path, folder: Path) -> Path:
    new, copy = Outbox(f"sqlite:///{folder}/new.db"), folder / path.name
    new.prepare()
    new.store.tidy(0)
    new.store.close()
    for suffix in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(path.with_name(path.name + suffix), folder / (path.name + suffix))
    first = bytearray((folder / "new.db").read_bytes()[:PAGE])
    first[_COUNT] = (copy.stat().st_size // PAGE).to_bytes(4, "big")
    first[_FREE] = bytes(8)
    with copy.open("r+b") as file:
        file.write(first)
    return copy


def _names(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Ids and agencies, as far as the two tables that say them can be read."""
    found: set[tuple[str, str]] = set()
    for table in ("labels", "envelopes"):
        with suppress(sqlite3.Error):
            found.update(connection.execute(f"SELECT id, agency FROM {table}"))  # noqa: S608  # our own two names
    return {(tip, agency) for tip, agency in found if isinstance(tip, str) and isinstance(agency, str)}


def _blob(connection: sqlite3.Connection, slot: int) -> bytes:
    for table in ("blobs", "spares"):
        with suppress(sqlite3.Error, OutboxError):
            row = connection.execute(f"SELECT data FROM {table} WHERE slot = ?", (slot,)).fetchone()  # noqa: S608
            return whole(row and row[0])
    raise OutboxError("corrupt")
