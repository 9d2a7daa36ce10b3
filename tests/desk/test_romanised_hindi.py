"""Hindi in Latin letters."""

import pytest

from app.desk.romanised_hindi import romanise_hindi


@pytest.mark.parametrize(
    ("hindi", "latin"),
    [
        ("मालिक", "malik"),
        ("पासपोर्ट", "pasaport"),
        ("हम काम करते हैं", "ham kam karate hain"),
        ("बड़ा", "bara"),
        ("ज़मीन", "zamin"),
        ("अंदर", "andar"),
        ("दवाई 111", "davai 111"),
        ("Police", "Police"),
        ("\u093c\u094d\u0902", "n"),
    ],
)
def test_hindi_is_written_as_people_type(hindi, latin):
    """Each letter has its Latin letters, a last vowel is silent, and what is not Hindi stays."""
    assert romanise_hindi(hindi) == latin
