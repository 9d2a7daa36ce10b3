"""Makes attached files safe to send: a sandboxed child rebuilds each file, and what comes back is checked again.

Promises: nothing is written to disk, one faulty file costs only itself, and within its time every file ends as a
cleaned file or as a refusal with a sentence (`protocol.REFUSALS`). No name, no hash and no original is kept. Where
the sandbox is not available every file is refused.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from threading import Lock

from app.core.errors import BusyError, FileRefusedError
from app.files.child_process import run_worker
from app.files.protocol import (
    MAX_COVER_BYTES,
    MAX_OUTPUT_BYTES,
    MAX_PAGES,
    REFUSALS,
    Box,
    OutputFormat,
    Task,
    WorkerResult,
    pack_boxes,
    pack_page,
    unpack_result,
)
from app.files.sandbox import ATTEMPTS
from app.files.sniff import task_for
from app.files.turns import FileTurns

_SECONDS_A_FILE = 30.0
# Of one request; each takes memory.
_FILES_AT_ONCE = 2
_SMALL_OUTPUT = 16_000_000
_LARGE_OUTPUT = 100_000_000
_SECONDS_TO_PROBE = 10.0
_SECONDS_AT_THE_DESK = 60.0
_MAX_PAGE_BYTES = 96 * 1024 * 1024

Turn = Callable[..., AbstractContextManager[None]]

_PICTURES = {OutputFormat.JPEG, OutputFormat.PNG}
_FORMATS_OF_TASK: Mapping[Task, set[OutputFormat]] = {
    Task.IMAGE: {*_PICTURES, OutputFormat.PDF},
    Task.PDF: {OutputFormat.PDF},
    Task.MEDIA: {OutputFormat.MP4, OutputFormat.M4A, OutputFormat.OGG},
    Task.WAV: {OutputFormat.WAV, OutputFormat.M4A},
    Task.MP3: {OutputFormat.MP3},
    Task.DOCUMENT: {OutputFormat.TEXT},
    Task.TEXT: {OutputFormat.TEXT},
    Task.PAGES: _PICTURES,
    Task.REDACT: {*_PICTURES, OutputFormat.PDF},
    Task.COVER: {OutputFormat.JPEG},
}


@dataclass(frozen=True)
class CleanedFile:
    """A file that may go into a bundle: `path` like "files/1.jpg", `removed` the kinds of what was removed.

    `preview` is a JPEG of at most 160 pixels a side and 6,000 bytes without metadata, or empty where nothing can be
    seen. `pages` is the number of a PDF's pages, 1 for a picture, and else 0.
    """

    path: str
    type: str
    removed: tuple[str, ...]
    data: bytes
    preview: bytes = b""
    pages: int = 0


@dataclass(frozen=True)
class RefusedFile:
    """A file that was not taken: `number` counts from 1 in the order given, `code` is a key of `REFUSALS`."""

    number: int
    code: str

    @property
    def message(self) -> str:
        """Return the English sentence to show, which is the key to its translation."""
        return REFUSALS[self.code]


@dataclass(frozen=True)
class CleanLimits:
    """How much one request may hold: files, bytes before and after cleaning, seconds in all with its waiting."""

    files: int = 10
    bytes_in: int = 25_000_000
    bytes_out: int = MAX_OUTPUT_BYTES
    seconds: float = 75.0


def clean_files(
    untrusted_files: Sequence[bytes],
    networks: Sequence[str] = (),
    *,
    limits: CleanLimits | None = None,
    turns: FileTurns | None = None,
) -> tuple[CleanedFile | RefusedFile, ...]:
    """Return each file rebuilt or refused, in order; empty for no files.

    The files wait for their turns among those of other `networks`, named narrowest first; one whose turn does not come
    in time is refused with "no-time". Raises FileRefusedError "too-many-files" or "too-many-bytes" when the request as
    a whole is beyond its limits.
    """
    limits = limits or CleanLimits()
    if len(untrusted_files) > limits.files:
        raise FileRefusedError("too-many-files")
    if sum(map(len, untrusted_files)) > limits.bytes_in:
        raise FileRefusedError("too-many-bytes")
    if not untrusted_files:
        return ()
    turn = partial((turns or FileTurns()).turn, networks)
    total = sum(map(len, untrusted_files))
    results = _Results(min(limits.bytes_out, most_output(total)))
    clean = partial(_clean_file, turn, time.monotonic() + limits.seconds)
    with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
        jobs = [
            pool.submit(lambda number, file: results.add(number, clean(number, file)), number, file)
            for number, file in enumerate(untrusted_files, 1)
        ]
        for job in jobs:
            job.result()
    return results.in_order()


def most_output(length: int) -> int:
    """Return how many bytes may be made of files of so many bytes: small ones may grow, large ones hardly."""
    return min(MAX_OUTPUT_BYTES, max(_SMALL_OUTPUT, min(4 * length, _LARGE_OUTPUT), length * 5 // 4))


def memory_to_clean(sizes: Sequence[int]) -> int:
    """Return how many bytes of memory, beside the files themselves, cleaning files of these sizes takes at most.

    That is what is made of the files at work, and of those that are ready; or, once the files as they came are gone,
    what was made, and its bundles.
    """
    total, made = sum(sizes), most_output(sum(sizes))
    at_work = sum(map(most_output, sorted(sizes)[-_FILES_AT_ONCE:]))
    ready = made if len(sizes) > _FILES_AT_ONCE else 0
    return max(at_work + ready, 2 * made - total)


def redact_file(data: bytes, boxes: Mapping[int, Sequence[Box]]) -> CleanedFile:
    """Return a cleaned picture or PDF with black boxes burnt into its pixels.

    `boxes` are by page number (from 0; a picture is page 0). Raises FileRefusedError with a key of `REFUSALS`.
    """
    result = _run_task(Task.REDACT, pack_boxes(data, boxes), seconds=_SECONDS_AT_THE_DESK)
    return _cleaned_file(1, result)


def page_to_cover(data: bytes, page: int) -> bytes:
    """Return one page of a cleaned picture or PDF as a JPEG of at most 60,000 bytes, on which to choose what to cover.

    `page` counts from 0; a picture is page 0. Raises FileRefusedError with a key of `REFUSALS`.
    """
    untrusted_result = run_worker(Task.COVER, pack_page(data, page), seconds=_SECONDS_AT_THE_DESK, most=MAX_COVER_BYTES)
    (picture,) = _check_formats(Task.COVER, unpack_result(untrusted_result)).files
    if len(picture.data) > MAX_COVER_BYTES:
        raise FileRefusedError("damaged")
    return picture.data


def pdf_page_images(data: bytes) -> tuple[CleanedFile, ...]:
    """Return each page of a PDF as a picture, "files/1.jpg" and on; FileRefusedError with a key of `REFUSALS`."""
    untrusted_result = run_worker(Task.PAGES, data, seconds=_SECONDS_AT_THE_DESK, most=_MAX_PAGE_BYTES)
    pages = _check_formats(Task.PAGES, unpack_result(untrusted_result, most_files=MAX_PAGES))
    return tuple(_cleaned_file(number, WorkerResult((page,))) for number, page in enumerate(pages.files, 1))


def probe_sandbox() -> tuple[str, ...]:
    """Return the names of what a sandboxed child was denied, all of `sandbox.ATTEMPTS`.

    Raises FileRefusedError("no-sandbox") if the child could do any of them, or could not run.
    """
    denied = run_worker(Task.PROBE, b"", seconds=_SECONDS_TO_PROBE).getvalue().decode("ascii", "replace").splitlines()
    if set(denied) != set(ATTEMPTS):
        raise FileRefusedError("no-sandbox")
    return tuple(denied)


def _clean_file(turn: Turn, deadline: float, number: int, untrusted_file: bytes) -> CleanedFile | RefusedFile:
    try:
        task = task_for(untrusted_file)
        with turn(seconds=max(0.0, deadline - time.monotonic())):
            seconds = min(_SECONDS_A_FILE, deadline - time.monotonic())
            return _cleaned_file(number, _run_task(task, untrusted_file, seconds=seconds))
    except BusyError:
        return RefusedFile(number, "no-time")
    except FileRefusedError as refused:
        return RefusedFile(number, refused.code)


def _run_task(task: Task, data: bytes, *, seconds: float) -> WorkerResult:
    if seconds <= 0:
        raise FileRefusedError("no-time")
    most = MAX_OUTPUT_BYTES if task is Task.REDACT else most_output(len(data))
    return _check_formats(task, unpack_result(run_worker(task, data, seconds=seconds, most=most)))


def _check_formats(task: Task, result: WorkerResult) -> WorkerResult:
    """Return the result; FileRefusedError("damaged") if the task never makes a file of one of its formats."""
    if any(file.format not in _FORMATS_OF_TASK[task] for file in result.files):
        raise FileRefusedError("damaged")
    return result


def _cleaned_file(number: int, result: WorkerResult) -> CleanedFile:
    (file,) = result.files
    path = f"files/{number}.{file.format.extension}"
    return CleanedFile(path, file.format.media_type, result.removed(), file.data, result.preview, result.pages)


class _Results:
    """What has become of the files so far: cleaned ones are kept as long as they fit together, in their order."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._by_number: dict[int, CleanedFile | RefusedFile] = {}

    def add(self, number: int, result: CleanedFile | RefusedFile) -> None:
        """Add one file, and refuse those that do not fit beside the ones before them."""
        with self._lock:
            self._by_number[number] = result
            left = self._most
            for number, result in sorted(self._by_number.items()):  # noqa: PLR1704
                size = len(result.data) if isinstance(result, CleanedFile) else 0
                if size > left:
                    self._by_number[number] = RefusedFile(number, "too-large")
                else:
                    left -= size

    def in_order(self) -> tuple[CleanedFile | RefusedFile, ...]:
        """Return all of them."""
        return tuple(result for _, result in sorted(self._by_number.items()))
