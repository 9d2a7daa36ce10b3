"""Damaged recordings of every kind: each ends in the sandbox as a cleaned file or as a refusal with a sentence."""

import os
import random

import pytest

from app.files.clean import CleanedFile, clean_files
from app.files.protocol import REFUSALS
from tests.corpus import films

_ROUNDS = 40 if os.environ.get("LONG") else 2


def _damaged(data, draw):
    """The data with a few bytes changed, a piece moved, cut out or put in twice, or an end missing."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 4, 64))):
        changed[draw.randrange(len(changed))] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    start, length = draw.randrange(len(changed)), draw.choice((1, 4, 188, 4096))
    piece, way = changed[start : start + length], draw.randrange(5)
    if way == 1:
        del changed[start : start + length]
    elif way == 2:
        changed[start:start] = piece
    elif way == 3:
        changed = changed[: max(16, start)]
    elif way == 4:
        del changed[start : start + length]
        changed[start // 2 : start // 2] = piece
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.usefixtures("no_child_left")
@pytest.mark.parametrize("name", films.KINDS)
def test_a_damaged_recording_ends_with_a_file_or_a_sentence(name):
    """Whatever is damaged in a recording, the result is a file or a refusal with a sentence, and no child is left."""
    data, draw, ends = films.of_kind(name, seconds=0.4), random.Random(f"14 {name}"), []
    for _ in range(_ROUNDS):
        (result,) = clean_files([_damaged(data, draw)])
        ends.append("cleaned" if isinstance(result, CleanedFile) else result.code)
        assert ends[-1] in {"cleaned", *REFUSALS}
        assert ends[-1] not in {"no-sandbox", "too-slow", "too-heavy"}
        assert ends[-1] != "cleaned" or films.TAG.encode() not in result.data
    print(name, {end: ends.count(end) for end in set(ends)})
