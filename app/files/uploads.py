"""Cleans what a person uploaded, where one upload may hold several files: a ZIP of photos, or a document with pictures.

The files of a ZIP are taken out in the sandbox, without their names, and each is then cleaned like a file of its own,
in its own child and its own turn. All of them stay within the number and the bytes of one request. What is not taken
out is counted, so that its sender is told. The pictures of a document follow after its words.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

from app.core.errors import BusyError, FileRefusedError
from app.files.clean import (
    FILES_AT_ONCE,
    GROWTH,
    LARGE_OUTPUT,
    SMALL_OUTPUT,
    CleanedFile,
    CleanLimits,
    RefusedFile,
    clean_files,
    memory_to_clean,
    most_output,
    unpack_file,
)
from app.files.protocol import MAX_UNPACKED_BYTES, RemovedKind, most_unpacked
from app.files.turns import FileTurns

_ZIP_START = b"PK\x03\x04"
_ARRANGED = {str(RemovedKind.LAYOUT): str(RemovedKind.ARRANGEMENT)}

CleanResult = CleanedFile | RefusedFile


@dataclass(frozen=True)
class _Upload:
    """One upload: its number, the files in it as they came, how many are left out, whether it is a document."""

    number: int
    untrusted_files: Sequence[bytes]
    left_out: int = 0
    is_document: bool = False


class _Room:
    """How many more files, and bytes of them, one request may hold."""

    def __init__(self, files: int, size: int) -> None:
        self.files, self.bytes = files, min(size, MAX_UNPACKED_BYTES)

    def take(self, untrusted_files: Iterable[bytes]) -> list[bytes]:
        """Return those of the files that fit, and count them."""
        taken = []
        for file in untrusted_files:
            if self.files > 0 and len(file) <= self.bytes:
                self.files, self.bytes = self.files - 1, self.bytes - len(file)
                taken.append(file)
        return taken


def clean_uploads(
    untrusted_uploads: Sequence[bytes],
    networks: Sequence[str] = (),
    *,
    limits: CleanLimits,
    turns: FileTurns,
    films: FileTurns,
) -> tuple[CleanResult, ...]:
    """Return each file of the uploads rebuilt or refused, in order, with the number of its upload.

    Raises as `clean_files` does.
    """
    limits.require_within(untrusted_uploads)
    began, room = time.monotonic(), _Room(limits.files - len(untrusted_uploads), limits.bytes_in)
    turn = partial(turns.turn, networks)
    uploads = [
        _open_upload(
            number, untrusted_file, room, lambda: turn(seconds=max(0.0, began + limits.seconds - time.monotonic()))
        )
        for number, untrusted_file in enumerate(untrusted_uploads, 1)
    ]
    spent = time.monotonic() - began
    left = replace(
        limits,
        bytes_in=limits.bytes_in + MAX_UNPACKED_BYTES,
        seconds=limits.seconds - spent,
        film_seconds=limits.film_seconds - spent,
    )
    files = [file for upload in uploads for file in upload.untrusted_files]
    results = iter(clean_files(files, networks, limits=left, turns=turns, films=films))
    return tuple(
        result for upload in uploads for result in _of_upload(upload, [next(results) for _ in upload.untrusted_files])
    )


def memory_to_clean_uploads(untrusted_uploads: Sequence[bytes]) -> int:
    """Return how many bytes of memory, beside the uploads themselves, cleaning them takes at most."""
    sizes = [len(upload) for upload in untrusted_uploads]
    unpacked = min(MAX_UNPACKED_BYTES, sum(most_unpacked(len(one)) for one in untrusted_uploads if _is_zip(one)))
    if not unpacked:
        return memory_to_clean(sizes)
    made = most_output(sum(sizes) + unpacked)
    outputs = sorted(map(most_output, sizes), reverse=True)
    # Those at work are the longest of the uploads, and some of what was unpacked, however it is divided.
    at_work = max(
        sum(outputs[: FILES_AT_ONCE - count]) + min(count * LARGE_OUTPUT, count * SMALL_OUTPUT + GROWTH * unpacked)
        for count in range(FILES_AT_ONCE + 1)
    )
    return unpacked + max(at_work + made, 2 * made - sum(sizes))


def _is_zip(untrusted_upload: bytes) -> bool:
    return untrusted_upload.startswith(_ZIP_START)


def _open_upload(
    number: int, untrusted_file: bytes, room: _Room, turn: Callable[[], AbstractContextManager[None]]
) -> _Upload:
    """Return the files in an upload; the upload itself where there is no other file in it that can be taken out."""
    alone = _Upload(number, [untrusted_file])
    most = most_unpacked(len(untrusted_file))
    if not most or not _is_zip(untrusted_file):
        return alone
    try:
        unpacked = unpack_file(untrusted_file, turn(), most=most)
    except (BusyError, FileRefusedError):  # cleaning the upload itself has a sentence for the reason
        return alone
    files = [file.data for file in unpacked.files]
    if RemovedKind.LAYOUT in unpacked.kinds:
        pictures = room.take(files)
        left_out = unpacked.left_out + len(files) - len(pictures)
        return _Upload(number, [untrusted_file, *pictures], left_out, is_document=True)
    room.files += 1  # the place of the ZIP itself
    taken = room.take(files)
    if not taken:
        room.files -= 1
        return alone
    return _Upload(number, taken, unpacked.left_out + len(files) - len(taken))


def _of_upload(upload: _Upload, results: Sequence[CleanResult]) -> list[CleanResult]:
    """Return the results of one upload's files, and a refusal that counts those that were left out of the upload."""
    found = [replace(result, upload=upload.number) for result in results]
    if upload.is_document:
        return _of_document(upload, found)
    if upload.left_out:
        found.append(RefusedFile(upload.number, "archive-rest", upload.number, upload.left_out))
    return found


def _of_document(upload: _Upload, found: list[CleanResult]) -> list[CleanResult]:
    """Return a document's words, if there are any, and its pictures; what is said of the words is true of both."""
    words, pictures = found[0], [result for result in found[1:] if isinstance(result, CleanedFile)]
    left_out = upload.left_out + len(found) - 1 - len(pictures)
    if isinstance(words, RefusedFile) and (words.code != "save-as-pdf" or not pictures):
        return [words]
    rest = [RefusedFile(upload.number, "pictures-rest", upload.number, left_out)] if left_out else []
    if isinstance(words, RefusedFile):
        return [*pictures, *rest]
    if pictures:
        words = replace(words, removed=tuple(_ARRANGED.get(kind, kind) for kind in words.removed))
    return [words, *pictures, *rest]
