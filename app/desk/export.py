"""A tip or its referrals to take away: JSON, and a zip with a manifest of SHA-256 hashes.

Files in it are the copies that this desk cleaned. It is made in memory; where the browser keeps it is outside the
store, which the page says before. Tips that are locked as objectionable are never exported.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from hashlib import sha256

from app.desk.attachments import Attachments
from app.desk.case import Case, State
from app.desk.cases import Cases
from app.desk.jobs import Job
from app.desk.journal import JournalEntry
from app.files.clean import CleanedFile

_DATE = (1980, 1, 1, 0, 0, 0)


def export_json(case: Case) -> bytes:
    """A tip as indented JSON: what came, and what the desk did."""
    case.require_shown()
    fields = {
        "format": "haumaru-export/1",
        "id": case.id,
        "received": case.received.isoformat(),
        "state": str(case.state),
        "outcome": str(case.outcome),
        "answers": dict(case.answers),
        "translation": case.translation,
        "files": [{"path": one.path, "type": one.type, "removed": one.removed} for one in case.files],
        "notes": [{"day": one.day.isoformat(), "who": one.who, "text": one.text} for one in case.notes],
        "thread": [{"day": one.day.isoformat(), "who": one.who or "sender", "text": one.text} for one in case.thread],
        "referrals": [json.loads(one.text) | {"signature": one.signature} for one in case.referrals],
    }
    return json.dumps(fields, ensure_ascii=False, indent=2).encode() + b"\n"


def export_members(case: Case, files: Attachments) -> dict[str, bytes]:
    """The files of a tip's zip by name, without the manifest."""
    found = {"tip.json": export_json(case)}
    for attachment in files.of(case):
        if isinstance(attachment.result, CleanedFile):
            found[attachment.path] = attachment.result.data
    for number, referred in enumerate(case.referrals, 1):
        found[f"referral-{number}.json"] = referred.text.encode()
        found[f"referral-{number}.sig"] = referred.signature.encode()
    return found


def zip_with_manifest(every: Mapping[str, bytes]) -> bytes:
    """A stored zip of files, with `manifest.json`: each name and its SHA-256."""
    hashes = {name: sha256(data).hexdigest() for name, data in every.items()}
    manifest = json.dumps({"format": "haumaru-manifest/1", "sha256": hashes}, indent=2).encode() + b"\n"
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {**every, "manifest.json": manifest}.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)
    return target.getvalue()


def export_many(cases: Cases, files: Attachments, tips: Iterable[str], who: str, work: Job) -> None:
    """Export many tips into one zip, which is `work.result`; stopped, there is none."""
    chosen = [case for case in map(cases.get, tips) if case.state is not State.OBJECTIONABLE]
    work.total = len(chosen)
    every: dict[str, bytes] = {}
    for case in chosen:
        if work.stopped:
            return
        cases.journal.write(JournalEntry(who, "exported", case.id))
        every |= {f"{case.id}/{name}": data for name, data in export_members(case, files).items()}
        files.forget(case.id)
        work.advance()
    work.result = zip_with_manifest(every)
