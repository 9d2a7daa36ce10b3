"""Points out letters and signs that may tell copies of one text apart, and that cleaning could not fold.

A hidden mark is made of what few people type: a word of letters that only look Latin, a word of Latin and other
letters, raised or circled letters, many combining marks on one letter, and code points that nothing is assigned to.
Nothing is removed for it: a name in Cyrillic letters, or a letter of phonetics, is a word like others. All is linear
in the text. Sources: Unicode Technical Standard #39, section 5.1 (mixed scripts); UAX #15.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from app.core.unicode import LOOKALIKES
from app.text.phrases import Finding

MAX_MARKS_ON_A_LETTER: Final = 3
"""More combining marks in a row than any of the site's languages needs."""

_OTHERS: Final = "".join(LOOKALIKES.values())
_WORD: Final = re.compile(r"(?:[^\W\d_]|[\u0300-\u036f])++")
_ALL_LOOK_LATIN: Final = re.compile(f"[{_OTHERS}\u0300-\u036f]++")
_SOME_LOOK_LATIN: Final = re.compile(f"[{_OTHERS}]")
_LATIN: Final = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_MIN_LETTERS: Final = 2
_ODD_TAGS: Final = ("<super>", "<sub>", "<circle>")
_USUAL: Final = "ªº™℠"
# Pictures that are newer than this Python's Unicode are no marks.
_PICTURES: Final = re.compile("[\U0001f000-\U0001faff]")


def find_hidden_marks(text: str) -> Iterator[Finding]:
    """Yield what may be a hidden mark in a cleaned text (`clean_text`), as findings of the kind `mark`."""
    if text.isascii():
        return
    yield from _words_of_two_alphabets(text)
    odd = {ord(character): _class_of(character) for character in set(text)}
    for match in re.finditer(f"o++|m{{{MAX_MARKS_ON_A_LETTER + 1}}}m*+", text.translate(odd)):
        yield Finding(*match.span(), "mark")


def _words_of_two_alphabets(text: str) -> Iterator[Finding]:
    if not _SOME_LOOK_LATIN.search(text):
        return
    latin = len(_LATIN.findall(text))
    is_latin_text = latin * 2 > sum(map(str.isalpha, text))
    for match in _WORD.finditer(text):
        word = match.group()
        is_disguised = is_latin_text and len(word) >= _MIN_LETTERS and _ALL_LOOK_LATIN.fullmatch(word)
        if is_disguised or (_LATIN.search(word) and _SOME_LOOK_LATIN.search(word)):
            yield Finding(*match.span(), "mark")


def _class_of(character: str) -> str:
    """Return "m" for a combining mark, "o" for a sign that few people type, and a blank for any other."""
    if unicodedata.combining(character):
        return "m"
    is_odd_letter = unicodedata.decomposition(character).startswith(_ODD_TAGS) and character not in _USUAL
    category = unicodedata.category(character)
    is_unassigned = category == "Cn" and not _PICTURES.match(character)
    return "o" if is_unassigned or (is_odd_letter and category[0] in "LS") else " "
