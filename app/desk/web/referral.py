"""From a case to a referral: mark what must not go on, draw boxes, look at what they will see, send or hand on.

What was looked at is what is sent: a case that changed since must be looked at again. With two-person release the
first handler prepares a referral and a second releases it.
"""

from contextlib import suppress
from dataclasses import replace

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.desk.attachments import burn_boxes, page_images
from app.desk.case import Case
from app.desk.case_fields import State
from app.desk.config import Authority
from app.desk.dispatch import (
    REMOVED_KINDS,
    build_referral,
    confirm_key,
    first_draft,
    is_key_confirmed,
    with_new_texts,
)
from app.desk.errors import RefusedError
from app.desk.later_messages import later_messages
from app.desk.marks import read_boxes, write_boxes
from app.desk.redaction import MAX_NAMES, TRANSLATION, rewordable, text_digest
from app.desk.referral import NOTICE, referral_words
from app.desk.release import (
    prepare_hand_over,
    prepare_referral,
    release_hand_over,
    release_referral,
    send_referrals,
    send_to_translator,
    without_files,
)
from app.desk.rewording import allowed_places, changed_texts, chosen_way, has_senders_sentence
from app.desk.tip_status import authority_kind
from app.desk.web.case_page import refused_page
from app.desk.web.context import current_desk, current_handler, file_to_show, render_page, see_other, tell_sender
from app.desk.web.draft_form import case_to_redact, count_suggested, form_draft, open_question, read_draft
from app.desk.web.roles import may_confirm_keys, require_two_people
from app.desk.web.typed import typed_form
from app.desk.windows import draft_mark, require_mark
from app.vault.keys import key_fingerprint

_MAX_DIGITS = 4
# By a refusal, the page on which a handler can do what it asks for.
_PAGES = {
    "translation-new": "referral.show_draft",
    "leftover": "rewording.show",
    "no-own-words": "rewording.show",
}

blueprint = Blueprint("referral", __name__)


@blueprint.get("/tips/<tip>/redact")
def show_draft(tip: str) -> AnyResponse:
    """Show the words and files of a case, each to be marked or kept."""
    return _draft_page(tip)


def _draft_page(tip: str, refusal: RefusedError | None = None) -> AnyResponse:
    """Return the page on which a case is redacted, with what was typed and not saved; raises RefusedError."""
    desk, case, typed = current_desk(), case_to_redact(tip), typed_form(tip, "redaction")
    redaction = desk.referral_context.redaction(case)
    if typed.values is not None:
        redaction = redaction.with_draft(form_draft(case, desk.referral_context.texts(case), typed.values))
    elif not case.draft.looked:
        redaction = redaction.with_draft(first_draft(case, redaction.suggestions, desk.config.authorities))
    redaction = with_new_texts(redaction)
    pieces = redaction.pieces()
    suggested = [piece for of_field in pieces.values() for piece in of_field if piece.kind]
    names, later = redaction.names_to_check(), later_messages(case, desk.cases)
    return render_page(
        "redact.html",
        refusal.answer if refusal else 200,
        case=case,
        draft=redaction.draft,
        pieces_by_field=pieces,
        counts=count_suggested(suggested),
        names=names,
        has_more_names=len(names) == MAX_NAMES,
        terms=[term for term in redaction.draft.terms if term not in {one.name for one in names}],
        why=REMOVED_KINDS,
        files=desk.attachments.of(case),
        authorities=desk.config.authorities.values(),
        ways={name: chosen_way(name, redaction.draft) for name in pieces},
        later=later,
        seen=text_digest(redaction.fields.get(TRANSLATION, "")),
        later_others=[one for one in case.thread if not one.who and one not in later.values()],
        question=open_question(case),
        typed=typed,
        refusal=refusal,
    )


@blueprint.post("/tips/<tip>/redact")
def save_draft(tip: str) -> AnyResponse:
    """Keep the draft, then go where the button says; a refusal keeps the page with what was typed."""
    try:
        _save_draft(tip)
    except RefusedError as refusal:
        with suppress(RefusedError):  # for example when another person has claimed the tip: then there is no such page
            return _draft_page(tip, refusal)
        raise
    go, _, number = request.form.get("go", "").partition("-")
    if go == "boxes" and number.isascii() and number.isdigit() and len(number) < _MAX_DIGITS:
        return see_other(url_for("referral.show_boxes", tip=tip, number=int(number)))
    if go in {"look", "reword"}:
        return see_other(url_for("referral.show_preview" if go == "look" else "rewording.show", tip=tip))
    return see_other(url_for("referral.show_draft", tip=tip), "The redaction is saved.")


def _save_draft(tip: str) -> None:
    desk, case, who = current_desk(), case_to_redact(tip), current_handler()
    fields = desk.referral_context.texts(case)

    def redact(now: Case) -> Case:
        now.require_redactor(who)
        require_mark(request.form.get("was", ""), draft_mark(now))
        return now.with_draft(who, read_draft(now, fields))

    desk.cases.change(tip, who, "redacted", redact)


@blueprint.get("/tips/<tip>/boxes/<int:number>")
def show_boxes(tip: str, number: int) -> AnyResponse:
    """Show one picture, or a PDF's pages, to draw boxes on."""
    case = case_to_redact(tip)
    attachment = current_desk().attachments.one(case, number)
    if attachment.kind not in {"picture", "pages"}:
        raise RefusedError("file")
    lines = write_boxes(case.draft.boxes.get(attachment.path, {}))
    return render_page(
        "boxes.html",
        case=case,
        attachment=attachment,
        number=number,
        lines=lines,
        pages=len(attachment.pages) or 1,
        typed=typed_form(tip, f"boxes-{number}"),
    )


@blueprint.post("/tips/<tip>/boxes/<int:number>")
def save_boxes(tip: str, number: int) -> AnyResponse:
    """Keep the boxes of one file; the file is then one to send."""
    desk, case = current_desk(), case_to_redact(tip)
    attachment = desk.attachments.one(case, number)
    drawn = read_boxes(request.form.get("boxes", ""), len(attachment.pages) or 1)
    boxes = {**case.draft.boxes, attachment.path: drawn}
    draft = replace(case.draft, boxes=boxes, files=tuple(dict.fromkeys([*case.draft.files, attachment.path])))
    desk.cases.redact(tip, current_handler(), draft)
    notice = "The boxes are saved. The desk will paint them into the file that the authority gets."
    return see_other(url_for("referral.show_draft", tip=tip), notice)


@blueprint.get("/tips/<tip>/burnt/<int:number>")
@blueprint.get("/tips/<tip>/burnt/<int:number>/<int:place>")
def show_redacted_file(tip: str, number: int, place: int = 0) -> AnyResponse:
    """Show a file as the authority would get it, its boxes burnt in; of a PDF one page."""
    desk = current_desk()
    case = desk.cases.get(tip)
    case.require_open()
    attachment = desk.attachments.one(case, number)
    redacted = burn_boxes(attachment, case.draft.boxes.get(attachment.path, {}))
    if attachment.kind == "pages":
        pages = page_images(redacted)
        if not 1 <= place <= len(pages):
            raise RefusedError("file")
        return file_to_show(pages[place - 1])
    return file_to_show(redacted)


@blueprint.get("/tips/<tip>/refer")
def show_preview(tip: str) -> AnyResponse:
    """Show what the authority will see, beside what came; own words that stop a referral lead back to their page."""
    try:
        return _preview(tip)
    except RefusedError as refusal:
        if refusal.code not in _PAGES:
            raise
        waits = current_desk().cases.get(tip).state is State.WAITING  # sent back first, on the page of the tip
        return see_other(url_for("case.show" if waits else _PAGES[refusal.code], tip=tip), refusal.message)


def _preview(tip: str, refusal: RefusedError | None = None) -> AnyResponse:
    """Return the page before sending; after a refusal the page says why beside the box, and keeps what was ticked."""
    desk = current_desk()
    case = desk.cases.get(tip)
    if case.state is not State.WAITING:
        case = case_to_redact(tip)
    translation = bool(case.draft.translator)
    if translation:
        case = without_files(case)
    redaction, files = desk.referral_context.redaction(case), enumerate(desk.attachments.of(case), 1)
    authorities = _chosen_parties(case)
    names = " and ".join(party.name for party in authorities)
    purpose = "translation" if translation else "referral"
    referral = build_referral(case, redaction, names, desk.referral_context, purpose=purpose)
    return render_page(
        "preview.html",
        case=case,
        referral=referral,
        authority_notice=NOTICE,
        before=redaction.runs(),
        ways={name: chosen_way(name, case.draft) for name in rewordable(redaction.fields)},
        allowed=allowed_places(redaction),
        changed=changed_texts(redaction),
        is_summary_senders=has_senders_sentence(redaction),
        files=[(number, file) for number, file in files if file.path in case.draft.files],
        envelopes=1 + referral_words(referral).part_count,
        authorities=[
            (party, key_fingerprint(party.recipients), is_key_confirmed(desk.cases, party)) for party in authorities
        ],
        two_person_release=desk.config.release > 1,
        translation=translation,
        can_tell=desk.statuses.can_tell(case) and not case.silent and not translation,
        authority_kinds=sorted({authority_kind(party) for party in authorities} - {""}),
        status=refusal.answer if refusal else 200,
        refusal=refusal,
        # After `changed` the handler must look again, so no tick stays.
        pressed=request.form if refusal and refusal.code != "changed" else {},
    )


@blueprint.post("/tips/<tip>/refer")
def send(tip: str) -> AnyResponse:
    """Send the referral, or hand it to the second person; a refusal keeps the page."""
    try:
        return _send(tip)
    except RefusedError as refusal:
        with suppress(RefusedError):  # for example when another person has claimed the tip: then there is no such page
            return _preview(tip, refusal)
        raise


def _send(tip: str) -> AnyResponse:
    desk, handler, shown = current_desk(), current_handler(), url_for("case.show", tip=tip)
    case, failed = _case_as_shown(tip), ""
    parties, context, despite = _chosen_parties(case), desk.referral_context, _despite()
    require_two_people(case.draft.by if case.state is State.WAITING else "")
    _note_confirmed_keys(parties, leaves=case.state is State.WAITING or desk.config.release == 1)
    if case.state is State.WAITING:
        if case.draft.translator:
            _require_translator(parties)
            release_hand_over(case, parties[0], context, handler, despite=despite)
        else:
            failed = _tell_referred(release_referral(case, parties, context, handler, despite=despite), parties)
        return see_other(shown, f"Released. The desk has signed and sealed it, and will send it.{failed}")
    case.require_redactor(handler)
    if desk.config.release > 1:
        prepare_referral(case, context, handler, despite=despite)
        return see_other(shown, "Prepared. A second person must release it.")
    failed = _tell_referred(send_referrals(case, parties, context, handler, despite=despite), parties)
    return see_other(shown, f"Referred. The desk has signed and sealed the referral, and will send it.{failed}")


@blueprint.post("/tips/<tip>/refer/back")
def send_back(tip: str) -> AnyResponse:
    """Take a prepared referral back to work."""
    current_desk().cases.send_back(tip, current_handler())
    return see_other(
        url_for("referral.show_draft", tip=tip),
        "The referral was not sent. You have claimed the tip, and can redact it again.",
    )


@blueprint.post("/tips/<tip>/translator")
def hand_to_translator(tip: str) -> AnyResponse:
    """Seal the redacted text to a translator, or hand it to the second person; a refusal keeps the page."""
    try:
        return _hand_to_translator(tip)
    except RefusedError as refusal:
        return refused_page(tip, refusal, at="translator")


def _hand_to_translator(tip: str) -> AnyResponse:
    desk, handler, shown = current_desk(), current_handler(), url_for("case.show", tip=tip)
    case = _case_as_shown(tip)
    case.require_redactor(handler)
    parties = [one for one in desk.config.translators.values() if one.id == request.form.get("translator")]
    _require_translator(parties)
    require_two_people()
    _note_confirmed_keys(parties, leaves=True)
    if desk.config.release > 1:
        prepare_hand_over(case, parties[0], desk.referral_context, handler, despite=_despite())
        return see_other(shown, "Prepared. A second person must release it.")
    send_to_translator(case, parties[0], desk.referral_context, handler, despite=_despite())
    return see_other(shown, "The desk has sealed the redacted text for the translator, and will send it.")


def _despite() -> str:
    """Return why a tip is passed on although its sender asked the desk not to; "" unless the box is ticked too."""
    return request.form.get("despite", "") if request.form.get("sure") == "yes" else ""


def _tell_referred(case: Case, parties: list[Authority]) -> str:
    """Tell the sender what left, as far as the boxes are ticked; return a sentence if the desk could not."""
    with_kinds = request.form.get("tell-kinds") == "yes"
    return tell_sender(lambda: current_desk().statuses.note_referred(case, parties, with_kinds=with_kinds))


def _case_as_shown(tip: str) -> Case:
    """Return the case that a form was made for; raises RefusedError `changed` if the case was changed since."""
    case = current_desk().cases.get(tip)
    if request.form.get("version") != str(case.version):
        raise RefusedError("changed")
    return case


def _require_translator(parties: list[Authority]) -> None:
    if not parties:
        raise RefusedError("no-authority")


def _chosen_parties(case: Case) -> list[Authority]:
    """Return to whom the draft of a case goes: the translator for whom it was prepared, else the authorities."""
    config, draft = current_desk().config, case.draft
    if draft.translator:
        return [one for one in config.translators.values() if one.id == draft.translator]
    return [config.authorities[name] for name in draft.authorities if name in config.authorities]


def _note_confirmed_keys(parties: list[Authority], *, leaves: bool) -> None:
    """Journal each key that the handler ticks as compared by voice, unless that is in the journal already.

    Raises RefusedError `confirm-role` for a seat that may not say so, where something `leaves` the desk now.
    """
    cases, ticked = current_desk().cases, request.form.getlist("confirmed")
    new = [party for party in parties if not is_key_confirmed(cases, party)]
    if not may_confirm_keys():
        if new and leaves:
            raise RefusedError("confirm-role")
        return
    for party in new:
        if party.id in ticked:
            confirm_key(cases, party, current_handler())
