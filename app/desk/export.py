"""Exports of cases: JSON, and a zip with the cleaned files, the fields of a standard, and a manifest of SHA-256 hashes.

Files in an export are the copies that this desk cleaned. An export is made in memory; the browser saves it outside
the store, in plain text, which the page says before. A case that is locked as objectionable is never exported.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from hashlib import sha256

from app.desk.attachments import Attachments
from app.desk.case import Case
from app.desk.case_fields import CaseQuestion, State
from app.desk.case_standard import export_standard_csv
from app.desk.cases import Cases
from app.desk.jobs import Job
from app.desk.journal import JournalEntry
from app.desk.parts import PartStore
from app.desk.terminal import escape_json
from app.desk.thread import MessageKind, ThreadMessage
from app.desk.withdrawn import was_asked_back
from app.files.clean import CleanedFile

_DATE = (1980, 1, 1, 0, 0, 0)


def export_json(case: Case, parts: PartStore) -> bytes:
    """Return a case as indented JSON: what came, which parts of its files are missing, and what the desk did.

    Raises RefusedError `objectionable`.
    """
    case.require_shown()
    fields = {
        "format": "haumaru-export/1",
        "id": case.id,
        "received": case.received.isoformat(),
        "state": str(case.state),
        "asked_back": was_asked_back(case),
        "outcome": str(case.outcome),
        "answers": dict(case.answers),
        "replies": dict(case.replies),
        "translation": case.translation,
        "files": [{"path": one.path, "type": one.type, "removed": one.removed} for one in case.files],
        "parts": {"count": case.part_count, "missing": parts.missing(case)},
        "notes": [{"day": one.day.isoformat(), "who": one.who, "text": one.text} for one in case.notes],
        "thread": [_message_fields(one) for one in case.thread],
        "referrals": [json.loads(one.text) | {"signature": one.signature} for one in case.referrals],
        "questions": [_question_fields(one) for one in case.questions],
    }
    return escape_json(json.dumps(fields, ensure_ascii=False, indent=2)).encode() + b"\n"


def _question_fields(question: CaseQuestion) -> dict[str, object]:
    return asdict(question) | {"day": question.day.isoformat()}


def _message_fields(message: ThreadMessage) -> dict[str, object]:
    fields: dict[str, object] = {"day": message.day.isoformat(), "who": message.who or "sender", "text": message.text}
    if message.kind is MessageKind.QUESTION:
        fields["question"] = message.value
    if message.kind is MessageKind.STATUS:
        fields |= {"status": message.value, "details": list(message.details)}
    fields |= {"withdraw": True} if message.withdraw else {}
    return fields | ({"replies": dict(message.replies)} if message.replies else {})


def export_members(case: Case, attachments: Attachments) -> dict[str, bytes]:
    """Return the files of a case's zip by name, without the manifest; raises RefusedError, BusyError."""
    found = {"tip.json": export_json(case, attachments.parts)}
    for attachment in attachments.of(case):
        if isinstance(attachment.result, CleanedFile):
            found[attachment.path] = attachment.result.data
    for number, referred in enumerate(case.referrals, 1):
        found[f"referral-{number}.json"] = referred.text.encode()
        found[f"referral-{number}.sig"] = referred.signature.encode()
    return found


def zip_with_manifest(members: Mapping[str, bytes]) -> bytes:
    """Return a zip of files, uncompressed, with `manifest.json`, which holds the SHA-256 of each."""
    hashes = {name: sha256(data).hexdigest() for name, data in members.items()}
    manifest = json.dumps({"format": "haumaru-manifest/1", "sha256": hashes}, indent=2).encode() + b"\n"
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {**members, "manifest.json": manifest}.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)
    return target.getvalue()


def export_many(cases: Cases, attachments: Attachments, tips: Iterable[str], who: str, job: Job) -> None:
    """Export many cases into one zip, which becomes `job.result`; a stopped job has no result."""
    chosen = [case for case in map(cases.get, tips) if case.state is not State.OBJECTIONABLE]
    job.total = len(chosen)
    members: dict[str, bytes] = {}
    for case in chosen:
        if job.stopped:
            return
        cases.journal.write(JournalEntry(who, "exported", case.id))
        members |= {f"{case.id}/{name}": data for name, data in export_members(case, attachments).items()}
        attachments.forget(case.id)
        job.advance()
    members["htcds.csv"] = export_standard_csv(chosen)
    job.result = zip_with_manifest(members)
