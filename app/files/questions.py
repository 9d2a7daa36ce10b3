"""The bytes of questions to the worker that hold more than a file: a voice, a page, or the areas to black out.

The parent joins them in front of the file, and the sandboxed worker takes them apart again.
"""

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence

from app.files.protocol import Box, Voice

_VOICES = tuple(Voice)
_PAGE = struct.Struct("<I")
_BOX_COUNT = struct.Struct("<I")
# A page number from 0, then the box.
_BOX_ENTRY = struct.Struct("<I4d")


def pack_voice(data: bytes, voice: Voice) -> bytes:
    """Return the number of a voice in front of the file, for Task.VOICE."""
    return bytes([_VOICES.index(voice)]) + data


def unpack_voice(data: bytes) -> tuple[Voice, bytes]:
    """Return the voice and the file that `pack_voice` joined; IndexError if there is no such voice."""
    return _VOICES[data[0]], data[1:]


def pack_page(data: bytes, page: int) -> bytes:
    """Return a page's number (from 0) in front of the file, for Task.COVER."""
    return _PAGE.pack(page) + data


def unpack_page(data: bytes) -> tuple[int, bytes]:
    """Return the page's number and the file that `pack_page` joined; struct.error if the data is cut short."""
    return _PAGE.unpack_from(data)[0], data[_PAGE.size :]


def pack_boxes(data: bytes, boxes: Mapping[int, Sequence[Box]]) -> bytes:
    """Return the boxes by page number (from 0; a picture is page 0) in front of the file, for Task.REDACT."""
    entries = [_BOX_ENTRY.pack(page, *box) for page, of_page in boxes.items() for box in of_page]
    return _BOX_COUNT.pack(len(entries)) + b"".join(entries) + data


def unpack_boxes(data: bytes) -> tuple[Mapping[int, Sequence[Box]], bytes]:
    """Return the boxes by page number and the file that `pack_boxes` joined; struct.error if the data is cut short."""
    (count,) = _BOX_COUNT.unpack_from(data)
    end = _BOX_COUNT.size + count * _BOX_ENTRY.size
    boxes: dict[int, list[Box]] = defaultdict(list)
    for page, left, top, right, bottom in _BOX_ENTRY.iter_unpack(data[_BOX_COUNT.size : end]):
        boxes[page].append((left, top, right, bottom))
    return boxes, data[end:]
