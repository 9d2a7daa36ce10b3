"""The memory store in a folder that is a tmpfs, shared by the processes of one machine.

Small facts are rows of one SQLite file; each held tip is a file of its own, so that a large one holds up nobody. A file
ends at its modification time. Nothing waits for a disk, and a killed process leaves both whole.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from app.core.errors import AlreadySentError, HeldFullError
from app.delivery.clock import QUARTER_HOUR_SECONDS, quarter_hour_end
from app.delivery.memory_file import MemoryFile, as_memory_errors, make_private
from app.delivery.memory_store import DECOY, MOMENTS_SOON, PART, WORDS, EnvelopeKind
from app.vault.tip import TipId

_SCHEMA = """
CREATE TABLE IF NOT EXISTS forms (
    key BLOB PRIMARY KEY, words TEXT NOT NULL, sent INTEGER NOT NULL, ends INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attempts ON forms (words) WHERE NOT sent;
CREATE TABLE IF NOT EXISTS answers (
    thread BLOB NOT NULL, form BLOB NOT NULL, number INTEGER NOT NULL, ends INTEGER NOT NULL, PRIMARY KEY (thread, form)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS envelopes (
    id TEXT PRIMARY KEY, agency TEXT NOT NULL, kind TEXT NOT NULL, rank INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS kinds ON envelopes (kind, agency);
CREATE TABLE IF NOT EXISTS agreed (one INTEGER PRIMARY KEY, moment INTEGER NOT NULL, level INTEGER NOT NULL);
"""

# What every tip asks is one statement each: between the statements of a transaction, which locks the file, a thread may
# have to wait for the others of its process. ROWS stands for as many rows as there are.
_FORMS = "SELECT key, words FROM forms WHERE key IN (VALUES ROWS) AND ends > ?"
_USE_FORMS = """
INSERT INTO forms VALUES ROWS
ON CONFLICT (key) DO UPDATE SET words = excluded.words, sent = 0, ends = excluded.ends WHERE NOT sent OR ends <= ?
"""
_TAKE_DECOYS = """
DELETE FROM envelopes WHERE id IN (SELECT id FROM envelopes WHERE agency = ? AND kind = ? ORDER BY random() LIMIT ?)
RETURNING id
"""


class SqliteMemoryStore:
    """The memory store in one folder; create the object after forking."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._held = folder, folder / "held"
        self._file = MemoryFile(folder, _SCHEMA)
        self._quarter = 0  # the quarter-hour in which this process last looked for forms whose time is over

    def use_forms(self, keys: Sequence[bytes], words_id: TipId, now: float) -> Mapping[bytes, TipId]:
        """Note that forms are being sent; see MemoryStore. The caller excludes others that send the same forms."""
        self._forget_ended_forms(now)
        rows = [(key, words_id, 0, quarter_hour_end(now)) for key in keys]
        with self._file.writing() as connection:
            earlier = _run(connection, _FORMS, [(key,) for key in keys], now).fetchall()
            if _run(connection, _USE_FORMS, rows, now).rowcount < len(keys):
                raise AlreadySentError
        return {key: TipId(words) for key, words in earlier}

    def mark_sent(self, keys: Sequence[bytes], now: float) -> None:
        """Note that forms or held tips were sent; see MemoryStore."""
        rows = [(key, "", 1, quarter_hour_end(now)) for key in keys]
        with self._file.writing() as connection:
            _run(connection, "INSERT OR REPLACE INTO forms VALUES ROWS", rows)

    def number_answer(self, thread: bytes, form: bytes, *, ends: int, now: float) -> int:
        """Return the place of a form's answer among those of a thread; see MemoryStore."""
        known = "SELECT number FROM answers WHERE thread = ? AND form = ?"
        highest = "SELECT coalesce(max(number), 0) + 1 FROM answers WHERE thread = ?"
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM answers WHERE ends <= ?", (now,))
            row = connection.execute(known, (thread, form)).fetchone()
            if row is None:
                row = connection.execute(highest, (thread,)).fetchone()
                connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (thread, form, row[0], ends))
            return int(row[0])

    def was_sent(self, key: bytes, now: float) -> bool:
        """Return whether a form or a held tip was sent."""
        with self._file.reading() as connection:
            wanted = "SELECT 1 FROM forms WHERE key = ? AND sent AND ends > ?"
            return connection.execute(wanted, (key, now)).fetchone() is not None

    def hold(self, key: bytes, data: bytes | memoryview, *, ends: int, limit: int, now: float) -> None:
        """Hold encrypted bytes until `ends` (unix seconds); see MemoryStore."""
        with as_memory_errors():
            make_private(self._folder)
            make_private(self._held)
            self._drop_ended(now)
            new = self._held / f".{secrets.token_hex(16)}"
            try:
                _write(new, data, ends)
                self._require_room(limit, without=key)
                new.replace(self._path(key))
            finally:
                new.unlink(missing_ok=True)

    def replace(self, key: bytes, data: bytes | memoryview, *, limit: int, now: float) -> bool:
        """Hold other bytes in place of those that a key holds; see MemoryStore."""
        with as_memory_errors(), suppress(FileNotFoundError):
            ends = int(self._path(key).stat().st_mtime)
            if ends > now:
                self.hold(key, data, ends=ends, limit=limit, now=now)
                return True
        return False

    def held(self, key: bytes, now: float) -> bytes | None:
        """Return what a key holds; None if nothing, or if its time is over."""
        with as_memory_errors(), suppress(FileNotFoundError), self._path(key).open("rb") as file:
            return file.read() if os.fstat(file.fileno()).st_mtime > now else None
        return None

    def held_size(self, key: bytes, now: float) -> int:
        """Return how many bytes a key holds; see MemoryStore."""
        with as_memory_errors(), suppress(FileNotFoundError):
            found = self._path(key).stat()
            return found.st_size if found.st_mtime > now else 0
        return 0

    def extend(self, key: bytes, ends: int, now: float) -> bool:
        """Let what a key holds end at `ends`; return False if nothing is held, or if its time is over."""
        with as_memory_errors(), suppress(FileNotFoundError):
            if self._path(key).stat().st_mtime > now:
                os.utime(self._path(key), (ends, ends))
                return True
        return False

    def drop_held(self, key: bytes) -> bool:
        """Destroy what a key holds; return whether anything was held."""
        with as_memory_errors(), suppress(FileNotFoundError):
            self._path(key).unlink()
            return True
        return False

    def count_held(self, now: float) -> int:
        """Return how many keys hold something."""
        with as_memory_errors(), suppress(FileNotFoundError):
            self._drop_ended(now)
            return sum(not path.name.startswith(".") for path in self._held.iterdir())
        return 0

    def list_decoy(self, agency: str, envelope_id: TipId) -> None:
        """List an envelope as a decoy; see MemoryStore."""
        self._insert([(envelope_id, agency, DECOY.name, DECOY.rank)])

    def take_decoys(self, agency: str, count: int) -> list[TipId]:
        """Return at most `count` listed decoys, chosen at random, which are listed no longer."""
        with self._file.writing() as connection:
            found = connection.execute(_TAKE_DECOYS, (agency, DECOY.name, count)).fetchall()
        return [TipId(each) for (each,) in found]

    def note_tip(self, agency: str, words_id: TipId, part_ids: Sequence[TipId]) -> None:
        """Note which envelopes are the words and the parts of one tip."""
        rank = len(part_ids)
        self._insert([(words_id, agency, WORDS, rank), *((part, agency, PART, rank) for part in part_ids)])

    def forget(self, ids: Iterable[TipId]) -> None:
        """Forget envelopes that leave the outbox; see MemoryStore."""
        rows = [(each,) for each in ids]
        with self._file.transaction() as connection:
            connection.executemany("DELETE FROM envelopes WHERE id = ?", rows)
            connection.executemany("UPDATE forms SET sent = 1 WHERE words = ? AND NOT sent", rows)

    def kinds(self, agency: str) -> Mapping[TipId, EnvelopeKind]:
        """Return what is known of an agency's envelopes; one that is missing counts as a tip's words."""
        with self._file.reading() as connection:
            rows = connection.execute("SELECT id, kind, rank FROM envelopes WHERE agency = ?", (agency,))
            return {TipId(each): EnvelopeKind(kind, rank) for each, kind, rank in rows}

    def count_words(self) -> int:
        """Return how many envelopes, of all agencies, are known as the words of tips."""
        with self._file.reading() as connection:
            found = connection.execute("SELECT count(*) FROM envelopes WHERE kind = ?", (WORDS,))
            return int(found.fetchone()[0])

    def forget_ended(self, now: float) -> None:
        """Forget the forms and the numbers of answers whose time is over."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM forms WHERE ends <= ?", (now,))
            connection.execute("DELETE FROM answers WHERE ends <= ?", (now,))

    def level(self) -> int:
        """Return the number of envelopes up to which the outbox is filled for each agency; 0 if none was agreed."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT level FROM agreed").fetchone()
            return int(row[0]) if row else 0

    def agree_level(self, moment: int, level: int) -> int:
        """Return the level that was agreed for a moment, or agree on `level`; see MemoryStore."""
        with self._file.transaction() as connection:
            row = connection.execute("SELECT moment, level FROM agreed").fetchone()
            if row and 0 <= row[0] - moment < MOMENTS_SOON:
                return int(row[1])
            connection.execute("INSERT OR REPLACE INTO agreed VALUES (1, ?, ?)", (moment, level))
            return level

    def close(self) -> None:
        """Close the SQLite file."""
        self._file.close()

    def _insert(self, rows: Sequence[tuple[str, str, str, int]]) -> None:
        with self._file.writing() as connection:
            _run(connection, "INSERT OR REPLACE INTO envelopes VALUES ROWS", rows)

    def _forget_ended_forms(self, now: float) -> None:
        """Forget the forms whose time is over, once in a quarter-hour: their times end with one."""
        quarter = int(now) // QUARTER_HOUR_SECONDS
        if quarter != self._quarter:
            with self._file.writing() as connection:
                connection.execute("DELETE FROM forms WHERE ends <= ?", (now,))
            self._quarter = quarter

    def _path(self, key: bytes) -> Path:
        return self._held / key.hex()

    def _require_room(self, limit: int, *, without: bytes) -> None:
        """Raise HeldFullError where more is held than `limit` bytes; a file that is being written counts already."""
        if self._held_bytes(without) > limit:
            raise HeldFullError

    def _held_bytes(self, without: bytes) -> int:
        while True:
            # A file that is missing by now may stand there under its next name: all are looked at again.
            with os.scandir(self._held) as entries, suppress(FileNotFoundError):
                return sum(entry.stat().st_size for entry in entries if entry.name != without.hex())

    def _drop_ended(self, now: float) -> None:
        for path in self._held.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime <= now:
                    path.unlink()


def _run(connection: sqlite3.Connection, sql: str, rows: Sequence[Sequence[object]], *values: object) -> sqlite3.Cursor:
    """Run a statement in which ROWS stands for these rows, with further values after them."""
    row = f"({', '.join('?' * len(rows[0]))})"
    return connection.execute(sql.replace("ROWS", ", ".join([row] * len(rows))), [*chain.from_iterable(rows), *values])


def _write(path: Path, data: bytes | memoryview, ends: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.utime(descriptor, (ends, ends))
        file.write(data)
        file.flush()
        os.utime(descriptor, (ends, ends))
