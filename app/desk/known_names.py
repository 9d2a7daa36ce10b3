"""Finds names by a list of 36,000, for a handler to look at: the desk makes none of them black by itself.

The form's finder points out names only where writers speak of themselves. This list finds names at the start of a
sentence, in small letters and in capitals, other words with a capital letter within a sentence, and Chinese names by a
family name, characters of given names, and words such as "Ms".
The list is data (`names.toml`) without ordinary words. All of it takes time linear in the text.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import takewhile

from app.text.phrases import Finding
from app.text.words import Word, split_words, without_accents

LISTED = "listed"
"""The kind of a name of the list; the form never shows findings of this kind."""

_MAX_WORDS = 4  # of one name
_LONGEST_HAN_WORD = 4  # characters
_MAX_GIVEN = 2  # characters of a Chinese given name
_HAN_RUN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_BEFORE_FAMILY = frozenset("小老阿")
_AFTER_FAMILY = re.compile(
    r"先生|小姐|女士|太太|老板|老闆|经理|經理|主管|师傅|師傅|医生|護士|护士|律师|老师|[姐哥叔姨总總某]"
)


@dataclass(frozen=True)
class KnownNames:
    """The lists: names in small letters, those of them that are other words with accents, and three Chinese lists.

    These are family names, characters of given names, and ordinary words that have a family name in them.
    """

    names: frozenset[str]
    plain: frozenset[str]
    families: frozenset[str]
    given: frozenset[str]
    words: frozenset[str]
    places: frozenset[str]

    def find(self, text: str, found: Sequence[Finding]) -> tuple[Finding, ...]:
        """Return what the form's finder found in a text, and the names that meet none of that, in order."""
        starts, ends = [one.start for one in found], [one.end for one in found]
        more = []
        for one in (*self._latin(text), *self._chinese(text)):
            place = bisect_right(ends, one.start)
            if place == len(starts) or starts[place] >= one.end:
                more.append(one)
        return tuple(sorted((*found, *more), key=lambda one: one.start))

    def _latin(self, text: str) -> Iterator[Finding]:
        words = split_words(text)
        place = 0
        while place < len(words):
            first = place
            place += 1
            is_listed = self._has(words[first])
            if not is_listed and not self._is_capital_within(text, words, first):
                continue
            while (
                place < min(len(words), first + _MAX_WORDS)
                and words[place].joined
                and self._goes_on(text, words, place)
            ):
                place += 1
            yield Finding(words[first].start, words[place - 1].end, LISTED if is_listed else "person")

    def _is_capital_within(self, text: str, words: Sequence[Word], place: int) -> bool:
        """Return whether a word within a sentence has one capital letter, and is no place, day or language."""
        word, raw = words[place], text[words[place].start : words[place].end]
        if not (place and word.capital and len(raw) > 1) or raw.isupper() or not self.places.isdisjoint(word.forms):
            return False
        between = text[words[place - 1].end : word.start]
        before = text[words[place - 1].start : words[place - 1].end]
        is_title = len(before) > 1 and before.isupper()
        return between in {" ", ", ", " (", ' "'} and not is_title

    def _has(self, word: Word) -> bool:
        # In small letters an accent or a glottal mark makes another word: "triệu" is no "Trieu".
        forms = [*word.forms, *map(without_accents, word.forms)] if word.capital else word.forms[-1:]
        is_whole = word.capital or len(word.forms) > 1 or len(word.forms[0]) == word.end - word.start
        is_plain = word.capital and not self.plain.isdisjoint(word.forms)
        return is_plain or (is_whole and not self.names.isdisjoint(forms))

    def _goes_on(self, text: str, words: Sequence[Word], place: int) -> bool:
        """Return whether a word after a name is a part of the name: listed, or with one capital letter as the name."""
        if self._has(words[place]) or without_accents(words[place].forms[0]) in self.names:
            return True
        is_upper = text[words[place].start : words[place].end].isupper()
        return words[place].capital and words[place - 1].capital and not is_upper

    def _chinese(self, text: str) -> Iterator[Finding]:
        for run in _HAN_RUN.finditer(text):
            ordinary = self._ordinary(run[0])
            after = 0
            for place in range(len(run[0])):
                if place >= after and (end := self._name_end(run[0], place, ordinary)) > place:
                    called = place > after and run[0][place - 1] in _BEFORE_FAMILY
                    yield Finding(run.start() + place - called, run.start() + end, LISTED)
                    after = end

    def _ordinary(self, run: str) -> bytearray:
        """Return for each character whether an ordinary word has it."""
        covered = bytearray(len(run))
        for place in range(len(run)):
            for length in range(2, _LONGEST_HAN_WORD + 1):
                if run[place : place + length] in self.words:
                    covered[place : place + length] = b"\x01" * length
        return covered

    def _name_end(self, run: str, place: int, ordinary: bytearray) -> int:
        """Return the end of the name that begins with a family name at a place; the place if there is none."""
        length = next((len(one) for one in (run[place : place + 2], run[place]) if one in self.families), 0)
        if not length:
            return place
        end = place + length
        if title := _AFTER_FAMILY.match(run, end):
            return place if ordinary[place] and ordinary[end] else title.end()
        if length > 1:
            return end + sum(1 for _ in takewhile(self.given.__contains__, run[end : end + _MAX_GIVEN]))
        if ordinary[place]:
            return place
        while end < min(len(run), place + length + _MAX_GIVEN) and run[end] in self.given and not ordinary[end]:
            end += 1
        is_called = place > 0 and run[place - 1] in _BEFORE_FAMILY
        return end if end > place + length or is_called else place


def load_known_names() -> KnownNames:
    """Return the names of `names.toml`."""
    table = tomllib.loads(files("app.desk").joinpath("names.toml").read_text("utf-8"))
    return KnownNames(
        *(frozenset(table[key].split()) for key in ("names", "plain", "families", "given", "words", "places"))
    )
