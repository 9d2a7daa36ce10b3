"""Held tips: the bundles of a tip with files, until its sender has looked at what was taken out and confirms.

A held tip lies in the memory store, encrypted with ChaCha20-Poly1305 under a key that only its sender's page has: the
`draft`, 16 random bytes, of which the store sees a hash. So a held tip is sealed only at `confirm`, to the recipients
of that moment. Each bundle is encrypted on its own, with its number as the nonce, under a key that is used once.
What was altered or cut counts as no longer there.
"""

import secrets
from collections.abc import Sequence
from struct import Struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from app.core.errors import AlreadySentError, HeldFullError, HeldGoneError, HeldLimitError, MemoryStoreError
from app.core.log import log_error
from app.delivery.clock import HELD_SECONDS, QUARTER_HOUR_SECONDS, quarter_hour_end
from app.delivery.memory_store import MemoryStore, memory_key
from app.delivery.outbox import Outbox
from app.vault.age import hkdf_sha256
from app.vault.bundle import BUNDLE_BYTES
from app.vault.tip import parse_tip_id
from app.vault.tip_bundles import Bundle

DRAFT_BYTES = 16
MAX_HELD_BYTES = 256 * 1024**2  # of all held tips together
MAX_HELD_SECONDS = 2 * 3600
_CONTEXT = b"haumaru/held/1"
_START = Struct(">Q16s")  # the last quarter-hour to which a tip can be held, in unix seconds, and a random salt
_PIECE = Struct(f"26s{BUNDLE_BYTES}s")  # the id of an envelope, and its bundle
_SEALED_PIECE_BYTES = _PIECE.size + 16
_NONCE_BYTES = 12


class HeldTipStore:
    """The held tips of one memory store; their envelopes go into `outbox`."""

    def __init__(self, memory: MemoryStore, outbox: Outbox) -> None:
        self._memory, self._outbox = memory, outbox

    def hold(self, draft: bytes, bundles: Sequence[Bundle], *, nonce: bytes, now: float) -> None:
        """Hold the bundles of a tip for 30 to 45 minutes from `now` (unix seconds); `nonce` is the form's.

        Raises AlreadySentError if the form was sent before, HeldFullError if there is no room or no memory store.
        """
        latest = int(now + MAX_HELD_SECONDS) // QUARTER_HOUR_SECONDS * QUARTER_HOUR_SECONDS
        data = _encrypt(draft, bundles, latest)
        try:
            if self._memory.was_sent(memory_key(nonce), now):
                raise AlreadySentError
            ends = quarter_hour_end(now)
            self._memory.hold(memory_key(draft), data, ends=ends, limit=MAX_HELD_BYTES, now=now)
        except MemoryStoreError as error:
            log_error(error)
            raise HeldFullError from None

    def open(self, draft: bytes, *, now: float) -> list[Bundle]:
        """Return the bundles of a held tip, which stays held.

        Raises AlreadySentError if the tip was sent before, HeldGoneError if it is not there.
        """
        return _decrypt(draft, self._held(draft, now))

    def extend(self, draft: bytes, *, now: float) -> None:
        """Hold a tip for 30 minutes more, within two hours in all; raises as `open`, and HeldLimitError beyond that."""
        latest = _START.unpack_from(self._held(draft, now))[0]
        if now + HELD_SECONDS > latest:
            raise HeldLimitError
        self._memory.extend(memory_key(draft), min(quarter_hour_end(now), latest))

    def drop(self, draft: bytes) -> None:
        """Destroy a held tip that was sent."""
        try:
            self._memory.drop_held(memory_key(draft))
        except MemoryStoreError as error:
            log_error(error)  # its time ends by itself, and it cannot be sent twice

    def discard(self, draft: bytes, *, now: float) -> None:
        """Destroy a held tip that was not sent, so that no confirmation can send it any more; raises as `open`."""
        words = self.open(draft, now=now)[0]
        self._outbox.use_up(words.id, draft=draft, now=now)
        self._memory.mark_sent(_discard_key(draft), now)
        self._memory.drop_held(memory_key(draft))

    def was_discarded(self, draft: bytes, *, now: float) -> bool:
        """Return whether a held tip was destroyed by its sender."""
        return self._memory.was_sent(_discard_key(draft), now)

    def _held(self, draft: bytes, now: float) -> bytes:
        data = self._memory.held(memory_key(draft), now)
        if data is None:
            sent = self._memory.was_sent(memory_key(draft), now) and not self.was_discarded(draft, now=now)
            raise AlreadySentError if sent else HeldGoneError
        return data


def _discard_key(draft: bytes) -> bytes:
    return memory_key(b"discarded" + draft)


def _encrypt(draft: bytes, bundles: Sequence[Bundle], latest: int) -> bytes:
    start = _START.pack(latest, secrets.token_bytes(16))
    cipher, context = _cipher(draft, start), _context(start, len(bundles))
    pieces = (_PIECE.pack(bundle.id.encode("ascii"), bundle.data) for bundle in bundles)
    sealed = (cipher.encrypt(_nonce(number), piece, context) for number, piece in enumerate(pieces))
    return b"".join([start, *sealed])


def _decrypt(draft: bytes, data: bytes) -> list[Bundle]:
    start, sealed = data[: _START.size], memoryview(data)[_START.size :]
    count = len(sealed) // _SEALED_PIECE_BYTES
    cipher, context = _cipher(draft, start), _context(start, count)
    bundles = []
    try:
        for number in range(count):
            piece = sealed[number * _SEALED_PIECE_BYTES : (number + 1) * _SEALED_PIECE_BYTES]
            identifier, bundle = _PIECE.unpack(cipher.decrypt(_nonce(number), piece, context))
            bundles.append(Bundle(parse_tip_id(identifier.decode("ascii")), bundle))
    except InvalidTag:
        raise HeldGoneError from None
    if not bundles:
        raise HeldGoneError
    return bundles


def _cipher(draft: bytes, start: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(hkdf_sha256(draft, _CONTEXT, start))


def _context(start: bytes, count: int) -> bytes:
    return _CONTEXT + start + count.to_bytes(4, "big")


def _nonce(number: int) -> bytes:
    return number.to_bytes(_NONCE_BYTES, "big")
