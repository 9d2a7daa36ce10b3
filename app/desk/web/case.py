"""The pages of one case: its answers and cleaned files, notes, translation, thread with the sender, and outcome.

Each opening, print and export is journaled. A case that is locked as objectionable is never shown again: every page
of it but the instructions is refused, and each try is journaled. A reply that could harm its reader is sent only when
the handler asks a second time.
"""

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.core.unicode import clean_text
from app.desk.case import Case
from app.desk.case_fields import State
from app.desk.case_standard import export_standard_csv
from app.desk.errors import RefusedError
from app.desk.export import export_json, export_members, zip_with_manifest
from app.desk.journal import JournalEntry
from app.desk.later_messages import later_label
from app.desk.redaction import ANSWERED, TRANSLATION, answer_texts
from app.desk.referral import reworded_fields
from app.desk.replies import reply_warnings
from app.desk.tip_status import authority_kind
from app.desk.web.case_page import case_page, refused_page
from app.desk.web.closing import read_outcome
from app.desk.web.context import (
    current_desk,
    current_handler,
    file_to_save,
    file_to_show,
    render_page,
    see_other,
)
from app.desk.web.thread import is_in_thread, read_reply_id, thread_page
from app.desk.windows import keep_translation, require_mark, thread_mark
from app.files.clean import CleanedFile
from app.vault.tip import SCHEMA

_MAX_NOTE = 5000
_MAX_TRANSLATION = 20_000
# What may be shown as itself; everything else is only ever a picture of a page, or text.
_SHOWN_TYPES = ("image/", "audio/", "video/")

blueprint = Blueprint("case", __name__)


@blueprint.get("/tips/<tip>")
def show(tip: str) -> AnyResponse:
    """Show one case, for reading; journaled."""
    desk = current_desk()
    case = desk.cases.view(tip, current_handler())
    if case.state is State.OBJECTIONABLE:
        return render_page("objectionable.html", case=case)
    return case_page(desk.statuses.note_opened(case))


@blueprint.get("/tips/<tip>/files/<int:number>")
@blueprint.get("/tips/<tip>/files/<int:number>/<int:place>")
def show_file(tip: str, number: int, place: int = 0) -> AnyResponse:
    """Show one file as it was made safe here, or one page of a PDF as a picture."""
    attachment = current_desk().attachments.one(_open_case(tip), number)
    shown = attachment.pages[place - 1] if 1 <= place <= len(attachment.pages) else attachment.result
    if not isinstance(shown, CleanedFile) or not shown.type.startswith(_SHOWN_TYPES):
        raise RefusedError("file")
    return file_to_show(shown)


@blueprint.get("/tips/<tip>/print")
def show_print(tip: str) -> AnyResponse:
    """Show a case to be printed; journaled."""
    case = _open_case(tip)
    current_desk().journal.write(JournalEntry(current_handler(), "printed", case.id))
    reworded = {one.id: reworded_fields(one.text) for one in case.referrals}
    return render_page("print.html", case=case, texts=answer_texts(case), reworded=reworded)


@blueprint.post("/tips/<tip>/export")
def save_export(tip: str) -> AnyResponse:
    """Hand a case over as JSON, as CSV in the fields of the case data standard, or as a zip; journaled."""
    desk, case = current_desk(), _open_case(tip)
    desk.journal.write(JournalEntry(current_handler(), "exported", case.id))
    if request.form.get("as") == "json":
        return file_to_save(export_json(case, desk.cases.parts), f"{case.id}.json", "application/json")
    if request.form.get("as") == "standard":
        return file_to_save(export_standard_csv([case]), f"{case.id}.csv", "text/csv")
    return file_to_save(zip_with_manifest(export_members(case, desk.attachments)), f"{case.id}.zip", "application/zip")


@blueprint.post("/tips/<tip>/note")
def add_note(tip: str) -> AnyResponse:
    """Add a note."""
    try:
        current_desk().cases.note(tip, current_handler(), _read_text(_MAX_NOTE))
    except RefusedError as refusal:
        return refused_page(tip, refusal, at="note")
    return see_other(url_for("case.show", tip=tip, _anchor="notes"), "The note is saved.")


@blueprint.post("/tips/<tip>/translation")
def save_translation(tip: str) -> AnyResponse:
    """Keep a translation beside the text; the translation is redacted and referred with the text."""
    needs, mark = request.form.get("needs") == "yes", request.form.get("was", "")
    try:
        text = _read_text(_MAX_TRANSLATION)
        keep_translation(
            current_desk().cases, tip, current_handler(), text, needs_translator=needs, untrusted_mark=mark
        )
    except RefusedError as refusal:
        return refused_page(tip, refusal, at="translation")
    return see_other(url_for("case.show", tip=tip), "The translation is saved.")


@blueprint.post("/tips/<tip>/outcome")
def set_outcome(tip: str) -> AnyResponse:
    """Note what came of a tip."""
    current_desk().cases.set_outcome(tip, current_handler(), read_outcome())
    return see_other(url_for("case.show", tip=tip), "The outcome is saved.")


@blueprint.post("/tips/<tip>/objectionable")
def lock_objectionable(tip: str) -> AnyResponse:
    """Lock a case as objectionable, for good."""
    desk = current_desk()
    if request.form.get("sure") != "yes":
        back = url_for("case.show", tip=tip, _anchor="objectionable")
        return see_other(back, "Nothing was changed. Tick the box first, then press the button again.")
    desk.attachments.forget(tip)
    desk.cases.lock_away(tip, current_handler())
    desk.typed.drop_ended()
    return see_other(url_for("case.show", tip=tip), "The tip is locked.")


@blueprint.get("/tips/<tip>/reply")
def show_thread(tip: str) -> AnyResponse:
    """Show the thread with the sender, and a form for a reply; the answers count as read from then on."""
    case = current_desk().cases.read_thread(tip, current_handler())
    case.require_shown()
    return thread_page(case)


@blueprint.post("/tips/<tip>/reply")
def send_reply(tip: str) -> AnyResponse:
    """Check a reply, then seal and send it, once; a reply with a warning is sent only when asked a second time."""
    desk, text = current_desk(), clean_text(request.form.get("text", ""))
    case, reply_id = desk.cases.get(tip), read_reply_id(request.form)
    try:
        case.require_shown()
        found = reply_warnings(text)
        if not is_in_thread(case, reply_id):
            require_mark(request.form.get("was", ""), thread_mark(case))
        if not found or request.form.get("sure") == "yes":
            desk.replies.write(case, current_handler(), text, reply_id=reply_id)
            notice = "The desk will send the reply to the site within some hours."
            return see_other(url_for("case.show_thread", tip=tip), notice)
    except RefusedError as error:
        if case.state is State.OBJECTIONABLE:
            raise
        return thread_page(case, status=error.answer, problem=error.message)
    return thread_page(case, status=422, warnings=found)


@blueprint.post("/tips/<tip>/questions")
def ask_questions(tip: str) -> AnyResponse:
    """Ask the sender the questions of the catalogue that are ticked, each once; a refusal keeps the ticks."""
    desk, ticked = current_desk(), request.form.getlist("question")
    case = desk.cases.get(tip)
    case.require_shown()
    try:
        desk.questions.ask(case, current_handler(), ticked)
    except RefusedError as error:
        return thread_page(case, status=error.answer, problem=error.message, ticked=ticked)
    notice = "The desk will send the questions to the site, one in each message, within some hours."
    return see_other(url_for("case.show_thread", tip=tip), notice)


@blueprint.post("/tips/<tip>/withdrawal")
def answer_request(tip: str) -> AnyResponse:
    """Answer a sender who asks the desk not to pass the tip on."""
    desk = current_desk()
    sent_to = {sent.authority for sent in desk.cases.get(tip).referrals}
    authorities = [one for one in desk.config.authorities.values() if one.id in sent_to]
    kinds = {authority_kind(one) for one in authorities} - {""} if request.form.get("tell-kinds") == "yes" else ()
    desk.requests.answer(tip, current_handler(), request.form.get("answer", ""), kinds)
    return see_other(url_for("case.show", tip=tip), "The desk will send your answer to the site within some hours.")


@blueprint.post("/tips/<tip>/status/hold")
def hold_status(tip: str) -> AnyResponse:
    """Hold back a status that has not left yet."""
    current_desk().statuses.hold_back(tip, current_handler(), request.form.get("status", ""))
    return see_other(url_for("case.show_thread", tip=tip), "Held back. The sender will not see this.")


@blueprint.post("/tips/<tip>/silent")
def set_silent(tip: str) -> AnyResponse:
    """Tell the sender nothing of what becomes of the tip, or tell the sender again."""
    silent = request.form.get("silent") == "yes"
    current_desk().statuses.set_silent(tip, current_handler(), silent=silent)
    notice = (
        "From now on the desk tells the sender nothing by itself." if silent else "The desk tells the sender again."
    )
    return see_other(url_for("case.show_thread", tip=tip), notice)


def _read_text(most: int) -> str:
    """Return the text of a form; raises RefusedError `too-long` for more than `most` characters: none is cut off."""
    text = clean_text(request.form.get("text", ""))
    if len(text) > most:
        raise RefusedError("too-long")
    return text


def field_label(name: str) -> str:
    """Return what a handler reads for a field of a tip or of a referral."""
    if name.startswith("files/"):
        return f"Text of {name}"
    named = {TRANSLATION: "Translation", ANSWERED: "Answers to questions of the desk"}
    return named.get(name) or later_label(name) or SCHEMA.heading(name)


def _open_case(tip: str) -> Case:
    """Return a case that may be shown; the refusal of an objectionable one is journaled."""
    desk = current_desk()
    case = desk.cases.get(tip)
    if case.state is State.OBJECTIONABLE:
        desk.journal.write(JournalEntry(current_handler(), "refused", case.id))
        raise RefusedError("objectionable")
    return case
