"""The page of a question that an authority asks: put it to the sender, answer it, or decline it.

The words of an authority are shown as what they are: words of somebody outside the desk, who may want to know who the
sender is, or whose key may be stolen. They reach the sender only if a handler has read them as a reply, and asks for
that a second time where they are unchanged or could harm their reader.
"""

from typing import Any

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.core.unicode import clean_text
from app.desk.authority_questions import (
    DECLINE_REASONS,
    confirm_question_key,
    find_question,
    is_question_key_confirmed,
    put_to_sender,
    question_state,
    thread_cases,
)
from app.desk.case import Case
from app.desk.case_fields import CaseQuestion
from app.desk.config import Authority
from app.desk.dispatch import confirm_key, is_key_confirmed
from app.desk.errors import RefusedError
from app.desk.question_answers import (
    REFUSAL,
    answer_sources,
    begin_answer,
    decline_question,
    drop_refusal,
    send_refusal,
)
from app.desk.replies import reply_warnings
from app.desk.web.context import current_desk, current_handler, render_page, see_other
from app.desk.web.roles import require_confirming, require_two_people
from app.desk.web.typed import typed_form
from app.vault.keys import key_fingerprint
from app.vault.signature import encode_public_key

SAME_WORDS = "These are still the words of the authority. Write the question in your own plain words, or be sure of it."

blueprint = Blueprint("asked", __name__)


@blueprint.get("/tips/<tip>/asked/<question_id>")
def show(tip: str, question_id: str) -> AnyResponse:
    """Show one question of an authority, what became of it, and what the handler can do."""
    case, question = _find(tip, question_id)
    try:
        warnings: tuple[str, ...] = reply_warnings(question.text)
        problem = ""
    except RefusedError as error:
        warnings, problem = (), error.message
    return _page(case, question, text=question.text, ticked=question.asked, warnings=warnings, problem=problem)


@blueprint.post("/tips/<tip>/asked/<question_id>/put")
def put(tip: str, question_id: str) -> AnyResponse:
    """Put a question to the sender in the handler's words; words with a warning only when asked a second time."""
    desk, text = current_desk(), clean_text(request.form.get("text", ""))
    case, question = _find(tip, question_id)
    ids = request.form.getlist("question")
    try:
        _require_confirmed_key(question)
        warnings = (*reply_warnings(text), *([SAME_WORDS] if text and text == question.text else []))
        if warnings and request.form.get("sure") != "yes":
            return _page(case, question, text=text, ticked=ids, warnings=warnings, status=422)
        put_to_sender(desk.cases, desk.replies, case, current_handler(), question_id, untrusted_text=text, ids=ids)
    except RefusedError as error:
        # A second press of the button may find that the first has sent the question.
        problem = error.message if error.code == "question-decided" else f"{error.message} Nothing was sent."
        case, question = _find(tip, question_id)
        return _page(case, question, text=text, ticked=ids, problem=problem, status=error.answer)
    notice = "The desk will send the question to the site within some hours. You find the sender’s answer here."
    return see_other(_address(tip, question_id), notice)


@blueprint.post("/tips/<tip>/asked/<question_id>/confirm")
def confirm(tip: str, question_id: str) -> AnyResponse:
    """Journal which keys of an authority the person of this session has compared by voice."""
    require_confirming()
    cases, handler = current_desk().cases, current_handler()
    _, question = _find(tip, question_id)
    party, ticked = _party(question), request.form.getlist("compared")
    if party is None:
        raise RefusedError("question-party")
    if "question" in ticked and not is_question_key_confirmed(cases, party):
        confirm_question_key(cases, party, handler)
    if "recipient" in ticked and not is_key_confirmed(cases, party):
        confirm_key(cases, party, handler)
    return see_other(_address(tip, question_id), "" if ticked else "Nothing was changed. Tick the box first.")


@blueprint.post("/tips/<tip>/asked/<question_id>/decline")
def decline(tip: str, question_id: str) -> AnyResponse:
    """Decline a question, and let the authority know if the handler wants that."""
    desk, handler = current_desk(), current_handler()
    tell = request.form.get("refusal") == "yes"
    case = decline_question(desk.cases, tip, handler, question_id, request.form.get("reason", ""), wants_refusal=tell)
    if not tell:
        return see_other(_address(tip, question_id), "Declined. Nothing goes to the authority.")
    if desk.config.release > 1:
        return see_other(_address(tip, question_id), "Declined. A second person must release the refusal.")
    return _send_refusal(case, question_id)


@blueprint.post("/tips/<tip>/asked/<question_id>/refusal")
def settle_refusal(tip: str, question_id: str) -> AnyResponse:
    """Send the refusal of a declined question, or send nothing after all."""
    desk = current_desk()
    case, _ = _find(tip, question_id)
    if request.form.get("do") == "drop":
        drop_refusal(desk.cases, tip, current_handler(), question_id)
        return see_other(_address(tip, question_id), "Nothing goes to the authority.")
    return _send_refusal(case, question_id)


@blueprint.post("/tips/<tip>/asked/<question_id>/answer")
def answer(tip: str, question_id: str) -> AnyResponse:
    """Begin to redact an answer for the authority that asked: the tip itself, or what its sender wrote since."""
    context, source = current_desk().referral_context, request.form.get("source", "")
    _, question = _find(tip, question_id)
    _require_confirmed_key(question)
    begun = begin_answer(context, tip, current_handler(), question_id, source)
    return see_other(url_for("referral.show_draft", tip=begun.id))


def _send_refusal(case: Case, question_id: str) -> AnyResponse:
    desk, handler = current_desk(), current_handler()
    _, question = find_question(desk.cases, case, question_id)
    party = _party(question)
    if party is None:
        raise RefusedError("question-party")
    require_two_people(question.by)
    two_persons = desk.config.release > 1
    send_refusal(case, party, question_id, desk.referral_context, handler, two_persons=two_persons)
    return see_other(_address(case.id, question_id), "The desk has signed and sealed the refusal, and will send it.")


def _find(tip: str, question_id: str) -> tuple[Case, CaseQuestion]:
    cases = current_desk().cases
    case = cases.get(tip)
    case.require_shown()
    return find_question(cases, case, question_id)


def _address(tip: str, question_id: str) -> str:
    return url_for("asked.show", tip=tip, question_id=question_id)


def _party(question: CaseQuestion) -> Authority | None:
    """Return the authority that asked, None where it is no longer in desk.toml or has no key for questions there."""
    party = current_desk().config.authorities.get(question.authority)
    return party if party and party.question_key else None


def _require_confirmed_key(question: CaseQuestion) -> None:
    """Raise RefusedError `unconfirmed` unless somebody compared the key of the authority's questions by voice."""
    party = _party(question)
    if party is None:
        raise RefusedError("question-party")
    if not is_question_key_confirmed(current_desk().cases, party):
        raise RefusedError("unconfirmed")


def _page(
    case: Case,
    question: CaseQuestion,
    *,
    text: str,
    ticked: Any,
    warnings: tuple[str, ...] = (),
    problem: str = "",
    status: int = 200,
) -> AnyResponse:
    desk, party = current_desk(), _party(question)
    sent = [one for each in (case, *thread_cases(desk.cases, case)) for one in each.referrals]
    return render_page(
        "authority_question.html",
        status,
        case=case,
        question=question,
        question_state=str(question_state(desk.cases, case, question)),
        party=party,
        question_key=encode_public_key(party.question_key) if party else "",
        key_confirmed=bool(party and is_question_key_confirmed(desk.cases, party)),
        fingerprint="" if party is None or is_key_confirmed(desk.cases, party) else key_fingerprint(party.recipients),
        sources=answer_sources(desk.cases, case, question),
        answers=[one for one in sent if one.question == question.id],
        decline_reasons=DECLINE_REASONS,
        refusal_text=REFUSAL,
        waiting=desk.statuses.waiting_ids(case),
        text=text,
        ticked=ticked,
        warnings=warnings,
        problem=problem,
        pressed=request.method == "POST",
        typed=typed_form(case.id, f"asked-{question.id}"),
    )
