"""A redaction: what is taken out is nowhere in what is left."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.desk.case import RedactionDraft, case_from_words
from app.desk.redaction import Redaction, answer_texts, find_removed
from app.text.find import REMOVED_PLACEHOLDER
from tests.support.desk import tip, words_of

WORDS = st.text("abcdeéĀēA B漢字Zz09 .-'\n", min_size=1, max_size=60)


def _fields(**texts):
    return answer_texts(case_from_words(words_of(tip(texts)), ()))


def _redaction(fields, draft):
    return Redaction.of(fields, draft, {})


@given(st.dictionaries(st.sampled_from(("what", "where", "when", "people")), WORDS, min_size=1), st.data())
def test_nothing_marked_is_left_in_any_field(fields, data):
    """Whatever is marked in one answer stands in none, whatever its case, as a whole word."""
    name = data.draw(st.sampled_from(sorted(fields)))
    start = data.draw(st.integers(0, len(fields[name]) - 1))
    end = data.draw(st.integers(start + 1, len(fields[name])))
    draft = RedactionDraft(marks={name: ((start, end),)})
    made = _redaction(fields, draft)
    left, pieces = made.left, made.removed
    assert not find_removed(left.values(), pieces)
    assert pieces or not re.search(r"\w", fields[name][start:end])
    for piece in pieces:
        whole = re.compile(rf"(?<!\w){re.escape(piece)}(?!\w)", re.IGNORECASE)
        assert not any(whole.search(text.replace(REMOVED_PLACEHOLDER, "\0")) for text in left.values())


@given(WORDS.filter(str.strip), st.integers(1, 30))
def test_the_length_of_what_was_taken_out_is_not_told(text, times):
    """A short and a long secret leave the same referral text."""
    short, long = f"before {text.strip()} after", f"before {'x' * times} after"
    one = _redaction({"what": short}, RedactionDraft(marks={"what": ((7, len(short) - 6),)})).left
    other = _redaction({"what": long}, RedactionDraft(marks={"what": ((7, len(long) - 6),)})).left
    assert one["what"] == other["what"] == f"before {REMOVED_PLACEHOLDER} after"


@pytest.mark.parametrize(
    ("marked", "elsewhere"),
    [
        ("Mele Fifita", "Then MELE said so"),
        ("Mele Fifita", "ask fifita"),
        ("021 555 0199", "or 021-5550199"),
        ("+64 21 555 0199", "at +64215550199"),
        ("ABC123", "plate abc123"),
        ("梅丽", "我和梅丽一起"),
        ("Beach  Road", "on beach\nroad"),
    ],
)
def test_what_is_marked_is_taken_out_wherever_it_stands(marked, elsewhere):
    """A name goes with each of its parts, a number however it is grouped, Chinese without blanks around it."""
    fields = _fields(what=f"I saw {marked} there", where=elsewhere)
    draft = RedactionDraft(marks={"what": ((6, 6 + len(marked)),)})
    made = _redaction(fields, draft)
    assert REMOVED_PLACEHOLDER in made.left["where"]
    assert not find_removed(made.left.values(), made.removed)


def test_common_words_of_a_mark_stay_elsewhere():
    """The mark "My sister" takes out every "my sister", not every "my"."""
    fields = _fields(what="My sister works there. It is my house.")
    assert (
        _redaction(fields, RedactionDraft(marks={"what": ((0, 9),)})).left["what"]
        == f"{REMOVED_PLACEHOLDER} works there. It is my house."
    )


@given(st.text(max_size=200), st.lists(st.integers(0, 200), min_size=2, max_size=8))
def test_any_text_and_marks_make_a_referral_without_them(text, places):
    """For any Unicode text and any marks, the referral's JSON holds none of the pieces that were taken out."""
    spans = tuple((min(pair), max(pair)) for pair in zip(places[::2], places[1::2], strict=False))
    fields = {"what": text} if text else {}
    draft = RedactionDraft(marks={"what": tuple((a, b) for a, b in spans if b <= len(text))})
    made = _redaction(fields, draft)
    left = made.left
    assert not find_removed(left.values(), made.removed)
    assert json.dumps(left)
