"""Names the kinds of what a PDF carries besides what is seen on its pages.

Looking only, like `traces`: the pages are rebuilt from pictures whatever is found here, so a document that cannot
be followed to the end is passed over and nothing here raises.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import suppress

import pikepdf

from app.files.metadata_image import in_xmp
from app.files.protocol import MOST_PAGES, Kind

_INFO = {
    "/Author": Kind.AUTHOR,
    "/Title": Kind.TITLE,
    "/Subject": Kind.TITLE,
    "/Keywords": Kind.KEYWORDS,
    "/Creator": Kind.SOFTWARE,
    "/Producer": Kind.SOFTWARE,
    "/CreationDate": Kind.DATE,
    "/ModDate": Kind.DATE,
}
_ROOT = {
    "/AcroForm": Kind.FORMS,
    "/OCProperties": Kind.LAYERS,
    "/Outlines": Kind.CHAPTERS,
    "/AA": Kind.JAVASCRIPT,
    "/AF": Kind.EMBEDDED,
    "/PieceInfo": Kind.OTHER,
}
_NAMES = {"/JavaScript": Kind.JAVASCRIPT, "/EmbeddedFiles": Kind.EMBEDDED}
_ANNOTATIONS = {"/FileAttachment": Kind.EMBEDDED, "/Widget": Kind.FORMS}
_PAGE = {"/Thumb": Kind.THUMBNAIL, "/PieceInfo": Kind.OTHER, "/AA": Kind.JAVASCRIPT, "/Metadata": Kind.XMP}
# Text rendering mode 3 paints nothing (ISO 32000-1, table 106).
_PAINTS_NOTHING = re.compile(rb"\b3\s+Tr\b")
_MOST_CONTENT = 4_000_000


def in_pdf(data: bytes) -> set[Kind]:
    """The kinds found in the document's catalogue, information, names and pages."""
    kinds: set[Kind] = set()
    end = data.rfind(b"%%EOF") + 5
    if data[end:].strip():
        kinds.add(Kind.TRAILING)
    if data.count(b"%%EOF") > 1 + (b"/Linearized" in data[:2048]):
        kinds.add(Kind.HISTORY)
    with suppress(Exception), pikepdf.open(io.BytesIO(data)) as document:
        for look in (_in_trailer, _in_root, _in_pages):
            kinds |= _gathered(look, document)
    return kinds


def _gathered(look: Callable[[pikepdf.Pdf], Iterator[Kind]], document: pikepdf.Pdf) -> set[Kind]:
    found = set()
    with suppress(Exception):
        for kind in look(document):
            found.add(kind)
    return found


def _in_trailer(document: pikepdf.Pdf) -> Iterator[Kind]:
    if "/ID" in document.trailer:
        yield Kind.NUMBER
    for name in document.trailer.get("/Info", pikepdf.Dictionary()).keys():  # noqa: SIM118 - no plain dict
        yield _INFO.get(name, Kind.OTHER)


def _in_root(document: pikepdf.Pdf) -> Iterator[Kind]:
    root = document.Root
    yield from (kind for name, kind in _ROOT.items() if name in root)
    names = root.get("/Names", pikepdf.Dictionary())
    yield from (kind for name, kind in _NAMES.items() if name in names)
    action = root.get("/OpenAction")
    if isinstance(action, pikepdf.Dictionary) and action.get("/S") == pikepdf.Name.JavaScript:
        yield Kind.JAVASCRIPT
    if "/Metadata" in root:
        yield from in_xmp(root.Metadata.read_bytes())


def _in_pages(document: pikepdf.Pdf) -> Iterator[Kind]:
    for page in document.pages[:MOST_PAGES]:
        yield from (kind for name, kind in _PAGE.items() if name in page.obj)
        for note in page.obj.get("/Annots", pikepdf.Array()):
            yield _ANNOTATIONS.get(str(note.get("/Subtype")), Kind.NOTES)
        content = b"".join(_streams(page.obj.get("/Contents")))
        if _PAINTS_NOTHING.search(content[:_MOST_CONTENT]):
            yield Kind.INVISIBLE


def _streams(contents: pikepdf.Object | None) -> Iterator[bytes]:
    if isinstance(contents, pikepdf.Stream):
        yield contents.read_bytes()
    elif isinstance(contents, pikepdf.Array):
        for stream in contents:
            yield stream.read_bytes()
