"""A case as JSON and back: the form in which the store keeps it, sealed.

Every record that `encode_case` writes is read back as the same value; anything else raises.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import asdict
from datetime import date
from typing import Any

from app.desk.case import Case
from app.desk.case_fields import (
    CaseFile,
    CaseNote,
    CaseQuestion,
    Outcome,
    RedactionDraft,
    Rewording,
    SentReferral,
    State,
)
from app.desk.thread import MessageKind, ThreadMessage
from app.vault.tip import ReplyTo

FORMAT = "haumaru-case/2"


def encode_case(case: Case) -> bytes:
    """Return a case as JSON."""
    fields = asdict(case) | {"format": FORMAT}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=_json_value).encode()


def decode_case(data: bytes) -> Case:
    """Return the case in what `encode_case` wrote; raises ValueError, KeyError or TypeError for anything else."""
    raw: dict[str, Any] = json.loads(data)
    if raw.pop("format") != FORMAT:
        raise ValueError
    raw["received"] = date.fromisoformat(raw["received"])
    raw["closed"] = date.fromisoformat(raw["closed"]) if raw["closed"] else None
    raw["answers"] = {name: tuple(v) if isinstance(v, list) else v for name, v in raw["answers"].items()}
    raw["part_key"] = b64decode(raw["part_key"], validate=True)
    raw["files"] = tuple(CaseFile(**{**one, "removed": tuple(one["removed"])}) for one in raw["files"])
    raw["reply"] = ReplyTo(b64decode(raw["reply"]["key"]), raw["reply"]["locator"]) if raw["reply"] else None
    raw["state"], raw["outcome"] = State(raw["state"]), Outcome(raw["outcome"])
    raw["notes"] = tuple(CaseNote(**_with_date(one)) for one in raw["notes"])
    raw["thread"] = tuple(_decode_message(one) for one in raw["thread"])
    raw["referrals"] = tuple(SentReferral(**_with_date(one)) for one in raw["referrals"])
    raw["draft"] = _decode_draft(raw["draft"])
    raw["sketch"], raw["leaving"] = tuple(raw["sketch"]), tuple(raw.get("leaving", ()))
    raw["given"] = tuple(raw.get("given", ()))
    raw["due"] = date.fromisoformat(raw["due"]) if raw.get("due") else None
    raw["answered_requests"] = tuple(raw.get("answered_requests", ()))
    raw["questions"] = tuple(_decode_question(one) for one in raw.get("questions", ()))
    return Case(**raw)


def _decode_draft(raw: dict[str, Any]) -> RedactionDraft:
    marks = {name: tuple((start, end) for start, end in spans) for name, spans in raw.pop("marks").items()}
    boxes = {
        path: {int(page): tuple((a, b, c, d) for a, b, c, d in of_page) for page, of_page in pages.items()}
        for path, pages in raw.pop("boxes").items()
    }
    rewordings = {
        name: Rewording(**{**one, "let_stand": tuple(one["let_stand"])})
        for name, one in raw.pop("rewordings", {}).items()
    }
    lists: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    return RedactionDraft(marks=marks, boxes=boxes, rewordings=rewordings, **lists)


def _decode_question(raw: dict[str, Any]) -> CaseQuestion:
    return CaseQuestion(**_with_date(raw) | {"asked": tuple(raw["asked"]), "put": tuple(raw["put"])})


def _decode_message(raw: dict[str, Any]) -> ThreadMessage:
    kind, details = MessageKind(raw.get("kind", MessageKind.MESSAGE)), tuple(raw.get("details", ()))
    return ThreadMessage(**_with_date(raw) | {"kind": kind, "details": details})


def _with_date(raw: dict[str, Any]) -> dict[str, Any]:
    return {**raw, "day": date.fromisoformat(raw["day"])}


def _json_value(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError
