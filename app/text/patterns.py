"""Addresses, links, accounts, places and times in a text that may lead to a person; and its numbers.

Digits are read in every script and width. Each pattern has bounded repeats, or one possessive repeat at its
end, so that reading takes linear time whatever is written.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Final

from app.text.numbers import NEAR, Cues, numbers
from app.text.phrases import Finding

_EMAIL: Final = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64} {0,2}(?:@|[(\[{] ?at ?[)\]}]|(?<= )at(?= [\w-]{1,63} dot )) {0,2}[\w-]{1,63}"
    r"(?: {0,2}(?:\.|[(\[{] ?dot ?[)\]}]|(?<= )dot(?= )) {0,2}[\w-]{2,63}){1,4}",
    re.ASCII,
)
_LINK: Final = re.compile(
    r"(?<![a-z0-9@])(?:https?://|www\.|(?:[a-z0-9-]{1,40}\.){1,4}[a-z]{2,12}/)[^\s<>\"'，。、；）】》]++"
)
_HANDLE: Final = re.compile(r"(?<![a-z0-9_@./+-])@[a-z0-9_][a-z0-9_.-]{1,40}")
_ACCOUNT: Final = re.compile(r"[ :=-]{0,3}(@?[a-z0-9_][a-z0-9_.-]{0,40}|[号號是])")
_TOLD_ACCOUNT: Final = re.compile(r"[^\n.,;:]{0,24}: ?(@?[a-z0-9_][a-z0-9_.-]{2,40})")
_LIKE_ACCOUNT: Final = re.compile(r"[\d_.][a-z_]|[a-z_][\d_.]")
_CLOCK: Final = re.compile(
    r"(?<![\d:.,$])(?<!\d-)(?:[01]?\d|2[0-4])(?:(?P<minute>[:hg][0-5]\d(?::[0-5]\d)?)|(?P<dot>\.[0-5]\d))?"
    r"(?P<half> ?[ap](?:\.m\.|m\b))?(?![\d:]|[.,]\d)"
)
_MINUTE: Final = re.compile(r" ?[0-5]\d(?!\d)分?")
_STAMP: Final = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d[t ]\d\d:?\d\d(?::?\d\d)?(?:\.\d{1,9})?(?:z|[+-]\d\d:?\d\d)?")
_FOUR_DIGITS: Final = re.compile(r"(?<!\d)(?:[01]\d|2[0-3])[0-5]\d ?(?:hrs|hours)\b")
_DEGREES: Final = re.compile(
    r"(?<![\d.])-?(\d{1,3}\.\d{3,12})(?: ?°)?(?: ?[nsew]\b)?[ ,;/]{1,3}"
    r"-?(\d{1,3}\.\d{3,12})(?: ?°)?(?: ?[nsew]\b)?"
)
_MINUTES: Final = re.compile(
    r"(?<!\d)\d{1,3} ?° ?\d{1,2}(?:\.\d{1,8})? ?['m](?: ?\d{1,2}(?:\.\d{1,8})? ?[\"']{0,2})?(?: ?[nsew]\b)?"
)
_PLUS_CODE: Final = re.compile(r"(?<!\w)(?:[23456789cfghjmpqrvwx]{4}){1,2}\+[23456789cfghjmpqrvwx]{2,3}(?!\w)")
_BY_SHAPE: Final = (
    ("email", _EMAIL),
    ("handle", _HANDLE),
    ("time", _STAMP),
    ("time", _FOUR_DIGITS),
    ("place", _MINUTES),
    ("place", _PLUS_CODE),
)
_PROFILE: Final = re.compile(
    r"(?:https?://)?(?:[a-z-]{1,12}\.)?(?:facebook\.com|fb\.com|m\.me|instagram\.com|tiktok\.com|twitter\.com"
    r"|x\.com|t\.me|wa\.me|weibo\.com|linkedin\.com|zalo\.me|snapchat\.com|threads\.net|youtube\.com)/."
)
# Between a network's name and the account there.
_FILLERS: Final = frozenset("id name username user handle account is number 号 號 是".split())


def traces(text: str, cues: Cues, *, mild: bool) -> Iterator[Finding]:
    """Find everything in a cleaned text that leads to a person by its shape; findings may overlap.

    `mild` keeps, but for links, only what stands shortly after a word of `own`, such as "call me on".
    """
    plain = plain_form(text)
    for finding in _all(plain, cues):
        if not mild or finding.kind == "link" or _follows_own(cues, finding):
            yield finding


def plain_form(text: str) -> str:
    """Make digits, letters and marks of other widths and scripts ASCII, each in its place."""
    return text.lower() if text.isascii() else "".join(map(_ascii, text))


def _ascii(character: str) -> str:
    if character.isascii():
        return character.lower()
    value = unicodedata.digit(character, None)
    if value is not None:
        return str(value)
    if unicodedata.category(character) == "Pd":
        return "-"
    same = unicodedata.normalize("NFKC", character).lower()
    return same if len(same) == 1 else character


def _all(plain: str, cues: Cues) -> Iterator[Finding]:
    for kind, pattern in _BY_SHAPE:
        yield from (Finding(*match.span(), kind) for match in pattern.finditer(plain))
    yield from _links(plain)
    yield from _degrees(plain)
    yield from _accounts(plain, cues)
    yield from _clock(plain, cues)
    yield from numbers(plain, cues)


def _follows_own(cues: Cues, finding: Finding) -> bool:
    own = cues.get("own", ())
    place = bisect_left(own, finding.start, key=lambda cue: cue.start)
    return place > 0 and finding.start - own[place - 1].end <= NEAR


def _links(plain: str) -> Iterator[Finding]:
    for match in _LINK.finditer(plain):
        link = match.group().rstrip(".,;:!?)]}")
        if _PROFILE.match(link):
            yield Finding(match.start(), match.start() + len(link), "handle")
        elif _has_token(link):
            yield Finding(match.start(), match.start() + len(link), "link")


def _has_token(link: str) -> bool:
    """Tell whether a link has a query, a login, or a part that nobody would choose as a heading."""
    link, _, fragment = link.partition("#")
    link, _, query = link.partition("?")
    host, *path = link.split("://")[-1].split("/")
    return bool(query) or "@" in host or any(map(_is_secret, [*path, fragment]))


def _is_secret(part: str) -> bool:
    if "=" in part or part.isdigit():
        return "=" in part
    digits = sum(map(str.isdigit, part))
    longest = max(map(len, re.split(r"[^a-z]", part)))
    return longest >= 24 or (len(part) >= 6 and digits >= 2 and longest <= 8)  # noqa: PLR2004


def _degrees(plain: str) -> Iterator[Finding]:
    for match in _DEGREES.finditer(plain):
        low, high = sorted((float(match[1]), float(match[2])))
        if low <= 90 and high <= 180:  # noqa: PLR2004
            yield Finding(*match.span(), "place")


def _accounts(plain: str, cues: Cues) -> Iterator[Finding]:
    """Find the account after a network's name, as in "WeChat: li_88", but not in "Facebook friends"."""
    for cue in cues.get("app", ()):
        at, told = cue.end, False
        match = _TOLD_ACCOUNT.match(plain, at)
        for _ in range(3):
            direct = _ACCOUNT.match(plain, at)
            if direct is None:
                break
            told = told or direct[1].startswith("@") or ":" in plain[at : direct.start(1)]
            if direct[1] not in _FILLERS:
                match = direct if told else match or direct
                break
            at = direct.end()
        if match and (told or _LIKE_ACCOUNT.search(match[1])):
            yield Finding(match.start(1), match.start(1) + len(match[1].rstrip(".-")), "handle")


def _clock(plain: str, cues: Cues) -> Iterator[Finding]:
    """Find hours with minutes, and hours that a word beside them makes a time of day."""
    before = {cue.end for cue in cues.get("clock-before", ())}
    after, between, part = (
        {cue.start: cue.end for cue in cues.get(f"clock-{kind}", ())} for kind in ("after", "between", "part")
    )
    for match in _CLOCK.finditer(plain):
        start, end = match.span()
        told = _first(after, end) or (_first(part, end) if match["dot"] else 0)
        unit = _first(between, end)
        minutes = _MINUTE.match(plain, told or unit) if told or unit else None
        opened = not before.isdisjoint(range(start - 2, start + 1))
        if match["minute"] or match["half"] or told or opened or (unit and minutes):
            yield Finding(start, minutes.end() if minutes else max(told, unit, end), "time")


def _first(cues: Mapping[int, int], end: int) -> int:
    """Give the end of the cue that starts at a place or one character on, or 0."""
    return cues.get(end) or cues.get(end + 1) or 0
