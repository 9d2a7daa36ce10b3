"""Who did what, when, to which tip: append-only, each line bound to the one before and signed by the desk.

It never holds a word of a tip. Lines are JSON; each carries the SHA-256 of the line before it and an Ed25519
signature. A signed head, replaced after each append, holds how many lines there are and the last one's hash,
so that lines cut off the end are missed too. Whoever can put back an older journal with
its older head is found only by a head noted elsewhere: `verify` tells it.
"""

import json
import os
import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.desk.errors import RefusedError
from app.desk.store import faults, replace_file
from app.vault.tip import TipId

CONTEXT = b"haumaru/journal/1"
START = "0" * 64

_CODE = re.compile(r"[a-z0-9-]{1,40}(?:[ :,][a-z0-9-]{1,64}){0,8}|")


@dataclass(frozen=True)
class JournalEntry:
    """One thing done: `did` is a word of ours, `what` ids and codes of ours, never anything of a tip's words."""

    who: str
    did: str
    tip: TipId | str = ""
    what: str = ""
    at: str = ""


class Journal:
    """The open journal of a desk that holds its store's lock."""

    def __init__(self, folder: Path, key: Ed25519PrivateKey, *, clock: Callable[[], float]) -> None:
        self._path, self._head = folder / "journal.jsonl", folder / "journal.head"
        self._key, self._clock = key, clock
        self._lock = threading.Lock()
        self.entries: list[JournalEntry] = []
        _drop_torn_line(self._path)
        count, last, whole = _read_journal(self._path, key.public_key(), self.entries.append)
        _check_head(self._head, key.public_key(), count, last, self._path)
        self._count, self._last, self._length = count, last, whole

    def write(self, *entries: JournalEntry) -> None:
        """Append, durably, all of the entries or none; raises RefusedError."""
        with self._lock:
            at = datetime.fromtimestamp(self._clock(), ZoneInfo("Pacific/Auckland")).isoformat(timespec="seconds")
            stamped = [JournalEntry(one.who, one.did, one.tip, one.what, at) for one in entries]
            lines, count, last = [], self._count, self._last
            for entry in stamped:
                if not _CODE.fullmatch(entry.what):
                    raise RefusedError("journal")
                count += 1
                lines.append(self._line(entry, count, last))
                last = sha256(lines[-1]).hexdigest()
            self._append(b"".join(lines))
            self._count, self._last = count, last
            self.entries.extend(stamped)
            head = json.dumps({"n": count, "hash": last}).encode()
            signature = b64encode(self._key.sign(CONTEXT + head))
            replace_file(self._head, head + b"\n" + signature + b"\n")

    def _line(self, entry: JournalEntry, count: int, last: str) -> bytes:
        fields = {"n": count, "at": entry.at, "who": entry.who, "did": entry.did, "tip": entry.tip, "what": entry.what}
        body = _canonical({**fields, "before": last})
        signature = b64encode(self._key.sign(CONTEXT + body)).decode()
        return _canonical({**fields, "before": last, "signature": signature}) + b"\n"

    def _append(self, data: bytes) -> None:
        with faults():
            with open(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600), "r+b") as file:  # noqa: PTH123  # a descriptor
                if file.seek(0, os.SEEK_END) != self._length:
                    raise RefusedError("journal")
                try:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    # Half a line would make the next start refuse: it is taken back.
                    os.ftruncate(file.fileno(), self._length)
                    raise
            self._length += len(data)


def verify_journal(folder: Path, key: Ed25519PublicKey) -> tuple[int, str]:
    """How many lines a journal has and the hash of the last, everything checked; raises RefusedError `journal`."""
    path = folder / "journal.jsonl"
    count, last, _ = _read_journal(path, key, lambda _: None)
    _check_head(folder / "journal.head", key, count, last, path)
    return count, last


def _read_journal(path: Path, key: Ed25519PublicKey, take: Callable[[JournalEntry], None]) -> tuple[int, str, int]:
    count, last, length = 0, START, 0
    for line in _lines(path):
        count += 1
        take(_check_line(line, key, count, last))
        last = sha256(line).hexdigest()
        length += len(line)
    return count, last, length


def _drop_torn_line(path: Path) -> None:
    """Take back a line that a power failure cut: it was never said to be written."""
    data = path.read_bytes() if path.exists() else b""
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)


def _lines(path: Path) -> Iterable[bytes]:
    if not path.exists():
        return ()
    with faults(), path.open("rb") as file:
        return file.readlines()


def _check_line(line: bytes, key: Ed25519PublicKey, count: int, last: str) -> JournalEntry:
    try:
        fields = json.loads(line)
        signature = b64decode(fields.pop("signature"), validate=True)
        key.verify(signature, CONTEXT + _canonical(fields))
        good = fields["n"] == count and fields["before"] == last
        good = good and line == _canonical({**fields, "signature": b64encode(signature).decode()}) + b"\n"
    except (InvalidSignature, KeyError, TypeError, ValueError, AttributeError):
        raise RefusedError("journal") from None
    if not good:
        raise RefusedError("journal")
    return JournalEntry(fields["who"], fields["did"], fields["tip"], fields["what"], fields["at"])


def _check_head(path: Path, key: Ed25519PublicKey, count: int, last: str, journal: Path) -> None:
    if not path.exists():
        # The very first append may have been cut short between the journal and its head.
        if count > 1:
            raise RefusedError("journal")
        return
    try:
        head, signature, rest = path.read_bytes().split(b"\n", 2)
        key.verify(b64decode(signature, validate=True), CONTEXT + head)
        fields = json.loads(head)
        n, known = fields["n"], fields["hash"]
    except (InvalidSignature, KeyError, TypeError, ValueError):
        raise RefusedError("journal") from None
    # The journal may be ahead of its head, where the power failed between the two; never behind.
    if rest or n > count or (n == count and known != last) or _hash_of(journal, n) != known:
        raise RefusedError("journal")


def _hash_of(path: Path, number: int) -> str:
    for count, line in enumerate(_lines(path), 1):
        if count == number:
            return sha256(line).hexdigest()
    return START


def _canonical(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
