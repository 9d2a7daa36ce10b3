"""Text files in the encodings that people's programs write come out as their words, or are refused."""

import random

import pytest

from app.core.errors import FileRefusedError
from app.core.unicode import clean_document_text
from app.files.clean import CleanedFile, clean_files
from app.files.encoding import decode_text
from tests.support.growth import MOST_GROWTH, growth

RUSSIAN = "Каждую пятницу начальник требует наличные деньги."
GREEK = "Κάθε Παρασκευή ζητά μετρητά."
ARABIC = "كل يوم جمعة يطلب المدير نقودا."
THAI = "ทุกวันศุกร์หัวหน้าขอเงินสด"
JAPANESE = "会社で毎週金曜日に現金を払わされています。\n金額は三千五百ドルです。"
KOREAN = "매주 금요일마다 사장이 현금을 요구합니다."
SIMPLIFIED = "我在奥克兰的公司每个星期五都要付现金给王先生。\n金额:$3,500"
TRADITIONAL = "我在奧克蘭的公司每個星期五都要付現金給王先生。\n他說如果不給錢就告訴移民局。"
HEBREW = "בכל יום שישי המנהל דורש מזומן."
FRENCH = "Chaque vendredi le patron demande de l'argent liquide à tous les employés."
POLISH = "W każdy piątek szef żąda gotówki i grozi, że nas deportują."
VIETNAMESE = "Mỗi thứ sáu ông chủ đòi tiền mặt."
MAORI = "Kei te mōhio ahau ki te wāhi, me te tāngata."
ENGLISH = "He said “pay me $500 or you’re going home”."

ENCODED = [
    *((RUSSIAN, name) for name in ("cp1251", "koi8-r", "iso8859-5", "cp866")),
    *((GREEK, name) for name in ("cp1253", "iso8859-7")),
    *((ARABIC, name) for name in ("cp1256", "iso8859-6")),
    *((THAI, name) for name in ("cp874", "tis-620")),
    *((HEBREW, name) for name in ("cp1255", "iso8859-8")),
    *((JAPANESE, name) for name in ("shift_jis", "cp932", "euc_jp", "iso2022_jp")),
    *((KOREAN, name) for name in ("euc_kr", "cp949")),
    *((SIMPLIFIED, name) for name in ("gb18030", "gb2312")),
    (TRADITIONAL, "big5"),
    *((FRENCH, name) for name in ("cp1252", "iso8859-15")),
    *((POLISH, name) for name in ("cp1250", "iso8859-2")),
    (ENGLISH, "cp1252"),
    *((text, "utf-8") for text in (VIETNAMESE, MAORI, THAI, SIMPLIFIED)),
    *((text, name) for text in (SIMPLIFIED, RUSSIAN, MAORI) for name in ("utf-16-le", "utf-16-be", "utf-32-le")),
    *((text, name) for text in (ARABIC, ENGLISH) for name in ("utf-8-sig", "utf-16", "utf-32")),
]


def result_of(data):
    try:
        return decode_text(data)
    except FileRefusedError as refused:
        return refused


@pytest.mark.parametrize(("text", "name"), ENCODED)
def test_words_in_any_usual_encoding_are_kept(text, name):
    """A sentence of thirty to a hundred bytes comes out in its own letters."""
    assert decode_text(text.encode(name)) == text


def test_what_is_not_sure_is_refused_rather_than_guessed():
    """Of 900 pieces of 6 to 50 letters none of 25 and more letters comes out in other letters, and few shorter ones."""
    chosen, wrong = random.Random(14), {6: 0, 12: 0, 25: 0, 50: 0}
    tried = dict.fromkeys(wrong, 0)
    for text, name in ENCODED[:21]:
        for length in wrong:
            for _ in range(11):
                at = chosen.randrange(max(1, len(text) - length))
                piece = text[at : at + length].strip()
                found = result_of(piece.encode(name))
                tried[length] += 1
                wrong[length] += not isinstance(found, FileRefusedError) and found != piece
    print(wrong, tried)
    assert sum(tried.values()) > 900
    assert wrong[25] == wrong[50] == 0
    assert wrong[6] + wrong[12] <= 10


@pytest.mark.parametrize("text", [MAORI, SIMPLIFIED, RUSSIAN, ARABIC])
def test_a_damaged_byte_leaves_a_gap_that_can_be_seen(text):
    """A text of UTF-8 with one broken byte, or cut within a letter, keeps all its other words."""
    data = (text + "\n").encode() * 3
    assert decode_text(data + "ā".encode()[:1]) == (text + "\n") * 3 + "\ufffd"
    broken = decode_text(data[:-1] + b"\xff" + data)
    assert broken.count("\ufffd") == 1
    assert broken.replace("\ufffd", "\n") == (text + "\n") * 6


def test_a_macintosh_of_old_is_not_read_as_windows():
    """Quotes of Mac Roman, which Windows-1252 would read as capitals, are refused or right."""
    found = result_of(ENGLISH.encode("mac-roman"))
    assert getattr(found, "code", found) in {"encoding", ENGLISH}


@pytest.mark.parametrize("data", [b"\0\1\2\3" * 20, bytes(range(256)), b"MZ\x90\0\3", b"words\x07and a bell"])
def test_bytes_that_are_no_text_are_refused(data):
    """Controls are in no text; such a file is of an unknown kind."""
    with pytest.raises(FileRefusedError, match=r"unknown|encoding"):
        decode_text(data)


def test_random_bytes_are_no_text():
    """Of 500 files of random bytes, seeded, none of 64 bytes or more is taken for a text."""
    chosen = random.Random(1)
    taken = [data for size in range(64, 564) if isinstance(result_of(data := chosen.randbytes(size)), str)]
    assert taken == []


@pytest.mark.parametrize(("text", "name"), ENCODED)
def test_the_sandbox_has_all_that_a_detector_reads(text, name):
    """Models and codecs are loaded before the lock: a text of each encoding is decoded inside it."""
    (result,) = clean_files([text.encode(name)])
    assert isinstance(result, CleanedFile), result
    assert result.text() == clean_document_text(text)


@pytest.mark.parametrize("unit", ["я", "中", "ÿ\xff", "a\0", "\x1b$B", "~{", "é1"])
def test_decoding_takes_linear_time(unit):
    """Four times the text takes about four times the time, whatever the letters."""

    def read(text):
        result_of(text.encode("utf-8", "replace") + b"\xe9")

    assert growth(read, unit, 4000) < MOST_GROWTH or growth(read, unit, 16_000) < MOST_GROWTH
