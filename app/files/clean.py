"""Makes attached files safe to send: a sandboxed child rebuilds each file, and what comes back is checked again.

Promises: nothing is written to disk, one faulty file costs only itself, and within its time every file ends as a
cleaned file or as a refusal with a sentence (`protocol.REFUSALS`). No name, no hash and no original is kept. Where
the sandbox is not available every file is refused.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
    MAX_UNPACKED,
    MUST_ENCODE,
    REFUSALS,
    Box,
    OutputFormat,
    Task,
    Voice,
    WorkerResult,
    unpack_result,
)
from app.files.questions import pack_boxes, pack_page, pack_voice
from app.files.sandbox import ATTEMPTS
from app.files.sniff import task_for
from app.files.turns import FileTurns, film_turns

_SECONDS_A_FILE = 30.0
_SECONDS_A_FILM = 90.0
# Of one request; each takes memory. Recordings that are encoded anew have a place of their own beside these.
_PHOTOS_AT_ONCE, _FILMS_AT_ONCE = 2, 1
FILES_AT_ONCE = _PHOTOS_AT_ONCE + _FILMS_AT_ONCE
# What may be made of a small file, and of a larger one: so many times its bytes, up to a limit.
SMALL_OUTPUT, GROWTH, LARGE_OUTPUT = 16_000_000, 4, 100_000_000
_SECONDS_TO_PROBE = 10.0
_SECONDS_AT_THE_DESK = 60.0
_SECONDS_TO_MASK = 130.0
_MAX_PAGE_BYTES = 96 * 1024 * 1024

Turn = Callable[..., AbstractContextManager[None]]

_PICTURES = {OutputFormat.JPEG, OutputFormat.PNG}
# Those that may answer "must-encode".
_COPYING_TASKS = {Task.MEDIA, Task.WAV, Task.MP3}
_FORMATS_OF_TASK: Mapping[Task, set[OutputFormat]] = {
    Task.IMAGE: {*_PICTURES, OutputFormat.PDF},
    Task.PDF: {OutputFormat.PDF},
    Task.MEDIA: {OutputFormat.MP4, OutputFormat.M4A, OutputFormat.OGG},
    Task.ENCODE: {OutputFormat.MP4, OutputFormat.M4A, OutputFormat.OGG},
    Task.VOICE: {OutputFormat.MP4, OutputFormat.M4A},
    Task.WAV: {OutputFormat.WAV},
    Task.MP3: {OutputFormat.MP3},
    Task.DOCUMENT: {OutputFormat.TEXT},
    Task.TEXT: {OutputFormat.TEXT},
    Task.PAGES: _PICTURES,
    Task.REDACT: {*_PICTURES, OutputFormat.PDF},
    Task.COVER: {OutputFormat.JPEG},
    Task.BLUR: {*_PICTURES, OutputFormat.PDF},
    Task.UNPACK: {OutputFormat.RAW},
}


@dataclass(frozen=True)
class CleanedFile:
    """A file that may go into a bundle: `path` like "files/1.jpg", `removed` the kinds of what was removed.

    `preview` is a JPEG of at most 160 pixels a side and 6,000 bytes without metadata, or empty where nothing can be
    seen. `pages` is the number of a PDF's pages, 1 for a picture, and else 0. `upload` is the number of the upload,
    from 1, that the file came in, where one upload may hold several.
    """

    path: str
    type: str
    removed: tuple[str, ...]
    data: bytes
    preview: bytes = b""
    pages: int = 0
    upload: int = 0

    def text(self) -> str | None:
        """Return the words of a text file, and None for every other file."""
        return self.data.decode() if self.type == OutputFormat.TEXT.media_type else None


@dataclass(frozen=True)
class RefusedFile:
    """A file that was not taken: `number` counts from 1 in the order given, `code` is a key of `REFUSALS`.

    `upload` is as in `CleanedFile`. `count` is how many files of an upload the refusal is about.
    """

    number: int
    code: str
    upload: int = 0
    count: int = 1

    @property
    def message(self) -> str:
        """Return the English sentence to show, which is the key to its translation."""
        return REFUSALS[self.code]


@dataclass(frozen=True)
class CleanLimits:
    """How much one request may hold: files, bytes before and after cleaning, seconds in all with its waiting.

    `film_seconds` stand for `seconds` where a recording is encoded anew.
    """

    files: int = 10
    bytes_in: int = 100_000_000
    bytes_out: int = MAX_OUTPUT_BYTES
    seconds: float = 75.0
    film_seconds: float = 130.0

    def require_within(self, untrusted_files: Sequence[bytes]) -> None:
        """Raise FileRefusedError "too-many-files" or "too-many-bytes" for files that are beyond these limits."""
        if len(untrusted_files) > self.files:
            raise FileRefusedError("too-many-files")
        if sum(map(len, untrusted_files)) > self.bytes_in:
            raise FileRefusedError("too-many-bytes")


@dataclass(frozen=True)
class _Way:
    """How files get to be cleaned: in whose turn, in how many seconds each, and until when by the monotonic clock."""

    turn: Turn
    seconds: float
    deadline: float


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


def clean_files(
    untrusted_files: Sequence[bytes],
    networks: Sequence[str] = (),
    *,
    limits: CleanLimits | None = None,
    turns: FileTurns | None = None,
    films: FileTurns | None = None,
) -> tuple[CleanedFile | RefusedFile, ...]:
    """Return each file rebuilt or refused, in order; empty for no files.

    The files wait for their turns among those of other `networks`, named narrowest first; recordings that are encoded
    anew have `films`, turns of their own, so that no photograph waits for them. A file whose turn does not come in time
    is refused with "no-time". Raises FileRefusedError "too-many-files" or "too-many-bytes" when the request as
    a whole is beyond its limits.
    """
    limits = limits or CleanLimits()
    limits.require_within(untrusted_files)
    if not untrusted_files:
        return ()
    began = time.monotonic()
    quick = _Way(partial((turns or FileTurns()).turn, networks), _SECONDS_A_FILE, began + limits.seconds)
    slow = _Way(partial((films or film_turns()).turn, networks), _SECONDS_A_FILM, began + limits.film_seconds)
    results = _Results(min(limits.bytes_out, most_output(sum(map(len, untrusted_files)))))
    _clean_all(untrusted_files, quick, slow, results)
    return results.in_order()


def _clean_all(untrusted_files: Sequence[bytes], quick: _Way, slow: _Way, results: _Results) -> None:
    with ThreadPoolExecutor(_PHOTOS_AT_ONCE) as pool, ThreadPoolExecutor(_FILMS_AT_ONCE) as film_pool:

        def encode(number: int, untrusted_file: bytes) -> None:
            results.add(number, _clean_file(slow, Task.ENCODE, number, untrusted_file))

        def clean(number: int, untrusted_file: bytes) -> Future[None] | None:
            result = _sniff_and_clean(quick, number, untrusted_file)
            if result is None:
                return film_pool.submit(encode, number, untrusted_file)
            results.add(number, result)
            return None

        jobs = [pool.submit(clean, number, file) for number, file in enumerate(untrusted_files, 1)]
        for job in [job.result() for job in jobs]:
            if job:
                job.result()


def most_output(length: int) -> int:
    """Return how many bytes may be made of files of so many bytes: small ones may grow, large ones hardly."""
    return min(MAX_OUTPUT_BYTES, max(SMALL_OUTPUT, min(GROWTH * length, LARGE_OUTPUT), length * 5 // 4))


def memory_to_clean(sizes: Sequence[int]) -> int:
    """Return how many bytes of memory, beside the files themselves, cleaning files of these sizes takes at most.

    That is what is made of the files at work, and of those that are ready; or, once the files as they came are gone,
    what was made, and its bundles.
    """
    total, made = sum(sizes), most_output(sum(sizes))
    at_work = sum(map(most_output, sorted(sizes)[-FILES_AT_ONCE:]))
    ready = made if len(sizes) > FILES_AT_ONCE else 0
    return max(at_work + ready, 2 * made - total)


def redact_file(data: bytes, boxes: Mapping[int, Sequence[Box]]) -> CleanedFile:
    """Return a cleaned picture or PDF with black boxes burnt into its pixels.

    `boxes` are by page number (from 0; a picture is page 0). Raises FileRefusedError with a key of `REFUSALS`.
    """
    result = _run_task(Task.REDACT, pack_boxes(data, boxes), seconds=_SECONDS_AT_THE_DESK)
    return _cleaned_file(1, result)


def mask_voice(
    data: bytes, voice: Voice, networks: Sequence[str] = (), *, films: FileTurns | None = None
) -> CleanedFile:
    """Return a cleaned recording or film with a masked voice; somebody with the right tools may still recognise it.

    Waits among other recordings for its turn. Raises FileRefusedError with a key of `REFUSALS`.
    """
    way = _Way(partial((films or film_turns()).turn, networks), _SECONDS_A_FILM, time.monotonic() + _SECONDS_TO_MASK)
    result = _clean_file(way, Task.VOICE, 1, pack_voice(data, voice))
    if isinstance(result, RefusedFile):
        raise FileRefusedError(result.code)
    return result


def blur_faces(data: bytes) -> CleanedFile:
    """Return a cleaned picture or PDF with patches of colour in place of each face that is found.

    Faces can be missed, so the person must look at the result. Raises FileRefusedError "no-faces" where none is found,
    or another key of `REFUSALS`.
    """
    return _cleaned_file(1, _run_task(Task.BLUR, data, seconds=_SECONDS_AT_THE_DESK))


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


def unpack_file(data: bytes, turn: AbstractContextManager[None], *, most: int) -> WorkerResult:
    """Return files of a ZIP, or pictures of a document, as they came, at most `most` bytes in all: never to be sent.

    A document's pictures have the kind LAYOUT. Raises FileRefusedError, and BusyError where the turn does not come.
    """
    with turn:
        untrusted_result = run_worker(Task.UNPACK, data, seconds=_SECONDS_A_FILE, most=most)
    return _check_formats(Task.UNPACK, unpack_result(untrusted_result, most_files=MAX_UNPACKED))


def probe_sandbox() -> tuple[str, ...]:
    """Return the names of what a sandboxed child was denied, all of `sandbox.ATTEMPTS`.

    Raises FileRefusedError("no-sandbox") if the child could do any of them, or could not run.
    """
    denied = run_worker(Task.PROBE, b"", seconds=_SECONDS_TO_PROBE).getvalue().decode("ascii", "replace").splitlines()
    if set(denied) != set(ATTEMPTS):
        raise FileRefusedError("no-sandbox")
    return tuple(denied)


def _sniff_and_clean(way: _Way, number: int, untrusted_file: bytes) -> CleanedFile | RefusedFile | None:
    """Return the file rebuilt or refused, or None if the file has to be encoded anew."""
    try:
        task = task_for(untrusted_file)
    except FileRefusedError as refused:
        return RefusedFile(number, refused.code)
    result = None if task is Task.ENCODE else _clean_file(way, task, number, untrusted_file)
    return None if isinstance(result, RefusedFile) and result.code == MUST_ENCODE else result


def _clean_file(way: _Way, task: Task, number: int, untrusted_file: bytes) -> CleanedFile | RefusedFile:
    try:
        with way.turn(seconds=max(0.0, way.deadline - time.monotonic())):
            seconds = min(way.seconds, way.deadline - time.monotonic())
            return _cleaned_file(number, _run_task(task, untrusted_file, seconds=seconds))
    except BusyError:
        return RefusedFile(number, "no-time")
    except FileRefusedError as refused:
        return RefusedFile(number, refused.code)


def _run_task(task: Task, data: bytes, *, seconds: float) -> WorkerResult:
    if seconds <= 0:
        raise FileRefusedError("no-time")
    try:
        return _task_result(task, data, seconds)
    except FileRefusedError as refused:
        if refused.code == MUST_ENCODE and task not in _COPYING_TASKS:
            raise FileRefusedError("damaged") from None
        raise


def _task_result(task: Task, data: bytes, seconds: float) -> WorkerResult:
    most = MAX_OUTPUT_BYTES if task in {Task.REDACT, Task.BLUR} else most_output(len(data))
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
