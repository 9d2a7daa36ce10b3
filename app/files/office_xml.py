"""Reads office XML as a stream, and with it the sheets of XLSX: rows become tabbed lines, hidden ones are left out.

Element names are compared without their namespace prefix, because OOXML and ODF agree on the names that matter. A
document type declaration is refused ("damaged"): no office program writes one, and every entity bomb needs one. The
functions here return text and kinds, and raise FileRefusedError("damaged") for XML that is not well-formed.
"""

import posixpath
import re
from collections.abc import Callable, Sequence
from xml.parsers import expat

from app.core.errors import FileRefusedError

FALSE_VALUES = {"0", "false", "off"}
_MAX_COLUMNS = 16_384  # ISO 29500-1: columns of a sheet
_CELL_REFERENCE = re.compile(r"([A-Z]{1,3})\d+\Z")


class XmlReader:
    """Feeds a part to expat, and calls `start`, `text` and `end` with names without their namespace prefix."""

    def read(self, data: bytes) -> None:
        """Parse one part; FileRefusedError("damaged") if it is not well-formed or declares a document type."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = lambda name, attributes: self.start(
            name.rpartition(":")[2], {key.rpartition(":")[2]: value for key, value in attributes.items()}
        )
        parser.EndElementHandler = lambda name: self.end(name.rpartition(":")[2])
        parser.CharacterDataHandler = self.text
        parser.StartDoctypeDeclHandler = _refuse_doctype
        try:
            parser.Parse(data, True)
        except expat.ExpatError:
            raise FileRefusedError("damaged") from None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Handle a start tag."""
        raise NotImplementedError

    def text(self, text: str) -> None:
        """Handle text."""
        raise NotImplementedError

    def end(self, name: str) -> None:
        """Handle an end tag."""
        raise NotImplementedError


def _refuse_doctype(*_: object) -> None:
    raise FileRefusedError("damaged")


class _SharedStringsReader(XmlReader):
    """Collects an XLSX's table of shared strings, without phonetic readings (`rPh`)."""

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


class _SheetReader(XmlReader):
    """Collects the visible cells of one XLSX sheet, without hidden rows and columns."""

    def __init__(self, strings: Sequence[str], show: Callable[[str, int], str]) -> None:
        self._show, self._style = show, 0
        self.rows: list[str] = []
        self.has_hidden = False
        self._strings = strings
        self._hidden = bytearray(_MAX_COLUMNS + 1)
        self._column_ranges = 0
        self._row: list[str] | None = None
        self._column, self._type, self._inside, self._pieces = 0, "", False, [""]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        hidden = attributes.get("hidden", "0") not in FALSE_VALUES
        if name == "col" and hidden:
            self._hide_columns(int(attributes["min"]), int(attributes["max"]))
        elif name == "row":
            self._row, self._column = (None if hidden else []), 0
            self.has_hidden = self.has_hidden or hidden
        elif name == "c":
            self._column = _column_number(attributes.get("r", "")) or self._column + 1
            self._type, self._pieces = attributes.get("t", "n"), []
            self._style = int(attributes.get("s", "0"))
        self._inside = name in {"v", "t"}

    def text(self, text: str) -> None:
        if self._inside:
            self._pieces.append(text)

    def end(self, name: str) -> None:
        self._inside = False
        if name == "row" and self._row:
            self.rows.append("\t".join(self._row))
        if name != "c" or self._row is None or self._column > _MAX_COLUMNS:
            return
        if not self._hidden[self._column]:
            self._row += [""] * (self._column - 1 - len(self._row))
            self._row.append(self._visible_value("".join(self._pieces)))

    def _hide_columns(self, first: int, last: int) -> None:
        self.has_hidden = True
        self._column_ranges += 1
        first, last = max(first, 0), min(last, _MAX_COLUMNS)
        if self._column_ranges > _MAX_COLUMNS or first > last:
            raise FileRefusedError("damaged")
        self._hidden[first : last + 1] = b"\x01" * (last + 1 - first)

    def _visible_value(self, value: str) -> str:
        if self._type == "s" and value.isdigit():
            return self._strings[int(value)] if int(value) < len(self._strings) else ""
        if self._type == "b":
            return "FALSE" if value in FALSE_VALUES else "TRUE"
        return self._show(value, self._style) if self._type == "n" else value


class _WorkbookReader(XmlReader):
    """Collects the sheets that a workbook names, and the parts that its relations name."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, str, bool]] = []
        self.targets: dict[str, str] = {}
        self.main_target = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            hidden = attributes.get("state", "visible") != "visible"
            self.sheets.append((attributes.get("name", ""), attributes.get("id", ""), hidden))
        elif name == "Relationship":
            self.targets[attributes.get("Id", "")] = attributes.get("Target", "")
            if attributes.get("Type", "").endswith("/officeDocument"):
                self.main_target = attributes.get("Target", "")

    def text(self, text: str) -> None:
        """Ignore text: these parts have none."""

    def end(self, name: str) -> None:
        """Ignore ends: all that is needed stands in the start tags."""


def read_targets(relations: bytes) -> dict[str, str]:
    """Return the parts that relations name, by the relation's id, as they are written there."""
    reader = _WorkbookReader()
    reader.read(relations)
    return reader.targets


def read_main_target(relations: bytes) -> str:
    """Return the part that a package's own relations name as the document, as it is written there; or nothing."""
    reader = _WorkbookReader()
    reader.read(relations)
    return reader.main_target


def read_shared_strings(part: bytes) -> Sequence[str]:
    """Return an XLSX's shared strings in order."""
    reader = _SharedStringsReader()
    reader.read(part)
    return reader.strings


def read_sheet_list(workbook: bytes, relations: bytes) -> list[tuple[str, str, bool]]:
    """Return each sheet of an XLSX: its title, the zip part that holds it, and whether it is hidden."""
    reader = _WorkbookReader()
    reader.read(workbook)
    reader.read(relations)
    return [
        (title, posixpath.normpath(posixpath.join("/xl", reader.targets.get(relation, ""))).lstrip("/"), hidden)
        for title, relation, hidden in reader.sheets
    ]


def read_sheet_rows(
    part: bytes, strings: Sequence[str], show: Callable[[str, int], str] = lambda value, _: value
) -> tuple[list[str], bool]:
    """Return a sheet's visible rows as tabbed lines, and whether hidden ones were left out.

    `show` gives the words for a number and the place of its style.
    """
    reader = _SheetReader(strings, show)
    reader.read(part)
    return reader.rows, reader.has_hidden


def _column_number(reference: str) -> int:
    found = _CELL_REFERENCE.match(reference)
    number = 0
    for letter in found[1] if found else "":
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
