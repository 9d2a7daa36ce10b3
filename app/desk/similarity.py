"""Find tips that say much the same, from their text alone: nothing of the sender is compared.

Each text becomes a sketch of 16 numbers: one-permutation MinHash (Li, Owen, Zhang 2012) over runs of three words.
Texts whose sketches share two neighbouring numbers are compared. The time is linear in the length of a text and nearly
linear in the number of tips. The result is a likelihood, never a proof.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping

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


def similar_groups(sketches: Mapping[str, tuple[int, ...]]) -> dict[str, frozenset[str]]:
    """Return each key whose sketch resembles another, with all the keys of its group, its own among them."""
    buckets: dict[tuple[int, int, int], list[str]] = defaultdict(list)
    for key, one in sketches.items():
        for place in range(0, len(one), 2):
            if one[place] != _EMPTY or one[place + 1] != _EMPTY:
                buckets[place, one[place], one[place + 1]].append(key)
    leader: dict[str, str] = {}
    for bucket in buckets.values():
        # Each is compared with the first alone: comparing all pairs would let a flood of tips make the desk slow.
        for key in bucket[1:]:
            if _are_similar(sketches[bucket[0]], sketches[key]):
                _join(leader, bucket[0], key)
    members: dict[str, set[str]] = defaultdict(set)
    for key in leader:
        members[_find(leader, key)].add(key)
    return {key: frozenset(group) for group in members.values() for key in group}


def _are_similar(one: Iterable[int], other: Iterable[int]) -> bool:
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a != _EMPTY or b != _EMPTY]
    return sum(a == b for a, b in pairs) >= _MIN_SHARE * len(pairs)


def _join(leader: dict[str, str], one: str, other: str) -> None:
    leader[_find(leader, other)] = leader.setdefault(_find(leader, one), _find(leader, one))


def _find(leader: dict[str, str], key: str) -> str:
    while leader.setdefault(key, key) != key:
        leader[key] = leader[leader[key]]
        key = leader[key]
    return key
