"""The journal's file: lines under a key of the file's own, which is sealed to the desk's key in the first line.

Every line is the base64 of a nonce of 12 bytes and ChaCha20-Poly1305 (RFC 8439) over the line's number and its bytes,
filled up to a multiple of 512, so that neither words nor lengths say what was done. The file's times are the beginning
of the day. To seal the file to another desk key, all of it is written anew, under a new key.
"""

import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from app.desk.errors import RefusedError
from app.desk.store import SealedStore, as_refused_errors

NAME = "journal.sealed"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_BLOCK = 512


class JournalFile:
    """The encrypted lines of one journal; a fault in them raises RefusedError `journal`."""

    def __init__(self, store: SealedStore) -> None:
        self._store, self._path = store, store.folder / NAME
        self._cipher = ChaCha20Poly1305(bytes(_KEY_BYTES))
        self._length = self._count = 0

    def exists(self) -> bool:
        """Return whether there is a file."""
        return self._path.exists()

    def write_anew(self, lines: Iterable[bytes]) -> None:
        """Replace the file by one with these lines, under a new key; raises RefusedError `disk-full` or `disk`."""
        key = secrets.token_bytes(_KEY_BYTES)
        self._cipher = ChaCha20Poly1305(key)
        sealed = [self._encrypt(line, number) for number, line in enumerate(lines, 1)]
        data = b"".join([b64encode(self._store.seal(key)) + b"\n", *sealed])
        self._store.put_sealed(NAME, data)
        self._length, self._count = len(data), len(sealed)

    def read(self) -> list[bytes]:
        """Return the lines, for a caller who has opened the head; raises RefusedError `journal` for a changed file."""
        with as_refused_errors():
            data = self._path.read_bytes()
        try:
            first, *rest = data.splitlines(keepends=True)
            self._cipher = ChaCha20Poly1305(self._store.unseal(b64decode(first.removesuffix(b"\n"), validate=True)))
            lines = [self._decrypt(line, number) for number, line in enumerate(rest, 1)]
        except (ValueError, InvalidTag, RefusedError):
            raise RefusedError("journal") from None
        self._length, self._count = len(data), len(lines)
        return lines

    def drop_torn_line(self) -> None:
        """Remove a last line that a power failure cut short: no call that wrote it had returned."""
        with as_refused_errors():
            data = self._path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if 0 < whole < len(data):
                os.truncate(self._path, whole)

    def append(self, lines: Iterable[bytes]) -> None:
        """Append lines durably, all or none; raises RefusedError `journal` where somebody else wrote into the file."""
        data = [self._encrypt(line, number) for number, line in enumerate(lines, self._count + 1)]
        with as_refused_errors(), self._path.open("r+b") as file:
            if file.seek(0, os.SEEK_END) != self._length:
                raise RefusedError("journal")
            try:
                file.write(b"".join(data))
                file.flush()
                day = self._store.midnight()
                os.utime(file.fileno(), (day, day))
                os.fsync(file.fileno())
            except OSError:
                # Half a line would make the next start refuse the journal.
                os.ftruncate(file.fileno(), self._length)
                raise
        self._length += sum(map(len, data))
        self._count += len(data)

    def _encrypt(self, line: bytes, number: int) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        padded = line + bytes(-len(line) % _BLOCK)
        return b64encode(nonce + self._cipher.encrypt(nonce, padded, b"%d" % number)) + b"\n"

    def _decrypt(self, line: bytes, number: int) -> bytes:
        sealed = b64decode(line.removesuffix(b"\n"), validate=True)
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], b"%d" % number).rstrip(b"\0")
