"""Splits a text into words, and writes each word as it is compared: folded, and without accents.

Each Chinese character is a word. The time is linear in the text.
"""

import re
import unicodedata
from typing import NamedTuple

from app.core.unicode import compose

GLOTTAL_MARKS = "'’‘ʻʼ`ʹ′"

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_LETTER = rf"(?:[^\W\d_{_HAN}]|[\u0300-\u036f\u0900-\u0963\u0970-\u097f\u200c\u200d])"
# Possessive, and nothing follows that could fail, so the text is read once from left to right.
WORD_PATTERN = re.compile(rf"\d++|[{_HAN}]|{_LETTER}++(?:[{GLOTTAL_MARKS}]{_LETTER}++)*+")
_SEPARATOR = re.compile(rf"[ \n\-/:：\"{GLOTTAL_MARKS}]{{0,4}}")
_SHORTENED = re.compile(rf"([^{GLOTTAL_MARKS}]+)[{GLOTTAL_MARKS}](?:s|re|ve|ll|d|m)", re.IGNORECASE)
_WITHOUT_GLOTTALS = str.maketrans("", "", GLOTTAL_MARKS + "\u200c\u200d")
_WITHOUT_ACCENTS = str.maketrans({chr(code): None for code in range(0x300, 0x370)} | {"đ": "d", "\u093c": None, "ँ": "ं"})


class Word(NamedTuple):
    """One word of a text: its place, its spellings in the trie, and whether it follows the previous word directly."""

    start: int
    end: int
    forms: tuple[str, ...]
    joined: bool
    capital: bool
    han: bool


def fold_word(word: str) -> str:
    """Return a word as it is compared: case-folded, composed (NFC), without glottal marks and joiners."""
    return compose(word.casefold().translate(_WITHOUT_GLOTTALS))


def without_accents(folded: str) -> str:
    """Return a folded word without accents, in Hindi without nukta and with anusvara for chandrabindu."""
    return compose(unicodedata.normalize("NFD", compose(folded)).translate(_WITHOUT_ACCENTS))


def split_words(text: str) -> tuple[Word, ...]:
    """Return the words of a text in order, in time linear in its length."""
    found: list[Word] = []
    end = 0
    for match in WORD_PATTERN.finditer(text):
        start = match.start()
        between = text[end : min(start, end + 5)]
        joined = bool(found) and (_is_separator(between) or _follows_initial(text, found[-1], between))
        raw = match.group()
        han = raw > "\u3400" and len(raw) == 1 and unicodedata.category(raw) == "Lo"
        end = match.end()
        found.append(Word(start, end, _forms(raw), joined, raw[0].isupper(), han))
    return tuple(found)


def _forms(raw: str) -> tuple[str, ...]:
    if raw.isascii() and raw.isalnum():
        return (raw.lower(),)  # most words, which have nothing to fold but their capitals
    # "My cousin's house" holds "my cousin", and "we're" holds "we".
    shortened = _SHORTENED.fullmatch(raw)
    return (fold_word(raw), fold_word(shortened[1])) if shortened else (fold_word(raw),)


def _is_separator(between: str) -> bool:
    return between == " " or (_SEPARATOR.fullmatch(between) is not None and between.count("\n") < 2)  # noqa: PLR2004


def _follows_initial(text: str, before: Word, between: str) -> bool:
    """Return whether a word follows a single capital letter and a full stop, as in "T. Fonoti"."""
    is_letter = before.end - before.start == 1 and text[before.start].isupper() and text[before.start].isascii()
    return is_letter and between in {". ", "."}
