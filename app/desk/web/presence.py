"""On each page of a tip: who else has the tip open, and that somebody changed the tip while the page was open.

The page says the first when it is shown; its script asks again, every ten seconds. Asking is no use of the session.
"""

import secrets
from dataclasses import dataclass

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.desk.case import Case
from app.desk.presence import changed_sentence
from app.desk.web.context import BACKGROUND_HEADER, current_desk, current_handler, current_session

_MAX_WINDOW = 64
_MAX_DIGITS = 9

blueprint = Blueprint("presence", __name__)


@dataclass(frozen=True)
class OpenedPage:
    """One page of a tip in one window: its name, who else has the tip open, and the address that shows it again."""

    window: str
    others: str
    again: str


def open_page(case: Case) -> OpenedPage:
    """Note that a page of a case is shown, and return what the page says of others."""
    window, others = secrets.token_hex(8), ""
    if BACKGROUND_HEADER not in request.headers:
        others = _note(case.id, window)
    here = request.url_rule if request.method == "GET" else None
    again = url_for(here.endpoint, **(request.view_args or {})) if here else url_for("case.show", tip=case.id)
    return OpenedPage(window, others, again)


@blueprint.get("/tips/<tip>/beside")
def tell(tip: str) -> dict[str, str]:
    """Return who else has a tip open, and who changed it since the page was shown; raises RefusedError."""
    desk, since = current_desk(), request.args.get("version", "")
    case = desk.cases.get(tip)
    case.require_shown()
    version = int(since) if since.isascii() and since.isdigit() and len(since) <= _MAX_DIGITS else case.version
    return {
        "others": _note(case.id, request.args.get("window", "")[:_MAX_WINDOW], again=True),
        "changed": changed_sentence(desk.journal, case, version, current_handler()),
    }


@blueprint.post("/tips/<tip>/leave")
def leave(tip: str) -> AnyResponse:  # noqa: ARG001  # the address names the tip, as every address of a tip does
    """Note that the page of a tip was left; its script says so when the page goes away."""
    current_desk().presence.leave(request.form.get("window", ""), current_handler())
    return Response(status=204)


def _note(tip: str, window: str, *, again: bool = False) -> str:
    session = current_session()
    return current_desk().presence.note(tip, window, session.handler, is_over=lambda: bool(session.ended), again=again)
