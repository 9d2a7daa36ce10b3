"""What is removed from a text that a person typed, and from the text of a document."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.unicode import clean_document_text, clean_text, unify_line_ends

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
    ("lone \ud800 and \udfff", "lone  and"),
    ("non\ufdd0char\uffff\U0010ffff", "nonchar"),
    ("private\ue000 use\U000f0000", "private use"),
    ("line end   \n  next \n\n", "line end\n  next"),
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
            "कतन\u094d\u09cd\u09bc\u0995\u2194👩🏽❤`\u1fef\u037e'\ud800"
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
    ("tab\tstays, \u00a0 spaces stay \n\n", "tab\tstays, \u00a0 spaces stay \n\n"),
    ("‘quotes’ “stay”", "‘quotes’ “stay”"),
    ("a\u200db क्\u200dष", "a\u200db क्\u200dष"),
    ("\u202eevil\u202c ze\u200bro so\u00adft", "evil zero soft"),
    ("vs\ufe0f and\U000e0101 tag\U000e0041", "vs and tag"),
    ("lone \ud800 and private\ue000", "lone  and private"),
]


@pytest.mark.parametrize(("untrusted_text", "expected"), DOCUMENTS)
def test_a_document_loses_hidden_marks_and_keeps_its_typography(untrusted_text, expected):
    """Controls, selectors and tags are removed from a document; tabs, spaces, quotes and joiners stay."""
    assert clean_document_text(untrusted_text) == expected


@given(AWKWARD)
def test_nothing_hidden_is_left_in_a_document(untrusted_text):
    """A document's cleaned text has newlines as line ends and no control, format or private character but joiners."""
    text = clean_document_text(untrusted_text)
    assert unify_line_ends(text) == text
    left = {each for each in text if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}}
    assert left <= {"\n", "\t", "\u200c", "\u200d"}
