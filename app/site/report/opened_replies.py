"""The replies under a receipt code, opened: what a desk wrote to a sender, in the order in which the desk wrote it.

A reply that does not open hides no other. A reply of a kind that this site does not know is opened and not shown, so
that the sender can have it deleted with the others. What a desk wrote stays text.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from flask_babel import format_date

from app.core.errors import ReplyError
from app.delivery.receipt_codes import Locator
from app.vault.reply import open_reply


@dataclass(frozen=True, order=True)
class ReplyMessage:
    """What a desk wrote: the day on which it did, its place in the thread, and its text."""

    day: date
    number: int
    text: str

    @property
    def day_text(self) -> str:
        """The day in the language of the page, "" where the desk gave no day."""
        return "" if self.day == date.min else format_date(self.day, "long")


@dataclass
class OpenedReplies:
    """The messages of the replies under one locator in the order in which the desk wrote them.

    `digests` are the SHA-256 of the sealed replies that opened; `unopened` counts the others.
    """

    messages: list[ReplyMessage]
    digests: list[str]
    unopened: int


def open_replies(sealed: Sequence[bytes], key: bytes, locator: Locator) -> OpenedReplies:
    """Open the replies under a locator; one that does not open hides no other."""
    messages, digests = [], []
    for each in sealed:
        with suppress(ReplyError):
            fields = open_reply(each, key, locator)
            digests.append(hashlib.sha256(each).hexdigest())
            if fields.get("kind") == "message":
                messages.append(_read_message(fields))
    return OpenedReplies(sorted(messages), digests, len(sealed) - len(digests))


def _read_message(fields: Mapping[str, object]) -> ReplyMessage:
    number = fields.get("number")
    try:
        day = date.fromisoformat(str(fields.get("day")))
    except ValueError:
        day = date.min
    return ReplyMessage(day, number if isinstance(number, int) else 0, str(fields.get("text", "")))
