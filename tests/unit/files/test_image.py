"""Pictures come back as they are meant to be seen: upright, in the right colours, in a fitting format."""

import io

import pytest
from PIL import Image, ImageCms, ImageDraw

from app.files.clean import CleanedFile, clean_files
from tests.corpus.pictures import profile, scene

# For each EXIF orientation, how to lay the pixels so that the picture is upright again once it is applied.
TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def cleaned(image: Image.Image, form: str, **options) -> tuple[CleanedFile, Image.Image]:
    target = io.BytesIO()
    image.save(target, form, **options)
    (result,) = clean_files([target.getvalue()])
    assert isinstance(result, CleanedFile), result
    return result, Image.open(io.BytesIO(result.data))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", TURNS)
def test_a_turned_picture_is_upright(form, orientation):
    """The orientation is applied to the pixels, and then nothing is left to apply."""
    image = Image.new("RGB", (96, 64), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 31, 31), fill="red")
    turn = TURNS[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    _, made = cleaned(image.transpose(turn) if turn is not None else image, form, exif=exif)
    assert made.size == (96, 64)
    assert made.convert("RGB").getpixel((8, 8))[1] < 60
    assert made.convert("RGB").getpixel((88, 56))[1] > 200
    assert not made.getexif()


def test_a_photograph_comes_back_as_jpeg():
    """Many colours, nothing transparent: JPEG, whatever it was, and no larger than half as much again."""
    for form in ("JPEG", "PNG", "WEBP", "TIFF"):
        result, _ = cleaned(scene(), form)
        assert result.type == "image/jpeg"
    once, _ = cleaned(scene().resize((1600, 1000)), "JPEG", quality=90)
    again = clean_files([once.data])[0]
    assert len(again.data) < 1.5 * len(once.data)


def test_a_drawing_comes_back_as_png_unchanged():
    """Few colours: PNG, every pixel as it was."""
    image = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(image).text((10, 10), "Payments", fill="navy", font_size=40)
    result, made = cleaned(image, "PNG")
    assert result.type == "image/png"
    assert made.convert("RGB").tobytes() == image.tobytes()


def test_what_hid_under_the_transparent_is_gone():
    """What cannot be seen is laid on paper: white, or black under something light; the rest shows as before."""
    for seen, paper in (("navy", (255, 255, 255)), ("white", (0, 0, 0))):
        image = Image.new("RGBA", (60, 60), seen)
        image.putalpha(255)
        ImageDraw.Draw(image).rectangle((0, 0, 30, 60), fill=(255, 0, 0, 0))
        _, made = cleaned(image, "PNG")
        assert made.mode == "RGB"
        assert made.getpixel((5, 5)) == paper
        assert made.getpixel((50, 50)) == image.convert("RGB").getpixel((50, 50))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "CMYK", "F"])
def test_every_kind_of_pixel_is_understood(mode):
    """Black stays dark and white stays light in every mode that files come in."""
    grey = Image.linear_gradient("L")
    if mode == "I;16":
        image = Image.frombytes("I;16", grey.size, b"".join(bytes((value, value)) for value in grey.tobytes()))
    else:
        image = grey.convert(mode)
    form = {"F": "TIFF", "CMYK": "JPEG"}.get(mode, "PNG")
    _, made = cleaned(image, form)
    made = made.convert("L")
    assert made.getpixel((128, 2)) < 20
    assert made.getpixel((128, 253)) > 235
    if mode != "1":
        assert abs(made.getpixel((128, 128)) - 128) < 12


def test_colours_are_brought_to_srgb():
    """A profile with red and green exchanged is applied, not just dropped."""
    data = bytearray(profile("swapped"))
    red, green = data.index(b"rXYZ"), data.index(b"gXYZ")
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    ImageCms.ImageCmsProfile(io.BytesIO(bytes(data)))
    _, made = cleaned(Image.new("RGB", (32, 32), (200, 30, 30)), "PNG", icc_profile=bytes(data))
    red_now, green_now, _ = made.convert("RGB").getpixel((5, 5))
    assert green_now > red_now
    assert "icc_profile" not in made.info


@pytest.mark.parametrize("wrong", [b"not a profile", profile("cut")[:200], profile("grey")])
def test_a_faulty_profile_does_not_cost_the_picture(wrong):
    """A profile that is broken, or made for other pixels, is left aside."""
    _, made = cleaned(Image.new("L", (32, 32), 77), "PNG", icc_profile=wrong)
    assert abs(made.convert("L").getpixel((5, 5)) - 77) < 3


def test_broken_exif_does_not_cost_the_picture():
    """EXIF that makes no sense is passed over."""
    _, made = cleaned(scene(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff broken")
    assert made.size == (320, 200)
