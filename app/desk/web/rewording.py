"""The page on which a handler writes own words beside the redacted original, and the text watched as it is typed.

What is saved is checked again when a referral is built. A form that was made before somebody changed the texts or the
own words saves nothing: the page comes again with what was typed, and says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from flask import Blueprint, Response, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from app.core.unicode import clean_text
from app.desk.case import Case
from app.desk.case_fields import RedactionDraft
from app.desk.dispatch import REMOVED_KINDS, with_new_texts
from app.desk.errors import RefusedError
from app.desk.later_messages import later_messages
from app.desk.leftovers import LeftoverGate
from app.desk.redaction import TRANSLATION, Redaction, rewordable
from app.desk.rewording import (
    MAX_OWN_WORDS,
    TypedWords,
    Way,
    changed_since,
    newly_allowed,
    reworded_draft,
    seen_mark,
    typed_words,
    used_rewordings,
)
from app.desk.watched_words import WatchedText
from app.desk.web.context import current_desk, current_handler, render_page, see_other
from app.desk.web.draft_form import case_to_redact
from app.desk.web.typed import typed_form

_MAX_MARKS = 5000  # of places that a form lets stand
_MAX_TEXTS = 200  # of one tip, so of one form

blueprint = Blueprint("rewording", __name__)


@dataclass(frozen=True)
class RewordedText:
    """One text on the page: the redacted original, what is typed in its place, and what the gate and finder say."""

    name: str
    redacted: str
    typed: TypedWords
    watched: WatchedText
    changed: tuple[str, ...]


@blueprint.get("/tips/<tip>/reword")
def show(tip: str) -> AnyResponse:
    """Show each text of a tip beside a field for own words."""
    case = case_to_redact(tip)
    if not case.draft.looked:
        notice = "Look at the words that the desk suggests first. Then you can write your own."
        return see_other(url_for("referral.show_draft", tip=tip), notice)
    redaction = with_new_texts(current_desk().referral_context.redaction(case))
    return _page(case, redaction)


@blueprint.post("/tips/<tip>/reword")
def save(tip: str) -> AnyResponse:
    """Keep what was typed and chosen, then go where the button says."""
    desk, case, who = current_desk(), case_to_redact(tip), current_handler()
    redaction = with_new_texts(desk.referral_context.redaction(case))
    typed = _with_new_beginning(redaction, _read_typed(redaction, request.form))
    if request.form.get("seen") != seen_mark(redaction):
        return _page(case, redaction, status=RefusedError("changed").answer)
    if any(len(one.text) > MAX_OWN_WORDS for one in typed.values()):
        raise RefusedError("too-long")
    draft = reworded_draft(redaction, typed)
    allowed = newly_allowed(case.draft, draft)
    did, what = ("let-stand", " ".join(f"{name} {count}" for name, count in allowed.items())) if allowed else ("", "")
    desk.cases.change(tip, who, did or "reworded", lambda now: _with_own_words(now, case.draft, draft, who), what=what)
    return _next_page(tip, redaction.with_draft(draft))


@blueprint.post("/tips/<tip>/reword/watch")
def watch(tip: str) -> AnyResponse:
    """Return what the gate and the finder say of one text as it is typed; nothing is kept."""
    redaction = with_new_texts(current_desk().referral_context.redaction(case_to_redact(tip)))
    numbers = {name: number for number, name in enumerate(rewordable(redaction.fields), 1)}
    name = request.form.get("name", "")
    if name not in numbers:
        raise RefusedError("gone")
    text = clean_text(request.form.get("text", ""))
    if len(text) > MAX_OWN_WORDS:
        raise RefusedError("too-long")
    watched = _watched(name, text, _read_marks(request.form), redaction.gate())
    return Response(
        render_template("watched.html", number=numbers[name], watched=watched, why=REMOVED_KINDS), mimetype="text/html"
    )


def _page(case: Case, redaction: Redaction, status: int = 200) -> AnyResponse:
    """Return the page with what is saved, or with what was typed and not saved, beside the texts of now."""
    gate, rewordings = redaction.gate(), redaction.draft.rewordings
    form, seen = typed_form(case.id, "rewording"), seen_mark(redaction)
    unsaved = request.form if request.method == "POST" else form.values
    typed = typed_words(redaction) if unsaved is None else _read_typed(redaction, unsaved)
    texts = [
        RewordedText(
            name,
            redaction.redacted[name],
            one,
            _watched(name, one.text, one.let_stand, gate),
            changed_since(rewordings[name], redaction.fields) if name in rewordings else (),
        )
        for name, one in typed.items()
    ]
    return render_page(
        "reword.html",
        status,
        case=case,
        texts=texts,
        changed=list(dict.fromkeys(name for one in texts for name in one.changed)),
        ways=Way,
        why=REMOVED_KINDS,
        longest=MAX_OWN_WORDS,
        seen=seen,
        form=form,
        is_other=unsaved is not None and unsaved.get("seen") != seen,
        later=later_messages(case, current_desk().cases),
        has_translation=TRANSLATION in typed,
        is_refused=status != HTTPStatus.OK,
    )


def _watched(name: str, text: str, let_stand: frozenset[str], gate: LeftoverGate) -> WatchedText:
    findings = current_desk().referral_context.find(name, text)
    return WatchedText.of(text, gate.find(name, text), findings, let_stand)


def _read_typed(redaction: Redaction, form: MultiDict[str, str]) -> dict[str, TypedWords]:
    """Return what a form says of each text, by the name beside it; a text that the form does not name stays."""
    typed = typed_words(redaction)
    for number in range(1, _MAX_TEXTS + 1):
        name, way = form.get(f"name-{number}", ""), form.get(f"way-{number}", "")
        if name in typed and way in set(Way):
            typed[name] = TypedWords(Way(way), clean_text(form.get(f"text-{number}", "")), _read_marks(form))
    return typed


def _read_marks(form: MultiDict[str, str]) -> frozenset[str]:
    return frozenset(form.getlist("stand")[:_MAX_MARKS])


def _with_new_beginning(redaction: Redaction, typed: Mapping[str, TypedWords]) -> dict[str, TypedWords]:
    """Return what was typed; where a button asks for that, a text begins again from what is left of an original."""
    kind, _, number = request.form.get("go", "").partition("-")
    name = request.form.get(f"name-{number}", "")
    source = {"original": name, "translation": TRANSLATION}.get(kind, "")
    if name not in typed or source not in redaction.redacted:
        return dict(typed)
    return {**typed, name: TypedWords(Way.OWN, redaction.redacted[source])}


def _with_own_words(now: Case, shown: RedactionDraft, draft: RedactionDraft, who: str) -> Case:
    """Return a case with a new draft; raises RefusedError `changed` if the draft was changed since it was read."""
    if now.draft != shown:
        raise RefusedError("changed")
    return now.with_draft(who, draft)


def _next_page(tip: str, redaction: Redaction) -> AnyResponse:
    go, gate = request.form.get("go", ""), redaction.gate()
    shown = url_for("rewording.show", tip=tip)
    if go != "look":
        return see_other(shown, "Your own words are saved.")
    used = used_rewordings(redaction.draft)
    stopping = sum(len(gate.stopping(name, one.text, one.let_stand)) for name, one in used.items())
    if stopping:
        places = "1 place stops" if stopping == 1 else f"{stopping} places stop"
        return see_other(shown, f"Your own words are saved. {places} the referral: look below the texts.")
    if not all(one.text for one in used.values()):
        return see_other(shown, RefusedError("no-own-words").message)
    return see_other(url_for("referral.show_preview", tip=tip))
