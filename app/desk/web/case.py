"""Reading a tip: its answers, its files made safe anew, its notes, and what can be done with it."""

from dataclasses import replace

from flask import Response, request
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import BusyError
from app.core.unicode import clean_text
from app.desk import redaction
from app.desk.attachments import Attachment
from app.desk.case import Case, Outcome, State
from app.desk.errors import RefusedError
from app.desk.export import export_json, export_members, zip_with_manifest
from app.desk.journal import JournalEntry
from app.desk.language_guess import guess_language, language_name
from app.desk.service import Desk
from app.desk.web.app import get, go, page, post, who
from app.desk.web.queue import attachment
from app.files.clean import Cleaned
from app.vault.tip import SCHEMA

_NOTE = 5000
_TRANSLATION = 20_000
# What may be shown as itself; everything else is only ever a picture of a page, or text.
_SHOWN = ("image/", "audio/", "video/")


class ReadingPages:
    """Reading a tip: its answers, its files made safe anew, its notes, and what can be done with it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @get("/tips/<tip>")
    def read(self, tip: str) -> AnyResponse:
        """One tip, for reading; journaled."""
        case = self._desk.cases.looked(tip, who())
        if case.state is State.OBJECTIONABLE:
            return page("objectionable.html", case=case)
        text = "\n".join(redaction.texts(case).values())
        group = self._desk.queue.show_group(case)
        return page(
            "tip.html",
            case=case,
            texts=redaction.texts(case),
            files=look(self._desk, case),
            language=language_name(guess_language(text)),
            group=group,
            parent=self._desk.cases.parent(case),
            today=self._desk.cases.today(),
            translators=self._desk.config.translators.values(),
        )

    @get("/tips/<tip>/files/<int:number>")
    def file(self, tip: str, number: int) -> AnyResponse:
        """One file as it was made safe here."""
        return _show(_open_case(self._desk, tip), self._desk, number, 0)

    @get("/tips/<tip>/files/<int:number>/<int:place>")
    def file_page(self, tip: str, number: int, place: int) -> AnyResponse:
        """One page of a PDF, as a picture."""
        return _show(_open_case(self._desk, tip), self._desk, number, place)

    @get("/tips/<tip>/print")
    def as_print(self, tip: str) -> AnyResponse:
        """A tip to be printed; journaled."""
        case = _open_case(self._desk, tip)
        self._desk.journal.write(JournalEntry(who(), "printed", case.id))
        return page("print.html", case=case, texts=redaction.texts(case))

    @post("/tips/<tip>/export")
    def take_away(self, tip: str) -> AnyResponse:
        """A tip as JSON or as a zip; journaled."""
        case = _open_case(self._desk, tip)
        self._desk.journal.write(JournalEntry(who(), "exported", case.id))
        if request.form.get("as") == "json":
            return attachment(export_json(case), f"{case.id}.json", "application/json")
        return attachment(
            zip_with_manifest(export_members(case, self._desk.attachments)), f"{case.id}.zip", "application/zip"
        )

    @post("/tips/<tip>/note")
    def note(self, tip: str) -> AnyResponse:
        """Add a note."""
        self._desk.cases.note(tip, who(), clean_text(request.form.get("text", ""))[:_NOTE])
        return go(f"/tips/{tip}#notes", "Noted.")

    @post("/tips/<tip>/translation")
    def translation(self, tip: str) -> AnyResponse:
        """Keep a translation beside the text; it is redacted and referred with it."""
        text = clean_text(request.form.get("text", ""))[:_TRANSLATION]
        needs = request.form.get("needs") == "yes"

        def translated(case: Case) -> Case:
            return replace(case, translation=text, translator=needs and not text)

        self._desk.cases.change(tip, who(), "translated" if text else "needs-translator", translated)
        return go(f"/tips/{tip}", "Saved.")

    @post("/tips/<tip>/close")
    def close(self, tip: str) -> AnyResponse:
        """Close a tip and go on to the next new one."""
        case = self._desk.cases.close(tip, who(), request.form.get("reason", ""), _outcome())
        self._desk.attachments.forget(tip)
        following = self._desk.queue.next_after(case)
        return go(
            f"/tips/{following.id}" if following else "/",
            "Closed. This is the next new tip." if following else "Closed.",
        )

    @post("/tips/<tip>/reopen")
    def reopen(self, tip: str) -> AnyResponse:
        """Work on a closed tip again."""
        self._desk.cases.reopen(tip, who())
        return go(f"/tips/{tip}", "Open again, and yours.")

    @post("/tips/<tip>/outcome")
    def outcome(self, tip: str) -> AnyResponse:
        """Note what came of a tip."""
        self._desk.cases.settle(tip, who(), _outcome())
        return go(f"/tips/{tip}", "The outcome is noted.")

    @post("/tips/<tip>/objectionable")
    def lock_away(self, tip: str) -> AnyResponse:
        """Lock a tip away for good."""
        if request.form.get("sure") != "yes":
            return go(f"/tips/{tip}#objectionable", "Nothing was done: tick the box first.")
        self._desk.attachments.forget(tip)
        self._desk.cases.lock_away(tip, who())
        return go(f"/tips/{tip}", "Locked.")


def look(desk: Desk, case: Case) -> tuple[Attachment, ...] | None:
    """The files of a tip; None where the machine is too busy to clean them now."""
    try:
        return desk.attachments.of(case)
    except BusyError:
        return None


def label(name: str) -> str:
    """What a handler reads for a field."""
    if name.startswith("files/"):
        return f"Text of {name}"
    return {"translation": "Translation"}.get(name) or SCHEMA.heading(name)


def _open_case(desk: Desk, tip: str) -> Case:
    case = desk.cases.get(tip)
    if case.state is State.OBJECTIONABLE:
        desk.journal.write(JournalEntry(who(), "refused", case.id))
        raise RefusedError("objectionable")
    return case


def _show(case: Case, desk: Desk, number: int, place: int) -> AnyResponse:
    seen = desk.attachments.one(case, number)
    shown = seen.pages[place - 1] if 1 <= place <= len(seen.pages) else seen.result
    if not isinstance(shown, Cleaned) or not shown.type.startswith(_SHOWN):
        raise RefusedError("file")
    return picture(shown)


def picture(shown: Cleaned) -> Response:
    """A cleaned file's bytes, to be shown within a page of ours."""
    return Response(shown.data, mimetype=shown.type, headers={"Content-Disposition": "inline"})


def _outcome() -> Outcome:
    given = request.form.get("outcome", "")
    return Outcome(given) if given in set(Outcome) else Outcome.UNKNOWN
