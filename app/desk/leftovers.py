"""The leftover gate: what still stands in a handler's own words of what was taken out, or as the sender wrote it.

A word or number that was taken out is found as `piece_search` finds it: in other letters, accents, digits or grouping.
Of a longer text that was taken out, four words in a row are found too.
Sentences of the sender are found by their words alone: eight words in a row, or a whole sentence of five. A place stops
a referral until the words are changed, or until a handler says for this very place that it may go: the mark of a place
is made of its field, its words and what stands around them, so after a change there the handler must decide again. All
of it takes time linear in the texts.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from app.desk.case_fields import Span
from app.desk.marks import merge_spans
from app.desk.piece_search import PieceSearch
from app.text.find import REMOVED_PLACEHOLDER
from app.text.skeleton import SkeletonWord, skeleton_words
from app.vault.asked_questions import QUESTIONS

TAKEN_OUT, SENTENCE = "taken-out", "sentence"
"""The kinds of leftovers: a text that was taken out, and words in a row as the sender wrote them."""

_ROW = 8  # words that stand in the same order in both texts
_TAKEN_ROW = 4  # words in a row of a text that was taken out
_WHOLE = 5  # words of a whole sentence
_HAN_WORDS = 2  # Chinese characters that count as one word
_AROUND = 12  # characters before and after a place that belong to its mark
_MARK_DIGITS = 16
_SENTENCE = re.compile(r"[^.!?…。！？।॥؟۔;；\n]+")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")

_Row = tuple[str, ...]


class Leftover(NamedTuple):
    """One place of a text, its kind, and the mark by which a handler can let it stand."""

    start: int
    end: int
    kind: str
    mark: str


@dataclass(frozen=True)
class LeftoverGate:
    """What a new text is searched for: texts that were taken out, and the sender's sentences."""

    search: PieceSearch
    taken_rows: frozenset[_Row] = field(repr=False)
    rows: frozenset[_Row] = field(repr=False)
    sentences: frozenset[_Row] = field(repr=False)

    @classmethod
    def of(cls, removed: Iterable[str], untrusted_texts: Iterable[str]) -> "LeftoverGate":
        """Return the gate for everything that was taken out, and for what the sender wrote."""
        removed = tuple(removed)
        questions = {one.text for one in QUESTIONS.values()}
        lines = [line for text in untrusted_texts for line in text.split("\n") if line not in questions]
        taken = (row for text in removed for row, _ in _rows(tuple(skeleton_words(text)), _TAKEN_ROW))
        rows = (row for line in lines for row, _ in _rows(tuple(skeleton_words(line)), _ROW))
        whole = (row for line in lines for row, _ in _sentences(line))
        return cls(PieceSearch(removed), frozenset(taken), frozenset(rows), frozenset(whole))

    def find(self, name: str, text: str) -> tuple[Leftover, ...]:
        """Return every leftover of the own words of a field, in NFC; those that were taken out come first."""
        masked = text.replace(REMOVED_PLACEHOLDER, "\0" * len(REMOVED_PLACEHOLDER))
        words = tuple(skeleton_words(masked))
        in_row = [span for row, span in _rows(words, _TAKEN_ROW) if row in self.taken_rows]
        taken = _joined(masked, merge_spans([*self.search.spans(masked), *in_row]))
        same = [span for row, span in _rows(words, _ROW) if row in self.rows]
        same += [span for row, span in _sentences(masked) if row in self.sentences]
        marks = _Marks(name, text)
        return tuple(
            Leftover(start, end, kind, marks.mark(start, end, kind))
            for kind, spans in ((TAKEN_OUT, taken), (SENTENCE, merge_spans(same)))
            for start, end in spans
        )

    def stopping(self, name: str, text: str, let_stand: Collection[str]) -> tuple[Leftover, ...]:
        """Return the leftovers of a text that no handler has let stand: they stop a referral."""
        return tuple(one for one in self.find(name, text) if one.mark not in let_stand)

    def without_allowed(self, name: str, text: str, let_stand: Collection[str]) -> str:
        """Return a text without the taken-out words that a handler has let stand, for the search of the whole."""
        for one in sorted(self.find(name, text), reverse=True):
            if one.kind == TAKEN_OUT and one.mark in let_stand:
                text = f"{text[: one.start]}\0{text[one.end :]}"
        return text


class _Marks:
    """The marks of the places of one text; of several places that look the same, each has a mark of its own."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._seen: dict[tuple[str, ...], int] = {}

    def mark(self, start: int, end: int, kind: str) -> str:
        around = (self._text[max(0, start - _AROUND) : start], self._text[end : end + _AROUND])
        place = (self._name, kind, self._text[start:end], *around)
        self._seen[place] = number = self._seen.get(place, 0) + 1
        return sha256("\0".join((*place, str(number))).encode("utf-8", "replace")).hexdigest()[:_MARK_DIGITS]


def _joined(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, those with only blanks between them as one: a name of two words is one place."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and text[joined[-1][1] : start].isspace():
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _rows(words: Sequence[SkeletonWord], size: int) -> Iterator[tuple[_Row, Span]]:
    """Yield from each word on the shortest row that counts as so many words, with its place."""
    counts = [1 if _HAN.match(word.text) else _HAN_WORDS for word in words]
    last = weight = 0
    for first, count in enumerate(counts):
        while last < len(words) and weight < size * _HAN_WORDS:
            weight += counts[last]
            last += 1
        if weight < size * _HAN_WORDS:
            return
        yield tuple(word.text for word in words[first:last]), (words[first].start, words[last - 1].end)
        weight -= count


def _sentences(text: str) -> Iterator[tuple[_Row, Span]]:
    """Yield each sentence of five words or more, with its place."""
    for match in _SENTENCE.finditer(text):
        words = tuple(skeleton_words(match[0]))
        if sum(1 if _HAN.match(word.text) else _HAN_WORDS for word in words) >= _WHOLE * _HAN_WORDS:
            start = match.start()
            yield tuple(word.text for word in words), (start + words[0].start, start + words[-1].end)


def count_by_kind(found: Iterable[Leftover]) -> Mapping[str, int]:
    """Return how many leftovers of each kind there are."""
    counts = dict.fromkeys((TAKEN_OUT, SENTENCE), 0)
    for one in found:
        counts[one.kind] += 1
    return counts
