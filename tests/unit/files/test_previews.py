"""A preview shows the cleaned picture, small, and nothing else can pass in its place."""

import io
import os
from io import BytesIO

import pikepdf
import pytest
from PIL import Image, ImageDraw

from app.core.errors import FileRefusedError
from app.files.clean import CleanedFile, clean_files, page_to_cover, redact_file
from app.files.previews import cover_of, preview_of
from app.files.protocol import (
    MAX_PREVIEW_BYTES,
    OutputFile,
    OutputFormat,
    WorkerResult,
    is_preview,
    pack_result,
    unpack_result,
)
from tests.corpus.pictures import scene

PICTURES = {
    "photo": scene().resize((3000, 2000)),
    "tiny": Image.new("L", (1, 1)),
    "strip": Image.new("RGBA", (3, 9000), "navy"),
    "palette": scene().quantize(16),
    "bits": Image.new("1", (500, 20)),
    "noise": Image.frombytes("RGB", (700, 700), os.urandom(700 * 700 * 3)),
    "large noise": Image.frombytes("RGB", (160, 160), os.urandom(160 * 160 * 3)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_preview_of_any_picture_is_small_and_plain(name):
    """Whatever the mode, shape or noise of a picture, its preview has at most 160 pixels a side and 6,000 bytes."""
    picture = PICTURES[name]
    picture.info = {"comment": b"Mere", "exif": b"Exif\0\0Mere", "icc_profile": b"Mere"}
    preview = preview_of(picture)
    assert is_preview(preview)
    assert len(preview) <= MAX_PREVIEW_BYTES
    small = Image.open(io.BytesIO(preview))
    assert max(small.size) <= 160
    assert max(small.size) >= min(max(picture.size), 80)
    assert b"Mere" not in preview
    assert set(small.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_the_cleaned_picture_is_what_the_preview_shows():
    """The preview comes from the pixels that will be sent: upright, and black where an area is covered."""
    (cleaned,) = clean_files([_drawn((640, 480))])
    assert isinstance(cleaned, CleanedFile)
    assert Image.open(io.BytesIO(cleaned.preview)).size == (160, 120)
    covered = redact_file(cleaned.data, {0: [(0.0, 0.0, 1.0, 1.0)]})
    assert Image.open(io.BytesIO(covered.preview)).convert("L").getextrema()[1] < 10


def test_a_pdf_shows_its_first_page_and_a_text_nothing():
    """A PDF's preview is its first page; a text has none."""
    document, text = clean_files([_two_pages(), b"Kia ora"])
    assert Image.open(io.BytesIO(document.preview)).height == 160
    assert text.preview == b""


def test_the_page_to_cover_is_one_page_of_the_file():
    """A picture has one page to choose boxes on, a PDF as many as it has; a page that is not there is refused."""
    document, picture = clean_files([_two_pages(), _drawn((640, 480))])
    assert (document.pages, picture.pages) == (2, 1)
    sizes = [Image.open(io.BytesIO(page_to_cover(document.data, page))).size for page in (0, 1)]
    assert sizes == [(625, 835), (835, 625)]
    assert Image.open(io.BytesIO(page_to_cover(picture.data, 0))).size == (640, 480)
    for data, page in ((document.data, 2), (picture.data, 1)):
        with pytest.raises(FileRefusedError, match="damaged"):
            page_to_cover(data, page)


def test_the_page_to_cover_fits_into_its_answer_however_it_looks():
    """Even noise makes at most 60,000 bytes."""
    noise = Image.frombytes("RGB", (960, 960), os.urandom(960 * 960 * 3))
    assert 20_000 < len(cover_of(noise)) <= 60_000


def _two_pages() -> bytes:
    target, document = io.BytesIO(), pikepdf.new()
    document.add_blank_page(page_size=(300, 400))
    document.add_blank_page(page_size=(400, 300))
    document.save(target)
    return target.getvalue()


def _with_segment(preview: bytes, segment: bytes) -> bytes:
    return preview[:20] + segment + preview[20:]


def _drawn(size: tuple[int, int] = (100, 80)) -> bytes:
    picture = Image.new("RGB", size, "white")
    ImageDraw.Draw(picture).ellipse((10, 10, 60, 60), fill="teal")
    target = io.BytesIO()
    picture.save(target, "JPEG")
    return target.getvalue()


WRONG = {
    "comment": _with_segment(_drawn(), b"\xff\xfe\0\6Mere"),
    "exif": _with_segment(_drawn(), b"\xff\xe1\0\x08Exif\0\0"),
    "too wide": _drawn((161, 20)),
    "too long": _drawn() + b"\0" * 6000 + b"\xff\xd9",
    "cut": _drawn()[:-1],
    "no picture": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(60) + b"\xff\xd9",
    "second picture": _drawn()[:-2] + _drawn(),
    "page": b"<script>1</script>",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_worker_that_is_taken_over_passes_nothing_else_as_a_preview(name):
    """A preview with metadata, of another size, kind or form makes the whole result a refused one."""
    file = OutputFile(OutputFormat.JPEG, _drawn())
    good, bad = (WorkerResult((file,), preview=preview) for preview in (_drawn(), WRONG[name]))
    assert unpack_result(BytesIO(b"".join(pack_result(good)))) == good
    with pytest.raises(FileRefusedError, match="damaged"):
        unpack_result(BytesIO(b"".join(pack_result(bad))))
