"""Find every place where one of many removed texts stands, as a reader would recognise it.

Words are compared by their skeletons (`app.text.skeleton`), so that other letters, accents or widths hide nothing, and
numbers by their digits, however these are grouped and whether or not the country's prefix stands before them. All
texts are searched for in one pass: the time is linear in the text, however many there are and whatever they hold.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final

import phonenumbers

from app.desk.case_fields import Span
from app.text.skeleton import STROKE, SkeletonWord, skeleton_words

_GAP: Final = 8  # characters between two words of one name, or between two digits of one number
_LONGEST_RUN: Final = 40  # words or digits that are compared at once; a longer text is compared in parts
_SHORTEST_JOINED, _LONGEST_JOINED = 6, 40  # characters of a name that is also found without its blanks
_MIN_DIGITS: Final = 6
_MIN_CORE: Final = 7
_LONGEST_PREFIX: Final = 5  # digits before a number without its country's prefix: 0064 0
_MOST_FORMS: Final = 8
_MOST_NODES: Final = 64
_DIGIT_OF: Final = {"o": "0", "l": "1", "i": "1", STROKE: "1"} | {
    sign: str(value)
    for value, signs in enumerate("〇零 一壹幺 二贰 三叁 四肆 五伍 六陆 七柒 八捌 九玖".split())
    for sign in signs
}
_DIGITS: Final = frozenset("0123456789")


@dataclass(eq=False)
class _PieceNode:
    """A place in the trie of all pieces: what may come next, and whether a piece ends here."""

    following: dict[str, list["_PieceNode"]] = field(default_factory=dict)
    ends: bool = False


@dataclass(frozen=True)
class _DigitRun:
    """Digits that stand together, and for each the place of its word in the text."""

    digits: str
    places: Sequence[Span]


class PieceSearch:
    """All removed texts, ready to be searched for; each call of `spans` reads its text once."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self._root = _PieceNode()
        self._numbers: dict[int, set[str]] = {}
        for piece in pieces:
            self._add(piece)

    def spans(self, text: str) -> list[Span]:
        """Return where a piece stands in a text, in whole words; the spans may overlap."""
        words = tuple(skeleton_words(text))
        return [*self._word_spans(words), *self._number_spans(words)]

    def _add(self, piece: str) -> None:
        words = [word.text for word in skeleton_words(piece)]
        for start in range(0, len(words), _LONGEST_RUN):
            self._add_words(words[start : start + _LONGEST_RUN])
        joined = "".join(words)
        if len(words) > 1 and _SHORTEST_JOINED <= len(joined) <= _LONGEST_JOINED and not _DIGITS.issuperset(joined):
            self._add_words([joined])
        digits = "".join(map(_digit, joined))
        if len(digits) == len(joined) >= _MIN_DIGITS and sum(sign in _DIGITS for sign in joined) * 2 >= len(joined):
            core = _national_digits(piece, digits)[:_LONGEST_RUN]
            self._numbers.setdefault(len(core), set()).add(core)

    def _add_words(self, words: Sequence[str]) -> None:
        node = self._root
        for word in words:
            forms = _forms(word)
            known = node.following.get(forms[0])
            child = known[0] if known else _PieceNode()
            for form in forms:
                children = node.following.setdefault(form, [])
                if child not in children:
                    children.append(child)
            node = child
        node.ends = node is not self._root

    def _word_spans(self, words: Sequence[SkeletonWord]) -> Iterator[Span]:
        for first in range(len(words)):
            last = self._last_word(words, first)
            if last >= first:
                yield words[first].start, words[last].end

    def _last_word(self, words: Sequence[SkeletonWord], first: int) -> int:
        """Return the index of the last word of the longest piece that begins with a word, or -1."""
        nodes, found = [self._root], -1
        for place in range(first, min(first + _LONGEST_RUN, len(words))):
            if place > first and words[place].start - words[place - 1].end > _GAP:
                break
            forms = _forms(words[place].text)
            nodes = [child for node in nodes for form in forms for child in node.following.get(form, ())][:_MOST_NODES]
            if not nodes:
                break
            if any(node.ends for node in nodes):
                found = place
        return found

    def _number_spans(self, words: Sequence[SkeletonWord]) -> Iterator[Span]:
        if not self._numbers:
            return
        for run in _digit_runs(words):
            for first in range(len(run.digits)):
                for length, numbers in self._numbers.items():
                    if run.digits[first : first + length] in numbers:
                        start = first if first > _LONGEST_PREFIX else 0
                        yield run.places[start][0], run.places[first + length - 1][1]


def _forms(word: str) -> Sequence[str]:
    """Return the ways to read a word: in one with letters, 0 is o, and 1 is l or i; the first way stands for all."""
    if _DIGITS.issuperset(word) or not any(sign in word for sign in ("0", "1", STROKE)):
        return (word,)
    word = word.replace("0", "o").replace("1", STROKE)
    if 2 ** word.count(STROKE) > _MOST_FORMS:
        return (word.replace(STROKE, "l"), word.replace(STROKE, "i"))
    readings = product(*(("l", "i") if sign == STROKE else (sign,) for sign in word))
    return tuple(map("".join, readings))


def _digit(sign: str) -> str:
    return sign if sign in _DIGITS else _DIGIT_OF.get(sign, "")


def _digit_runs(words: Iterable[SkeletonWord]) -> Iterator[_DigitRun]:
    """Yield the digits that stand together; a word of letters that look like digits counts as digits."""
    digits: list[str] = []
    places: list[Span] = []
    for word in words:
        found = [_digit(sign) for sign in word.text]
        if not all(found):
            found = [sign if sign in _DIGITS else "" for sign in word.text]
        far = bool(places) and word.start - places[-1][1] > _GAP
        for digit in ["", *found] if far else found:
            if digit:
                digits.append(digit)
                places.append((word.start, word.end))
            elif digits:
                yield _DigitRun("".join(digits), places)
                digits, places = [], []
    yield _DigitRun("".join(digits), places)


def _national_digits(piece: str, digits: str) -> str:
    """Return a telephone number's digits without the prefixes of country and trunk; other digits as they are."""
    try:
        number = phonenumbers.parse(("+" if piece.lstrip().startswith("+") else "") + digits, "NZ")
    except phonenumbers.NumberParseException:
        return digits
    core = str(number.national_number)
    return core if len(core) >= _MIN_CORE and digits.endswith(core) else digits
