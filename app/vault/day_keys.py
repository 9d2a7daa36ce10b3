"""A batch of day keys: one recipient for each day in New Zealand, signed by the agency's desk.

The site seals to the recipient of the day alone, and the desk destroys the identity of a day 30 days later: a thief who
gets the agency's identity afterwards opens nothing that was sealed before. A batch has one form, two lines: the same
keys always give the same JSON, then comes the signature. A batch names the agency's own key, so that no batch of
another agency passes for it. The module holds no private key.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import KeyTextError
from app.vault.keys import Recipient, key_fingerprint, public_key
from app.vault.signature import SignatureContext, sign, verify

BATCH_FORMAT = "haumaru-day-keys/1"
KEEP_DAYS = 30  # from a day to the day from which the desk destroys its key
LOW_DAYS = 14  # before the last day that has a key: from then on somebody must get the next batch
MAX_BATCH_DAYS = 400
MAX_BATCH_BYTES = 1024 * 1024
_MAX_NUMBER = 10**12
_YEARS = range(2000, 9000)
_FINGERPRINT = re.compile(r"[0-9a-f]{4}( [0-9a-f]{4}){7}")


@dataclass(frozen=True)
class DayKeyBatch:
    """The day keys of an agency from the day `first` on, one a day; a batch that exists is well formed.

    `number` grows from batch to batch. `agency_key` is the fingerprint of the agency's own recipient.
    """

    number: int
    agency_key: str
    first: date
    recipients: tuple[Recipient, ...]

    def __post_init__(self) -> None:
        _check(type(self.number) is int and 0 < self.number < _MAX_NUMBER)
        _check(_FINGERPRINT.fullmatch(self.agency_key) is not None and self.first.year in _YEARS)
        _check(0 < len(self.recipients) <= MAX_BATCH_DAYS)
        # A key of two days would not be forgotten after the first, and the agency's own key never is.
        _check(len(set(self.recipients)) == len(self.recipients))
        for recipient in self.recipients:
            public_key(recipient)
            _check(key_fingerprint([recipient]) != self.agency_key)

    @property
    def last(self) -> date:
        """The last day that has a key."""
        return self.first + timedelta(days=len(self.recipients) - 1)

    def recipient_on(self, day: date) -> Recipient | None:
        """Return the recipient of a day, or None for a day that the batch does not have."""
        return self.recipients[(day - self.first).days] if self.first <= day <= self.last else None

    def nearest_recipient(self, day: date) -> Recipient:
        """Return the recipient of a day, or of the day nearest to it: for envelopes that hold nothing."""
        return self.recipients[(min(max(day, self.first), self.last) - self.first).days]


def sign_batch(batch: DayKeyBatch, key: Ed25519PrivateKey) -> bytes:
    """Return the file of a batch: a line of JSON, then a line with the Ed25519 signature of the first in base64."""
    line = _encode(batch)
    return line + b"\n" + sign(SignatureContext.DAY_KEYS, line, key).encode() + b"\n"


def read_batch(untrusted_data: bytes, signer: bytes, own_recipients: Sequence[str]) -> DayKeyBatch:
    """Return the batch in a file, signed under the 32-byte public key `signer` for an agency with `own_recipients`.

    Raises SignatureError; KeyTextError `day-keys` for a file of another form, `other-agency` where the batch names a
    key that is not among the recipients.
    """
    lines = untrusted_data.split(b"\n") if len(untrusted_data) <= MAX_BATCH_BYTES else []
    if len(lines) != 3 or lines[2]:  # noqa: PLR2004
        raise KeyTextError("day-keys")
    verify(SignatureContext.DAY_KEYS, lines[0], lines[1], signer)
    batch = _decode(lines[0])
    if batch.agency_key not in {key_fingerprint([recipient]) for recipient in own_recipients}:
        raise KeyTextError("other-agency")
    return batch


def _encode(batch: DayKeyBatch) -> bytes:
    value = {
        "format": BATCH_FORMAT,
        "number": batch.number,
        "agency_key": batch.agency_key,
        "first": batch.first.isoformat(),
        "recipients": batch.recipients,
    }
    return json.dumps(value, separators=(",", ":")).encode()


def _decode(line: bytes) -> DayKeyBatch:
    try:
        value = json.loads(line)
        batch = DayKeyBatch(
            number=value["number"],
            agency_key=value["agency_key"],
            first=date.fromisoformat(value["first"]),
            recipients=tuple(value["recipients"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise KeyTextError("day-keys") from None
    if _encode(batch) != line:
        raise KeyTextError("day-keys")
    return batch


def _check(condition: object) -> None:
    if not condition:
        raise KeyTextError("day-keys")
