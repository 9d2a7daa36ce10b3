"""Faces that are found become patches of colour, in the sandbox; where none is found the person is told."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from app.core.errors import FileRefusedError
from app.files.clean import blur_faces, clean_files
from app.files.protocol import REFUSALS, RemovedKind
from tests.support.paths import ROOT

# Eileen Collins, of NASA's official portrait: in the public domain.
FACE = Image.open(io.BytesIO(Path(ROOT / "tests/corpus/face.jpg").read_bytes())).convert("RGB")
# In the face itself, the part between forehead and chin.
INNER = (0.35, 0.35, 0.7, 0.7)


def picture(*places: tuple[int, int, int], size: tuple[int, int] = (1600, 1200)) -> Image.Image:
    """A plain picture with the face at each place: left, top and height of the portrait."""
    made = Image.new("RGB", size, (120, 140, 110))
    for left, top, height in places:
        made.paste(FACE.resize((height * 7 // 10, height)), (left, top))
    return made


def saved(image: Image.Image, form: str = "JPEG", **options) -> bytes:
    target = io.BytesIO()
    image.save(target, form, quality=90, **options)
    return target.getvalue()


def detail(image: Image.Image, left: int, top: int, height: int) -> float:
    """How much neighbouring pixels differ within the face: the mean step between them."""
    width = height * 7 // 10
    box = (left + INNER[0] * width, top + INNER[1] * height, left + INNER[2] * width, top + INNER[3] * height)
    part = image.convert("L").crop(tuple(map(int, box)))
    steps = ImageChops.difference(part, ImageChops.offset(part, 1, 0)).crop((1, 0, *part.size))
    return sum(value * count for value, count in enumerate(steps.histogram())) / (steps.width * steps.height)


def test_large_and_small_faces_are_gone_and_the_rest_stays():
    """Of faces from 60 to 700 pixels no detail is left; what is away from them is as it was."""
    places = [(60, 60, 60), (300, 80, 150), (900, 300, 700)]
    before = picture(*places)
    cleaned = blur_faces(saved(before))
    after = Image.open(io.BytesIO(cleaned.data))
    assert cleaned.removed == (RemovedKind.FACES,)
    assert after.size == before.size
    for place in places:
        assert detail(after, *place) < 0.5 * detail(before, *place)
    difference = ImageChops.difference(before.crop((0, 800, 700, 1200)), after.crop((0, 800, 700, 1200)))
    assert max(high for _, high in difference.getextrema()) < 8
    assert max(Image.open(io.BytesIO(cleaned.preview)).size) == 160


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_face_that_lies_on_its_side_is_found(degrees):
    """A picture that was taken lying down is searched in every quarter turn."""
    place = (400, 300, 500)
    after = Image.open(io.BytesIO(blur_faces(saved(picture(*[place]).rotate(degrees, expand=True))).data))
    assert detail(after.rotate(-degrees, expand=True), *place) < 0.5 * detail(picture(*[place]), *place)


def test_faces_on_the_pages_of_a_pdf_are_gone():
    """Each page is searched, and the PDF keeps its pages."""
    place = (200, 200, 500)
    scan = saved(picture(place), "TIFF", save_all=True, append_images=[picture()])
    (document,) = clean_files([scan])
    blurred = blur_faces(document.data)
    assert (blurred.type, blurred.pages) == ("application/pdf", 2)
    assert blurred.data != document.data
    assert RemovedKind.FACES in blurred.removed


def test_where_no_face_is_found_the_person_is_told():
    """A picture without a face is not said to be blurred."""
    with pytest.raises(FileRefusedError, match="no-faces"):
        blur_faces(saved(picture()))
    assert "No face was found" in REFUSALS["no-faces"]


def test_the_patches_do_not_depend_on_the_face_s_detail():
    """Two pictures that differ only in the fine detail of a face give nearly the same patches."""
    place = (400, 300, 500)
    sharp = picture(place)
    soft = picture()
    soft.paste(FACE.resize((35, 50), Image.Resampling.BOX).resize((350, 500)), place[:2])
    one, other = (Image.open(io.BytesIO(blur_faces(saved(each)).data)).convert("L") for each in (sharp, soft))
    middle = (500, 450, 620, 620)
    difference = ImageChops.difference(one.crop(middle), other.crop(middle))
    assert difference.getextrema()[1] < 40
    assert detail(one, *place) < 2
