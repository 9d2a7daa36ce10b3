"""What the sender wrote later, as texts that a handler can redact, reword and refer with the tip.

A later message goes with a referral only if a handler chooses so for this very message: one that arrives after a
handler has looked never goes by itself. The field of such a text has the id of the message in its name; a referral
has a number there, because it names no internal id. A message whose own case is locked is not among the texts.
"""

import re
from collections.abc import Iterable, Mapping

from app.core.unicode import clean_text
from app.desk.case import Case
from app.desk.case_fields import State
from app.desk.cases import Cases
from app.desk.errors import RefusedError
from app.desk.thread import ThreadMessage
from app.vault.asked_questions import replies_text

MAX_LATER = 20_000  # characters of all later messages whose words can be marked; a message beyond them is not sent
_LATER = "later-"
_REFERRED_LATER = re.compile(r"written-later-[1-9][0-9]?")


def is_later(name: str) -> bool:
    """Return whether a field is a later message of the sender."""
    return name.startswith(_LATER)


def later_messages(case: Case, cases: Cases) -> dict[str, ThreadMessage]:
    """Return the sender's later messages with words, by field, in the order of the thread, as far as they fit."""
    found: dict[str, ThreadMessage] = {}
    left = MAX_LATER
    for message in case.thread:
        size = len(message_text(message))
        if message.who or not 0 < size <= left or _is_locked(message.id, cases):
            continue
        found[f"{_LATER}{message.id}"] = message
        left -= size
    return found


def _is_locked(tip: str, cases: Cases) -> bool:
    try:
        return cases.get(tip).state is State.OBJECTIONABLE
    except RefusedError:  # the case of the message was destroyed at the end of its time
        return False


def message_text(message: ThreadMessage) -> str:
    """Return what a sender wrote in a later message, and below it what the sender said to questions of the desk."""
    return clean_text("\n\n".join(filter(None, (message.text, replies_text(message.replies)))))


def referred_names(names: Iterable[str]) -> Mapping[str, str]:
    """Return the name that each field has in a referral: later messages are counted from 1, in their order."""
    renamed: dict[str, str] = {}
    count = 0
    for name in names:
        count += is_later(name)
        renamed[name] = f"written-later-{count}" if is_later(name) else name
    return renamed


def later_label(name: str) -> str:
    """Return what a handler reads for the field of a later message, at the desk or in a referral; "" for another."""
    if is_later(name):
        return "What the sender wrote later"
    if _REFERRED_LATER.fullmatch(name):
        return f"What the sender wrote later ({name.rpartition('-')[2]})"
    return ""
