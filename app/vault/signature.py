"""The desk's Ed25519 key: made, kept in a PEM file, read back. It signs replies and referrals (RFC 8032, 8410)."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from app.core.errors import KeyTextError


def new_signing_key(passphrase: str | None) -> tuple[bytes, bytes]:
    """A new key as a PEM file, under the passphrase if there is one, and its 32-byte public half."""
    key = Ed25519PrivateKey.generate()
    lock = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock), key.public_key().public_bytes_raw()


def read_signing_key(data: bytes, passphrase: str | None) -> Ed25519PrivateKey:
    """The key in a PEM file; `KeyTextError` where it is none, or the passphrase is wrong."""
    try:
        key = load_pem_private_key(data, passphrase.encode() if passphrase else None)
    except (ValueError, TypeError):
        raise KeyTextError("signing-key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyTextError("signing-key")
    return key
