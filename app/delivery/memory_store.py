"""The memory store: what delivery and the form know only until the power goes.

It holds the forms that were sent, held tips (bytes that the caller encrypted), the numbers of a day's answers under a
receipt code until that day ends, which envelopes of the outbox are decoys, and which are the words and parts of tips.
No durability depends on the memory store: an envelope that it does not know counts as the words of a tip, so that
losing all of it loses no tip. Its one rule: an id is listed as a decoy only after the decoy's commit, and the id of a
tip never is. Two backends hold the same: `memory_sqlite` (a folder in a tmpfs) and `memory_redis`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from app.vault.tip import TipId

FORM_SECONDS = 45 * 60  # for which at least a sent form stays known


@dataclass(frozen=True)
class EnvelopeKind:
    """What an envelope holds: a decoy, a tip's words or one of its parts; `rank` is the number of the tip's parts."""

    name: str
    rank: int = 0


DECOY = EnvelopeKind("decoy")
MOMENTS_SOON = 4096  # of agreed levels: more than a window has cells, so that a clock that was set back is no end
WORDS, PART = "words", "part"  # the names of the other two kinds


def memory_key(secret: bytes) -> bytes:
    """Return the key under which the memory store knows a form's nonce or a held tip's draft."""
    return hashlib.sha256(secret).digest()


def answer_keys(locator: str, day: date, nonce: bytes) -> tuple[bytes, bytes]:
    """Return the keys of the answers of a day under a locator, and of the one that is sent with a form's nonce.

    Neither can be found without the locator, and no other key of the memory store is like them.
    """
    thread = f"haumaru/answers/1 {locator} {day.isoformat()}".encode()
    return memory_key(thread), memory_key(thread + nonce)


class MemoryStore(Protocol):
    """What both backends do; every method may raise MemoryStoreError. Keys are SHA-256 digests, 32 bytes."""

    # Forms and held tips, for the site.

    def use_forms(self, keys: Sequence[bytes], words_id: TipId, now: float) -> Mapping[bytes, TipId]:
        """Note that forms are being sent as the tip `words_id`; return the tips of earlier attempts, by their keys.

        Only the outbox can say whether an earlier attempt succeeded. Raises AlreadySentError if one of the forms was
        sent; then the others may be noted. The caller excludes others that send the same forms.
        """

    def mark_sent(self, keys: Sequence[bytes], now: float) -> None:
        """Note that forms or held tips were sent; forgotten after 45 to 60 minutes."""

    def number_answer(self, thread: bytes, form: bytes, *, ends: int, now: float) -> int:
        """Return the place, 1 for the first, of a form's answer among those of a thread until `ends` (unix seconds).

        A form that is sent again keeps its place.
        """

    def was_sent(self, key: bytes, now: float) -> bool:
        """Return whether a form or a held tip was sent."""

    def hold(self, key: bytes, data: bytes | memoryview, *, ends: int, limit: int, now: float) -> None:
        """Hold encrypted bytes until `ends` (unix seconds), in place of those that the key held before.

        Raises HeldFullError where all that is held would be more than `limit` bytes.
        """

    def replace(self, key: bytes, data: bytes | memoryview, *, limit: int, now: float) -> bool:
        """Hold other bytes in place of those that a key holds, until the same end; return False if nothing is held.

        Raises HeldFullError as `hold` does.
        """

    def held(self, key: bytes, now: float) -> bytes | None:
        """Return what a key holds; None if nothing, or if its time is over."""

    def held_size(self, key: bytes, now: float) -> int:
        """Return how many bytes a key holds, 0 if nothing, or if its time is over."""

    def extend(self, key: bytes, ends: int, now: float) -> bool:
        """Let what a key holds end at `ends`; return False if nothing is held, or if its time is over."""

    def drop_held(self, key: bytes) -> bool:
        """Destroy what a key holds; return whether anything was held."""

    def count_held(self, now: float) -> int:
        """Return how many keys hold something."""

    # Which envelopes are decoys, for the outbox and the forwarder.

    def list_decoy(self, agency: str, envelope_id: TipId) -> None:
        """List an envelope as a decoy; only after the commit that put the decoy into the outbox."""

    def take_decoys(self, agency: str, count: int) -> list[TipId]:
        """Return at most `count` listed decoys, chosen at random, which are listed no longer."""

    def note_tip(self, agency: str, words_id: TipId, part_ids: Sequence[TipId]) -> None:
        """Note which envelopes are the words and the parts of one tip."""

    def forget(self, ids: Iterable[TipId]) -> None:
        """Forget envelopes that leave the outbox; call it before they are settled.

        A form that one of them was being sent for counts as sent from then on.
        """

    def kinds(self, agency: str) -> Mapping[TipId, EnvelopeKind]:
        """Return what is known of an agency's envelopes; one that is missing counts as a tip's words."""

    def count_words(self) -> int:
        """Return how many envelopes, of all agencies, are known as the words of tips."""

    def forget_ended(self, now: float) -> None:
        """Forget the forms and the numbers of answers whose time is over."""

    # How far the outbox is filled for each agency, for the forwarder.

    def level(self) -> int:
        """Return the number of envelopes up to which the outbox is filled for each agency; 0 if none was agreed."""

    def agree_level(self, moment: int, level: int) -> int:
        """Return the level that was agreed for a moment, or for one soon after; where none was, agree on `level`.

        So the threads of all agencies fill up to one level at each moment, whichever of them asks first.
        """

    def close(self) -> None:
        """Close what is open."""
