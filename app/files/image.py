"""Rebuilds a picture from its pixels, so that nothing of the old file survives but what can be seen.

The picture is turned upright, converted to sRGB by its colour profile, which is then dropped, and laid on white or
black where it is transparent. Photographs come back as JPEG, drawings as PNG, and a TIFF of several pages as a PDF.
Of an animation the first picture is kept, and the result says so. A picture above 64 megapixels is halved in width and
height, so that 1 GiB of memory carries up to 200 megapixels, and more are refused. The result says so too, and that the
end of a JPEG was missing. Of a raw photo the full picture inside is taken, and never its thumbnail.
"""

import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

import pi_heif
from PIL import (
    AvifImagePlugin,
    ExifTags,
    Image,
    ImageCms,
    ImageFile,
    ImageOps,
    ImageSequence,
    ImageStat,
    JpegImagePlugin,
    MpoImagePlugin,
)

from app.core.errors import FileRefusedError
from app.files.metadata_image import image_metadata_kinds, tiff_metadata_kinds
from app.files.pdf_writer import images_to_pdf
from app.files.previews import preview_of
from app.files.protocol import (
    MAX_IMAGE_PIXELS,
    MAX_PAGES,
    OutputFormat,
    RemovedKind,
    WorkerResult,
    single_file_result,
)
from app.files.raw_photos import full_picture, tiff_orientation
from app.files.sniff import image_format

Image.preinit()
Image.init()  # loads every plug-in: after the lock nothing can be imported
pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
assert MpoImagePlugin  # a JPEG of several pictures opens through it
_SRGB = ImageCms.createProfile("sRGB")

# A picture with more colours than this is a photograph, and would grow fourfold as PNG.
_MAX_DRAWING_COLOURS = 4096
_JPEG_QUALITY = 88
# PNG keeps every pixel; a drawing becomes PNG if that is at most so many times larger than JPEG.
_MAX_PNG_GROWTH = 1.5
# Mean lightness (0 to 255) above which a partly transparent picture is laid on black.
_LIGHT_FROM = 200
# Larger pictures are halved. A page among several gets as many pixels as A4 has at 300 dots per inch.
_MAX_WHOLE_PIXELS = 64_000_000
_MAX_PAGE_PIXELS = 9_000_000
_MAX_SIDE = 65_500  # of a JPEG (ITU-T T.81, B.2.2, less what libjpeg keeps for itself)
# A JPEG whose end is missing is taken if at least so much of its height is there.
_LEAST_SHARE = 0.5
_TIFF_REDUCED_COPY = 1  # bit of NewSubfileType (TIFF 6.0, section 8): this page is a thumbnail of another
_TIFF_SUBFILE = 254


def rebuild_image(data: bytes) -> WorkerResult:
    """Return the picture as JPEG or PNG, or a TIFF of several pages as PDF; FileRefusedError, or what Pillow raises."""
    inside = full_picture(data)
    source = open_image(data if inside is None else inside)
    kinds = image_metadata_kinds(data, source)
    if inside is not None:
        kinds |= {RemovedKind.FURTHER, *tiff_metadata_kinds(data)}
        source.getexif().setdefault(ExifTags.Base.Orientation, tiff_orientation(data))
    if source.format == "TIFF":
        pages = _tiff_pages(source)
        first = next(pages, None)
        second = next(pages, None)
        if first is not None and second is not None:
            return pages_result(_normalized_pages(chain([first, second], pages), kinds), kinds)
        if first is None:  # every page is a thumbnail of another, which is not here
            raise FileRefusedError("raw-photo")
        return _picture_of(first, kinds)
    return _picture_of(source, kinds, photograph=source.format in {"JPEG", "MPO", "HEIF"})


def _picture_of(source: Image.Image, kinds: set[RemovedKind], *, photograph: bool = False) -> WorkerResult:
    if _factor(source, _MAX_WHOLE_PIXELS) > 1:
        kinds.add(RemovedKind.FINE_DETAIL)
    try:
        picture = normalize_image(source)
    except OSError:
        if not photograph:
            raise
        picture = _picture_without_end(source)
        kinds.add(RemovedKind.MISSING_END)
    source.close()  # frees the pixels of before, for which there may be no room while the new file is written
    return picture_result(picture, kinds, photograph=photograph)


def picture_result(
    picture: Image.Image, kinds: Iterable[RemovedKind] = (), *, photograph: bool = False
) -> WorkerResult:
    """Return an RGB picture, encoded, with its preview."""
    preview = preview_of(picture)
    return single_file_result(*encode_image(picture, photograph=photograph), kinds, preview=preview, pages=1)


def pages_result(pages: Iterator[Image.Image], kinds: Iterable[RemovedKind] = ()) -> WorkerResult:
    """Return RGB pages, of which there is at least one, as a PDF with a preview of the first page."""
    first = next(pages)
    preview = preview_of(first)
    data, count = images_to_pdf(chain([first], pages))
    return single_file_result(OutputFormat.PDF, data, kinds, preview=preview, pages=count)


def open_image(data: bytes) -> ImageFile.ImageFile:
    """Return the picture, opened as the format that its first bytes name and as no other.

    Raises FileRefusedError "unknown", or "too-many-pixels" above 200 megapixels.
    """
    name = image_format(data)
    if name is None:
        raise FileRefusedError("unknown")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = MAX_IMAGE_PIXELS
    try:
        image = Image.open(io.BytesIO(data), formats=[name])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FileRefusedError("too-many-pixels") from None
    _check_pixels(image)
    return image


def normalize_image(image: Image.Image, most_pixels: int = _MAX_WHOLE_PIXELS) -> Image.Image:
    """Return the pixels as they are seen: upright, in sRGB, and opaque, because transparency can hide a picture.

    A picture above `most_pixels` is halved in width and height, and as often again as needed. The picture given is used
    up, so that no pixel is in memory twice for longer than necessary.
    """
    factor = _factor(image, most_pixels)
    if factor > 1 and isinstance(image, JpegImagePlugin.JpegImageFile):
        image.draft(None, (image.width // factor, image.height // factor))
    image.load()
    with suppress(Exception):  # a picture with broken metadata is still taken
        ImageOps.exif_transpose(image, in_place=True)
    visible = _to_srgb(image, most_pixels)
    if visible.mode == "RGBA":
        visible = _without_alpha(visible)
    # The same pixels, without a copy, in a picture that knows nothing of the file that was opened.
    plain = visible._new(visible.im)  # noqa: SLF001
    plain.info = {}
    return plain


def _factor(image: Image.Image, most_pixels: int) -> int:
    """Return the power of two by which width and height are divided."""
    factor = 1
    while image.width * image.height > most_pixels * factor**2 or max(image.size) > _MAX_SIDE * factor:
        factor *= 2
    return factor


def _picture_without_end(source: Image.Image) -> Image.Image:
    """Return a JPEG as far as it goes, without the rows that are missing; FileRefusedError if too many are."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    source.load()
    # The decoder fills what it does not reach with middle grey.
    box = source.convert("L").point([255] * 126 + [0] * 5 + [255] * 125).getbbox()
    if box is None or box[3] < _LEAST_SHARE * source.height:
        raise FileRefusedError("damaged")
    return normalize_image(source.crop((0, 0, source.width, box[3])))


def encode_image(image: Image.Image, *, photograph: bool) -> tuple[OutputFormat, bytes]:
    """Return RGB pixels as JPEG, or as PNG for a drawing that is not much larger as PNG."""
    target = io.BytesIO()
    # Thin coloured letters in drawings and screenshots need colours at full resolution.
    subsampling = "4:2:0" if photograph else "4:4:4"
    try:
        image.save(target, "JPEG", quality=_JPEG_QUALITY, optimize=True, subsampling=subsampling)
    except OSError:  # all that can go wrong with pixels in memory
        raise MemoryError from None
    if not photograph and image.getcolors(_MAX_DRAWING_COLOURS) is not None:
        drawing = _BoundedBytesIO(int(_MAX_PNG_GROWTH * target.tell()))
        with suppress(_TooLargeError):
            image.save(drawing, "PNG")
            return OutputFormat.PNG, drawing.getvalue()
    return OutputFormat.JPEG, target.getvalue()


class _TooLargeError(Exception):
    """The file that is being written exceeds its limit."""


class _BoundedBytesIO(io.BytesIO):
    """An in-memory file that raises _TooLargeError once it is longer than `most` bytes."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def write(self, data: Any, /) -> int:
        if self.tell() > self._most:
            raise _TooLargeError
        return super().write(data)


def _without_alpha(image: Image.Image) -> Image.Image:
    """Return the picture on white, or on black where its visible part is almost white."""
    alpha = image.getchannel("A")
    lightness = ImageStat.Stat(image.convert("L"), mask=alpha.point([0, *[255] * 255])).mean if alpha.getbbox() else [0]
    opaque = Image.new("RGB", image.size, "black" if lightness[0] > _LIGHT_FROM else "white")
    opaque.paste(image, mask=alpha)
    return opaque


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > MAX_IMAGE_PIXELS:
        raise FileRefusedError("too-many-pixels")


def _to_srgb(image: Image.Image, most_pixels: int) -> Image.Image:
    profile = image.info.get("icc_profile")
    image = _to_basic_mode(image)
    factor = _factor(image, most_pixels)
    if factor > 1:
        image = image.reduce(factor)
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            mode = "RGBA" if image.mode == "RGBA" else "RGB"
            in_place = image.mode == mode
            image = ImageCms.profileToProfile(image, source, _SRGB, outputMode=mode, inPlace=in_place) or image
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a profile that does not match the pixels is ignored
    return image if image.mode in {"RGB", "RGBA"} else image.convert("RGB")


def _to_basic_mode(image: Image.Image) -> Image.Image:
    """Return the picture in L, RGB, RGBA or CMYK, the modes that colour conversion takes; 16 bits become 8."""
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in {"I", "F"}:
        return _stretch_contrast(image.convert("F"))
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode in {"L", "RGB", "CMYK"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _stretch_contrast(image: Image.Image) -> Image.Image:
    """Return pixels of 32 bits, which have no scale of their own, spread from black to white."""
    low, high = (float(bound) for bound in image.getextrema())  # type: ignore[arg-type]
    scale = 255 / (high - low) if high > low else 1.0
    return image.point(lambda value: value * scale - low * scale).convert("L")


def _tiff_pages(image: ImageFile.ImageFile) -> Iterator[Image.Image]:
    for number, page in enumerate(ImageSequence.Iterator(image)):
        if number >= MAX_PAGES:
            raise FileRefusedError("too-many-pages")
        _check_pixels(page)
        if not int(page.getexif().get(_TIFF_SUBFILE, 0)) & _TIFF_REDUCED_COPY:
            yield page.copy() if number == 0 else page


def _normalized_pages(pages: Iterator[Image.Image], kinds: set[RemovedKind]) -> Iterator[Image.Image]:
    """Yield each page as it is seen, and note it in `kinds` if one was made smaller."""
    for page in pages:
        if _factor(page, _MAX_PAGE_PIXELS) > 1:
            kinds.add(RemovedKind.FINE_DETAIL)
        yield normalize_image(page, _MAX_PAGE_PIXELS)
