"""Makes attached files safe to send: each is rebuilt by a sandboxed child, and what comes back is checked again.

Promises: nothing is written to disk, one faulty file costs only itself, and every file ends within its time as a
cleaned one or as a refusal with a sentence (`kinds.REFUSALS`). Keeps no name, no hash and no original. Where the
sandbox cannot be had every file is refused.
"""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from app.core.errors import BusyError, FileRefusedError
from app.files import child_process, sandbox
from app.files.boxes import Box, with_boxes
from app.files.protocol import MOST_OUT, MOST_PAGES, REFUSALS, Answer, Family, Form, unpack
from app.files.slots import slot
from app.files.sniff import family_of

# A request with ten files uses every core for its whole time; a third one would only make all of them late.
REQUESTS_AT_ONCE = 2
_SECONDS_A_FILE = 30.0
_SECONDS_TO_PROBE = 10.0
_SECONDS_AT_THE_DESK = 60.0
_MOST_PAGE_BYTES = 96 * 1024 * 1024

_PICTURES = {Form.JPEG, Form.PNG}
_COMES_BACK_AS: Mapping[Family, set[Form]] = {
    Family.IMAGE: {*_PICTURES, Form.PDF},
    Family.PDF: {Form.PDF},
    Family.MEDIA: {Form.MP4, Form.M4A, Form.OGG},
    Family.WAV: {Form.WAV, Form.M4A},
    Family.MP3: {Form.MP3},
    Family.DOCUMENT: {Form.TEXT},
    Family.TEXT: {Form.TEXT},
    Family.PAGES: _PICTURES,
    Family.REDACT: {*_PICTURES, Form.PDF},
}


@dataclass(frozen=True)
class Cleaned:
    """A file that may go into a bundle: `path` like "files/1.jpg", `removed` the kinds of what was taken out."""

    path: str
    type: str
    removed: tuple[str, ...]
    data: bytes


@dataclass(frozen=True)
class Refused:
    """A file that was not taken: its number counts from 1 in the order given, its code is one of `REFUSALS`."""

    number: int
    code: str

    @property
    def message(self) -> str:
        """The sentence to show, an English message and the key to its translation."""
        return REFUSALS[self.code]


@dataclass(frozen=True)
class Limits:
    """How much one request may hold: files, bytes before and after cleaning, seconds in all."""

    files: int = 10
    bytes_in: int = 25_000_000
    bytes_out: int = MOST_OUT
    seconds: float = 45.0


def clean_all(untrusted_files: Sequence[bytes], *, limits: Limits | None = None) -> tuple[Cleaned | Refused, ...]:
    """Each file rebuilt or refused, in order; empty for no files.

    BusyError when two such requests run on this machine already, FileRefusedError "too-many-files" or
    "too-many-bytes" when the request as a whole is beyond its limits.
    """
    limits = limits or Limits()
    if len(untrusted_files) > limits.files:
        raise FileRefusedError("too-many-files")
    if sum(map(len, untrusted_files)) > limits.bytes_in:
        raise FileRefusedError("too-many-bytes")
    if not untrusted_files:
        return ()
    with slot("request", REQUESTS_AT_ONCE), ThreadPoolExecutor(_cores()) as pool:
        deadline = time.monotonic() + limits.seconds
        results = list(pool.map(partial(_clean_one, deadline), range(1, len(untrusted_files) + 1), untrusted_files))
    return _fitting(results, limits.bytes_out)


def redact(data: bytes, boxes: Mapping[int, Sequence[Box]]) -> Cleaned:
    """A cleaned picture or PDF with black boxes burnt into its pixels.

    `boxes` by page (from 0; a picture is page 0), each left, top, right, bottom in fractions of the page's width
    and height. FileRefusedError with one of `REFUSALS`.
    """
    answer = _ask(Family.REDACT, with_boxes(data, boxes), seconds=_SECONDS_AT_THE_DESK)
    return _cleaned(1, answer)


def pdf_pages(data: bytes) -> tuple[Cleaned, ...]:
    """Each page of a PDF as a picture, "files/1.jpg" on; FileRefusedError with one of `REFUSALS`."""
    raw = child_process.run(Family.PAGES, data, seconds=_SECONDS_AT_THE_DESK, most=_MOST_PAGE_BYTES)
    pages = _checked(Family.PAGES, unpack(raw, most_files=MOST_PAGES))
    return tuple(_cleaned(number, Answer((page,))) for number, page in enumerate(pages.files, 1))


def probe() -> tuple[str, ...]:
    """What a child in the sandbox was denied, every one of `sandbox.ATTEMPTS`; else FileRefusedError("no-sandbox")."""
    denied = child_process.run(Family.PROBE, b"", seconds=_SECONDS_TO_PROBE).decode("ascii", "replace").splitlines()
    if set(denied) != set(sandbox.ATTEMPTS):
        raise FileRefusedError("no-sandbox")
    return tuple(denied)


def _clean_one(deadline: float, number: int, untrusted_file: bytes) -> Cleaned | Refused:
    try:
        family = family_of(untrusted_file)
        with slot("child", _cores(), seconds=max(0.0, deadline - time.monotonic())):
            seconds = min(_SECONDS_A_FILE, deadline - time.monotonic())
            return _cleaned(number, _ask(family, untrusted_file, seconds=seconds))
    except BusyError:
        return Refused(number, "no-time")
    except FileRefusedError as refused:
        return Refused(number, refused.code)


def _ask(family: Family, data: bytes, *, seconds: float) -> Answer:
    if seconds <= 0:
        raise FileRefusedError("no-time")
    return _checked(family, unpack(child_process.run(family, data, seconds=seconds)))


def _checked(family: Family, answer: Answer) -> Answer:
    if any(made.form not in _COMES_BACK_AS[family] for made in answer.files):
        raise FileRefusedError("damaged")
    return answer


def _cleaned(number: int, answer: Answer) -> Cleaned:
    (made,) = answer.files
    return Cleaned(f"files/{number}.{made.form.extension}", made.form.media_type, answer.removed(), made.data)


def _fitting(results: Sequence[Cleaned | Refused], most: int) -> tuple[Cleaned | Refused, ...]:
    """The same results, those refused that no longer fit beside the ones before them."""
    kept: list[Cleaned | Refused] = []
    for number, result in enumerate(results, 1):
        if isinstance(result, Cleaned):
            most -= len(result.data)
            if most < 0:
                most += len(result.data)
                kept.append(Refused(number, "too-large"))
                continue
        kept.append(result)
    return tuple(kept)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
