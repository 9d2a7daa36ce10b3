"""Reads the words of DOCX and ODT: paragraphs become lines, rows of tables tabbed lines, everything hidden is left out.

Text is hidden by itself or by its style, and a style by the style that it is based on. Of a DOCX only elements of text
hold words: everything else between tags is a position or an instruction. Sources: ISO/IEC 29500-1, sections 17.3 and
17.7; OASIS OpenDocument 1.2, part 1, section 16.
"""

import re
from collections.abc import Collection

from app.files.office_xml import FALSE_VALUES, XmlReader
from app.files.protocol import RemovedKind

# Elements whose text was deleted, moved, annotated, or is an instruction; the kind that is then reported, if any.
_SKIPPED_ELEMENTS = {
    "del": RemovedKind.DELETED,
    "moveFrom": RemovedKind.DELETED,
    "tracked-changes": RemovedKind.DELETED,
    "delText": RemovedKind.DELETED,
    "annotation": RemovedKind.COMMENTS,
    "instrText": None,
    "hidden-text": RemovedKind.INVISIBLE,
    "hidden-paragraph": RemovedKind.INVISIBLE,
    "Fallback": None,
    "rPh": None,
    "forms": RemovedKind.FORMS,
    "title": RemovedKind.TITLE,  # of a picture, often a path with its user's name
    "desc": RemovedKind.TITLE,
}
PICTURE = "blip"
_TEXT_OF_ELEMENT = {"tab": "\t", "br": "\n", "cr": "\n", "line-break": "\n", "s": " ", "noBreakHyphen": "-"}
_BODIES = {"body", "hdr", "ftr", "footnotes", "endnotes"}
_CELLS, _ROWS = {"tc", "table-cell", "covered-table-cell"}, {"tr", "table-row"}
_UNKNOWN_SIGN = "\u25a1"  # a sign of a font of pictures, which has no letter
_PARAGRAPHS = {"p", "h"}
# Possessive, and a blank before a blank starts no match of its own, so that a row of blanks is read once.
_XML_LAYOUT = re.compile(r"(?<![ \t\r])[ \t\r]*+\n\s*+|\n\s*+")


class _StyleReader(XmlReader):
    """Collects the styles of a DOCX or ODT under which text is hidden, those that are based on one among them."""

    def __init__(self) -> None:
        self.hidden: set[str] = set()
        self._parents: dict[str, str] = {}
        self._style = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "style":
            self._style = attributes.get("styleId", attributes.get("name", ""))
            self._parents[self._style] = attributes.get("parent-style-name", "")
            if attributes.get("default") == "1" and attributes.get("type") == "paragraph":
                self._parents[""] = self._style
        elif name == "basedOn":
            self._parents[self._style] = attributes.get("val", "")
        elif (name == "vanish" and attributes.get("val") not in FALSE_VALUES) or attributes.get("display") == "none":
            self.hidden.add(self._style)

    def text(self, text: str) -> None:
        """Ignore text: styles have none."""

    def end(self, name: str) -> None:
        """Ignore ends: all that is needed stands in the start tags."""

    def hidden_styles(self) -> frozenset[str]:
        """Return the hidden styles' names; "" stands among them if text without a style is hidden."""
        children: dict[str, list[str]] = {}
        for style, parent in self._parents.items():
            children.setdefault(parent, []).append(style)
        waiting, hidden = list(self.hidden), set[str]()
        while waiting:
            style = waiting.pop()
            if style not in hidden:
                hidden.add(style)
                waiting += children.get(style, []) if style else []
        return frozenset(hidden | ({""} if self._parents.get("") in hidden else set()))


class _DocumentReader(XmlReader):
    """Collects the visible text of a DOCX or ODT body; of a DOCX only what stands in its elements of text."""

    def __init__(self, hidden_styles: frozenset[str], *, is_word: bool, notes: Collection[str] = ()) -> None:
        self.shown: set[str] = set()
        self._notes = notes
        self.kinds: set[RemovedKind] = set()
        self.pieces: list[str] = []
        self._hidden_styles, self._is_word = hidden_styles, is_word
        self._skipping = self._cells = 0
        self._body = self._in_properties = self._is_text = False
        self._is_vanished = self._is_hidden_paragraph = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._skipping or self._is_unused(name, attributes):
            self._skipping += 1
        elif name in _SKIPPED_ELEMENTS or self._is_hidden(attributes):
            self._skipping += 1
            kind = _SKIPPED_ELEMENTS.get(name, RemovedKind.INVISIBLE)
            self.kinds |= {kind} if kind else set()
        elif not self._body:
            self._body = name in _BODIES
        elif self._is_word:
            self._read_word(name, attributes)
        else:
            self._read_body(name, attributes)

    def _is_hidden(self, attributes: dict[str, str]) -> bool:
        hidden = attributes.get("style-name") in self._hidden_styles or attributes.get("display") == "none"
        return self._body and hidden and not self._is_word

    def _is_unused(self, name: str, attributes: dict[str, str]) -> bool:
        """Return whether this is a note that no place of the visible text refers to."""
        return self._is_word and name in {"footnote", "endnote"} and attributes.get("id", "") not in self._notes

    def _read_word(self, name: str, attributes: dict[str, str]) -> None:
        if name == "p":
            self._is_hidden_paragraph = "" in self._hidden_styles
        elif name == "pPr":
            self._in_properties = True
        elif name == "pStyle":
            self._is_hidden_paragraph = attributes.get("val", "") in self._hidden_styles
        elif name == "r":
            self._is_vanished = self._is_hidden_paragraph
        elif name == "rStyle" and attributes.get("val", "") in self._hidden_styles:
            self._is_vanished = True
        elif name == "vanish" and not self._in_properties:
            self._is_vanished = attributes.get("val") not in FALSE_VALUES
        else:
            if not self._is_vanished:
                self.shown |= _references(name, attributes)
            self._is_text = name == "t"
            self._read_body(name, attributes)

    def _read_body(self, name: str, attributes: dict[str, str]) -> None:
        self._cells += name in _CELLS
        if self._is_vanished:
            return
        if name == "sym":
            self.pieces.append(_UNKNOWN_SIGN)
        elif name in _TEXT_OF_ELEMENT and not self._in_properties:
            # ODT stores several spaces as one element with a count.
            count = int(attributes.get("c", "1")) if name == "s" else 1
            self.pieces.append(_TEXT_OF_ELEMENT[name] * min(count, 1000))

    def text(self, text: str) -> None:
        if not self._body or self._skipping or (self._is_word and not self._is_text):
            return
        if self._is_vanished:
            self.kinds |= {RemovedKind.INVISIBLE} if text.strip() else set()
        else:
            # Line ends in the XML are layout of the XML; line ends of the text are elements.
            self.pieces.append("" if _XML_LAYOUT.fullmatch(text) else _XML_LAYOUT.sub(" ", text))

    def end(self, name: str) -> None:
        self._is_text = False
        if self._skipping:
            self._skipping -= 1
        elif name == "pPr":
            self._in_properties = False
        elif name == "r":
            self._is_vanished = False
        elif self._body:
            self._end_of_line(name)

    def _end_of_line(self, name: str) -> None:
        """Write what follows a paragraph, a cell or a row: the cells of a row stand on one line, with tabs."""
        if name in _CELLS:
            self._cells -= 1
            if self.pieces[-1:] == [" "]:
                self.pieces.pop()
            self.pieces.append("" if self._cells else "\t")
        elif name in _PARAGRAPHS or name in _ROWS:
            self.pieces.append(" " if self._cells else "\n")


def _references(name: str, attributes: dict[str, str]) -> set[str]:
    if name == PICTURE:
        return {f"{PICTURE}:{attributes.get('embed', '')}"}
    return {f"{name}:{attributes.get('id', '')}"} if name.endswith("Reference") else set()


def read_document(body: bytes, hidden_styles: frozenset[str] = frozenset()) -> tuple[str, set[RemovedKind]]:
    """Return the visible text of an ODT, and the kinds of what was left out."""
    reader = _DocumentReader(hidden_styles, is_word=False)
    reader.read(body)
    return "".join(reader.pieces), reader.kinds


def read_word_part(
    part: bytes, hidden_styles: frozenset[str] = frozenset(), notes: Collection[str] = ()
) -> tuple[str, set[RemovedKind], set[str]]:
    """Return the visible text of one part of a DOCX, the kinds of what was left out, and what the text refers to.

    Of notes only those with one of the ids `notes` are read. A reference is an element's name, a colon and an id.
    """
    reader = _DocumentReader(hidden_styles, is_word=True, notes=notes)
    reader.read(part)
    return "".join(reader.pieces), reader.kinds, reader.shown


def read_hidden_styles(*parts: bytes) -> frozenset[str]:
    """Return the names of the styles under which a DOCX or ODT hides text; the parts are read in their order."""
    reader = _StyleReader()
    for part in parts:
        reader.read(part)
    return reader.hidden_styles()
