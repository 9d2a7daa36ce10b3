"""The page of the messages with a sender: the thread, a box for a reply with ready texts, and the questions to ask.

Every view that shows this page after a form was refused, or after a ready text was put in, gives back what was typed,
and the desk keeps that. A ready text comes below what stands in the reply, for the handler to change; nothing is sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from flask import Blueprint, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import BundleError
from app.core.i18n import DEFAULT
from app.core.unicode import clean_text
from app.desk.case import Case
from app.desk.errors import RefusedError
from app.desk.ready_texts import ReadyText
from app.desk.web.context import current_desk, current_handler, render_page
from app.desk.web.typed import keep_changed, typed_form
from app.vault.ready_replies import READY_REPLIES
from app.vault.tip import TipId, new_tip_id, parse_tip_id

blueprint = Blueprint("thread", __name__)


@blueprint.post("/tips/<tip>/reply/ready")
def put_ready_text(tip: str) -> AnyResponse:
    """Show the reply with a ready text at its end; the longer reply is kept as if the handler had typed it."""
    desk, text = current_desk(), clean_text(request.form.get("text", ""))
    case = desk.cases.get(tip)
    case.require_shown()
    try:
        ready = desk.ready_texts.find(request.form.get("ready", ""), request.form.get("language", ""))
    except RefusedError as refusal:
        return thread_page(case, status=refusal.answer, problem=refusal.message)
    values: MultiDict[str, str] = MultiDict(request.form)
    values["text"] = f"{text}\n\n{ready.text}" if text else ready.text
    keep_changed(tip, values)
    return thread_page(case, values=values, ready=ready)


def thread_page(
    case: Case,
    *,
    status: int = 200,
    warnings: Sequence[str] = (),
    problem: str = "",
    ticked: Sequence[str] = (),
    values: MultiDict[str, str] | None = None,
    ready: ReadyText | None = None,
) -> AnyResponse:
    """Return the page of a thread, with the reply that was refused, or that nobody has sent.

    `values` are the fields of a reply that the desk has changed, `ready` is the text that it put in.
    """
    desk, reply = current_desk(), typed_form(case.id, "reply")
    if values is not None:
        reply = replace(reply, values=values)
    reply_id = read_reply_id(reply.values or {})
    if request.method == "GET" and is_in_thread(case, reply_id):  # it was sent, and the desk killed before it knew
        desk.typed.end(current_handler(), case.id, "reply", {reply.continues})
        reply, reply_id = typed_form(case.id, "reply"), new_tip_id()
    guessed, languages = desk.queue.language(case), desk.ready_texts.languages
    return render_page(
        "reply.html",
        status,
        case=case,
        reply=reply,
        reply_id=reply_id,
        warnings=warnings,
        problem=problem,
        ticked=ticked,
        waiting=desk.statuses.waiting_ids(case),
        can_tell=desk.statuses.can_tell(case),
        ready=ready,
        ready_replies=READY_REPLIES.values(),
        reply_languages=languages.values(),
        reply_language=request.form.get("language") or (guessed if guessed in languages else DEFAULT),
    )


def is_in_thread(case: Case, message_id: str) -> bool:
    """Return whether a thread has a message of this id."""
    return any(message.id == message_id for message in case.thread)


def read_reply_id(untrusted_form: Mapping[str, str]) -> TipId:
    """Return the id that a form gives its reply, so that a second press writes no second reply; else a new id."""
    try:
        return parse_tip_id(untrusted_form.get("reply_id", ""))
    except BundleError:
        return new_tip_id()
