"""Words as a reader sees them: two words that look alike have one skeleton, whatever their characters.

A skeleton is in small letters, without accents, width or style; letters of other alphabets become the Latin ones that
they look like, and digits of every script 0 to 9. What is compared is a word or a number, never a whole text, so the
time is linear. Sources: Unicode Technical Standard #39, section 4 (skeletons); UAX #15 (NFKD).
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple

from app.core.unicode import LOOKALIKES, has_hidden_characters

STROKE: Final = "ǀ"
"""The skeleton of what may be l, i or 1: an upright stroke, and a capital I after a small letter."""

# Letters that differ more from the Latin letter than those of `LOOKALIKES`, and letters that look like digits.
_NEAR_LOOKALIKES: Final = {
    "a": "ɐ", "b": "ƄБҍѣ", "c": "ҫ", "d": "ÐƉ", "e": "ҽҿєɛ", "f": "քƒ", "g": "ƍ", "h": "ћңһꚕ", "i": "ıɩιʟ", "k": "ĸκк",
    "m": "м", "n": "ηпո", "o": "σθөѳɵ〇", "p": "ϱƿ", "r": "ғ", "s": "ƽꞅ", "t": "тτ", "u": "ᴜцμ", "w": "ѽω", "y": "ɣγұ",
    "2": "ƧϨꙄᒿꛯƻ", "3": "ȜƷꝪⳌЗӠ𖼻𑣊Ҙ", "4": "Ꮞ𑢯", "5": "Ƽ𑢻", "6": "Ⳓб𑣕", "7": "𐓒𑣆", "8": "𞣋ȣȢ𐌚", "9": "ꝮⳊ𑣌𑢬𑣖",
    STROKE: "|∣⏽￨¦│",
}  # fmt: skip
_ALIKE: Final = {
    other: letter for table in (_NEAR_LOOKALIKES, LOOKALIKES) for letter, others in table.items() for other in others
}
_NAMED_LATIN: Final = re.compile(
    r"LATIN (?:SMALL LETTER|CAPITAL LETTER|LETTER SMALL CAPITAL) ([A-Z])(?: WITH|$)|SYMBOL LETTER ([A-Z])$"
)
_JOINERS: Final = "\u200c\u200d"
_HAN: Final = re.compile("[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# The confusables.txt of UTS #39 writes m as rn; vv is as near to w.
_PAIRS: Final = str.maketrans({"m": "rn", "w": "vv"})


class SkeletonWord(NamedTuple):
    """The skeleton of a word, and the place of the word in its text; each Chinese character is a word."""

    text: str
    start: int
    end: int


def skeleton_words(text: str) -> Iterator[SkeletonWord]:
    """Yield the words of a text in order, in time linear in its length; a zero character (NUL) is a word of its own."""
    alike = {character: skeleton_of(character) for character in set(text)}
    parts: list[str] = []
    start = end = 0
    for place, character in enumerate(text):
        part = alike[character]
        if not part:
            end = place + 1
            continue
        is_word, alone = part != " ", part == "\0" or _HAN.match(part)
        if parts and (alone or not is_word):
            yield SkeletonWord("".join(parts), start, end)
            parts = []
        if alone:
            yield SkeletonWord(part, place, place + 1)
        elif is_word:
            if not parts:
                start = place
            parts.append(STROKE if character == "I" and text[place - 1 : place].islower() else part)
            end = place + 1
    if parts:
        yield SkeletonWord("".join(parts), start, end)


def skeleton_of(character: str) -> str:
    """Return a character's skeleton: letters or digits, " " for what divides words, "" for marks and what is unseen."""
    if character.isascii():
        return _ascii_skeleton(character)
    if _is_dropped(character):
        return ""
    parts = unicodedata.normalize("NFKD", character)
    joined = "".join(map(_letter_skeleton, (part for part in parts if not _is_dropped(part))))
    return joined.replace(" ", "").translate(_PAIRS) or " "


def _ascii_skeleton(character: str) -> str:
    if character == "|":
        return STROKE
    return character.lower().translate(_PAIRS) if character.isalnum() or character == "\0" else " "


def _is_dropped(character: str) -> bool:
    return unicodedata.combining(character) > 0 or unicodedata.category(character) == "Me" or _is_unseen(character)


def _is_unseen(character: str) -> bool:
    return character in _JOINERS or has_hidden_characters(character)


def _letter_skeleton(character: str) -> str:
    if (digit := unicodedata.digit(character, None)) is not None:
        return str(digit)
    for form in (character, character.upper()):
        if form in _ALIKE:
            return _ALIKE[form].lower()
    named = _NAMED_LATIN.search(unicodedata.name(character, ""))
    if named:
        return (named[1] or named[2]).lower()
    is_word = character.isalnum() or unicodedata.category(character)[0] == "M"
    return character.casefold() if is_word else " "
