"""Keys of age in text form and as objects: recipients, identities, and the recipient of an identity.

The texts are Bech32 without a length limit. A hybrid identity is a 32-byte seed, expanded with SHAKE-256. Every key
is checked completely, so that sealing to a parsed recipient cannot fail. The module decrypts nothing, and no error
repeats the text of an identity.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NewType

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PublicKey

from app.core.errors import KeyTextError

Recipient = NewType("Recipient", str)
Identity = NewType("Identity", str)

HYBRID_RECIPIENT = "age1pq"
HYBRID_IDENTITY = "AGE-SECRET-KEY-PQ-"
X25519_RECIPIENT = "age"
X25519_IDENTITY = "AGE-SECRET-KEY-"

MLKEM_PUBLIC_BYTES = 1184
MLKEM_SEED_BYTES = 64
X25519_BYTES = 32
SEED_BYTES = 32

# The key of every demonstration: SHA-256 of "haumaru demonstration: this key is published". It hides nothing.
DEMONSTRATION = Identity("AGE-SECRET-KEY-PQ-1Q9K0Y35J994P58EUSQT53449NM3307LGX3ZLGG954VYCQDNF7VUSQL7SH4")

_FINGERPRINT_DIGITS = 32  # of SHA-256's 64: 128 bits

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BASE32 = "0123456789abcdefghijklmnopqrstuv"
_VALUE = {letter: value for value, letter in enumerate(_CHARSET)}
_CHECKSUM_LETTERS = 6
_BECH32 = re.compile(f"([!-~]{{1,83}})1([{_CHARSET}]{{{_CHECKSUM_LETTERS},4096}})")
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


@dataclass(frozen=True, repr=False)
class HybridKey:
    """The two private halves of a hybrid identity."""

    mlkem: MLKEM768PrivateKey
    x25519: X25519PrivateKey


def parse_recipient(text: str) -> Recipient:
    """Return a recipient, hybrid (`age1pq1…`) or X25519 (`age1…`), after checking its text.

    Raises KeyTextError. Age specification, "Native recipient types".
    """
    if text.startswith(HYBRID_RECIPIENT + "1"):
        public_key(text)
    else:
        _x25519_public(_decode(text, X25519_RECIPIENT, X25519_BYTES, "recipient"))
    return Recipient(text)


def parse_identity(text: str) -> Identity:
    """Return an identity, hybrid (`AGE-SECRET-KEY-PQ-1…`) or X25519 (`AGE-SECRET-KEY-1…`), after checking its text.

    Raises KeyTextError, which never holds the text.
    """
    _seed(text)
    return Identity(text)


def new_identity() -> Identity:
    """Return a new hybrid identity, from 32 random bytes of the operating system."""
    return Identity(_encode(HYBRID_IDENTITY.lower(), os.urandom(SEED_BYTES)).upper())


def recipient_of(identity: Identity) -> Recipient:
    """Return the recipient of an identity: the identity opens what is sealed to the recipient.

    Raises KeyTextError.
    """
    key = private_key(identity)
    if isinstance(key, X25519PrivateKey):
        return Recipient(_encode(X25519_RECIPIENT, key.public_key().public_bytes_raw()))
    halves = key.mlkem.public_key().public_bytes_raw() + key.x25519.public_key().public_bytes_raw()
    return Recipient(_encode(HYBRID_RECIPIENT, halves))


def key_fingerprint(recipients: Sequence[str]) -> str:
    """Return a fingerprint of recipients for people to compare: 128 bits of SHA-256, in eight groups of four digits.

    Several recipients are joined by line feeds. For one, `printf %s age1pq1… | sha256sum` begins with the same digits.
    """
    digest = hashlib.sha256("\n".join(recipients).encode()).hexdigest()[:_FINGERPRINT_DIGITS]
    return " ".join(re.findall("....", digest))


@lru_cache(maxsize=64)
def public_key(recipient: str) -> MLKEM768X25519PublicKey:
    """Return the hybrid public key of a recipient; cached, since the check is slow and the key is public.

    Raises KeyTextError: `not-hybrid` for an X25519 recipient, to which nothing is ever sealed.
    """
    if not recipient.startswith(HYBRID_RECIPIENT + "1"):
        raise KeyTextError("not-hybrid")
    raw = _decode(recipient, HYBRID_RECIPIENT, MLKEM_PUBLIC_BYTES + X25519_BYTES, "recipient")
    try:
        mlkem = MLKEM768PublicKey.from_public_bytes(raw[:MLKEM_PUBLIC_BYTES])
    except ValueError:
        raise KeyTextError("recipient") from None
    return MLKEM768X25519PublicKey(mlkem, _x25519_public(raw[MLKEM_PUBLIC_BYTES:]))


def private_key(identity: str) -> HybridKey | X25519PrivateKey:
    """Return the private key of an identity.

    Raises KeyTextError. The seed is expanded as filippo.io/hpke-pq lays down for MLKEM768-X25519.
    """
    hybrid, seed = _seed(identity)
    if not hybrid:
        return X25519PrivateKey.from_private_bytes(seed)
    expanded = hashlib.shake_256(seed).digest(MLKEM_SEED_BYTES + X25519_BYTES)
    return HybridKey(
        MLKEM768PrivateKey.from_seed_bytes(expanded[:MLKEM_SEED_BYTES]),
        X25519PrivateKey.from_private_bytes(expanded[MLKEM_SEED_BYTES:]),
    )


def _seed(identity: str) -> tuple[bool, bytes]:
    hybrid = identity.startswith(HYBRID_IDENTITY)
    prefix = HYBRID_IDENTITY if hybrid else X25519_IDENTITY
    # Letters such as the Kelvin sign turn into ASCII ones when lowered.
    if not (identity.isascii() and identity.isupper()):
        raise KeyTextError("identity")
    return hybrid, _decode(identity.lower(), prefix.lower(), SEED_BYTES, "identity")


def _x25519_public(raw: bytes) -> X25519PublicKey:
    """Return a public key; refuse a point of low order, which makes every shared secret zero (RFC 7748, 6.1)."""
    key = X25519PublicKey.from_public_bytes(raw)
    try:
        X25519PrivateKey.generate().exchange(key)
    except ValueError:
        raise KeyTextError("recipient") from None
    return key


def _decode(text: str, prefix: str, length: int, code: str) -> bytes:
    """Return the `length` bytes of a lower-case Bech32 text with this prefix (BIP-173, no length limit)."""
    match = _BECH32.fullmatch(text)
    if match is None or match[1] != prefix:
        raise KeyTextError(code)
    values = [_VALUE[letter] for letter in match[2]]
    digits = match[2][:-_CHECKSUM_LETTERS]
    spare = len(digits) * 5 - length * 8
    if _polymod(_expand(prefix) + values) != 1 or not 0 <= spare < 5:  # noqa: PLR2004
        raise KeyTextError(code)
    number = int(digits.translate(str.maketrans(_CHARSET, _BASE32)), 32)
    if number & ((1 << spare) - 1):
        raise KeyTextError(code)
    return (number >> spare).to_bytes(length, "big")


def _encode(prefix: str, data: bytes) -> str:
    """Return the lower-case Bech32 text of some bytes (BIP-173, no length limit)."""
    count = -(-len(data) * 8 // 5)
    number = int.from_bytes(data, "big") << (count * 5 - len(data) * 8)
    values = [number >> (5 * place) & 31 for place in reversed(range(count))]
    check = _polymod(_expand(prefix) + values + [0] * _CHECKSUM_LETTERS) ^ 1
    values += [check >> (5 * place) & 31 for place in reversed(range(_CHECKSUM_LETTERS))]
    return prefix + "1" + "".join(_CHARSET[value] for value in values)


def _expand(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATOR):
            if top >> place & 1:
                check ^= generator
    return check
