"""The words that a sender ticked to take out: kept while the text is changed, and found again in the changed text.

A page that goes back to the form carries the words themselves, because a change of the text moves them. A tick comes
back only where the same words still stand, whether or not the finder finds them there again, and on no other words.
Where the same words stand several times, the same one of them is ticked; if their number has changed, all are.
"""

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from app.text.phrases import Finding

Spans = Mapping[str, Sequence[tuple[int, int]]]  # characters, by field
_MOST_TICKS = 200
_MOST_CHARACTERS = 100_000
_KIND = "self"  # of words that the finder did not find again


@dataclass(frozen=True)
class TickedWords:
    """Words of one field, which are number `place`, from 0, of the `times` that these words stand in the text."""

    field: str
    words: str
    place: int
    times: int


def ticked_words(texts: Mapping[str, str], spans: Spans) -> list[TickedWords]:
    """Return the words at some spans of the texts; spans outside a text are ignored."""
    found = []
    for name, pairs in spans.items():
        text = texts.get(name, "")
        places: dict[str, list[int]] = {}
        for start, end in sorted(set(pairs))[:_MOST_TICKS]:
            words = text[start:end]
            if not words.strip() or end > len(text):
                continue
            if words not in places:
                places[words] = list(_places(text, words))
            known = places[words]
            place = known.index(start) if start in known else len(known)
            found.append(TickedWords(name, words, place, len(known)))
    return found


def ticked_spans(texts: Mapping[str, str], ticked: Sequence[TickedWords]) -> dict[str, list[tuple[int, int]]]:
    """Return where ticked words stand in the texts now, by field, in order and without overlap."""
    spans: dict[str, list[tuple[int, int]]] = {}
    alike: dict[tuple[str, str], list[TickedWords]] = {}
    for each in ticked:
        alike.setdefault((each.field, each.words), []).append(each)
    for (name, words), several in alike.items():
        found = list(_places(texts.get(name, ""), words))
        if all(each.times == len(found) and each.place < each.times for each in several):
            found = sorted({found[each.place] for each in several})
        spans.setdefault(name, []).extend((start, start + len(words)) for start in found)
    return {name: list(_joined(pairs)) for name, pairs in spans.items() if pairs}


def write_ticked(ticked: Sequence[TickedWords]) -> str:
    """Return ticked words as the text of a hidden field, "" where there are none."""
    rows = [(each.field, each.words, each.place, each.times) for each in ticked]
    return json.dumps(rows, ensure_ascii=False) if rows else ""


def read_ticked(untrusted_text: str) -> list[TickedWords]:
    """Return the ticked words in the text of a hidden field; what is not of its form is ignored."""
    ticked = []
    with suppress(ValueError, TypeError, RecursionError):
        for row in list(json.loads(untrusted_text[:_MOST_CHARACTERS] or "[]"))[:_MOST_TICKS]:
            name, words, place, times = row
            if isinstance(name, str) and isinstance(words, str) and words.strip():
                ticked.append(TickedWords(name, words, max(0, int(place)), max(0, int(times))))
    return ticked


def with_ticked(text: str, findings: Sequence[Finding], spans: Sequence[tuple[int, int]]) -> tuple[Finding, ...]:
    """Return the findings of a text with one for each ticked span; a finding that overlaps one loses those words."""
    kinds = {(each.start, each.end): each.kind for each in findings}
    rows = [Finding(start, end, kinds.get((start, end), _KIND)) for start, end in spans]
    for each in findings:
        at = each.start
        for start, end in [*spans, (each.end, each.end)]:
            piece = text[at : min(start, each.end)]
            if piece.strip():
                first = at + len(piece) - len(piece.lstrip())
                rows.append(Finding(first, first + len(piece.strip()), each.kind))
            at = max(at, end)
    return tuple(sorted(rows, key=lambda each: each.start))


def _places(text: str, words: str) -> Iterator[int]:
    """Yield where whole words stand in a text: "Ann" does not stand in "Anna"."""
    at = text.find(words)
    while at >= 0:
        end = at + len(words)
        if not (_are_one_word(text[at - 1 : at], words[0]) or _are_one_word(words[-1], text[end : end + 1])):
            yield at
        at = text.find(words, end)


def _are_one_word(left: str, right: str) -> bool:
    """Return whether two neighbouring characters belong to one word of a script that has spaces between words."""
    return bool(left and right) and all(unicodedata.category(each) in ("Ll", "Lu", "Lt", "Nd") for each in left + right)


def _joined(pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield spans in order; those that overlap become one."""
    ordered = sorted(set(pairs))
    while ordered:
        start, end = ordered.pop(0)
        while ordered and ordered[0][0] < end:
            end = max(end, ordered.pop(0)[1])
        yield start, end
