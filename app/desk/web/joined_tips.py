"""The forms that join tips that belong together, take them apart again, and close the others as repeats.

What a form of the page of a tip cannot do is said on that page. Nothing here writes to a sender.
"""

from collections import Counter
from functools import partial

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.desk.errors import RefusedError
from app.desk.web.case_page import refused_page
from app.desk.web.closing import note_closed
from app.desk.web.context import current_desk, current_handler, see_other, tell_sender

_LEFT = {
    "danger": "Left open, because someone is in danger now",
    "request": "Left open, because the sender asked you not to pass the tip on",
}
_UNTOLD = "Senders to whom the desk could not write"
_HELD = "Left open, because another person works on them or something is just leaving"

blueprint = Blueprint("joined_tips", __name__)


@blueprint.post("/tips/<tip>/join")
def join(tip: str) -> AnyResponse:
    """Join the chosen tips, and the one whose number was typed, with a tip."""
    desk, typed = current_desk(), request.form.get("number", "").strip()
    try:
        others = [*request.form.getlist("other"), *([desk.joined.read_number(typed).id] if typed else [])]
        count = desk.joined.join(tip, others, current_handler())
    except RefusedError as refusal:
        return refused_page(tip, refusal, at="joined")
    return _back(tip, f"Tips joined: {count}.")


@blueprint.post("/tips/<tip>/apart")
def take_apart(tip: str) -> AnyResponse:
    """Take a tip out of its group, or all tips apart where this one leads."""
    try:
        current_desk().joined.take_apart(tip, current_handler())
    except RefusedError as refusal:
        return refused_page(tip, refusal, at="joined")
    return _back(tip, "The tips are apart again.")


@blueprint.post("/tips/<tip>/close-repeats")
def close_repeats(tip: str) -> AnyResponse:
    """Close the tips that follow a tip as its repeats, and tell each sender if the handler left that box ticked."""
    desk = current_desk()
    held = {one.id: bool(one.holder) for one in desk.joined.followers(desk.cases.get(tip))}
    closed, left = desk.joined.close_repeats(tip, current_handler())
    note_closed({case.id: held.get(case.id, False) for case in closed})
    counts = Counter({"Tips closed": len(closed)})
    for case in closed:
        desk.attachments.forget(case.id)
        counts[_UNTOLD] += bool(tell_sender(partial(desk.statuses.note_closed, case)))
    for code, count in left.items():
        counts[_LEFT.get(code, _HELD)] += count
    said = {words: count for words, count in counts.items() if count or words == "Tips closed"}
    return _back(tip, " ".join(f"{words}: {count}." for words, count in said.items()))


def _back(tip: str, notice: str) -> AnyResponse:
    return see_other(url_for("case.show", tip=tip, _anchor="joined"), notice)
