"""Finds clauses in which writers describe themselves, by frames and by what the clause leaves out.

A frame is a word such as "I" and after it a word such as "cook": words that may stand `first`, words that may stand
`then`, words that `never` stand between them, and how many words `apart` they may be. In languages whose pronoun stands
last, the description is `first` and the pronoun `then`.

What may show a person is endless, what most reports say of the writer is not: that the writer saw, heard, fears, hopes,
needs help or was not paid. So each clause with a word of the list `me` is found too, unless it holds a word of
`harmless`, and if it holds a word of `with`, the commonest words of a language. A word of `telling` shows a person
whatever else is said: beside one, neither counts. Because "i" and "au" are words of several languages, a language
counts only in passages where no other has more words of its lists, there and in the passages beside.

The lists are data (`[frames]` and `[clause]` of `content/<lang>/identity.toml`). Each frame keeps one open place, and
each language reads the words once, so the time is linear in the text.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain, groupby
from typing import Final, NamedTuple

from app.text.phrases import Frame, MatchesByKind, PhraseMatch, PhraseRule
from app.text.words import Word

MAX_CLAUSE_WORDS: Final = 30
"""The most words of a clause; what follows them is another clause."""

MIN_CLAUSE_WORDS: Final = 3
"""The fewest words of a clause that says something."""

FRAME_STEPS: Final = ("frame-never", "frame-then", "frame-first")
"""The kinds of the rules of a frame, in the order in which those of one place are read."""

_PREFIX: Final = "clause-"
_NEEDED: Final = {"me", "with"}
_TELLING: Final = {"me", "telling"}


class FramedWords(NamedTuple):
    """What a frame found: the indexes of its first and last word, and the kind of the finding."""

    first: int
    last: int
    kind: str


def find_framed(matches: MatchesByKind, frames: Mapping[str, Frame], own: "OwnClauses") -> Iterator[FramedWords]:
    """Yield what frames find in the words of a text; `matches` are all of `PhraseTrie.matches`.

    A frame of one language does not count in a passage that is written in another.
    """
    begun = {match.rule.opener for match in matches.get("frame-first", ())}
    opened: dict[str, tuple[int, int]] = {}
    steps = (
        match
        for step in FRAME_STEPS
        for match in matches.get(step, ())
        if match.rule.opener in begun and own.is_written_in(match.rule.opener.partition(" ")[0], match.first)
    )
    for first, last, (step, name) in sorted(steps, key=_place_of_step):
        if step == "frame-first" and opened.get(name, (0, -1))[1] < last:
            opened[name] = (first, last)
        elif step == "frame-never":
            opened.pop(name, None)
        elif step == "frame-then" and name in opened:
            start, end = opened[name]
            if end < first <= end + 1 + frames[name].apart and own.passage_of[start] == own.passage_of[first]:
                yield FramedWords(start, last, frames[name].kind)


def _place_of_step(match: PhraseMatch) -> tuple[int, int, int]:
    return match.first, FRAME_STEPS.index(match.rule.kind), match.last


class OwnClauses:
    """The clauses of one text by the lists of each language; `matches` are all of `PhraseTrie.matches`.

    `passage_of` has the number of the passage in which each word stands: the words from one gap to the next.
    """

    def __init__(self, words: Sequence[Word], matches: MatchesByKind) -> None:
        self._words = words
        self.passage_of = tuple(accumulate(not word.joined for word in words))
        self._by_language: dict[str, list[PhraseMatch]] = defaultdict(list)
        self._scores: dict[int, Counter[str]] = defaultdict(Counter)
        self._never = [match._replace(rule=PhraseRule("clause-harmless")) for match in matches.get("never", ())]
        for match in chain.from_iterable(found for kind, found in matches.items() if kind.startswith(_PREFIX)):
            self._by_language[match.rule.opener].append(match)
            self._scores[self.passage_of[match.first]][match.rule.opener] += 1
        self._written = {passage: self._languages_of(passage) for passage in self._scores}

    def find(self) -> Iterator[tuple[int, int]]:
        """Yield the indexes of the first and last word of each clause in which the writer is described."""
        for code, found in self._by_language.items():
            if any(match.rule.kind == "clause-me" and self.is_written_in(code, match.first) for match in found):
                for first, last in _clauses_of_language(self._words, [*found, *self._never]):
                    if self.is_written_in(code, first):
                        yield first, last

    def own_words(self) -> Iterator[int]:
        """Yield the index of each word of `me`, in the language in which its passage is written."""
        for code, found in self._by_language.items():
            for match in found:
                if match.rule.kind == "clause-me" and self.is_written_in(code, match.first):
                    yield match.last

    def is_written_in(self, code: str, place: int) -> bool:
        """Return whether no other language has more words of its lists than this in the passage of a word."""
        passage = self.passage_of[place]
        return passage not in self._written or code in self._written[passage]

    def _languages_of(self, passage: int) -> frozenset[str]:
        scores = {code: self._score(passage, code) for code in tuple(self._scores[passage])}
        most = max(scores.values())
        return frozenset(code for code, score in scores.items() if score == most)

    def _score(self, passage: int, code: str) -> int:
        """Return how many words of a language a passage has, and half as much for those of its neighbours."""
        beside = sum(self._scores[each][code] for each in (passage - 1, passage + 1) if each in self._scores)
        return 2 * self._scores[passage][code] + beside


def _clauses_of_language(words: Sequence[Word], found: Sequence[PhraseMatch]) -> Iterator[tuple[int, int]]:
    steps: dict[int, set[str]] = defaultdict(set)
    for match in found:
        steps[match.first].add(match.rule.kind.removeprefix(_PREFIX))
    numbers = _clause_numbers(words, {place for place, kinds in steps.items() if "ends" in kinds})
    for _, places in groupby(range(len(words)), numbers.__getitem__):
        clause = tuple(places)
        said = set().union(*(steps.get(place, ()) for place in clause))
        if len(clause) >= MIN_CLAUSE_WORDS and (said >= _TELLING or (said >= _NEEDED and "harmless" not in said)):
            yield clause[0], clause[-1]


def _clause_numbers(words: Sequence[Word], ends: set[int]) -> list[int]:
    """Return the number of the clause of each word: a new one begins after a gap, at a word of `ends`, or when full."""
    numbers: list[int] = []
    number = size = 0
    for place, word in enumerate(words):
        if not word.joined or place in ends or size == MAX_CLAUSE_WORDS:
            number, size = number + 1, 0
        size += 1
        numbers.append(number)
    return numbers
