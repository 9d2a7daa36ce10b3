"""Finds the faces in a picture, or in the pages of a PDF, and leaves a few patches of colour in place of each.

No program finds every face: those turned away, covered, very small or dark are missed. So a picture in which none is
found is refused with a sentence, and whoever uses this must ask people to look. A box too many harms nobody, so the
bar is low. The detector is CenterFace (arXiv 1911.03599) under OpenCV; the model is read before the process is locked.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from app.core.errors import FileRefusedError
from app.files.image import normalize_image, open_image, pages_result, picture_result
from app.files.pdf import render_pages
from app.files.protocol import Box, RemovedKind, WorkerResult
from app.files.sniff import image_format

cv2.setNumThreads(1)  # a file has one processor
# Read before the lock, because afterwards no file can be read.
_MODEL = np.frombuffer((Path(__file__).parent / "models" / "centerface.onnx").read_bytes(), np.uint8)
# How likely the middle of a face is at a place, the size of the face, the rest of its place, its eyes, nose and mouth.
_OUTPUTS = ("537", "538", "539", "540")
_STRIDE = 4  # pixels between two places
_LEAST_SCORE = 0.3
_MULTIPLE = 32  # the sides that the model takes
_WHOLE_SIDE, _TURNED_SIDE, _TILED_SIDE = 960, 640, 2560
_TILE_OVERLAP = 0.2
_SAME_FACE = 0.4  # of the smaller face's area
_MARGIN = 0.3  # of a face's width and height, on each side: hair, ears and chin
_PATCHES = 4
_BLOCK_PIXELS = 16
_QUARTER_TURNS = {1: Image.Transpose.ROTATE_90, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_270}


def blur_faces(data: bytes) -> WorkerResult:
    """Return the picture or PDF with patches of colour in place of each face that is found.

    Raises FileRefusedError "no-faces" where none is found, and as `open_image` and `render_pages` do.
    """
    if image_format(data) is None:
        return _blur_pages(data)
    picture = normalize_image(open_image(data))
    faces = FaceFinder().faces(picture)  # the finder's memory is free again before the new file is written
    if not faces:
        raise FileRefusedError("no-faces")
    _blur(picture, faces)
    return picture_result(picture, {RemovedKind.FACES}, photograph=image_format(data) == "JPEG")


class FaceFinder:
    """Finds faces in pictures."""

    def __init__(self) -> None:
        self._net = cv2.dnn.readNetFromONNX(_MODEL)

    def faces(self, picture: Image.Image) -> list[Box]:
        """Return the faces of a picture: as a whole, turned, and in parts, so that large and small ones are found."""
        found = [*self._faces_in(_fitted(picture, _WHOLE_SIDE)), *self._turned_faces(picture)]
        found += self._faces_in_tiles(picture)
        return _without_doubles(found)

    def faces_of_page(self, page: Image.Image) -> list[Box]:
        """Return the faces of one page among many, for which there is less time."""
        return _without_doubles(list(self._faces_in(_fitted(page, _WHOLE_SIDE))))

    def _turned_faces(self, picture: Image.Image) -> Iterator[tuple[float, Box]]:
        small = _fitted(picture, _TURNED_SIDE)
        for turns, method in _QUARTER_TURNS.items():
            for score, face in self._faces_in(small.transpose(method)):
                yield score, _turned_back(face, turns)

    def _faces_in_tiles(self, picture: Image.Image) -> Iterator[tuple[float, Box]]:
        if max(picture.size) <= _WHOLE_SIDE:
            return
        large = _fitted(picture, _TILED_SIDE)
        for left, top, right, bottom in _tiles(*large.size):
            for score, face in self._faces_in(large.crop((left, top, right, bottom))):
                x = [(left + side * (right - left)) / large.width for side in face[::2]]
                y = [(top + side * (bottom - top)) / large.height for side in face[1::2]]
                yield score, (x[0], y[0], x[1], y[1])

    def _faces_in(self, picture: Image.Image) -> Iterator[tuple[float, Box]]:
        """Yield how likely each face is, and its box in fractions of the picture."""
        width, height = (max(_MULTIPLE, math.ceil(side / _MULTIPLE) * _MULTIPLE) for side in picture.size)
        pixels = np.asarray(picture.resize((width, height)), dtype=np.float32)
        self._net.setInput(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]))
        scores, sizes, places, _ = self._net.forward(_OUTPUTS)
        for row, column in np.argwhere(scores[0, 0] > _LEAST_SCORE):
            tall, wide = np.exp(sizes[0, :, row, column]) * _STRIDE
            y, x = (np.array([row, column]) + places[0, :, row, column] + 0.5) * _STRIDE
            box = ((x - wide / 2) / width, (y - tall / 2) / height, (x + wide / 2) / width, (y + tall / 2) / height)
            yield float(scores[0, 0, row, column]), tuple(map(float, box))  # type: ignore[misc]


def _fitted(picture: Image.Image, most: int) -> Image.Image:
    scale = min(1.0, most / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), reducing_gap=2.0)


def _tiles(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    for top in _starts(height):
        for left in _starts(width):
            yield left, top, min(left + _WHOLE_SIDE, width), min(top + _WHOLE_SIDE, height)


def _starts(length: int) -> Sequence[int]:
    """Return where tiles begin, so that neighbours overlap and the last one ends at the edge."""
    if length <= _WHOLE_SIDE:
        return [0]
    count = math.ceil((length - _WHOLE_SIDE) / (_WHOLE_SIDE * (1 - _TILE_OVERLAP))) + 1
    return [round(number * (length - _WHOLE_SIDE) / (count - 1)) for number in range(count)]


def _turned_back(face: Box, turns: int) -> Box:
    """Return a box of a picture that was turned to the left by so many quarters, as it lies in the picture itself."""
    left, top, right, bottom = face
    for _ in range(turns):
        left, top, right, bottom = 1 - bottom, left, 1 - top, right
    return left, top, right, bottom


def _without_doubles(found: list[tuple[float, Box]]) -> list[Box]:
    kept: list[Box] = []
    for _, face in sorted(found, reverse=True):
        if all(_overlap(face, other) < _SAME_FACE for other in kept):
            kept.append(face)
    return kept


def _overlap(one: Box, other: Box) -> float:
    """Return how much of the smaller box lies in the other."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / smaller if width > 0 and height > 0 and smaller > 0 else 0.0


def _blur_pages(data: bytes) -> WorkerResult:
    finder, faces = FaceFinder(), list[Box]()

    def blurred() -> Iterator[Image.Image]:
        for page in render_pages(data):
            found = finder.faces_of_page(page)
            faces.extend(found)
            _blur(page, found)
            yield page

    result = pages_result(blurred(), {RemovedKind.FACES})
    if not faces:
        raise FileRefusedError("no-faces")
    return result


def _blur(picture: Image.Image, faces: Sequence[Box]) -> None:
    """Replace each face, with a margin, by a few patches of its mean colours, in whole blocks of JPEG."""
    for left, top, right, bottom in faces:
        x, y = (right - left) * _MARGIN, (bottom - top) * _MARGIN
        area = (
            *(max(0, math.floor(side / _BLOCK_PIXELS)) * _BLOCK_PIXELS for side in _sides(picture, left - x, top - y)),
            *(math.ceil(side / _BLOCK_PIXELS) * _BLOCK_PIXELS for side in _sides(picture, right + x, bottom + y)),
        )
        area = (area[0], area[1], min(area[2], picture.width), min(area[3], picture.height))
        if area[0] < area[2] and area[1] < area[3]:
            part = picture.crop(area)
            few = part.resize((_PATCHES, _PATCHES), Image.Resampling.BOX)
            picture.paste(few.resize(part.size, Image.Resampling.BICUBIC), area)


def _sides(picture: Image.Image, x: float, y: float) -> tuple[float, float]:
    return x * picture.width, y * picture.height
