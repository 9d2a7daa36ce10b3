"""`make review`: a sign-off sheet on paper, and a signature that holds for the words that were signed alone."""

import shutil
from datetime import date

import page
import pypdfium2
import pytest

from app.core import i18n
from app.site.guide.loader import load_catalogue_reviews, load_library
from deploy import translations
from deploy.review import file_code, make_sheet, read_signature
from deploy.sentences import sentences, store_back
from tests.support.paths import ROOT

DAY = date(2026, 11, 22)


@pytest.fixture
def tree(tmp_path):
    """A copy of the content and of the catalogue of one language."""
    shutil.copytree(ROOT / "content", tmp_path / "content")
    shutil.copytree(ROOT / "translations", tmp_path / "translations")
    return tmp_path


def _text(data: bytes) -> str:
    with pypdfium2.PdfDocument(data) as document:
        return "\n".join(one.get_textpage().get_text_range() for one in document)


def _one(root, name, code="sm"):
    return next(one for one in translations.translations(root) if (one.language, one.name) == (code, name))


@pytest.mark.parametrize("code", ["sm", "mi", "hi", "zh-Hans", "vi"])
def test_a_sheet_has_every_sentence_with_its_place_to_tick_and_to_sign(code):
    """Each sentence has its English, a tick and a line; each file its code and a signature; the sheet is PDF/UA-1."""
    names = ("safety", "help", "messages")
    data = make_sheet(ROOT, code, names)
    assert page.validate_pdf_bytes(data, profile=page.ValidationProfile.PDF_UA_1).is_compliant
    text = _text(data)
    found = {name: sentences(ROOT, code, name) for name in names}
    assert text.count("change to:") == sum(len(rows) for rows in found.values()) > 400
    assert text.count("Signature for") == len(names)
    for rows in found.values():
        assert text.count(file_code(rows)) == 2
    assert "This is not an emergency service." in text


def test_a_sheet_of_all_files_has_every_file_that_is_signed(tree):
    """No translated file is left out of the sheet, so that a language can be signed as a whole."""
    text = _text(make_sheet(tree, "to"))
    for one in translations.translations(tree):
        if one.language == "to":
            assert str(one.path.relative_to(tree)) in text.replace("\r\n", "")


def test_the_back_translation_stands_below_its_sentence(tree):
    """What somebody understood who had not seen the English is on the sheet, and only where there is something."""
    words = {one.key: one.translated for one in sentences(tree, "sm", "safety")}
    shutil.rmtree(tree / "translations" / "reviews" / "back", ignore_errors=True)
    assert "Back in English:" not in _text(make_sheet(tree, "sm", ("safety",)))
    store_back(tree, "sm", {"safety.toml:not-your-fault": "You did not do wrong."}, words)
    text = _text(make_sheet(tree, "sm", ("safety",)))
    assert text.count("Back in English:") == 1
    assert "You did not do wrong." in text


@pytest.mark.parametrize("name", ["help", "safety", "messages"])
def test_a_signature_for_today_s_words_is_recorded_and_counts(tree, name):
    """After the record is written the program counts the file as reviewed, by whom and on which day."""
    one = _one(tree, name)
    one.sign()
    found = sentences(tree, "sm", name)
    one.accept(read_signature(found, file_code(found), "A. Speaker, interpreter", DAY))
    assert "A. Speaker, interpreter" in one.path.read_text(encoding="utf-8")
    assert list(translations.changed_since_signed(tree)) == []
    if name == "messages":
        assert load_catalogue_reviews(tree / "translations", ["sm"])["sm"].reviewed
        return
    edition = load_library(tree / "content", ("en", "sm")).editions["sm"]
    assert name != "help" or edition.pages["help"].review.reviewed
    assert sentences(tree, "sm", name) == found


def test_a_file_that_changed_after_it_was_signed_is_named(tree):
    """A signature does not cover words that were written after it; the old code is refused."""
    one = _one(tree, "help")
    found = sentences(tree, "sm", "help")
    code = file_code(found)
    one.accept(read_signature(found, code, "Community interpreter", DAY))
    text = one.path.read_text(encoding="utf-8")
    assert "111" in text
    one.path.write_text(text + "\nSe isi fuaiʻupu.\n", encoding="utf-8")
    assert [line.split(":")[0] for line in translations.changed_since_signed(tree)] == ["content/sm/help.md"]
    with pytest.raises(ValueError, match="print the file again"):
        read_signature(sentences(tree, "sm", "help"), code, "Community interpreter", DAY)
    one.sign()
    assert list(translations.changed_since_signed(tree)) == []


@pytest.mark.parametrize(
    ("by", "day"),
    [("", DAY), (" ", DAY), ('A "B"', DAY), ("A\nB", DAY), ("A\\", DAY), ("A", date(9999, 1, 1))],
)
def test_a_record_that_cannot_be_is_refused(by, day):
    """No name, a name that would break the file, or a day to come is no signature."""
    found = sentences(ROOT, "sm", "safety")
    with pytest.raises(ValueError, match="write"):
        read_signature(found, file_code(found), by, day)


def test_no_signed_file_of_the_program_has_changed_since():
    """Every file that is signed today has the words that were signed."""
    assert list(translations.changed_since_signed(ROOT)) == []
    assert set(i18n.known_languages(ROOT / "content"))
