"""Which tips say much the same, from their text alone: no mark of a sender is looked at, because there is none.

Each text becomes a sketch of 16 numbers (one-permutation MinHash over runs of three words); texts that share two
neighbouring numbers are compared. Linear in the text and, nearly, in the number of tips.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping

from app.text.phrases import split_words

BINS = 16
_RUN = 3
_ALIKE = 0.5
_FEWEST = 8  # words; shorter texts are alike too easily
_EMPTY = -1


def text_sketch(text: str) -> tuple[int, ...]:
    """The sketch of a text; empty for one too short to compare."""
    words = [word.forms[0] for word in split_words(text)]
    if len(words) < _FEWEST:
        return ()
    least = [_EMPTY] * BINS
    for start in range(len(words) - _RUN + 1):
        value = zlib.crc32(" ".join(words[start : start + _RUN]).encode())
        place, rest = value % BINS, value // BINS
        if least[place] == _EMPTY or rest < least[place]:
            least[place] = rest
    return tuple(least)


def similar_groups(sketches: Mapping[str, tuple[int, ...]]) -> dict[str, frozenset[str]]:
    """Each key that has likely repeats, with all the keys of its group, its own among them."""
    buckets: dict[tuple[int, int, int], list[str]] = defaultdict(list)
    for key, one in sketches.items():
        for place in range(0, len(one), 2):
            if one[place] != _EMPTY or one[place + 1] != _EMPTY:
                buckets[place, one[place], one[place + 1]].append(key)
    leader: dict[str, str] = {}
    for bucket in buckets.values():
        # The first stands for all: comparing each with each would let one flood make the desk slow.
        for key in bucket[1:]:
            if _alike(sketches[bucket[0]], sketches[key]):
                _join(leader, bucket[0], key)
    members: dict[str, set[str]] = defaultdict(set)
    for key in leader:
        members[_find(leader, key)].add(key)
    return {key: frozenset(group) for group in members.values() for key in group}


def _alike(one: Iterable[int], other: Iterable[int]) -> bool:
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a != _EMPTY or b != _EMPTY]
    return sum(a == b for a, b in pairs) >= _ALIKE * len(pairs)


def _join(leader: dict[str, str], one: str, other: str) -> None:
    leader[_find(leader, other)] = leader.setdefault(_find(leader, one), _find(leader, one))


def _find(leader: dict[str, str], key: str) -> str:
    while leader.setdefault(key, key) != key:
        leader[key] = leader[leader[key]]
        key = leader[key]
    return key
