"""The page of one case, as reading it shows it and as a refusal shows it again.

A form of the page that was refused comes back as it was filled in, with the reason beside it.
"""

from flask import request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import BusyError
from app.desk.arrival_notice import find_shown
from app.desk.attachments import Attachment
from app.desk.case import Case
from app.desk.errors import RefusedError
from app.desk.redaction import answer_texts
from app.desk.service import Desk
from app.desk.typed import TypedText
from app.desk.web.context import current_desk, current_handler, handler_names, render_page
from app.desk.web.queue_filter import filter_query, read_filter
from app.desk.web.typed import typed_form

_OTHER_PAGES = {
    "reply": ("Messages", "case.show_thread"),
    "redaction": ("Redact", "referral.show_draft"),
    "rewording": ("Own words", "rewording.show"),
}

_PAGES_OF_HOLDER = frozenset({"redaction", "rewording"})


def case_page(case: Case, refusal: RefusedError | None = None, *, at: str = "") -> AnyResponse:
    """Return the page of a case that may be shown; `at` names the form that was refused."""
    desk = current_desk()
    return render_page(
        "case.html",
        case=case,
        texts=answer_texts(case),
        files=_files_or_none(desk, case),
        beside=_neighbour_links(case),
        similar_cases=desk.queue.similar_to(case),
        common=desk.common.of(case),
        joined=desk.joined.others(case),
        repeats=desk.joined.repeats(case),
        original=suggested_original(case),
        parent=desk.cases.parent(case),
        today=desk.cases.today(),
        translators=desk.config.translators.values(),
        can_tell=desk.statuses.can_tell(case),
        colleagues=[name for name in handler_names() if name != current_handler()],
        note=typed_form(case.id, "note"),
        translation=typed_form(case.id, "translation"),
        unsaved_elsewhere=_unsaved_elsewhere(case),
        unsaved_before=_unsaved_before(case),
        status=refusal.answer if refusal else 200,
        refusal=refusal,
        refused_at=at,
        pressed=request.form if refusal else {},
    )


def _unsaved_elsewhere(case: Case) -> list[tuple[str, str]]:
    """Return the other pages of a case on which this handler has not saved something: their names and addresses."""
    forms = current_desk().typed.forms(current_handler(), case.id)
    shown = {form: page for form, page in _OTHER_PAGES.items() if form in forms - _unsaved_before(case).keys()}
    return [(words, url_for(page, tip=case.id)) for words, page in shown.values()]


def _unsaved_before(case: Case) -> dict[str, list[TypedText]]:
    """Return what this handler has not saved on pages that only the person working on the case can open."""
    handler, typed = current_handler(), current_desk().typed
    forms = _PAGES_OF_HOLDER & typed.forms(handler, case.id) if case.holder != handler else ()
    return {form: typed.of(handler, case.id, form) for form in sorted(forms)}


def refused_page(tip: str, refusal: RefusedError, *, at: str) -> AnyResponse:
    """Return the page of a case with why a form of it was refused; raises the refusal if no page may be shown."""
    case = find_shown(current_desk().cases, tip)
    if case is None:
        raise refusal
    return case_page(case, refusal, at=at)


def suggested_original(case: Case) -> str:
    """Return the id of the tip that a case most likely repeats, for a handler to see and change; "" for none.

    The tip that the case follows, or the oldest of those with almost the same words.
    """
    desk = current_desk()
    lead = desk.joined.lead(case)
    if lead:
        return lead.id
    older = sorted((one.received, one.id) for one in desk.queue.similar_to(case))
    return older[0][1] if older and older[0] < (case.received, case.id) else ""


def _neighbour_links(case: Case) -> dict[str, str]:
    """Return the addresses of the tips before and after this one in the queue that led here, "" at its ends."""
    filters = read_filter(request.args)
    beside = current_desk().queue.neighbours(case, filters, current_handler())
    found = {
        "previous": (beside.previous, beside.previous_page),
        "next": (beside.following, beside.following_page),
    }
    query = filter_query(filters)
    return {
        name: url_for("case.show", tip=one.id, **query | {"page": str(page)}) if one else ""
        for name, (one, page) in found.items()
    }


def _files_or_none(desk: Desk, case: Case) -> tuple[Attachment, ...] | None:
    """Return the files of a case, or None where the machine is too busy to clean them now."""
    try:
        return desk.attachments.of(case)
    except BusyError:
        return None
