"""Seal: bytes or a stream to an age v1 file that only an agency's identities open.

Every recipient is hybrid (`mlkem768x25519`, post-quantum); a plain X25519 recipient is refused, since one
such stanza would undo what the others are for. Nothing here can open anything.
"""

import io
import os
from collections.abc import Sequence
from typing import BinaryIO

from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite

from app.core.errors import EnvelopeError
from app.vault import age, keys

STANZA = "mlkem768x25519"
INFO = b"age-encryption.org/mlkem768x25519"
SHARE_BYTES = 1120
MAX_RECIPIENTS = 64
STANZA_BYTES = 1557  # of the header, for each recipient
SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def seal(data: bytes, recipients: Sequence[str]) -> bytes:
    """Return the envelope of some bytes, sealed to 1 to 64 hybrid recipients.

    Raises KeyTextError for a recipient that is not hybrid, EnvelopeError for none or too many of them.
    """
    chunks = len(data) // age.CHUNK + 1
    size = len(data) + chunks * age.TAG_BYTES + (len(recipients) + 1) * STANZA_BYTES
    target = age.room(size)
    seal_file(io.BytesIO(data), target, recipients)
    target.truncate()
    return target.getvalue()


def seal_file(source: BinaryIO, target: BinaryIO, recipients: Sequence[str]) -> None:
    """Seal everything in `source` into `target` (both buffered), holding two chunks of 64 KiB at a time.

    Raises what `seal` raises, before anything is written; an OSError of either stream passes.
    """
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise EnvelopeError("recipients")
    public_keys = [keys.public_key(recipient) for recipient in recipients]
    file_key = os.urandom(age.FILE_KEY_BYTES)
    age.write_header(target, [_wrap(file_key, key) for key in public_keys], file_key)
    age.encrypt(source, target, file_key, os.urandom(age.NONCE_BYTES))


def _wrap(file_key: bytes, key: MLKEM768X25519PublicKey) -> age.Stanza:
    """Return the file key under HPKE's SealBase (RFC 9180, section 6.1), as the age specification asks."""
    sealed = SUITE.encrypt(file_key, key, INFO)
    share = age.encode(sealed[:SHARE_BYTES]).decode("ascii")
    return age.Stanza((STANZA, share), sealed[SHARE_BYTES:])
