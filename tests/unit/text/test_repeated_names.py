"""The writer's own name is found wherever the words say the name again."""

from itertools import pairwise

import pytest

from app.text.find import find_identifying, find_in_fields


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("I am Losa. He calls Losa lazy, and Losa’s passport is with him.", ["I am Losa", "Losa", "Losa's"]),
        ("My name is Mere Tawhiri. The list says Tawhiri, Mere.", ["My name is Mere Tawhiri", "Tawhiri", "Mere"]),
        ("my name is losa. he took it and losa cried", ["my name is losa", "losa"]),
        ("He keeps Deb in the house.\nThanks, Deb", ["Deb", "Deb"]),
        ("Ko Hine Parata ahau. I kī mai ia ki a Hine kia noho.", ["Hine Parata ahau", "Hine"]),
        ("O lo’u igoa o Losa Faleafa. Na ave e le pule le tusi folau a Losa.", ["O lo'u igoa o Losa Faleafa", "Losa"]),
        ("Ko hoku hingoa ko Mele Tupou. Na’e tala kia Mele.", ["Ko hoku hingoa ko Mele Tupou", "Mele"]),
        ("Na yacaqu o Mere Tuilagi. E kaya vei Mere na bosi.", ["Na yacaqu o Mere Tuilagi", "Mere"]),
        ("我叫王小明。老板说王小明不能走。小明没有护照。", ["我叫王小明", "王小明", "小明"]),
        ("मेरा नाम सुनीता शर्मा है। मालिक ने कहा सुनीता यहाँ से नहीं जा सकती।", ["मेरा नाम सुनीता शर्मा", "सुनीता"]),
        ("Nama saya Siti Aminah. Bos kata Siti mesti bayar.", ["Nama saya Siti Aminah", "Siti"]),
        ("Tên tôi là Nguyễn Thị Lan. Ông chủ nói Lan phải trả nợ.", ["Tên tôi là Nguyễn Thị Lan", "Lan"]),
        ("Ako si Maria Santos. Sabi ng amo, hindi makakaalis si Maria.", ["Ako si Maria Santos", "Maria"]),
    ],
    ids="short en small signed mi sm to fj zh hi ms vi tl".split(),
)
def test_a_name_that_stands_again_is_found_again(kinds, text, names):
    """Each further place of the writer's name is a finding of its own, in each language."""
    assert [words for kind, words in kinds(text) if kind == "name"] == names


def test_a_name_is_found_in_the_other_fields_too(all_phrases):
    """A name that one answer gives is found in every answer of the report, also in those about the suspects."""
    texts = {
        "what": "My name is Losa Faleafa.",
        "where": "The house behind Losa's shop",
        "who": "He hits Losa",
        "when": "",
    }
    found = find_in_fields(texts, phrases=all_phrases, suspects={"who"})
    words = {field: [texts[field][start:end] for start, end, kind in found[field] if kind == "name"] for field in texts}
    assert words == {"what": ["My name is Losa Faleafa"], "where": ["Losa's"], "who": ["Losa"], "when": []}


@pytest.mark.parametrize(
    "text",
    [
        "I am Catholic. He hates each Catholic worker.",
        "The boss is Losa. He calls Losa lazy.",
        "My name is Rose. In the garden a rose grows, and prices rose.",
        "My name is Ana. Anapogi Road is near, and banana boxes.",
    ],
    ids=["no name", "of somebody else", "in small letters", "part of a word"],
)
def test_other_words_are_no_name(all_phrases, text):
    """A word after "I am" that no list has, the name of another person and words that are only like a name are not."""
    found = [each for each in find_identifying(text, phrases=all_phrases) if each.kind == "name"]
    assert len(found) <= 1
    assert all(each.start == 0 for each in found)


def test_what_was_found_otherwise_keeps_its_reason(all_phrases):
    """A finding of another kind that holds the name stays as it is, and no two findings overlap."""
    text = "My name is Ana Tupou. Write to ana@b.example, 12 Ana Street, or to my cousin Ana."
    found = find_identifying(text, phrases=all_phrases)
    assert [each.kind for each in found if "@" in text[each.start : each.end]] == ["email"]
    assert all(one.end <= after.start for one, after in pairwise(found))
