"""What is pointed out as a possible hidden mark, and what people write that is not."""

import pytest

from app.core.unicode import clean_text
from app.text.find import find_identifying
from app.text.hidden_marks import find_hidden_marks

MARKS = [
    ("He said Мoсква twice and left for good", "Мoсква"),
    ("a normal text with сор in it", "сор"),
    ("a normal text with ᴀ\u02b0 in it", "\u02b0"),
    ("here Ⓐ stands", "Ⓐ"),
    ("four a\u0316\u0317\u0318\u0319 marks", "\u0316\u0317\u0318\u0319"),
    ("no letter yet \U0003fff0 here", "\U0003fff0"),
]


@pytest.mark.parametrize(("untrusted_text", "words"), MARKS)
def test_what_cannot_be_folded_is_pointed_out(all_phrases, untrusted_text, words):
    """A word of two alphabets, a disguised one, raised or circled letters, many marks: each is shown to the sender."""
    text = clean_text(untrusted_text)
    found = [(each.kind, text[each.start : each.end]) for each in find_identifying(text, phrases=all_phrases)]
    assert ("mark", words) in found


@pytest.mark.parametrize(
    "text",
    [
        "Kei te mōhio au ki ngā tāngata o Ōtautahi. O lo'u igoa. 'Oku ou 'ilo.",
        "Mẹ tôi nói: họ giữ hộ chiếu của chị Nguyễn Thị Hồng Nhung.",
        "他说：好，走吧！我和Mele一起，￥500，100㎡。",
        "मेरा नाम क्षितिज है, फ़ोन ०२१ ५५५ ०१९९; क्\u200dया।",
        "Он сор видел. Москва, хор, осока, Ἀθήνα, ΑΒΓ.",
        "He works for Газпром and lives in Москва, nº 4, 5 m², 3rd™ ①.",
        "straße, Łukasz, Ørsted, İstanbul, ısı, ŋ, naïve, 😀 👩\u200d👩\u200d👧 \U0001fae9",
    ],
)
def test_what_people_write_is_no_mark(text):
    """Words of any one alphabet, accents, emoji and the signs of a telephone's keyboard are not pointed out."""
    text = clean_text(text)
    assert [text[each.start : each.end] for each in find_hidden_marks(text)] == []
