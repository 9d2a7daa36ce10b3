"""Finds the writer's own name where a text says the name again, without "I am" or "yours" beside it.

A person who takes out "My name is Losa" must see that "Losa" stands further down too, or in another field. A name is
known from what was found as the writer's; the time is linear in the text.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from app.text.own_names import is_listed_name, is_written_as_name
from app.text.phrases import Finding, MatchesByKind, PhraseTrie
from app.text.words import Word

_AROUND_NAMES: Final = ("name", "intro", "named", "named-alone", "signoff")
_MIN_LETTERS: Final = 2
_WITH_FAMILY_NAME: Final = 3  # Chinese characters: one of the family, two of the person
_MOST_HAN: Final = 8  # names, each of which is sought in the whole text


class OwnNames(NamedTuple):
    """The writer's names: words as they are compared, those of them in small letters, and Chinese names."""

    words: frozenset[str] = frozenset()
    small: frozenset[str] = frozenset()
    han: tuple[str, ...] = ()

    def with_others(self, others: "OwnNames") -> "OwnNames":
        """Return these names and some others."""
        han = dict.fromkeys((*self.han, *others.han))
        return OwnNames(self.words | others.words, self.small | others.small, tuple(han)[:_MOST_HAN])


def names_in_findings(
    text: str, words: Sequence[Word], matches: MatchesByKind, found: Iterable[Finding], trie: PhraseTrie
) -> OwnNames:
    """Return the names in findings of kind `name`, without words such as "my name is"; `matches` are of the text.

    One word after "I am" that no list has may be anything: "I am Catholic". Such a word is left out.
    """
    as_names = [each for each in found if each.kind == "name"]
    if not as_names:
        return OwnNames()
    around = chain.from_iterable(matches.get(kind, ()) for kind in _AROUND_NAMES)
    beside = set(chain.from_iterable(range(match.first, match.last + 1) for match in around))
    introduced = {words[match.first].start for match in matches.get("intro", ())}
    starts = [word.start for word in words]
    own: list[Word] = []
    for finding in as_names:
        first, stop = bisect_left(starts, finding.start), bisect_left(starts, finding.end)
        name = [words[at] for at in range(first, stop) if at not in beside and _is_of_name(words[at], trie)]
        if len(name) > 1 or finding.start not in introduced or any(is_listed_name(word, trie) for word in name):
            own += name
    plain = [word for word in own if not word.han and word.end - word.start >= _MIN_LETTERS]
    forms = frozenset(form for word in plain for form in word.forms)
    small = frozenset(form for word in plain if not word.capital for form in word.forms)
    return OwnNames(forms, small, tuple(dict.fromkeys(_han_names(text, own)))[:_MOST_HAN])


def with_repeated(text: str, words: Sequence[Word], found: Sequence[Finding], names: OwnNames) -> tuple[Finding, ...]:
    """Return the findings of a text in order, with one of kind `name` for each place where an own name stands again.

    What was found as some `person` becomes a `name` there; every other finding stays as it is.
    """
    if not (names.words or names.han):
        return tuple(found)
    kept, starts = list(found), [each.start for each in found]
    added: list[Finding] = []
    for start, end in (*_again(words, names), *_han_again(text, names.han)):
        first, stop = bisect_right(starts, start) - 1, bisect_left(starts, end)
        met = [at for at in range(max(first, 0), stop) if kept[at].end > start]
        for at in met:
            kept[at] = kept[at]._replace(kind="name") if kept[at].kind == "person" else kept[at]
        if not met:
            added.append(Finding(start, end, "name"))
    return tuple(sorted([*kept, *_apart(added)], key=lambda each: each.start))


def _is_of_name(word: Word, trie: PhraseTrie) -> bool:
    is_stop_word = not trie.stop_words.isdisjoint(word.forms) and not word.capital
    return not is_stop_word and (is_written_as_name(word) or is_listed_name(word, trie))


def _han_names(text: str, own: Sequence[Word]) -> Iterator[str]:
    """Yield rows of Chinese characters, and those of three without the family name."""
    row: list[Word] = []
    for word in (*own, None):
        if word and word.han and (not row or row[-1].end == word.start):
            row.append(word)
            continue
        if len(row) >= _MIN_LETTERS:
            yield text[row[0].start : row[-1].end]
        if len(row) == _WITH_FAMILY_NAME:
            yield text[row[1].start : row[-1].end]
        row = [word] if word and word.han else []


def _again(words: Sequence[Word], names: OwnNames) -> Iterator[tuple[int, int]]:
    """Yield where words of the names stand, words that follow one another together."""
    before: tuple[int, int] | None = None
    for word in words:
        is_written = is_written_as_name(word) or not names.small.isdisjoint(word.forms)
        if not is_written or names.words.isdisjoint(word.forms):
            continue
        if before and word.joined and word.start <= before[1] + 1:
            before = (before[0], word.end)
            continue
        if before:
            yield before
        before = (word.start, word.end)
    if before:
        yield before


def _han_again(text: str, names: Iterable[str]) -> Iterator[tuple[int, int]]:
    for name in names:
        at = text.find(name)
        while at >= 0:
            yield at, at + len(name)
            at = text.find(name, at + len(name))


def _apart(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings without those that lie in one before them: a given name in the whole name."""
    kept: list[Finding] = []
    for each in sorted(findings, key=lambda each: (each.start, -each.end)):
        if not kept or each.start >= kept[-1].end:
            kept.append(each)
    return kept
