"""Gives PDFium one font for Chinese, Japanese and Korean letters, and finds letters for which there is no font.

A PDF may name a font instead of holding the font. PDFium brings Latin fonts, and would leave all other letters out
without an error. The font here is Droid Sans Fallback (Apache-2.0); the font is read before the process is locked.
"""

import ctypes
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pypdfium2 import PdfObject, PdfPage, PdfSysfontBase, PdfTextPage, raw

_FONT_PATH = Path(__file__).parent / "fonts" / "DroidSansFallback.ttf"
# Windows' numbers of Shift-JIS, Hangul, GB2312 and Big5 (fpdf_sysfontinfo.h).
_CHARSETS = {128, 129, 134, 136}
_HANDLE = 1
_WHOLE_FILE = 0
_TABLE_COUNT_AT, _DIRECTORY_AT, _DIRECTORY_ENTRY = 4, 12, 16
# The characters of PDFium's own Latin fonts: Adobe's standard Latin set (ISO 32000-1, annex D.2), and white space.
_LATIN = frozenset(
    [
        *"\t\n\r",
        *(chr(code) for code in range(0x20, 0x7F)),
        *(chr(code) for code in range(0xA0, 0x100)),
        *"€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸŁłı−⁄ﬁﬂˇ˘˙˚˛˝\u2002\u2003\u2009",
    ]
)
_WINDOWS_UNICODE = b"\0\3\0\1"
_SYMBOL_FONTS = ("Symbol", "ZapfDingbats")


class EastAsianFont(PdfSysfontBase):  # type: ignore[misc]
    """The only font of the system that PDFium sees; PDFium uses its own for Latin letters."""

    def __init__(self) -> None:
        self._font = _FONT_PATH.read_bytes()
        self._letters = frozenset(map(chr, _letters_of(self._table(b"cmap"))))
        super().__init__()

    def has_letter(self, letter: str) -> bool:
        """Return whether the font can draw a letter."""
        return letter in self._letters

    def EnumFonts(self, *_: Any) -> None:  # noqa: N802 - the names are PDFium's
        """Name no further fonts."""

    def MapFont(self, _: Any, _weight: int, _italic: int, charset: int, *_rest: Any) -> int | None:  # noqa: N802
        """Return the font for East Asian letters, and None for all others."""
        return _HANDLE if charset in _CHARSETS else None

    def GetFont(self, *_: Any) -> None:  # noqa: N802
        """Find no font by its name."""

    def GetFontData(self, _: Any, _handle: int, table: int, buffer: Any, size: int) -> int:  # noqa: N802
        """Copy the font or one of its tables into the buffer if there is room, and return its length in bytes."""
        data = self._font if table == _WHOLE_FILE else self._table(table.to_bytes(4, "big"))
        if buffer and size >= len(data):
            ctypes.memmove(buffer, data, len(data))
        return len(data)

    def GetFaceName(self, *_: Any) -> int:  # noqa: N802
        """Return no name."""
        return 0

    def GetFontCharset(self, *_: Any) -> int:  # noqa: N802
        """Return the number of GB2312, one of those that the font serves."""
        return max(_CHARSETS - {136})

    def DeleteFont(self, *_: Any) -> None:  # noqa: N802
        """Keep the font, which the whole process needs."""

    def _table(self, tag: bytes) -> bytes:
        """Return one table of the font by its tag, or nothing (OpenType, "Table Directory")."""
        count = int.from_bytes(self._font[_TABLE_COUNT_AT : _TABLE_COUNT_AT + 2], "big")
        for at in range(_DIRECTORY_AT, _DIRECTORY_AT + count * _DIRECTORY_ENTRY, _DIRECTORY_ENTRY):
            if self._font[at : at + 4] == tag:
                start, length = (int.from_bytes(self._font[at + place : at + place + 4], "big") for place in (8, 12))
                return self._font[start : start + length]
        return b""


def has_letters_without_font(page: PdfPage, font: EastAsianFont) -> bool:
    """Return whether a page shows letters whose font is neither in the PDF nor here, so that they would be lost."""
    pieces = [piece for piece in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT]) if _needs_font(piece)]
    if not pieces:
        return False
    text_page = page.get_textpage()
    for piece in pieces:
        piece.textpage = text_page
        if not all(letter in _LATIN or font.has_letter(letter) for letter in piece.extract()):
            return True
    return any(_needs_font(piece) for piece in _unknown_letters(page, text_page))


def _needs_font(piece: PdfObject) -> bool:
    font = piece.get_font()
    is_drawn = raw.FPDFTextObj_GetTextRenderMode(piece) != raw.FPDF_TEXTRENDERMODE_INVISIBLE
    return is_drawn and not font.is_embedded and not font.get_base_name().endswith(_SYMBOL_FONTS)


def _unknown_letters(page: PdfPage, text_page: PdfTextPage) -> Iterator[PdfObject]:
    """Yield the text around each letter of which the PDF does not say which letter it is."""
    for place in range(text_page.count_chars()):
        if raw.FPDFText_HasUnicodeMapError(text_page, place) == 1:
            yield PdfObject(raw.FPDFText_GetTextObject(text_page, place), page=page, pdf=page.pdf)


def _letters_of(cmap: bytes) -> Iterator[int]:
    """Yield the codes for which a font has a glyph (OpenType, "cmap", format 4 of platform 3, encoding 1)."""
    count = int.from_bytes(cmap[2:4], "big")
    tables = {cmap[at : at + 4]: int.from_bytes(cmap[at + 4 : at + 8], "big") for at in range(4, 4 + 8 * count, 8)}
    start = tables[_WINDOWS_UNICODE]
    segments = int.from_bytes(cmap[start + 6 : start + 8], "big") // 2
    ends = struct.unpack_from(f">{segments}H", cmap, start + 14)
    firsts, deltas, offsets = (
        struct.unpack_from(f">{segments}H", cmap, start + 16 + 2 * segments * part) for part in (1, 2, 3)
    )
    for segment, (first, end, delta, offset) in enumerate(zip(firsts, ends, deltas, offsets, strict=True)):
        glyphs_at = start + 16 + 2 * (segments * 3 + segment) + offset
        for code in range(first, end + 1):
            glyph = code
            if offset:
                (glyph,) = struct.unpack_from(">H", cmap, glyphs_at + 2 * (code - first))
            if (glyph + delta) & 0xFFFF and (glyph or not offset):
                yield code
