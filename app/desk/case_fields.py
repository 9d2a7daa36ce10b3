"""The values of which a case is made: its state, its outcome, its files, its notes, its draft and what was sent.

All are frozen, and none asks who may do what: that is for `Case`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from app.files.protocol import Box
from app.vault.tip import TipId

Span = tuple[int, int]


class State(StrEnum):
    """The state of a tip."""

    NEW = "new"
    WORK = "work"
    WAITING = "waiting"
    REFERRED = "referred"
    CLOSED = "closed"
    OBJECTIONABLE = "objectionable"


OPEN_STATES = frozenset({State.NEW, State.WORK, State.WAITING, State.REFERRED})
REDACTABLE_STATES = OPEN_STATES - {State.WAITING}  # nobody changes a prepared referral


class Outcome(StrEnum):
    """What came of a tip, as far as the desk was told."""

    UNKNOWN = ""
    NO_ACTION = "no-action"
    INVESTIGATED = "investigated"
    VICTIM_SAFE = "victim-safe"


REASONS: Mapping[str, str] = {
    "finished": "Referred and finished",
    "nothing": "Too little information to act on",
    "other": "Not about exploitation",
    "repeat": "The same as another tip",
    "test": "A test, or nonsense",
    "withdrawn": "The sender asked you to destroy it",
}
OUTCOMES: Mapping[Outcome, str] = {
    Outcome.UNKNOWN: "Not known yet",
    Outcome.NO_ACTION: "The authority took no action",
    Outcome.INVESTIGATED: "The authority investigated",
    Outcome.VICTIM_SAFE: "A victim is safe",
}


@dataclass(frozen=True)
class CaseFile:
    """A file of the tip, without its bytes."""

    path: str
    type: str
    removed: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class CaseNote:
    """Words of a handler about a tip; they never leave the desk."""

    day: date
    who: str
    text: str


@dataclass(frozen=True)
class Rewording:
    """Own words in place of one text; while they are not `used`, the desk keeps them in case the handler wants them.

    `let_stand` has the marks of the places that a handler allows to go (`leftovers`), and `written_from` the digest of
    each text that the handler had in view, by field.
    """

    text: str
    used: bool = True
    let_stand: tuple[str, ...] = ()
    written_from: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RedactionDraft:
    """What a handler chose for a referral: marks by field, further terms, answers and files, boxes, summary.

    `rewordings` has the handler's own words by field. What the sender wrote later goes only if `later` names it.
    """

    marks: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    terms: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    boxes: Mapping[str, Mapping[int, tuple[Box, ...]]] = field(default_factory=dict)
    summary: str = ""
    authorities: tuple[str, ...] = ()
    by: str = ""
    translator: str = ""  # the id of the translator to whom a prepared text goes; "" for a referral to the authorities
    rewordings: Mapping[str, Rewording] = field(default_factory=dict)
    later: tuple[str, ...] = ()
    seen: str = ""  # the digest of the translation whose words a handler had in view while redacting
    looked: bool = False  # a handler has saved the draft once, with the suggestions in view
    question: str = ""  # the id of the authority's question that the draft answers, to that authority alone


@dataclass(frozen=True)
class SentReferral:
    """One referral that went out; `text` is its referral.json, `signature` the base64 beside it."""

    id: TipId
    authority: str
    name: str
    day: date
    by: str
    second: str
    text: str
    signature: str
    question: str = ""  # the id of the authority's question that this answers


class QuestionState(StrEnum):
    """The state of a question that an authority asks about a referral."""

    WAITING = "waiting"
    PUT = "put"
    ANSWERED = "answered"
    DECLINED = "declined"


@dataclass(frozen=True)
class CaseQuestion:
    """A question of an authority about a referral of the case, and what handlers did with the question.

    `asked` are ids of the catalogue; `put` are the ids of the messages that put the question to the sender. `refusal`
    is the id of the signed refusal that went to the authority; `wants_refusal`: a second person must release it first.
    """

    id: str
    authority: str
    name: str
    reference: str
    day: date
    text: str
    asked: tuple[str, ...]
    put: tuple[str, ...] = ()
    declined: str = ""  # the reason
    by: str = ""  # who put or declined the question
    wants_refusal: bool = False
    refusal: str = ""
