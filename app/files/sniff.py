"""Detects what a file is from its bytes alone, never from its name or from the type that a browser declares.

Only fixed prefixes are compared, so the parent may call this module as well as the worker. A file that is several
things at once (a polyglot) is handled as what its first bytes say, and rebuilding it drops the rest.
"""

from app.core.errors import FileRefusedError
from app.files.protocol import Task
from app.files.recording_formats import recording_format

_IMAGES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_DOCUMENTS = {b"%PDF-": Task.PDF, b"PK\x03\x04": Task.DOCUMENT}
# Every other recording is encoded anew.
_TASK_OF_RECORDING = {"mov": Task.MEDIA, "ogg": Task.MEDIA, "mp3": Task.MP3, "wav": Task.WAV}
# Lengths of the second header of a BMP, from OS/2's to that of Windows 98; the four bytes before its place are 0.
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LOCKED_OFFICE = "EncryptedPackage".encode("utf-16-le")
_PDF_START = b"%PDF-"
# Readers of PDF take a file whose first bytes are something else, such as a blank line or a byte-order mark.
_PDF_START_WITHIN = 1024


def image_format(data: bytes) -> str | None:
    """Return Pillow's name of the image format, or None if the data is no image that we take."""
    for magic, name in _IMAGES.items():
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:2] == b"BM" and data[6:10] == bytes(4) and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if data[4:8] == b"ftyp":
        brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(_box_end(data), 96), 4))}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if data[8:12] in _HEIF_BRANDS:
            return "HEIF"
    return None


def task_for(untrusted_file: bytes) -> Task:
    """Return the task that rebuilds a file with these bytes; FileRefusedError "empty", "encrypted" or "save-as-pdf".

    What no other task takes may be a text: only its own task, in the sandbox, decides whether it is one.
    """
    if not untrusted_file.strip(b"\0 \t\r\n"):
        raise FileRefusedError("empty")
    if image_format(untrusted_file):
        return Task.IMAGE
    for magic, task in _DOCUMENTS.items():
        if untrusted_file.startswith(magic):
            return task
    if recording := recording_format(untrusted_file):
        return _TASK_OF_RECORDING.get(recording, Task.ENCODE)
    if _PDF_START in untrusted_file[: _PDF_START_WITHIN + len(_PDF_START)]:
        return Task.PDF
    if untrusted_file.startswith(_OLE):
        raise FileRefusedError("encrypted" if _LOCKED_OFFICE in untrusted_file else "save-as-pdf")
    return Task.TEXT


def _box_end(data: bytes) -> int:
    return int.from_bytes(data[:4], "big")
