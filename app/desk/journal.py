"""The journal: who did what, when, to which tip; append-only, encrypted, each line bound to the line before and signed.

Each line is JSON with the SHA-256 of the line before and an Ed25519 signature (RFC 8032). A signed head in the sealed
store holds the number of lines and the hash of the last, so that lines cut off the end, a missing journal and a missing
head are found. Putting back an older journal with its older head is found only by comparing a head noted elsewhere,
which `verify_journal` returns. What handlers do has its time. What comes in has its day alone: the arrivals of a day
wait, sealed and in no order, and become lines of the journal when the day is over. No word of a tip is ever in the
journal: a text that is no code is refused.
"""

import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from hashlib import sha256
from itertools import islice
from secrets import SystemRandom
from typing import Any
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import SignatureError
from app.delivery.clock import nz_day
from app.desk.errors import RefusedError
from app.desk.journal_file import JournalFile
from app.desk.store import SealedStore
from app.vault.signature import SignatureContext, public_bytes, sign, verify
from app.vault.tip import TipId

START = "0" * 64
DESK = "desk"  # who did what no handler does

_HEAD, _ARRIVALS = "journal-head.age", "arrivals.age"
_FORMER = "journal.jsonl"  # of a version whose journal lay in plain text
_FILLED = ("tips", "envelopes", "parts", "waiting", "answers", "aside", "day-keys")
_CODE = re.compile(r"[a-z0-9-]{1,40}(?:[ :,][a-z0-9-]{1,64}){0,8}|")


@dataclass(frozen=True)
class JournalEntry:
    """One action: `did` is one of our codes, `what` holds ids and codes of ours; `at` is a time or a day (ISO 8601)."""

    who: str
    did: str
    tip: TipId | str = ""
    what: str = ""
    at: str = ""


class Journal:
    """The open journal of a desk that holds its store's lock; raises RefusedError `journal` if it was changed."""

    def __init__(self, store: SealedStore, key: Ed25519PrivateKey, *, clock: Callable[[], float]) -> None:
        self._store, self._file = store, JournalFile(store)
        self._key, self._clock = key, clock
        self._lock = threading.RLock()
        self._begin()
        self._file.drop_torn_line()
        self._written, self._count, self._last = _read_lines(store, self._file, public_bytes(key))
        self._by_code: dict[str, list[JournalEntry]] = defaultdict(list)  # so that no question looks at every line
        self._note(self._written)
        known = set(self._written)
        self._arrivals = [one for one in _read_arrivals(store, public_bytes(key)) if one not in known]
        self._unsaved = False
        self._write_head()

    @property
    def entries(self) -> list[JournalEntry]:
        """Every entry, day by day: first what came in on a day, in no order, then what was done on it."""
        with self._lock:
            return sorted([*self._arrivals, *self._written], key=lambda one: (one.at[:10], "T" in one.at))

    def latest(self, tip: str, most: int) -> list[JournalEntry]:
        """Return at most so many of the last things that were done about one tip, the newest first."""
        with self._lock:
            return list(islice((one for one in reversed(self._written) if one.tip == tip), most))

    def has(self, did: str, what: str) -> bool:
        """Return whether something was done once, by the codes of an entry."""
        with self._lock:
            return any(one.what == what for one in self._by_code.get(did, ()))

    def has_done(self, did: str, tip: str) -> bool:
        """Return whether something was done once to a tip."""
        with self._lock:
            return any(one.tip == tip for one in self._by_code.get(did, ()))

    def write(self, *entries: JournalEntry) -> None:
        """Append what was done, with its time, durably, or none of it.

        Raises RefusedError `journal`, `disk-full` or `disk`.
        """
        with self._lock:
            at = datetime.fromtimestamp(self._clock(), ZoneInfo("Pacific/Auckland")).isoformat(timespec="seconds")
            self._append([replace(one, at=at) for one in entries])

    def add_arrivals(self, *entries: JournalEntry) -> None:
        """Add what came in, with its day; it is durable after the next `save_arrivals`. Raises RefusedError."""
        _require_codes(entries)
        with self._lock:
            day = nz_day(self._clock()).isoformat()
            self._arrivals += [replace(one, at=day) for one in entries]
            self._unsaved = self._unsaved or bool(entries)

    def save_arrivals(self) -> None:
        """Make the arrivals that were added durable; raises RefusedError `disk-full` or `disk`."""
        with self._lock:
            if self._unsaved:
                self._save_arrivals()

    def unsettled(self) -> list[JournalEntry]:
        """Return the arrivals of days that are over."""
        with self._lock:
            today = nz_day(self._clock()).isoformat()
            return [one for one in self._arrivals if one.at != today]

    def settle(self, over: Sequence[JournalEntry]) -> None:
        """Write what `unsettled` returned into the journal, the arrivals of a day in no order; raises RefusedError."""
        if not over:
            return
        with self._lock:
            shuffled = SystemRandom().sample(over, len(over))
            self._append(sorted(shuffled, key=lambda one: one.at))
            settled = set(over)
            self._arrivals = [one for one in self._arrivals if one not in settled]
            self._save_arrivals()

    def reseal(self) -> None:
        """Seal the journal anew, under a new key, to the store's first identity; raises RefusedError."""
        with self._lock:
            self._file.write_anew(self._file.read())

    def _begin(self) -> None:
        """Make the journal of a new store; raises RefusedError `journal` where one is missing."""
        if (self._store.folder / _FORMER).exists():
            raise RefusedError("store-former")
        if not self._store.exists(_HEAD):
            if self._file.exists() or any(self._store.list_names(name) for name in _FILLED):
                raise RefusedError("journal")
            self._store.write(_HEAD, _signed_head(0, START, self._key))
        if not self._file.exists():
            if _read_head(self._store, public_bytes(self._key)) != (0, START):
                raise RefusedError("journal")
            self._file.write_anew(())

    def _append(self, entries: list[JournalEntry]) -> None:
        _require_codes(entries)
        lines, count, last = [], self._count, self._last
        for entry in entries:
            count += 1
            lines.append(_line(entry, count, last, self._key))
            last = sha256(lines[-1]).hexdigest()
        self._file.append(lines)
        self._count, self._last = count, last
        self._written.extend(entries)
        self._note(entries)
        self._write_head()

    def _note(self, entries: Iterable[JournalEntry]) -> None:
        for entry in entries:
            self._by_code[entry.did].append(entry)

    def _write_head(self) -> None:
        self._store.write(_HEAD, _signed_head(self._count, self._last, self._key))

    def _save_arrivals(self) -> None:
        SystemRandom().shuffle(self._arrivals)
        data = _canonical({"arrivals": [astuple(one) for one in self._arrivals]})
        self._store.write(_ARRIVALS, data + b"\n" + sign(SignatureContext.JOURNAL, data, self._key).encode())
        self._unsaved = False


def verify_journal(store: SealedStore, public_key: bytes) -> tuple[int, str]:
    """Check every line of a journal; return how many there are and the hash of the last, "0" × 64 for none.

    Raises RefusedError `journal` at the first fault, and `store-key`.
    """
    file = JournalFile(store)
    if not file.exists():
        raise RefusedError("journal")
    _, count, last = _read_lines(store, file, public_key)
    _read_arrivals(store, public_key)
    return count, last


def _read_lines(store: SealedStore, file: JournalFile, public_key: bytes) -> tuple[list[JournalEntry], int, str]:
    """Return the entries of the lines, how many there are, and the hash of the last, checked against the head."""
    number, known = _read_head(store, public_key)
    entries, count, last, at_head = [], 0, START, START
    for line in file.read():
        count += 1
        entries.append(_check_line(line, public_key, count, last))
        last = sha256(line).hexdigest()
        at_head = last if count == number else at_head
    # The journal may be ahead of its head, where the power failed between the two; never behind.
    if number > count or at_head != known:
        raise RefusedError("journal")
    return entries, count, last


def _line(entry: JournalEntry, count: int, last: str, key: Ed25519PrivateKey) -> bytes:
    fields = {"n": count, "at": entry.at, "who": entry.who, "did": entry.did, "tip": entry.tip, "what": entry.what}
    body = _canonical({**fields, "before": last})
    return _canonical({**fields, "before": last, "signature": sign(SignatureContext.JOURNAL, body, key)}) + b"\n"


def _check_line(line: bytes, public_key: bytes, count: int, last: str) -> JournalEntry:
    try:
        fields = json.loads(line)
        signature = fields.pop("signature")
        verify(SignatureContext.JOURNAL, _canonical(fields), signature, public_key)
        valid = fields["n"] == count and fields["before"] == last
        valid = valid and line == _canonical({**fields, "signature": signature}) + b"\n"
    except (SignatureError, KeyError, TypeError, ValueError, AttributeError):
        raise RefusedError("journal") from None
    if not valid:
        raise RefusedError("journal")
    return JournalEntry(fields["who"], fields["did"], fields["tip"], fields["what"], fields["at"])


def _signed_head(count: int, last: str, key: Ed25519PrivateKey) -> bytes:
    head = _canonical({"n": count, "hash": last})
    return head + b"\n" + sign(SignatureContext.JOURNAL, head, key).encode()


def _read_head(store: SealedStore, public_key: bytes) -> tuple[int, str]:
    head = _read_signed(store, _HEAD, public_key)
    if head is None:
        raise RefusedError("journal")
    return head["n"], head["hash"]


def _read_arrivals(store: SealedStore, public_key: bytes) -> list[JournalEntry]:
    held = _read_signed(store, _ARRIVALS, public_key)
    return [JournalEntry(*one) for one in held["arrivals"]] if held else []


def _read_signed(store: SealedStore, name: str, public_key: bytes) -> dict[str, Any] | None:
    """Return the JSON of a file that is sealed and signed, or None where there is no file.

    Sealing alone proves nothing: anybody may seal to the desk's public key.
    """
    try:
        data, signature = store.read(name).split(b"\n")
        verify(SignatureContext.JOURNAL, data, signature, public_key)
        fields: dict[str, Any] = json.loads(data)
    except FileNotFoundError:
        return None
    except (SignatureError, ValueError, RefusedError) as error:
        if isinstance(error, RefusedError) and error.code == "store-key":
            raise
        raise RefusedError("journal") from None
    return fields


def _require_codes(entries: Iterable[JournalEntry]) -> None:
    if not all(_CODE.fullmatch(one.what) for one in entries):
        raise RefusedError("journal")


def _canonical(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
