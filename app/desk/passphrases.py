"""The passphrases of seats: what is kept of a new one, and comparing a typed one with what is kept.

Only Argon2id's result is kept (RFC 9106; 64 MiB, one lane). One derivation runs at a time and few wait, so that a
stranger who types passphrases can take neither the memory nor the time of the desk. A seat that does not exist takes as
long as one that does.
"""

import hmac
import secrets
import threading
import unicodedata
from collections.abc import Iterable

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from app.desk.errors import RefusedError
from app.desk.passphrase_rules import MAX_PASSPHRASE, require_long, require_uncommon
from app.desk.seat import PassphraseVerifier

_MAX_WAITING = 8
_SALT_BYTES = 16
# No person has this verifier: nothing derives to it.
_NOBODY = PassphraseVerifier(bytes(_SALT_BYTES), b"")


class Passphrases:
    """Makes and compares verifiers, one at a time; `context` are the names of the desk, of which none may be made."""

    def __init__(self, context: Iterable[str] = ()) -> None:
        self._context = tuple(context)
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(_MAX_WAITING)

    def new_verifier(self, passphrase: str, name: str) -> PassphraseVerifier:
        """Return what to keep of a new passphrase of a seat of this name.

        Raises RefusedError `passphrase-long` or `busy`, or as `require_long` and `require_uncommon` do.
        """
        require_long(passphrase)
        if len(passphrase) > MAX_PASSPHRASE:
            raise RefusedError("passphrase-long")
        require_uncommon(passphrase, (name, *name.split(), *self._context))
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
