"""Returns the kinds of what a PDF holds besides the visible content of its pages.

As in `metadata_image`, what is found here does not decide what survives: the pages are rebuilt from pictures in any
case. So a document that cannot be read to its end is skipped, and nothing here raises. Source: ISO 32000-1.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import suppress

import pikepdf

from app.files.metadata_image import xmp_kinds
from app.files.protocol import MAX_PAGES, RemovedKind

_KIND_OF_INFO = {
    "/Author": RemovedKind.AUTHOR,
    "/Title": RemovedKind.TITLE,
    "/Subject": RemovedKind.TITLE,
    "/Keywords": RemovedKind.KEYWORDS,
    "/Creator": RemovedKind.SOFTWARE,
    "/Producer": RemovedKind.SOFTWARE,
    "/CreationDate": RemovedKind.DATE,
    "/ModDate": RemovedKind.DATE,
}
_KIND_OF_CATALOG_ENTRY = {
    "/AcroForm": RemovedKind.FORMS,
    "/OCProperties": RemovedKind.LAYERS,
    "/Outlines": RemovedKind.CHAPTERS,
    "/AA": RemovedKind.JAVASCRIPT,
    "/AF": RemovedKind.EMBEDDED,
    "/PieceInfo": RemovedKind.OTHER,
}
_KIND_OF_NAME_TREE = {"/JavaScript": RemovedKind.JAVASCRIPT, "/EmbeddedFiles": RemovedKind.EMBEDDED}
_KIND_OF_ANNOTATION = {"/FileAttachment": RemovedKind.EMBEDDED, "/Widget": RemovedKind.FORMS}
_KIND_OF_PAGE_ENTRY = {
    "/Thumb": RemovedKind.THUMBNAIL,
    "/PieceInfo": RemovedKind.OTHER,
    "/AA": RemovedKind.JAVASCRIPT,
    "/Metadata": RemovedKind.XMP,
}
# Text rendering mode 3 draws nothing (ISO 32000-1, table 106).
_INVISIBLE_TEXT = re.compile(rb"\b3\s+Tr\b")
_MAX_CONTENT_BYTES = 4_000_000


def pdf_metadata_kinds(data: bytes) -> set[RemovedKind]:
    """Return the kinds found after the end, in the trailer, in the catalog and on the pages of a PDF."""
    kinds: set[RemovedKind] = set()
    end = data.rfind(b"%%EOF") + 5
    if data[end:].strip():
        kinds.add(RemovedKind.TRAILING)
    if data.count(b"%%EOF") > 1 + (b"/Linearized" in data[:2048]):
        kinds.add(RemovedKind.HISTORY)
    with suppress(Exception), pikepdf.open(io.BytesIO(data)) as document:
        for find_kinds in (_trailer_kinds, _catalog_kinds, _page_kinds):
            kinds |= _collect_kinds(find_kinds, document)
    return kinds


def _collect_kinds(
    find_kinds: Callable[[pikepdf.Pdf], Iterator[RemovedKind]], document: pikepdf.Pdf
) -> set[RemovedKind]:
    found = set()
    with suppress(Exception):
        for kind in find_kinds(document):
            found.add(kind)
    return found


def _trailer_kinds(document: pikepdf.Pdf) -> Iterator[RemovedKind]:
    if "/ID" in document.trailer:
        yield RemovedKind.NUMBER
    for name in document.trailer.get("/Info", pikepdf.Dictionary()).keys():  # noqa: SIM118 - no plain dict
        yield _KIND_OF_INFO.get(name, RemovedKind.OTHER)


def _catalog_kinds(document: pikepdf.Pdf) -> Iterator[RemovedKind]:
    root = document.Root
    yield from (kind for name, kind in _KIND_OF_CATALOG_ENTRY.items() if name in root)
    names = root.get("/Names", pikepdf.Dictionary())
    yield from (kind for name, kind in _KIND_OF_NAME_TREE.items() if name in names)
    action = root.get("/OpenAction")
    if isinstance(action, pikepdf.Dictionary) and action.get("/S") == pikepdf.Name.JavaScript:
        yield RemovedKind.JAVASCRIPT
    if "/Metadata" in root:
        yield from xmp_kinds(root.Metadata.read_bytes())


def _page_kinds(document: pikepdf.Pdf) -> Iterator[RemovedKind]:
    for page in document.pages[:MAX_PAGES]:
        yield from (kind for name, kind in _KIND_OF_PAGE_ENTRY.items() if name in page.obj)
        for annotation in page.obj.get("/Annots", pikepdf.Array()):
            yield _KIND_OF_ANNOTATION.get(str(annotation.get("/Subtype")), RemovedKind.NOTES)
        content = b"".join(_content_streams(page.obj.get("/Contents")))
        if _INVISIBLE_TEXT.search(content[:_MAX_CONTENT_BYTES]):
            yield RemovedKind.INVISIBLE


def _content_streams(contents: pikepdf.Object | None) -> Iterator[bytes]:
    if isinstance(contents, pikepdf.Stream):
        yield contents.read_bytes()
    elif isinstance(contents, pikepdf.Array):
        for stream in contents:
            yield stream.read_bytes()
