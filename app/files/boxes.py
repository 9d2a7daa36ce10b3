"""Where to redact, as the parent tells the worker: the boxes in front of the file, on the same pipe."""

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence

# Left, top, right, bottom in fractions of a page's width and height.
Box = tuple[float, float, float, float]

_COUNT = struct.Struct("<I")
_BOX = struct.Struct("<I4d")


def with_boxes(data: bytes, boxes: Mapping[int, Sequence[Box]]) -> bytes:
    """The boxes by page number (from 0; a picture is page 0), then the file."""
    flat = [_BOX.pack(page, *box) for page, of_page in boxes.items() for box in of_page]
    return _COUNT.pack(len(flat)) + b"".join(flat) + data


def split_boxes(data: bytes) -> tuple[Mapping[int, Sequence[Box]], bytes]:
    """What `with_boxes` joined; struct.error if it is cut short."""
    (count,) = _COUNT.unpack_from(data)
    end = _COUNT.size + count * _BOX.size
    boxes: dict[int, list[Box]] = defaultdict(list)
    for page, left, top, right, bottom in _BOX.iter_unpack(data[_COUNT.size : end]):
        boxes[page].append((left, top, right, bottom))
    return boxes, data[end:]
