"""Finds the pictures that a DOCX shows whole, in line with its words and with nothing that may lie over them.

Word can show a part of a picture, change its colours, or draw a box over it; the picture in the file is whole all the
same. So only a picture whose drawing consists of known plain elements counts, and none does in a document with anything
that floats. Source: ISO/IEC 29500-1, sections 17.3.3, 20.1.8, 20.2 and 20.4.
"""

from app.files.office_document import PICTURE
from app.files.office_xml import XmlReader

_DRAWING = "drawing"
_PLAIN = {
    "inline", "extent", "effectExtent", "docPr", "cNvGraphicFramePr", "graphicFrameLocks", "graphic", "graphicData",
    "pic", "nvPicPr", "cNvPr", "cNvPicPr", "picLocks", "blipFill", PICTURE, "extLst", "ext", "useLocalDpi", "stretch",
    "fillRect", "srcRect", "spPr", "xfrm", "off", "prstGeom", "avLst", "noFill", "ln", "hlinkClick", "creationId",
    "decorative",
}  # fmt: skip
_RECTANGLES = {"srcRect", "fillRect"}
# Boxes, frames and tables that float, and old drawings.
_FLOATING = {"anchor", "pict", "object", "framePr", "tblpPr", "wsp", "wgp", "wpc"}
_HEIGHTS = ("lineRule", "hRule")


class _PictureReader(XmlReader):
    """Collects the ids of pictures in their order, each with whether all of its drawings are plain."""

    def __init__(self) -> None:
        self.pictures: dict[str, bool] = {}
        self.is_arranged = False
        self._skipping = 0
        self._ids: list[str] | None = None
        self._is_plain = True

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._skipping or name == "Fallback":
            self._skipping += 1
            return
        self.is_arranged |= name in _FLOATING or any(attributes.get(height) == "exact" for height in _HEIGHTS)
        if name == _DRAWING:
            self._ids, self._is_plain = [], True
        elif self._ids is not None:
            self._is_plain &= _is_plain(name, attributes)
            if name == PICTURE:
                self._ids.append(attributes.get("embed", ""))

    def text(self, text: str) -> None:
        """Ignore text: a drawing has none."""

    def end(self, name: str) -> None:
        if self._skipping:
            self._skipping -= 1
        elif name == _DRAWING:
            for one in self._ids or ():
                self.pictures[one] = self.pictures.get(one, True) and self._is_plain
            self._ids = None


def _is_plain(name: str, attributes: dict[str, str]) -> bool:
    if name in _RECTANGLES:  # how much of each side is cut
        return not any(value.strip("0%.") for value in attributes.values())
    if name == "prstGeom":
        return attributes.get("prst") == "rect"
    return name in _PLAIN and attributes.get("hidden", "0") in {"0", "false"}


def read_pictures(body: bytes, *others: bytes) -> tuple[list[str], bool]:
    """Return the ids of the relations of pictures that are shown whole, and whether something may lie over them.

    `others` are the parts beside the body whose drawings and styles reach into it.
    """
    reader = _PictureReader()
    reader.read(body)
    beside = _PictureReader()
    for part in others:
        beside.read(part)
    return [one for one, is_plain in reader.pictures.items() if is_plain], reader.is_arranged or beside.is_arranged
