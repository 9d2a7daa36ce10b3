"""Submit a first tip or an answer to a reply: clean its files, pack it, seal it, and put it into the outbox.

`submit` touches no disk before the tip is sealed and keeps no plaintext after it. It returns only once the outbox has
the envelope on disk; where the outbox cannot promise that, it raises, and nothing was sent.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.core.errors import BundleError
from app.delivery.clock import days_left, nz_day
from app.delivery.outbox import Envelope, Outbox
from app.files.clean import CleanedFile, RefusedFile
from app.site.config import AgencyConfig
from app.vault.age import seal
from app.vault.bundle import SIZE_CLASSES
from app.vault.tip import ReplyTo, Tip, TipFile, new_tip_id, tip_to_bundle

CleanFiles = Callable[[Sequence[bytes]], Sequence[CleanedFile | RefusedFile]]
CleanedFiles = tuple[CleanedFile | RefusedFile, ...]


@dataclass(frozen=True)
class Submission:
    """What one person sends: answers without hidden characters and within their limits, and files as they came.

    `nonce` makes a form send once. `reply_to` is where the desk may leave a reply; `answers_to` is the locator of the
    reply that this submission answers.
    """

    answers: Mapping[str, str | tuple[str, ...]]
    nonce: bytes
    untrusted_files: tuple[bytes, ...] = ()
    reply_to: ReplyTo | None = None
    answers_to: str | None = None


@dataclass(frozen=True)
class Submitted:
    """What became of the files of a submission, and the 16-byte key of a held tip; None for one that is on its way."""

    files: CleanedFiles = ()
    held: bytes | None = None


def submit(
    submission: Submission, *, agency: AgencyConfig, outbox: Outbox, clean_files: CleanFiles, now: float
) -> Submitted:
    """Seal a submission to an agency and put it into the outbox; with files, hold it there until it is confirmed.

    `now` is in unix seconds; the tip keeps only its day. Raises BundleError `too-large`, FileRefusedError, BusyError
    or an OutboxError; then nothing was sent.
    """
    files = tuple(clean_files(submission.untrusted_files)) if submission.untrusted_files else ()
    tip = _tip(submission, files, now)
    bundle = tip_to_bundle(tip)
    if len(bundle) > SIZE_CLASSES[agency.max_class]:
        raise BundleError("too-large")
    envelope = Envelope(id=tip.id, agency=agency.id, data=seal(bundle, agency.recipients))
    if not files:
        outbox.put(envelope, nonce=submission.nonce, now=now)
        return Submitted()
    held = secrets.token_bytes(16)
    outbox.hold(envelope, draft=held, nonce=submission.nonce, now=now)
    return Submitted(files, held)


def is_closed(agency: AgencyConfig, now: float) -> bool:
    """Return whether the key of an agency has expired, so that no form may take reports for it."""
    return days_left(agency.expires, now) < 0


def _tip(submission: Submission, files: CleanedFiles, now: float) -> Tip:
    return Tip(
        id=new_tip_id(),
        received=nz_day(now),
        answers=submission.answers,
        files=tuple(
            TipFile(path=file.path, type=file.type, removed=file.removed, data=file.data)
            for file in files
            if isinstance(file, CleanedFile)
        ),
        reply=submission.reply_to,
        answers_to=submission.answers_to,
    )
