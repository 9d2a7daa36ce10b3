"""The steps on the files of a held tip: blur faces, cover parts of a picture, change a voice, take words out of a text.

Each step opens the held tip, has one file made anew, and holds the changed tip until the same end. The work is bounded
as cleaning is: by the turns of the sender's networks, the memory of the process, and the places of requests that wait.
Whatever was done, the answer is as long as any other answer with files, but for the page on which a picture is covered.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from io import SEEK_END
from struct import Struct
from typing import Any

from flask import Response, request
from flask_babel import gettext as _
from werkzeug.datastructures import FileStorage

from app.core.errors import N_, BundleError, BusyError, FileRefusedError, HeldFullError, OutboxError
from app.core.log import log_error
from app.files.clean import CleanedFile, blur_faces, mask_voice, most_output, page_to_cover, redact_file
from app.files.protocol import REFUSALS, Box, RemovedKind, Voice
from app.site.report.forms import TipForm
from app.site.report.held import ChangedTip, HeldBundles
from app.site.report.held_files import TEXT_TYPE, HeldFile, change_note, held_files, take_out
from app.site.report.responses import CoverPage, HeldTip, PageError, ReportContext, ReportResponses
from app.vault.tip import Tip, TipFile

_WAIT_SECONDS = 30.0
_TARGET = re.compile(r"([1-9][0-9]?)(?::([0-9]{1,3}))?", re.ASCII)
_GRID = re.compile(r"([0-9]{1,2})-([0-9]{1,2})", re.ASCII)
_CUT = re.compile(r"([1-9][0-9]?):(-1|[0-9]{1,6})", re.ASCII)
COLUMNS, MAX_ROWS = 12, 48
# Marker, length, precision, height and width of a frame in a JPEG (ITU-T T.81, B.2.2).
_JPEG_FRAME, _JPEG_FRAMES = Struct(">HHBHH"), {0xFFC0, 0xFFC1, 0xFFC2}

# What the desk and the sender read beside a file that its sender changed.
_COVERED = N_("parts that the sender covered")
_VOICE = N_("the true sound of the voice (changed by the sender)")
_WORDS = N_("words that the sender took out")
Make = Callable[[TipFile, HeldFile], CleanedFile]


class FileSteps:
    """The steps whose buttons stand beside the files of a held tip; each raises OutboxError where the tip is gone."""

    def __init__(self, context: ReportContext, responses: ReportResponses) -> None:
        self._context, self._responses = context, responses
        self._steps: dict[str, Callable[[TipForm, HeldTip], Response]] = {
            "look": self._look,
            "blur": self._blur,
            "cover": self._cover,
            "paint": self._paint,
            "cut": self._cut,
            **{voice.value: partial(self._mask, voice) for voice in Voice},
        }

    @property
    def names(self) -> frozenset[str]:
        """The names of these steps, as they stand before the colon in a button's value."""
        return frozenset(self._steps)

    def run(self, form: TipForm, held: HeldTip, name: str) -> Response:
        """Run one of the steps `names`; a file that cannot be changed stays as it was, and the page says why."""
        try:
            return self._steps[name](form, held)
        except PageError as problem:
            return self.held_again(form, held, problem)
        except FileRefusedError as error:
            sentence = _(self._responses.journey.say(REFUSALS.get(error.code, error.message)))
            busy = error.code == "no-time"
            return self.held_again(form, held, self._context.busy() if busy else PageError(error.status, sentence))
        except (BusyError, HeldFullError) as error:
            log_error(error)
            return self.held_again(form, held, self._context.busy())

    def cut_before_sending(self, form: TipForm, held: HeldTip) -> Response | None:
        """Take out the words that are ticked and still there; return a page only where that did not go well."""
        if not request.form.getlist("cut"):
            return None
        response = self.run(form, held, "cut")
        return response if response.status_code >= HTTPStatus.BAD_REQUEST else None

    def held_again(
        self, form: TipForm, held: HeldTip, problem: PageError | None, *, extended: bool = False
    ) -> Response:
        """Return the page of a held tip with what is held of each file, where that can be read now."""
        with suppress(OutboxError, BusyError):
            held = self._with_files(held)
        return self._responses.held(form, held, problem, extended=extended)

    def _with_files(self, held: HeldTip) -> HeldTip:
        with self._opened(held) as bundles:
            return held.with_files(held_files(bundles.words.files, bundles.notes))

    # The steps.

    def _look(self, form: TipForm, held: HeldTip) -> Response:
        return self._responses.held(form, self._with_files(held), None)

    def _cover(self, form: TipForm, held: HeldTip) -> Response:
        number, page = _target()
        file, shown = self._file(held, number)
        if page >= shown.pages:
            raise _unknown_button()
        with self._room_for(len(file.data)), self._turn():
            picture = page_to_cover(file.data, page)
        columns, rows = COLUMNS, grid_rows(picture, COLUMNS)
        return self._responses.cover(form, held, CoverPage(shown, page, picture, columns, rows))

    def _paint(self, form: TipForm, held: HeldTip) -> Response:
        number, page = _target()
        boxes = _ticked_boxes()
        if boxes:
            self._change(held, number, partial(self._black_out, page, boxes), _COVERED)
        return self._look(form, held)

    def _blur(self, form: TipForm, held: HeldTip) -> Response:
        def make(file: TipFile, shown: HeldFile) -> CleanedFile:
            if not shown.is_picture:
                raise _unknown_button()
            with self._turn():
                return blur_faces(file.data)

        self._change(held, _target()[0], make, RemovedKind.FACES)
        return self._look(form, held)

    def _mask(self, voice: Voice, form: TipForm, held: HeldTip) -> Response:
        def make(file: TipFile, shown: HeldFile) -> CleanedFile:
            if not shown.has_voice:
                raise _unknown_button()
            with self._context.place(self._context.waiting):
                return mask_voice(file.data, voice, self._context.networks, films=self._context.films)

        self._change(held, _target()[0], make, _VOICE)
        return self._look(form, held)

    def _cut(self, form: TipForm, held: HeldTip) -> Response:
        for number, starts in _ticked_words().items():
            self._change(held, number, partial(self._without, starts), _WORDS)
        return self._look(form, held)

    # What a step is made of.

    def _black_out(self, page: int, boxes: Sequence[Box], file: TipFile, shown: HeldFile) -> CleanedFile:
        if page >= shown.pages:
            raise _unknown_button()
        with self._turn():
            return redact_file(file.data, {page: boxes})

    def _without(self, starts: Collection[int], file: TipFile, shown: HeldFile) -> CleanedFile:
        if file.type != TEXT_TYPE:
            raise _unknown_button()
        return take_out(file, shown, starts, self._context.find_words)

    def _change(self, held: HeldTip, number: int, make: Make, done: str) -> None:
        """Hold the tip with what `make` makes of one of its files; `done` says what that takes out."""
        file, shown = self._file(held, number)
        with self._room_for(len(file.data)):
            made = make(file, shown)
            if made.data == file.data:
                return
            path = f"files/{number}.{made.path.rpartition('.')[2]}"
            removed = tuple(dict.fromkeys((*file.removed, *made.removed, done)))
            made = replace(made, path=path, removed=removed)
            self._put_back(held, file.path, made)

    def _put_back(self, held: HeldTip, old_path: str, made: CleanedFile) -> None:
        new = TipFile(made.path, made.type, made.removed, made.data)

        def change(tip: Tip, notes: bytes) -> ChangedTip:
            files = tuple(new if each.path == old_path else each for each in tip.files)
            return ChangedTip(replace(tip, files=files), change_note(notes, old_path, made, self._context.find_words))

        context = self._context
        try:
            context.held.change_files(held.draft, change, now=context.clock(), networks=context.networks)
        except BundleError:
            raise FileRefusedError("too-large") from None

    def _file(self, held: HeldTip, number: int) -> tuple[TipFile, HeldFile]:
        """Return one file of a held tip, and what its page shows of the file; PageError where there is no such file."""
        with self._opened(held) as bundles:
            tip, notes, _ = bundles.read_tip()
            shown = held_files(bundles.words.files, notes)
        for file, each in zip(tip.files, shown, strict=True):
            if each.number == number:
                return file, each
        raise _unknown_button()

    def _opened(self, held: HeldTip) -> AbstractContextManager[HeldBundles]:
        context = self._context
        return context.held.opened(held.draft, now=context.clock(), networks=context.networks)

    def _room_for(self, size: int) -> AbstractContextManager[None]:
        """Hold the memory that one file of so many bytes takes while it is made anew; raises BusyError."""
        context = self._context
        return context.memory.hold_more(context.networks, size + most_output(size), seconds=_WAIT_SECONDS)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for a turn among the files that are cleaned; raises BusyError."""
        context = self._context
        with context.place(context.waiting), context.turns.turn(context.networks, seconds=_WAIT_SECONDS):
            yield


def take_uploads(files: Sequence[FileStorage], limit: int) -> list[bytes]:
    """Return the bytes of uploads, which are emptied, if they are not more than the limit; raises PageError 413."""
    require_room([file.stream.seek(0, SEEK_END) for file in files], limit)
    return [_take_bytes(file) for file in files]


def _take_bytes(file: FileStorage) -> bytes:
    """Return the bytes of an upload and empty it; a buffer in memory hands them over without a copy."""
    stream: Any = file.stream
    data: bytes = stream.getvalue()
    stream.close()
    return data


def require_room(sizes: Sequence[int], limit: int) -> None:
    """Raise PageError 413 if files of these sizes, in bytes, are beyond the limit together; it says what would fit."""
    if sum(sizes) <= limit:
        return
    if min(sizes) > limit:
        words = _("One file may have at most %(size)s MB, so nothing was sent. Send a smaller copy or a shorter film.")
        raise PageError(413, f"{words % {'size': limit // 1_000_000}} {sizes_sentence(sum(sizes), limit)}")
    fit, total = 0, 0
    for size in sorted(sizes):
        total += size
        fit += total <= limit
    words = _("Together, these files are too big, so nothing was sent. The %(count)s smallest files would fit.")
    raise PageError(413, f"{words % {'count': fit}} {sizes_sentence(sum(sizes), limit)}")


def sizes_sentence(size: int, limit: int) -> str:
    """Return how much came and how much fits, both in bytes, in megabytes; too much is never said to be what fits."""
    words = _("You chose %(size)s MB. At most %(limit)s MB fit in one report.")
    most = limit // 1_000_000
    return str(words % {"size": max(round(size / 1_000_000), most + 1), "limit": most})


def grid_rows(jpeg: bytes, columns: int) -> int:
    """Return how many rows of about square boxes lie over a JPEG (ITU-T T.81, B.2.2) beside so many columns."""
    at = 2
    while at + _JPEG_FRAME.size <= len(jpeg):
        marker, length, _, height, width = _JPEG_FRAME.unpack_from(jpeg, at)
        if marker in _JPEG_FRAMES and width:
            return max(2, min(MAX_ROWS, round(columns * int(height) / int(width))))
        at += 2 + length
    return columns


def _target() -> tuple[int, int]:
    """Return the file and the page (from 0) that the pressed button names; PageError where it names none."""
    parts = _TARGET.fullmatch(request.form.get("step", "").partition(":")[2])
    if not parts:
        raise _unknown_button()
    return int(parts[1]), int(parts[2] or 0)


def _ticked_boxes() -> list[Box]:
    """Return the ticked boxes of the grid that the page had, in fractions of the picture."""
    grid = _GRID.fullmatch(request.form.get("grid", ""))
    rows, columns = (int(grid[1]), int(grid[2])) if grid else (0, 0)
    boxes = []
    for value in request.form.getlist("box")[: MAX_ROWS * COLUMNS]:
        place = _GRID.fullmatch(value)
        if place and int(place[1]) < rows and int(place[2]) < columns:
            row, column = int(place[1]), int(place[2])
            boxes.append((column / columns, row / rows, (column + 1) / columns, (row + 1) / rows))
    return boxes


def _ticked_words() -> Mapping[int, Collection[int]]:
    """Return the ticked findings by the number of their file."""
    starts: dict[int, set[int]] = {}
    for value in request.form.getlist("cut"):
        if parts := _CUT.fullmatch(value):
            starts.setdefault(int(parts[1]), set()).add(int(parts[2]))
    return starts


def _unknown_button() -> PageError:
    return PageError(400, _("Something went wrong with that button. Nothing was sent. Please try again."))
