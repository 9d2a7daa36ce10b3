"""The form on which a case is redacted: from its fields to a draft, and who may send it.

A form that was only typed, and is not saved, is read by the same function, so that it comes back as it was.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from flask import request
from werkzeug.datastructures import MultiDict

from app.core.unicode import clean_text
from app.desk.authority_questions import answered_question
from app.desk.case import Case
from app.desk.case_fields import CaseQuestion, RedactionDraft
from app.desk.errors import RefusedError
from app.desk.known_names import LISTED
from app.desk.later_messages import is_later
from app.desk.marks import MarkablePiece, read_marks
from app.desk.redaction import MAX_TERMS, is_file, with_known_marks
from app.desk.web.context import current_desk, current_handler

_MAX_SUMMARY = 2000


def case_to_redact(tip: str) -> Case:
    """Return a case whose draft this handler may change; raises RefusedError."""
    case = current_desk().cases.get(tip)
    case.require_redactor(current_handler())
    return case


def open_question(case: Case) -> CaseQuestion | None:
    """Return the authority's question that a draft answers; None for none, or where it was decided meanwhile."""
    with suppress(RefusedError):
        return answered_question(current_desk().cases, case)
    return None


def count_suggested(suggested: Iterable[MarkablePiece]) -> Counter[str]:
    """Return how many suggestions are black, how many the form's search underlines, and how many the list of names."""
    return Counter("black" if one.on else "listed" if one.kind == LISTED else "underlined" for one in suggested)


def read_draft(case: Case, fields: Mapping[str, str]) -> RedactionDraft:
    """Return the draft of the form.

    Raises RefusedError `many-words`: a word that nobody takes out must not be dropped from the list in silence; and
    `too-long` for a summary that would be cut.
    """
    draft = form_draft(case, fields, request.form)
    if len(draft.terms) > MAX_TERMS:
        raise RefusedError("many-words")
    if len(draft.summary) > _MAX_SUMMARY:
        raise RefusedError("too-long")
    return draft


def form_draft(case: Case, fields: Mapping[str, str], form: MultiDict[str, str]) -> RedactionDraft:
    """Return the draft that a form says; what names no field, file or authority of ours is left out."""
    kept, shown = form.getlist("keep"), form.getlist("shown")
    new = [name for name in fields if is_later(name) and name not in shown]
    question = open_question(case) if form.get("answers") == case.draft.question else None
    chosen = [question.authority] if question else form.getlist("authority")
    paths = {file.path for file in case.files}
    lines = [clean_text(line).strip() for line in (*form.get("terms", "").splitlines(), *form.getlist("term"))]
    draft = replace(
        case.draft,
        marks=read_marks(form.getlist("m"), fields),
        seen=form.get("seen", ""),
        terms=tuple(dict.fromkeys(term for term in lines if term)),
        # A later message that the form did not show is not known yet: its suggestions are black when it is first shown.
        left_out=tuple(name for name in fields if name not in (*kept, *new) and not is_file(name)),
        later=tuple(name for name in fields if name in kept and is_later(name)),
        files=tuple(path for path in form.getlist("file") if path in paths),
        summary=clean_text(form.get("summary", "")),
        authorities=tuple(name for name in current_desk().config.authorities if name in chosen),
        question=question.id if question else "",
        looked=True,
    )
    return with_known_marks(draft, fields)
