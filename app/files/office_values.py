"""Shows the numbers of XLSX cells as their sheet shows them: dates, times of day, percentages, TRUE and FALSE.

A cell holds a number and the place of its format in the table of styles. Days count from the end of 1899, or from 1904
where the workbook says so. Sources: ISO/IEC 29500-1, sections 18.8.30 (formats) and 18.17.4 (dates and times).
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum

from app.files.office_xml import FALSE_VALUES, XmlReader

# Formats that every program knows by number.
_DATES, _TIMES, _BOTH = {14, 15, 16, 17, *range(27, 37), *range(50, 59)}, {18, 19, 20, 21, 45, 46, 47}, {22}
_PERCENTAGES = {9, 10}
_ELAPSED = re.compile(r"\[h+\]")
_NOT_FORMAT = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.')
_FIRST_DAY, _FIRST_DAY_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001 - a sheet has no time zone
_LAST_DAY = 2_958_465  # 31 December 9999


class CellFormat(Enum):
    """How a number is shown."""

    PLAIN, DATE, TIME, BOTH, PERCENTAGE, HOURS = range(6)


class _FormatReader(XmlReader):
    """Collects the format of each style that a cell may have."""

    def __init__(self) -> None:
        self.formats: list[CellFormat] = []
        self._custom: dict[int, str] = {}
        self._in_cells = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            self._custom[int(attributes["numFmtId"])] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            number = int(attributes.get("numFmtId", "0"))
            self.formats.append(_format_of(number, self._custom.get(number, "")))

    def text(self, text: str) -> None:
        """Ignore text: styles have none."""

    def end(self, name: str) -> None:
        self._in_cells = self._in_cells and name != "cellXfs"


class _EpochReader(XmlReader):
    """Finds whether a workbook counts its days from 1904."""

    def __init__(self) -> None:
        self.is_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr":
            self.is_1904 = attributes.get("date1904", "0") not in FALSE_VALUES

    def text(self, text: str) -> None:
        """Ignore text: this part has none."""

    def end(self, name: str) -> None:
        """Ignore ends: all that is needed stands in the start tags."""


def read_cell_formats(styles: bytes) -> Sequence[CellFormat]:
    """Return the format of each style of cells, in order; FileRefusedError("damaged") for XML that is not well-formed.

    Raises ValueError or KeyError for a table of styles that is none.
    """
    reader = _FormatReader()
    reader.read(styles)
    return reader.formats


def first_day(workbook: bytes) -> datetime:
    """Return the day from which a workbook counts its days."""
    reader = _EpochReader()
    reader.read(workbook)
    return _FIRST_DAY_1904 if reader.is_1904 else _FIRST_DAY


def shown_number(value: str, cell_format: CellFormat, day_zero: datetime) -> str:
    """Return a number as its format shows it; the value as it stands if it is no number or beyond all days."""
    try:
        number = float(value)
    except ValueError:
        return value
    if cell_format is CellFormat.PERCENTAGE:
        return f"{number * 100:.10g}%"
    if cell_format is CellFormat.PLAIN or not 0 <= number < _LAST_DAY - 1462:
        return value
    if cell_format is CellFormat.HOURS:
        return f"{round(number * 1440) // 60}:{round(number * 1440) % 60:02}"
    moment = day_zero + timedelta(seconds=round(number * 86_400))
    day, time = f"{moment.day}/{moment.month:02}/{moment.year}", f"{moment:%H:%M:%S}".removesuffix(":00")
    return {CellFormat.DATE: day, CellFormat.TIME: time}.get(cell_format, f"{day} {time}")


def _format_of(number: int, code: str) -> CellFormat:
    if _ELAPSED.search(code.lower()):
        return CellFormat.HOURS
    bare = _NOT_FORMAT.sub("", code).lower() if code else ""
    is_date = number in _DATES | _BOTH or "d" in bare or "y" in bare
    is_time = number in _TIMES | _BOTH or "h" in bare or "s" in bare
    if number in _PERCENTAGES or "%" in bare:
        return CellFormat.PERCENTAGE
    if is_date and is_time:
        return CellFormat.BOTH
    return CellFormat.DATE if is_date else CellFormat.TIME if is_time else CellFormat.PLAIN
