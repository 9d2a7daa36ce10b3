"""Who has checked a translated file, and whether the English it was made from is still the English.

The same record stands in front matter, in TOML files and in catalogues: `source_digest` (the first 16
hexadecimal digits of the English file's SHA-256), `status`, `reviewed_by`, `reviewed_on`. Changed English
voids a review.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

KEYS = frozenset({"source_digest", "status", "reviewed_by", "reviewed_on"})


@dataclass(frozen=True)
class Review:
    """The state of one file: made from other English than today's, and signed by a speaker."""

    stale: bool
    reviewed: bool


SOURCE = Review(stale=False, reviewed=True)


def digest(english: bytes) -> str:
    """What a translation records of the English file that it was made from: 16 hexadecimal digits."""
    return sha256(english).hexdigest()[:16]


def of(record: Mapping[str, Any], english: bytes, fault: Callable[[str], None]) -> Review:
    """The review that a translated file records, beside the English file's bytes as they are now."""
    status = record.get("status")
    if status not in ("unreviewed", "reviewed"):
        fault('status is not right; write "unreviewed" or "reviewed"')
    if not isinstance(record.get("source_digest"), str):
        fault(f'source_digest is missing; write "{digest(english)}" if it was made from the English of today')
    signed = bool(record.get("reviewed_by")) and isinstance(record.get("reviewed_on"), date)
    if status == "reviewed" and not signed:
        fault("a reviewed file says who and when; write reviewed_by, and reviewed_on as a day")
    stale = record.get("source_digest") != digest(english)
    return Review(stale=stale, reviewed=status == "reviewed" and signed and not stale)
