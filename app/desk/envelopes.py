"""Open one envelope: to the words of a tip, a part of its files, the words of a referral, or an authority's question.

Anyone may seal to a published key, so what comes out is checked for form, never for truth. Only here, after opening,
does anybody learn whether an envelope is a decoy. A file's name is the id inside, and may hold the beginning of the
envelope's SHA-256 too, so that no envelope takes the place of another that bears the same id.
"""

import re
import shutil
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from app.core.durable import write_atomically
from app.core.errors import DeliveryError, EnvelopeError
from app.delivery.clock import nz_midnight
from app.delivery.outbox import Envelope
from app.desk.question_bundle import AuthorityQuestion, read_question
from app.desk.referral import ReferralWords, read_referral
from app.vault.age_open import unseal
from app.vault.bundle import first_member
from app.vault.part import Part, read_part
from app.vault.tip import TipId
from app.vault.tip_bundles import Words, read_words

MAX_FILE_BYTES = 256 * 1024  # the envelope of one bundle, made by any age tool
MIN_FREE_BYTES = 256 * 1024**2  # of the inbox's disk: with less, no envelope is taken in
Opened = Words | Part | ReferralWords | AuthorityQuestion
_NAME = re.compile(r"([0-9a-hjkmnp-tv-z]{26})(?:\.[0-9a-f]{16})?\.age")


def id_from_name(name: str) -> TipId | None:
    """Return the id in the file name of an envelope, or None for a name of another form."""
    match = _NAME.fullmatch(name)
    return TipId(match[1]) if match else None


def deposit_envelope(inbox: Path, envelope: Envelope) -> bool:
    """Write an envelope into the inbox durably; return False where these very bytes lie there already.

    No envelope takes the place of another that bears the same id. The file's times are the beginning of the day. Raises
    DeliveryError: `receiver-full` while less than 256 MiB are free, `disk`.
    """
    path = inbox / f"{envelope.id}.{sha256(envelope.data).hexdigest()[:16]}.age"
    try:
        if path.exists():
            return False
        if shutil.disk_usage(inbox).free < MIN_FREE_BYTES:
            raise DeliveryError("receiver-full")
        write_atomically(path, envelope.data, timestamp=nz_midnight(time.time()).timestamp())
    except OSError:
        raise DeliveryError("disk") from None
    return True


def read_envelope_file(path: Path) -> bytes:
    """Return the bytes of an envelope's file; raises EnvelopeError `too-large`, OSError."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise EnvelopeError("too-large")
    return path.read_bytes()


def open_envelope(data: bytes, identities: Sequence[str]) -> Opened:
    """Return what is in an envelope; raises EnvelopeError, BundleError, and RefusedError `signature`."""
    return read_opened(unseal(data, identities))


def read_opened(bundle: bytes) -> Opened:
    """Return what is in an opened envelope; raises BundleError, and RefusedError `signature`."""
    first = first_member(bundle)
    if first == "part.json":
        return read_part(bundle)
    if first == "question.json":
        return read_question(bundle)
    return read_referral(bundle) if first == "referral.json" else read_words(bundle)


def open_envelope_file(name: str, data: bytes, identities: Sequence[str]) -> Opened:
    """Return what is in the envelope of a file; raises as `open_envelope`, and `name` where the id is not the file's.

    A file of another name would let an envelope pass for another one.
    """
    opened = open_envelope(data, identities)
    require_name(name, opened)
    return opened


def require_name(name: str, opened: Opened) -> None:
    """Raise EnvelopeError `name` unless a file has the id that stands inside its envelope."""
    if opened_id(opened) != id_from_name(name):
        raise EnvelopeError("name")


def opened_id(opened: Opened) -> TipId:
    """Return the id that stands inside an envelope."""
    if isinstance(opened, Part | AuthorityQuestion):
        return opened.id
    return opened.tip.id if isinstance(opened, Words) else opened.referral.id
