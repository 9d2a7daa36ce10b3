"""The thread with a sender: what the desk writes, its statuses and questions, and the sender's answers, in their order.

An answer has the day on which the site took it and its number among its sender's answers of that day, both sealed; the
order in which envelopes arrive says nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


class MessageKind(StrEnum):
    """What a message of the desk is: a handler's words, what became of the tip, or a question of the catalogue."""

    MESSAGE = "message"
    STATUS = "status"
    QUESTION = "question"


@dataclass(frozen=True)
class ThreadMessage:
    """One message of the thread with the sender; `posted` says of the desk's own whether the site has it.

    `value` is the status or the id of the question. Only a sender's answer has `number`, `replies` (by question) and
    `withdraw`.
    """

    day: date
    who: str  # a handler's name; "" means the sender
    text: str
    id: str = ""
    posted: bool = False
    kind: MessageKind = MessageKind.MESSAGE
    value: str = ""
    number: int = 0
    replies: Mapping[str, str] = field(default_factory=dict)
    withdraw: bool = False


def sorted_thread(messages: Iterable[ThreadMessage]) -> tuple[ThreadMessage, ...]:
    """Return messages by day, and a sender's answers of one day by their number; all else stays in its order.

    The answers of a day fill the places that answers of that day have, so that what the desk wrote keeps its own.
    """
    by_day = sorted(messages, key=lambda message: message.day)
    answers = sorted((one for one in by_day if not one.who), key=lambda one: (one.day, one.number))
    following = iter(answers)
    return tuple(next(following) if not one.who else one for one in by_day)


def sealed_fields(message: ThreadMessage, number: int) -> dict[str, object]:
    """Return what a reply says of a message to its sender, `number` being its place in the thread (docs/formats.md)."""
    when = {"day": message.day.isoformat(), "number": number}
    if message.kind is MessageKind.MESSAGE:
        return {"kind": "message", "text": message.text, **when}
    if message.kind is MessageKind.QUESTION:
        return {"kind": "question", "question": message.value, **when}
    return {"kind": "status", "status": message.value, **when}


def unposted_messages(messages: Iterable[ThreadMessage], first_day: date) -> list[ThreadMessage]:
    """Return what the desk wrote since a day and the site does not have yet."""
    return [one for one in messages if one.who and not one.posted and one.day >= first_day]
