"""The language of a text, guessed."""

import pytest

from app.desk.language_guess import guess_language


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "They are not paid and the boss keeps the passports of all the workers"),
        ("zh-Hans", "老板拿走了我们的护照"),
        ("hi", "मालिक ने हमारे पासपोर्ट रख लिए हैं"),
        ("mi", "Kei te mahi rātou i te pō, ā, kāore he utu ki a rātou"),
        ("ms", "Mereka tidak dibayar dan majikan ambil pasport mereka"),
        ("vi", "Họ không được trả lương và chủ giữ hộ chiếu của họ"),
        ("sm", "O loo galulue i latou i le po ma e le totogiina e le pule"),
        ("to", "'Oku nau ngāue 'i he pō pea 'oku 'ikai ke totongi kinautolu"),
        ("fj", "Era cakacaka tiko na tamata e na bogi ka sega ni saumi ira"),
        ("tl", "Hindi sila binabayaran at hawak ng amo ang mga pasaporte nila"),
        ("", "qwx zrt plm"),
    ],
)
def test_the_language_of_a_text_is_guessed(code, text):
    """Each of the ten languages is told from the others by its script or small words; nonsense is not guessed."""
    assert guess_language(text) == code
