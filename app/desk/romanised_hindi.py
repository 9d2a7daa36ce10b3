"""Hindi in Latin letters, as people type it on a phone: made of Hindi in its own letters, one word at a time.

The site's pages have no such Hindi, and a quarter of those who write Hindi here may use it. The letters follow what
people type, not ISO 15919: long and short vowels share a letter, the last vowel of a word is silent, and the dotted
letters (Unicode 15.1, Devanagari) have their English sound.
"""

import unicodedata

_CONSONANTS = dict(
    zip(
        "कखगघङचछजझञटठडढणतथदधनपफबभमयरलवशषसहळ",
        "k kh g gh n ch chh j jh n t th d dh n t th d dh n p ph b bh m y r l v sh sh s h l".split(),
        strict=True,
    )
)
_DOTTED = {"ज": "z", "फ": "f", "ड": "r", "ढ": "rh", "क": "q", "ख": "kh", "ग": "g"}
_VOWELS = dict(zip("अआइईउऊऋएऐओऔऑ", "a aa i i u u ri e ai o au o".split(), strict=True))
_VOWEL_SIGNS = dict(zip("ािीुूृेैोौॉ", "a i i u u ri e ai o au o".split(), strict=True))
_NASALS = frozenset("\u0901\u0902")
_DOT, _NO_VOWEL = "\u093c", "\u094d"


def romanise_hindi(text: str) -> str:
    """Return a text with each Devanagari letter in Latin letters; every other character stays."""
    written: list[str] = []
    silent = ""  # the last consonant, which has its short vowel if another letter follows within the word
    for letter in unicodedata.normalize("NFD", text):
        if letter == _DOT:
            if silent in _DOTTED:
                written[-1] = _DOTTED[silent]
            continue
        if silent and (letter in _CONSONANTS or letter in _VOWELS or letter in _NASALS):
            written.append("a")
        if letter in _CONSONANTS:
            written.append(_CONSONANTS[letter])
            silent = letter
            continue
        silent = ""
        if letter != _NO_VOWEL:
            written.append(_VOWELS.get(letter) or _VOWEL_SIGNS.get(letter) or ("n" if letter in _NASALS else letter))
    return "".join(written)
