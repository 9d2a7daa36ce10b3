"""Makes the boxes of ISO media plain before FFmpeg reads them, and checks the boxes that FFmpeg has written.

FFmpeg copies what it understands from one file to the next: encryption data, bit rates, colour profiles, a matrix. So
every box that sound and pictures do not need becomes free space before a recording is read (an allow list), and a
written recording with a box that is not on a second allow list is refused. Source: ISO 14496-12, 4.2, 8 and Annex A.
"""

# ruff: noqa: PLR2004 - the numbers are constants of the formats

import re
import struct
from collections.abc import Iterator, Mapping
from fractions import Fraction
from io import BytesIO

from app.core.errors import FileRefusedError

_Names = frozenset[bytes]


def _names(text: str) -> _Names:
    return frozenset(name.encode() for name in text.split())


# The boxes that stay, by the box that they are in; b"" stands for the file.
_READ: Mapping[bytes, _Names] = {
    b"": _names("ftyp moov moof mdat wide free skip"),
    b"moov": _names("mvhd trak mvex free"),
    b"trak": _names("tkhd edts mdia free"),
    b"edts": _names("elst free"),
    b"mdia": _names("mdhd hdlr minf free"),
    b"minf": _names("vmhd smhd hdlr dinf stbl free"),
    b"dinf": _names("dref free"),
    b"stbl": _names("stsd stts ctts stsc stsz stz2 stco co64 stss stps free"),
    b"mvex": _names("mehd trex free"),
    b"moof": _names("mfhd traf free"),
    b"traf": _names("tfhd tfdt trun free"),
}
# What our muxer writes. The sample entries are the codecs that are copied or encoded.
_ENTRIES = _names("avc1 hvc1 hev1 av01 vp09 mp4a Opus")
_WRITTEN: Mapping[bytes, _Names] = {
    b"": _names("ftyp free mdat moov"),
    b"moov": _names("mvhd trak udta"),
    b"trak": _names("tkhd edts mdia"),
    b"edts": _names("elst"),
    b"mdia": _names("mdhd hdlr minf"),
    b"minf": _names("vmhd smhd dinf stbl"),
    b"dinf": _names("dref"),
    b"stbl": _names("stsd stts ctts stsc stsz stco co64 stss sdtp sgpd sbgp"),
    b"stsd": _ENTRIES,
    **dict.fromkeys(_ENTRIES, _names("avcC hvcC av1C vpcC esds dOps colr pasp btrt chnl")),
}
# How many bytes of its own come before a box's children.
_OWN_BYTES = {b"stsd": 8, **dict.fromkeys(_ENTRIES, 78), b"mp4a": 28, b"Opus": 28}
_EMPTY_USER_DATA = 64

# Boxes within a sample entry that FFmpeg would copy with whatever values they hold: colour profiles, mastering
# displays, stereo and spherical video, Dolby Vision, clean aperture, bit rates, encryption.
_COPIED_BOXES = re.compile(
    rb"(?<=\0\0..)(?:mdcv|clli|cclv|amve|st3d|sv3d|vexu|hfov|dvcC|dvvC|dvwC|clap|btrt|sinf|pssh|senc|SA3D)"
    rb"|colr(?=(?:.{8})?(?:prof|rICC))",
    re.DOTALL,
)
_PIXEL_SHAPE = re.compile(rb"(?<=\0\0\0\x10)pasp(.{8})", re.DOTALL)
_MOST_SHAPE = 64
# The matrix of a track or of the whole recording, after the box's name, version, flags and other fields (14496-12,
# 8.2.2 and 8.3.2), with times of 32 and of 64 bits.
_MATRIX = re.compile(
    rb"(?:tkhd\x00\x00\x00[\x00-\x0f].{36}|tkhd\x01\x00\x00[\x00-\x0f].{48}|mvhd\x00{4}.{32}|mvhd\x01\x00{3}.{44})(.{36})",
    re.DOTALL,
)
_ONE, _UNIT = 1 << 16, 1 << 30


def plain_boxes(data: bytes) -> BytesIO:
    """Return ISO media of the same length, with only the boxes that sound and pictures need, and plain values in them.

    Every other box becomes free space, a matrix the nearest quarter turn, and a pixel's shape a simple ratio.
    """
    changes = [(at, b"free") for at in _other_boxes(data, b"", 0, len(data))]
    for _, name, start, end in _boxes(data, 0, len(data)):
        changes += _plain_values(data, start, end) if name in _READ else ()
    plain = BytesIO(data)  # one copy is made, at the first write
    for at, value in changes:
        plain.seek(at)
        plain.write(value)
    plain.seek(0)
    return plain


def _plain_values(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield where a value has to change within an index (`moov`, `moof`), and what it becomes."""
    yield from ((match.start(), b"free") for match in _COPIED_BOXES.finditer(data, start, end))
    yield from ((match.start(1), _plain_shape_field(match[1])) for match in _PIXEL_SHAPE.finditer(data, start, end))
    yield from ((match.start(1), _plain_matrix(match[1])) for match in _MATRIX.finditer(data, start, end))


def _other_boxes(data: bytes, parent: bytes, start: int, end: int) -> Iterator[int]:
    """Yield where the name of each box stands that is not on the list for its parent."""
    for at, name, body, body_end in _boxes(data, start, end):
        if name not in _READ[parent]:
            yield at + 4
        elif name in _READ:
            yield from _other_boxes(data, name, body, body_end)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes, int, int]]:
    """Yield start, name, and start and end of the content of each box; a size beyond the parent ends with the parent.

    A size of 0 reaches to the end of the parent, as FFmpeg reads such a box.
    """
    at = start
    while at + 8 <= end:
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = at + 8
        if size == 1:
            size, body = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        size = size or end - at
        if size < body - at:
            return
        yield at, name, body, min(at + size, end)
        at += size


def check_written_boxes(data: bytes) -> None:
    """Raise FileRefusedError("must-encode") if a recording that was written holds a box that sound does not need."""
    _check_boxes(data, b"", 0, len(data))


def _check_boxes(data: bytes, parent: bytes, start: int, end: int) -> None:
    for at, name, body, body_end in _boxes(data, start, end):
        is_known = name in _WRITTEN[parent] and (name != b"udta" or body_end - at <= _EMPTY_USER_DATA)
        is_plain = name != b"colr" or data[body : body + 4] == b"nclx"
        if not is_known or not is_plain:
            raise FileRefusedError("must-encode")
        if name in _WRITTEN:
            _check_boxes(data, name, body + _OWN_BYTES.get(name, 0), body_end)


def plain_shape(shape: Fraction | None) -> Fraction:
    """Return the shape of a pixel, width to height, as a ratio of numbers up to 64; 1 where it is no such shape."""
    ratio = (shape or Fraction(1)).limit_denominator(_MOST_SHAPE)
    return ratio if 1 <= ratio.numerator <= _MOST_SHAPE else Fraction(1)


def _plain_shape_field(field: bytes) -> bytes:
    """Return the eight bytes of a pixel's shape (14496-12, 12.1.4) with a ratio of small numbers."""
    width, height = struct.unpack(">II", field)
    ratio = plain_shape(Fraction(width, height) if width and height else None)
    return struct.pack(">II", ratio.numerator, ratio.denominator)


def _plain_matrix(matrix: bytes) -> bytes:
    a, b, _, c, d, *_ = struct.unpack(">9i", matrix)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return struct.pack(">9i", 0, _sign(b), 0, _sign(c), 0, 0, 0, 0, _UNIT)
    return struct.pack(">9i", _sign(a), 0, 0, 0, _sign(d), 0, 0, 0, _UNIT)


def _sign(value: int) -> int:
    return -_ONE if value < 0 else _ONE


def is_truncated(data: bytes) -> bool:
    """Return whether an ISO media file ends before its media data (`mdat`) or its index (`moov`) does."""
    at = 0
    while at + 16 <= len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if name in {b"mdat", b"moov"} and at + size > len(data):
            return True
        if size < 8:
            return False
        at += size
    return False
