"""What a handler reads as the details of a line of the journal: words for the codes that the line holds.

A code that has no words is shown as the code, so that a journal of another version stays readable. Ids of tips are cut
to the six characters that every page shows. The hash of an envelope is left out: the exported journal has it.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.desk.case_fields import OUTCOMES, REASONS, Outcome
from app.desk.journal import JournalEntry
from app.desk.labels import STATE_LABELS, WITHDRAWAL_LABELS, told_label
from app.desk.withdrawal_request import REASONS_DESPITE

_TIP_ID = re.compile(r"\b([0-9a-z]{6})[0-9a-z]{20}\b")
_ENVELOPE = re.compile(r"\benvelope [0-9a-f]{64}\b ?")
_STATES: Mapping[str, str] = {str(state): label for state, label in STATE_LABELS.items()}
_OUTCOMES: Mapping[str, str] = {str(outcome): OUTCOMES[outcome] for outcome in Outcome}


def _closed(what: str) -> str:
    reason, _, repeats = what.partition(" ")
    words = REASONS.get(reason, reason)
    return f"{words}: tip {repeats}" if repeats else words


def _received(what: str) -> str:
    words = {"answers": "an answer to tip", "withdraws": ", and asks not to pass the tip on"}
    return " ".join(words.get(part, part) for part in what.split()).replace(" ,", ",")


def _told(what: str) -> str:
    return f"The sender reads: {told_label(what)}"


_DETAILS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "answered-request": lambda what: WITHDRAWAL_LABELS.get(what, what),
        "closed": _closed,
        "despite-request": lambda what: REASONS_DESPITE.get(what, what),
        "due": lambda what: what or "No day",
        "joined": lambda what: f"with tip {what}",
        "opened": lambda what: _STATES.get(what, what),
        "outcome": lambda what: _OUTCOMES.get(what, what),
        "received": _received,
        "taken-apart": lambda what: f"from tip {what}",
        "told": _told,
    }
)


def details_label(entry: JournalEntry, parties: Mapping[str, str]) -> str:
    """Return the details of a line in words; `parties` has the name of each authority and translator by its id."""
    if entry.did in {"referred", "to-translator"}:
        return ", ".join(parties.get(one, one) for one in entry.what.removeprefix("to ").split())
    what = _TIP_ID.sub(r"\1", _ENVELOPE.sub("", entry.what)).strip()
    label = _DETAILS.get(entry.did)
    return label(what) if label and (what or entry.did in {"due", "outcome"}) else what
