"""What a handler reads for a code of ours: states, views, kinds, answers, actions of the journal, background work.

A code that has no label is shown as the code, so that an old journal stays readable. No label holds a word of a tip.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from app.desk.case import Case
from app.desk.case_fields import State
from app.desk.errors import SENTENCES
from app.desk.seat import MACHINE, Role, Seat, SeatNews
from app.desk.thread import ThreadMessage
from app.vault.tip import SCHEMA

STATE_LABELS: Mapping[State, str] = MappingProxyType(
    {
        State.NEW: "New",
        State.WORK: "In progress",
        State.WAITING: "Waiting for release",
        State.REFERRED: "Referred",
        State.CLOSED: "Closed",
        State.OBJECTIONABLE: "Locked",
    }
)
VIEW_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "open": "To do",
        "withdrawn": "Do not pass on",
        "asked": "Authority asks",
        "answered": "Sender wrote again",
        "all": "All",
    }
    | {str(state): label for state, label in STATE_LABELS.items()}
)
KIND_LABELS: Mapping[str, str] = MappingProxyType({kind.value: kind.label for kind in SCHEMA.kinds})

_ANSWERS = {"yes": "yes", "no": "no", "unsure": "the sender is not sure"}
_WORK = {
    "delivery": "Sending referrals",
    "inbox": "Opening new tips",
    "destroying": "Destroying closed tips",
    "sending": "Checking interrupted referrals",
    "journal": "Writing the journal",
    "common": "Comparing tips",
    "replies": "Sending replies to the site",
    "overdue": "Counting overdue tips",
    "mailbox": "Fetching envelopes from the mailbox",
}
_ACTIONS = {
    "received": "received a tip",
    "files-complete": "received all files",
    "set-aside": "set an envelope aside",
    "tried-again": "tried to open an envelope again",
    "destroyed-aside": "destroyed envelopes that were set aside",
    "opened": "opened the tip",
    "read-answer": "read an answer from the sender",
    "claimed": "claimed the tip",
    "gave-back": "gave the tip back",
    "gave": "gave the tip to a colleague",
    "was-given": "was given the tip",
    "due": "set the day by which the tip is due",
    "took-away": "took the tip from another person",
    "noted": "wrote a note",
    "redacted": "saved a redaction",
    "reworded": "saved own words",
    "let-stand": "saved own words, and let words stand that were taken out or are the sender's",
    "translated": "saved a translation",
    "needs-translator": "changed if the tip needs a translator",
    "prepared": "prepared a referral for a second person",
    "sent-back": "sent a prepared referral back",
    "referred": "referred the tip",
    "to-translator": "sent the redacted text to a translator",
    "in-outbox": "put the envelopes into the outbox",
    "not-sent": "could not send the envelopes",
    "interrupted": "found that the desk stopped while sending",
    "confirmed-key": "compared a key by voice",
    "replied": "wrote a reply",
    "asked": "asked the sender questions",
    "question-received": "received a question from an authority",
    "question-ended": "received a question about a tip that is destroyed or locked",
    "reference-ended": "noted the reference of a referral whose tip is destroyed",
    "question-put": "put an authority's question to the sender",
    "question-declined": "declined an authority's question",
    "question-refused": "told an authority that the desk cannot ask",
    "question-not-told": "chose to tell an authority nothing",
    "answering": "prepared an answer to an authority",
    "answered-request": "answered the request not to pass the tip on",
    "despite-request": "passed the tip on although the sender asked you not to",
    "told": "wrote to the sender what became of the tip",
    "held-back": "held back a message to the sender",
    "silenced": "chose to tell the sender nothing",
    "told-again": "chose to tell the sender again what becomes of the tip",
    "reply-posted": "sent a reply to the site",
    "outcome": "saved the outcome",
    "published": "saved the figures to publish",
    "joined": "joined the tip with another",
    "taken-apart": "took the tip apart from another",
    "closed": "closed the tip",
    "reopened": "opened the tip again",
    "undone": "took back that the tip was closed",
    "objectionable": "locked the tip",
    "refused": "tried to open a locked tip",
    "printed": "printed the tip",
    "exported": "exported the tip",
    "destroyed": "destroyed the tip",
    "made-day-keys": "made day keys for the site",
    "destroyed-day-key": "destroyed the key of a day",
    "answers-destroyed": "destroyed answers that belonged to no tip",
    "rekeyed": "sealed the store to a new key",
    "opened-to-translate": "opened the redacted text to translate it",
    "seat-added": "added a seat",
    "seat-enrolled": "chose a passphrase and registered a key",
    "seat-confirmed": "confirmed a seat",
    "seat-recovered": "took the keys and the passphrase of a seat away",
    "seat-role": "changed the role of a seat",
    "seat-disabled": "closed a seat",
    "seat-enabled": "opened a seat again",
    "seats-found": "found a change of a seat that had no line here",
    "seat-passphrase": "chose another passphrase",
    "seat-key-added": "registered a further key",
    "signed-in": "signed in",
    "copied-key": "refused a security key that may have been copied",
}

QUESTION_STATE_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "waiting": "Waiting for you",
        "put": "Put to the sender",
        "answered": "Answered",
        "declined": "Declined",
    }
)
AUTHORITY_KIND_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "trafficking": "an authority that investigates trafficking",
        "work": "an authority that checks how workers are paid and treated",
        "children": "an authority that protects children",
        "danger": "an authority that acts when someone is in danger",
    }
)
WITHDRAWAL_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "destroyed": "It was not passed on, and it will be destroyed",
        "not-passed-on": "It was not passed on, and it will not be, unless someone is in danger or the law demands it",
        "passed-on": "It had been passed on before",
        "cannot": "It cannot be kept back, because someone is in danger",
    }
)
ROLE_LABELS: Mapping[Role, str] = MappingProxyType(
    {
        Role.HANDLER: "Handler",
        Role.SUPERVISOR: "Supervisor",
        Role.TRANSLATOR: "Translator",
        Role.FIGURES: "Reader of figures",
    }
)
_NEWS = {
    "seat-added": "{by} added a seat for {seat}.",
    "seat-confirmed": "{by} confirmed the seat of {seat}.",
    "seat-recovered": "{by} took the keys and the passphrase of {seat} away, and made a new link.",
    "seat-passphrase": "{by} chose another passphrase.",
    "seat-key-added": "{by} registered a further key.",
    "seat-role": "{by} changed the role of {seat}.",
    "seat-disabled": "{by} closed the seat of {seat}.",
    "seat-enabled": "{by} opened the seat of {seat} again.",
    "copied-key": "The key of {seat} may have been copied, so the desk refused it. Take its keys away now.",
}
TOO_FEW_COUNT = (
    "Nothing can leave this desk yet: two people must agree, and the seats of fewer than two people count. Close the "
    "desk, and confirm the seats of two people at the desk's own machine: haumaru-desk seat confirm NAME"
)
_FAULTS = {
    "auth": "The password or key was refused",
    "closed": "The other end closed the connection",
    "disk": "A disk or a folder could not be written to",
    "file": "A file could not be read",
    "too-large": "The other end takes no file of this size",
    "receiver-full": "The other end has no room left",
    "redirect": "The address in desk.toml leads to another address",
    "refused": "The other end refused, and may take it later",
    "rejected": "The other end refuses for good",
    "timeout": "The other end did not answer in time",
    "tls": "The certificate of the other end is not right",
    "unreachable": "The other end cannot be reached",
}
_STATUSES = {
    "opened": "Your tip was opened",
    "referred": "Your tip was passed on",
    "closed": "Your tip was closed",
    "withdrawal": "You asked us not to pass your tip on",
}
_DETAILS = {
    **WITHDRAWAL_LABELS,
    "nothing": "too little to act on",
    "other": "not about exploitation",
    **AUTHORITY_KIND_LABELS,
}


def status_label(message: ThreadMessage) -> str:
    """Return what a status says to the sender; a status or a detail without a label is shown as its code."""
    details = "; ".join(_DETAILS.get(detail, detail) for detail in message.details)
    return f"Status: {_STATUSES.get(message.value, message.value)}{f' ({details})' if details else ''}"


def told_label(value: str) -> str:
    """Return what a sender reads of a status, without its details; a status without a label is shown as its code."""
    return _STATUSES.get(value, value)


def fault_label(code: str) -> str:
    """Return why some work or a delivery failed, in words, with the code for the person who runs the desk."""
    words = _FAULTS.get(code) or SENTENCES.get(code, "The desk has a fault").rstrip(".")
    return f"{words} ({code})"


def sent_label(message: ThreadMessage, waiting: Collection[str]) -> str:
    """Return where something is that the desk wrote; `waiting` holds the ids of what will still leave."""
    if message.posted:
        return "the sender can read this on the site"
    if message.held:
        return "held back: the sender will not see this"
    return "not on the site yet" if message.id in waiting else "not sent: it is too old, or a newer status says more"


def answer_label(value: str) -> str:
    """Return the answer to a question about danger or children; any other value counts as no answer."""
    return _ANSWERS.get(value, "the sender did not say")


def hazards_label(case: Case) -> str:
    """Return the dangers at the place that the sender ticked, "" where none is ticked."""
    return SCHEMA.answer_text("hazards", case.ticked("hazards"))


def action_label(code: str) -> str:
    """Return what a line of the journal says was done."""
    return _ACTIONS.get(code, code)


def news_label(news: SeatNews) -> str:
    """Return what a person reads of a change of a seat."""
    return _NEWS.get(news.did, "{by}: {seat}").format(by=_person(news.by), seat=news.seat)


def backers_label(seat: Seat) -> str:
    """Return who gave the link of a seat, who confirmed the seat, and on which days."""
    if not seat.backers:
        return "An earlier version of the desk, which did not note who gave a link, made this seat."
    given, *confirmed = [(_person(one.name), one.day) for one in seat.backers]
    sentences = [f"{given[0]} gave the link on {given[1]}."]
    return " ".join([*sentences, *(f"{name} confirmed the seat on {day}." for name, day in confirmed)])


def _person(name: str) -> str:
    return "Somebody at the desk's own machine" if name == MACHINE else name


def work_label(name: str) -> str:
    """Return the name of some background work."""
    return _WORK.get(name, name)


def ago_label(count: int) -> str:
    """Return how long ago something was, in days."""
    return f"{days_label(count)} ago" if count else "today"


def days_label(count: int) -> str:
    """Return a number of days in words, such as `1 day`."""
    return f"{count} day" if count == 1 else f"{count} days"
