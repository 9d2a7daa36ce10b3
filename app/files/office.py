"""Plain text, and the visible text of DOCX, XLSX and ODT; pictures, layout and everything hidden stay behind.

The XML is streamed through expat with document types refused, so entities cannot be declared; each part of the zip
is read up to a limit, so a zip bomb is only as large as the limit. Deleted, hidden and commented text is left out.
Sources: ISO/IEC 29500-1, OASIS OpenDocument 1.2.
"""

import io
import re
import zipfile
import zlib

from app.core.errors import FileRefusedError
from app.core.unicode import clean_document_text, unify_line_ends
from app.files.office_xml import document_text, shared_strings, sheet_list, sheet_rows
from app.files.protocol import Answer, Form, Kind, one

_MOST_PART = 64 * 1024 * 1024
_MOST_PARTS = 10_000
_LOCKED = 1
_OFFICE_KINDS = {
    "docProps/core.xml": Kind.AUTHOR, "docProps/app.xml": Kind.SOFTWARE, "docProps/custom.xml": Kind.OTHER,
    "docProps/thumbnail.jpeg": Kind.THUMBNAIL, "word/comments.xml": Kind.COMMENTS, "meta.xml": Kind.AUTHOR,
    "Thumbnails/thumbnail.png": Kind.THUMBNAIL, "word/vbaProject.bin": Kind.OTHER,
}  # fmt: skip
_EMBEDDED = re.compile(r"embeddings/|activeX/|^Object ")


def rebuild_text(data: bytes) -> Answer:
    """The text as UTF-8 without control or invisible characters; FileRefusedError("unknown") if it is not text."""
    text = _decoded(data)
    plain = clean_document_text(text)
    if not plain.strip():
        raise FileRefusedError("empty")
    return one(Form.TEXT, plain.encode(), {Kind.MARKS} if len(plain) < len(unify_line_ends(text)) else ())


def rebuild(data: bytes) -> Answer:
    """The visible text of an office document; FileRefusedError "encrypted", "damaged", "unknown" or "too-heavy"."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            text, kinds = _office_text(archive)
            kinds |= _found(archive)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError):
        raise FileRefusedError("damaged") from None
    plain = clean_document_text(text)
    if not plain.strip():
        raise FileRefusedError("empty")
    return one(Form.TEXT, plain.encode(), kinds | {Kind.LAYOUT})


def _decoded(data: bytes) -> str:
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    for name in (encoding, "cp1252"):
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        if not re.search("[\0-\x08\x0e-\x1a\x1c-\x1f]", text):
            return text
    raise FileRefusedError("unknown")


def _office_text(archive: zipfile.ZipFile) -> tuple[str, set[Kind]]:
    names = archive.namelist()
    if len(names) > _MOST_PARTS:
        raise FileRefusedError("too-heavy")
    if any(part.flag_bits & _LOCKED for part in archive.infolist()):
        raise FileRefusedError("encrypted")
    if "word/document.xml" in names:
        return document_text(_part(archive, "word/document.xml"))
    if "xl/workbook.xml" in names:
        return _workbook(archive)
    if "content.xml" in names and _part(archive, "mimetype").startswith(b"application/vnd.oasis.opendocument.text"):
        if b"manifest:encryption-data" in _part(archive, "META-INF/manifest.xml"):
            raise FileRefusedError("encrypted")
        return document_text(_part(archive, "content.xml"))
    raise FileRefusedError("unknown")


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as part:
        data = part.read(_MOST_PART + 1)
    if len(data) > _MOST_PART:
        raise FileRefusedError("too-heavy")
    return data


def _workbook(archive: zipfile.ZipFile) -> tuple[str, set[Kind]]:
    kinds: set[Kind] = set()
    names = archive.namelist()
    strings = shared_strings(_part(archive, "xl/sharedStrings.xml")) if "xl/sharedStrings.xml" in names else ()
    blocks = []
    for title, path, hidden in sheet_list(
        _part(archive, "xl/workbook.xml"), _part(archive, "xl/_rels/workbook.xml.rels")
    ):
        if hidden:
            kinds.add(Kind.HIDDEN)
        elif path in names:
            rows, left_out = sheet_rows(_part(archive, path), strings)
            kinds |= {Kind.HIDDEN} if left_out else set()
            blocks.append("\n".join([title, *rows]))
    return "\n\n".join(blocks), kinds


def _found(archive: zipfile.ZipFile) -> set[Kind]:
    names = archive.namelist()
    kinds = {kind for name, kind in _OFFICE_KINDS.items() if name in names}
    return kinds | {Kind.EMBEDDED for name in names if _EMBEDDED.search(name)}
