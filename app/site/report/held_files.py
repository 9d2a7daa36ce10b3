"""What the page of a held tip says of each file: a thumbnail, and the words in a text that may say who wrote it.

Thumbnails and findings are the notes that a held tip keeps, encrypted, beside its bundles. A text file is searched as
the report's own words are. Words that stand in several places are one finding, so that one box takes all of them out.
How much is searched and how much is shown is bounded, and the page says so where that is less than all.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.files.clean import CleanedFile
from app.text.find import remove_spans
from app.text.phrases import Finding
from app.text.words import WORD_PATTERN
from app.vault.tip import TipFile
from app.vault.tip_bundles import FileEntry

TEXT_TYPE = "text/plain"
FURTHER = -1  # in place of a start: every finding that has no room on the page
MAX_SEARCHED = 200_000  # characters of one text file
_MAX_WORDS_SHOWN = 80  # characters of one finding
_MAX_REPEATED_WORDS = 4  # of a finding that is looked for in other places: a name, a number
# Bytes of the page that findings may take, of all files together: an estimate of their HTML.
_FINDINGS_ROOM = 64_000
_FINDING_BYTES = 500

FindWords = Callable[[str], Sequence[Finding]]


@dataclass(frozen=True)
class HeldFinding:
    """Words in a text file that may say who wrote it: where they first stand, how often, and why they were found."""

    start: int
    kind: str
    words: str
    times: int


@dataclass(frozen=True)
class HeldFile:
    """One file of a held tip, as its sender sees it; `further` findings have no room on the page.

    `partly` says that a text was too long to be searched to its end. `pages` is 1 for a picture.
    """

    number: int
    path: str
    type: str
    size: int
    removed: tuple[str, ...]
    preview: str = ""  # JPEG in base64
    pages: int = 0
    findings: tuple[HeldFinding, ...] = ()
    further: int = 0
    partly: bool = False

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture or a PDF of pictures, which can be covered."""
        return self.pages > 0

    @property
    def has_voice(self) -> bool:
        """Whether it is sound or a film, whose sound can be changed."""
        return self.type.startswith(("audio/", "video/"))


def file_number(path: str) -> int:
    """Return the number in the path of a file: 3 in `files/3.jpg`."""
    return int(path.removeprefix("files/").partition(".")[0])


def notes_of_files(files: Iterable[CleanedFile], find: FindWords) -> bytes:
    """Return the notes of cleaned files: thumbnails, numbers of pages, and what `find` finds in the texts."""
    cleaned = tuple(files)
    return _pack({file.path: _note_of(file, find, room=_FINDINGS_ROOM // len(cleaned)) for file in cleaned})


def change_note(notes: bytes, old_path: str, file: CleanedFile, find: FindWords) -> bytes:
    """Return the notes with those of one file in place of the ones that stood under its old path."""
    found = json.loads(notes)
    changed = {file.path: _note_of(file, find, room=_FINDINGS_ROOM // max(1, len(found)))}
    return _pack({path: note for path, note in found.items() if path != old_path} | changed)


def held_files(entries: Iterable[FileEntry], notes: bytes) -> tuple[HeldFile, ...]:
    """Return what the page shows of each file that the words of a held tip name."""
    found = json.loads(notes or b"{}")
    return tuple(_held_file(entry, found.get(entry.path, {})) for entry in entries)


def take_out(file: TipFile, held: HeldFile, starts: Collection[int], find: FindWords) -> CleanedFile:
    """Return a text file without the words of the findings that first stand at `starts`; FURTHER is all not shown."""
    text, shown = file.data.decode(), {each.start for each in held.findings}
    spans = [
        (each.start, each.end)
        for start, group in _groups(text, find).items()
        if start in starts or (FURTHER in starts and start not in shown)
        for each in group
    ]
    return CleanedFile(file.path, file.type, file.removed, remove_spans(text, spans).encode())


def _held_file(entry: FileEntry, note: Mapping[str, Any]) -> HeldFile:
    return HeldFile(
        number=file_number(entry.path),
        path=entry.path,
        type=entry.type,
        size=entry.size,
        removed=entry.removed,
        preview=note.get("preview", ""),
        pages=note.get("pages", 0),
        findings=tuple(HeldFinding(*each) for each in note.get("findings", ())),
        further=note.get("further", 0),
        partly=note.get("partly", False),
    )


def _pack(notes: Mapping[str, object]) -> bytes:
    return json.dumps(notes, ensure_ascii=False, separators=(",", ":")).encode()


def _note_of(file: CleanedFile, find: FindWords, *, room: int) -> dict[str, object]:
    if file.type != TEXT_TYPE:
        return {"preview": b64encode(file.preview).decode(), "pages": file.pages}
    text = file.data.decode()
    groups = _groups(text, find)
    shown = _shown(text, groups, room)
    findings = [(start, groups[start][0].kind, words, len(groups[start])) for start, words in shown]
    return {"findings": findings, "further": len(groups) - len(shown), "partly": len(text) > MAX_SEARCHED}


def _groups(text: str, find: FindWords) -> dict[int, list[Finding]]:
    """Return the findings in a text by the start of the first with the same words, wherever these words stand.

    What is found may depend on the sentence around it, but the sender does not see the text of the file: who ticks a
    name takes the name out, not some of the places where it stands.
    """
    text = text[:MAX_SEARCHED]
    firsts: dict[tuple[str, str], Finding] = {}
    groups: dict[int, list[Finding]] = {}
    found = find(text)
    for each in found:
        first = firsts.setdefault((each.kind, text[each.start : each.end].casefold()), each)
        groups.setdefault(first.start, []).append(each)
    by_words = {words: first for (_, words), first in reversed(firsts.items())}
    places = {(each.start, each.end) for each in found}
    longest = max(map(len, by_words), default=0)
    for start, end in _runs_of_words(text, longest):
        again = by_words.get(text[start:end].casefold())
        if again and (start, end) not in places:
            groups[again.start].append(Finding(start, end, again.kind))
    return groups


def _runs_of_words(text: str, longest: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of a few words that has at most `longest` characters, in time linear in both."""
    words = [match.span() for match in WORD_PATTERN.finditer(text)] if longest else []
    for at, (start, _) in enumerate(words):
        for _, end in words[at : at + _MAX_REPEATED_WORDS]:
            if end - start > longest:
                break
            yield start, end


def _shown(text: str, groups: Mapping[int, Sequence[Finding]], room: int) -> list[tuple[int, str]]:
    """Return start and words of the findings that have room on the page."""
    shown: list[tuple[int, str]] = []
    for start, group in groups.items():
        words = text[start : group[0].end]
        words = words if len(words) <= _MAX_WORDS_SHOWN else words[:_MAX_WORDS_SHOWN] + "…"
        room -= _FINDING_BYTES + 2 * len(words.encode())
        if room < 0:
            break
        shown.append((start, words))
    return shown
