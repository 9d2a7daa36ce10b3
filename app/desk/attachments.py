"""Files as a handler sees them: cleaned again in the sandbox, whoever sealed them, and kept in memory only.

Anyone may seal to a published key, so what a bundle calls clean is not believed. A file that cannot be made safe is
not shown. A PDF is shown as pictures of its pages.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.core.errors import BusyError, FileRefusedError
from app.desk.case import Case
from app.desk.cases import Cases
from app.desk.errors import RefusedError
from app.files.clean import CleanedFile, CleanLimits, RefusedFile, clean_files, pdf_page_images, redact_file
from app.files.protocol import Box

_LIMITS = CleanLimits(files=10, bytes_in=34_000_000, seconds=120.0)
_PATIENCE, _PAUSE = 20.0, 0.1  # seconds
_KEPT = 4  # tips whose files stay in memory


@dataclass(frozen=True)
class Attachment:
    """One file of a tip: its path there, and what became of it here."""

    path: str
    result: CleanedFile | RefusedFile
    pages: tuple[CleanedFile, ...] = ()

    @property
    def kind(self) -> str:
        """How it is shown: `picture`, `pages`, `sound`, `video`, `text`, or `refused`."""
        if isinstance(self.result, RefusedFile):
            return "refused"
        if self.pages:
            return "pages"
        family = self.result.type.partition("/")[0]
        return {"image": "picture", "audio": "sound", "video": "video"}.get(family, "text")


class Attachments:
    """The files of the tips that were looked at last."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases
        self._kept: OrderedDict[str, tuple[Attachment, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, case: Case) -> tuple[Attachment, ...]:
        """The files of a tip, cleaned again; raises RefusedError, or BusyError."""
        if not case.files:
            return ()
        with self._lock:
            if case.id not in self._kept:
                self._kept[case.id] = _look(self._cases, case)
            self._kept.move_to_end(case.id)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[case.id]

    def one(self, case: Case, number: int) -> Attachment:
        """One file, counted from 1; raises RefusedError `file`."""
        files = self.of(case)
        if not 1 <= number <= len(files):
            raise RefusedError("file")
        return files[number - 1]

    def forget(self, tip: str) -> None:
        """Drop a tip's files from memory."""
        with self._lock:
            self._kept.pop(tip, None)


def _look(cases: Cases, case: Case) -> tuple[Attachment, ...]:
    tip = cases.envelope(case)
    results = _clean([file.data for file in tip.files])
    return tuple(_seen(file.path, result) for file, result in zip(tip.files, results, strict=True))


def _clean(untrusted_files: Sequence[bytes]) -> tuple[CleanedFile | RefusedFile, ...]:
    """Clean them when the machine's other work leaves room; raises BusyError when it does not for a while."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return clean_files(untrusted_files, limits=_LIMITS)
        except BusyError:
            if time.monotonic() > end:
                raise
            time.sleep(_PAUSE)


def _seen(path: str, result: CleanedFile | RefusedFile) -> Attachment:
    if isinstance(result, RefusedFile) or result.type != "application/pdf":
        return Attachment(path, result)
    try:
        return Attachment(path, result, pdf_page_images(result.data))
    except FileRefusedError as error:
        return Attachment(path, RefusedFile(result.path.count("."), error.code))


def burn_boxes(seen: Attachment, boxes: Mapping[int, Sequence[Box]]) -> CleanedFile:
    """A picture or PDF with boxes burnt into its pixels; raises RefusedError `file` where it is neither."""
    if seen.kind not in {"picture", "pages"} or isinstance(seen.result, RefusedFile):
        raise RefusedError("file")
    if not any(boxes.values()):
        return seen.result
    try:
        return redact_file(seen.result.data, boxes)
    except FileRefusedError:
        raise RefusedError("file") from None


def page_images(made: CleanedFile) -> tuple[CleanedFile, ...]:
    """The pages of a PDF as pictures; raises RefusedError `file`."""
    try:
        return pdf_page_images(made.data)
    except FileRefusedError:
        raise RefusedError("file") from None
