"""Numbers by which a person can be looked up: telephones, bank, tax, health, passport and licence numbers.

Works on the plain form of a text (see `finder`). A number that only a word gives its meaning needs that word
nearby. Checksums and telephone plans tell likely from unlikely: they warn, they never block. Numbers are
tried against the plans a bounded number of times; beyond that, what looks like a telephone number is
taken for one.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import phonenumbers
from stdnum.nz import bankaccount, ird

from app.text.phrases import Finding

Cues = Mapping[str, Sequence[Finding]]
"""Where the words stand that give a number its meaning, by kind, in order."""

REGIONS: Final = ("NZ", "PH", "VN", "CN", "MY", "IN", "AU")
"""Whose telephone numbers are known without a country code; New Zealand first."""

TRIES: Final = 300
"""Runs of digits in one text that are tried against the telephone plans."""

NEAR: Final = 40
"""Characters between a word and the number it gives its meaning."""

_REACH: Final = (("bank", NEAR), ("ird", NEAR), ("phone", NEAR // 2))
_PHONE_DIGITS: Final = 15
_NHI_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"

_NHI: Final = re.compile(r"(?<!\w)[a-hj-np-z]{3} ?(?:\d{4}|\d\d[a-hj-np-z]{2})(?!\w)")
_BANK: Final = re.compile(r"(?<![\d-])\d{2}[ -]?\d{3,4}[ -]?\d{7}[ -]?\d{2,3}(?![\d-])")
_DOCUMENT: Final = re.compile(r"(?<!\w)[a-z]{0,3}\d{6,9}[a-z]{0,2}(?!\w)")
# All digits that hang together, with at most three marks between two; nothing follows that could fail.
_NUMBER: Final = re.compile(r"[+(]{0,2}\d(?:[ ().\-/]{0,3}\d)*+")
_GROUP: Final = re.compile(r"[+(]{0,2}\d++")
_DATE: Final = re.compile(
    r"\d{1,2}([-/. ])\d{1,2}\1(?:\d\d){1,2}|(?:19|20)\d\d(?:([-/. ])\d{1,2}\2\d{1,2}|[-/ ]{1,3}(?:19|20)\d\d)"
)
# New Zealand's numbers that are free to call belong to help lines and are nobody's own.
_FREE: Final = re.compile(r"0 ?(?:800|508)[ -]")
_NO_TRUNK: Final = re.compile(r"1[3-9]\d{9}|[6-9]\d{9}|64[2-9]\d{7,9}")


def numbers(plain: str, cues: Cues) -> Iterator[Finding]:
    """Find every such number; the findings may overlap."""
    for match in _NHI.finditer(plain):
        number = match.group().replace(" ", "").upper()
        # With a space between, it is more often a word and a year.
        fits = nhi_fits(number) and len(number) == len(match.group())
        if fits or near(cues.get("nhi", ()), *match.span(), reach=15):
            yield Finding(*match.span(), "nhi")
    for match in _BANK.finditer(plain):
        if "-" in match.group() or bankaccount.is_valid(match.group()):
            yield Finding(*match.span(), "bank")
    for match in _DOCUMENT.finditer(plain):
        for kind in ("passport", "licence"):
            if near(cues.get(kind, ()), *match.span()):
                yield Finding(*match.span(), kind)
    yield from _runs(plain, cues)


def near(cues: Sequence[Finding], start: int, end: int, *, reach: int = NEAR) -> bool:
    """Tell whether a cue stands within `reach` characters of a span, before or after it."""
    place = bisect_left(cues, start, key=lambda cue: cue.start)
    before = place > 0 and start - cues[place - 1].end <= reach
    return before or (place < len(cues) and cues[place].start - end <= reach)


def nhi_fits(number: str) -> bool:
    """Tell whether the check character is right: mod 11 in the old form, mod 23 in the new (HISO 10046)."""
    values = [_NHI_LETTERS.index(each) + 1 if each.isalpha() else int(each) for each in number]
    total = sum(value * weight for value, weight in zip(values[:6], range(7, 1, -1), strict=True))
    if number[-1].isalpha():
        return values[-1] == 23 - total % 23
    return total % 11 != 0 and values[-1] == (11 - total % 11) % 10


def is_phone(text: str) -> bool:
    """Tell whether digits are a person's number in one of `REGIONS` or with its country's code."""
    digits = "".join(filter(str.isdigit, text))
    if not text.lstrip("(").startswith(("+", "0")) and not _NO_TRUNK.fullmatch(digits):
        return False
    if digits.startswith("64"):
        text = "+" + digits
    for region in REGIONS:
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.number_type(number) != phonenumbers.PhoneNumberType.TOLL_FREE
    return False


class _Plans:
    """The telephone plans, asked at most `TRIES` times for one text."""

    def __init__(self) -> None:
        self._left = TRIES

    def know(self, text: str, *, unasked: bool) -> bool:
        """Tell whether a run of digits is a telephone number, or `unasked` when there were too many."""
        self._left -= 1
        return is_phone(text) if self._left >= 0 else unasked


def _runs(plain: str, cues: Cues) -> Iterator[Finding]:
    plans = _Plans()
    for match in _NUMBER.finditer(plain):
        text, start = match.group(), match.start()
        digits = sum(map(str.isdigit, text))
        if digits < 5 or _DATE.fullmatch(text) or _FREE.match(text):  # noqa: PLR2004
            continue
        beside = {kind for kind, reach in _REACH if near(cues.get(kind, ()), *match.span(), reach=reach)}
        for kind, first, last in _judged(text, digits, beside, plans):
            yield Finding(start + first, start + last, kind)


def _judged(text: str, digits: int, beside: set[str], plans: _Plans) -> Iterable[tuple[str, int, int]]:
    """Say what one run of digits is, by the words beside it, its checksum and the telephone plans."""
    short = digits <= _PHONE_DIGITS
    phone = short and plans.know(text, unasked=digits > 8)  # noqa: PLR2004
    if "ird" in beside and digits in {8, 9} and (ird.is_valid(text) or not phone):
        return [("ird", 0, len(text))]
    if phone:
        return [("phone", 0, len(text))]
    if within := list(_phones_within(text, plans)):
        return within
    if short and "phone" in beside:
        return [("phone", 0, len(text))]
    return [("bank", 0, len(text))] if "bank" in beside and digits >= 8 else []  # noqa: PLR2004


def _phones_within(text: str, plans: _Plans) -> Iterator[tuple[str, int, int]]:
    """Find the numbers in a run of several: from each group that opens one, the fewest groups that make it."""
    groups = list(_GROUP.finditer(text))
    after = 0
    for place, group in enumerate(groups):
        if group.start() < after or not group.group().lstrip("(").startswith(("+", "0")):
            continue
        for last in groups[place : place + 5]:
            candidate = text[group.start() : last.end()]
            digits = sum(map(str.isdigit, candidate))
            if 9 <= digits <= _PHONE_DIGITS and candidate != text and plans.know(candidate, unasked=False):  # noqa: PLR2004
                yield "phone", group.start(), last.end()
                after = last.end()
                break
