"""A reply, sealed and opened under a reply key: ChaCha20-Poly1305, of one length, bound to its locator.

Only the holder of a receipt code can derive the key and the locator, so nobody else can read, change or move a reply.
A reply that does not open raises ReplyError, without a reason.
"""

import json
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from app.core.errors import ReplyError

KEY_BYTES = 32
NONCE_BYTES = 12
PLAIN_BYTES = 32 * 1024
SEALED_BYTES = NONCE_BYTES + PLAIN_BYTES + 16

_CONTEXT = b"haumaru/reply/1"


def seal_reply(message: Mapping[str, object], key: bytes, locator: str) -> bytes:
    """Return a message as 32,796 bytes under a 32-byte reply key.

    Raises ReplyError: `too-long` (its JSON takes more than 32 KiB of UTF-8), `message` (it has none), `key`.
    """
    try:
        plain = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        raise ReplyError("message") from None
    if len(plain) > PLAIN_BYTES:
        raise ReplyError("too-long")
    nonce = os.urandom(NONCE_BYTES)
    # Blanks after the value are part of JSON's own grammar (RFC 8259, section 2).
    return nonce + _cipher(key).encrypt(nonce, plain.ljust(PLAIN_BYTES), _CONTEXT + locator.encode())


def open_reply(sealed: bytes, key: bytes, locator: str) -> Mapping[str, object]:
    """Return the message of a sealed reply.

    Raises ReplyError if it was not sealed with this key for this locator, or was changed.
    """
    if len(sealed) != SEALED_BYTES:
        raise ReplyError
    nonce, body = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        message = json.loads(_cipher(key).decrypt(nonce, body, _CONTEXT + locator.encode()))
    except (InvalidTag, ValueError, RecursionError):
        raise ReplyError from None
    if not isinstance(message, dict):
        raise ReplyError
    return message


def _cipher(key: bytes) -> ChaCha20Poly1305:
    if len(key) != KEY_BYTES:
        raise ReplyError("key")
    return ChaCha20Poly1305(key)
