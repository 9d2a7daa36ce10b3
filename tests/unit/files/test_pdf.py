"""A PDF comes back as its pages are seen, or is refused: no letter is lost without a word."""

import io

import pikepdf
import pypdfium2
import pytest
from pikepdf import Array, Dictionary, Name
from PIL import ImageChops

from app.files.clean import CleanedFile, clean_files
from app.files.protocol import RemovedKind

NOT_IN_FILE = Dictionary(
    Type=Name.FontDescriptor, Flags=4, FontBBox=[0, -200, 1000, 900], ItalicAngle=0, Ascent=880, Descent=-120,
    CapHeight=880, StemV=80, FontName=Name("/Elsewhere"),
)  # fmt: skip


def composite(encoding: str, ordering: str) -> Dictionary:
    """A font of many letters that the PDF names and does not hold."""
    system = Dictionary(Registry=b"Adobe", Ordering=ordering.encode(), Supplement=2)
    descendant = Dictionary(
        Type=Name.Font, Subtype=Name.CIDFontType0, BaseFont=Name("/Elsewhere"), CIDSystemInfo=system,
        FontDescriptor=NOT_IN_FILE,
    )  # fmt: skip
    return Dictionary(
        Type=Name.Font, Subtype=Name.Type0, BaseFont=Name("/Elsewhere"), Encoding=Name(f"/{encoding}"),
        DescendantFonts=Array([descendant]),
    )  # fmt: skip


def simple(*differences: object) -> Dictionary:
    """A Latin font that the PDF names, with letters of other names at codes from 1."""
    encoding = Dictionary(BaseEncoding=Name.WinAnsiEncoding, Differences=Array([1, *differences]))
    return Dictionary(Type=Name.Font, Subtype=Name.TrueType, BaseFont=Name.Arial, Encoding=encoding)


def page_with(font: Dictionary, text: bytes, mode: str = "") -> bytes:
    target, document = io.BytesIO(), pikepdf.new()
    page = document.add_blank_page(page_size=(400, 100))
    page.obj.Resources = Dictionary(Font=Dictionary(F1=font))
    page.obj.Contents = document.make_stream(f"BT /F1 24 Tf 20 40 Td {mode} <{text.hex()}> Tj ET".encode())
    document.save(target)
    return target.getvalue()


def black_pixels(data: bytes) -> int:
    picture = pypdfium2.PdfDocument(data)[0].render(scale=2).to_pil().convert("L")
    return picture.point([1] * 128 + [0] * 128).histogram()[1]


WORDS = {
    "Chinese": ("UniGB-UCS2-H", "GB1", "护照被拿走了，每星期五付现金"),
    "Taiwanese": ("UniCNS-UCS2-H", "CNS1", "護照被拿走了"),
    "Japanese": ("UniJIS-UCS2-H", "Japan1", "パスポートを取られた。"),
    "Korean": ("UniKS-UCS2-H", "Korea1", "여권을 빼앗겼다"),
}


@pytest.mark.parametrize("name", WORDS)
def test_letters_whose_font_is_not_in_the_file_are_drawn(name):
    """Each Chinese, Japanese and Korean letter leaves ink on the page, though the PDF holds no font."""
    encoding, ordering, words = WORDS[name]
    (cleaned,) = clean_files([page_with(composite(encoding, ordering), words.encode("utf-16-be"))])
    assert isinstance(cleaned, CleanedFile), cleaned
    assert black_pixels(cleaned.data) > 60 * len(words)


LOST = {
    "a macron": page_with(simple(Name.amacron), b"M\1ori"),
    "Cyrillic": page_with(simple(Name.afii10017, Name.afii10018), b"\1\2"),
    "letters without names": page_with(composite("Identity-H", "Identity"), bytes.fromhex("00410142")),
    "a sign that the font lacks": page_with(composite("UniGB-UCS2-H", "GB1"), "护※照".encode("utf-16-be")),
}


@pytest.mark.parametrize("name", LOST)
def test_letters_that_cannot_be_drawn_are_not_left_out(name):
    """A page with letters for which there is no font is refused with a sentence that says so."""
    (refused,) = clean_files([LOST[name]])
    assert refused.code == "fonts-missing"
    assert "font" in refused.message


SEEN = {
    "Latin letters": page_with(simple(), b"Plain \xe9"),
    "the unseen words of a scan": page_with(composite("Identity-H", "Identity"), bytes(range(64)), "3 Tr"),
}


@pytest.mark.parametrize("name", SEEN)
def test_no_other_file_is_refused_for_its_fonts(name):
    """Latin letters have a font, and words that are not drawn need none."""
    (cleaned,) = clean_files([SEEN[name]])
    assert isinstance(cleaned, CleanedFile), cleaned


def test_a_form_that_only_adobe_shows_is_refused():
    """Of such a form a reader sees "Please wait": it is refused with what to do."""
    document = pikepdf.open(io.BytesIO(SEEN["Latin letters"]))
    document.Root.AcroForm = Dictionary(Fields=[], XFA=document.make_stream(b"<xdp:xdp/>"))
    document.Root.NeedsRendering = True
    target = io.BytesIO()
    document.save(target)
    (refused,) = clean_files([target.getvalue()])
    assert refused.code == "form-of-adobe"


BEFORE = {"a blank line": b"\r\n", "a mark": b"\xef\xbb\xbf", "a comment": b"% Mere\n", "a page": b"\0" * 1019 + b"\n"}


@pytest.mark.parametrize("name", BEFORE)
def test_a_pdf_after_something_else_is_a_pdf(name):
    """Readers look for the start within 1,024 bytes, and so does this one: the file never passes as a text."""
    plain = SEEN["Latin letters"]
    with pikepdf.open(io.BytesIO(plain)) as document, io.BytesIO() as target:
        document.docinfo["/Author"] = "Mere Tester"
        document.save(target)
        marked = target.getvalue()
    first, second = clean_files([plain, BEFORE[name] + marked])
    assert isinstance(second, CleanedFile), second
    assert (second.type, RemovedKind.AUTHOR in second.removed) == ("application/pdf", True)
    pages = [pypdfium2.PdfDocument(file.data)[0].render().to_pil() for file in (first, second)]
    assert ImageChops.difference(*pages).getbbox() is None
