"""The journal: who did what, when, to which tip; append-only, each line bound to the line before and signed.

Each line is JSON with the SHA-256 of the line before and an Ed25519 signature (RFC 8032). A signed head, replaced
after each append, holds the number of lines and the hash of the last, so that cutting lines off the end is found too.
Putting back an older journal with its older head is found only by comparing a head noted elsewhere, which
`verify_journal` returns. No word of a tip is ever in the journal: a text that is no code is refused.
"""

import json
import os
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import SignatureError
from app.desk.errors import RefusedError
from app.desk.store import as_refused_errors, replace_file
from app.vault.signature import SignatureContext, public_bytes, sign, verify
from app.vault.tip import TipId

START = "0" * 64

_CODE = re.compile(r"[a-z0-9-]{1,40}(?:[ :,][a-z0-9-]{1,64}){0,8}|")


@dataclass(frozen=True)
class JournalEntry:
    """One action: `did` is one of our codes, `what` holds ids and codes of ours; `at` is the time, in ISO 8601."""

    who: str
    did: str
    tip: TipId | str = ""
    what: str = ""
    at: str = ""


class Journal:
    """The open journal of a desk that holds its store's lock; raises RefusedError `journal` if it was changed."""

    def __init__(self, folder: Path, key: Ed25519PrivateKey, *, clock: Callable[[], float]) -> None:
        self._path, self._head = folder / "journal.jsonl", folder / "journal.head"
        self._key, self._clock = key, clock
        self._lock = threading.Lock()
        self.entries: list[JournalEntry] = []
        _drop_torn_line(self._path)
        count, last, length = _read_journal(self._path, public_bytes(key), self.entries.append)
        _check_head(self._head, public_bytes(key), count, last, self._path)
        self._count, self._last, self._length = count, last, length

    def write(self, *entries: JournalEntry) -> None:
        """Append all of the entries durably, or none; raises RefusedError `journal`, `disk-full` or `disk`."""
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
            signature = sign(SignatureContext.JOURNAL, head, self._key).encode()
            replace_file(self._head, head + b"\n" + signature + b"\n")

    def _line(self, entry: JournalEntry, count: int, last: str) -> bytes:
        fields = {"n": count, "at": entry.at, "who": entry.who, "did": entry.did, "tip": entry.tip, "what": entry.what}
        body = _canonical({**fields, "before": last})
        signature = sign(SignatureContext.JOURNAL, body, self._key)
        return _canonical({**fields, "before": last, "signature": signature}) + b"\n"

    def _append(self, data: bytes) -> None:
        with as_refused_errors():
            with open(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600), "r+b") as file:  # noqa: PTH123  # a descriptor
                if file.seek(0, os.SEEK_END) != self._length:
                    raise RefusedError("journal")
                try:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    # Half a line would make the next start refuse the journal.
                    os.ftruncate(file.fileno(), self._length)
                    raise
            self._length += len(data)


def verify_journal(folder: Path, public_key: bytes) -> tuple[int, str]:
    """Check every line of a journal; return how many there are and the hash of the last, "0" × 64 for none.

    Raises RefusedError `journal` at the first fault.
    """
    path = folder / "journal.jsonl"
    count, last, _ = _read_journal(path, public_key, lambda _: None)
    _check_head(folder / "journal.head", public_key, count, last, path)
    return count, last


def _read_journal(path: Path, public_key: bytes, on_entry: Callable[[JournalEntry], None]) -> tuple[int, str, int]:
    count, last, length = 0, START, 0
    for line in _lines(path):
        count += 1
        on_entry(_check_line(line, public_key, count, last))
        last = sha256(line).hexdigest()
        length += len(line)
    return count, last, length


def _drop_torn_line(path: Path) -> None:
    """Remove a last line that a power failure cut short: no call that wrote it had returned."""
    data = path.read_bytes() if path.exists() else b""
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)


def _lines(path: Path) -> Iterable[bytes]:
    if not path.exists():
        return ()
    with as_refused_errors(), path.open("rb") as file:
        return file.readlines()


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


def _check_head(path: Path, public_key: bytes, count: int, last: str, journal: Path) -> None:
    if not path.exists():
        # The very first append may have been cut short between the journal and its head.
        if count > 1:
            raise RefusedError("journal")
        return
    try:
        head, signature, rest = path.read_bytes().split(b"\n", 2)
        verify(SignatureContext.JOURNAL, head, signature, public_key)
        fields = json.loads(head)
        n, known = fields["n"], fields["hash"]
    except (SignatureError, KeyError, TypeError, ValueError):
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
