"""The pages of a translator: the tips that wait for a translation, their redacted words, and the translation."""

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.core.unicode import clean_text
from app.desk.errors import RefusedError
from app.desk.translation import save_translation, text_to_translate, tip_to_translate, tips_to_translate
from app.desk.web.context import current_desk, current_handler, render_page, see_other
from app.desk.web.typed import typed_form

_MAX_TRANSLATION = 20_000  # characters

blueprint = Blueprint("translation", __name__)


@blueprint.get("/translate")
def show_list() -> AnyResponse:
    """Show the tips that wait for a translation."""
    return render_page("translate_list.html", tips=tips_to_translate(current_desk().cases, current_handler()))


@blueprint.get("/translate/<tip>")
def show(tip: str) -> AnyResponse:
    """Show the redacted words of one tip, and a box for the translation; journaled."""
    return _page(tip)


@blueprint.post("/translate/<tip>")
def save(tip: str) -> AnyResponse:
    """Keep the translation; a refusal keeps what was typed."""
    text, finished = clean_text(request.form.get("text", "")), request.form.get("finished") == "yes"
    if len(text) > _MAX_TRANSLATION:
        return _page(tip, RefusedError("too-long"))
    cases, mark = current_desk().cases, request.form.get("was", "")
    try:
        save_translation(cases, tip, current_handler(), text, finished=finished, untrusted_mark=mark)
    except RefusedError as error:
        if error.code == "gone":
            return render_page("translate_gone.html", error.answer, text=text)
        return _page(tip, error)
    if finished:
        return see_other(url_for("translation.show_list"), "The translation is saved, and the handler can read it.")
    return see_other(url_for("translation.show", tip=tip), "The translation is saved.")


def _page(tip: str, refusal: RefusedError | None = None) -> AnyResponse:
    desk = current_desk()
    case = tip_to_translate(desk.cases, tip, current_handler())
    try:
        words, problem = text_to_translate(case, desk.referral_context), ""
    except RefusedError:
        words = {}
        problem = "The redaction of this tip is not finished, so there is nothing to read yet. Tell the handler."
    return render_page(
        "translate.html",
        refusal.answer if refusal else 200,
        case=case,
        words=words,
        problem=refusal.message if refusal else problem,
        typed=typed_form(case.id, "translated"),
    )
