"""Ed25519 signatures (RFC 8032), each bound to a context, and the PEM files of signing keys (RFC 8410).

A context is put before the signed bytes, so that a signature of a referral can never pass for one of a reply post or of
a line of the journal. A key in text form is its 32 raw bytes in base64. The module holds no key, and no error repeats
one.
"""

from base64 import b64decode, b64encode
from enum import Enum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from app.core.errors import KeyTextError, SignatureError

PUBLIC_KEY_BYTES = 32


class SignatureContext(bytes, Enum):
    """What a signature is for: the bytes that stand before the signed bytes."""

    REFERRAL = b"haumaru/referral/1"
    REPLY_POST = b"haumaru/reply-post/1"
    JOURNAL = b"haumaru/journal/1"
    DAY_KEYS = b"haumaru/day-keys/1"
    SEATS = b"haumaru/seats/1"
    OUTCOMES = b"haumaru/outcomes/1"
    QUESTION = b"haumaru/question/1"


def sign(context: SignatureContext, data: bytes, key: Ed25519PrivateKey) -> str:
    """Return the signature of `data` in a context, in base64."""
    return b64encode(key.sign(context.value + data)).decode("ascii")


def verify(context: SignatureContext, data: bytes, untrusted_signature: str | bytes, public_key: bytes) -> None:
    """Return only if the holder of a 32-byte public key made this base64 signature of `data` in this context.

    Raises SignatureError: `signature-form` for a text that is not canonical base64, `signature` for any other fault.
    """
    try:
        text = untrusted_signature.encode() if isinstance(untrusted_signature, str) else untrusted_signature
        signature = b64decode(text, validate=True)
    except ValueError:
        raise SignatureError("signature-form") from None
    if b64encode(signature) != text:
        raise SignatureError("signature-form")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, context.value + data)
    except (InvalidSignature, ValueError):
        raise SignatureError from None


def new_signing_key(passphrase: str | None) -> tuple[bytes, bytes]:
    """Return a new key as a PEM file, under the passphrase if there is one, and its 32-byte public key."""
    key = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), public_bytes(key)


def read_signing_key(data: bytes, passphrase: str | None) -> Ed25519PrivateKey:
    """Return the key in a PEM file; raises KeyTextError `signing-key` for another file or a wrong passphrase."""
    try:
        key = load_pem_private_key(data, passphrase.encode() if passphrase else None)
    except (ValueError, TypeError):
        raise KeyTextError("signing-key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyTextError("signing-key")
    return key


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return the 32-byte public key of a signing key."""
    return key.public_key().public_bytes_raw()


def encode_public_key(public_key: bytes) -> str:
    """Return a public key in text form."""
    return b64encode(public_key).decode("ascii")


def decode_public_key(text: str) -> bytes:
    """Return the 32 bytes of a public key in text form; raises KeyTextError `public-key`."""
    try:
        key = b64decode(text, validate=True)
    except ValueError:
        raise KeyTextError("public-key") from None
    if len(key) != PUBLIC_KEY_BYTES:
        raise KeyTextError("public-key")
    return key
