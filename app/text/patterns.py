"""Finds what may identify a person by its shape: addresses, links, accounts, places, times and numbers.

Numbers are telephone, bank account, tax (IRD), health (NHI), passport and licence numbers. Digits of every script and
width count. A number that only a word gives its meaning needs that word nearby. Checksums and telephone plans judge
how likely a number is; nothing is refused for them. Each pattern has bounded repeats, or one possessive repeat at its
end, and the telephone plans are asked a bounded number of times, so the time is linear in the text.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import phonenumbers
from stdnum.nz import bankaccount, ird

from app.text.phrases import Finding

Cues = Mapping[str, Sequence[Finding]]
"""The places of the words that give a number its meaning, by the number's kind, in the order of the text."""

PHONE_REGIONS: Final = ("NZ", "PH", "VN", "CN", "MY", "IN", "AU")
"""Regions whose telephone numbers are recognised without a country code; New Zealand first."""

MAX_PHONE_LOOKUPS: Final = 100
"""How many runs of digits are checked against the telephone plans, in all texts of one tip together."""

CUE_DISTANCE: Final = 40
"""The most characters between a word and the number to which the word gives its meaning."""

_CUE_DISTANCES: Final = (("bank", CUE_DISTANCE), ("ird", CUE_DISTANCE), ("phone", CUE_DISTANCE // 2))
_MIN_RUN_DIGITS: Final = 5
_MIN_PHONE_DIGITS, _MAX_PHONE_DIGITS = 9, 15  # within a country, and in all (ITU-T E.164)
_MIN_BANK_DIGITS: Final = 8
_MAX_LATITUDE, _MAX_LONGITUDE = 90, 180
_NHI_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"

_EMAIL: Final = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64} {0,2}(?:@|[(\[{] ?at ?[)\]}]|(?<= )at(?= [\w-]{1,63} dot )) {0,2}[\w-]{1,63}"
    r"(?: {0,2}(?:\.|[(\[{] ?dot ?[)\]}]|(?<= )dot(?= )) {0,2}[\w-]{2,63}){1,4}",
    re.ASCII,
)
_LINK: Final = re.compile(
    r"(?<![a-z0-9@])(?:https?://|www\.|(?:[a-z0-9-]{1,40}\.){1,4}[a-z]{2,12}/)[^\s<>\"'，。、；）】》]++"
)
# A letter beside an account belongs to it only if the letter is one of ASCII: Chinese has no blanks.
_HANDLE: Final = re.compile(
    r"(?<![a-z0-9_@./+-])(?:@[a-z0-9_][a-z0-9_.-]{1,40}|[a-z0-9.]{2,20}_[a-z0-9_]{2,20}(?![\w@/.]))",
    re.ASCII,
)
_ACCOUNT: Final = re.compile(r"[ :=-]{0,3}(@?[a-z0-9_][a-z0-9_.-]{0,40}|[号號是])")
_ACCOUNT_AFTER_COLON: Final = re.compile(r"[^\n.,;:]{0,24}: ?(@?[a-z0-9_][a-z0-9_.-]{2,40})")
# An account with other words before it: "my Instagram is private, li.88".
_ACCOUNT_NEAR: Final = re.compile(
    r"[^\n;.]{0,24}?(?<![a-z0-9@._-])(@?[a-z0-9]{1,20}[._][a-z0-9_.]{2,20}|[a-z]{3,20}\d{2,8})(?![\w@])",
    re.ASCII,
)
_LOOKS_LIKE_ACCOUNT: Final = re.compile(r"[\d_.][a-z_]|[a-z_][\d_.]")
_CLOCK: Final = re.compile(
    r"(?=\d)(?<![\d:.,$])(?<!\d-)(?:[01]?\d|2[0-4])(?:(?P<minute>[:hg][0-5]\d(?::[0-5]\d)?)|(?P<dot>\.[0-5]\d))?"
    r"(?P<half> ?[ap](?:\.m\.|m\b))?(?![\d:]|[.,]\d)"
)
_MINUTES_AFTER_UNIT: Final = re.compile(r" ?[0-5]\d(?!\d)分?")
_ISO_TIMESTAMP: Final = re.compile(
    r"(?<!\d)\d{4}-\d\d-\d\d[t ]\d\d:?\d\d(?::?\d\d)?(?:\.\d{1,9})?(?:z|[+-]\d\d:?\d\d)?"
)
_TIME_IN_HOURS: Final = re.compile(r"(?<!\d)(?:[01]\d|2[0-3])[0-5]\d ?(?:hrs|hours)\b")
_DECIMAL_DEGREES: Final = re.compile(
    r"(?<![\d.])-?(\d{1,3}\.\d{3,12})(?: ?°)?(?: ?[nsew]\b)?[ ,;/]{1,3}"
    r"-?(\d{1,3}\.\d{3,12})(?: ?°)?(?: ?[nsew]\b)?"
)
_DEGREES_MINUTES: Final = re.compile(
    r"(?<!\d)\d{1,3} ?° ?\d{1,2}(?:\.\d{1,8})? ?['m](?: ?\d{1,2}(?:\.\d{1,8})? ?[\"']{0,2})?(?: ?[nsew]\b)?"
)
_PLUS_CODE: Final = re.compile(r"(?<!\w)(?:[23456789cfghjmpqrvwx]{4}){1,2}\+[23456789cfghjmpqrvwx]{2,3}(?!\w)")
# Every match holds one of its pattern's signs: a text without them, as most are, need not be searched.
_SIMPLE_PATTERNS: Final = (
    ("email", _EMAIL, ("@", "(", "[", "{", " dot ")),
    ("handle", _HANDLE, ("@", "_")),
    ("time", _ISO_TIMESTAMP, ("-",)),
    ("time", _TIME_IN_HOURS, ("hrs", "hours")),
    ("place", _DEGREES_MINUTES, ("°",)),
    ("place", _PLUS_CODE, ("+",)),
)
_DIGIT: Final = re.compile(r"\d")
_PROFILE: Final = re.compile(
    r"(?:https?://)?(?:[a-z-]{1,12}\.)?(?:facebook\.com|fb\.com|m\.me|instagram\.com|tiktok\.com|twitter\.com"
    r"|x\.com|t\.me|wa\.me|weibo\.com|linkedin\.com|zalo\.me|snapchat\.com|threads\.net|youtube\.com)/."
)
# Words that may stand between a network's name and the account.
_FILLERS: Final = frozenset("id name username user handle account is number 号 號 是".split())

_NHI: Final = re.compile(r"(?<!\w)[a-hj-np-z]{3} ?(?:\d{4}|\d\d[a-hj-np-z]{2})(?!\w)")
_BANK: Final = re.compile(r"(?<![\d-])\d{2}[ -]?\d{3,4}[ -]?\d{7}[ -]?\d{2,3}(?![\d-])")
_DOCUMENT_NUMBER: Final = re.compile(r"(?<!\w)[a-z]{0,3}\d{6,9}[a-z]{0,2}(?!\w)")
# Digits with at most three separators between two; nothing follows the possessive repeat that could fail.
_DIGIT_RUN: Final = re.compile(r"[+(]{0,2}\d(?:[ ().\-/]{0,3}\d)*+")
_DIGIT_GROUP: Final = re.compile(r"[+(]{0,2}\d++")
_DATE: Final = re.compile(
    r"\d{1,2}([-/. ])\d{1,2}\1(?:\d\d){1,2}|(?:19|20)\d\d(?:([-/. ])\d{1,2}\2\d{1,2}|[-/ ]{1,3}(?:19|20)\d\d)"
)
# New Zealand's freephone numbers belong to help lines, not to a person.
_FREEPHONE: Final = re.compile(r"0 ?(?:800|508)[ -]")
_WITHOUT_TRUNK_PREFIX: Final = re.compile(r"1[3-9]\d{9}|[6-9]\d{9}|64[2-9]\d{7,9}")


class PhoneLookups:
    """Checks runs of digits against the telephone plans, at most `MAX_PHONE_LOOKUPS` times for all texts of one tip."""

    def __init__(self) -> None:
        self._left = MAX_PHONE_LOOKUPS

    def is_phone(self, text: str, digits: int) -> bool:
        """Return whether a run of digits is a telephone number; past the limit, whether it has the length of one."""
        self._left -= 1
        return is_phone_number(text) if self._left >= 0 else _MIN_PHONE_DIGITS <= digits <= _MAX_PHONE_DIGITS


def find_patterns(ascii_text: str, cues: Cues, lookups: PhoneLookups, *, about_suspects: bool) -> Iterator[Finding]:
    """Yield all that identifies a person by its shape in a text of `to_ascii_form`; findings may overlap.

    With `about_suspects`, only links are found, and what follows a cue of the kind `own`, such as "call me on", within
    `CUE_DISTANCE` characters.
    """
    for finding in _all_findings(ascii_text, cues, lookups):
        if not about_suspects or finding.kind == "link" or follows_own_cue(cues, finding):
            yield finding


def to_ascii_form(text: str) -> str:
    """Return the text in lower case, with digits, letters and marks of other widths and scripts as ASCII.

    Every character stays one character, so that positions in the result are positions in the text.
    """
    if text.isascii():
        return text.lower()
    return text.translate({ord(character): _ascii_character(character) for character in set(text)})


def _ascii_character(character: str) -> str:
    if character.isascii():
        return character.lower()
    value = unicodedata.digit(character, None)
    if value is not None:
        return str(value)
    if unicodedata.category(character) == "Pd":
        return "-"
    same = unicodedata.normalize("NFKC", character).lower()
    return same if len(same) == 1 else character


def _all_findings(ascii_text: str, cues: Cues, lookups: PhoneLookups) -> Iterator[Finding]:
    for kind, pattern, signs in _SIMPLE_PATTERNS:
        if any(sign in ascii_text for sign in signs):
            yield from (Finding(*match.span(), kind) for match in pattern.finditer(ascii_text))
    if "/" in ascii_text or "www." in ascii_text:
        yield from _link_findings(ascii_text)
    yield from _account_findings(ascii_text, cues)
    if has_digit(ascii_text):
        yield from _coordinate_findings(ascii_text)
        yield from _time_findings(ascii_text, cues)
        yield from find_numbers(ascii_text, cues, lookups)


def has_digit(ascii_text: str) -> bool:
    """Return whether a text of `to_ascii_form` has a digit, without which it has no number."""
    return _DIGIT.search(ascii_text) is not None


def follows_own_cue(cues: Cues, finding: Finding) -> bool:
    """Return whether words such as "call me on" stand within `CUE_DISTANCE` characters before a finding."""
    own = cues.get("own", ())
    place = bisect_left(own, finding.start, key=lambda cue: cue.start)
    return place > 0 and finding.start - own[place - 1].end <= CUE_DISTANCE


def _link_findings(ascii_text: str) -> Iterator[Finding]:
    for match in _LINK.finditer(ascii_text):
        link = match.group().rstrip(".,;:!?)]}")
        if _PROFILE.match(link):
            yield Finding(match.start(), match.start() + len(link), "handle")
        elif _has_token(link):
            yield Finding(match.start(), match.start() + len(link), "link")


def _has_token(link: str) -> bool:
    """Return whether a link has a query, a login, or a path part that looks random."""
    link, _, fragment = link.partition("#")
    link, _, query = link.partition("?")
    host, *path = link.split("://")[-1].split("/")
    return bool(query) or "@" in host or any(map(_is_token_part, [*path, fragment]))


def _is_token_part(part: str) -> bool:
    if "=" in part or part.isdigit():
        return "=" in part
    digits = sum(map(str.isdigit, part))
    longest = max(map(len, re.split(r"[^a-z]", part)))
    return longest >= 24 or (len(part) >= 6 and digits >= 2 and longest <= 8)  # noqa: PLR2004


def _coordinate_findings(ascii_text: str) -> Iterator[Finding]:
    for match in _DECIMAL_DEGREES.finditer(ascii_text):
        low, high = sorted((float(match[1]), float(match[2])))
        if low <= _MAX_LATITUDE and high <= _MAX_LONGITUDE:
            yield Finding(*match.span(), "place")


def _account_findings(ascii_text: str, cues: Cues) -> Iterator[Finding]:
    """Yield the account after a network's name, as in "WeChat: li_88", but not in "Facebook friends"."""
    for cue in cues.get("app", ()):
        at, declared = cue.end, False
        match = _ACCOUNT_AFTER_COLON.match(ascii_text, at)
        for _ in range(3):
            direct = _ACCOUNT.match(ascii_text, at)
            if direct is None:
                break
            declared = declared or direct[1].startswith("@") or ":" in ascii_text[at : direct.start(1)]
            if direct[1] not in _FILLERS:
                match = direct if declared else match or direct
                break
            at = direct.end()
        if match is None or not (declared or _LOOKS_LIKE_ACCOUNT.search(match[1])):
            match = _ACCOUNT_NEAR.match(ascii_text, cue.end)
        if match:
            yield Finding(match.start(1), match.start(1) + len(match[1].rstrip(".-")), "handle")


def _time_findings(ascii_text: str, cues: Cues) -> Iterator[Finding]:
    """Yield hours with minutes, and hours that a word beside them makes a time of day."""
    before = {cue.end for cue in cues.get("clock-before", ())}
    after, between, part = (
        {cue.start: cue.end for cue in cues.get(f"clock-{kind}", ())} for kind in ("after", "between", "part")
    )
    for match in _CLOCK.finditer(ascii_text):
        start, end = match.span()
        declared = _cue_end_at(after, end) or (_cue_end_at(part, end) if match["dot"] else 0)
        unit = _cue_end_at(between, end)
        minutes = _MINUTES_AFTER_UNIT.match(ascii_text, declared or unit) if declared or unit else None
        opened = not before.isdisjoint(range(start - 2, start + 1))
        if match["minute"] or match["half"] or declared or opened or (unit and minutes):
            yield Finding(start, minutes.end() if minutes else max(declared, unit, end), "time")


def _cue_end_at(cues: Mapping[int, int], end: int) -> int:
    """Return the end of the cue that starts at `end` or one character after, or 0 without one."""
    return cues.get(end) or cues.get(end + 1) or 0


def find_numbers(ascii_text: str, cues: Cues, lookups: PhoneLookups) -> Iterator[Finding]:
    """Yield every number that identifies a person in a text of `to_ascii_form`; findings may overlap."""
    for match in _NHI.finditer(ascii_text):
        number = match.group().replace(" ", "").upper()
        # With a space inside, the match is more often a word and a year.
        is_certain = is_valid_nhi(number) and len(number) == len(match.group())
        if is_certain or is_near_cue(cues.get("nhi", ()), *match.span(), reach=15):
            yield Finding(*match.span(), "nhi")
    for match in _BANK.finditer(ascii_text):
        if "-" in match.group() or bankaccount.is_valid(match.group()):
            yield Finding(*match.span(), "bank")
    for kind in cues.keys() & {"passport", "licence"}:
        for match in _DOCUMENT_NUMBER.finditer(ascii_text):
            if is_near_cue(cues[kind], *match.span()):
                yield Finding(*match.span(), kind)
    yield from _digit_findings(ascii_text, cues, lookups)


def is_near_cue(cues: Sequence[Finding], start: int, end: int, *, reach: int = CUE_DISTANCE) -> bool:
    """Return whether a cue stands within `reach` characters before or after a span."""
    place = bisect_left(cues, start, key=lambda cue: cue.start)
    before = place > 0 and start - cues[place - 1].end <= reach
    return before or (place < len(cues) and cues[place].start - end <= reach)


def is_valid_nhi(number: str) -> bool:
    """Return whether the check character is right: modulo 11 in the old form, modulo 23 in the new (HISO 10046)."""
    values = [_NHI_LETTERS.index(each) + 1 if each.isalpha() else int(each) for each in number]
    total = sum(value * weight for value, weight in zip(values[:6], range(7, 1, -1), strict=True))
    if number[-1].isalpha():
        return values[-1] == 23 - total % 23
    return total % 11 != 0 and values[-1] == (11 - total % 11) % 10


def is_phone_number(text: str) -> bool:
    """Return whether digits are a telephone number of one of `PHONE_REGIONS`, or have a country code; not freephone."""
    digits = "".join(filter(str.isdigit, text))
    if not text.lstrip("(").startswith(("+", "0")) and not _WITHOUT_TRUNK_PREFIX.fullmatch(digits):
        return False
    if digits.startswith("64"):
        text = "+" + digits
    for region in PHONE_REGIONS:
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.number_type(number) != phonenumbers.PhoneNumberType.TOLL_FREE
    return False


def _digit_findings(ascii_text: str, cues: Cues, lookups: PhoneLookups) -> Iterator[Finding]:
    """Yield telephone, tax and bank account numbers among all runs of at least five digits."""
    for match in _DIGIT_RUN.finditer(ascii_text):
        text, start = match.group(), match.start()
        digits = sum(map(str.isdigit, text))
        if digits < _MIN_RUN_DIGITS or _DATE.fullmatch(text) or _FREEPHONE.match(text):
            continue
        span = match.span()
        cue_kinds = {kind for kind, reach in _CUE_DISTANCES if is_near_cue(cues.get(kind, ()), *span, reach=reach)}
        for kind, first, last in _classify_digits(text, digits, cue_kinds, lookups):
            yield Finding(start + first, start + last, kind)


def _classify_digits(
    text: str, digits: int, cue_kinds: set[str], lookups: PhoneLookups
) -> Iterable[tuple[str, int, int]]:
    """Return the kind, start and end of each number in a run of digits, by its cues, checksum and telephone plan."""
    short = digits <= _MAX_PHONE_DIGITS
    phone = short and lookups.is_phone(text, digits)
    if "ird" in cue_kinds and digits in {8, 9} and (ird.is_valid(text) or not phone):
        return [("ird", 0, len(text))]
    if phone:
        return [("phone", 0, len(text))]
    if within := list(_phones_in_run(text, lookups)):
        return within
    if short and "phone" in cue_kinds:
        return [("phone", 0, len(text))]
    return [("bank", 0, len(text))] if "bank" in cue_kinds and digits >= _MIN_BANK_DIGITS else []


def _phones_in_run(text: str, lookups: PhoneLookups) -> Iterator[tuple[str, int, int]]:
    """Yield the telephone numbers in a run of several: from each group that can begin one, the fewest groups."""
    groups = list(_DIGIT_GROUP.finditer(text))
    after = 0
    for place, group in enumerate(groups):
        if group.start() < after or not group.group().lstrip("(").startswith(("+", "0")):
            continue
        for last in groups[place : place + 5]:
            candidate = text[group.start() : last.end()]
            digits = sum(map(str.isdigit, candidate))
            is_phone_length = _MIN_PHONE_DIGITS <= digits <= _MAX_PHONE_DIGITS
            if is_phone_length and candidate != text and lookups.is_phone(candidate, digits):
                yield "phone", group.start(), last.end()
                after = last.end()
                break
