"""Office XML that was made to be slow, or to grow, is read in linear time or refused."""

import io
import random
import zipfile

import pytest

from app.core.errors import FileRefusedError
from app.files.office import rebuild_document
from app.files.office_document import read_document, read_hidden_styles, read_word_part
from app.files.office_values import CellFormat, first_day, read_cell_formats, shown_number
from app.files.office_xml import read_sheet_rows
from app.files.protocol import RemovedKind
from tests.support.growth import MOST_GROWTH, growth


def _sheet(columns, cells):
    hidden = "".join(f'<col min="{first}" max="{last}" hidden="1"/>' for first, last in columns)
    row = "".join(f'<c r="{name}1"><v>{value}</v></c>' for name, value in cells)
    return f"<worksheet><cols>{hidden}</cols><row>{row}</row></worksheet>".encode()


def test_cells_of_hidden_columns_are_left_out():
    """A value in a column that any range hides is not in the text, and the rest is."""
    part = _sheet([(2, 2), (4, 16_384)], [("A", 1), ("B", 2), ("C", 3), ("D", 4), ("XFD", 5)])
    assert read_sheet_rows(part, ()) == (["1\t\t3"], True)


@pytest.mark.parametrize("columns", [[(3, 2)], [(20_000, 30_000)], [(1, 1)] * 16_385])
def test_ranges_of_columns_that_no_sheet_has_are_refused(columns):
    """A range that ends before it begins, one beyond the last column, and more ranges than columns are damage."""
    with pytest.raises(FileRefusedError):
        read_sheet_rows(_sheet(columns, []), ())


def test_many_hidden_ranges_and_many_cells_take_linear_time():
    """Each cell asks one question, however many ranges hide columns."""

    def read(text):
        read_sheet_rows(_sheet([(1, 1)] * len(text), [("A", 1)] * len(text)), ())

    assert growth(read, "x", 500) < MOST_GROWTH or growth(read, "x", 2000) < MOST_GROWTH


@pytest.mark.parametrize("unit", [" ", "\t", " \r", "\n", " \n", "\t "])
def test_blanks_between_words_are_read_once(unit):
    """A long row of blanks without a line's end is not read again from each of its blanks."""

    def read(text):
        read_document(b"<d><body><p>a%sb</p></body></d>" % text.encode())

    assert growth(read, unit, 1000) < MOST_GROWTH or growth(read, unit, 4000) < MOST_GROWTH


def word(body):
    return read_word_part(f"<document><body>{body}</body></document>".encode(), frozenset({"Secret"}))[0]


def test_text_that_a_style_hides_is_left_out():
    """A hidden style hides paragraphs and runs, and so does a style that is based on it; a run may say otherwise."""
    styles = b"""<styles><style styleId="Secret"><rPr><vanish/></rPr></style>
        <style styleId="Child"><basedOn val="Secret"/></style><style styleId="Plain"/></styles>"""
    assert read_hidden_styles(styles) == {"Secret", "Child"}
    assert word('<p><pPr><pStyle val="Secret"/></pPr><r><t>hidden</t></r></p><p><r><t>seen</t></r></p>') == "\nseen\n"
    assert word('<p><r><rPr><rStyle val="Secret"/></rPr><t>hidden</t></r><r><t>seen</t></r></p>') == "seen\n"
    shown = '<p><pPr><pStyle val="Secret"/></pPr><r><rPr><vanish val="0"/></rPr><t>seen</t></r></p>'
    assert word(shown) == "seen\n"


def test_text_that_odt_hides_in_its_styles_is_left_out():
    """A style of styles.xml that is not displayed hides text, and so does an automatic style that is based on it."""
    styles = b'<s><style name="Secret"><text-properties display="none"/></style></s>'
    body = b'<d><style name="P1" parent-style-name="Secret"/><body><p style-name="P1">hidden</p><p>seen</p></body></d>'
    hidden = read_hidden_styles(styles, body)
    assert read_document(body, hidden)[0] == "seen\n"


def test_names_of_pictures_are_no_words():
    """A picture's title and description, often a path with its user's name, are left out, and that is told."""
    part = b"<d><body><p><frame><title>C:/Users/Hemi</title><desc>Hemi</desc></frame>a</p></body></d>"
    text, kinds = read_document(part)
    assert (text, kinds) == ("a\n", {RemovedKind.TITLE})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p><r><drawing><posOffset>1295400</posOffset><align>top</align></drawing><t>$500</t></r></p>", "$500\n"),
        ("<p><r><t>04</t><noBreakHyphen/><t>123</t></r></p>", "04-123\n"),
        ("<tbl><tr><tc><p><r><t>a</t></r></p></tc><tc><p><r><t>b</t></r></p></tc></tr></tbl>", "a\tb\t\n"),
        ("<p><pPr><rPr><vanish/></rPr></pPr><r><t>a</t></r></p>", "a\n"),
    ],
)
def test_only_words_are_words(body, text):
    """Positions are no text, a hyphen is one, cells stand on their row's line, a paragraph's mark hides nothing."""
    assert word(body) == text
    assert RemovedKind.INVISIBLE not in read_word_part(f"<d><body>{body}</body></d>".encode())[1]


def zipped(parts, mark="/"):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name.replace("/", mark), part)
    return target.getvalue()


def test_headers_and_notes_that_word_shows_are_read():
    """A header, a footnote and an endnote that the document refers to are kept; those that it does not are hidden."""
    body = '<p><r><t>Body</t><footnoteReference id="2"/><endnoteReference id="5"/></r></p><headerReference id="r1"/>'
    notes = '<{0}s><{0} id="{1}"><p><r><t>{0} shown</t></r></p></{0}><{0} id="9"><p><r><t>old</t></r></p></{0}></{0}s>'
    header = "<hdr><p><r><t>{}</t></r></p></hdr>"
    data = zipped(
        {
            "word/document.xml": f"<document><body>{body}</body></document>",
            "word/_rels/document.xml.rels": '<r><Relationship Id="r1" Target="header1.xml"/></r>',
            "word/header1.xml": header.format("Letterhead"),
            "word/header2.xml": header.format("old"),
            "word/footnotes.xml": notes.format("footnote", 2),
            "word/endnotes.xml": notes.format("endnote", 5),
        }
    )
    words = rebuild_document(data).files[0].data.decode()
    assert sorted(words.split("\n")) == ["", "", "", "Body", "Letterhead", "endnote shown", "footnote shown"]


@pytest.mark.parametrize("mark", ["/", "\\"])
def test_a_sheet_keeps_its_words_however_its_parts_are_named(mark):
    """The table of strings is found by its name in any case, and every part with either mark between folders."""
    data = zipped(
        {
            "xl/workbook.xml": '<workbook><sheet name="Payments" id="r1"/></workbook>',
            "xl/_rels/workbook.xml.rels": '<r><Relationship Id="r1" Target="worksheets/sheet1.xml"/></r>',
            "xl/SharedStrings.xml": "<sst><si><t>Paid</t></si></sst>",
            "xl/worksheets/sheet1.xml": '<worksheet><row><c r="A1" t="s"><v>0</v></c></row></worksheet>',
        },
        mark,
    )
    assert rebuild_document(data).files[0].data == b"Payments\nPaid"


@pytest.mark.parametrize("old", [{}, {"word/document.xml": "<d><body><p><r><t>of before</t></r></p></body></d>"}])
@pytest.mark.parametrize("target", ["word/document2.xml", "/word/document2.xml"])
def test_the_main_part_of_a_word_file_is_the_one_that_the_package_names(old, target):
    """Words come from the part that the relations name, also where an older part with the usual name is there."""
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    header = '<sectPr><headerReference id="r1"/></sectPr>'
    data = zipped(
        {
            "_rels/.rels": f'<r><Relationship Id="r9" Type="{kind}" Target="{target}"/></r>',
            **old,
            "word/document2.xml": f"<d><body><p><r><t>The words</t></r></p>{header}</body></d>",
            "word/_rels/document2.xml.rels": '<r><Relationship Id="r1" Target="top.xml"/></r>',
            "word/top.xml": "<hdr><p><r><t>Top</t></r></p></hdr>",
        }
    )
    assert rebuild_document(data).files[0].data.split() == [b"The", b"words", b"Top"]


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"IMG_1.jpg": "a", "IMG_2.jpg": "b"}, "archive"),
        ({"_chat.txt": "words"}, "archive"),
        ({"[Content_Types].xml": "<a/>", "ppt/presentation.xml": "<a/>"}, "save-as-pdf"),
        ({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<a/>"}, "save-as-pdf"),
        ({"Index/Document.iwa": "a"}, "save-as-pdf"),
        ({"word/document.xml": "<d><body><p/></body></d>", "word/media/image1.png": "a"}, "save-as-pdf"),
        ({"word/document.xml": "<d><body><w:altChunk id='r1'/></body></d>"}, "save-as-pdf"),
    ],
)
def test_what_is_no_text_is_refused_with_what_helps(parts, code):
    """A zip of photographs, other documents, and a document of pictures alone are refused with a sentence of theirs."""
    with pytest.raises(FileRefusedError, match=code):
        rebuild_document(zipped(parts))


@pytest.mark.parametrize(
    ("number", "code", "value", "shown"),
    [
        (14, "", "45691", "3/02/2025"),
        (20, "", "0.6041666667", "14:30"),
        (22, "", "45691.6041666667", "3/02/2025 14:30"),
        (9, "", "0.15", "15%"),
        (164, 'dd"of"mm\\-yyyy', "45691", "3/02/2025"),
        (164, "[h]:mm", "0.5", "12:00"),
        (164, "[h]:mm", "1.5", "36:00"),
        (164, '"d"0.00', "45691", "45691"),
        (0, "", "45691", "45691"),
        (14, "", "1e300", "1e300"),
        (14, "", "words", "words"),
    ],
)
def test_numbers_are_shown_as_their_sheet_shows_them(number, code, value, shown):
    """Dates, times and percentages are words that people read, and every other number stays."""
    custom = f"<numFmts><numFmt numFmtId='{number}' formatCode='{code}'/></numFmts>" if code else ""
    styles = f"<styleSheet>{custom}<cellXfs><xf numFmtId='{number}'/></cellXfs></styleSheet>"
    (cell_format,) = read_cell_formats(styles.encode())
    assert shown_number(value, cell_format, first_day(b"<workbook/>")) == shown


def test_days_may_count_from_1904():
    """A workbook of a Macintosh counts from 1904, and its dates are right."""
    zero = first_day(b'<workbook><workbookPr date1904="1"/></workbook>')
    assert shown_number("44229", CellFormat.DATE, zero) == "3/02/2025"


WHOLE = {
    "word": {
        "word/document.xml": '<d><body><p><pPr><pStyle val="Loud"/></pPr><r><t>Paid</t><tab/>'
        "<sym/></r></p><tbl><tr><tc><p>"
        '<r><t>cash</t></r></p></tc></tr></tbl><r><footnoteReference id="2"/></r></body></d>',
        "word/styles.xml": '<s><style styleId="Loud"><basedOn val="Quiet"/></style>'
        '<style styleId="Quiet"><vanish/></style></s>',
        "word/footnotes.xml": '<footnotes><footnote id="2"><p><r><t>note</t></r></p></footnote></footnotes>',
        "word/_rels/document.xml.rels": '<r><Relationship Id="r1" Target="top.xml"/></r>',
        "_rels/.rels": '<r><Relationship Id="r9" Type="x/officeDocument" Target="word/document.xml"/></r>',
    },
    "sheet": {
        "xl/workbook.xml": '<workbook><workbookPr date1904="1"/><sheet name="Payments" id="r1"/></workbook>',
        "xl/_rels/workbook.xml.rels": '<r><Relationship Id="r1" Target="worksheets/sheet1.xml"/></r>',
        "xl/sharedStrings.xml": "<sst><si><t>Paid</t></si></sst>",
        "xl/styles.xml": '<styleSheet><cellXfs><xf numFmtId="14"/></cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": '<worksheet><cols><col min="2" max="3" hidden="1"/></cols>'
        '<row><c r="A1" t="s"><v>0</v></c>'
        '<c r="D1" s="0"><v>45691</v></c></row></worksheet>',
    },
    "open": {
        "mimetype": "application/vnd.oasis.opendocument.text",
        "META-INF/manifest.xml": "<manifest/>",
        "content.xml": '<d><automatic-styles><style name="P1">'
        '<text-properties display="none"/></style></automatic-styles><body>'
        '<p style-name="P1">gone</p><p>Paid<s c="3"/>cash<line-break/></p></body></d>',
    },
}


@pytest.mark.parametrize("name", WHOLE)
def test_damaged_office_files_end_as_words_or_a_known_refusal(name):
    """Each of 600 documents with damaged parts ends as a text that is hardly longer than the file, or is refused."""
    draw, ends, tokens = (
        random.Random(name),
        set(),
        ["<", ">", "</p>", '"', "999999999", "-1", "\0", "&", "/", "<r>", "é"],
    )
    for _ in range(600):
        parts = dict(WHOLE[name])
        for _ in range(draw.randrange(1, 4)):
            part = draw.choice(list(parts))
            at, cut = draw.randrange(len(parts[part]) + 1), draw.randrange(6)
            parts[part] = parts[part][:at] + draw.choice(tokens) * draw.randrange(2) + parts[part][at + cut :]
        try:
            text = rebuild_document(zipped(parts)).files[0].data
        except FileRefusedError as refused:
            ends.add(refused.code)
        except (ValueError, KeyError, OverflowError, IndexError):
            ends.add("damaged")  # as the worker does with whatever a reader raises
        else:
            ends.add("words")
            assert len(text) < 20_000
    assert (
        {"words", "damaged"}
        <= ends
        <= {"words", "damaged", "empty", "encrypted", "archive", "save-as-pdf", "too-heavy"}
    )
