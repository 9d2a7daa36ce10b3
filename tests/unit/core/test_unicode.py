"""What is removed from a text that a person typed, and from the text of a document."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.unicode import (
    MAX_MARKS,
    clean_document_text,
    clean_text,
    compose,
    has_hidden_characters,
    unify_line_ends,
)

CLEANED = [
    ("one\r\ntwo\rthree\u2028four\x0bfive\x85six", "one\ntwo\nthree\nfour\nfive\nsix"),
    ("cafe\u0301", "café"),
    ("a\x00b\x07c\x1bd\x7fe\x9ff", "abcdef"),
    ("tab\tbed", "tab bed"),
    ("\u202eevil\u202c \u2066a\u2069 \u200fb \u061cc", "evil a b c"),
    ("ze\u200bro\u2060 wi\ufeffdth\u034f", "zero width"),
    ("so\u00adft hy\u00adphen", "soft hyphen"),
    ("vs\ufe0f one\ufe00 and\U000e0101", "vs one and"),
    ("tag\U000e0041\U000e007f", "tag"),
    ("inter\ufff9lin\ufffaear\ufffb", "interlinear"),
    ("a\u00a0b\u2003c\u3000d\u202fe\u1680f\u2800g", "a b c d e f g"),
    ("‘one’ “two” „three‟ «four» ‹five›", '\'one\' "two" "three" "four" \'five\''),
    ("o loʻu igoa, ’eku, `eku, ʼeku", "o lo'u igoa, 'eku, 'eku, 'eku"),
    ("lone \ud800 and \udfff", "lone and"),
    ("non\ufdd0char\uffff\U0010ffff", "nonchar"),
    ("private\ue000 use\U000f0000", "private use"),
    ("line end   \n  next \n\n", "line end\n next"),
    ("two  spaces   three\n\n\n\nfar", "two spaces three\n\nfar"),
    ("a\u2065b \U0001d159c\U00016fe4 d\ufffc \U00013441e \U000e0fff", "ab c d e"),
    ("not yet\u0378\U000a0000 a letter", "not yet a letter"),
    ("021\u2011555\u20100199 \u2013 9\u22121 \ufe58", "021-555-0199 - 9-1 \u2014"),
    ("Ｍｅｌｅ ０２１ 𝐌𝑒𝓁𝔢 ﬁle ⼀", "Mele 021 Mele file 一"),
    ("М\u0435le Fіfita, раssport", "Mele Fifita, passport"),
    ("Москва, Мoсква; α-test; ЅМЅ", "Москва, Мoсква; α-test; ЅМЅ"),
    ("0\u06f21 555 ०२१ ５5", "021 555 ०२१ 55"),
    ("他说：“好，走吧！”（完）。", '他说："好，走吧！"（完）。'),
    ("क्\u200dष क्\u200cष", "क्\u200dष क्\u200cष"),
    ("न\u200dम\u200cस\u200dते", "नमसते"),
    ("👩\u200d👩\u200d👧 🧑🏽\u200d🌾", "👩\u200d👩\u200d👧 🧑🏽\u200d🌾"),
    ("❤\ufe0f\u200d🔥 ☎\ufe0e", "❤\u200d🔥 ☎"),
    ("a\u200db 👩\u200d x", "ab 👩 x"),
]


@pytest.mark.parametrize(("untrusted_text", "expected"), CLEANED)
def test_each_hidden_mark_goes_and_each_word_stays(untrusted_text, expected):
    """Hidden and typographic marks are made plain; what Hindi, Chinese and emoji need is kept."""
    assert clean_text(untrusted_text) == expected


AWKWARD = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "\r\n \t\u200c\u200d\ufe0f\u0338\u0301\u093c\u0951"
            "аМＡ𝐚ﬁ०２\u2011\u0344\U00016fe4कतन\u094d\u09cd\u09bc\u0995\u2194👩🏽❤`\u1fef\u037e'\ud800"
        ),
    ),
    max_size=40,
)


@given(AWKWARD)
def test_cleaning_twice_changes_nothing_more(untrusted_text):
    """`clean_text` is idempotent, whatever the text."""
    once = clean_text(untrusted_text)
    assert clean_text(once) == once


@given(AWKWARD)
def test_nothing_hidden_is_left(untrusted_text):
    """A cleaned text is NFC and holds no control, format or lone surrogate but joiners and newlines."""
    text = clean_text(untrusted_text)
    assert unicodedata.is_normalized("NFC", text)
    left = {each for each in text if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}}
    assert left <= {"\n", "\u200c", "\u200d"}
    assert not re.search("[\ufe00-\ufe0f\u3164]| \n| $", text)


DOCUMENTS = [
    ("one\r\ntwo\rthree\u2028four\x0bfive\x85six", "one\ntwo\nthree\nfour\nfive\nsix"),
    ("cafe\u0301", "café"),
    ("a\x00b\x07c\x7fd", "abcd"),
    ("tab\tstays\t\tthere, \u00a0 spaces\t \t\n\n", "tab\tstays\t\tthere, spaces"),
    ("‘quotes’ “too”", "'quotes' \"too\""),
    ("a\u200db क्\u200dष", "ab क्\u200dष"),
    ("\u202eevil\u202c ze\u200bro so\u00adft", "evil zero soft"),
    ("vs\ufe0f and\U000e0101 tag\U000e0041", "vs and tag"),
    ("lone \ud800 and private\ue000", "lone and private"),
]


@pytest.mark.parametrize(("untrusted_text", "expected"), DOCUMENTS)
def test_a_document_loses_hidden_marks_and_keeps_its_tabs(untrusted_text, expected):
    """A document is cleaned as typed text is; only the tabs between its columns stay."""
    assert clean_document_text(untrusted_text) == expected


@given(AWKWARD)
def test_nothing_hidden_is_left_in_a_document(untrusted_text):
    """A document's cleaned text has newlines as line ends and no control, format or private character but joiners."""
    text = clean_document_text(untrusted_text)
    assert unify_line_ends(text) == text
    left = {each for each in text if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}}
    assert left <= {"\n", "\t", "\u200c", "\u200d"}


# What the ten languages write with more than ASCII, as people write it.
WRITTEN = [
    "Kei te mōhio au ki ngā tāngata o Ōtautahi.",
    "O lo'u tuafafine e nofo i Māngere, ma lo'u uso.",
    "Ko hoku tuonga'ane 'oku ne ngāue 'i Nuku'alofa.",
    'Mẹ tôi nói: "Họ giữ hộ chiếu của chị Nguyễn Thị Hồng Nhung."',
    '他说："好，走吧！"（完）。——……《书》、￥500',
    "मेरा नाम क्षितिज है, फ़ोन ०२१ ५५५ ०१९९; क्\u200dया क्\u200cष।",
    "Sa cakacaka tiko na marama; e lima na yabaki.",
    "Hawak nila ang pasaporte ko. Ñora, ₱500.",
    "Saya tidak dibenarkan keluar — 24 jam.",
    "Москва, Ἀθήνα, 東京 トウキョウ, 서울 ㅋㅋ, ภาษาไทยน้ำ, العربية, עברית",
    "👩\u200d👩\u200d👧 🫱🏽\u200d🫲🏾 1\u20e3",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_what_people_write_in_their_languages_stays(text):
    """No letter, mark, digit or punctuation of a language is changed: macrons, glottal marks, joiners of Hindi."""
    assert clean_text(text) == unicodedata.normalize("NFC", text)
    assert clean_document_text(text) == unicodedata.normalize("NFC", text)


def test_every_code_point_that_prints_nothing_is_removed():
    """All of Default_Ignorable_Code_Point, and every control, private or non-character, leaves a word as it was."""
    ignorable = [0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0, 0x1D159, 0x16FE4]
    for first, last in (
        *((0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xFFF0, 0xFFF8)),
        *((0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF), (0xFDD0, 0xFDEF)),
    ):
        ignorable += range(first, last + 1)
    ignorable += [plane << 16 | end for plane in range(17) for end in (0xFFFE, 0xFFFF)]
    ignorable += [code for code in range(0x110000) if unicodedata.category(chr(code)) in {"Cc", "Cf", "Co", "Cs"}]
    lines = {0x9, 0xA, 0xB, 0xC, 0xD, 0x85}
    left = [hex(code) for code in ignorable if code not in lines and clean_text(f"na{chr(code)}me") != "name"]
    left += [hex(code) for code in ignorable if code not in lines and clean_document_text(f"na{chr(code)}me") != "name"]
    assert left == []
    assert has_hidden_characters("na\u2065me")
    assert not has_hidden_characters("न\u200dame \t—\n")


@given(st.text(st.sampled_from("a\u0301\u0323\u0344\u093c\u0f73\u0f75\U0001d165"), max_size=200))
def test_no_row_of_marks_is_longer_than_the_limit(text):
    """Composed text is NFC with at most 30 combining marks in a row, and composing it again changes nothing."""
    composed = compose(text)
    assert unicodedata.is_normalized("NFC", composed)
    assert compose(composed) == composed
    rows = "".join("m" if unicodedata.combining(each) else " " for each in composed).split()
    assert max(map(len, rows), default=0) <= MAX_MARKS


def test_the_marks_that_a_writer_needs_are_fewer_than_the_limit():
    """Text with few marks is composed as the standard says, and nothing is cut."""
    for text in ("e\u0302\u0323", "a" + "\u0301" * 30, "क\u094d\u200dष\u093c", "\u1112\u1161\u11ab"):
        assert compose(text) == unicodedata.normalize("NFC", text)
