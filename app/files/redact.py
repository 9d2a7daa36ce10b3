"""Black boxes burnt into a picture or into a PDF's pages: what was under them is in no byte that comes out.

Boxes are grown to whole blocks of 16 pixels, for a JPEG's noise around a covered letter would still tell of it.
"""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from app.files.boxes import Box, split_boxes
from app.files.image import encode, open_image, upright
from app.files.pdf import pictures
from app.files.pdf_writer import bind
from app.files.protocol import Answer, Form, one
from app.files.sniff import image_format

_BLOCK = 16


def rebuild(data: bytes) -> Answer:
    """The picture or PDF anew with the boxes black; raises as `images` and `pages` do."""
    boxes, data = split_boxes(data)
    if image_format(data) is None:
        pages = (_blacked(picture, boxes.get(page, ())) for page, picture in enumerate(pictures(data)))
        return one(Form.PDF, bind(pages))
    image = _blacked(upright(open_image(data)), boxes.get(0, ()))
    return one(*encode(image, photograph=image_format(data) == "JPEG"))


def _blacked(image: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    draw = ImageDraw.Draw(image)
    for left, top, right, bottom in boxes:
        x = sorted(_inside(side, image.width) for side in (left, right))
        y = sorted(_inside(side, image.height) for side in (top, bottom))
        draw.rectangle((_down(x[0]), _down(y[0]), _up(x[1]) - 1, _up(y[1]) - 1), fill="black")
    return image


def _inside(fraction: float, pixels: int) -> int:
    return round(min(max(fraction, 0.0), 1.0) * pixels)


def _down(pixel: int) -> int:
    return pixel // _BLOCK * _BLOCK


def _up(pixel: int) -> int:
    return -(-pixel // _BLOCK) * _BLOCK
