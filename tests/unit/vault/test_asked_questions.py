"""The questions that a desk asks by id: forty, each answered by a tick or a few words, whole in every language."""

import re
from collections import Counter

import polib
import pytest

from app.desk.replies import reply_warnings
from app.vault.asked_questions import QUESTIONS, question_text, said_text
from app.vault.tip import MAX_REPLY_LENGTH
from tests.support.paths import ROOT
from tests.support.visit import KNOWN

FOLDERS = {code: language.folder for code, language in KNOWN.items() if code != "en"}
TEXTS = [words for one in QUESTIONS.values() for words in (one.text, *(choice.label for choice in one.choices))]


def test_there_are_forty_questions():
    """The catalogue has forty questions, under ids that a tip can carry, and no two are asked in the same words."""
    assert len(QUESTIONS) == 40
    assert [name for name in QUESTIONS if not re.fullmatch(r"[a-z][a-z-]{0,29}", name)] == []
    assert [text for text, count in Counter(one.text for one in QUESTIONS.values()).items() if count > 1] == []


def test_each_question_is_answered_by_a_tick_or_by_words():
    """A question has no answers to tick, or several of different values; one says that the sender is not sure."""
    for question in QUESTIONS.values():
        values = [choice.value for choice in question.choices]
        assert len(values) == len(set(values)) != 1
        assert not values or "unsure" in values, question.id
        assert all(len(value) <= MAX_REPLY_LENGTH for value in values)


@pytest.mark.parametrize("text", sorted(set(TEXTS)))
def test_no_question_could_harm_its_reader(text):
    """The desk's own warnings about a reply find nothing in a question: not who, not where to meet, no link."""
    assert reply_warnings(text) == ()


def test_the_warnings_can_find_something():
    """A question that asks who the sender is, or asks the sender to come, would be found."""
    assert len(reply_warnings("What is your name? Can you come to our office?")) == 2


@pytest.mark.parametrize("code", FOLDERS)
def test_each_language_has_every_question(code):
    """In each language each question and each answer to tick has words, and no two that stand together are the same."""
    catalogue = polib.pofile(str(ROOT / "translations" / FOLDERS[code] / "LC_MESSAGES" / "messages.po"))
    words = {entry.msgid: entry.msgstr for entry in catalogue if entry.translated()}
    assert [text for text in TEXTS if not words.get(text)] == []
    asked = [words[question.text] for question in QUESTIONS.values()]
    assert len(set(asked)) == len(asked)
    for question in QUESTIONS.values():
        labels = [words[choice.label] for choice in question.choices]
        assert len(set(labels)) == len(labels), question.id


def test_what_was_ticked_is_read_in_english():
    """A ticked value becomes its English words; words, and what an unknown id brings, stay as they are."""
    assert question_text("locked-in") == "Is anyone locked in?"
    assert said_text("locked-in", "unsure") == "I am not sure"
    assert said_text("languages", "yes") == "yes"
    assert said_text("locked-in", "perhaps") == "perhaps"
    assert (question_text("newer"), said_text("newer", "yes")) == ("newer", "yes")
