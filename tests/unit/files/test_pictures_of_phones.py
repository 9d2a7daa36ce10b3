"""What phones, scanners and cameras make is taken: large, long, cut short, raw. What is lost is said."""

import io
import random
import struct

import pytest
from PIL import Image, ImageChops, ImageDraw

from app.files.clean import CleanedFile, clean_files
from app.files.containers import container_part_kinds
from app.files.protocol import RemovedKind
from tests.corpus.boxes import box
from tests.corpus.pictures import scene
from tests.corpus.raw_photo import raw_photo


def saved(image: Image.Image, form: str, **options) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def cleaned(data: bytes) -> tuple[CleanedFile, Image.Image]:
    (result,) = clean_files([data])
    assert isinstance(result, CleanedFile), result
    return result, Image.open(io.BytesIO(result.data))


@pytest.mark.parametrize(("form", "size"), [("JPEG", (8000, 6000)), ("PNG", (1080, 25_000)), ("TIFF", (4960, 7016))])
def test_a_large_picture_keeps_its_size(form, size):
    """A photo of 48 megapixels, a long screenshot and a scan of A4 at 600 dpi come back pixel for pixel as large."""
    options = {"compression": "tiff_lzw"} if form == "TIFF" else {}
    result, made = cleaned(saved(Image.new("L", size, 200), form, **options))
    assert made.size == size
    assert RemovedKind.FINE_DETAIL not in result.removed


VAST = {
    "photo of 200 megapixels": ("JPEG", (16_320, 12_240)),
    "progressive photo of 108 megapixels": ("JPEG", (12_000, 9_000)),
    "drawing of 100 megapixels": ("PNG", (10_000, 10_000)),
    "screenshot longer than a JPEG can be": ("PNG", (200, 70_000)),
}


@pytest.mark.parametrize("name", VAST)
def test_a_vast_picture_is_made_smaller_and_that_is_said(name):
    """What is too large for the memory is halved in width and height, and the sender is told."""
    form, size = VAST[name]
    options = {"progressive": True} if "progressive" in name else {}
    result, made = cleaned(saved(Image.new("L", size, 200), form, **options))
    assert made.size == (size[0] // 2, size[1] // 2)
    assert RemovedKind.FINE_DETAIL in result.removed
    assert made.convert("L").getpixel((made.width - 9, made.height - 9)) in range(198, 203)


def test_more_than_200_megapixels_are_refused_before_a_pixel_is_read():
    """The size that the file states is enough to refuse the picture."""
    data = saved(Image.new("1", (15_000, 14_000)), "PNG")
    assert clean_files([data])[0].code == "too-many-pixels"


def test_pages_of_a_scan_at_600_dpi_become_a_pdf_of_readable_size():
    """Among several pages each has at most nine megapixels, and the sender is told that they were made smaller."""
    page = Image.new("1", (3600, 5200), 1)
    ImageDraw.Draw(page).rectangle((1000, 1000, 2000, 2000), fill=0)
    data = saved(page, "TIFF", compression="group4", save_all=True, append_images=[page])
    (result,) = clean_files([data])
    assert (result.type, result.pages) == ("application/pdf", 2)
    assert RemovedKind.FINE_DETAIL in result.removed


def test_a_bmp_is_a_picture():
    """Every pixel of a BMP comes back; a text that begins with its two letters stays a text."""
    result, made = cleaned(saved(scene(), "BMP"))
    assert result.type == "image/jpeg"
    assert made.size == scene().size
    assert clean_files([b"BM is what the workers call him. He takes the passports."])[0].type == "text/plain"


def test_a_jpeg_without_its_last_bytes_is_taken_as_far_as_it_goes():
    """Above the missing end every pixel is there, the rows that are missing are cut off, and the sender is told."""
    photo = scene().resize((1600, 1000))
    whole = saved(photo, "JPEG", quality=90)
    first, second = clean_files([whole, whole[:-40]])
    assert RemovedKind.MISSING_END in second.removed
    assert RemovedKind.MISSING_END not in first.removed
    full, cut = (Image.open(io.BytesIO(file.data)) for file in (first, second))
    assert cut.size[0] == 1600
    assert 960 <= cut.size[1] <= 1000
    difference = ImageChops.difference(full.crop((0, 0, 1600, 900)), cut.crop((0, 0, 1600, 900)))
    assert max(high for _, high in difference.getextrema()) < 12


def test_a_jpeg_of_which_most_is_missing_is_refused():
    """Less than half of a picture is no picture, and other kinds of picture are taken whole or not at all."""
    photo = scene().resize((1600, 1000))
    for data in (saved(photo, "JPEG"), saved(photo, "PNG"), saved(photo, "TIFF", compression="tiff_lzw")):
        assert clean_files([data[: len(data) // 10]])[0].code == "damaged"


def test_the_full_picture_of_a_raw_photo_is_taken_and_never_its_thumbnail():
    """A picture of full size inside comes back, as a JPEG or uncompressed, and upright as the camera was held."""
    green = Image.new("RGB", (240, 180), (0, 255, 0))
    ImageDraw.Draw(green).rectangle((0, 0, 40, 40), fill="blue")
    _, made = cleaned(raw_photo(plain=True))
    assert made.size == (240, 180)
    assert made.convert("RGB").getpixel((100, 100)) == (0, 255, 0)
    result, made = cleaned(raw_photo(jpeg=saved(green, "JPEG"), orientation=6))
    assert RemovedKind.FURTHER in result.removed
    assert made.size == (180, 240)
    assert made.convert("RGB").getpixel((170, 10))[2] > 200


def test_a_tiff_that_holds_thumbnails_only_is_refused():
    """A page that calls itself a smaller copy of another is never taken for the picture."""
    alone = raw_photo(plain=True)
    where = alone.rindex(struct.pack("<HH", 330, 4))
    (refused,) = clean_files([alone[: where + 8] + bytes(4) + alone[where + 12 :]])
    assert refused.code == "raw-photo"


@pytest.mark.parametrize("jpeg", [b"", saved(Image.new("RGB", (160, 120), "red"), "JPEG")], ids=["none", "small"])
def test_a_raw_photo_without_a_full_picture_is_refused(jpeg):
    """Where only the sensor's values and small previews are inside, the sender reads what to do."""
    (refused,) = clean_files([raw_photo(jpeg=jpeg)])
    assert refused.code == "raw-photo"
    assert "JPEG" in refused.message


def test_the_film_of_a_motion_photo_is_gone_and_named():
    """An MP4 behind a JPEG, or in a box of a HEIC, is the short film inside it."""
    film = box(b"ftyp", b"isom" + bytes(4)) + box(b"mdat", b"zqfilm" * 50)
    result, _ = cleaned(saved(scene(), "JPEG") + film)
    assert RemovedKind.SHORT_FILM in result.removed
    assert b"zqfilm" not in result.data
    heic = box(b"ftyp", b"heic" + bytes(4)) + box(b"mpvd", film)
    assert RemovedKind.SHORT_FILM in set(container_part_kinds(heic))
    assert RemovedKind.SHORT_FILM not in set(container_part_kinds(saved(scene(), "JPEG") + b"tail" * 20))


def test_changed_bytes_in_the_new_kinds_end_as_a_file_or_a_sentence():
    """Forty seeded changes of a BMP, raw photos and a cut JPEG end as a cleaned file or with a sentence of our own."""
    chance = random.Random(14)
    jpeg = saved(scene(), "JPEG")
    seeds = [saved(scene(), "BMP"), raw_photo(plain=True), raw_photo(jpeg=jpeg), jpeg[:-40]]
    for number in range(40):
        data = bytearray(seeds[number % 4])
        for _ in range(chance.randint(1, 6)):
            # Most changes go where the structure is: the start, and the directories at a raw photo's end.
            place = chance.choice([chance.randrange(60), -chance.randrange(1, 300), chance.randrange(len(data))])
            data[place] ^= chance.randint(1, 255)
        (result,) = clean_files([bytes(data)])
        assert isinstance(result, CleanedFile) or result.code in {"damaged", "unknown", "raw-photo", "too-many-pixels"}
