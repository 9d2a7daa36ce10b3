"""Decodes a text file of an unknown encoding: the right words, or a refusal, never letters without sense.

A byte order mark decides, then whether the bytes are UTF-8 or UTF-16; only bytes that are neither are given to
chardet. What chardet answers must be sure enough, and must read like words: no word mixes alphabets, no sign stands
within a word, no capital after a small letter. Text between its letters is never dropped: each byte that is no UTF-8 in
a text of UTF-8 becomes U+FFFD, where everyone can see the gap.
Sources: Unicode Standard, sections 3.9 and 23.8; RFC 1468 (ISO-2022-JP).
"""

import codecs
import re
import unicodedata
from itertools import pairwise
from typing import Final

import chardet

from app.core.errors import FileRefusedError

# UTF-32 before UTF-16, whose mark the mark of UTF-32 begins with.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE: Final = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_ESCAPED: Final = {b"\x1b$": ("iso2022_jp_2004", "iso2022_jp_2", "iso2022_kr"), b"~{": ("hz",)}
_SEVERAL_BYTES: Final = frozenset(
    {"big5hkscs", "cp932", "cp949", "euc_jis_2004", "euc_kr", "gb18030", "shift_jis_2004"}
)
_LATIN: Final = frozenset(
    {"cp1250", "cp1252", "cp1254", "cp1257", "cp1258", "iso8859-1", "iso8859-2", "iso8859-9", "iso8859-13"}
    | {"iso8859-15", "iso8859-16", "mac-roman"}
)
_OTHER_ALPHABETS: Final = frozenset(
    {"cp1251", "cp1253", "cp1255", "cp1256", "cp866", "cp874", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8"}
    | {"koi8-r", "koi8-u", "tis-620"}
)
_CANDIDATES: Final = _SEVERAL_BYTES | _LATIN | _OTHER_ALPHABETS
# Found by trying 1,700 pieces of text of 6 to 100 bytes in 22 languages: below these, wrong answers begin.
_LEAST_CONFIDENCE: Final = 0.12
_FEWEST_LETTERS: Final = 6
# Of a text that is nearly all UTF-8, so many bytes in a thousand may be damaged.
_MOST_DAMAGED: Final = 20
_CONTROLS: Final = re.compile("[\0-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f]")
_WORD: Final = re.compile(r"[^\W\d_]+")
_LAST_WESTERN: Final = 0xFF
_ASCII_LETTER: Final = re.compile("[A-Za-z]")
_SIGN_IN_WORD: Final = re.compile(r"(?<=[^\W\d_])([^\w\s\0-\x7f])(?=[^\W\d_])")
_SIGN_AT_WORD: Final = re.compile(r"[^\W\d_][¹²³¼½¾¿±×÷¤¦§¶]|[¹²³¼½¾±×÷¤¦§¶][^\W\d_]|¿[a-z]")
_DIGIT_IN_WORD: Final = re.compile(r"[^\W\d_][0-9](?=[^\W\d_])")
_APOSTROPHES: Final = frozenset("’‘ʼ·–—-…´")
# Quotes and dashes of an old Macintosh, read as Windows-1252.
_MAC_SIGNS: Final = frozenset("ÒÓÔÕÐÑ")


def load_models() -> None:
    """Load what chardet reads from files, and all codecs; after the sandbox is locked no file can be read."""
    for name in (*_WIDE, *_CANDIDATES, "utf-8", *(name for names in _ESCAPED.values() for name in names)):
        codecs.lookup(name)
    for sample in ("Привет", "你好，你好"):
        _detected(sample.encode("gb18030"))


def decode_text(data: bytes) -> str:
    """Return a text file's words, without its byte order mark.

    Raises FileRefusedError "unknown" for data that is no text, and "encoding" for a text whose encoding is not sure.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _without_controls(_strictly(data[len(mark) :], name))
    text = _escaped_text(data) or _wide_text(data) or _utf8_text(data)
    return _without_controls(text) if text else _guessed_text(data)


def _strictly(data: bytes, name: str) -> str:
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        if name == "utf-8" and (text := _utf8_text(data)):
            return text
        raise FileRefusedError("encoding") from None


def _without_controls(text: str) -> str:
    if _CONTROLS.search(text):
        raise FileRefusedError("unknown")
    return text


def _has_only_known_letters(text: str) -> bool:
    """Return whether no code point is unassigned or private, as many are where bytes are no text."""
    return not any(unicodedata.category(letter) in {"Cn", "Co"} for letter in set(text))


def _escaped_text(data: bytes) -> str:
    """Return text in an encoding that is ASCII with signs that change the alphabet; "" if the data is none."""
    for sign, names in _ESCAPED.items():
        if sign not in data or not data.isascii():
            continue
        for name in names:
            text = _decoded_or_none(data, name)
            if text and not text.isascii():
                return text
    return ""


def _wide_text(data: bytes) -> str:
    """Return text in UTF-16 or UTF-32 without a byte order mark; "" if the data is neither.

    Only one order of the bytes gives blanks, line ends and digits of ASCII: the order that gives most is the right one.
    """
    if b"\0" not in data:
        return ""
    found = [text for name in _WIDE if (text := _decoded_or_none(data, name)) and not _CONTROLS.search(text)]
    found = [text for text in found if _has_only_known_letters(text)]
    counts = sorted(((sum(map(str.isascii, text)), -len(text)) for text in found), reverse=True)
    if not counts or not counts[0][0] or counts[:1] == counts[1:2]:
        return ""
    return max(found, key=lambda text: (sum(map(str.isascii, text)), -len(text)))


def _utf8_text(data: bytes) -> str:
    """Return text in UTF-8, with U+FFFD for a few damaged bytes among letters that are not; "" if the data is other."""
    text = _decoded_or_none(data, "utf-8")
    if text is not None:
        return text
    text = data.decode("utf-8", "replace")
    damaged, letters = text.count("\ufffd"), sum(not letter.isascii() for letter in text)
    good = letters - damaged
    return text if good > damaged * 2 and damaged * 1000 <= max(1000, len(text) * _MOST_DAMAGED) else ""


def _guessed_text(data: bytes) -> str:
    name, confidence = _detected(data)
    text = _decoded_or_none(data, name) if name in _CANDIDATES else None
    if text and confidence >= _LEAST_CONFIDENCE and _is_in_alphabet(text, name) and _reads_like_words(text):
        return _without_controls(text)
    western = _decoded_or_none(data, "cp1252")
    if western and _is_western(western) and _reads_like_words(western):
        return _without_controls(western)
    if _CONTROLS.search(data.decode("latin-1").translate(dict.fromkeys(range(0x7F, 0xA0)))):
        raise FileRefusedError("unknown")
    raise FileRefusedError("encoding")


def _detected(data: bytes) -> tuple[str, float]:
    """Return chardet's answer as Python's name of the encoding, and how sure chardet is, from 0 to 1."""
    answer = chardet.detect(data, max_bytes=len(data), compat_names=False, include_encodings=_CANDIDATES)
    return str(answer["encoding"]), answer["confidence"]


def _decoded_or_none(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        return None


def _is_western(text: str) -> bool:
    """Return whether most letters are ASCII, and the others are those of Western Europe."""
    letters = [letter for letter in text if letter.isalpha()]
    western = all(ord(letter) <= _LAST_WESTERN or letter in "œŒ" for letter in letters)
    return western and sum(map(str.isascii, letters)) * 2 > len(letters)


def _is_in_alphabet(text: str, name: str) -> bool:
    """Return whether the text has enough letters of an alphabet of its own, in words without Latin letters."""
    if name in _LATIN:
        return True
    foreign = [word for word in _WORD.findall(text) if not word.isascii()]
    if name in _OTHER_ALPHABETS and any(_ASCII_LETTER.search(word) for word in foreign):
        return False
    return sum(map(len, foreign)) >= (_FEWEST_LETTERS if name in _OTHER_ALPHABETS else 2)


def _reads_like_words(text: str) -> bool:
    """Return whether no sign that is not ASCII stands within a word, and no such capital after a small letter."""
    if not _has_only_known_letters(text):
        return False
    if any(sign not in _APOSTROPHES and unicodedata.category(sign)[0] in "SP" for sign in _SIGN_IN_WORD.findall(text)):
        return False
    if _SIGN_AT_WORD.search(text) or len(_DIGIT_IN_WORD.findall(text)) > 1:
        return False
    foreign = [letter for letter in text if letter.isalpha() and not letter.isascii()]
    if sum(letter in _MAC_SIGNS for letter in foreign) * 2 > len(foreign):
        return False
    return not any(before.islower() and after.isupper() and not after.isascii() for before, after in pairwise(text))
