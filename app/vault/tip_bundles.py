"""The bundles of a tip, all of one length: the words in the first, slices of the files in the parts that follow.

The words' bundle holds `tip.json`, `tip.txt` for a person, and padding. `tip.json` names the files, says how many parts
follow and holds the key that proves them, so that the words can be read before the files are there. Reading accepts
only the exact bytes that writing would make; anything else raises BundleError. Readers must still treat words and files
as hostile: anyone may seal to a published key.
"""

import base64
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from app.core.errors import BundleError
from app.vault.asked_questions import question_text, said_text
from app.vault.bundle import files_length, pack, pack_files, unpack, unpack_files
from app.vault.part import MAX_PARTS, PART_KEY_BYTES, Part, count_parts, is_proven, join, pack_part, split
from app.vault.tip import MAX_FILES, SCHEMA, ReplyTo, Tip, TipFile, TipId, new_tip_id

FORMAT = "haumaru-tip/2"

_NAMES = re.compile(r"tip\.json|tip\.txt")
_FILES = re.compile(r"files/[a-z0-9.]{1,11}")

# Characters that control a terminal or reverse a line; only `tip.json` keeps them.
_CONTROL = {*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)} - {0x09, 0x0A}
_VISIBLE = dict.fromkeys(_CONTROL, "\ufffd") | {0x0A: "\n  "}


@dataclass(frozen=True)
class Bundle:
    """The bytes of a bundle, and the id of the envelope into which the bundle is sealed."""

    id: TipId
    data: bytes


@dataclass(frozen=True)
class FileEntry:
    """The entry of a file in the words: its path, its media type, its size in bytes, and what was removed from it."""

    path: str
    type: str
    size: int
    removed: tuple[str, ...]

    def __post_init__(self) -> None:
        TipFile(self.path, self.type, self.removed, b"")  # checks what both have
        _check(type(self.size) is int and self.size >= 0)


@dataclass(frozen=True)
class Words:
    """A tip without its files, the entries of the files, and the 32-byte key that proves the parts."""

    tip: Tip
    files: tuple[FileEntry, ...]
    key: bytes

    def __post_init__(self) -> None:
        _check(not self.tip.files and len(self.key) == PART_KEY_BYTES)
        _check(len({file.path for file in self.files}) == len(self.files) <= MAX_FILES)
        if self.part_count > MAX_PARTS:
            raise BundleError("too-large")

    @property
    def part_count(self) -> int:
        """How many parts the files take; the entries alone decide."""
        return count_file_parts(self.files)

    def proves(self, part: Part) -> bool:
        """Return whether a part belongs to these words: the key proves it."""
        return is_proven(part, tip=self.tip.id, key=self.key, count=self.part_count)


def _random_id(_number: int) -> TipId:
    return new_tip_id()


class TipBundles:
    """The bundles of a tip, each of 128 KiB: its words first, then its parts, whose ids `part_ids` gives.

    They are made one at a time, so that going through them needs memory for no more than one; a second time would give
    other bundles, because the key that proves the parts is new each time. Raises BundleError: `too-large` for words
    beyond one bundle or files beyond 1 GiB, `tip` for text that is not Unicode, `part` for an id that is given twice.
    """

    def __init__(self, tip: Tip, *, part_ids: Callable[[int], TipId] = _random_id) -> None:
        self._tip, self._part_ids = tip, part_ids

    def __len__(self) -> int:
        return 1 + _words(self._tip).part_count

    def __iter__(self) -> Iterator[Bundle]:
        tip, words = self._tip, _words(self._tip)
        yield _words_bundle(words)
        yield from _file_bundles(tip.files, tip=tip.id, key=words.key, part_ids=self._part_ids)


def renumbered(words: Words, *, received: date, number: int) -> Bundle:
    """Return the bundle of an answer's words with another day and number; raises BundleError for no answer."""
    return _words_bundle(replace(words, tip=replace(words.tip, received=received, number=number)))


def _words_bundle(words: Words) -> Bundle:
    return Bundle(words.tip.id, pack({"tip.json": words_to_json(words), "tip.txt": _encode(words_to_text(words))}))


def to_bundles(tip: Tip, *, part_ids: Callable[[int], TipId] = _random_id) -> list[Bundle]:
    """Return all bundles of a tip at once; see TipBundles."""
    return list(TipBundles(tip, part_ids=part_ids))


def split_files(
    files: Sequence[TipFile], *, tip: TipId, key: bytes, part_ids: Callable[[int], TipId] = _random_id
) -> list[Bundle]:
    """Return the bundles of the parts of some files, which a 32-byte key proves; none without files.

    Raises BundleError: `too-large` for files beyond 1 GiB, `part` for an id that is given twice.
    """
    return list(_file_bundles(files, tip=tip, key=key, part_ids=part_ids))


def _file_bundles(
    files: Sequence[TipFile], *, tip: TipId, key: bytes, part_ids: Callable[[int], TipId]
) -> Iterator[Bundle]:
    if not files:
        return
    members = {file.path: file.data for file in files}
    length = files_length({path: len(data) for path, data in members.items()})
    for part in split(lambda: pack_files(members), length, tip=tip, key=key, ids=part_ids):
        yield Bundle(part.id, pack_part(part))


def count_file_parts(files: Sequence[FileEntry]) -> int:
    """Return how many parts files of these paths and sizes take."""
    return count_parts(files_length({file.path: file.size for file in files})) if files else 0


def join_files(files: Sequence[FileEntry], parts: Iterable[Part], *, tip: TipId, key: bytes) -> tuple[TipFile, ...]:
    """Return the files that the entries name, from the candidates for their parts in any order.

    Raises BundleError: `parts-missing`, or another code where the parts do not make the files that the entries name.
    """
    if not files:
        return ()
    data = join(parts, tip=tip, key=key, count=count_file_parts(files))
    found = unpack_files(data, _FILES)
    _check(list(found) == [entry.path for entry in files])
    made = tuple(TipFile(entry.path, entry.type, entry.removed, found[entry.path]) for entry in files)
    _check(all(len(file.data) == entry.size for file, entry in zip(made, files, strict=True)))
    return made


def read_words(bundle: bytes) -> Words:
    """Return the words in a bundle.

    Raises BundleError for every bundle that `to_bundles` would not make; only the wording of `tip.txt` is not
    checked, so that the wording may change.
    """
    members = unpack(bundle, _NAMES)
    _check(list(members) == ["tip.json", "tip.txt"])
    try:
        words = _parse_words(members["tip.json"])
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise BundleError("tip") from None
    _check(words_to_json(words) == members["tip.json"])
    return words


def from_bundles(words: Words, parts: Iterable[Part]) -> Tip:
    """Return the whole tip, from its words and the candidates for its parts in any order.

    Raises BundleError: `parts-missing`, or another code where the parts do not make the files that the words name.
    """
    return replace(words.tip, files=join_files(words.files, parts, tip=words.tip.id, key=words.key))


def words_to_json(words: Words) -> bytes:
    """Return `tip.json`: one line of UTF-8, in one form only; raises BundleError `tip` for text that is not Unicode."""
    tip = words.tip
    fields: dict[str, Any] = {
        "format": FORMAT,
        "id": tip.id,
        "received": tip.received.isoformat(),
        "answers": dict(tip.answers),
        "files": [
            {"path": file.path, "type": file.type, "size": file.size, "removed": file.removed} for file in words.files
        ],
        "parts": {"count": words.part_count, "key": _to_base64(words.key)},
        "replies": dict(tip.replies),
        **({"withdraw": True} if tip.withdraw else {}),
        "reply": tip.reply and {"key": _to_base64(tip.reply.key), "locator": tip.reply.locator},
        "answers_to": tip.answers_to,
        **({"number": tip.number} if tip.number else {}),
        **({"decoy": True} if tip.decoy else {}),
    }
    return _encode(json.dumps(fields, ensure_ascii=False, separators=(",", ":")))


def words_to_text(words: Words) -> str:
    """Return `tip.txt`, for a person who opens the bundle with any unzip program.

    The lines of an answer are indented, so that no line can pass for a heading. A character takes at most eight bytes
    in `tip.json` and `tip.txt` together, so that the longest report fits one bundle.
    """
    tip = words.tip
    lines = ["This is a decoy. Nobody sent it."] if tip.decoy else []
    lines += [
        "A report sent through Haumaru",
        "",
        "The sender is anonymous. Nothing in here has been checked: it may be wrong, and those who are",
        "named may be victims themselves. Open files with care, although the site has cleaned them.",
        "",
        f"Report: {tip.id}",
        f"Received: {tip.received.isoformat()}",
    ]
    if tip.answers_to:
        lines.append(f"In answer to your reply: {tip.answers_to}")
    lines.append(f"Can be answered: {'yes' if tip.reply else 'no'}")
    if tip.withdraw:
        lines += ["", "THE SENDER ASKS YOU NOT TO PASS THE REPORT ON."]
    for field, value in tip.answers.items():
        text = value if isinstance(value, str) else ", ".join(value)
        lines += ["", f"{SCHEMA.heading(field)}:", f"  {text.translate(_VISIBLE)}"]
    for question, said in tip.replies.items():
        lines += ["", f"Your question: {question_text(question)}", f"  {said_text(question, said).translate(_VISIBLE)}"]
    return "\n".join(lines + _file_lines(words)) + "\n"


def _file_lines(words: Words) -> list[str]:
    if not words.files:
        return []
    lines = ["", "Files, and what was taken out of each:"]
    for file in words.files:
        removed = ", ".join(file.removed).translate(_VISIBLE)
        lines.append(f"  {file.path} ({file.type}, {file.size} bytes): {removed or 'nothing was found'}")
    return [
        *lines,
        "",
        f"Envelopes that bring the files: {words.part_count}. In each, part.json names this report and says which",
        "part it is. Join all the files named data in that order: the result is a zip of the files.",
    ]


def _words(tip: Tip) -> Words:
    entries = tuple(FileEntry(file.path, file.type, len(file.data), file.removed) for file in tip.files)
    return Words(replace(tip, files=()), entries, secrets.token_bytes(PART_KEY_BYTES))


def _parse_words(line: bytes) -> Words:
    fields = json.loads(line)
    reply = fields["reply"]
    tip = Tip(
        id=fields["id"],
        received=date.fromisoformat(fields["received"]),
        answers={
            field: tuple(value) if isinstance(value, list) else value for field, value in fields["answers"].items()
        },
        reply=None if reply is None else ReplyTo(_from_base64(reply["key"]), reply["locator"]),
        answers_to=fields["answers_to"],
        replies=fields["replies"],
        withdraw=fields.get("withdraw", False),
        number=fields.get("number", 0),
        decoy=fields.get("decoy", False),
    )
    entries = tuple(
        FileEntry(file["path"], file["type"], file["size"], tuple(file["removed"])) for file in fields["files"]
    )
    return Words(tip, entries, _from_base64(fields["parts"]["key"]))


def _check(condition: object) -> None:
    if not condition:
        raise BundleError("tip")


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _encode(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise BundleError("tip") from None
