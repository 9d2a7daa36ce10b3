"""The forms that give a tip to a colleague, and set or take away the day by which the tip is due.

Both are journaled with the name of the colleague and the day; neither holds a word of the tip. The colleague reads who
gave the tip in the queue and on the tip's page, and is told of it while the desk is open in a browser.
"""

from contextlib import suppress
from datetime import date

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.desk.assignment import due_day, giver
from app.desk.case import Case
from app.desk.errors import RefusedError
from app.desk.labels import days_label
from app.desk.web.case_page import refused_page
from app.desk.web.context import current_desk, current_handler, handler_names, see_other

blueprint = Blueprint("assignment", __name__)


@blueprint.post("/tips/<tip>/give")
def give(tip: str) -> AnyResponse:
    """Give a tip to a colleague, who then works on it."""
    desk, colleague = current_desk(), request.form.get("colleague", "")
    try:
        case = desk.assignments.give(tip, current_handler(), colleague, handler_names())
    except RefusedError as refusal:
        return refused_page(tip, refusal, at="work")
    for one in desk.joined.followers(case):  # what another works on stays with that person
        with suppress(RefusedError):
            desk.assignments.give(one.id, current_handler(), colleague, handler_names())
    return see_other(url_for("queue.show"), f"The tip is given to {colleague}.")


@blueprint.post("/tips/<tip>/due")
def set_due(tip: str) -> AnyResponse:
    """Set the day by which a tip is due; an empty day takes it away."""
    try:
        day = _read_day(request.form.get("day", ""))
        current_desk().assignments.set_due(tip, current_handler(), day)
    except RefusedError as refusal:
        return refused_page(tip, refusal, at="work")
    notice = f"The tip is due on {day.isoformat()}." if day else "The tip has no due day that somebody set."
    return see_other(url_for("case.show", tip=tip), notice)


def due_label(case: Case, today: date) -> str:
    """Return by when a case is due, in words; "" where it is due on no day."""
    day = due_day(case)
    if day is None:
        return ""
    late = (today - day).days
    if late > 0:
        return f"Overdue for {days_label(late)}"
    return "Due today" if late == 0 else f"Due on {day.isoformat()}"


def giver_label(case: Case, who: str) -> str:
    """Return who gave a case to its handler, as `who` reads it; "" if nobody did."""
    name = giver(case)
    return f"Given {'to you ' if case.holder == who else ''}by {name}" if name else ""


def _read_day(untrusted_day: str) -> date | None:
    try:
        return date.fromisoformat(untrusted_day) if untrusted_day else None
    except ValueError:
        raise RefusedError("day") from None
