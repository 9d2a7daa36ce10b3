"""Receipt codes: made, read back as a person types them, and the secrets that follow from a code.

A code is eight words of the BIP-39 English list, 80 random bits and 8 that check them, and is never stored. A code may
be typed as those words, as the Chinese words of the same places, or as eight numbers, in any case, spacing or script's
digits. A text that is no code, or in which a word is wrong, raises CodeError: of 256 wrong codes one passes. A
derivation takes 64 MiB: a DerivationQueue bounds how many run and wait. Where reports can go to several agencies,
the code itself says to which agency an answer goes, so that the site need not keep that.
"""

import hashlib
import re
import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import NewType

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.core.errors import BusyError, CodeError
from app.delivery.code_words import WrongWord, code_words, word_places, wrong_words
from app.vault.tip import TIP_ID_BYTES, TipId, make_tip_id

WORDS_PER_CODE = 8
_SALT = b"haumaru/receipt/2"
_AGENCY_CONTEXT = b"haumaru/agency/1"
_RANDOM_BYTES = 10
_BITS_PER_WORD = 11
_MAX_CHARACTERS = 400  # a code has 71 at most
_LONGEST_NAMED = 20  # letters of a wrong word that is named
_CODE_INFO = b"haumaru/receipt-code/1"
# Numbers, Chinese characters one by one, and runs of other letters.
_GROUP = re.compile("[0-9]+|[\u4e00-\u9fff]|(?:(?![\u4e00-\u9fff])[^\\W\\d_])+")

ReceiptCode = NewType("ReceiptCode", str)  # eight words, lower case, one space between them
Locator = NewType("Locator", str)  # 32 hexadecimal digits


def new_code() -> ReceiptCode:
    """Return a new random code of 80 bits."""
    return make_code(secrets.token_bytes(_RANDOM_BYTES))


def make_code(entropy: bytes) -> ReceiptCode:
    """Return the code of 10 bytes: they and the first byte of their SHA-256, in words of 11 bits (as in BIP-39)."""
    number = int.from_bytes(entropy + hashlib.sha256(entropy).digest()[:1], "big")
    shifts = range((WORDS_PER_CODE - 1) * _BITS_PER_WORD, -1, -_BITS_PER_WORD)
    words = code_words()
    return ReceiptCode(" ".join(words[number >> shift & (len(words) - 1)] for shift in shifts))


def code_from_secret(secret: bytes, suits: Callable[[ReceiptCode], bool] = lambda _code: True) -> ReceiptCode:
    """Return the code that follows from a secret: always the same, and the first one drawn that `suits`.

    HKDF-SHA256 (RFC 5869) with the info `haumaru/receipt-code/1`, then `haumaru/receipt-code/1/2`, and so on.
    """
    for draw in count(1):
        info = _CODE_INFO if draw == 1 else b"%s/%d" % (_CODE_INFO, draw)
        code = make_code(_expand(secret, info, _RANDOM_BYTES))
        if suits(code):
            return code
    raise AssertionError


def agency_tag(text: str) -> int:
    """Return the tag of an agency's id or of a code: the first byte of SHA-256 over the context and the text."""
    return hashlib.sha256(_AGENCY_CONTEXT + text.encode()).digest()[0]


def agency_of_code(code: ReceiptCode, ids: Sequence[str]) -> str:
    """Return to which of some agencies the answers under a code go: to the one with the code's tag, or to the first.

    A code for the first agency is any code that has no tag of another agency.
    """
    tag = agency_tag(code)
    return next((each for each in ids[1:] if agency_tag(each) == tag), ids[0])


def codes_of_agencies(secret: bytes, ids: Sequence[str]) -> dict[str, ReceiptCode]:
    """Return, for each of some agencies, the first code that follows from a secret and leads to that agency.

    Codes are drawn until each agency has one, so that the time does not say which of them is then used.
    """
    found: dict[str, ReceiptCode] = {}

    def completes(code: ReceiptCode) -> bool:
        found.setdefault(agency_of_code(code, ids), code)
        return len(found) == len(ids)

    code_from_secret(secret, completes)
    return found


def code_as_numbers(code: ReceiptCode) -> str:
    """Return a code as eight groups of four digits: the place of each word in the list, 0001 to 2048."""
    places = word_places()
    return " ".join(f"{places[word] + 1:04}" for word in code.split())


def code_as_words(code: ReceiptCode, language: str) -> str:
    """Return a code in the words of a language: Chinese for `zh-Hans`, English for every other."""
    words, places = code_words(language), word_places()
    return " ".join(words[places[word]] for word in code.split())


def parse_code(untrusted_text: str) -> ReceiptCode:
    """Return the code that a person typed as words or as numbers.

    Raises CodeError: `code` for a text that is no code, `code-word` and `code-number` with the words and numbers that
    are in no list, and `code-order` for eight right words that are not a code.
    """
    if len(untrusted_text) > _MAX_CHARACTERS:
        raise CodeError
    text = unicodedata.normalize("NFKD", untrusted_text).casefold()
    bare = "".join(sign for sign in text if not unicodedata.combining(sign))
    plain = "".join(str(unicodedata.decimal(sign, sign)) for sign in bare)
    groups = _GROUP.findall(plain)
    joined = "".join(groups)
    if joined.isdecimal():
        return _checked(_words_of_numbers(groups, joined))
    return _checked(_words_of_groups(groups, joined))


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
        number = number << _BITS_PER_WORD | word_places()[word]
    code = make_code((number >> 8).to_bytes(_RANDOM_BYTES, "big"))
    if [word_places()[word] for word in code.split()] != [word_places()[word] for word in words]:
        raise CodeError("code-order")
    return code


def _words_of_groups(groups: list[str], joined: str) -> list[str]:
    wrong = wrong_words(groups)
    if len(groups) == WORDS_PER_CODE and not wrong:
        return groups
    ways = _segmentations(joined)
    if len(ways) == 1:
        return ways[0]
    # Only words are named that a person can have meant as one word; without spaces there are none.
    if wrong and len(groups) >= WORDS_PER_CODE - 1 and max(map(len, groups)) <= _LONGEST_NAMED:
        raise CodeError("code-word", wrong)
    raise CodeError


def _segmentations(joined: str) -> list[list[str]]:
    """Return the ways to split letters into eight words of the list, at most two: two are enough to refuse."""
    ways: dict[int, list[list[str]]] = {0: [[]]}  # by the number of letters that are used
    for _ in range(WORDS_PER_CODE):
        longer: dict[int, list[list[str]]] = {}
        for start, befores in ways.items():
            for end in range(start + 3, start + 9):
                if joined[start:end] in word_places():
                    longer.setdefault(end, []).extend([*before, joined[start:end]] for before in befores)
        ways = {end: found[:2] for end, found in longer.items() if end <= len(joined)}
    return ways.get(len(joined), [])


def _words_of_numbers(groups: list[str], joined: str) -> list[str]:
    if len(groups) != WORDS_PER_CODE:
        groups = re.findall("....", joined) if len(joined) == 4 * WORDS_PER_CODE else []
    words = code_words()
    wrong = [group for group in groups if len(group) > 4 or not 1 <= int(group) <= len(words)]  # noqa: PLR2004
    if len(groups) != WORDS_PER_CODE or any(len(group) > _LONGEST_NAMED for group in wrong):
        raise CodeError
    if wrong:
        raise CodeError("code-number", tuple(WrongWord(group) for group in dict.fromkeys(wrong)))
    return [words[int(group) - 1] for group in groups]


def _expand(root: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(root)
