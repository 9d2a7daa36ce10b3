"""The forms that close tips: one or many, for a reason; undone for five minutes, or opened again at any time.

A tip in danger is never closed with others: its page asks first. What a handler closed last can be undone from any page
of that handler's session.
"""

import time
from collections import Counter
from functools import partial

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import HaumaruError
from app.desk.arrival_notice import find_shown
from app.desk.case_fields import REASONS, Outcome
from app.desk.closing import REPEAT, close_case, reopen_case, undo_closing
from app.desk.errors import RefusedError
from app.desk.web.case_page import refused_page, suggested_original
from app.desk.web.context import LastClosed, current_desk, current_handler, current_session, see_other, tell_sender
from app.desk.web.queue import NOTHING_CHOSEN
from app.desk.web.queue_filter import read_filter

_LEFT = {
    "danger": "Tips not closed, because someone is in danger now and you must close each on its own page",
    "not-referred": "Tips not closed, because they were not referred",
}
_STILL_OPEN = "Tips not closed, because another person works on them or they were closed before"

blueprint = Blueprint("closing", __name__)


@blueprint.post("/tips/<tip>/close")
def close(tip: str) -> AnyResponse:
    """Close a case, tell the sender if the handler left that box ticked, and go on to the next new one of the list."""
    desk, who, sure = current_desk(), current_handler(), request.form.get("danger-over") == "yes"
    was_held = bool(desk.cases.get(tip).holder)
    try:
        reason, original = request.form.get("reason", ""), _read_original()
        case = close_case(desk.cases, tip, who, reason, read_outcome(), danger_over=sure, repeats=original)
    except RefusedError as refusal:
        return refused_page(tip, refusal, at="finish")
    failed = tell_sender(lambda: desk.statuses.note_closed(case))
    desk.attachments.forget(tip)
    note_closed({tip: was_held})
    following = desk.queue.next_new(case, read_filter(request.args), who)
    if following is None:
        return see_other(url_for("queue.show"), f"The tip is closed.{failed}")
    return see_other(url_for("case.show", tip=following.id), f"The tip is closed.{failed} This is the next new tip.")


@blueprint.post("/close")
def close_many() -> AnyResponse:
    """Close every chosen tip for one reason, and tell each sender if the handler left that box ticked."""
    desk, reason = current_desk(), request.form.get("reason", "")
    closed: dict[str, bool] = {}
    left: Counter[str] = Counter()
    untold = 0
    if reason not in REASONS:
        raise RefusedError("no-reason")
    tips = request.form.getlist("tip")
    # Suggested before the first is closed: of equal tips the oldest stays what the others repeat.
    shown = [case for case in (find_shown(desk.cases, tip) for tip in tips) if case]
    originals: dict[str, str] = {case.id: suggested_original(case) for case in shown if reason == REPEAT}
    for tip in tips:
        try:
            was_held = bool(desk.cases.get(tip).holder)
            case = close_case(desk.cases, tip, current_handler(), reason, repeats=originals.get(tip, ""))
            closed[tip] = was_held
            untold += bool(tell_sender(partial(desk.statuses.note_closed, case)))
        except HaumaruError as error:
            left[_LEFT.get(error.code, _STILL_OPEN)] += 1
    note_closed(closed)
    lines = {"Tips closed": len(closed), **left, "Senders to whom the desk could not write": untold}
    notice = " ".join(f"{words}: {count}." for words, count in lines.items() if count or words == "Tips closed")
    return see_other(url_for("queue.show"), notice if closed or left else NOTHING_CHOSEN)


@blueprint.post("/close/undo")
def undo() -> AnyResponse:
    """Open again what this handler closed last; what somebody changed meanwhile stays as it is."""
    desk, session = current_desk(), current_session()
    last, session.last_closed = session.last_closed, None
    opened = []
    for tip, was_held in last.tips.items() if last and last.is_recent(current_handler(), time.monotonic()) else ():
        try:
            case = undo_closing(desk.cases, tip, current_handler(), was_held=was_held)
            desk.statuses.note_reopened(case, current_handler())
            opened.append(tip)
        except HaumaruError:
            continue
    if len(opened) == 1:
        return see_other(url_for("case.show", tip=opened[0]), "The tip is open again, as it was before.")
    return see_other(url_for("queue.show"), f"Tips open again: {len(opened)}.")


@blueprint.post("/tips/<tip>/reopen")
def reopen(tip: str) -> AnyResponse:
    """Work on a closed case again."""
    desk = current_desk()
    desk.statuses.note_reopened(reopen_case(desk.cases, tip, current_handler()), current_handler())
    return see_other(url_for("case.show", tip=tip), "The tip is open again. You have claimed it.")


def read_outcome() -> Outcome:
    """Return the outcome that a form chooses; anything unknown counts as not known yet."""
    untrusted_outcome = request.form.get("outcome", "")
    return Outcome(untrusted_outcome) if untrusted_outcome in set(Outcome) else Outcome.UNKNOWN


def _read_original() -> str:
    """Return the id of the tip that a closed tip repeats, "" where the reason is another, or none was named."""
    typed = request.form.get("repeats", "").strip()
    wanted = request.form.get("reason") == REPEAT and typed
    return current_desk().joined.read_number(typed).id if wanted else ""


def note_closed(closed: dict[str, bool]) -> None:
    """Let this handler undo the closing of these tips for a while; of each, whether somebody worked on it before."""
    if closed:
        current_session().last_closed = LastClosed(closed, current_handler(), time.monotonic())
