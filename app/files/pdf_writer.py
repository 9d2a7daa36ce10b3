"""Writes pictures as a new PDF: one picture a page, no text, no links, no metadata, no dates.

A grey page is stored in 16 greys or as JPEG, a coloured page in 256 colours or as JPEG, whichever is smaller: letters
stay sharp, and scanned photographs stay small. The bytes depend on the pixels alone.
"""

import io
import zlib
from collections.abc import Iterable

import pikepdf
from PIL import Image, ImageChops

DPI = 150
_POINTS_PER_INCH = 72
_JPEG_QUALITY = 80
_LAST_GREY = 15
_STRIP_BYTES = 1 << 16
# A page whose channels differ by less counts as grey, because scanners never produce a pure grey.
_COLOUR_DIFFERENCE = 12
_MAX_POINTS = 14_400  # ISO 32000-1, annex C.2: the largest page side


def images_to_pdf(pages: Iterable[Image.Image]) -> tuple[bytes, int]:
    """Return a PDF whose pages are these RGB pictures at 150 dots per inch, and the number of its pages."""
    document = pikepdf.new()
    for image in pages:
        width, height = (min(side * _POINTS_PER_INCH / DPI, _MAX_POINTS) for side in image.size)
        page = document.add_blank_page(page_size=(width, height))
        page.obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(P=_image_object(document, image)))
        page.obj.Contents = document.make_stream(f"{width:.3f} 0 0 {height:.3f} 0 0 cm /P Do".encode())
    target = io.BytesIO()
    document.save(target, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    return target.getvalue(), len(document.pages)


def _image_object(document: pikepdf.Pdf, image: Image.Image) -> pikepdf.Stream:
    grey = _is_grey(image)
    if grey:
        image = image.convert("L")
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=_JPEG_QUALITY)
    pixels, bits, space = _sixteen_greys(image) if grey else _few_colours(document, image)
    flat = _deflated(pixels, len(jpeg.getbuffer()))
    stream = document.make_stream(b"")
    if flat is None:
        bits, space = 8, pikepdf.Name.DeviceGray if grey else pikepdf.Name.DeviceRGB
        stream.write(jpeg.getvalue(), filter=pikepdf.Name.DCTDecode)
    else:
        stream.write(flat, filter=pikepdf.Name.FlateDecode)
    stream.Type, stream.Subtype = pikepdf.Name.XObject, pikepdf.Name.Image
    stream.Width, stream.Height = image.size
    stream.BitsPerComponent, stream.ColorSpace = bits, space
    return stream


def _deflated(pixels: bytes, most: int) -> bytes | None:
    """Return the pixels deflated, or None, and no more work, once they are longer than `most` bytes."""
    packer, pieces, length = zlib.compressobj(), list[bytes](), 0
    for at in range(0, len(pixels), _STRIP_BYTES):
        pieces.append(packer.compress(pixels[at : at + _STRIP_BYTES]))
        length += len(pieces[-1])
        if length > most:
            return None
    pieces.append(packer.flush())
    return b"".join(pieces) if length + len(pieces[-1]) <= most else None


def _is_grey(image: Image.Image) -> bool:
    red, green, blue = image.split()
    differences = (ImageChops.difference(one, other) for one, other in ((red, green), (green, blue)))
    return not any(any(image.histogram()[_COLOUR_DIFFERENCE:]) for image in differences)


def _sixteen_greys(image: Image.Image) -> tuple[bytes, int, pikepdf.Object]:
    levels = image.point([round(value * _LAST_GREY / 255) for value in range(256)])
    packed = Image.frombytes("P", image.size, levels.tobytes()).tobytes("raw", "P;4")
    return packed, 4, pikepdf.Name.DeviceGray


def _few_colours(document: pikepdf.Pdf, image: Image.Image) -> tuple[bytes, int, pikepdf.Object]:
    few = image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    table = bytes(few.getpalette("RGB") or ())
    space = pikepdf.Array(
        [pikepdf.Name.Indexed, pikepdf.Name.DeviceRGB, len(table) // 3 - 1, document.make_stream(table)]
    )
    return few.tobytes(), 8, space
