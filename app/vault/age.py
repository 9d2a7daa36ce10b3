"""The age v1 format: header, payload and armor, both ways but for armor, which is only read.

It works on streams and holds one or two chunks of 64 KiB at a time. It knows no private key: whoever calls
it brings the file key. What is not exactly as the specification (C2SP, `age.md`) lays down raises
EnvelopeError with the code `armor`, `header`, `mac` or `payload`, and nothing else.
"""

import base64
import binascii
import hashlib
import hmac
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, BinaryIO, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.core.errors import EnvelopeError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FILE_KEY_BYTES = 16
NONCE_BYTES = 16
TAG_BYTES = 16
MAC_BYTES = 32
CHUNK = 64 * 1024
HEADER_LIMIT = 256 * 1024

_MAGIC = b"age-encryption.org/"
_VERSION = _MAGIC + b"v1\n"
_BODY_LINE = 48
_COLUMNS = 64
_ARGUMENTS = re.compile(rb"->(?: [!-~]+)+\n")
_MAC_MARK = b"---"

_BEGIN = b"-----BEGIN AGE ENCRYPTED FILE-----"
_END = b"-----END AGE ENCRYPTED FILE-----"
_WHITESPACE_LIMIT = 1024


@dataclass(frozen=True)
class Stanza:
    """The file key, wrapped for one recipient: arguments, the first of which names the kind, and a body."""

    args: tuple[str, ...]
    body: bytes


@dataclass(frozen=True)
class Header:
    """The stanzas, the MAC, and the bytes over which it is made."""

    stanzas: tuple[Stanza, ...]
    mac: bytes
    signed: bytes


def encode(data: bytes) -> bytes:
    """Return age's base64: standard alphabet, no padding."""
    return base64.b64encode(data).rstrip(b"=")


def decode(text: bytes) -> bytes:
    """Return the bytes of age's base64; anything but the canonical form raises EnvelopeError `header`."""
    if text.endswith(b"="):
        raise EnvelopeError("header")
    return _from_base64(text + b"=" * (-len(text) % 4), "header")


def derive(key: bytes, info: bytes, salt: bytes = b"") -> bytes:
    """Return 32 bytes of HKDF-SHA-256 (RFC 5869)."""
    return HKDF(SHA256(), length=32, salt=salt, info=info).derive(key)


def room(size: int) -> io.BytesIO:
    """Return a buffer that can take `size` bytes without growing, which would cost an eighth on top."""
    buffer = io.BytesIO()
    if size:
        buffer.seek(size - 1)
        buffer.write(b"\0")
        buffer.seek(0)
    return buffer


def write_header(target: BinaryIO, stanzas: Sequence[Stanza], file_key: bytes) -> None:
    """Write version, stanzas and MAC (section "Header")."""
    lines = [_VERSION]
    for stanza in stanzas:
        lines.append(b"-> " + " ".join(stanza.args).encode("ascii") + b"\n")
        # A body ends with a short line, so a full last line is followed by an empty one.
        starts = range(0, len(stanza.body) + 1, _BODY_LINE)
        lines += [encode(stanza.body[at : at + _BODY_LINE]) + b"\n" for at in starts]
    signed = b"".join(lines) + _MAC_MARK
    target.write(signed + b" " + encode(_mac(file_key, signed)) + b"\n")


def read_header(source: BinaryIO) -> tuple[Header, BinaryIO]:
    """Read a header, armored or not, and return it with the stream on which the payload follows.

    At most 256 KiB are read for it. Raises EnvelopeError `armor` or `header`.
    """
    first = source.readline(_COLUMNS * 2)
    if first and not first.startswith(_MAGIC):
        source = cast("BinaryIO", io.BufferedReader(_Armor(_armor_lines(source, first))))
        first = source.readline(_COLUMNS * 2)
    if first != _VERSION:
        raise EnvelopeError("header")
    lines = _header_lines(source)
    seen = [first]
    stanzas = []
    for line in lines:
        seen.append(line)
        if line.startswith(_MAC_MARK):
            break
        stanzas.append(_read_stanza(line, lines, seen))
    mac = decode(line[len(_MAC_MARK) + 1 : -1])
    if not stanzas or line != _MAC_MARK + b" " + encode(mac) + b"\n" or len(mac) != MAC_BYTES:
        raise EnvelopeError("header")
    signed = b"".join(seen)[: len(_MAC_MARK) - len(line)]
    return Header(tuple(stanzas), mac, signed), source


def check_mac(header: Header, file_key: bytes) -> None:
    """Raise EnvelopeError `mac` unless whoever wrote this header knew the file key."""
    if not hmac.compare_digest(header.mac, _mac(file_key, header.signed)):
        raise EnvelopeError("mac")


def encrypt(source: BinaryIO, target: BinaryIO, file_key: bytes, nonce: bytes) -> None:
    """Write the nonce, then everything in `source` in sealed chunks (section "Payload")."""
    aead = ChaCha20Poly1305(derive(file_key, b"payload", nonce))
    target.write(nonce)
    chunk = _read(source, CHUNK)
    for counter in count():
        ahead = _read(source, CHUNK)
        target.write(aead.encrypt(_chunk_nonce(counter, final=not ahead), chunk, None))
        if not ahead:
            return
        chunk = ahead


def decrypt(source: BinaryIO, target: BinaryIO, file_key: bytes) -> None:
    """Write each chunk to `target` as soon as it has been authenticated.

    Only a return means that all of it was there: after an EnvelopeError (`payload`, or `header` for a missing
    nonce) what was written is a true beginning of what was sealed and must be thrown away.
    """
    nonce = _read(source, NONCE_BYTES)
    if len(nonce) != NONCE_BYTES:
        raise EnvelopeError("header")
    aead = ChaCha20Poly1305(derive(file_key, b"payload", nonce))
    for counter in count():
        plain, final = _open_chunk(aead, counter, _read(source, CHUNK + TAG_BYTES))
        if final and counter and not plain:
            raise EnvelopeError("payload")
        target.write(plain)
        if final:
            break
    if source.read(1):
        raise EnvelopeError("payload")


def _open_chunk(aead: ChaCha20Poly1305, counter: int, chunk: bytes) -> tuple[bytes, bool]:
    """Return a chunk's plaintext, and whether it is the final one; a short one can be nothing else."""
    for final in (True,) if len(chunk) < CHUNK + TAG_BYTES else (False, True):
        try:
            return aead.decrypt(_chunk_nonce(counter, final=final), chunk, None), final
        except InvalidTag:
            continue
    raise EnvelopeError("payload")


def _chunk_nonce(counter: int, *, final: bool) -> bytes:
    return counter.to_bytes(11, "big") + bytes([final])


def _mac(file_key: bytes, signed: bytes) -> bytes:
    return hmac.digest(derive(file_key, b"header"), signed, hashlib.sha256)


def _read(source: BinaryIO, size: int) -> bytes:
    """Read `size` bytes unless the end comes first: a pipe may give fewer at a time."""
    data = source.read(size)
    while data and len(data) < size and (more := source.read(size - len(data))):
        data += more
    return data


def _header_lines(source: BinaryIO) -> Iterator[bytes]:
    left = HEADER_LIMIT
    while True:
        line = source.readline(left)
        left -= len(line)
        if not line.endswith(b"\n"):
            raise EnvelopeError("header")
        yield line


def _read_stanza(first: bytes, lines: Iterator[bytes], seen: list[bytes]) -> Stanza:
    if not _ARGUMENTS.fullmatch(first):
        raise EnvelopeError("header")
    body = []
    for line in lines:
        seen.append(line)
        body.append(decode(line[:-1]))
        if len(line) <= _COLUMNS:
            break
        if len(line) > _COLUMNS + 1:
            raise EnvelopeError("header")
    return Stanza(tuple(first[3:-1].decode("ascii").split(" ")), b"".join(body))


def _from_base64(text: bytes, code: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise EnvelopeError(code) from None
    # What does not encode to the same text had spare bits set, or padding where none may be.
    if base64.b64encode(data) != text:
        raise EnvelopeError(code)
    return data


def _armor_lines(source: BinaryIO, first: bytes) -> Iterator[bytes]:
    """Yield what each armored line holds (RFC 7468, section 3, strict but for whitespace around it)."""
    line, blank = first, 0
    while line and not line.strip() and blank < _WHITESPACE_LIMIT:
        blank += len(line)
        line = source.readline(_COLUMNS * 2)
    if _without_end(line) != _BEGIN:
        raise EnvelopeError("armor")
    full = True
    while (line := _without_end(source.readline(_COLUMNS * 2))) != _END:
        if not full or not 0 < len(line) <= _COLUMNS:
            raise EnvelopeError("armor")
        full = len(line) == _COLUMNS
        yield _from_base64(line, "armor")
    rest = source.read(_WHITESPACE_LIMIT + 1)
    if rest.strip() or len(rest) > _WHITESPACE_LIMIT:
        raise EnvelopeError("armor")


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


class _Armor(io.RawIOBase):
    """Armored lines as a stream of the bytes in them."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        self._left = self._left or next(self._lines, b"")
        size = min(len(view), len(self._left))
        view[:size] = self._left[:size]
        self._left = self._left[size:]
        return size
