"""Receipt codes as people keep them: eight words of the BIP-39 English list, or eight numbers.

Both say the same 88 random bits. Either is read back whatever the case, spacing or hyphens, in the
digits of any script; what is not a code raises ReplyError, in the same words as a code without a reply.
"""

import re
import secrets
import unicodedata
from functools import lru_cache
from importlib.resources import files
from typing import NewType

from app.core.errors import ReplyError

WORDS = 8
_LONGEST = 400  # characters; a code has 71 at most

ReceiptCode = NewType("ReceiptCode", str)  # eight words, lower case, one space between them


def new_code() -> ReceiptCode:
    """Return a new random code of 88 bits."""
    words = _words()
    return ReceiptCode(" ".join(secrets.choice(words) for _ in range(WORDS)))


def numbers(code: ReceiptCode) -> str:
    """Return a code as eight groups of four digits, each word's place in the list, 0001 to 2048."""
    places = _places()
    return " ".join(f"{places[word] + 1:04}" for word in code.split())


def parse_code(untrusted_text: str) -> ReceiptCode:
    """Return the code that a person typed, as words or as numbers; raises ReplyError."""
    if len(untrusted_text) > _LONGEST:
        raise ReplyError("code")
    text = unicodedata.normalize("NFKC", untrusted_text).casefold()
    plain = "".join(str(unicodedata.decimal(sign, sign)) for sign in text)
    groups = re.findall(r"[a-z]+|[0-9]+", plain)
    joined = "".join(groups)
    if joined.isalpha():
        return ReceiptCode(" ".join(_as_words(groups, joined)))
    if joined.isdecimal():
        return ReceiptCode(" ".join(_as_numbers(groups, joined)))
    raise ReplyError("code")


def _as_words(groups: list[str], joined: str) -> list[str]:
    if len(groups) == WORDS and all(word in _places() for word in groups):
        return groups
    ways = _ways(joined)
    if len(ways) != 1:  # none, or not to be told apart
        raise ReplyError("code")
    return ways[0]


def _ways(joined: str) -> list[list[str]]:
    """Find how letters without good spacing fall into eight words; two ways are enough to refuse."""
    ways: dict[int, list[list[str]]] = {0: [[]]}  # by how many letters are used up
    for _ in range(WORDS):
        longer: dict[int, list[list[str]]] = {}
        for start, befores in ways.items():
            for end in range(start + 3, start + 9):
                if joined[start:end] in _places():
                    longer.setdefault(end, []).extend([*before, joined[start:end]] for before in befores)
        ways = {end: found[:2] for end, found in longer.items() if end <= len(joined)}
    return ways.get(len(joined), [])


def _as_numbers(groups: list[str], joined: str) -> list[str]:
    if len(groups) != WORDS:
        groups = re.findall("....", joined) if len(joined) == 4 * WORDS else []
    places = [int(group) - 1 for group in groups if len(group) <= 4]  # noqa: PLR2004  # four digits
    words = _words()
    if len(places) != WORDS or not all(0 <= place < len(words) for place in places):
        raise ReplyError("code")
    return [words[place] for place in places]


@lru_cache(maxsize=1)
def _words() -> tuple[str, ...]:
    return tuple(files("app.delivery").joinpath("bip39-english.txt").read_text("ascii").split())


@lru_cache(maxsize=1)
def _places() -> dict[str, int]:
    return {word: place for place, word in enumerate(_words())}
