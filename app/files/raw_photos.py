"""Finds the full picture inside a raw photo, so that its thumbnail is never taken for the photo.

Raw photos of most cameras (DNG, NEF, CR2, ARW, PEF, SRW) are TIFF files: the first page is a thumbnail, the values of
the sensor, which only a program for raw photos can develop, stand further inside, and often beside them a JPEG of full
size. Sources: TIFF 6.0, TIFF/EP (ISO 12234-2), Digital Negative 1.7 (Adobe).
"""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from operator import itemgetter
from typing import Literal

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from app.core.errors import FileRefusedError

_TIFF_STARTS = (b"II*\0", b"MM\0*")
_WIDTH, _COMPRESSION, _COLOURS, _ORIENTATION, _SUB_DIRECTORIES, _DNG_VERSION = 256, 259, 262, 274, 330, 50706
# Values of a sensor, before the colours of each pixel are computed.
_SENSOR_COLOURS = {32803, 34892}
_SENSOR_COMPRESSIONS = {32767, 34713, 65535}
# Grey, RGB, palette, CMYK and YCbCr; uncompressed, Group 3 and 4, LZW, deflate and PackBits.
_PLAIN_COLOURS, _PLAIN_COMPRESSIONS = {0, 1, 2, 3, 5, 6}, {1, 2, 3, 4, 5, 8, 32773, 32946}
_SUBFILE, _REDUCED = 254, 1
_CANON_MARK, _CANON_MARK_AT = b"CR", 8
_MAX_DIRECTORIES = 64
# A JPEG of a raw photo is its full picture if it is at least so wide, as a share of the sensor.
_FULL_SHARE = 0.8
_JPEG_START = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
# Frames that Pillow decodes: baseline, extended, progressive (ITU-T T.81, table B.1). A lossless frame is sensor data.
_FRAMES, _SCAN, _FIRST_FRAME, _LAST_FRAME, _NO_FRAMES = {0xC0, 0xC1, 0xC2}, 0xDA, 0xC0, 0xCF, {0xC4, 0xC8, 0xCC}


_Directories = dict[int, ImageFileDirectory_v2]


def full_picture(data: bytes) -> bytes | None:
    """Return the picture of full size inside a raw photo as a file of its own, or None if the data is no raw photo.

    Raises FileRefusedError "raw-photo" if the raw photo holds none.
    """
    if not data.startswith(_TIFF_STARTS):
        return None
    pages, inner = _directories(data)
    if not _is_raw(data, pages, inner):
        return None
    everywhere = {**pages, **inner}
    sensor_width = max((_number(directory, _WIDTH) for directory in everywhere.values()), default=0)
    jpegs = [(width, data[start:]) for width, start in _jpegs(data)]
    plain = [
        (_number(directory, _WIDTH), data[:4] + offset.to_bytes(4, _byte_order(data)) + data[8:])
        for offset, directory in everywhere.items()
        if _is_plain(directory)
    ]
    width, picture = max([*jpegs, *plain], key=itemgetter(0), default=(0, b""))
    if not width or width < _FULL_SHARE * sensor_width:
        raise FileRefusedError("raw-photo")
    return picture


def tiff_orientation(data: bytes) -> int:
    """Return how the first page of a TIFF is to be turned, as Exif counts it: 1 is upright."""
    pages, _ = _directories(data)
    return next((_number(page, _ORIENTATION) or 1 for page in pages.values()), 1)


def _is_raw(data: bytes, pages: _Directories, inner: _Directories) -> bool:
    """Return whether a TIFF holds sensor data, or calls all its pages thumbnails of what stands further inside."""
    return (
        data.startswith(_CANON_MARK, _CANON_MARK_AT)
        or any(_has_sensor_data(directory) for directory in (*pages.values(), *inner.values()))
        or (bool(inner) and all(_number(page, _SUBFILE) & _REDUCED for page in pages.values()))
    )


def _has_sensor_data(directory: ImageFileDirectory_v2) -> bool:
    return (
        _DNG_VERSION in directory
        or _number(directory, _COLOURS) in _SENSOR_COLOURS
        or _number(directory, _COMPRESSION) in _SENSOR_COMPRESSIONS
    )


def _is_plain(directory: ImageFileDirectory_v2) -> bool:
    """Return whether a directory's picture has the colours of each pixel, in a form that Pillow reads as a TIFF."""
    return _number(directory, _COLOURS) in _PLAIN_COLOURS and _number(directory, _COMPRESSION) in _PLAIN_COMPRESSIONS


def _directories(data: bytes) -> tuple[_Directories, _Directories]:
    """Return the directories of the pages, and those below them, by their places, as far as they can be read."""
    pages: _Directories = {}
    inner: _Directories = {}
    waiting = [(int.from_bytes(data[4:8], _byte_order(data)), pages)]
    while waiting and len(pages) + len(inner) < _MAX_DIRECTORIES:
        offset, found = waiting.pop()
        if offset in pages or offset in inner or not 0 < offset < len(data):
            continue
        directory = found[offset] = ImageFileDirectory_v2(data[:8])
        with suppress(Exception):
            stream = io.BytesIO(data)
            stream.seek(offset)
            directory.load(stream)
            waiting.append((directory.next or 0, found))
            below = directory.get(_SUB_DIRECTORIES, ())
            waiting += [(place, inner) for place in (below if isinstance(below, tuple) else (below,))]
    return pages, inner


def _byte_order(data: bytes) -> Literal["little", "big"]:
    return "little" if data[:1] == b"I" else "big"


def _number(directory: ImageFileDirectory_v2, tag: int) -> int:
    value: object = 0
    with suppress(Exception):
        value = directory.get(tag, 0)
    return value if isinstance(value, int) else 0


def _jpegs(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the width and the place of each JPEG of pixels in the data."""
    for found in _JPEG_START.finditer(data):
        width = _jpeg_width(data, found.start() + 2)
        if width:
            yield width, found.start()


def _jpeg_width(data: bytes, at: int) -> int:
    """Return the width of a JPEG's frame, or 0 without a frame that can be decoded; `at` is the first segment."""
    while data[at : at + 1] == b"\xff":
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAMES:
            return int.from_bytes(data[at + 7 : at + 9], "big")
        if marker == _SCAN or (_FIRST_FRAME <= marker <= _LAST_FRAME and marker not in _NO_FRAMES) or not length:
            return 0
        at += 2 + length
    return 0
