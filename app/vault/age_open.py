"""Open an age v1 file with identities, and read and write the files that hold identities.

Opens hybrid and plain X25519 stanzas; a scrypt stanza only in an identity file. The public site runs without this
module. A faulty envelope raises EnvelopeError: `no-match` for an envelope that is sealed to other identities,
otherwise the codes of `app.vault.age`. A faulty identity, key file or passphrase raises KeyTextError.
"""

import io
import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from app.core.errors import EnvelopeError, KeyTextError
from app.vault import age, keys
from app.vault.age import HYBRID_INFO, HYBRID_SHARE_BYTES, HYBRID_STANZA, HYBRID_SUITE, Stanza
from app.vault.keys import HybridKey, Identity

X25519 = "X25519"
X25519_INFO = b"age-encryption.org/v1/X25519"
SCRYPT = "scrypt"
SCRYPT_LABEL = b"age-encryption.org/v1/scrypt"
SCRYPT_SALT_BYTES = 16
SCRYPT_WORK = 18  # 256 MiB and about a second: what age itself uses
MAX_SCRYPT_WORK = 20
_WRAPPED_KEY_BYTES = age.FILE_KEY_BYTES + age.TAG_BYTES

_MLKEM_SHARE_BYTES = HYBRID_SHARE_BYTES - keys.X25519_BYTES
_ZERO_NONCE = bytes(12)
_DECIMAL = re.compile(r"[1-9][0-9]?")
_AGE_FILE_START = re.compile(rb"age-encryption\.org/|\s*-----BEGIN")

# Returns the file key, or None for a stanza of another kind or for another identity.
Unwrap = Callable[[Stanza], bytes | None]


class EnvelopeOpener:
    """Opens many envelopes with the same identities, whose keys are computed once; raises KeyTextError."""

    def __init__(self, identities: Sequence[str]) -> None:
        self._unwrappers = [_unwrapper(identity) for identity in identities]

    def unseal(self, envelope: bytes) -> bytes:
        """Return the sealed bytes, opened with the first of the identities that fits.

        Beside envelope and plaintext, one chunk of 64 KiB is held. Nothing is returned unless the envelope is complete.
        Raises EnvelopeError.
        """
        return _unseal(envelope, self._unwrappers)


def unseal(envelope: bytes, identities: Sequence[str]) -> bytes:
    """Return the sealed bytes, opened with the first of the identities that fits; no key is made of the others.

    Beside envelope and plaintext, one chunk of 64 KiB is held. Nothing is returned unless the envelope is complete.
    Raises EnvelopeError, and KeyTextError for a faulty identity.
    """
    checked = [keys.parse_identity(identity) for identity in identities]
    return _unseal(envelope, (_unwrapper(identity) for identity in checked))


def read_identity_file(data: bytes, passphrase: Callable[[], str] | None) -> tuple[Identity, ...]:
    """Return the identities in a key file, as `age-keygen` writes it, plain or under a passphrase.

    `passphrase` is called only for a file under a passphrase. Raises KeyTextError: `passphrase-needed`,
    `passphrase` (wrong), `key-file` (damaged, or too costly), `identity` (no identity in the file, or a faulty one).
    """
    if _AGE_FILE_START.match(data):
        if passphrase is None:
            raise KeyTextError("passphrase-needed")
        data = _open_key_file(data, passphrase())
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise KeyTextError("identity") from None
    texts = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not texts:
        raise KeyTextError("identity")
    return tuple(keys.parse_identity(text) for text in texts)


def write_identity_file(identity: Identity, passphrase: str | None, *, work: int = SCRYPT_WORK) -> bytes:
    """Return a key file in the form of `age-keygen`: a comment with the recipient, then the identity.

    With a passphrase the key file is an age file under scrypt (2 to the power of `work`). A key file holds no time.
    Raises KeyTextError for an empty passphrase or a faulty identity.
    """
    plain = f"# public key: {keys.recipient_of(identity)}\n{identity}\n".encode("ascii")
    if passphrase is None:
        return plain
    file_key, salt = os.urandom(age.FILE_KEY_BYTES), os.urandom(SCRYPT_SALT_BYTES)
    wrapped = ChaCha20Poly1305(_scrypt(_encode_passphrase(passphrase), salt, work)).encrypt(_ZERO_NONCE, file_key, None)
    target = io.BytesIO()
    stanza = Stanza((SCRYPT, age.encode_base64(salt).decode("ascii"), str(work)), wrapped)
    age.write_header(target, [stanza], file_key)
    age.encrypt_payload(io.BytesIO(plain), target, file_key, os.urandom(age.NONCE_BYTES))
    return target.getvalue()


def _open_key_file(data: bytes, passphrase: str) -> bytes:
    try:
        return _unseal(data, [partial(_unwrap_scrypt, _encode_passphrase(passphrase))])
    except EnvelopeError as error:
        raise KeyTextError("passphrase" if error.code == "no-match" else "key-file") from None


def _encode_passphrase(passphrase: str) -> bytes:
    try:
        secret = passphrase.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise KeyTextError("passphrase") from None
    if not secret:
        raise KeyTextError("passphrase")
    return secret


def _unseal(data: bytes, unwrappers: Iterable[Unwrap]) -> bytes:
    target = age.preallocate(len(data))
    _unseal_stream(io.BytesIO(data), target, unwrappers)
    target.truncate()
    return target.getvalue()


def _unseal_stream(source: BinaryIO, target: BinaryIO, unwrappers: Iterable[Unwrap]) -> None:
    header, payload = age.read_header(source)
    file_key = _find_file_key(header.stanzas, unwrappers)
    age.check_mac(header, file_key)
    age.decrypt_payload(payload, target, file_key)


def _find_file_key(stanzas: Sequence[Stanza], unwrappers: Iterable[Unwrap]) -> bytes:
    # Age specification, section "scrypt recipient stanza": a scrypt stanza stands alone, so that the passphrase
    # authenticates the file.
    if len(stanzas) > 1 and any(stanza.args[0] == SCRYPT for stanza in stanzas):
        raise EnvelopeError("header")
    for unwrap in unwrappers:
        for stanza in stanzas:
            file_key = unwrap(stanza)
            if file_key is not None:
                return file_key
    raise EnvelopeError("no-match")


def _unwrapper(identity: str) -> Unwrap:
    key = keys.private_key(identity)
    return partial(_unwrap_hybrid, key) if isinstance(key, HybridKey) else partial(_unwrap_x25519, key)


def _unwrap_hybrid(key: HybridKey, stanza: Stanza) -> bytes | None:
    """Return the file key of a hybrid stanza (section "mlkem768x25519 recipient stanza")."""
    if stanza.args[0] != HYBRID_STANZA:
        return None
    share = _checked_share(stanza, arguments=2, length=HYBRID_SHARE_BYTES)
    # HPKE would only fail its tag on an all-zero secret; the specification wants such a share refused.
    _x25519_exchange(key.x25519, share[_MLKEM_SHARE_BYTES:])
    try:
        return HYBRID_SUITE.decrypt(share + stanza.body, MLKEM768X25519PrivateKey(key.mlkem, key.x25519), HYBRID_INFO)
    except InvalidTag:
        return None


def _unwrap_x25519(key: X25519PrivateKey, stanza: Stanza) -> bytes | None:
    """Return the file key of an X25519 stanza (section "X25519 recipient stanza")."""
    if stanza.args[0] != X25519:
        return None
    share = _checked_share(stanza, arguments=2, length=keys.X25519_BYTES)
    salt = share + key.public_key().public_bytes_raw()
    return _unwrap_file_key(stanza, age.hkdf_sha256(_x25519_exchange(key, share), X25519_INFO, salt))


def _unwrap_scrypt(secret: bytes, stanza: Stanza) -> bytes | None:
    """Return the file key of a scrypt stanza; refuse a work factor above 2^20, which takes 1 GiB."""
    if stanza.args[0] != SCRYPT:
        return None
    salt = _checked_share(stanza, arguments=3, length=SCRYPT_SALT_BYTES)
    if not _DECIMAL.fullmatch(stanza.args[2]) or int(stanza.args[2]) > MAX_SCRYPT_WORK:
        raise EnvelopeError("header")
    return _unwrap_file_key(stanza, _scrypt(secret, salt, int(stanza.args[2])))


def _checked_share(stanza: Stanza, *, arguments: int, length: int) -> bytes:
    """Return a stanza's second argument, after a check of its form and of the body's length."""
    if len(stanza.args) != arguments or len(stanza.body) != _WRAPPED_KEY_BYTES:
        raise EnvelopeError("header")
    share = age.decode_base64(stanza.args[1].encode("ascii"))
    if len(share) != length:
        raise EnvelopeError("header")
    return share


def _x25519_exchange(key: X25519PrivateKey, share: bytes) -> bytes:
    try:
        return key.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError:
        raise EnvelopeError("header") from None


def _unwrap_file_key(stanza: Stanza, wrap_key: bytes) -> bytes | None:
    try:
        return ChaCha20Poly1305(wrap_key).decrypt(_ZERO_NONCE, stanza.body, None)
    except InvalidTag:
        return None


def _scrypt(secret: bytes, salt: bytes, work: int) -> bytes:
    return Scrypt(salt=SCRYPT_LABEL + salt, length=32, n=2**work, r=8, p=1).derive(secret)
