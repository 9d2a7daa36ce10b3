"""Rebuilds the visible text of DOCX, XLSX and ODT; pictures, layout and everything hidden are removed.

Each part of the zip is read up to a limit, so a zip bomb costs no more than the limit. Deleted, hidden and commented
text is left out. Refuses encrypted files, and files that are none of these formats.
Sources: ISO/IEC 29500-1, OASIS OpenDocument 1.2.
"""

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable

from app.core.errors import FileRefusedError
from app.core.unicode import clean_document_text, has_hidden_characters
from app.files.office_document import PICTURE, read_document, read_hidden_styles, read_word_part
from app.files.office_pictures import read_pictures
from app.files.office_values import first_day, read_cell_formats, shown_number
from app.files.office_xml import read_main_target, read_shared_strings, read_sheet_list, read_sheet_rows, read_targets
from app.files.protocol import MAX_OUTPUT_BYTES, OutputFormat, RemovedKind, WorkerResult, single_file_result

_MAX_PART_BYTES = 64 * 1024 * 1024
MAX_PARTS = 10_000
_ENCRYPTED_FLAG = 1
_ODT_TYPE = b"application/vnd.oasis.opendocument.text"
_SHARED_STRINGS = "xl/sharedstrings.xml"
_KIND_OF_PART = {
    "docProps/core.xml": RemovedKind.AUTHOR,
    "docProps/app.xml": RemovedKind.SOFTWARE,
    "docProps/custom.xml": RemovedKind.OTHER,
    "docProps/thumbnail.jpeg": RemovedKind.THUMBNAIL,
    "word/comments.xml": RemovedKind.COMMENTS,
    "meta.xml": RemovedKind.AUTHOR,
    "Thumbnails/thumbnail.png": RemovedKind.THUMBNAIL,
    "word/vbaProject.bin": RemovedKind.OTHER,
}
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError)
"""What reading a damaged or foreign ZIP raises; NotImplementedError is a method of packing that zipfile lacks."""
# Of OpenDocument, OOXML, Apple's programs and electronic books.
_DOCUMENT_PARTS = {"mimetype", "[Content_Types].xml", "Index.zip", "index.apxl", "index.xml"}
_WORD_BODY = "word/document.xml"
_WORD_STYLES, _WORD_RELATIONS = "word/styles.xml", "word/_rels/document.xml.rels"
_PACKAGE_RELATIONS, _BODY_PART = "_rels/.rels", re.compile(r"word/([^/]+\.xml)")
_SHEET_STYLES = "xl/styles.xml"
_NOTES_PART = {"footnoteReference": "word/footnotes.xml", "endnoteReference": "word/endnotes.xml"}
_OTHER_FILE = re.compile(rb"<(?:\w+:)?altChunk\b")
_PICTURE_PART = re.compile(r"(?:^|/)(?:media|Pictures)/.")
# Headers, notes, styles: what may lie over a picture of the body, or say how a line is drawn.
_BESIDE_BODY = re.compile(r"word/(?!document\.xml\Z)[^/]+\.xml\Z")
_EMBEDDED_PART = re.compile(r"embeddings/|activeX/|^Object ")


def rebuild_document(data: bytes) -> WorkerResult:
    """Return the visible text of an office document.

    Raises FileRefusedError "encrypted", "damaged", "empty", "too-large" or "too-heavy", "archive" for other files in a
    zip, and "save-as-pdf" for another kind of document, or one of pictures alone.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            read_names(archive)
            text, kinds = _office_text(archive)
            kinds |= _removed_parts(archive)
            has_pictures = any(_PICTURE_PART.search(name) for name in archive.namelist())
    except DAMAGED_ZIP:
        raise FileRefusedError("damaged") from None
    if len(text) > MAX_OUTPUT_BYTES:
        raise FileRefusedError("too-large")
    plain = clean_document_text(text)
    if not plain.strip():
        raise FileRefusedError("save-as-pdf" if has_pictures else "empty")
    kinds |= {RemovedKind.MARKS} if has_hidden_characters(text) else set()
    return single_file_result(OutputFormat.TEXT, plain.encode(), kinds | {RemovedKind.LAYOUT})


def read_names(archive: zipfile.ZipFile) -> None:
    """Give the parts the names that office programs read: some programs of Windows write its own mark for folders."""
    for part in archive.infolist():
        part.filename = part.filename.replace("\\", "/")
        archive.NameToInfo[part.filename] = part


def is_document(archive: zipfile.ZipFile) -> bool:
    """Return whether the names of the parts are those of a document, of whatever program, and not of loose files."""
    return any(
        name in _DOCUMENT_PARTS or name.startswith(("word/", "xl/", "ppt/", "Index/")) for name in archive.namelist()
    )


def shown_pictures(archive: zipfile.ZipFile) -> tuple[list[zipfile.ZipInfo], int]:
    """Return the pictures that a DOCX shows whole, in their order, and how many others the DOCX shows.

    Where something may lie over a picture, or a line cuts it, none is taken: its writer may have covered a face.
    """
    _find_word_body(archive)
    names = archive.namelist()
    if _WORD_BODY not in names or _WORD_RELATIONS not in names:
        return [], 0
    hidden = read_hidden_styles(*(_read_part(archive, name) for name in names if name == _WORD_STYLES))
    body = _read_part(archive, _WORD_BODY)
    shown = read_word_part(body, hidden)[2]
    ids, is_arranged = read_pictures(body, *(_read_part(archive, name) for name in names if _BESIDE_BODY.match(name)))
    targets = read_targets(_read_part(archive, _WORD_RELATIONS))
    parts = {_target_part(targets[one]): None for one in ids if one in targets and f"{PICTURE}:{one}" in shown}
    wanted = [] if is_arranged else [archive.NameToInfo[part] for part in parts if part in names]
    return wanted, sum(one.startswith(f"{PICTURE}:") for one in shown) - len(wanted)


def _find_word_body(archive: zipfile.ZipFile) -> None:
    """Give the main part of a DOCX its usual name, and its relations theirs, where the package names another part."""
    if _PACKAGE_RELATIONS not in archive.NameToInfo:
        return
    found = _BODY_PART.fullmatch(read_main_target(_read_part(archive, _PACKAGE_RELATIONS)).lstrip("/"))
    if not found or found[0] == _WORD_BODY or found[0] not in archive.NameToInfo:
        return
    for usual in (_WORD_BODY, _WORD_RELATIONS):
        if unused := archive.NameToInfo.pop(usual, None):
            unused.filename = f"unused/{usual}"
    for name, usual in ((found[0], _WORD_BODY), (f"word/_rels/{found[1]}.rels", _WORD_RELATIONS)):
        if part := archive.NameToInfo.pop(name, None):
            part.filename = usual
            archive.NameToInfo[usual] = part


def _target_part(target: str) -> str:
    return posixpath.normpath(posixpath.join("/word", target)).lstrip("/")


def _office_text(archive: zipfile.ZipFile) -> tuple[str, set[RemovedKind]]:
    """Return the visible text of the archive's main part, by the format that its parts' names show."""
    names = archive.namelist()
    if len(names) > MAX_PARTS:
        raise FileRefusedError("too-heavy")
    if any(part.flag_bits & _ENCRYPTED_FLAG for part in archive.infolist()):
        raise FileRefusedError("encrypted")
    _find_word_body(archive)
    names = archive.namelist()
    if _WORD_BODY in names:
        return _word_text(archive)
    if "xl/workbook.xml" in names:
        return _workbook_text(archive)
    if "content.xml" in names and _read_part(archive, "mimetype").startswith(_ODT_TYPE):
        if b"manifest:encryption-data" in _read_part(archive, "META-INF/manifest.xml"):
            raise FileRefusedError("encrypted")
        content = _read_part(archive, "content.xml")
        styles = (_read_part(archive, "styles.xml"),) if "styles.xml" in names else ()
        return read_document(content, read_hidden_styles(*styles, content))
    raise FileRefusedError("save-as-pdf" if is_document(archive) else "archive")


def _word_text(archive: zipfile.ZipFile) -> tuple[str, set[RemovedKind]]:
    """Return the text of the document, then of the headers, footers and notes that the document shows."""
    names = archive.namelist()
    hidden = read_hidden_styles(*(_read_part(archive, name) for name in names if name == _WORD_STYLES))
    body = _read_part(archive, _WORD_BODY)
    if _OTHER_FILE.search(body):  # whose words Word would show, and this program would lose
        raise FileRefusedError("save-as-pdf")
    text, kinds, shown = read_word_part(body, hidden)
    texts = [text]
    for name, notes in _further_parts(archive, shown).items():
        if name in names:
            text, left_out, _ = read_word_part(_read_part(archive, name), hidden, notes)
            texts.append(text)
            kinds |= left_out
    return "\n".join(filter(str.strip, texts)), kinds


def _further_parts(archive: zipfile.ZipFile, shown: set[str]) -> dict[str, list[str]]:
    """Return the parts whose text a DOCX shows beside its own, each with the ids of the notes that are shown."""
    parts: dict[str, list[str]] = {}
    targets = read_targets(_read_part(archive, _WORD_RELATIONS)) if _WORD_RELATIONS in archive.namelist() else {}
    for reference in sorted(shown):
        kind, _, number = reference.partition(":")
        if kind in {"headerReference", "footerReference"} and number in targets:
            parts[_target_part(targets[number])] = []
        elif kind in _NOTES_PART:
            parts.setdefault(_NOTES_PART[kind], []).append(number)
    return parts


def _read_part(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return one part of the archive; FileRefusedError("too-heavy") above 64 MiB, which stops zip bombs."""
    with archive.open(name) as part:
        data = part.read(_MAX_PART_BYTES + 1)
    if len(data) > _MAX_PART_BYTES:
        raise FileRefusedError("too-heavy")
    return data


def _workbook_text(archive: zipfile.ZipFile) -> tuple[str, set[RemovedKind]]:
    kinds: set[RemovedKind] = set()
    names = archive.namelist()
    # Programs write the name of this part in several ways, and readers of zips do not care about its letters.
    named = [name for name in names if name.lower() == _SHARED_STRINGS]
    strings = read_shared_strings(_read_part(archive, named[0])) if named else ()
    show = _number_shower(archive)
    blocks = []
    for title, path, hidden in read_sheet_list(
        _read_part(archive, "xl/workbook.xml"), _read_part(archive, "xl/_rels/workbook.xml.rels")
    ):
        if hidden:
            kinds.add(RemovedKind.HIDDEN)
        elif path in names:
            rows, has_hidden = read_sheet_rows(_read_part(archive, path), strings, show)
            kinds |= {RemovedKind.HIDDEN} if has_hidden else set()
            blocks.append("\n".join([title, *rows]))
    return "\n\n".join(blocks), kinds


def _number_shower(archive: zipfile.ZipFile) -> Callable[[str, int], str]:
    """Return what gives the words for a number of a cell and the place of its style."""
    formats = read_cell_formats(_read_part(archive, _SHEET_STYLES)) if _SHEET_STYLES in archive.namelist() else ()
    day_zero = first_day(_read_part(archive, "xl/workbook.xml"))
    return lambda value, style: shown_number(value, formats[style], day_zero) if style < len(formats) else value


def _removed_parts(archive: zipfile.ZipFile) -> set[RemovedKind]:
    names = archive.namelist()
    kinds = {kind for name, kind in _KIND_OF_PART.items() if name in names}
    return kinds | {RemovedKind.EMBEDDED for name in names if _EMBEDDED_PART.search(name)}
