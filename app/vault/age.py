"""The age v1 format (C2SP specification `age.md`): write and read headers and payloads, seal to hybrid recipients.

Everything works on streams and holds one or two chunks of 64 KiB at a time. The module knows public keys only and
cannot open an envelope: `age_open` brings the file key. A plain X25519 recipient is refused, because one such stanza
would undo the post-quantum protection of the others. Armor is read, never written. Bytes that differ from the
specification raise EnvelopeError with the code `armor`, `header`, `mac` or `payload`.
"""

import base64
import binascii
import hashlib
import hmac
import io
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice
from typing import TYPE_CHECKING, BinaryIO, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.core.errors import EnvelopeError
from app.vault.keys import X25519_BYTES, public_key

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FILE_KEY_BYTES = 16
NONCE_BYTES = 16
TAG_BYTES = 16
MAC_BYTES = 32
CHUNK_BYTES = 64 * 1024
MAX_HEADER_BYTES = 256 * 1024

HYBRID_STANZA = "mlkem768x25519"
HYBRID_INFO = b"age-encryption.org/mlkem768x25519"
HYBRID_SHARE_BYTES = 1120
HYBRID_STANZA_BYTES = 1557  # of the header, for each recipient
STANZAS = 4  # of every envelope, and so the most recipients
ENVELOPE_BYTES = 137_418  # of the envelope of a bundle: sealed_length(BUNDLE_BYTES)
HYBRID_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)

_MLKEM_NUMBERS, _MLKEM_MODULUS, _MLKEM_SEED_BYTES = 768, 3329, 32

_VERSION_PREFIX = b"age-encryption.org/"
_VERSION = _VERSION_PREFIX + b"v1\n"
_BODY_BYTES_PER_LINE = 48
_COLUMNS = 64
_STANZA_LINE = re.compile(rb"->(?: [!-~]+)+\n")
_MAC_PREFIX = b"---"
_MAC_LINE_BYTES = 48

_ARMOR_BEGIN = b"-----BEGIN AGE ENCRYPTED FILE-----"
_ARMOR_END = b"-----END AGE ENCRYPTED FILE-----"
_WHITESPACE_LIMIT = 1024


@dataclass(frozen=True)
class Stanza:
    """The file key, wrapped for one recipient: `args`, of which the first names the kind, and `body`."""

    args: tuple[str, ...]
    body: bytes


@dataclass(frozen=True)
class Header:
    """The stanzas, the MAC, and the bytes that the MAC covers."""

    stanzas: tuple[Stanza, ...]
    mac: bytes
    signed: bytes


def seal(data: bytes, recipients: Sequence[str], *, stanzas: int = STANZAS) -> bytes:
    """Return the envelope of some bytes, sealed to 1 to `stanzas` hybrid recipients.

    The header always has `stanzas` stanzas, in random order. Those that no recipient needs are sealed to keys that
    nobody has, so that an envelope does not show how many recipients an agency has. Beside data and envelope, two
    chunks of 64 KiB are held. Raises KeyTextError for a recipient that is not hybrid, EnvelopeError `recipients` for
    none, for more than `stanzas`, and for more than 4 stanzas.
    """
    if not 1 <= len(recipients) <= stanzas <= STANZAS:
        raise EnvelopeError("recipients")
    public_keys = [public_key(recipient) for recipient in recipients]
    public_keys += islice(_keys_of_nobody(), stanzas - len(recipients))
    secrets.SystemRandom().shuffle(public_keys)
    file_key = os.urandom(FILE_KEY_BYTES)
    target = preallocate(sealed_length(len(data), stanzas=stanzas))
    write_header(target, [_wrap(file_key, key) for key in public_keys], file_key)
    encrypt_payload(io.BytesIO(data), target, file_key, os.urandom(NONCE_BYTES))
    return target.getvalue()


def sealed_length(length: int, *, stanzas: int = STANZAS) -> int:
    """Return the length of the envelope that `seal` makes of `length` bytes."""
    chunks = max(1, -(-length // CHUNK_BYTES))
    header = len(_VERSION) + stanzas * HYBRID_STANZA_BYTES + _MAC_LINE_BYTES
    return header + NONCE_BYTES + length + chunks * TAG_BYTES


def encode_base64(data: bytes) -> bytes:
    """Return age's base64: standard alphabet, no padding."""
    return base64.b64encode(data).rstrip(b"=")


def decode_base64(text: bytes) -> bytes:
    """Return the bytes of age's base64; raise EnvelopeError `header` for any form but the canonical one."""
    if text.endswith(b"="):
        raise EnvelopeError("header")
    return _from_base64(text + b"=" * (-len(text) % 4), "header")


def hkdf_sha256(key: bytes, info: bytes, salt: bytes = b"") -> bytes:
    """Return 32 bytes of HKDF-SHA-256 (RFC 5869)."""
    return HKDF(SHA256(), length=32, salt=salt, info=info).derive(key)


def preallocate(size: int) -> io.BytesIO:
    """Return a buffer that takes `size` bytes without growing; a buffer that grows costs an eighth more memory."""
    buffer = io.BytesIO()
    if size:
        buffer.seek(size - 1)
        buffer.write(b"\0")
        buffer.seek(0)
    return buffer


def write_header(target: BinaryIO, stanzas: Sequence[Stanza], file_key: bytes) -> None:
    """Write the version line, the stanzas and the MAC (section "Header")."""
    lines = [_VERSION]
    for stanza in stanzas:
        lines.append(b"-> " + " ".join(stanza.args).encode("ascii") + b"\n")
        # A body ends with a short line, so a full last line is followed by an empty one.
        starts = range(0, len(stanza.body) + 1, _BODY_BYTES_PER_LINE)
        lines += [encode_base64(stanza.body[at : at + _BODY_BYTES_PER_LINE]) + b"\n" for at in starts]
    signed = b"".join(lines) + _MAC_PREFIX
    target.write(signed + b" " + encode_base64(_mac(file_key, signed)) + b"\n")


def read_header(source: BinaryIO) -> tuple[Header, BinaryIO]:
    """Read a header, armored or not, and return it with the stream on which the payload follows.

    At most 256 KiB are read for the header. Raises EnvelopeError `armor` or `header`.
    """
    first = source.readline(_COLUMNS * 2)
    if first and not first.startswith(_VERSION_PREFIX):
        source = cast("BinaryIO", io.BufferedReader(_ArmorReader(_decoded_armor(source, first))))
        first = source.readline(_COLUMNS * 2)
    if first != _VERSION:
        raise EnvelopeError("header")
    lines = _header_lines(source)
    seen = [first]
    stanzas = []
    for line in lines:
        seen.append(line)
        if line.startswith(_MAC_PREFIX):
            break
        stanzas.append(_read_stanza(line, lines, seen))
    mac = decode_base64(line[len(_MAC_PREFIX) + 1 : -1])
    if not stanzas or line != _MAC_PREFIX + b" " + encode_base64(mac) + b"\n" or len(mac) != MAC_BYTES:
        raise EnvelopeError("header")
    signed = b"".join(seen)[: len(_MAC_PREFIX) - len(line)]
    return Header(tuple(stanzas), mac, signed), source


def check_mac(header: Header, file_key: bytes) -> None:
    """Raise EnvelopeError `mac` unless the header was written by a holder of the file key."""
    if not hmac.compare_digest(header.mac, _mac(file_key, header.signed)):
        raise EnvelopeError("mac")


def encrypt_payload(source: BinaryIO, target: BinaryIO, file_key: bytes, nonce: bytes) -> None:
    """Write the nonce, then the content of `source` in encrypted chunks (section "Payload")."""
    aead = ChaCha20Poly1305(hkdf_sha256(file_key, b"payload", nonce))
    target.write(nonce)
    chunk = _read_fully(source, CHUNK_BYTES)
    for counter in count():
        ahead = _read_fully(source, CHUNK_BYTES)
        target.write(aead.encrypt(_chunk_nonce(counter, final=not ahead), chunk, None))
        if not ahead:
            return
        chunk = ahead


def decrypt_payload(source: BinaryIO, target: BinaryIO, file_key: bytes) -> None:
    """Write each chunk to `target` as soon as the chunk has been authenticated.

    Only a return means that the payload is complete. After an EnvelopeError (`payload`, or `header` for a missing
    nonce) `target` holds an authentic but incomplete beginning of the plaintext: throw it away.
    """
    nonce = _read_fully(source, NONCE_BYTES)
    if len(nonce) != NONCE_BYTES:
        raise EnvelopeError("header")
    aead = ChaCha20Poly1305(hkdf_sha256(file_key, b"payload", nonce))
    for counter in count():
        plain, final = _open_chunk(aead, counter, _read_fully(source, CHUNK_BYTES + TAG_BYTES))
        if final and counter and not plain:
            raise EnvelopeError("payload")
        target.write(plain)
        if final:
            break
    if source.read(1):
        raise EnvelopeError("payload")


@lru_cache(maxsize=1)
def _keys_of_nobody() -> tuple[MLKEM768X25519PublicKey, ...]:
    """Return a public key for each stanza but one, made once in a process: no private half was ever made.

    A public key of ML-KEM-768 is 768 numbers below 3329, of 12 bits each, and a seed of 32 bytes (FIPS 203, 5.1). Of a
    key with a private half these numbers look as random as here, so a stanza does not show whether somebody has its
    private half.
    """
    return tuple(_key_of_nobody() for _ in range(STANZAS - 1))


def _key_of_nobody() -> MLKEM768X25519PublicKey:
    numbers = sum(secrets.randbelow(_MLKEM_MODULUS) << 12 * place for place in range(_MLKEM_NUMBERS))
    raw = numbers.to_bytes(_MLKEM_NUMBERS * 12 // 8, "little") + os.urandom(_MLKEM_SEED_BYTES)
    # Every point of X25519 is a public key, and one of low order is not met by chance (RFC 7748, 6.1).
    x25519 = X25519PublicKey.from_public_bytes(os.urandom(X25519_BYTES))
    return MLKEM768X25519PublicKey(MLKEM768PublicKey.from_public_bytes(raw), x25519)


def _wrap(file_key: bytes, key: MLKEM768X25519PublicKey) -> Stanza:
    """Return the file key under HPKE's SealBase (RFC 9180, section 6.1), as the age specification asks."""
    sealed = HYBRID_SUITE.encrypt(file_key, key, HYBRID_INFO)
    share = encode_base64(sealed[:HYBRID_SHARE_BYTES]).decode("ascii")
    return Stanza((HYBRID_STANZA, share), sealed[HYBRID_SHARE_BYTES:])


def _open_chunk(aead: ChaCha20Poly1305, counter: int, chunk: bytes) -> tuple[bytes, bool]:
    """Return a chunk's plaintext, and whether the chunk is the final one; a short chunk is always final."""
    for final in (True,) if len(chunk) < CHUNK_BYTES + TAG_BYTES else (False, True):
        try:
            return aead.decrypt(_chunk_nonce(counter, final=final), chunk, None), final
        except InvalidTag:
            continue
    raise EnvelopeError("payload")


def _chunk_nonce(counter: int, *, final: bool) -> bytes:
    return counter.to_bytes(11, "big") + bytes([final])


def _mac(file_key: bytes, signed: bytes) -> bytes:
    return hmac.digest(hkdf_sha256(file_key, b"header"), signed, hashlib.sha256)


def _read_fully(source: BinaryIO, size: int) -> bytes:
    """Return `size` bytes, or fewer at the end of the stream; a pipe may give fewer in one call."""
    data = source.read(size)
    while data and len(data) < size and (more := source.read(size - len(data))):
        data += more
    return data


def _header_lines(source: BinaryIO) -> Iterator[bytes]:
    left = MAX_HEADER_BYTES
    while True:
        line = source.readline(left)
        left -= len(line)
        if not line.endswith(b"\n"):
            raise EnvelopeError("header")
        yield line


def _read_stanza(first: bytes, lines: Iterator[bytes], seen: list[bytes]) -> Stanza:
    if not _STANZA_LINE.fullmatch(first):
        raise EnvelopeError("header")
    body = []
    for line in lines:
        seen.append(line)
        body.append(decode_base64(line[:-1]))
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
    # A text that does not encode to itself again has spare bits set, or padding where none is allowed.
    if base64.b64encode(data) != text:
        raise EnvelopeError(code)
    return data


def _decoded_armor(source: BinaryIO, first: bytes) -> Iterator[bytes]:
    """Yield the bytes of each armored line (RFC 7468, section 3, strict but for whitespace around the armor)."""
    line, blank = first, 0
    while line and not line.strip() and blank < _WHITESPACE_LIMIT:
        blank += len(line)
        line = source.readline(_COLUMNS * 2)
    if _strip_line_end(line) != _ARMOR_BEGIN:
        raise EnvelopeError("armor")
    full = True
    while (line := _strip_line_end(source.readline(_COLUMNS * 2))) != _ARMOR_END:
        if not full or not 0 < len(line) <= _COLUMNS:
            raise EnvelopeError("armor")
        full = len(line) == _COLUMNS
        yield _from_base64(line, "armor")
    rest = source.read(_WHITESPACE_LIMIT + 1)
    if rest.strip() or len(rest) > _WHITESPACE_LIMIT:
        raise EnvelopeError("armor")


def _strip_line_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


class _ArmorReader(io.RawIOBase):
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
