"""Guess in which of the site's languages a text is: by its script, then by frequent words.

A handler who looks for a translator sees the guess, marked as one. The guess never leaves the desk.
"""

import re
from collections.abc import Mapping

from babel import Locale

from app.desk.case import Case
from app.vault.tip import SCHEMA

UNKNOWN_LANGUAGE = "unknown"
_WORDS: Mapping[str, frozenset[str]] = {
    "en": frozenset("the and is are they he she was not have with from who at for in to of it this that there".split()),
    "mi": frozenset("te nga ngā o ki he kei ka e ia ko rātou ratou ahau me i kua au mai ana nei tana".split()),
    "ms": frozenset(
        "yang dan di tidak ada mereka saya itu ini dengan kerja dia untuk pada ke dari orang boleh".split()
    ),
    "vi": frozenset(
        "và là của không có người họ tôi cho ở được này một những làm đã với trong chủ khong nguoi".split()
    ),
    "sm": frozenset("le ma o lo i e latou ou ia tagata mo ai lea lava le'i ua na te se galue nei".split()),
    "to": frozenset("he mo ko e 'oku ki ha oku nau au ia mei 'i na'e pea ke 'a kakai ngaue ngāue 'ikai".split()),
    "fj": frozenset("na ni e kei o ko ira sa au vei mai kina ka era me ena vua cakacaka tamata sega".split()),
    "tl": frozenset("ang ng sa mga at siya sila ako hindi na may ay ko nila kung po ito dito kami trabaho".split()),
}
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|'[^\W\d_]+")
_HAN = re.compile("[\u3400-\u9fff]")
_DEVANAGARI = re.compile("[\u0900-\u097f]")
_MIN_SHARE = 0.15  # of the words, that must be frequent words of the language
_MIN_WORDS = 4
LANGUAGE_CHOICES = (*sorted({*_WORDS, "hi", "zh-Hans"}), UNKNOWN_LANGUAGE)


def guess_language(text: str) -> str:
    """Return the code of a language, or "" where the text is too short or like none."""
    sample = text[:4000]
    letters = sum(map(str.isalpha, sample)) or 1
    if len(_HAN.findall(sample)) > letters / 4:
        return "zh-Hans"
    if len(_DEVANAGARI.findall(sample)) > letters / 4:
        return "hi"
    words = _WORD.findall(sample.casefold())
    if len(words) < _MIN_WORDS:
        return ""
    share = {code: sum(word in known for word in words) / len(words) for code, known in _WORDS.items()}
    best = max(share, key=lambda code: share[code])
    return best if share[best] >= _MIN_SHARE else ""


def guess_case_language(case: Case) -> str:
    """Return the code of the language in which the sender wrote a tip, or "": the same guess on every page."""
    return guess_language("\n".join(case.text(name) for name in SCHEMA.text_names))


def language_name(code: str) -> str:
    """Return the English name of a language, for a handler to read."""
    names: Mapping[str, str] = Locale("en").languages
    return names.get(code.replace("-", "_"), "not known")
