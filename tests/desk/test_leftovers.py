"""The leftover gate: what was taken out, or stands as the sender wrote it, stops own words until a handler decides."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.unicode import clean_text
from app.desk.leftovers import SENTENCE, TAKEN_OUT, LeftoverGate, count_by_kind
from app.text.find import REMOVED_PLACEHOLDER
from tests.support.growth import MOST_GROWTH, growth
from tests.support.paths import ROOT

SENT = (
    "My sister Mele Fifita told me on Tuesday that seven men sleep in the packhouse behind the river, and nobody pays "
    "them. They lock the gate at night.\nCall 021 555 0199."
)
REMOVED = ("Mele Fifita", "Mele", "Fifita", "021 555 0199")


def _gate(removed=REMOVED, sent=(SENT,)):
    return LeftoverGate.of(removed, sent)


@pytest.mark.parametrize(
    "written",
    [
        "MELE",
        "Ｍｅｌｅ",
        "М\u0435l\u0435",
        "Mélè",
        "Me\u200ble",
        "\u202eMele\u202c",
        "M\u00ade\u2060l\ufeffe",
        "𝕸𝖊𝖑𝖊",
        "Me1e",
        "melefifita",
        "+64 21 555 0199",
        "०२१-५५५-०१९९",
        "O21, 555... 0I99",
        "〇二一五五五零一九九",
    ],
)
def test_a_word_that_was_taken_out_is_seen_however_it_is_typed(written):
    """Other letters, scripts, digits, groups, hidden marks and turned text hide nothing, typed raw or cleaned."""
    for text in (f"Ask {written} about it.", clean_text(f"Ask {written} about it.")):
        assert count_by_kind(_gate().find("what", text))[TAKEN_OUT] == 1, text


def test_a_name_of_two_words_is_one_place():
    """Parts of a name that stand beside each other are let stand, or changed, together."""
    (place,) = _gate().find("what", "It was Fifita Mele who called.")
    assert (place.start, place.end) == (7, 18)


def test_a_part_of_a_longer_text_that_was_taken_out_is_seen():
    """Of a clause that was taken out as a whole, four words in a row are found, and three are not."""
    gate = _gate(("I clean the third floor on Tuesdays",), ())
    assert count_by_kind(gate.find("what", "A person who has to clean the third floor."))[TAKEN_OUT] == 1
    assert gate.find("what", "It is the third floor.") == ()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Seven men sleep in the packhouse behind the river.", 1),
        ("SEVEN MEN -- sleep; in the pàckhouse (behind the river)!", 1),
        ("They lock the gate at night", 1),
        ("The men live by a river. The gate is locked at night.", 0),
        ("Men sleep in the packhouse.", 0),
        (f"{REMOVED_PLACEHOLDER} told me on Tuesday that seven {REMOVED_PLACEHOLDER} sleep in the packhouse", 0),
    ],
)
def test_a_sentence_of_the_sender_is_seen(text, count):
    """Eight words in a row or a whole short sentence are the sender's own; a fact told in other words is not."""
    assert count_by_kind(_gate((), (SENT,)).find("what", text))[SENTENCE] == count


def test_a_chinese_sentence_of_the_sender_is_seen():
    """Two Chinese characters count as a word, so a fact of a few characters stays and a sentence is found."""
    sent = "他们晚上睡在车库里，老板拿走了他们的护照，也不给他们工资。"
    gate = _gate((), (sent,))
    assert count_by_kind(gate.find("what", "有人说老板拿走了他们的护照，也不给他们工资"))[SENTENCE] == 1
    assert count_by_kind(gate.find("what", "睡在车库里"))[SENTENCE] == 0


@pytest.mark.parametrize("language", ["en", "mi", "zh-Hans", "ms", "vi", "sm", "to", "fj", "hi", "tl"])
def test_copied_sentences_are_seen_in_each_language_and_others_are_not(language):
    """Of 844 sentences, 746 are found once copied into a new text (the others are too short); 2 meet another."""
    tables = tomllib.loads((ROOT / f"tests/identity_sentences/{language}.toml").read_text()).values()
    sentences = list(dict.fromkeys(one for table in tables for one in _texts(table)))
    copied = sum(bool(_gate((), (one,)).find("what", f"{one.upper()} And so.")) for one in sentences)
    met = sum(bool(_gate((), [each for each in sentences if each != one]).find("what", one)) for one in sentences[::4])
    assert copied >= 0.7 * len(sentences)
    assert met <= 1


def _texts(table):
    if isinstance(table, str):
        return [table] if len(table) > 15 else []
    return [text for one in (table.values() if isinstance(table, dict) else table) for text in _texts(one)]


def test_the_words_of_a_question_of_the_desk_are_not_the_senders():
    """What the desk asked in its own words may stand in a new text."""
    asked = "Is there a safe time for officers to go there?"
    assert _gate((), (f"{asked}\nAt night",)).find("what", asked) == ()


def test_a_place_stands_only_as_it_was_allowed():
    """One of two places is allowed, and the other still stops; after a change around it, a place stops again."""
    gate, text = _gate(), "I saw Mele near the river. I saw Mele near the river."
    first, second = gate.find("what", text)
    assert first.mark != second.mark
    assert gate.stopping("what", text, {first.mark}) == (second,)
    assert gate.stopping("what", text, {first.mark, second.mark}) == ()
    assert gate.stopping("what", text.replace("saw", "met", 1), {first.mark, second.mark})
    assert "Mele" not in gate.without_allowed("what", text, {first.mark, second.mark})
    assert gate.without_allowed("what", text, {second.mark}).count("Mele") == 1


@given(st.text(max_size=300), st.text(max_size=40))
def test_any_text_can_be_searched(text, around):
    """Whatever was written and typed, each place lies within the text, has a mark of its own, and can be allowed."""
    gate = _gate((text[:20], "Mele"), (text,))
    typed = f"{around}{text} Mele {around}"
    found = gate.find("what", typed)
    assert all(0 <= one.start < one.end <= len(typed) for one in found)
    assert len({one.mark for one in found}) == len(found) >= 1
    assert gate.stopping("what", typed, {one.mark for one in found}) == ()


def test_the_gate_takes_linear_time():
    """Making the gate of a long text and searching a long text takes time in proportion to their length."""
    assert growth(lambda text: _gate(REMOVED, (text,)).find("what", text), f"{SENT} ", 10_000) < MOST_GROWTH
