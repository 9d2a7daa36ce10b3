"""The straight line of one tip: draft → clean → bundle → seal → outbox.

Nothing here touches a disk before the seal, and nothing holds plaintext after it. What comes back says only
what the page must show. Refuses, with the outbox's own error, to call anything sent that is not durable.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.core.errors import BundleError
from app.delivery.clock import day
from app.delivery.outbox import Envelope, Outbox
from app.delivery.receipt_codes import ReceiptCode, new_code
from app.delivery.reply_store import DerivationQueue
from app.files.clean import CleanedFile, RefusedFile
from app.vault.age import seal
from app.vault.bundle import SIZE_CLASSES
from app.vault.tip import ReplyTo, Tip, TipFile, new_tip_id, tip_to_bundle

CleanFiles = Callable[[Sequence[bytes]], Sequence[CleanedFile | RefusedFile]]


@dataclass(frozen=True)
class Draft:
    """What one person wrote, cleaned and checked, and the files as they came."""

    answers: Mapping[str, str | tuple[str, ...]]
    wants_reply: bool
    nonce: bytes
    untrusted_files: tuple[bytes, ...] = ()
    answers_to: str | None = None


@dataclass(frozen=True)
class Taken:
    """What became of a draft: its receipt code if asked for, its files, and the key of a held tip."""

    code: ReceiptCode | None
    files: tuple[CleanedFile | RefusedFile, ...]
    held: bytes | None


def take(
    draft: Draft,
    *,
    agency: str,
    recipients: Sequence[str],
    outbox: Outbox,
    clean_files: CleanFiles,
    derivations: DerivationQueue,
    max_class: str,
    now: float,
) -> Taken:
    """Seal a draft and make it durable: for delivery, or, where files came with it, held until it is confirmed.

    Raises `BundleError("too-large")`, `BusyError`, or an `OutboxError`; then nothing was sent.
    """
    files = tuple(clean_files(draft.untrusted_files)) if draft.untrusted_files else ()
    code, reply = None, None
    if draft.wants_reply:
        code = new_code()
        locator, key = derivations.derive(code)
        reply = ReplyTo(key=key, locator=locator)
    tip = Tip(
        id=new_tip_id(),
        received=day(now),
        answers=draft.answers,
        files=tuple(
            TipFile(path=file.path, type=file.type, removed=file.removed, data=file.data)
            for file in files
            if isinstance(file, CleanedFile)
        ),
        reply=reply,
        answers_to=draft.answers_to,
    )
    bundle = tip_to_bundle(tip)
    if len(bundle) > SIZE_CLASSES[max_class]:
        raise BundleError("too-large")
    envelope = Envelope(id=tip.id, agency=agency, data=seal(bundle, recipients))
    if not files:
        outbox.put(envelope, nonce=draft.nonce, now=now)
        return Taken(code, (), None)
    held = secrets.token_bytes(16)
    outbox.hold(envelope, draft=held, nonce=draft.nonce, now=now)
    return Taken(code, files, held)
