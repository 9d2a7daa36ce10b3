"""Recovery of every envelope from an SQLite outbox with one damaged page, whichever page is damaged.

Works on a copy beside the file and leaves the file unchanged. The copy gets the first page of a new outbox, which
says where each table begins: all tables are created in one order before the first row, and never move. Everything
else that delivery needs is stored twice. Yields no damaged envelope: each envelope is compared with its digest.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from app.core.errors import OutboxError
from app.delivery.database import Database, as_outbox_errors
from app.delivery.outbox import Envelope, Outbox
from app.delivery.schema import blob_id, verified_blob
from app.delivery.sqlite_database import PAGE_BYTES
from app.vault.tip import TipId

# The number of pages, and the start and length of the list of free pages, in the header (SQLite's file format,
# section 1.3): the copy gets a new count and no free pages. Without the largest root page (section 1.3.11) the file
# has no pointer maps, which reading does without: a damaged one would block every envelope.
_PAGE_COUNT, _FREE_PAGES, _LARGEST_ROOT, _INCREMENTAL = slice(28, 32), slice(32, 40), slice(52, 56), slice(64, 68)


def recover_envelopes(database: Database) -> Iterator[Envelope]:
    """Yield every envelope of a damaged outbox that is complete; raises OutboxError where no file can be read."""
    if database.path is None:
        raise OutboxError("corrupt")
    with as_outbox_errors(), tempfile.TemporaryDirectory(dir=database.path.parent) as folder:
        copy = _repaired_copy(database.path, Path(folder))
        with closing(sqlite3.connect(copy)) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            for tip, agency in sorted(_ids_and_agencies(connection)):
                with suppress(OutboxError):
                    yield Envelope(TipId(tip), agency, _read_blob(connection, blob_id(tip.encode())))


def _repaired_copy(path: Path, folder: Path) -> Path:
    new, copy = Outbox(f"sqlite:///{folder}/new.db"), folder / path.name
    new.prepare()
    new.database.close()
    for suffix in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(path.with_name(path.name + suffix), folder / (path.name + suffix))
    first = bytearray((folder / "new.db").read_bytes()[:PAGE_BYTES])
    first[_PAGE_COUNT] = (copy.stat().st_size // PAGE_BYTES).to_bytes(4, "big")
    first[_FREE_PAGES] = bytes(8)
    first[_LARGEST_ROOT] = first[_INCREMENTAL] = bytes(4)
    with copy.open("r+b") as file:
        file.write(first)
    return copy


def _ids_and_agencies(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Return ids and agencies, as far as the two tables that hold them can be read."""
    found: set[tuple[str, str]] = set()
    for table in ("labels", "cells"):
        with suppress(sqlite3.Error):
            found.update(connection.execute(f"SELECT id, agency FROM {table}"))  # noqa: S608  # our own two names
    return {(tip, agency) for tip, agency in found if isinstance(tip, str) and isinstance(agency, str)}


def _read_blob(connection: sqlite3.Connection, slot: int) -> bytes:
    for table in ("blobs", "spares"):
        with suppress(sqlite3.Error, OutboxError):
            row = connection.execute(f"SELECT data FROM {table} WHERE slot = ?", (slot,)).fetchone()  # noqa: S608
            return verified_blob(row and row[0])
    raise OutboxError("corrupt")
