"""The thread with a sender: what the desk writes, its statuses and questions, and the sender's answers, in their order.

An answer has the day on which the site took it and its number among its sender's answers of that day, both sealed; the
order in which envelopes arrive says nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

WITHDRAWAL = "withdrawal"  # the status that answers a sender who asked the desk not to pass the tip on
_REPLACED_STATUSES = frozenset({"opened", "closed"})


class MessageKind(StrEnum):
    """What a message of the desk is: a handler's words, what became of the tip, or a question of the catalogue."""

    MESSAGE = "message"
    STATUS = "status"
    QUESTION = "question"


@dataclass(frozen=True)
class ThreadMessage:
    """One message of the thread with the sender; `posted` says of the desk's own whether the site has it.

    `value` is the status or the id of the question. A status has `details` (the kinds of authority, or the reason) and
    `earliest`, the unix time before which it does not leave; `held`: a handler holds it back for good. Only a sender's
    answer has `number`, `replies` (by question) and `withdraw`.
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
    details: tuple[str, ...] = ()
    earliest: int = 0
    held: bool = False


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
    return {"kind": "status", "status": message.value, **when, "details": list(message.details)}


def is_by_handler(message: ThreadMessage) -> bool:
    """Return whether a handler decided to write a message of the desk; the desk writes other statuses by itself."""
    return message.kind is not MessageKind.STATUS or message.value == WITHDRAWAL


def unposted_messages(messages: Iterable[ThreadMessage], first_day: date) -> list[ThreadMessage]:
    """Return what the desk wrote since a day, the site does not have yet, and should have.

    "Opened" and "closed" are left out where a newer status says more: the sender reads the newest. That a tip was
    referred is always said.
    """
    kept = [one for one in messages if one.who and not one.held]
    statuses = [one for one in kept if one.kind is MessageKind.STATUS]
    replaced = {one.id for one in statuses[:-1] if one.value in _REPLACED_STATUSES}
    return [one for one in kept if not one.posted and one.day >= first_day and one.id not in replaced]
