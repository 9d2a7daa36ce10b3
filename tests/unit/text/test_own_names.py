"""Which names are found, after which words, and what is no name."""

import pytest

FOUND = [
    ("I am Anna.", "name", "I am Anna"),
    ("Hi, I'm Melissa and I live next door", "name", "I'm Melissa"),
    ("They never paid.\n\nRegards,\nAnna Tupou", "name", "Anna Tupou"),
    ("Please hurry. Thanks, Deb xx", "name", "Deb"),
    ("please help us - Maricel", "name", "Maricel"),
    ("they call me Ana", "name", "they call me Ana"),
    ("In my contract it says Rakesh Kumar Sharma", "person", "Rakesh Kumar Sharma"),
    ("my cousin said that Xandrine is gone", "person", "Xandrine"),
    ("Good morning, Tevita Moala here.", "name", "Tevita Moala here"),
    ("It's Rangi again, I wrote last week.", "name", "Rangi again"),
    ("sign me as T. Fonoti, please", "name", "sign me as T. Fonoti"),
    ("Cheers, Dave from the bottle store", "name", "Dave"),
    ("love, nana Pat", "name", "nana Pat"),
    ("sorry for my spelling, linh nguyen", "name", "linh nguyen"),
    ("– Imran", "name", "Imran"),
    ("Salaam, Yusuf here from the meatworks.", "name", "Yusuf here from"),
    ("Hāpai ora, Matua Rewi Te Huia", "person", "Matua Rewi Te Huia"),
    ("please help us. -obet", "name", "obet"),
    ("They are not paid. Perla Ocampo, Palmerston North", "name", "Perla Ocampo"),
    ("In the contract it says N. Baluyot, and that is me.", "person", "Baluyot"),
    ("tofa soifua - le teine kuka", "name", "le teine kuka"),
    ("ko Wiremu ahau", "name", "Wiremu ahau"),
    ("救救她们，谢谢。小雯", "name", "小雯"),
    ("本人李志明，男", "name", "本人李志明"),
    ("Em tên là Nguyễn Thị Hồng", "name", "Em tên là Nguyễn Thị Hồng"),
]
NOT_FOUND = [
    "I am Not Going To Say More Than That",
    "I am scared.",
    "Kind regards",
    "Thanks for your help",
    "Thank you and please be careful, they have guns",
    "his wife Tina does the books",
    "I told INZ and the RSE office",
    "The girls are in Tauranga with a man called Zed",
    "Hidden in a faka-Pilitania",
    "The girls from China here are scared",
    "Every day it starts again",
    "The advertisement says to look for Mrs. Salonga.",
    "He introduced himself as Engr. Basilio.",
]


@pytest.mark.parametrize(("text", "kind", "words"), FOUND)
def test_a_name_is_found_with_what_introduces_the_name(kinds, text, kind, words):
    """A name after an introduction, under the text, or of the list in a sentence about the writer, is found."""
    assert (kind, words) in kinds(text)


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_only_looks_like_a_name_is_not_found(kinds, text):
    """Closing words without a name, titles of four words and a suspect's relatives are no names of the writer."""
    assert [found for found, _ in kinds(text) if found in {"name", "person"}] == []


def test_a_suspects_name_is_not_found(kinds):
    """In a field about suspects no name of the list is found, also where the writer speaks of themselves."""
    assert kinds("I saw Vikram there", about_suspects=True) == []
    assert [kind for kind, _ in kinds("I saw Vikram there")] == ["person"]
