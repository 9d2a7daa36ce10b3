"""A text as pieces that can be marked, and marks as they come back from a form.

A piece is a word without the stops around it, a Chinese character, or a whole suggestion. Marks that have only blanks
between them are one: so a name of two words goes out as one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.desk.case import Span
from app.desk.errors import RefusedError
from app.files.protocol import Box
from app.text.find import Finding

_PIECE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\s\u3400-\u9fff\uf900-\ufaff]+")
_EDGES = ".,;:!?()[]{}\"'«»“”‘’–—/，。、；：！？（）「」"
_MARK = re.compile(r"([a-z][a-z-]{0,31}|files/[1-9][0-9]?\.[a-z0-9]{1,8}):(\d{1,9})-(\d{1,9})")
_MOST_BOXES = 200


@dataclass(frozen=True)
class Piece:
    """Part of a text: `span` is None for what stands between; `kind` is a suggestion's."""

    text: str
    span: Span | None = None
    on: bool = False
    kind: str = ""
    also: bool = False  # taken out because the same was marked elsewhere


def pieces(text: str, found: Sequence[Finding], marks: Iterable[Span], also: Iterable[Span] = ()) -> list[Piece]:
    """A text cut into pieces, in order; joined again they are the text."""
    marks, also = tuple(marks), tuple(also)
    out: list[Piece] = []
    at = 0
    for start, end, kind in _cuts(text, found):
        if start > at:
            out.append(Piece(text[at:start]))
        on = any(left <= start and end <= right for left, right in marks)
        out.append(Piece(text[start:end], (start, end), on, kind, any(a < end and start < b for a, b in also)))
        at = end
    if at < len(text):
        out.append(Piece(text[at:]))
    return out


def _cuts(text: str, found: Sequence[Finding]) -> Iterator[tuple[int, int, str]]:
    at = 0
    for finding in (*found, Finding(len(text), len(text), "")):
        for match in _PIECE.finditer(text, at, finding.start):
            left = len(match[0]) - len(match[0].lstrip(_EDGES))
            right = len(match[0].rstrip(_EDGES))
            if left < right:
                yield match.start() + left, match.start() + right, ""
        if finding.start < finding.end:
            yield finding.start, finding.end, finding.kind
        at = finding.end


def read_marks(untrusted_marks: Iterable[str], fields: Mapping[str, str]) -> dict[str, tuple[Span, ...]]:
    """Marks such as `what:3-9` by field; those that fit no field are ignored, and neighbours become one."""
    found: dict[str, list[Span]] = {}
    for mark in untrusted_marks:
        match = _MARK.fullmatch(mark)
        if match and match[1] in fields and int(match[2]) < int(match[3]) <= len(fields[match[1]]):
            found.setdefault(match[1], []).append((int(match[2]), int(match[3])))
    return {name: tuple(_join(fields[name], sorted(spans))) for name, spans in found.items()}


def _join(text: str, spans: Sequence[Span]) -> list[Span]:
    out: list[Span] = []
    for start, end in spans:
        if out and not text[out[-1][1] : start].strip():
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def read_boxes(untrusted_text: str, pages: int) -> dict[int, tuple[Box, ...]]:
    """Boxes, one a line: page from 1, then left, top, right, bottom in percent; raises RefusedError `boxes`."""
    boxes: dict[int, list[Box]] = {}
    lines = [line.split() for line in untrusted_text.splitlines() if line.strip()]
    if len(lines) > _MOST_BOXES:
        raise RefusedError("boxes")
    for line in lines:
        try:
            page, (left, top, right, bottom) = int(line[0]), [float(side) / 100 for side in line[1:]]
        except (ValueError, IndexError):
            raise RefusedError("boxes") from None
        if not (1 <= page <= pages and 0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise RefusedError("boxes")
        boxes.setdefault(page - 1, []).append((left, top, right, bottom))
    return {page: tuple(of_page) for page, of_page in boxes.items()}


def write_boxes(boxes: Mapping[int, Sequence[Box]]) -> str:
    """Boxes as `read_boxes` reads them."""
    return "\n".join(
        f"{page + 1} " + " ".join(f"{side * 100:.2f}" for side in box) for page in sorted(boxes) for box in boxes[page]
    )
