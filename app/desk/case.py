"""What the desk knows of one tip, beside the envelope it came in: frozen values, and their JSON both ways.

A record is only ever written through the store, sealed. `answers` and file paths come from whoever sealed the tip:
anyone may. They are shown escaped and believed in nothing.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from app.vault.tip import SCHEMA, ReplyTo, Tip, TipId

FORMAT = "haumaru-case/1"

Box = tuple[float, float, float, float]
Span = tuple[int, int]


class State(StrEnum):
    """Where a tip stands."""

    NEW = "new"
    WORK = "work"
    WAITING = "waiting"
    REFERRED = "referred"
    CLOSED = "closed"
    OBJECTIONABLE = "objectionable"


class Outcome(StrEnum):
    """What came of a tip, as far as anybody told the desk."""

    UNKNOWN = ""
    NO_ACTION = "no-action"
    INVESTIGATED = "investigated"
    VICTIM_SAFE = "victim-safe"


REASONS: Mapping[str, str] = {
    "finished": "Referred and finished",
    "nothing": "Too little to act on",
    "other": "Not about exploitation",
    "repeat": "A repeat of another tip",
    "test": "A test, or nonsense",
}
OUTCOMES: Mapping[Outcome, str] = {
    Outcome.UNKNOWN: "Not known yet",
    Outcome.NO_ACTION: "No action",
    Outcome.INVESTIGATED: "Investigated",
    Outcome.VICTIM_SAFE: "Victim safe",
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
class ThreadMessage:
    """One turn of the thread with the sender; `body` is what is posted to the site, "" once the site has it."""

    day: date
    who: str  # a handler's name; "" is the sender
    text: str
    id: str = ""
    body: str = ""


@dataclass(frozen=True)
class RedactionDraft:
    """What is to be taken out, kept, and said: the referral before it is one."""

    marks: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    terms: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    boxes: Mapping[str, Mapping[int, tuple[Box, ...]]] = field(default_factory=dict)
    summary: str = ""
    authorities: tuple[str, ...] = ()
    by: str = ""
    looked: bool = False  # the suggestions were looked at once


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


@dataclass(frozen=True)
class Case:
    """One tip on the desk."""

    id: TipId
    received: date
    answers: Mapping[str, str | tuple[str, ...]]
    files: tuple[CaseFile, ...] = ()
    reply: ReplyTo | None = None
    answers_to: str | None = None
    state: State = State.NEW
    holder: str = ""
    translator: bool = False
    translation: str = ""
    notes: tuple[CaseNote, ...] = ()
    draft: RedactionDraft = field(default_factory=RedactionDraft)
    referrals: tuple[SentReferral, ...] = ()
    thread: tuple[ThreadMessage, ...] = ()
    unread: bool = False  # the sender has answered since a handler looked
    outcome: Outcome = Outcome.UNKNOWN
    reason: str = ""
    closed: date | None = None
    sketch: tuple[int, ...] = ()
    version: int = 0

    def text(self, name: str) -> str:
        """An answer as text, "" where there is none."""
        value = self.answers.get(name, "")
        return value if isinstance(value, str) else ", ".join(value)

    @property
    def danger(self) -> bool:
        """Whether the sender says that someone is in danger now."""
        return self.text("danger") == "yes"

    @property
    def children(self) -> bool:
        """Whether the sender says that a child is involved."""
        ticked = any(kind.value in self.kinds for kind in SCHEMA.kinds if kind.topic == "children")
        return ticked or self.text("children") == "yes"

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the sender ticked."""
        value = self.answers.get("kinds", ())
        return value if isinstance(value, tuple) else (value,)

    @property
    def known_kinds(self) -> tuple[str, ...]:
        """Those of the kinds that are the schema's, in its order; anybody may seal a tip with others."""
        return tuple(kind.value for kind in SCHEMA.kinds if kind.value in self.kinds)

    @property
    def open(self) -> bool:
        """Whether there is still something to do."""
        return self.state in {State.NEW, State.WORK, State.WAITING, State.REFERRED}


def case_from_tip(tip: Tip, sketch: tuple[int, ...]) -> Case:
    """A new record of a tip that has come in."""
    return Case(
        id=tip.id,
        received=tip.received,
        answers=dict(tip.answers),
        files=tuple(CaseFile(file.path, file.type, file.removed, len(file.data)) for file in tip.files),
        reply=tip.reply,
        answers_to=tip.answers_to,
        sketch=sketch,
    )


def encode_case(case: Case) -> bytes:
    """A record as JSON."""
    fields = asdict(case) | {"format": FORMAT}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=_json_value).encode()


def decode_case(data: bytes) -> Case:
    """A record as `to_bytes` made it; raises ValueError, KeyError or TypeError for anything else."""
    raw: dict[str, Any] = json.loads(data)
    if raw.pop("format") != FORMAT:
        raise ValueError
    raw["received"] = date.fromisoformat(raw["received"])
    raw["closed"] = date.fromisoformat(raw["closed"]) if raw["closed"] else None
    raw["answers"] = {name: tuple(v) if isinstance(v, list) else v for name, v in raw["answers"].items()}
    raw["files"] = tuple(CaseFile(**{**one, "removed": tuple(one["removed"])}) for one in raw["files"])
    raw["reply"] = ReplyTo(b64decode(raw["reply"]["key"]), raw["reply"]["locator"]) if raw["reply"] else None
    raw["state"], raw["outcome"] = State(raw["state"]), Outcome(raw["outcome"])
    raw["notes"] = tuple(CaseNote(**_with_date(one)) for one in raw["notes"])
    raw["thread"] = tuple(ThreadMessage(**_with_date(one)) for one in raw["thread"])
    raw["referrals"] = tuple(SentReferral(**_with_date(one)) for one in raw["referrals"])
    raw["draft"] = _decode_draft(raw["draft"])
    raw["sketch"] = tuple(raw["sketch"])
    return Case(**raw)


def _decode_draft(raw: dict[str, Any]) -> RedactionDraft:
    marks = {name: tuple((start, end) for start, end in spans) for name, spans in raw.pop("marks").items()}
    boxes = {
        path: {int(page): tuple((a, b, c, d) for a, b, c, d in of_page) for page, of_page in pages.items()}
        for path, pages in raw.pop("boxes").items()
    }
    lists: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    return RedactionDraft(marks=marks, boxes=boxes, **lists)


def _with_date(raw: dict[str, Any]) -> dict[str, Any]:
    return {**raw, "day": date.fromisoformat(raw["day"])}


def _json_value(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError
