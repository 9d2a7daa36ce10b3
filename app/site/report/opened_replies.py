"""The replies under a receipt code, opened: what a desk wrote to a sender, in the order in which the desk wrote it.

A reply that does not open hides no other. A reply of a kind, or a status, that this site does not know is opened and
not shown, so that the sender can have it deleted with the others. What a desk wrote stays text; the words of a status
are the site's own, in the language of the page.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from flask_babel import format_date
from flask_babel import gettext as _

from app.core.errors import N_, ReplyError
from app.delivery.receipt_codes import Locator
from app.vault.reply import open_reply

# What became of a report, by the status that the desk seals (docs/formats.md, "Reply").
_STATUSES: Mapping[str, str] = {
    "opened": N_("Your report was opened on %(day)s"),
    "referred": N_("Your report was passed on to another agency on %(day)s"),
    "closed": N_("Your report was closed on %(day)s"),
    "withdrawal": N_("The agency answered your request on %(day)s"),
}
_KINDS: Mapping[str, str] = {
    "trafficking": N_("Your report went to an agency that investigates people trafficking."),
    "work": N_("Your report went to an agency that checks how workers are paid and treated."),
    "children": N_("Your report went to an agency that protects children."),
    "danger": N_("Your report went to an agency that acts when someone is in danger."),
}
_DETAILS: Mapping[str, Mapping[str, str]] = {
    "referred": _KINDS,
    "withdrawal": {
        "destroyed": N_("Your report was not passed on. The agency is destroying your report."),
        "not-passed-on": N_(
            "Your report was not passed on. The agency will not pass your report on, unless someone is in danger or the"
            " law demands it."
        ),
        "passed-on": N_("Your report had been passed on before your request came."),
        "cannot": N_("Someone is in danger, so the agency cannot keep your report back."),
        **_KINDS,
    },
    "closed": {
        "nothing": N_("There was too little to act on. You can write more with the same code."),
        "other": N_(
            "The agency understood that your report was not about people being exploited. If that is wrong, write more"
            " with the same code."
        ),
    },
}
_MEANINGS: Mapping[str, str] = {
    "opened": N_("The agency can write to you here. You can come back another day with the same code."),
    "closed": N_("The agency has finished its work on your report. You can still write more with the same code."),
}


@dataclass(frozen=True)
class OpenedReply:
    """One reply as the page shows it: its day, its place in the thread, and what the desk wrote.

    `kind` is that of the reply; `text` holds the words of a message, `value` and `details` those of a status as codes,
    and `value` the id of a question.
    """

    day: date
    number: int
    kind: str
    text: str = ""
    value: str = ""
    details: tuple[str, ...] = ()

    @property
    def day_text(self) -> str:
        """The day in the language of the page, "" where the desk gave no day."""
        return "" if self.day == date.min else format_date(self.day, "long")

    @property
    def title(self) -> str:
        """What a status says, with its day, in the language of the page."""
        sentence: str = _(_STATUSES[self.value], day=self.day_text)
        return sentence

    @property
    def sentences(self) -> list[str]:
        """What a status says beside its title, in the language of the page."""
        known = _DETAILS.get(self.value, {})
        found = [known[detail] for detail in self.details if detail in known]
        meaning = [] if found else [_MEANINGS[self.value]] if self.value in _MEANINGS else []
        return [_(sentence) for sentence in (*found, *meaning)]


@dataclass
class OpenedReplies:
    """The replies under one locator that a page shows, in the order in which the desk wrote them.

    `questions` are the ids of the questions that the desk asked, in the same order: the page shows them in its form.
    `digests` are the SHA-256 of the sealed replies that opened; `unopened` counts the others.
    """

    replies: list[OpenedReply]
    questions: list[str]
    digests: list[str]
    unopened: int

    @property
    def newest_status(self) -> OpenedReply | None:
        """The last status, or None."""
        return next((reply for reply in reversed(self.replies) if reply.kind == "status"), None)

    @property
    def is_status_only(self) -> bool:
        """Whether the desk wrote nothing but statuses."""
        return all(reply.kind == "status" for reply in self.replies)


def open_replies(sealed: Sequence[bytes], key: bytes, locator: Locator) -> OpenedReplies:
    """Open the replies under a locator; one that does not open hides no other."""
    replies, digests = [], []
    for each in sealed:
        with suppress(ReplyError):
            fields = open_reply(each, key, locator)
            digests.append(hashlib.sha256(each).hexdigest())
            replies += _read_reply(fields)
    replies.sort(key=lambda reply: (reply.day, reply.number))
    questions = [reply.value for reply in replies if reply.kind == "question"]
    shown = [reply for reply in replies if reply.kind != "question"]
    return OpenedReplies(shown, questions, digests, len(sealed) - len(digests))


def _read_reply(fields: Mapping[str, object]) -> list[OpenedReply]:
    """Return what the page shows of an opened reply: nothing, where this site does not know its kind or status."""
    day, number, status = _read_day(fields.get("day")), fields.get("number"), str(fields.get("status"))
    place = number if isinstance(number, int) else 0
    if fields.get("kind") == "message":
        return [OpenedReply(day, place, "message", text=str(fields.get("text", "")))]
    if fields.get("kind") == "question":
        return [OpenedReply(day, place, "question", value=str(fields.get("question", "")))]
    details = fields.get("details")
    if fields.get("kind") != "status" or status not in _STATUSES or day == date.min:
        return []
    known = tuple(detail for detail in details if isinstance(detail, str)) if isinstance(details, list) else ()
    return [OpenedReply(day, place, "status", value=status, details=known)]


def _read_day(value: object) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return date.min
