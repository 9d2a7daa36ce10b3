"""Receipt codes: made, read back as a person types them, and the secrets that follow from a code.

A code is eight words of the BIP-39 English list, 80 random bits and 8 that check them, and is never stored. A code may
be typed as words or as eight numbers, in any case, spacing or script's digits. A text that is no code, or in which a
word is wrong, raises ReplyError: of 256 wrong codes one passes. A derivation takes 64 MiB: a DerivationQueue bounds how
many run and wait.
"""

import hashlib
import re
import secrets
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import NewType

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.core.errors import BusyError, ReplyError
from app.vault.tip import TIP_ID_BYTES, TipId, make_tip_id

WORDS_PER_CODE = 8
_SALT = b"haumaru/receipt/2"
_RANDOM_BYTES = 10
_BITS_PER_WORD = 11
_MAX_CHARACTERS = 400  # a code has 71 at most

ReceiptCode = NewType("ReceiptCode", str)  # eight words, lower case, one space between them
Locator = NewType("Locator", str)  # 32 hexadecimal digits


def new_code() -> ReceiptCode:
    """Return a new random code of 80 bits."""
    return make_code(secrets.token_bytes(_RANDOM_BYTES))


def make_code(entropy: bytes) -> ReceiptCode:
    """Return the code of 10 bytes: they and the first byte of their SHA-256, in words of 11 bits (as in BIP-39)."""
    number = int.from_bytes(entropy + hashlib.sha256(entropy).digest()[:1], "big")
    shifts = range((WORDS_PER_CODE - 1) * _BITS_PER_WORD, -1, -_BITS_PER_WORD)
    words = _words()
    return ReceiptCode(" ".join(words[number >> shift & (len(words) - 1)] for shift in shifts))


def code_as_numbers(code: ReceiptCode) -> str:
    """Return a code as eight groups of four digits: the place of each word in the list, 0001 to 2048."""
    places = _places()
    return " ".join(f"{places[word] + 1:04}" for word in code.split())


def parse_code(untrusted_text: str) -> ReceiptCode:
    """Return the code that a person typed as words or as numbers; raises ReplyError `code`."""
    if len(untrusted_text) > _MAX_CHARACTERS:
        raise ReplyError("code")
    text = unicodedata.normalize("NFKC", untrusted_text).casefold()
    plain = "".join(str(unicodedata.decimal(sign, sign)) for sign in text)
    groups = re.findall(r"[a-z]+|[0-9]+", plain)
    joined = "".join(groups)
    if joined.isalpha():
        return _checked(_code_words(groups, joined))
    if joined.isdecimal():
        return _checked(_words_of_numbers(groups, joined))
    raise ReplyError("code")


@dataclass(frozen=True)
class ReceiptKeys:
    """What follows from a receipt code: the locator, the 32-byte reply key, and the ids of the tip's envelopes."""

    locator: Locator
    reply_key: bytes = field(repr=False)
    root: bytes = field(repr=False)

    def envelope_id(self, number: int) -> TipId:
        """Return the id of an envelope of the tip that the code was made for: 0 is that of its words, then its parts.

        Whoever has the code can find the envelopes in the outbox; from the ids alone nobody can tell that they belong
        together.
        """
        return make_tip_id(_expand(self.root, b"envelope/%d" % number, TIP_ID_BYTES))


def derive_keys(code: ReceiptCode) -> ReceiptKeys:
    """Return the secrets that follow from a code.

    A derivation takes 64 MiB and some 0.1 s: call the function through a DerivationQueue.
    Argon2id (RFC 9106), then HKDF-SHA256 (RFC 5869).
    """
    # In some versions of OpenSSL, more than one lane in several threads at once never returns.
    root = Argon2id(salt=_SALT, length=32, iterations=3, lanes=1, memory_cost=64 * 1024).derive(code.encode())
    return ReceiptKeys(Locator(_expand(root, b"locator", 16).hex()), _expand(root, b"reply-key", 32), root)


class DerivationQueue:
    """Runs one derivation at a time, with at most `waiting` further callers that wait."""

    def __init__(self, *, waiting: int) -> None:
        self._places = threading.BoundedSemaphore(waiting + 1)
        self._running = threading.Lock()

    def derive(self, code: ReceiptCode) -> ReceiptKeys:
        """Wait, then return the secrets of a code; raises BusyError, at once, if too many callers wait."""
        with self._place(), self._running:
            return derive_keys(code)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise BusyError
        try:
            yield
        finally:
            self._places.release()


def _checked(words: Sequence[str]) -> ReceiptCode:
    number = 0
    for word in words:
        number = number << _BITS_PER_WORD | _places()[word]
    code = make_code((number >> 8).to_bytes(_RANDOM_BYTES, "big"))
    if code != " ".join(words):
        raise ReplyError("code")
    return code


def _code_words(groups: list[str], joined: str) -> list[str]:
    if len(groups) == WORDS_PER_CODE and all(word in _places() for word in groups):
        return groups
    ways = _segmentations(joined)
    if len(ways) != 1:  # no word list fits, or more than one
        raise ReplyError("code")
    return ways[0]


def _segmentations(joined: str) -> list[list[str]]:
    """Return the ways to split letters into eight words of the list, at most two: two are enough to refuse."""
    ways: dict[int, list[list[str]]] = {0: [[]]}  # by the number of letters that are used
    for _ in range(WORDS_PER_CODE):
        longer: dict[int, list[list[str]]] = {}
        for start, befores in ways.items():
            for end in range(start + 3, start + 9):
                if joined[start:end] in _places():
                    longer.setdefault(end, []).extend([*before, joined[start:end]] for before in befores)
        ways = {end: found[:2] for end, found in longer.items() if end <= len(joined)}
    return ways.get(len(joined), [])


def _words_of_numbers(groups: list[str], joined: str) -> list[str]:
    if len(groups) != WORDS_PER_CODE:
        groups = re.findall("....", joined) if len(joined) == 4 * WORDS_PER_CODE else []
    places = [int(group) - 1 for group in groups if len(group) <= 4]  # noqa: PLR2004  # four digits
    words = _words()
    if len(places) != WORDS_PER_CODE or not all(0 <= place < len(words) for place in places):
        raise ReplyError("code")
    return [words[place] for place in places]


def _expand(root: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(root)


@lru_cache(maxsize=1)
def _words() -> tuple[str, ...]:
    return tuple(files("app.delivery").joinpath("bip39-english.txt").read_text("ascii").split())


@lru_cache(maxsize=1)
def _places() -> dict[str, int]:
    return {word: place for place, word in enumerate(_words())}
