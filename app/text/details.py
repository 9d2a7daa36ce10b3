"""Finds numbers that belong to one person, car, room or journey, and addresses with a number.

The words that give a number its meaning are data: `number` and `street` in the `[near]` section of a language's file.
Whose a number is, the writer's or a suspect's, is not decided here. Each pattern has bounded repeats, and each number
asks for its neighbours once, so the time is linear in the text.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from app.text.patterns import has_digit
from app.text.phrases import Finding

MAX_ADDRESS: Final = 40
"""The most characters between the number of a house and the word for the street."""

# Not after an initial: "N. Baluyot".
_SENTENCE_END: Final = re.compile(r"[.!?](?<!\b[A-Z]\.)(?=\s|$)|[।。！？\n]")
_CUE_REACH: Final = 20
_CUE_REACH_AFTER: Final = 2
_STREET_BEFORE: Final = 2
# A plate, a flight, a visa, a card: capital letters and digits, or a plate in small letters.
_CODE: Final = re.compile(
    r"(?<![\w@./-])(?:[A-Z]{1,4}[ -]?\d{2,9}[A-Z]{0,3}|[A-Z]\d[A-Z]{3}|[A-Z]{1,4}-[A-Z\d]{3,8}|\d{2}[A-K]"
    r"|[a-z]{2,3}\d{3,7}|(?!0800|0508)0\d{3,6})(?![\w@])",
    re.ASCII,
)
_LONG_NUMBER: Final = re.compile(r"(?<![\w.,$])\d{4}(?:[ -]?\d{4}){1,4}\d{0,3}(?![\w.,])", re.ASCII)
_DATE: Final = re.compile(
    r"(?<![\d./-])(?:\d{1,2}([-/.])\d{1,2}\1(?:(?:19|20)\d\d|\d\d)|(?:19|20)\d\d([-/.])\d{1,2}\2\d{1,2})(?![\d/-])"
)
_NUMBER: Final = re.compile(r"(?<![a-z\d.,$])[a-z]{0,3}-?\d[a-z\d/.-]{0,20}", re.ASCII)
_HOUSE: Final = re.compile(r"(?<![\d.,$:])\d{1,5}[a-z]?(?:/\d{1,4}[a-z]?)?(?![\d:%])", re.ASCII)


class OwnSentences:
    """The sentences of a text in which the writer speaks of themselves; `own` are the ends of words such as "my"."""

    def __init__(self, text: str, own: Iterable[int]) -> None:
        self._ends = [match.end() for match in _SENTENCE_END.finditer(text)]
        self._own = {bisect_left(self._ends, end) for end in own}

    def holds(self, finding: Finding) -> bool:
        """Return whether a finding ends in such a sentence."""
        return bisect_left(self._ends, finding.end) in self._own


def find_details(text: str, ascii_text: str, cues: Mapping[str, Sequence[Finding]]) -> Iterator[Finding]:
    """Yield findings of the kinds `number`, `time` and `place`; `ascii_text` is `to_ascii_form` of the text."""
    yield from (Finding(*match.span(), "number") for match in _CODE.finditer(text))
    if not has_digit(ascii_text):
        return
    yield from (Finding(*match.span(), "number") for match in _LONG_NUMBER.finditer(ascii_text))
    yield from (Finding(*match.span(), "time") for match in _DATE.finditer(ascii_text))
    for match in _NUMBER.finditer(ascii_text) if "number" in cues else ():
        start, end = match.start(), match.start() + len(match.group().rstrip(".-/"))
        if _gap_before(cues["number"], start) <= _CUE_REACH or _gap_after(cues["number"], end) <= _CUE_REACH_AFTER:
            yield Finding(start, end, "number")
    if "street" in cues:
        yield from _addresses(ascii_text, cues["street"])


def _addresses(ascii_text: str, streets: Sequence[Finding]) -> Iterator[Finding]:
    for match in _HOUSE.finditer(ascii_text):
        start, end = match.span()
        place = bisect_left(streets, end, key=lambda cue: cue.start)
        if place < len(streets) and streets[place].start - end <= MAX_ADDRESS:
            between = ascii_text[end : streets[place].start]
            if not re.search(r"[.!?\n\d。，]", between):
                yield Finding(start, streets[place].end, "place")
        if place and start - streets[place - 1].end <= _STREET_BEFORE:
            yield Finding(streets[place - 1].start, end, "place")


def _gap_before(cues: Sequence[Finding], start: int) -> int:
    place = bisect_left(cues, start, key=lambda cue: cue.start)
    return start - cues[place - 1].end if place else _CUE_REACH + 1


def _gap_after(cues: Sequence[Finding], end: int) -> int:
    place = bisect_left(cues, end, key=lambda cue: cue.start)
    return cues[place].start - end if place < len(cues) else _CUE_REACH + 1
