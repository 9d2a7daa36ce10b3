"""Detects what a file is from its bytes alone, never from its name or from the type that a browser declares.

Only fixed prefixes are compared, so the parent may call this module as well as the worker. A file that is several
things at once (a polyglot) is handled as what its first bytes say, and rebuilding it drops the rest.
"""

from app.core.errors import FileRefusedError
from app.files.protocol import Task

_IMAGES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_MOV_BOXES = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
# The second byte of a frame: three more bits of sync, any version, layer III, with or without a checksum.
_LAYER_3 = {bytes([0xE2 | version << 3 | checked]) for version in (0, 2, 3) for checked in (0, 1)}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LOCKED_OFFICE = "EncryptedPackage".encode("utf-16-le")
# Text that a program would run, or that has fields that are not shown; none of it is plain text.
_MARKUP = (b"{\\rtf", b"<?xml", b"<!doctype", b"<html", b"<svg", b"%!ps", b"begin:vcard")
_BOMS = (b"\xff\xfe", b"\xfe\xff")


def image_format(data: bytes) -> str | None:
    """Return Pillow's name of the image format, or None if the data is no image that we take."""
    for magic, name in _IMAGES.items():
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(_box_end(data), 96), 4))}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if data[8:12] in _HEIF_BRANDS:
            return "HEIF"
    return None


def task_for(untrusted_file: bytes) -> Task:
    """Return the task that rebuilds a file with these bytes; FileRefusedError "empty", "encrypted" or "unknown"."""
    if not untrusted_file.strip(b"\0 \t\r\n"):
        raise FileRefusedError("empty")
    if image_format(untrusted_file):
        return Task.IMAGE
    for task, matches in _MATCHERS.items():
        if matches(untrusted_file):
            return task
    if untrusted_file.startswith(_OLE) and _LOCKED_OFFICE in untrusted_file:
        raise FileRefusedError("encrypted")
    return _text_or_refuse(untrusted_file)


def _box_end(data: bytes) -> int:
    return int.from_bytes(data[:4], "big")


def _is_media(data: bytes) -> bool:
    # A text may have a box's name as its second four letters; its first four, read as a length, exceed any file's.
    is_old_mov = data[4:8] in _MOV_BOXES and _box_end(data) <= len(data)
    return data[4:8] == b"ftyp" or is_old_mov or data[:4] == b"OggS"


def _is_mp3(data: bytes) -> bool:
    return data[:3] == b"ID3" or (data[:1] == b"\xff" and data[1:2] in _LAYER_3)


def _text_or_refuse(data: bytes) -> Task:
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(_MARKUP) or (b"\0" in data and not data.startswith(_BOMS)):
        raise FileRefusedError("unknown")
    return Task.TEXT


_MATCHERS = {
    Task.PDF: lambda data: data.startswith(b"%PDF-"),
    Task.DOCUMENT: lambda data: data.startswith(b"PK\x03\x04"),
    Task.WAV: lambda data: data[:4] == b"RIFF" and data[8:12] == b"WAVE",
    Task.MEDIA: _is_media,
    Task.MP3: _is_mp3,
}
