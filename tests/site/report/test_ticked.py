"""Words that are ticked to take out: found again in a changed text, and never other words."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.site.report.ticked import (
    TickedWords,
    read_ticked,
    ticked_spans,
    ticked_words,
    with_ticked,
    write_ticked,
)
from app.text.phrases import Finding
from tests.support.growth import MOST_GROWTH, growth


def ticks(text, *words):
    """What is ticked of a text: each of the words where they first stand."""
    return ticked_words({"what": text}, {"what": [(text.index(each), text.index(each) + len(each)) for each in words]})


def found(ticked, text):
    """The words that are ticked in another text."""
    return [text[start:end] for start, end in ticked_spans({"what": text}, ticked).get("what", [])]


def test_ticks_move_with_the_words():
    """After a word is put before, between or behind them, the same words are ticked."""
    ticked = ticks("I am Sione. Call 021 555 0123.", "Sione", "021 555 0123")
    assert found(ticked, "Hello! I am Sione, a cook. Call me on 021 555 0123. Thanks") == ["Sione", "021 555 0123"]
    assert found(ticked, "Call 021 555 0123. I am Sione.") == ["021 555 0123", "Sione"]


def test_no_other_words_are_ticked():
    """Words that were changed or deleted have no tick, nor has a longer word that holds them."""
    ticked = ticks("I am Ann. Call 021 555 0123.", "Ann", "021 555 0123")
    assert found(ticked, "I am Anna. Call 021 555 01234 or 121 555 0123. Hannah, ann.") == []
    assert found(ticked, "") == []


def test_of_equal_words_the_same_one_is_ticked():
    """The second of two Marys stays the second; where there are three, all are, so that none goes out unseen."""
    text = "Mary said that Mary is here."
    second = ticked_words({"what": text}, {"what": [(15, 19)]})
    changed = "Yes: Mary said that Mary is here."
    assert ticked_spans({"what": changed}, second) == {"what": [(20, 24)]}
    assert found(second, "Mary said that Mary is Mary.") == ["Mary"] * 3


def test_words_without_spaces_between_them():
    """Words of a Chinese or Thai text are found within the text around them."""
    assert found(ticks("我是王伟，住在奥克兰。", "王伟"), "你好，我是王伟啊。") == ["王伟"]


def test_a_hidden_field_holds_ticks():
    """Ticks come back from the text of a field, and a text of another form holds none."""
    ticked = ticks('I am "Ann" <b>.', '"Ann" <b>')
    assert read_ticked(write_ticked(ticked)) == ticked
    assert write_ticked([]) == ""
    for forged in (
        "",
        "{",
        "[1]",
        '[["what"]]',
        '[["what", 1, 0, 1]]',
        '{"a": 1}',
        "[" * 90_000,
        '[["what", " ", 0, 1]]',
    ):
        assert read_ticked(forged) == []
    assert read_ticked(json.dumps([["what", "a", -5, -5]])) == [TickedWords("what", "a", 0, 0)]


def test_spans_outside_a_text_are_ignored():
    """A span that begins or ends outside its text, or holds no word, is no tick."""
    spans = {"what": [(0, 99), (5, 5), (3, 4), (7, 2)], "where": [(0, 1)]}
    assert ticked_words({"what": "I am Ann"}, spans) == [] or all(
        each.words.strip() for each in ticked_words({"what": "I am Ann"}, spans)
    )
    assert ticked_words({"what": "I  Ann"}, {"what": [(1, 3)]}) == []


def test_rows_for_ticked_words():
    """Ticked words that the finder does not find have a row; a finding that overlaps them keeps what is left."""
    text = "I am Sione Tuipulotu of Otara"
    rows = with_ticked(text, [Finding(5, 20, "name"), Finding(24, 29, "place")], [(5, 10), (24, 29)])
    assert [(text[each.start : each.end], each.kind) for each in rows] == [
        ("Sione", "self"),
        ("Tuipulotu", "name"),
        ("Otara", "place"),
    ]


@given(st.text("ab 1你", max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6))
def test_an_unchanged_text_keeps_every_tick(text, pairs):
    """In a text that was not changed every ticked character is ticked again, and no span overlaps another."""
    spans = [(start, end) for start, end in pairs if start < end <= len(text) and text[start:end].strip()]
    again = ticked_spans({"what": text}, ticked_words({"what": text}, {"what": spans})).get("what", [])
    whole = [(start, end) for start, end in spans if any(first <= start and end <= last for first, last in again)]
    alone = [pair for pair in spans if _stands_alone(text, *pair)]
    assert set(alone) <= set(whole)
    assert all(before[1] <= after[0] for before, after in pairwise(again))


def _stands_alone(text, start, end):
    edges = [text[max(0, start - 1) : start + 1], text[end - 1 : end + 1]]
    return not any(len(each) == 2 and all(sign in "ab1" for sign in each) for each in edges)


def test_many_ticks_take_linear_time():
    """The work for ticks grows with the length of the text, not with its square."""

    def work(text):
        spans = [(at, at + 1) for at in range(0, len(text), 2)]
        ticked_spans({"what": text}, ticked_words({"what": text + " a"}, {"what": spans}))

    assert growth(work, "a ", 4_000) < MOST_GROWTH
