"""Reads office XML as a stream: paragraphs to lines, rows to tabbed lines, everything hidden left out.

Names are compared without their prefix, as the two families agree on the words that matter. A document type
declaration is refused outright ("damaged"): no honest office file has one, and every entity bomb needs one.
"""

import posixpath
import re
from collections.abc import Sequence
from xml.parsers import expat

from app.core.errors import FileRefusedError
from app.files.protocol import Kind

# Elements whose text was deleted, moved away, annotated, or is an instruction.
_SKIPPED = {
    "del": Kind.DELETED, "moveFrom": Kind.DELETED, "tracked-changes": Kind.DELETED, "delText": Kind.DELETED,
    "annotation": Kind.COMMENTS, "instrText": None, "hidden-text": Kind.INVISIBLE,
    "hidden-paragraph": Kind.INVISIBLE, "Fallback": None, "rPh": None, "forms": Kind.FORMS,
}  # fmt: skip
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "line-break": "\n", "s": " "}
_BLOCKS = {"p", "h"}
_OFF = {"0", "false", "off"}
_WIDEST = 16_384  # ISO 29500-1: columns of a sheet
_LAYOUT = re.compile(r"[ \t\r]*\n\s*")
_CELL = re.compile(r"([A-Z]{1,3})\d+\Z")


class _Reader:
    """Feeds a part to expat and calls `start`, `text` and `end` with names bare of their prefix."""

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = lambda name, attributes: self.start(
            name.rpartition(":")[2], {key.rpartition(":")[2]: value for key, value in attributes.items()}
        )
        parser.EndElementHandler = lambda name: self.end(name.rpartition(":")[2])
        parser.CharacterDataHandler = self.text
        parser.StartDoctypeDeclHandler = _refuse
        try:
            parser.Parse(data, True)
        except expat.ExpatError:
            raise FileRefusedError("damaged") from None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def text(self, text: str) -> None:
        raise NotImplementedError

    def end(self, name: str) -> None:
        raise NotImplementedError


def _refuse(*_: object) -> None:
    raise FileRefusedError("damaged")


class _Words(_Reader):
    """The text of a DOCX or ODT body."""

    def __init__(self) -> None:
        self.kinds: set[Kind] = set()
        self.pieces: list[str] = []
        self._skipping = 0
        self._body = False
        self._vanished = False
        self._style = ""
        self._hidden_styles: set[str] = set()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._skipping or name in _SKIPPED or self._is_hidden(attributes):
            self._skipping += 1
            kind = _SKIPPED.get(name, Kind.INVISIBLE)
            self.kinds |= {kind} if kind else set()
        elif not self._body:
            self._before_body(name, attributes)
        else:
            self._in_body(name, attributes)

    def _is_hidden(self, attributes: dict[str, str]) -> bool:
        hidden = attributes.get("style-name") in self._hidden_styles or attributes.get("display") == "none"
        return self._body and hidden

    def _before_body(self, name: str, attributes: dict[str, str]) -> None:
        """ODT declares its styles first; a style that shows nothing hides all that uses it."""
        if name == "style":
            self._style = attributes.get("name", "")
        elif name == "text-properties" and attributes.get("display") == "none":
            self._hidden_styles.add(self._style)
        self._body = name == "body"

    def _in_body(self, name: str, attributes: dict[str, str]) -> None:
        if name == "r":
            self._vanished = False
        elif name == "vanish" and attributes.get("val") not in _OFF:
            self._vanished = True
            self.kinds.add(Kind.INVISIBLE)
        elif name in _BREAKS and not self._vanished:
            # ODT writes several spaces as one element with a count.
            count = int(attributes.get("c", "1")) if name == "s" else 1
            self.pieces.append(_BREAKS[name] * min(count, 1000))

    def text(self, text: str) -> None:
        if self._body and not self._skipping and not self._vanished:
            # Line ends in the XML are its own layout: those of the text are elements.
            self.pieces.append("" if _LAYOUT.fullmatch(text) else _LAYOUT.sub(" ", text))

    def end(self, name: str) -> None:
        if self._skipping:
            self._skipping -= 1
        elif name == "r":
            self._vanished = False
        elif name in _BLOCKS and self._body:
            self.pieces.append("\n")


class _Strings(_Reader):
    """An XLSX's table of shared strings."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self._pieces: list[str] = []
        self._inside = self._skipping = False

    def start(self, name: str, _: dict[str, str]) -> None:
        if name == "si":
            self._pieces = []
        self._skipping = self._skipping or name == "rPh"
        self._inside = name == "t" and not self._skipping

    def text(self, text: str) -> None:
        if self._inside:
            self._pieces.append(text)

    def end(self, name: str) -> None:
        self._inside = False
        if name == "rPh":
            self._skipping = False
        elif name == "si":
            self.strings.append("".join(self._pieces))


class _Cells(_Reader):
    """One XLSX sheet: what is shown in its cells, without hidden rows and columns."""

    def __init__(self, strings: Sequence[str]) -> None:
        self.rows: list[str] = []
        self.left_out = False
        self._strings = strings
        self._hidden: list[tuple[int, int]] = []
        self._row: list[str] | None = None
        self._column, self._type, self._inside, self._pieces = 0, "", False, [""]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        hidden = attributes.get("hidden", "0") not in _OFF
        if name == "col" and hidden:
            self._hidden.append((int(attributes["min"]), int(attributes["max"])))
            self.left_out = True
        elif name == "row":
            self._row, self._column = (None if hidden else []), 0
            self.left_out = self.left_out or hidden
        elif name == "c":
            self._column = _column_of(attributes.get("r", "")) or self._column + 1
            self._type, self._pieces = attributes.get("t", "n"), []
        self._inside = name in {"v", "t"}

    def text(self, text: str) -> None:
        if self._inside:
            self._pieces.append(text)

    def end(self, name: str) -> None:
        self._inside = False
        if name == "row" and self._row:
            self.rows.append("\t".join(self._row))
        if name != "c" or self._row is None or self._column > _WIDEST:
            return
        if not any(first <= self._column <= last for first, last in self._hidden):
            self._row += [""] * (self._column - 1 - len(self._row))
            self._row.append(self._shown("".join(self._pieces)))

    def _shown(self, value: str) -> str:
        if self._type == "s" and value.isdigit():
            return self._strings[int(value)] if int(value) < len(self._strings) else ""
        return value


class _Sheets(_Reader):
    """The sheets a workbook names, and the parts its relations name."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, str, bool]] = []
        self.targets: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            hidden = attributes.get("state", "visible") != "visible"
            self.sheets.append((attributes.get("name", ""), attributes.get("id", ""), hidden))
        elif name == "Relationship":
            self.targets[attributes.get("Id", "")] = attributes.get("Target", "")

    def text(self, text: str) -> None:
        """Nothing is said between these elements."""

    def end(self, name: str) -> None:
        """Nothing ends that was not said at its start."""


def document_text(body: bytes) -> tuple[str, set[Kind]]:
    """The visible text of a DOCX's or ODT's main part, and the kinds of what was passed over."""
    words = _Words()
    words.read(body)
    return "".join(words.pieces), words.kinds


def shared_strings(part: bytes) -> Sequence[str]:
    """An XLSX's shared strings in order."""
    reader = _Strings()
    reader.read(part)
    return reader.strings


def sheet_list(workbook: bytes, relations: bytes) -> list[tuple[str, str, bool]]:
    """Each sheet of an XLSX: its title, the part that holds it, and whether it is hidden."""
    reader = _Sheets()
    reader.read(workbook)
    reader.read(relations)
    return [
        (title, posixpath.normpath(posixpath.join("/xl", reader.targets.get(relation, ""))).lstrip("/"), hidden)
        for title, relation, hidden in reader.sheets
    ]


def sheet_rows(part: bytes, strings: Sequence[str]) -> tuple[list[str], bool]:
    """A sheet's visible rows as tabbed lines, and whether hidden ones were left out."""
    cells = _Cells(strings)
    cells.read(part)
    return cells.rows, cells.left_out


def _column_of(reference: str) -> int:
    found = _CELL.match(reference)
    number = 0
    for letter in found[1] if found else "":
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
