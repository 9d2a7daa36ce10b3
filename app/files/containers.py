"""Walks the outer structure of picture files and names the kinds of those parts that are not the picture.

JPEG (ITU T.81 B.1), PNG (RFC 2083 and W3C), GIF89a, WebP (RIFF) and ISO boxes (14496-12). A walk that loses its
way stops; it is only asked what there is to tell.
"""

# ruff: noqa: PLR2004 - the numbers are the formats' own.

import re
from collections.abc import Iterator
from contextlib import suppress

from app.files.protocol import Kind

_PNG_KINDS = {
    b"tEXt": Kind.COMMENTS, b"zTXt": Kind.COMMENTS, b"iTXt": Kind.COMMENTS, b"iCCP": Kind.PROFILE,
    b"tIME": Kind.DATE, b"caBX": Kind.CREDENTIALS, b"acTL": Kind.ANIMATION, b"eXIf": None,
    b"fcTL": None, b"fdAT": None,
}  # fmt: skip
_PNG_PLAIN = {
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"hIST", b"pHYs",
    b"cICP", b"mDCV", b"cLLI",
}  # fmt: skip
_WEBP_KINDS = {b"ICCP": Kind.PROFILE, b"XMP ": Kind.XMP, b"ANIM": Kind.ANIMATION, b"C2PA": Kind.CREDENTIALS}
_WEBP_PLAIN = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF", b"EXIF"}
_JPEG_KINDS = {0xFE: Kind.COMMENTS, 0xEB: Kind.CREDENTIALS, 0xED: Kind.KEYWORDS}
_JPEG_SPECIAL = ((b"Exif\0", None), (b"ICC_PROFILE\0", Kind.PROFILE), (b"http://ns.adobe.com/", Kind.XMP),
                 (b"MPF\0", Kind.FURTHER), (b"JFXX\0", Kind.THUMBNAIL))  # fmt: skip
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_SOS, _EOI, _ADOBE, _FIRST_APP, _LAST_APP = 0xDA, 0xD9, 0xEE, 0xE0, 0xEF
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_GIF_COMMENT, _GIF_TEXT, _GIF_APPLICATION = 0xFE, 0x01, 0xFF


def parts_of(data: bytes) -> Iterator[Kind]:
    """The kinds of the parts around the picture, as far as the structure can be followed."""
    walks = {b"\xff\xd8": _jpeg, b"\x89P": _png, b"GI": _gif, b"RI": _webp}
    walk = _boxes if data[4:8] == b"ftyp" else walks.get(data[:2], _nothing)
    with suppress(IndexError, ValueError):
        yield from (kind for kind in walk(data) if kind is not None)


def _nothing(_: bytes) -> Iterator[Kind | None]:
    yield None


def _jpeg(data: bytes) -> Iterator[Kind | None]:
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
            found = _AFTER_SCAN.search(data, at)
            if found is None:
                return
            at = found.start()
        elif marker in _JPEG_KINDS or _FIRST_APP <= marker <= _LAST_APP:
            yield _jpeg_part(marker, body)
    if len(data) > at + 2:
        yield Kind.TRAILING


def _jpeg_part(marker: int, body: bytes) -> Kind | None:
    for start, kind in _JPEG_SPECIAL:
        if body.startswith(start):
            return kind
    if marker in {_FIRST_APP, _ADOBE} and body.startswith((b"JFIF\0", b"Adobe")):
        # JFIF itself can hold a small uncompressed picture.
        return Kind.THUMBNAIL if marker == _FIRST_APP and body[12:14] > b"\0\0" else None
    return _JPEG_KINDS.get(marker, Kind.OTHER)


def _png(data: bytes) -> Iterator[Kind | None]:
    at = 8
    while at + 12 <= len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name not in _PNG_PLAIN:
            yield Kind.XMP if b"XML:com.adobe.xmp" in data[at : at + 40] else _PNG_KINDS.get(name, Kind.OTHER)
        at += 12 + size
        if name == b"IEND":
            break
    if len(data) > at:
        yield Kind.TRAILING


def _webp(data: bytes) -> Iterator[Kind | None]:
    end = 8 + int.from_bytes(data[4:8], "little")
    at = 12
    while at + 8 <= end:
        size, name = int.from_bytes(data[at + 4 : at + 8], "little"), data[at : at + 4]
        if name not in _WEBP_PLAIN:
            yield _WEBP_KINDS.get(name, Kind.OTHER)
        at += 8 + size + size % 2
    if len(data) > end:
        yield Kind.TRAILING


def _gif(data: bytes) -> Iterator[Kind | None]:
    at = 13 + _colour_table(data[10])
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            at += 10 + _colour_table(data[at + 9]) + 1
        else:
            yield _gif_extension(data[at + 1], data[at + 3 : at + 14])
            at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    if len(data) > at + 1:
        yield Kind.TRAILING


def _gif_extension(label: int, application: bytes) -> Kind | None:
    if label in {_GIF_COMMENT, _GIF_TEXT}:
        return Kind.COMMENTS
    known = {b"XMP DataXMP": Kind.XMP, b"ICCRGBG1012": Kind.PROFILE, b"NETSCAPE2.0": None, b"ANIMEXTS1.0": None}
    return known.get(application, Kind.OTHER) if label == _GIF_APPLICATION else None


def _colour_table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def is_cut_off(data: bytes) -> bool:
    """Whether an ISO file ends before its pictures and sound, or their index, do."""
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


def _boxes(data: bytes) -> Iterator[Kind | None]:
    at = 0
    while at + 8 <= len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:
            return
        if size < 8 or at + size > len(data):
            yield Kind.TRAILING
            return
        if name == b"uuid":
            yield Kind.CREDENTIALS if data[at + 8 : at + 24] == _C2PA_BOX else Kind.OTHER
        elif name in {b"free", b"skip"} and data[at + 8 : at + size].strip(b"\0"):
            yield Kind.OTHER
        at += size
    if at < len(data):
        yield Kind.TRAILING
