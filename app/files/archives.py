"""Takes the files out of a ZIP, and the pictures that a Word document shows, as they are: each is cleaned after this.

Runs in the sandbox. Names inside the ZIP are not kept. What is taken is bounded in number and in bytes, a declared
length is the most that is read, and two entries may not share bytes. An archive inside an archive is not opened.
Source: PKWARE's APPNOTE 6.3.10, section 4.3.
"""

import io
import zipfile
from collections.abc import Sequence
from itertools import pairwise

from app.core.errors import FileRefusedError
from app.files.office import DAMAGED_ZIP, MAX_PARTS, is_document, read_names, shown_pictures
from app.files.protocol import MAX_UNPACKED, OutputFile, OutputFormat, RemovedKind, WorkerResult, most_unpacked
from app.files.sniff import image_format

_ENCRYPTED_FLAG = 1
_LOCAL_HEADER_BYTES = 30
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# What Macs put beside each file, and into each folder: nobody sees these, and nobody misses them.
_MARKS_OF_MACS = (b"\x00\x05\x16\x07", b"\x00\x00\x00\x01Bud1")


def unpack_archive(data: bytes) -> WorkerResult:
    """Return the first files of a ZIP, or the pictures that a document shows, and how many were left out.

    Raises FileRefusedError "empty" where nothing is taken, "encrypted", "too-heavy" and "damaged".
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            read_names(archive)
            _check_entries(archive)
            if is_document(archive):
                (wanted, others), kinds = shown_pictures(archive), {RemovedKind.LAYOUT}
            else:
                wanted, others, kinds = _loose_files(archive), 0, set[RemovedKind]()
            files, left_out = _take(archive, wanted, most_unpacked(len(data)), only_pictures=bool(kinds))
    except DAMAGED_ZIP:
        raise FileRefusedError("damaged") from None
    if not files:
        raise FileRefusedError("empty")
    return WorkerResult(tuple(files), frozenset(kinds), left_out=others + left_out)


def _check_entries(archive: zipfile.ZipFile) -> None:
    """Refuse a ZIP with too many entries, with an encrypted one, and with two that share bytes."""
    entries = sorted(archive.infolist(), key=lambda one: one.header_offset)
    if len(entries) > MAX_PARTS:
        raise FileRefusedError("too-heavy")
    if any(one.flag_bits & _ENCRYPTED_FLAG for one in entries):
        raise FileRefusedError("encrypted")
    for one, following in pairwise(entries):
        if one.header_offset + _LOCAL_HEADER_BYTES + one.compress_size > following.header_offset:
            raise FileRefusedError("damaged")


def _loose_files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [one for one in archive.infolist() if one.file_size and not one.filename.endswith("/")]


def _take(
    archive: zipfile.ZipFile, wanted: Sequence[zipfile.ZipInfo], most: int, *, only_pictures: bool
) -> tuple[list[OutputFile], int]:
    """Return the first entries that can be read, of at most `most` bytes in all, and how many were left out."""
    files: list[OutputFile] = []
    left_out = 0
    for entry in wanted:
        data = _read_entry(archive, entry) if len(files) < MAX_UNPACKED and entry.file_size <= most else b""
        if data.startswith(_MARKS_OF_MACS):
            continue
        if not data or (only_pictures and not image_format(data)):
            left_out += 1
            continue
        most -= len(data)
        files.append(OutputFile(OutputFormat.RAW, data))
    return files, left_out


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return the bytes of one entry, no more than its declared length; none if it is damaged or packed another way."""
    if entry.compress_type not in _METHODS:
        return b""
    try:
        with archive.open(entry) as part:
            return part.read(entry.file_size)
    except DAMAGED_ZIP:
        return b""
