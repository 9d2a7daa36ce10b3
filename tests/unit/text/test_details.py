"""Which numbers, dates and addresses are found, and that a suspect's are not."""

import pytest

from app.text.details import OwnSentences
from app.text.phrases import Finding

FOUND = [
    ("My visa number is 12345678 and he knows.", "number", "12345678"),
    ("I followed them in my car, plate KLM123.", "number", "KLM123"),
    ("They put us on NZ941 from Apia.", "self", "NZ941"),
    ("I was in seat 23F next to him.", "self", "23F"),
    ("I'm employee number 3318 on the payslip.", "self", "3318"),
    ("my seasonal worker card says RSE-20117", "number", "RSE-20117"),
    ("my dob 14/02/2001", "time", "14/02/2001"),
    ("I've lived at 7 Kauri Grove since 2009", "place", "7 Kauri Grove"),
    ("Come to our place, 41B Hobson Crescent.", "place", "41B Hobson Crescent"),
    ("in our car on 3 April", "time", "3 April"),
    ("I was born on 3 April 1999", "time", "3 April 1999"),
    ("我的工号0271", "number", "0271"),
]
SUSPECTS = [
    "white van plate LKP882 outside the motel",
    "They were flown in on NZ283 with a man in a grey suit.",
    "He lives at 9 Bledisloe Ave with his mother.",
    "The contract was signed on 03/11/2026.",
    "Room 8 of the motel is where they keep her.",
]


@pytest.mark.parametrize(("text", "kind", "words"), FOUND)
def test_a_detail_is_found_in_a_sentence_about_the_writer(kinds, text, kind, words):
    """A number, a date or an address is found where the writer speaks of themselves."""
    assert any(found == kind and words in part for found, part in kinds(text)), kinds(text)


@pytest.mark.parametrize("text", SUSPECTS)
def test_a_suspects_detail_is_not_found(kinds, text):
    """A plate, a flight, an address, a date or a room in a sentence about others is evidence, and not pointed out."""
    assert kinds(text) == []


def test_another_sentence_about_the_writer_changes_nothing(kinds):
    """Only the sentence with the detail is looked at for words such as "my"."""
    assert [kind for kind, _ in kinds("I saw it. The van has plate LKP882.")] == []


@pytest.mark.parametrize("end", [". ", "! ", "? ", "। ", "。", "！", "？", "\n"])
def test_each_sign_that_ends_a_sentence_ends_it(end):
    """In every language a detail after the end of the writer's own sentence is in another sentence."""
    text = f"own{end}AB123"
    sentences = OwnSentences(text, [3])
    assert sentences.holds(Finding(0, 3, "number"))
    assert not sentences.holds(Finding(len(text) - 5, len(text), "number"))


def test_a_number_in_words_counts_as_a_number(kinds):
    """In a phrase of the lists, # stands for digits and for numbers in words of one or of several words."""
    assert [kind for kind, _ in kinds("only three of us")] == ["only"]
    assert [kind for kind, _ in kinds("only 3 of us")] == ["only"]
    assert [kind for kind, _ in kinds("只剩我们二十三个人")] == ["only"]
