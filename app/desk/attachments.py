"""The files of a tip as a handler sees them: cleaned again in the sandbox, and kept in memory only.

Anyone may seal to a published key, so what a bundle calls clean is not trusted. A file that cannot be made safe is
not shown. A PDF is shown as pictures of its pages.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.core.errors import BundleError, BusyError, FileRefusedError
from app.desk.case import Case
from app.desk.cases import Cases
from app.desk.errors import RefusedError
from app.desk.parts import PartStore
from app.files.clean import CleanedFile, CleanLimits, RefusedFile, clean_files, pdf_page_images, redact_file
from app.files.protocol import Box

_LIMITS = CleanLimits(files=10, bytes_in=128_000_000, seconds=120.0)
_MAX_WAIT, _PAUSE = 20.0, 0.1  # seconds
_CACHED_TIPS = 4  # whose files stay in memory


@dataclass(frozen=True)
class Attachment:
    """One file of a tip: its path there, the file as cleaned here or why not, and the pages of a PDF as pictures."""

    path: str
    result: CleanedFile | RefusedFile
    pages: tuple[CleanedFile, ...] = ()

    @property
    def kind(self) -> str:
        """How the file is shown: `picture`, `pages`, `sound`, `video`, `text`, or `refused`."""
        if isinstance(self.result, RefusedFile):
            return "refused"
        if self.pages:
            return "pages"
        family = self.result.type.partition("/")[0]
        return {"image": "picture", "audio": "sound", "video": "video"}.get(family, "text")


class Attachments:
    """The files of the tips that were opened last."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases
        self._cache: OrderedDict[str, tuple[Attachment, ...]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def parts(self) -> PartStore:
        """The parts that bring the files."""
        return self._cases.parts

    def of(self, case: Case) -> tuple[Attachment, ...]:
        """Return the files of a tip, cleaned again; none while a part of them is missing.

        Raises RefusedError `objectionable` or `store-damaged`, and BusyError after 20 seconds.
        """
        if not case.files or not self._cases.parts.is_complete(case):
            return ()
        with self._lock:
            if case.id not in self._cache:
                self._cache[case.id] = _clean_attachments(self._cases, case)
            self._cache.move_to_end(case.id)
            while len(self._cache) > _CACHED_TIPS:
                self._cache.popitem(last=False)
            return self._cache[case.id]

    def one(self, case: Case, number: int) -> Attachment:
        """Return one file, counted from 1; raises RefusedError `file`, and what `of` raises."""
        files = self.of(case)
        if not 1 <= number <= len(files):
            raise RefusedError("file")
        return files[number - 1]

    def forget(self, tip: str) -> None:
        """Drop a tip's files from memory."""
        with self._lock:
            self._cache.pop(tip, None)


def _clean_attachments(cases: Cases, case: Case) -> tuple[Attachment, ...]:
    try:
        files = cases.original(case).files
        results = _clean_when_free([file.data for file in files])
    except FileRefusedError as error:
        return _all_refused(case, error.code)
    except BundleError:  # the sender proves parts that do not make the files that the words name
        return _all_refused(case, "damaged")
    pairs = enumerate(zip(files, results, strict=True), 1)
    return tuple(_attachment(number, file.path, result) for number, (file, result) in pairs)


def _all_refused(case: Case, code: str) -> tuple[Attachment, ...]:
    return tuple(Attachment(file.path, RefusedFile(number, code)) for number, file in enumerate(case.files, 1))


def _clean_when_free(untrusted_files: Sequence[bytes]) -> tuple[CleanedFile | RefusedFile, ...]:
    """Clean files as soon as the machine's other cleaning leaves room; raises BusyError after 20 seconds."""
    end = time.monotonic() + _MAX_WAIT
    while True:
        try:
            return clean_files(untrusted_files, limits=_LIMITS)
        except BusyError:
            if time.monotonic() > end:
                raise
            time.sleep(_PAUSE)


def _attachment(number: int, path: str, result: CleanedFile | RefusedFile) -> Attachment:
    if isinstance(result, RefusedFile) or result.type != "application/pdf":
        return Attachment(path, result)
    try:
        return Attachment(path, result, pdf_page_images(result.data))
    except FileRefusedError as error:
        return Attachment(path, RefusedFile(number, error.code))


def burn_boxes(attachment: Attachment, boxes: Mapping[int, Sequence[Box]]) -> CleanedFile:
    """Return a picture or PDF with boxes burnt into its pixels; raises RefusedError `file` for another type."""
    if attachment.kind not in {"picture", "pages"} or isinstance(attachment.result, RefusedFile):
        raise RefusedError("file")
    if not any(boxes.values()):
        return attachment.result
    try:
        return redact_file(attachment.result.data, boxes)
    except FileRefusedError:
        raise RefusedError("file") from None


def page_images(pdf: CleanedFile) -> tuple[CleanedFile, ...]:
    """Return the pages of a PDF as pictures; raises RefusedError `file`."""
    try:
        return pdf_page_images(pdf.data)
    except FileRefusedError:
        raise RefusedError("file") from None
