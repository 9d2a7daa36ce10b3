"""The passphrases of seats: what a new one must be, and comparing a typed one with what is kept.

Only Argon2id's result is kept (RFC 9106; 64 MiB, one lane). One derivation runs at a time and few wait, so that a
stranger who types passphrases can take neither the memory nor the time of the desk. A seat that does not exist takes as
long as one that does. Rules: NIST SP 800-63B, 3.1.1: a length, no demands on kinds of letters, and no common words.
"""

import hmac
import secrets
import threading
import unicodedata

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from app.desk.errors import RefusedError
from app.desk.seat import PassphraseVerifier, name_form

MIN_PASSPHRASE = 12  # characters; ASVS 6.2.1 asks for 8
MAX_PASSPHRASE = 200
_MIN_DIFFERENT = 5  # letters
_MAX_WAITING = 8
_SALT_BYTES = 16
# No person has this verifier: nothing derives to it.
_NOBODY = PassphraseVerifier(bytes(_SALT_BYTES), b"")
# What people write where twelve characters are asked for, in the form in which names are compared.
_COMMON = ("password", "passphrase", "123456", "qwerty", "haumaru", "letmein", "iloveyou", "welcome", "admin")
_MIN_REST = 6  # characters that must be left beside a common word


class Passphrases:
    """Makes and compares verifiers, one at a time."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(_MAX_WAITING)

    def new_verifier(self, passphrase: str, name: str) -> PassphraseVerifier:
        """Return what to keep of a new passphrase of a seat of this name.

        Raises RefusedError `passphrase-short`, `passphrase-long`, `passphrase-common` or `busy`.
        """
        require_strong(passphrase, name)
        salt = secrets.token_bytes(_SALT_BYTES)
        return PassphraseVerifier(salt, self._derive(passphrase, salt))

    def matches(self, untrusted_passphrase: str, verifier: PassphraseVerifier | None) -> bool:
        """Return whether this is the passphrase; without a verifier False, after the same time.

        Raises RefusedError `busy`.
        """
        known = verifier or _NOBODY
        derived = self._derive(untrusted_passphrase[: MAX_PASSPHRASE + 1], known.salt)
        return hmac.compare_digest(derived, known.derived)

    def _derive(self, passphrase: str, salt: bytes) -> bytes:
        if not self._places.acquire(blocking=False):
            raise RefusedError("busy")
        try:
            with self._turn:
                text = unicodedata.normalize("NFC", passphrase).encode("utf-8", "replace")
                return Argon2id(salt=salt, length=32, iterations=3, lanes=1, memory_cost=64 * 1024).derive(text)
        finally:
            self._places.release()


def require_strong(passphrase: str, name: str) -> None:
    """Raise RefusedError `passphrase-short`, `passphrase-long` or `passphrase-common` for a passphrase like that."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise RefusedError("passphrase-short")
    if len(passphrase) > MAX_PASSPHRASE:
        raise RefusedError("passphrase-long")
    form = name_form(passphrase)
    rest = form.replace(name_form(name), "") if name_form(name) else form
    for word in _COMMON:
        rest = rest.replace(word, "")
    has_common = rest != form and len(rest) < _MIN_REST
    if has_common or len(set(passphrase)) < _MIN_DIFFERENT:
        raise RefusedError("passphrase-common")
