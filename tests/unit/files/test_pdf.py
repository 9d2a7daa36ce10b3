"""A PDF comes back as its pages are seen, or is refused: no letter is lost without a word."""

import io
import random
import zlib

import pikepdf
import pypdfium2
import pytest
from pikepdf import Array, Dictionary, Name
from PIL import Image, ImageChops

from app.core.errors import FileRefusedError
from app.files import pdf, pdf_writer
from app.files.child_process import run_worker
from app.files.clean import CleanedFile, clean_files
from app.files.protocol import RemovedKind, Task, unpack_result

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


def scans(count: int) -> bytes:
    """A PDF of noisy grey scans, which need the most work."""
    noise = Image.effect_noise((1240, 1754), 60).convert("L")
    target, document = io.BytesIO(), pikepdf.new()
    jpeg = io.BytesIO()
    noise.save(jpeg, "JPEG", quality=60)
    picture = document.make_stream(jpeg.getvalue())
    picture.Type, picture.Subtype, picture.Filter = Name.XObject, Name.Image, Name.DCTDecode
    picture.Width, picture.Height, picture.BitsPerComponent, picture.ColorSpace = 1240, 1754, 8, Name.DeviceGray
    for _ in range(count):
        page = document.add_blank_page(page_size=(595, 842))
        page.obj.Resources = Dictionary(XObject=Dictionary(P=picture))
        page.obj.Contents = document.make_stream(b"595 0 0 842 0 0 cm /P Do")
    document.save(target)
    return target.getvalue()


def test_deflating_a_noisy_page_stops_where_a_jpeg_is_shorter():
    """A page that is going to be a JPEG is deflated no further than the JPEG's length; flat pages stay exact."""
    noise = Image.effect_noise((1240, 1754), 60).convert("L").tobytes()
    assert pdf_writer._deflated(noise, 100_000) is None
    fed = []

    class Packer:
        def compress(self, data):
            fed.append(len(data))
            return data

        def flush(self):
            return b""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdf_writer.zlib, "compressobj", Packer)
        assert pdf_writer._deflated(noise, 100_000) is None
    assert sum(fed) < 200_000 < len(noise)
    flat = bytes(len(noise))
    assert pdf_writer._deflated(flat, len(noise)) == zlib.compress(flat)


@pytest.mark.parametrize(("seconds", "code"), [(0.8, "too-slow-50-pages"), (1.6, "too-slow-25-pages"), (9, "too-slow")])
def test_pages_that_would_take_too_long_are_refused_after_a_few(monkeypatch, seconds, code):
    """After five pages it is known that a hundred do not fit, and how many would."""
    now = [0.0]
    monkeypatch.setattr(pdf.time, "monotonic", lambda: now[0])
    read = []

    def pages():
        for number in range(100):
            now[0] += seconds
            read.append(number)
            yield number

    with pytest.raises(FileRefusedError, match=code):
        list(pdf._in_time(pages(), 100))
    assert len(read) <= 6


def test_a_hundred_scanned_pages_are_cleaned():
    """As many pages as are promised fit into the processor time of one file, though each is a noisy scan."""
    result = unpack_result(run_worker(Task.PDF, scans(100), seconds=300))
    assert result.pages == 100


def test_changed_bytes_in_a_pdf_with_fonts_elsewhere_end_as_a_file_or_a_sentence():
    """Thirty seeded changes of PDFs that name their fonts end as a cleaned file or with a sentence of our own."""
    chance = random.Random(14)
    encoding, ordering, words = WORDS["Chinese"]
    seeds = [
        page_with(composite(encoding, ordering), words.encode("utf-16-be")),
        LOST["a macron"],
        SEEN["Latin letters"],
    ]
    for number in range(30):
        data = bytearray(seeds[number % 3])
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] ^= chance.randint(1, 255)
        (result,) = clean_files([bytes(data)])
        assert isinstance(result, CleanedFile) or result.code in {"damaged", "encrypted", "fonts-missing", "unknown"}
