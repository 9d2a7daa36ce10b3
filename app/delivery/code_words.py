"""The words in which receipt codes are written: two lists of BIP-39, and the words that are like a wrong word.

A word of either list stands for its place in the list, so the same code can be shown in English and in Chinese. The
lists are read once. What a person typed is compared with the lists and kept nowhere.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

ENGLISH = "bip39-english.txt"
_LISTS = {"zh-Hans": "bip39-chinese-simplified.txt"}  # by language; every other language has the English words
_LONGEST_COMPARED = 12  # letters; the longest word of the English list has eight
_MOST_SHOWN = 3


class WrongWord(NamedTuple):
    """A word that no list has, as a person typed it, and the words of the English list that are like it."""

    untrusted_word: str
    nearest: tuple[str, ...] = ()


def has_own_words(language: str) -> bool:
    """Return whether BIP-39 has a list in a language that is not English."""
    return language in _LISTS


@lru_cache(maxsize=2)
def code_words(language: str = "en") -> tuple[str, ...]:
    """Return the 2,048 words for codes in a language: its own where BIP-39 has a list, and otherwise the English."""
    name = _LISTS.get(language, ENGLISH)
    return tuple(files("app.delivery").joinpath(name).read_text("utf-8").split())


@lru_cache(maxsize=1)
def word_places() -> dict[str, int]:
    """Return the place, from 0, of each word of all lists."""
    return {word: place for language in ("en", *_LISTS) for place, word in enumerate(code_words(language))}


def wrong_words(untrusted_words: Sequence[str]) -> tuple[WrongWord, ...]:
    """Return the first of the words that no list has, at most three, each with the words that are like it."""
    wrong = [word for word in dict.fromkeys(untrusted_words) if word not in word_places()]
    return tuple(WrongWord(word, _nearest_words(word)) for word in wrong[:_MOST_SHOWN])


def _nearest_words(untrusted_word: str) -> tuple[str, ...]:
    if not untrusted_word.isascii() or len(untrusted_word) > _LONGEST_COMPARED:
        return ()
    return tuple(get_close_matches(untrusted_word, code_words(), n=_MOST_SHOWN, cutoff=0.65))
