"""Reads the outer structure of picture and ISO media files, and returns the kinds of the parts beside the picture.

Formats: JPEG (ITU-T T.81, B.1), PNG (W3C PNG, 5 and 11), GIF89a, WebP (RFC 9649) and ISO boxes (ISO 14496-12). Where
the structure is broken, reading stops with the kinds that were found, because they decide only what is reported.
"""

# ruff: noqa: PLR2004 - the numbers are constants of the formats

import re
from collections.abc import Iterator
from contextlib import suppress

from app.files.protocol import RemovedKind

_PNG_KINDS = {
    b"tEXt": RemovedKind.COMMENTS,
    b"zTXt": RemovedKind.COMMENTS,
    b"iTXt": RemovedKind.COMMENTS,
    b"iCCP": RemovedKind.PROFILE,
    b"tIME": RemovedKind.DATE,
    b"caBX": RemovedKind.CREDENTIALS,
    b"acTL": RemovedKind.ANIMATION,
    b"eXIf": None,
    b"fcTL": None,
    b"fdAT": None,
}
_PNG_PICTURE_CHUNKS = set(b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB sBIT bKGD hIST pHYs cICP mDCV cLLI".split())
_WEBP_KINDS = {
    b"ICCP": RemovedKind.PROFILE,
    b"XMP ": RemovedKind.XMP,
    b"ANIM": RemovedKind.ANIMATION,
    b"C2PA": RemovedKind.CREDENTIALS,
}
_WEBP_PICTURE_CHUNKS = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF", b"EXIF"}
_JPEG_KINDS = {0xFE: RemovedKind.COMMENTS, 0xEB: RemovedKind.CREDENTIALS, 0xED: RemovedKind.KEYWORDS}
_JPEG_SEGMENT_STARTS = (
    (b"Exif\0", None),
    (b"ICC_PROFILE\0", RemovedKind.PROFILE),
    (b"http://ns.adobe.com/", RemovedKind.XMP),
    (b"MPF\0", RemovedKind.FURTHER),
    (b"JFXX\0", RemovedKind.THUMBNAIL),
)
_MARKER_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_SOS, _EOI, _ADOBE, _FIRST_APP, _LAST_APP = 0xDA, 0xD9, 0xEE, 0xE0, 0xEF
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
# The film of a motion photo: an MP4 after a JPEG, or in a box of a HEIC (Motion Photo format 1.0).
_FILM, _FILM_BOX = re.compile(rb"\0\0\0[\x10-\x40]ftyp"), b"mpvd"
_GIF_COMMENT, _GIF_TEXT, _GIF_APPLICATION = 0xFE, 0x01, 0xFF


def container_part_kinds(data: bytes) -> Iterator[RemovedKind]:
    """Yield the kinds of the parts beside the picture, as far as the structure can be read."""
    readers = {b"\xff\xd8": _jpeg_kinds, b"\x89P": _png_kinds, b"GI": _gif_kinds, b"RI": _webp_kinds}
    read_kinds = _iso_box_kinds if data[4:8] == b"ftyp" else readers.get(data[:2], _no_parts)
    with suppress(IndexError, ValueError):
        yield from (kind for kind in read_kinds(data) if kind is not None)


def _no_parts(_: bytes) -> Iterator[RemovedKind | None]:
    yield None


def _jpeg_kinds(data: bytes) -> Iterator[RemovedKind | None]:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _EOI:
            break
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if size < 2:
            return
        body = data[at + 4 : at + 2 + size]
        at += 2 + size
        if marker == _SOS:
            found = _MARKER_AFTER_SCAN.search(data, at)
            if found is None:
                return
            at = found.start()
        elif marker in _JPEG_KINDS or _FIRST_APP <= marker <= _LAST_APP:
            yield _jpeg_segment_kind(marker, body)
    if len(data) > at + 2:
        yield RemovedKind.TRAILING
        yield RemovedKind.SHORT_FILM if _FILM.search(data, at + 2) else None


def _jpeg_segment_kind(marker: int, body: bytes) -> RemovedKind | None:
    for start, kind in _JPEG_SEGMENT_STARTS:
        if body.startswith(start):
            return kind
    if marker in {_FIRST_APP, _ADOBE} and body.startswith((b"JFIF\0", b"Adobe")):
        # JFIF itself can hold a small uncompressed picture.
        return RemovedKind.THUMBNAIL if marker == _FIRST_APP and body[12:14] > b"\0\0" else None
    return _JPEG_KINDS.get(marker, RemovedKind.OTHER)


def _png_kinds(data: bytes) -> Iterator[RemovedKind | None]:
    at = 8
    while at + 12 <= len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name not in _PNG_PICTURE_CHUNKS:
            is_xmp = b"XML:com.adobe.xmp" in data[at : at + 40]
            yield RemovedKind.XMP if is_xmp else _PNG_KINDS.get(name, RemovedKind.OTHER)
        at += 12 + size
        if name == b"IEND":
            break
    if len(data) > at:
        yield RemovedKind.TRAILING


def _webp_kinds(data: bytes) -> Iterator[RemovedKind | None]:
    end = 8 + int.from_bytes(data[4:8], "little")
    at = 12
    while at + 8 <= end:
        size, name = int.from_bytes(data[at + 4 : at + 8], "little"), data[at : at + 4]
        if name not in _WEBP_PICTURE_CHUNKS:
            yield _WEBP_KINDS.get(name, RemovedKind.OTHER)
        at += 8 + size + size % 2
    if len(data) > end:
        yield RemovedKind.TRAILING


def _gif_kinds(data: bytes) -> Iterator[RemovedKind | None]:
    at = 13 + _colour_table_size(data[10])
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            at += 10 + _colour_table_size(data[at + 9]) + 1
        else:
            yield _gif_extension_kind(data[at + 1], data[at + 3 : at + 14])
            at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    if len(data) > at + 1:
        yield RemovedKind.TRAILING


def _gif_extension_kind(label: int, application: bytes) -> RemovedKind | None:
    if label in {_GIF_COMMENT, _GIF_TEXT}:
        return RemovedKind.COMMENTS
    kind_of_application = {
        b"XMP DataXMP": RemovedKind.XMP,
        b"ICCRGBG1012": RemovedKind.PROFILE,
        b"NETSCAPE2.0": None,
        b"ANIMEXTS1.0": None,
    }
    return kind_of_application.get(application, RemovedKind.OTHER) if label == _GIF_APPLICATION else None


def _colour_table_size(flags: int) -> int:
    """Return the bytes of a GIF colour table, from the packed field of its descriptor (GIF89a, 18 and 20)."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _iso_box_kinds(data: bytes) -> Iterator[RemovedKind | None]:
    at = 0
    while at + 8 <= len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:
            return
        if size < 8 or at + size > len(data):
            yield RemovedKind.TRAILING
            return
        yield _iso_box_kind(name, data[at + 8 : at + size])
        at += size
    if at < len(data):
        yield RemovedKind.TRAILING


def _iso_box_kind(name: bytes, body: bytes) -> RemovedKind | None:
    if name == _FILM_BOX:
        return RemovedKind.SHORT_FILM
    if name == b"uuid":
        return RemovedKind.CREDENTIALS if body.startswith(_C2PA_BOX) else RemovedKind.OTHER
    return RemovedKind.OTHER if name in {b"free", b"skip"} and body.strip(b"\0") else None
