"""Find tips that say much the same, from their text alone: nothing of the sender is compared.

Each text becomes a sketch of 16 numbers: one-permutation MinHash (Li, Owen, Zhang 2012) over runs of three words.
Texts whose sketches share two neighbouring numbers are compared. The time is linear in the length of a text and nearly
linear in the number of tips. The result is a likelihood, never a proof.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable

from app.text.words import split_words

BINS = 16
_RUN_WORDS = 3
_MIN_SHARE = 0.5  # of equal numbers, for two sketches to be similar
_MIN_WORDS = 8  # a shorter text resembles others by chance
_EMPTY = -1


def text_sketch(text: str) -> tuple[int, ...]:
    """Return the sketch of a text, 16 numbers; empty for a text too short to compare."""
    words = [word.forms[0] for word in split_words(text)]
    if len(words) < _MIN_WORDS:
        return ()
    least = [_EMPTY] * BINS
    for start in range(len(words) - _RUN_WORDS + 1):
        value = zlib.crc32(" ".join(words[start : start + _RUN_WORDS]).encode())
        place, rest = value % BINS, value // BINS
        if least[place] == _EMPTY or rest < least[place]:
            least[place] = rest
    return tuple(least)


class SimilarGroups:
    """The groups of keys whose sketches resemble each other, brought up to date key by key."""

    def __init__(self) -> None:
        self._sketches: dict[str, tuple[int, ...]] = {}
        self._buckets: dict[tuple[int, int, int], dict[str, None]] = defaultdict(dict)
        self._groups: dict[str, set[str]] = {}  # by key; the members of a group share one set
        self._apart: set[str] = set()  # keys whose group lost a member: they may belong together no longer

    def of(self, key: str) -> frozenset[str]:
        """Return the keys of the group of a key, its own among them; empty where no other resembles it."""
        self._join_again()
        return frozenset(self._groups.get(key, ()))

    def size(self, key: str) -> int:
        """Return how many keys the group of a key has; 0 where no other resembles it."""
        self._join_again()
        return len(self._groups.get(key, ()))

    def put(self, key: str, sketch: tuple[int, ...]) -> None:
        """Set or change the sketch of a key; an empty sketch takes the key out."""
        if self._sketches.get(key, ()) == sketch:
            return
        if key in self._sketches:
            self._take_out(key)
        if sketch:
            self._sketches[key] = sketch
            for bucket in _buckets(sketch):
                self._buckets[bucket][key] = None
            self._join(key)

    def _take_out(self, key: str) -> None:
        for bucket in _buckets(self._sketches.pop(key)):
            self._buckets[bucket].pop(key, None)
            if not self._buckets[bucket]:
                del self._buckets[bucket]
        self._apart.discard(key)
        group = self._groups.pop(key, set())
        group.discard(key)
        for member in group:
            del self._groups[member]
        self._apart |= group

    def _join_again(self) -> None:
        """Join what fell apart, once for all keys that were taken out meanwhile."""
        apart, self._apart = sorted(self._apart), set()
        for key in apart:
            self._join(key)

    def _join(self, key: str) -> None:
        """Join a key to the first of each of its buckets, where the two are similar.

        A comparison with all of a bucket would let a flood of tips make the desk slow.
        """
        for bucket in _buckets(self._sketches[key]):
            first = next(iter(self._buckets[bucket]))
            one, other = self._groups.get(first, {first}), self._groups.get(key, {key})
            if first == key or one is other or not _are_similar(self._sketches[first], self._sketches[key]):
                continue
            small, large = sorted((one, other), key=len)
            large |= small
            self._groups.update(dict.fromkeys((first, key, *small), large))


def _buckets(sketch: tuple[int, ...]) -> list[tuple[int, int, int]]:
    pairs = [(place, sketch[place], sketch[place + 1]) for place in range(0, len(sketch), 2)]
    return [pair for pair in pairs if pair[1:] != (_EMPTY, _EMPTY)]


def _are_similar(one: Iterable[int], other: Iterable[int]) -> bool:
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a != _EMPTY or b != _EMPTY]
    return sum(a == b for a, b in pairs) >= _MIN_SHARE * len(pairs)
