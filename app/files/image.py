"""A picture built anew from its pixels; nothing of the old file but what can be seen survives.

Turned the right way up first, colours brought to sRGB by the embedded profile, which is then dropped; what is
transparent is laid on paper. Photographs come back as JPEG, drawings as PNG, a TIFF of several pages as a PDF of all
of them. Of an animation the first picture is kept, and the answer says so. Refuses more than 25 megapixels a picture.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pi_heif
from PIL import AvifImagePlugin, Image, ImageCms, ImageFile, ImageOps, ImageSequence, ImageStat, MpoImagePlugin

from app.core.errors import FileRefusedError
from app.files.metadata_image import in_image
from app.files.pdf_writer import bind
from app.files.protocol import MOST_PAGES, MOST_PIXELS, Answer, Form, one
from app.files.sniff import image_format

Image.preinit()
Image.init()  # every plug-in now: after the lock there is nothing left to import
pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
assert MpoImagePlugin  # a JPEG of several pictures opens through it
_SRGB = ImageCms.createProfile("sRGB")

# A picture with more colours than this is a photograph: as PNG it would grow fourfold.
_MANY_COLOURS = 4096
_QUALITY = 88
# PNG keeps every pixel, and may be so many times larger than JPEG for that.
_WORTH_IT = 1.5
_LIGHT = 200
_SMALLER_COPY = 1  # bit of TIFF's NewSubfileType: this page is a thumbnail of another
_TIFF_SUBFILE = 254


def rebuild(data: bytes) -> Answer:
    """The picture as JPEG or PNG, or a TIFF of several pages as PDF; FileRefusedError, or whatever Pillow raises."""
    source = open_image(data)
    kinds = in_image(data, source)
    if source.format == "TIFF":
        pages = _tiff_pages(source)
        first = next(pages, None)
        second = next(pages, None)
        if first is not None and second is not None:
            return one(Form.PDF, bind(_chain(first, second, pages)), kinds)
        return one(*encode(upright(first or source), photograph=False), kinds)
    return one(*encode(upright(source), photograph=source.format in {"JPEG", "MPO", "HEIF"}), kinds)


def open_image(data: bytes) -> ImageFile.ImageFile:
    """The picture, opened as what its bytes say and as nothing else; "too-many-pixels" above 25 megapixels."""
    name = image_format(data)
    if name is None:
        raise FileRefusedError("unknown")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        image = Image.open(io.BytesIO(data), formats=[name])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FileRefusedError("too-many-pixels") from None
    _measure(image)
    return image


def upright(image: Image.Image) -> Image.Image:
    """The pixels as they are seen: turned, in sRGB, and opaque, for under what is transparent anything may hide."""
    image.load()
    try:
        turned = ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - broken metadata must not cost the picture
        turned = image.copy()
    seen = _to_srgb(turned)
    if seen.mode == "RGBA":
        seen = _on_paper(seen)
    seen.info = {}
    return seen


def encode(image: Image.Image, *, photograph: bool) -> tuple[Form, bytes]:
    """RGB pixels to a file that holds nothing else: JPEG, or PNG for a drawing that is not much larger so."""
    target = io.BytesIO()
    # Drawings and screenshots keep their colours at full resolution, for thin coloured letters.
    image.save(target, "JPEG", quality=_QUALITY, optimize=True, subsampling="4:2:0" if photograph else "4:4:4")
    if not photograph and image.getcolors(_MANY_COLOURS) is not None:
        drawing = _Bounded(int(_WORTH_IT * target.tell()))
        with suppress(_TooLongError):
            image.save(drawing, "PNG")
            return Form.PNG, drawing.getvalue()
    return Form.JPEG, target.getvalue()


class _TooLongError(Exception):
    """Writing on would be of no use."""


class _Bounded(io.BytesIO):
    """A file that ends the writing as soon as it is longer than it is worth."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def write(self, data: Any, /) -> int:
        if self.tell() > self._most:
            raise _TooLongError
        return super().write(data)


def _on_paper(image: Image.Image) -> Image.Image:
    """Laid on white, or on black where what can be seen is itself almost white."""
    alpha = image.getchannel("A")
    light = ImageStat.Stat(image.convert("L"), mask=alpha.point([0, *[255] * 255])).mean if alpha.getbbox() else [0]
    paper = Image.new("RGB", image.size, "black" if light[0] > _LIGHT else "white")
    paper.paste(image, mask=alpha)
    return paper


def _measure(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise FileRefusedError("too-many-pixels")


def _to_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    image = _plain_mode(image)
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            mode = "RGBA" if image.mode == "RGBA" else "RGB"
            converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode=mode)
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a profile that does not fit the pixels says nothing about them
    return image if image.mode in {"RGB", "RGBA"} else image.convert("RGB")


def _plain_mode(image: Image.Image) -> Image.Image:
    """One of L, RGB, RGBA, CMYK: the modes that colour conversion knows; sixteen bits become eight."""
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in {"I", "F"}:
        return _stretched(image.convert("F"))
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in {"L", "RGB", "CMYK"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _stretched(image: Image.Image) -> Image.Image:
    """Measurements without a scale of their own, spread from black to white."""
    low, high = (float(bound) for bound in image.getextrema())  # type: ignore[arg-type]
    scale = 255 / (high - low) if high > low else 1.0
    return image.point(lambda value: value * scale - low * scale).convert("L")


def _tiff_pages(image: ImageFile.ImageFile) -> Iterator[Image.Image]:
    for number, page in enumerate(ImageSequence.Iterator(image)):
        if number >= MOST_PAGES:
            raise FileRefusedError("too-many-pages")
        _measure(page)
        if not int(page.getexif().get(_TIFF_SUBFILE, 0)) & _SMALLER_COPY:
            yield page.copy() if number == 0 else page


def _chain(first: Image.Image, second: Image.Image, rest: Iterator[Image.Image]) -> Iterator[Image.Image]:
    yield upright(first)
    yield upright(second)
    for page in rest:
        yield upright(page)
