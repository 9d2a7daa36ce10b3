"""Marks and boxes as a page shows them and its form sends them back.

A text is cut into pieces that can be marked: a word without the stops around it, a Chinese character, or a whole
suggestion. Marks that have only blanks between them become one, so that a name of two words goes out as one. What a
form sends is checked against the text; marks that fit nothing are ignored, boxes that fit no page are refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.desk.case_fields import Span
from app.desk.errors import RefusedError
from app.files.protocol import Box
from app.text.phrases import Finding

_PIECE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\s\u3400-\u9fff\uf900-\ufaff]+")
_EDGES = ".,;:!?()[]{}\"'«»“”‘’–—/，。、；：！？（）「」"
_MARK = re.compile(r"([a-z][a-z-]{0,31}|later-[0-9a-z]{26}|files/[1-9][0-9]?\.[a-z0-9]{1,8}):(\d{1,9})-(\d{1,9})")
_MAX_BOXES = 200  # of one file


@dataclass(frozen=True)
class MarkablePiece:
    """Part of a text: `span` is None for what stands between words; `kind` is that of a suggestion."""

    text: str
    span: Span | None = None
    on: bool = False
    kind: str = ""
    also: bool = False  # taken out because the same was marked elsewhere


def cut_text(
    text: str, suggestions: Sequence[Finding], marks: Iterable[Span], repeats: Iterable[Span] = ()
) -> list[MarkablePiece]:
    """Return a text cut into pieces, in order; joined again they are the text."""
    marked, repeated = _Reach(marks), _Reach(repeats)
    out: list[MarkablePiece] = []
    at = 0
    for start, end, kind in _cuts(text, suggestions):
        if start > at:
            out.append(MarkablePiece(text[at:start]))
        on = end <= marked.end_at(start)
        also = start < repeated.end_at(end - 1)
        out.append(MarkablePiece(text[start:end], (start, end), on, kind, also))
        at = end
    if at < len(text):
        out.append(MarkablePiece(text[at:]))
    return out


class _Reach:
    """How far spans reach that begin at or before a place; the places asked for come in order, so each is read once."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._left = sorted(spans, reverse=True)
        self._end = -1

    def end_at(self, place: int) -> int:
        """Return the furthest end of the spans that begin at or before a place; -1 for none."""
        while self._left and self._left[-1][0] <= place:
            self._end = max(self._end, self._left.pop()[1])
        return self._end


def _cuts(text: str, suggestions: Sequence[Finding]) -> Iterator[tuple[int, int, str]]:
    at = 0
    for finding in (*suggestions, Finding(len(text), len(text), "")):
        for match in _PIECE.finditer(text, at, finding.start):
            left = len(match[0]) - len(match[0].lstrip(_EDGES))
            right = len(match[0].rstrip(_EDGES))
            if left < right:
                yield match.start() + left, match.start() + right, ""
        if finding.start < finding.end:
            yield finding.start, finding.end, finding.kind
        at = finding.end


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order; those that touch or overlap as one, empty ones not at all."""
    out: list[Span] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        elif start < end:
            out.append((start, end))
    return out


def read_marks(untrusted_marks: Iterable[str], fields: Mapping[str, str]) -> dict[str, tuple[Span, ...]]:
    """Return marks such as `what:3-9` by field; neighbours become one, and those that fit no field are ignored."""
    found: dict[str, list[Span]] = {}
    for mark in untrusted_marks:
        match = _MARK.fullmatch(mark)
        if match and match[1] in fields and int(match[2]) < int(match[3]) <= len(fields[match[1]]):
            found.setdefault(match[1], []).append((int(match[2]), int(match[3])))
    return {name: tuple(_join_neighbours(fields[name], sorted(spans))) for name, spans in found.items()}


def _join_neighbours(text: str, spans: Sequence[Span]) -> list[Span]:
    out: list[Span] = []
    for start, end in spans:
        if out and not text[out[-1][1] : start].strip():
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def read_boxes(untrusted_text: str, pages: int) -> dict[int, tuple[Box, ...]]:
    """Return boxes by page, counted from 0, their sides as shares of the page's; raises RefusedError `boxes`.

    Each line is one box: the page from 1, then left, top, right and bottom in percent.
    """
    boxes: dict[int, list[Box]] = {}
    lines = [line.split() for line in untrusted_text.splitlines() if line.strip()]
    if len(lines) > _MAX_BOXES:
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
    """Return boxes as `read_boxes` reads them."""
    return "\n".join(
        f"{page + 1} " + " ".join(f"{side * 100:.2f}" for side in box) for page in sorted(boxes) for box in boxes[page]
    )
