"""Every transformation of strangers' text takes time that grows no faster than the text."""

import pytest

from app.core.unicode import clean_document_text, clean_text, compose, has_hidden_characters
from app.desk.case_fields import RedactionDraft
from app.desk.marks import read_marks
from app.desk.redaction import Redaction, find_removed, suggest_removals
from app.desk.similarity import text_sketch
from app.files.clean import RefusedFile
from app.files.office_document import read_document
from app.site.report.file_rows import file_rows
from app.text.find import find_in_fields
from app.text.patterns import MAX_PHONE_LOOKUPS, PhoneLookups
from app.text.same_details import same_details
from app.text.skeleton import skeleton_words
from app.text.words import fold_word, without_accents
from tests.support.desk import known_names, languages
from tests.support.growth import MOST_GROWTH, growth
from tests.support.phrases import phrases

SIZE = 800

HOSTILE = [
    *(
        "\u0301\u0323",
        "a\u0301\u0323",
        "\u0344",
        "\u0301\u200b\u0323",
        "\u0f73\u0f72",
        "\U0001d165\u0327",
        "\u200d\u0301",
    ),
    *("1", "021 555 01", "0211234567,", "12-3456-7890123-00 ", "(0", "1()", "1:", "1.11,", "|1lI", "0o"),
    *(
        "a.",
        "a@",
        "a-",
        "a'",
        ".a",
        "http://",
        "my ",
        "my name is A B ",
        "A B C ",
        "Mele ",
        "priya ",
        "王小",
        "I am the cousin of my boss ",
        "12 Kowhai Road ",
        "KTR 482 ",
        "Golden Lotus ",
    ),
    *("\n", "\t", " ", " \n", "我", "我叫", "मेरा ", "क\u094d\u200d", "👩\u200d", "\U0001d160", "ﷺ", "аb", "М\u0435l"),
]


@pytest.fixture(scope="module", name="phrases")
def _phrases():
    return phrases()


def _redact(text, phrases):
    """A look at the page of redaction with everything marked that is suggested, and the last gate."""
    fields = {"what": text, "where": text[:1000]}
    suggestions = suggest_removals(fields, phrases, known_names())
    marks = {name: tuple((one.start, one.end) for one in found) for name, found in suggestions.items()}
    made = Redaction.of(fields, RedactionDraft(marks=marks), suggestions)
    made.pieces()
    made.runs()
    assert not find_removed(made.left.values(), made.removed)


def _mark_every_word(text, _):
    ends = [at for at, character in enumerate(text) if character in " .,\n"][:2000]
    marks = read_marks([f"what:{max(0, end - 3)}-{end}" for end in ends], {"what": text})
    made = Redaction.of({"what": text}, RedactionDraft(marks=marks), {})
    made.pieces()
    assert not find_removed(made.left.values(), made.removed)


def _document(text, _):
    escaped = text.replace("&", "").replace("<", "").encode("utf-8", "ignore")
    read_document(b"<d><body><p>%s</p></body></d>" % escaped)


TRANSFORMATIONS = {
    "typed text": lambda text, _: clean_text(text),
    "text of a document": lambda text, _: clean_document_text(text) or has_hidden_characters(text),
    "XML of a document": _document,
    "composition": lambda text, _: compose(text),
    "finding": lambda text, phrases: find_in_fields({"what": clean_text(text)}, phrases=phrases, suspects=()),
    "finding in raw text": lambda text, phrases: find_in_fields({"what": text}, phrases=phrases, suspects=()),
    "folded words": lambda text, _: without_accents(fold_word(text)),
    "file names": lambda text, _: file_rows([RefusedFile(1, "empty")], [text]),
    "skeletons": lambda text, _: tuple(skeleton_words(text)),
    "redaction of suggestions": _redact,
    "redaction of marks": _mark_every_word,
    "names of the desk": lambda text, _: known_names().find(text, ()),
    "similarity": lambda text, _: text_sketch(text),
    "details in common": same_details,
    "language": lambda text, _: languages().guess(text),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_four_times_the_text_takes_about_four_times_as_long(name, phrases):
    """No hostile text makes a transformation quadratic: the processor time of n and 4n is compared in one run."""

    def ratio(unit, size):
        return growth(lambda text: TRANSFORMATIONS[name](text, phrases), unit, size)

    suspect = [unit for unit in HOSTILE if ratio(unit, SIZE) > MOST_GROWTH]
    again = {unit: round(ratio(unit, 3 * SIZE), 1) for unit in suspect}
    assert {unit: times for unit, times in again.items() if times > MOST_GROWTH} == {}


def test_a_quadratic_transformation_would_be_seen():
    """The measure above finds the normalisation of the standard library, which is quadratic in a row of marks."""
    import unicodedata

    assert growth(lambda text: unicodedata.normalize("NFC", text), "\u0301\u0323", 3 * SIZE) > MOST_GROWTH


def test_the_fields_of_one_tip_share_the_telephone_lookups(phrases, monkeypatch):
    """Nine fields full of numbers ask the telephone plans no more often than one field may."""
    asked = []
    monkeypatch.setattr("app.text.patterns.is_phone_number", lambda text: asked.append(text) or False)
    fields = {f"field{place}": " ".join(f"021 {number:07}" for number in range(300)) for place in range(9)}
    found = find_in_fields(fields, phrases=phrases, suspects=("field8",))
    assert len(asked) == MAX_PHONE_LOOKUPS
    assert found["field7"], "past the limit what has the length of a telephone number is still pointed out"


def test_past_the_limit_the_length_decides():
    """When the lookups are used up, 9 to 15 digits count as a telephone number, so that nothing goes unsaid."""
    lookups = PhoneLookups()
    asked = [lookups.is_phone("0215550199", 10) for _ in range(MAX_PHONE_LOOKUPS + 1)]
    assert all(asked)
    assert lookups.is_phone("999999999", 9)
    assert not lookups.is_phone("99999", 5)
