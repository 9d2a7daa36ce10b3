"""Sheets."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SheetFile:
    """One file to download, and its media type."""

    name: str
    data: bytes
    type: str


ZIP = "sheets.zip"
