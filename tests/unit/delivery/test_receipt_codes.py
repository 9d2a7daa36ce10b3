"""Receipt codes: the list, how people type codes, what is derived from a code, and how many derivations run."""

import hashlib
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import BusyError, CodeError, ReplyError
from app.delivery.code_words import code_words
from app.delivery.receipt_codes import (
    DerivationQueue,
    ReceiptCode,
    agency_of_code,
    agency_tag,
    code_as_numbers,
    code_as_words,
    code_from_secret,
    codes_of_agencies,
    derive_keys,
    make_code,
    new_code,
    parse_code,
)

# The code, and what Node's argon2Sync and hkdfSync derive from it.
CODE = ReceiptCode("abandon ability able about above absent absorb banana")
LOCATOR = "6d80ca45dea0e6b1928afeb6be42c47b"
ENVELOPE_IDS = ["pjjkrabnk4qq18hd61my537ja3", "aez3jbdrp5w1y1cvfbz9q4fps0"]
REPLY_KEY = "1b62bd13864e8dfade9bf09608d2073393af436632c561fa6625d84f19c1c07b"


def words() -> list[str]:
    return files("app.delivery").joinpath("bip39-english.txt").read_text("ascii").split()


# Codes


def test_the_list_is_bip_39s():
    """The words are the English list of BIP-39, byte for byte."""
    raw = files("app.delivery").joinpath("bip39-english.txt").read_bytes()
    assert hashlib.sha256(raw).hexdigest() == "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
    assert len(set(words())) == 2048


def test_the_chinese_list_is_bip_39s():
    """The Chinese words are BIP-39's simplified list, byte for byte, and none is a word of the English list."""
    raw = files("app.delivery").joinpath("bip39-chinese-simplified.txt").read_bytes()
    assert hashlib.sha256(raw).hexdigest() == "5c5942792bd8340cb8b27cd592f1015edf56a8c5b26276ee18a482428e7c5726"
    assert len({*code_words("zh-Hans"), *words()}) == 4096


def test_new_codes():
    """A new code is eight words of the list, another each time, and all words come up."""
    codes = [new_code() for _ in range(4000)]
    assert {len(code.split(" ")) for code in codes} == {8}
    assert len(set(codes)) == 4000
    assert {word for code in codes for word in code.split()} == set(words())


AGENCIES = ("intake", "police", "labour")


def test_a_code_says_to_which_agency_its_answers_go():
    """A code that was drawn for an agency is that agency's, and a code of a site with one agency is the first's."""
    for number in range(20):
        codes = codes_of_agencies(bytes([number]) * 16, AGENCIES)
        assert {agency: agency_of_code(code, AGENCIES) for agency, code in codes.items()} == dict(
            zip(AGENCIES, AGENCIES, strict=True)
        )
        for agency, code in codes.items():
            assert code == code_from_secret(bytes([number]) * 16, lambda one: agency_of_code(one, AGENCIES) == agency)  # noqa: B023
        assert codes_of_agencies(bytes([number]) * 16, AGENCIES[:1]) == {
            "intake": code_from_secret(bytes([number]) * 16)
        }
    assert {agency_of_code(new_code(), AGENCIES[:1]) for _ in range(600)} == {"intake"}


def test_the_tag_of_an_agency_takes_one_code_in_256():
    """Of codes drawn for nobody about two in 256 belong to the two further agencies, whatever the order of the two."""
    codes = [new_code() for _ in range(20_000)]
    found = Counter(agency_of_code(code, AGENCIES) for code in codes)
    assert 40 <= found["police"] <= 130
    assert 40 <= found["labour"] <= 130
    swapped = ("intake", "labour", "police")
    assert all(agency_of_code(code, AGENCIES) == agency_of_code(code, swapped) for code in codes)


def test_the_tag_is_the_one_that_is_written_down():
    """The first byte of SHA-256 over `haumaru/agency/1` and the id, or the code's words with one space between them."""
    assert agency_tag("intake") == hashlib.sha256(b"haumaru/agency/1intake").digest()[0]
    assert agency_tag(CODE) == hashlib.sha256(b"haumaru/agency/1" + CODE.encode()).digest()[0]


@settings(deadline=None)
@given(st.binary(min_size=10, max_size=10))
def test_both_forms_are_read_back(entropy):
    """Any code is read back from its words and from its numbers, spaced or not."""
    code = make_code(entropy)
    places = [words().index(word) for word in code.split()]
    assert parse_code(code) == code
    assert code_as_numbers(code) == " ".join(f"{place + 1:04}" for place in places)
    assert parse_code(code_as_numbers(code)) == code
    assert parse_code(code_as_numbers(code).replace(" ", "")) == code
    chinese = code_as_words(code, "zh-Hans")
    assert [code_words("zh-Hans").index(word) for word in chinese.split()] == places
    assert parse_code(chinese) == parse_code(chinese.replace(" ", "")) == parse_code(chinese.replace(" ", "，")) == code


def test_a_secret_gives_one_code():
    """The code of a secret is what HKDF gives for it, each time the same, and another one for each further draw."""
    code = code_from_secret(bytes(16))
    assert code == "pear anchor you weasel sphere lobster pudding become" == code_from_secret(bytes(16))
    drawn = []
    later = code_from_secret(bytes(16), lambda each: drawn.append(each) or len(drawn) == 3)
    assert drawn == [code, *drawn[1:2], later]
    assert len(set(drawn)) == 3
    assert code_from_secret(bytes(15) + b"1") not in drawn


@pytest.mark.parametrize(
    ("typed", "code", "wrong"),
    [
        ("onlin ability able about above absent absorb banana", "code-word", {"onlin": "online"}),
        (
            "ABANDON Abilty able about above abscent absorb banana",
            "code-word",
            {"abilty": "ability", "abscent": "absent"},
        ),
        ("abandon ability able about above absent absorb", "code", {}),
        ("abandon abilty able about above absent absorb", "code-word", {"abilty": "ability"}),
        ("的 一 是 在 不 了 有 龘", "code-word", {"龘": None}),
        ("0001 2049 0003 0004 0005 0006 0007 0146", "code-number", {"2049": None}),
        ("0001 0002 0003 0004 0000 0006 0007 0146", "code-number", {"0000": None}),
        ("ability abandon able about above absent absorb banana", "code-order", {}),
        ("的 一 是 在 不 了 有 和", "code-order", {}),
        ("<script>alert(1)</script> " + "x" * 300, "code", {}),
    ],
)
def test_what_is_wrong_with_a_code_is_named(typed, code, wrong):
    """A word or number of no list is named, with the word that was meant; right words in a wrong order are told."""
    with pytest.raises(CodeError) as caught:
        parse_code(typed)
    found = {each.untrusted_word: each.nearest[:1] for each in caught.value.wrong}
    assert (caught.value.code, found) == (code, {word: (near,) if near else () for word, near in wrong.items()})
    assert not any(word in str(caught.value) for word in typed.split())


def test_naming_wrong_words_is_bounded():
    """At most three words are named, and none is compared with the list that is longer than any of its words."""
    with pytest.raises(CodeError) as caught:
        parse_code(" ".join(f"qwertyuiop{letter * 6}" for letter in "abcdefghi"))
    assert [each.nearest for each in caught.value.wrong] == [(), (), ()]


@pytest.mark.parametrize(
    "typed",
    [
        "ABANDON Ability able ABOUT above absent absorb banana",
        "  abandon\tability\nable  about — above, absent; absorb.banana \r\n",
        "abandon-ability-able-about-above-absent-absorb-banana",
        "abandonabilityableaboutaboveabsentabsorbbanana",
        "aban-don ability able about above absent absorb bana\nna",
        "ＡＢＡＮＤＯＮ ａｂｉｌｉｔｙ able about above absent absorb banana",
        "abandon\u00a0ability\u2003able\u200babout\u00adabove_absent/absorb|banana",
        "0001 0002 0003 0004 0005 0006 0007 0146",
        "0001-0002-0003-0004-0005-0006-0007-0146",
        "00010002000300040005000600070146",
        "0001000200030004 0005000600070146",
        "1 2 3 4 5 6 7 146",
        "００01 0002 ０００３ 0004 0005 0006 0007 0146",
        "०००१ ०००२ ०००३ ०००४ ०००५ ०००६ ०००७ ०१४६",
        "٠٠٠١ ٠٠٠٢ ٠٠٠٣ ٠٠٠٤ ٠٠٠٥ ٠٠٠٦ ٠٠٠٧ ٠١٤٦",
    ],
)
def test_codes_are_read_whatever_the_spacing(typed):
    """Case, spacing, hyphens, line breaks, full-width letters and other scripts' digits do not matter."""
    assert parse_code(typed) == CODE


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "abandon",
        "abandon " * 7,
        "abandon " * 9,
        "abandon " * 7 + "xyzzy",
        "abandon " * 7 + "0001",
        "0000 0001 0001 0001 0001 0001 0001 0001",
        "2049 0001 0001 0001 0001 0001 0001 0001",
        "0001 " * 7,
        "00001 0001 0001 0001 0001 0001 0001 001",
        "9" * 32,
        "a" * 10_000_000,
        "abandon\0" * 7,
        "\ud800" * 8,
        "leg" * 100,
    ],
)
def test_what_is_no_code(typed):
    """Anything else is refused in the words for a code without a reply, and quickly."""
    with pytest.raises(ReplyError) as caught:
        parse_code(typed)
    assert caught.value.message == ReplyError.message


def test_words_that_fall_apart_in_two_ways():
    """Letters without spaces that could be two codes are refused; with their spaces both are read."""
    rest = " say swift need adjust tray permit"
    for pair in ("can alarm", "canal arm"):
        assert parse_code(pair + rest) == pair + rest
    with pytest.raises(ReplyError):
        parse_code("canalarm" + rest)


def is_code(typed):
    try:
        parse_code(typed)
    except ReplyError:
        return False
    return True


def test_a_wrong_word_is_told_at_once():
    """Of the 16,376 codes with one wrong word, and of guesses, one in 256 passes; of two words swapped, few do."""
    right = CODE.split()
    wrong = [[*right[:at], word, *right[at + 1 :]] for at in range(8) for word in words() if word != right[at]]
    assert len(wrong) == 8 * 2047
    assert sum(is_code(" ".join(each)) for each in wrong) < len(wrong) / 128
    guesses = [" ".join(random.choices(words(), k=8)) for _ in range(10_000)]
    assert sum(map(is_code, guesses)) < len(guesses) / 128
    swaps = [[*right[:at], right[at + 1], right[at], *right[at + 2 :]] for at in range(7)]
    assert sum(is_code(" ".join(each)) for each in swaps) <= 1


# Derivation


def test_derivation_vector():
    """Locator, reply key and ids of envelopes are what another implementation of Argon2id and HKDF derives."""
    keys = derive_keys(CODE)
    assert (keys.locator, keys.reply_key.hex()) == (LOCATOR, REPLY_KEY)
    assert [keys.envelope_id(number) for number in (0, 1)] == ENVELOPE_IDS
    assert REPLY_KEY not in repr(keys)


def test_many_derivations_at_once():
    """Many at once, some to read and some to send, all return, and with the same result."""
    reading, sending = DerivationQueue(waiting=100), DerivationQueue(waiting=100)
    with ThreadPoolExecutor(12) as pool:
        found = [pool.submit((reading if number % 2 else sending).derive, CODE) for number in range(12)]
        assert {each.result().locator for each in found} == {LOCATOR}


def test_at_most_eight_wait():
    """While one derives, eight wait and the tenth is told at once to come back; afterwards there is room again."""
    gate = DerivationQueue(waiting=8)
    with ThreadPoolExecutor(9) as pool:
        with gate._running:
            waiting = [pool.submit(gate.derive, CODE) for _ in range(9)]
            arrived = threading.Event()
            while gate._places._value:
                arrived.wait(0.01)
            for _ in range(3):
                with pytest.raises(BusyError):
                    gate.derive(CODE)
        assert {each.result().locator for each in waiting} == {LOCATOR}
    assert gate.derive(CODE).locator == LOCATOR


def test_one_at_a_time():
    """A gate lets one derivation through at a time."""
    gate = DerivationQueue(waiting=8)
    with gate._running, ThreadPoolExecutor(1) as pool:
        behind = pool.submit(gate.derive, CODE)
        assert not behind.done()
        gate._running.release()
        assert behind.result().locator == LOCATOR
        gate._running.acquire()
