"""Held tips: the bundles of a tip with files, until its sender has looked at what was taken out and confirms.

A held tip lies in the memory store, encrypted with ChaCha20-Poly1305 under a key that only its sender's page has: the
`draft`, 16 random bytes, of which the store sees a hash. So a held tip is sealed only at `confirm`, to the recipients
of that moment. Each bundle is encrypted on its own, with its number as the nonce, under a key that is used once; the
notes for its sender's page, such as thumbnails, come last. What was altered or cut counts as no longer there. A file
can be changed while its tip is held: the end of the time and the room of the networks stay as they were.
"""

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from struct import Struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from app.core.errors import (
    AlreadySentError,
    BusyError,
    HeldDestroyedError,
    HeldFullError,
    HeldGoneError,
    HeldLimitError,
    MemoryStoreError,
    OutboxError,
)
from app.core.log import log_error
from app.delivery.clock import HELD_SECONDS, QUARTER_HOUR_SECONDS, quarter_hour_end
from app.delivery.memory_store import MemoryStore, memory_key
from app.delivery.outbox import Outbox
from app.vault.age import hkdf_sha256
from app.vault.bundle import BUNDLE_BYTES
from app.vault.part import Part, read_part
from app.vault.tip import Tip, TipId, new_tip_id, parse_tip_id
from app.vault.tip_bundles import Bundle, TipBundles, Words, from_bundles, read_words
from app.web.network_shares import NetworkShares

DRAFT_BYTES = 16
MAX_HELD_BYTES = 384 * 1024**2  # of all held tips together
MAX_HELD_SECONDS = 2 * 3600
MAX_OPEN = 4  # in one process
_MAX_WAITING = 12  # requests of one process that open a tip, or wait to
_WAIT_SECONDS = 20
_CONTEXT = b"haumaru/held/1"
_SALT_BYTES = 16
_PIECE = Struct(f"26s{BUNDLE_BYTES}s")  # the id of an envelope, and its bundle
_SEALED_PIECE_BYTES = _PIECE.size + 16
_NONCE_BYTES = 12
_COUNT_BYTES = 4
_HEAD_BYTES = _SALT_BYTES + _COUNT_BYTES


class HeldTipStore:
    """The held tips of one memory store; their envelopes go into `outbox`.

    `room` counts the bytes of memory that open tips take, for each byte held one and one more for each of `agencies`,
    since a tip is sealed for one of them and covered by decoys for the others. One network may fill the fraction
    `share` of what may be held, or down to half of that as `draw` says (see NetworkShares). Which network holds what is
    known to this process alone, and to no store.
    """

    def __init__(
        self,
        memory: MemoryStore,
        outbox: Outbox,
        *,
        share: float = 1.0,
        draw: Callable[[str, str], float] = lambda _network, _purpose: 0.0,
        room: NetworkShares | None = None,
        agencies: int = 1,
    ) -> None:
        self._memory, self._outbox, self._times_open = memory, outbox, 1 + agencies
        self._room = room or NetworkShares(2 * MAX_HELD_BYTES)
        self._openings, self._places = NetworkShares(_MAX_WAITING), threading.BoundedSemaphore(MAX_OPEN)
        self._shares = NetworkShares(MAX_HELD_BYTES, share=share, reserve=0.25, draw=draw)
        self._lock = threading.Lock()
        self._taken: dict[bytes, _TakenRoom] = {}

    def hold(
        self,
        draft: bytes,
        bundles: TipBundles | Sequence[Bundle],
        *,
        nonce: bytes,
        now: float,
        networks: Sequence[str] = (),
        notes: bytes = b"",
    ) -> int:
        """Hold the bundles of a tip for 30 to 45 minutes from `now` (unix seconds); `nonce` is the form's.

        Return the end of the time, two hours, to which the tip can be held. Raises AlreadySentError if the form was
        sent before, HeldFullError if there is no room, none for its `networks`, or no memory store.
        """
        data, ends = _encrypt(draft, bundles, notes), quarter_hour_end(now)
        try:
            self._take_room(_TakenRoom(networks, len(data)), memory_key(draft), now)
            if self._memory.was_sent(memory_key(nonce), now):
                raise AlreadySentError
            self._memory.hold(memory_key(draft), data, ends=ends, limit=MAX_HELD_BYTES, now=now)
        except MemoryStoreError as error:
            self._give_room_back(memory_key(draft))
            log_error(error)
            raise HeldFullError from None
        except OutboxError:
            self._give_room_back(memory_key(draft))
            raise
        return int(now + MAX_HELD_SECONDS) // QUARTER_HOUR_SECONDS * QUARTER_HOUR_SECONDS

    @contextmanager
    def opened(self, draft: bytes, *, now: float, networks: Sequence[str] = ()) -> Iterator["HeldBundles"]:
        """Give the bundles of a held tip, which stays held; few are open at once, because they take memory.

        Raises AlreadySentError if the tip was sent before, HeldDestroyedError if its sender destroyed the tip,
        HeldGoneError if the tip is not there for another reason, BusyError.
        """
        with self._place(networks), self._memory_of(draft, now, times=self._times_open):
            yield self._read(draft, now)

    def change_files(
        self, draft: bytes, change: Callable[[Tip, bytes], "ChangedTip"], *, now: float, networks: Sequence[str] = ()
    ) -> None:
        """Hold what `change` makes of a held tip and its notes, until the same end; raises as `opened` and `hold` do.

        The envelopes keep their ids; further ones have random ids.
        """
        with self._place(networks), self._memory_of(draft, now, times=3):
            tip, notes, ids = self._read(draft, now).read_tip()
            changed = change(tip, notes)
            bundles = TipBundles(
                changed.tip, part_ids=lambda number: ids[number] if number < len(ids) else new_tip_id()
            )
            data = _encrypt(draft, bundles, changed.notes)
            self._change_room(memory_key(draft), len(data))
            if not self._memory.replace(memory_key(draft), data, limit=MAX_HELD_BYTES, now=now):
                raise self._absent(draft, now)
            # Whatever was sent or destroyed in the meantime stays gone.
            if self._memory.was_sent(memory_key(draft), now) or self.was_discarded(draft, now=now):
                self.drop(draft)
                raise self._absent(draft, now)

    def _read(self, draft: bytes, now: float) -> "HeldBundles":
        data = self._memory.held(memory_key(draft), now)
        if data is None or self.was_discarded(draft, now=now):
            raise self._absent(draft, now)
        return HeldBundles(draft, data)

    @contextmanager
    def _place(self, networks: Sequence[str]) -> Iterator[None]:
        """Hold one of the few places in which a tip is opened; few requests of a network wait for one."""
        if not self._openings.take(networks):
            raise BusyError
        try:
            if not self._places.acquire(timeout=_WAIT_SECONDS):
                raise BusyError
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._openings.give_back(networks)

    def _memory_of(self, draft: bytes, now: float, *, times: int) -> AbstractContextManager[None]:
        amount = times * self._memory.held_size(memory_key(draft), now)
        return self._room.hold_more((), amount, seconds=_WAIT_SECONDS)

    def extend(self, draft: bytes, *, latest: int, now: float) -> None:
        """Hold a tip for 30 minutes more, but not beyond `latest`, which `hold` returned.

        Raises HeldLimitError if the time would be less than 30 minutes, and otherwise as `opened`.
        """
        if now + HELD_SECONDS > latest:
            with self.opened(draft, now=now):
                raise HeldLimitError
        if not self._memory.extend(memory_key(draft), min(quarter_hour_end(now), latest), now):
            raise self._absent(draft, now)

    def drop(self, draft: bytes) -> None:
        """Destroy a held tip that was sent."""
        self._give_room_back(memory_key(draft))
        try:
            self._memory.drop_held(memory_key(draft))
        except MemoryStoreError as error:
            log_error(error)  # its time ends by itself, and it cannot be sent twice

    def discard(self, draft: bytes, *, now: float) -> None:
        """Destroy a held tip that was not sent, so that no confirmation can send it any more; raises as `opened`."""
        with self.opened(draft, now=now) as bundles:
            words_id = next(iter(bundles)).id
        self._outbox.use_up(words_id, self._memory, draft=draft, mark=_discard_key(draft), now=now)
        self._memory.drop_held(memory_key(draft))

    def was_discarded(self, draft: bytes, *, now: float) -> bool:
        """Return whether a held tip was destroyed by its sender."""
        return self._memory.was_sent(_discard_key(draft), now)

    def _absent(self, draft: bytes, now: float) -> OutboxError:
        if self.was_discarded(draft, now=now):
            return HeldDestroyedError()
        return AlreadySentError() if self._memory.was_sent(memory_key(draft), now) else HeldGoneError()

    def _take_room(self, room: "_TakenRoom", key: bytes, now: float) -> None:
        """Take room of the networks' shares; what was sent or destroyed, here or elsewhere, takes none any more."""
        if not self._shares.take(room.networks, room.size):
            with self._lock:
                others = list(self._taken)
            for other in others:
                if not self._memory.held_size(other, now):
                    self._give_room_back(other)
            if not self._shares.take(room.networks, room.size):
                raise HeldFullError
        with self._lock:
            self._taken[key] = room

    def _change_room(self, key: bytes, size: int) -> None:
        """Take of the networks' shares what a held tip takes more, or give back; HeldFullError where that is too much.

        Only the process that held the tip knows its networks.
        """
        with self._lock:
            room = self._taken.get(key)
            if room is None:
                return
            if size > room.size and not self._shares.take(room.networks, size - room.size):
                raise HeldFullError
            if size < room.size:
                self._shares.give_back(room.networks, room.size - size)
            self._taken[key] = _TakenRoom(room.networks, size)

    def _give_room_back(self, key: bytes) -> None:
        with self._lock:
            room = self._taken.pop(key, None)
        if room:
            self._shares.give_back(room.networks, room.size)


@dataclass(frozen=True)
class ChangedTip:
    """A tip whose files were changed, and the notes for its sender's page."""

    tip: Tip
    notes: bytes


@dataclass(frozen=True)
class _TakenRoom:
    """Bytes that a held tip takes of its networks' shares."""

    networks: Sequence[str]
    size: int


def _discard_key(draft: bytes) -> bytes:
    return memory_key(b"discarded" + draft)


def _encrypt(draft: bytes, bundles: TipBundles | Sequence[Bundle], notes: bytes) -> memoryview:
    salt, count = secrets.token_bytes(_SALT_BYTES), len(bundles)
    cipher, context = _cipher(draft, salt), _context(count)
    sealed_notes = cipher.encrypt(_nonce(count), notes, context)
    data = memoryview(bytearray(_piece(count).start + len(sealed_notes)))
    data[:_HEAD_BYTES] = salt + count.to_bytes(_COUNT_BYTES, "big")
    data[_piece(count).start :] = sealed_notes
    for number, bundle in enumerate(bundles):
        piece = _PIECE.pack(bundle.id.encode("ascii"), bundle.data)
        data[_piece(number)] = cipher.encrypt(_nonce(number), piece, context)
    return data


class HeldBundles:
    """The bundles of an open held tip, decrypted one at a time; HeldGoneError where the bytes were altered or cut."""

    def __init__(self, draft: bytes, data: bytes) -> None:
        self._data, self._count = memoryview(data), int.from_bytes(data[_SALT_BYTES:_HEAD_BYTES], "big")
        self._cipher = _cipher(draft, data[:_SALT_BYTES])
        if not 1 <= self._count <= len(data) // _SEALED_PIECE_BYTES:
            raise HeldGoneError

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Bundle]:
        for number in range(self._count):
            identifier, bundle = _PIECE.unpack(self._decrypt(number, self._data[_piece(number)]))
            yield Bundle(parse_tip_id(identifier.decode("ascii")), bundle)

    @property
    def notes(self) -> bytes:
        """The notes for its sender's page."""
        return self._decrypt(self._count, self._data[_piece(self._count).start :])

    @property
    def words(self) -> Words:
        """The words of the tip, which name its files."""
        return read_words(next(iter(self)).data)

    def read_tip(self) -> tuple[Tip, bytes, list[TipId]]:
        """Return the whole tip, the notes, and the ids of its envelopes in order."""
        bundles = iter(self)
        first = next(bundles)
        words, ids = read_words(first.data), [first.id]

        def parts() -> Iterator[Part]:
            for bundle in bundles:
                ids.append(bundle.id)
                yield read_part(bundle.data)

        return from_bundles(words, parts()), self.notes, ids

    def _decrypt(self, number: int, sealed: memoryview) -> bytes:
        try:
            return self._cipher.decrypt(_nonce(number), sealed, _context(self._count))
        except InvalidTag:
            raise HeldGoneError from None


def _piece(number: int) -> slice:
    """Return where the sealed bundle of a number lies."""
    at = _HEAD_BYTES + number * _SEALED_PIECE_BYTES
    return slice(at, at + _SEALED_PIECE_BYTES)


def _cipher(draft: bytes, salt: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(hkdf_sha256(draft, _CONTEXT, salt))


def _context(count: int) -> bytes:
    return _CONTEXT + count.to_bytes(4, "big")


def _nonce(number: int) -> bytes:
    return number.to_bytes(_NONCE_BYTES, "big")
