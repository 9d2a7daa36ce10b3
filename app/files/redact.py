"""Burns black boxes into a picture or into the pages of a PDF, so that no output byte depends on what was under them.

Returns also the small picture of one page on which a sender chooses the boxes.

Boxes are enlarged to whole blocks of 16 pixels: a JPEG encodes pixels in such blocks, and its noise beside a smaller
box would still show the edge of a covered letter. Corners outside the page are moved to its edge.
"""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from app.core.errors import FileRefusedError
from app.files.image import normalize_image, open_image, pages_result, picture_result
from app.files.pdf import render_pages
from app.files.previews import cover_of
from app.files.protocol import Box, OutputFormat, WorkerResult, single_file_result
from app.files.questions import unpack_boxes, unpack_page
from app.files.sniff import image_format

_BLOCK_PIXELS = 16


def redact_boxes(data: bytes) -> WorkerResult:
    """Return the picture or PDF with the boxes black; `data` comes from `protocol.pack_boxes`.

    Raises as `open_image` and `render_pages` do.
    """
    boxes, data = unpack_boxes(data)
    if image_format(data) is None:
        pages = (_black_out(picture, boxes.get(page, ())) for page, picture in enumerate(render_pages(data)))
        return pages_result(pages)
    image = _black_out(normalize_image(open_image(data)), boxes.get(0, ()))
    return picture_result(image, photograph=image_format(data) == "JPEG")


def page_to_cover(data: bytes) -> WorkerResult:
    """Return one page of a picture or PDF as a small JPEG; `data` comes from `protocol.pack_page`.

    Raises as `open_image` and `render_pages` do, and FileRefusedError "damaged" for a page that is not there.
    """
    page, data = unpack_page(data)
    if image_format(data) is None:
        return single_file_result(OutputFormat.JPEG, cover_of(next(render_pages(data, [page]))))
    if page:
        raise FileRefusedError("damaged")
    return single_file_result(OutputFormat.JPEG, cover_of(normalize_image(open_image(data))))


def _black_out(image: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    draw = ImageDraw.Draw(image)
    for left, top, right, bottom in boxes:
        x = sorted(_to_pixels(side, image.width) for side in (left, right))
        y = sorted(_to_pixels(side, image.height) for side in (top, bottom))
        draw.rectangle(
            (_block_start(x[0]), _block_start(y[0]), _block_end(x[1]) - 1, _block_end(y[1]) - 1), fill="black"
        )
    return image


def _to_pixels(fraction: float, pixels: int) -> int:
    return round(min(max(fraction, 0.0), 1.0) * pixels)


def _block_start(pixel: int) -> int:
    return pixel // _BLOCK_PIXELS * _BLOCK_PIXELS


def _block_end(pixel: int) -> int:
    return -(-pixel // _BLOCK_PIXELS) * _BLOCK_PIXELS
