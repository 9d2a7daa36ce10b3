"""What is found in ten languages, what is removed, and that both take linear time."""

import sys
import tomllib
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.unicode import clean_text
from app.text.find import REMOVED_PLACEHOLDER, find_identifying, remove_spans
from tests.support.paths import ROOT
from tests.support.visit import KNOWN

SENTENCES = ROOT / "tests" / "identity_sentences"


def test_two_findings_never_overlap(kinds, all_phrases):
    """Where findings meet, one is kept whole and the other cut or left out."""
    text = clean_text("I am the cousin of my boss Pita; my friend's e-mail is a@b.example and 021 555 0123.")
    found = find_identifying(text, phrases=all_phrases)
    assert [each.kind for each in found] == ["self", "role", "relation", "email", "phone"]
    assert all(one.end <= next_.start for one, next_ in pairwise(found))


def test_evidence_in_fields_about_suspects_is_not_a_finding(kinds):
    """About suspects a number is found only after words that make it the writer's; relations and tokens are found."""
    suspects = "Her boss, 021 555 0123, boss@b.example, @big_boss, LA123456, comes at 5:40 am."
    assert kinds(suspects, about_suspects=True) == []
    assert [kind for kind, _ in kinds(suspects)] == ["phone", "email", "handle", "time"]
    assert kinds("Text me on 021 555 0123", about_suspects=True) == [("phone", "021 555 0123")]
    assert kinds("It is my cousin", about_suspects=True) == [("relation", "my cousin")]
    assert [kind for kind, _ in kinds("https://a.example/?u=1", about_suspects=True)] == ["link"]


# -- the set of sentences


def _sentences(code):
    path = SENTENCES / f"{code}.toml"
    assert path.exists(), f"write {path.relative_to(ROOT)}: 40 sentences or more, as en.toml beside it has them"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return [(sentence, Counter(wanted)) for sentence, *wanted in table["warn"]] + [
        (sentence, Counter()) for sentence in table["quiet"]
    ]


@pytest.mark.parametrize("code", KNOWN)
def test_the_sentences_are_judged_as_a_person_would(kinds, code):
    """In each language nothing planted is missed, and at most one quiet sentence in fifty is warned about."""
    sentences = _sentences(code)
    found = [(sentence, wanted, Counter(kind for kind, _ in kinds(sentence))) for sentence, wanted in sentences]
    missed = {sentence: (wanted - got) for sentence, wanted, got in found if wanted - got}
    false = {sentence: (got - wanted) for sentence, wanted, got in found if got - wanted}
    planted = sum(wanted.total() for _, wanted in sentences)
    print(f"{code}: {len(sentences)} sentences, {planted} planted, {len(missed)} missed, {len(false)} false")
    assert len(sentences) >= 40
    assert planted >= 40
    assert missed == {}
    assert len(false) <= len(sentences) * 0.02, false


# -- taking out


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(-5, 40), st.integers(-5, 40)), max_size=6))
def test_nothing_of_a_removed_span_is_left(text, spans):
    """What remains is exactly the characters outside the spans, with a sign where each was."""
    gone = {place for start, end in spans for place in range(max(start, 0), min(end, len(text)))}
    expected = []
    for place, character in enumerate(text):
        if place not in gone:
            expected.append(character)
        elif place - 1 not in gone:
            expected.append(REMOVED_PLACEHOLDER)
    assert remove_spans(text, spans) == "".join(expected)


# -- linear time

HOSTILE = [
    *("1", "1 ", "01 ", "+6421", "0211234567 ", "(0", "-1", "1:", "1.234,", "6 pm ", "ird 123 ", "bank 12-"),
    *("a.", "a@", "@", "a/", "a'", "http://", "www.a1b2c3/", "whatsapp: ", "passport 1234567 "),
    *("KLM123 ", "12 Street ", "room 1 ", "Ana ", "I am Ana ", "thanks, Ana\n", "one ", "1/1/11 ", "一"),
    *("my ", "ko ", "only i ", "my name is A B ", "tôi ", "我", "我叫", "मेरा "),
    *("क\u094d\u200d", "👩\u200d", "a\u0301", "\u200d"),
]


def _steps(work):
    """Count the lines of Python that some work runs, in every module."""
    count = 0

    def tracer(_frame, event, _argument):
        nonlocal count
        count += event == "line"
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("unit", HOSTILE)
def test_four_times_the_text_takes_at_most_four_times_the_steps(all_phrases, unit):
    """Cleaning and finding take a number of steps that grows no faster than the text."""

    def steps(length):
        untrusted_text = (unit * length)[:length]
        return _steps(lambda: find_identifying(clean_text(untrusted_text), phrases=all_phrases))

    steps(100)  # what a first call imports or caches is not counted
    assert steps(2400) <= 4.4 * steps(600) + 500
