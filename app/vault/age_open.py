"""Unseal: open an age v1 file with identities, and read and write the files that hold those.

It opens hybrid and plain X25519 stanzas, and scrypt ones in identity files alone. The public side runs
without this module. Whatever is wrong with an envelope raises EnvelopeError: `no-match` if it is for
somebody else, otherwise the codes of `app.vault.age`.
"""

import io
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from app.core.errors import EnvelopeError, KeyTextError
from app.vault import age, keys
from app.vault.age import Stanza
from app.vault.keys import HybridKey, Identity
from app.vault.seal import INFO, SHARE_BYTES, SUITE
from app.vault.seal import STANZA as HYBRID

X25519 = "X25519"
X25519_INFO = b"age-encryption.org/v1/X25519"
SCRYPT = "scrypt"
SCRYPT_LABEL = b"age-encryption.org/v1/scrypt"
SCRYPT_SALT_BYTES = 16
WORK = 18  # 256 MiB and about a second: what age itself uses
MAX_WORK = 20
WRAPPED_BYTES = age.FILE_KEY_BYTES + age.TAG_BYTES

_MLKEM_SHARE_BYTES = SHARE_BYTES - keys.X25519_BYTES
_NO_NONCE = bytes(12)
_DECIMAL = re.compile(r"[1-9][0-9]?")
_SEALED_FILE = re.compile(rb"age-encryption\.org/|\s*-----BEGIN")

# Returns the file key, or None where a stanza is of another kind or for somebody else.
Unwrap = Callable[[Stanza], bytes | None]


def unseal(envelope: bytes, identities: Sequence[str]) -> bytes:
    """Return what was sealed, opened with whichever of the identities fits.

    Raises EnvelopeError, KeyTextError for a faulty identity.
    """
    return _unseal(envelope, _unwrappers(identities))


def unseal_file(source: BinaryIO, target: BinaryIO, identities: Sequence[str]) -> None:
    """Open `source` into `target` (both buffered), holding one chunk of 64 KiB at a time.

    Each chunk is written once it has been authenticated; only a return means that the end was there too.
    After an EnvelopeError throw away what was written. An OSError of either stream passes.
    """
    _unseal_file(source, target, _unwrappers(identities))


def read_identity_file(data: bytes, passphrase: Callable[[], str] | None) -> tuple[Identity, ...]:
    """Return the identities in a key file, as `age-keygen` writes it, plain or under a passphrase.

    The passphrase is asked for only where one is needed. Raises KeyTextError: `passphrase-needed`,
    `passphrase` (wrong), `key-file` (damaged, too costly), `identity` (none in it, or a faulty one).
    """
    if _SEALED_FILE.match(data):
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


def write_identity_file(identity: Identity, passphrase: str | None, *, work: int = WORK) -> bytes:
    """Return a key file that age's users expect: a comment with the recipient, then the identity.

    With a passphrase it is an age file under scrypt (2 to the power of `work`). It holds no time.
    Raises KeyTextError for an empty passphrase or a faulty identity.
    """
    plain = f"# public key: {keys.recipient_of(identity)}\n{identity}\n".encode("ascii")
    if passphrase is None:
        return plain
    file_key, salt = os.urandom(age.FILE_KEY_BYTES), os.urandom(SCRYPT_SALT_BYTES)
    wrapped = ChaCha20Poly1305(_stretch(_secret(passphrase), salt, work)).encrypt(_NO_NONCE, file_key, None)
    target = io.BytesIO()
    stanza = Stanza((SCRYPT, age.encode(salt).decode("ascii"), str(work)), wrapped)
    age.write_header(target, [stanza], file_key)
    age.encrypt(io.BytesIO(plain), target, file_key, os.urandom(age.NONCE_BYTES))
    return target.getvalue()


def _open_key_file(data: bytes, passphrase: str) -> bytes:
    try:
        return _unseal(data, [partial(_unwrap_scrypt, _secret(passphrase))])
    except EnvelopeError as error:
        raise KeyTextError("passphrase" if error.code == "no-match" else "key-file") from None


def _secret(passphrase: str) -> bytes:
    try:
        secret = passphrase.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise KeyTextError("passphrase") from None
    if not secret:
        raise KeyTextError("passphrase")
    return secret


def _unseal(data: bytes, unwrappers: Sequence[Unwrap]) -> bytes:
    target = age.room(len(data))
    _unseal_file(io.BytesIO(data), target, unwrappers)
    target.truncate()
    return target.getvalue()


def _unseal_file(source: BinaryIO, target: BinaryIO, unwrappers: Sequence[Unwrap]) -> None:
    header, payload = age.read_header(source)
    file_key = _file_key(header.stanzas, unwrappers)
    age.check_mac(header, file_key)
    age.decrypt(payload, target, file_key)


def _file_key(stanzas: Sequence[Stanza], unwrappers: Sequence[Unwrap]) -> bytes:
    # A passphrase says who wrote a file only if nobody else could have opened it.
    if len(stanzas) > 1 and any(stanza.args[0] == SCRYPT for stanza in stanzas):
        raise EnvelopeError("header")
    for unwrap in unwrappers:
        for stanza in stanzas:
            file_key = unwrap(stanza)
            if file_key is not None:
                return file_key
    raise EnvelopeError("no-match")


def _unwrappers(identities: Sequence[str]) -> list[Unwrap]:
    return [_unwrapper(keys.private_key(identity)) for identity in identities]


def _unwrapper(key: HybridKey | X25519PrivateKey) -> Unwrap:
    return partial(_unwrap_hybrid, key) if isinstance(key, HybridKey) else partial(_unwrap_x25519, key)


def _unwrap_hybrid(key: HybridKey, stanza: Stanza) -> bytes | None:
    """Section "mlkem768x25519 recipient stanza"."""
    if stanza.args[0] != HYBRID:
        return None
    share = _share(stanza, arguments=2, length=SHARE_BYTES)
    # HPKE would only fail its tag on an all-zero secret; the specification wants such a share refused.
    _exchange(key.x25519, share[_MLKEM_SHARE_BYTES:])
    try:
        return SUITE.decrypt(share + stanza.body, MLKEM768X25519PrivateKey(key.mlkem, key.x25519), INFO)
    except InvalidTag:
        return None


def _unwrap_x25519(key: X25519PrivateKey, stanza: Stanza) -> bytes | None:
    """Section "X25519 recipient stanza"."""
    if stanza.args[0] != X25519:
        return None
    share = _share(stanza, arguments=2, length=keys.X25519_BYTES)
    salt = share + key.public_key().public_bytes_raw()
    return _open_body(stanza, age.derive(_exchange(key, share), X25519_INFO, salt))


def _unwrap_scrypt(secret: bytes, stanza: Stanza) -> bytes | None:
    """Section "scrypt recipient stanza"; a work factor above 2^20 (1 GiB) is refused."""
    if stanza.args[0] != SCRYPT:
        return None
    salt = _share(stanza, arguments=3, length=SCRYPT_SALT_BYTES)
    if not _DECIMAL.fullmatch(stanza.args[2]) or int(stanza.args[2]) > MAX_WORK:
        raise EnvelopeError("header")
    return _open_body(stanza, _stretch(secret, salt, int(stanza.args[2])))


def _share(stanza: Stanza, *, arguments: int, length: int) -> bytes:
    """Return a stanza's second argument; its form and the body's length are checked before a key is used."""
    if len(stanza.args) != arguments or len(stanza.body) != WRAPPED_BYTES:
        raise EnvelopeError("header")
    share = age.decode(stanza.args[1].encode("ascii"))
    if len(share) != length:
        raise EnvelopeError("header")
    return share


def _exchange(key: X25519PrivateKey, share: bytes) -> bytes:
    try:
        return key.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError:
        raise EnvelopeError("header") from None


def _open_body(stanza: Stanza, wrap_key: bytes) -> bytes | None:
    try:
        return ChaCha20Poly1305(wrap_key).decrypt(_NO_NONCE, stanza.body, None)
    except InvalidTag:
        return None


def _stretch(secret: bytes, salt: bytes, work: int) -> bytes:
    return Scrypt(salt=SCRYPT_LABEL + salt, length=32, n=2**work, r=8, p=1).derive(secret)
