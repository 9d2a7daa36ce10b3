"""What a handler types and has not saved, as the pages show it: kept as it is typed, shown again, thrown away.

Each form that is kept names itself, its window, and the handler for whom its page was made. A form that the desk
refuses is kept, also where its session was locked meanwhile; a form that was saved ends what was kept of it. A request
that another page could have made keeps nothing.
"""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from flask import Blueprint, Response, g, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import HaumaruError
from app.core.log import log_error
from app.desk.errors import RefusedError
from app.desk.typed import TypedText
from app.desk.web.context import Session, current_desk, current_handler, see_other
from app.web.http import REFUSED

_NOT_KEPT = frozenset({"token", "typed", "window", "continues", "number", "writer", "ready", "language"})
_PAGES = {
    "reply": "case.show_thread",
    "redaction": "referral.show_draft",
    "rewording": "rewording.show",
    "boxes": "referral.show_boxes",
}
_MAX_NUMBER_DIGITS = 9
_SAVED_STATUS = 303

blueprint = Blueprint("typed", __name__)


@dataclass(frozen=True)
class TypedForm:
    """What a page needs to show one form: the fields that nobody has saved, and the names that the form sends along.

    `values` is None where there is nothing but what is saved; `continues` is the window whose text is shown.
    """

    form: str
    tip: str
    writer: str
    window: str
    continues: str = ""
    values: MultiDict[str, str] | None = None
    others: tuple[TypedText, ...] = ()

    def text(self, saved: str, name: str = "text") -> str:
        """Return what a field shows."""
        return saved if self.values is None else self.values.get(name, "")

    def ticked(self, name: str, *, saved: bool) -> bool:
        """Return whether a box is ticked."""
        return saved if self.values is None else name in self.values

    def is_other_than(self, mark: str) -> bool:
        """Return whether the fields were typed for another value than the one that is saved now."""
        return self.values is not None and self.values.get("was", "") not in ("", mark)


def typed_form(tip: str, form: str) -> TypedForm:
    """Return one form for the page that is shown: as it was just refused, or with the text that was kept last.

    The address may name another text of this handler in `window`, or ask in `saved` for what is saved.
    """
    handler, window = current_handler(), secrets.token_hex(8)
    texts = current_desk().typed.of(handler, tip, form)
    if request.method == "POST" and request.form.get("typed") == form:
        shown, values = request.form.get("window", ""), request.form
        others = [one for one in texts if one.window not in (shown, request.form.get("continues"))]
        return TypedForm(form, tip, handler, window, shown, values, tuple(others))
    named = [one for one in texts if one.window == request.args.get("window")]
    for text in (named or texts)[: 0 if "saved" in request.args else 1]:
        rest = tuple(one for one in texts if one is not text)
        return TypedForm(form, tip, handler, window, text.window, MultiDict(text.fields), rest)
    return TypedForm(form, tip, handler, window, others=tuple(texts))


@blueprint.post("/tips/<tip>/typed")
def keep(tip: str) -> AnyResponse:
    """Keep a form as it is typed; the script of the page sends it."""
    _keep(g.trusted_session, tip, _read_fields())
    return Response(status=204)


@blueprint.post("/tips/<tip>/typed/discard")
def discard(tip: str) -> AnyResponse:
    """Throw away what this handler typed in one window and did not save."""
    form = request.form.get("typed", "")
    current_desk().typed.end(current_handler(), tip, form, {request.form.get("window", "")})
    page, _, number = form.partition("-") if request.form.get("back") != "tip" else ("", "", "")
    place = int(number) if number.isascii() and number.isdigit() else None
    return see_other(url_for(_PAGES.get(page, "case.show"), tip=tip, number=place), "What you had not saved is gone.")


def keep_refused() -> bool | None:
    """Keep the form of a request that is refused; return whether that worked, None where there is no such form."""
    session: Session | None = g.get("trusted_session")
    if session is None or not _is_typed() or "typed_kept" in g:
        kept: bool | None = g.get("typed_kept")
        return kept
    g.typed_kept = False
    try:
        sent = _read_fields() if request.blueprint == "typed" else request.form.items(multi=True)
        _keep(session, str((request.view_args or {})["tip"]), sent)
        g.typed_kept = True
    except HaumaruError as error:
        log_error(error)
    return bool(g.typed_kept)


def keep_changed(tip: str, values: MultiDict[str, str]) -> None:
    """Keep a form whose fields the desk itself has changed, such as a reply with a ready text at its end."""
    g.typed_kept = False
    try:
        if _is_typed():
            _keep(g.trusted_session, tip, values.items(multi=True))
            g.typed_kept = True
    except HaumaruError as error:
        log_error(error)


def settle_typed(response: Response) -> Response:
    """End what was kept of a form once it is saved, which leads to another page; keep any other form of a request."""
    if "trusted_session" in g and _is_typed() and "typed_kept" not in g and request.blueprint != "typed":
        if response.status_code != _SAVED_STATUS:
            keep_refused()
        elif g.trusted_session.handler:
            _end_saved()
    return response


def _end_saved() -> None:
    windows = {request.form.get("window", ""), request.form.get("continues", "")}
    try:
        writer = _writer(g.trusted_session)
        current_desk().typed.end(writer, str((request.view_args or {})["tip"]), request.form["typed"], windows)
    except HaumaruError as error:  # the form is saved all the same; the text is shown once more
        log_error(error)


def _is_typed() -> bool:
    whole = REFUSED not in request.environ
    return whole and request.method == "POST" and "typed" in request.form and "tip" in (request.view_args or {})


def _keep(session: Session, tip: str, sent: Iterable[tuple[str, str]]) -> None:
    number = request.form.get("number", "")
    count = int(number) if number.isascii() and number.isdigit() and len(number) <= _MAX_NUMBER_DIGITS else 0
    text = TypedText(
        _writer(session),
        tip,
        request.form.get("typed", ""),
        request.form.get("window", ""),
        tuple((name, value) for name, value in sent if name not in _NOT_KEPT),
        count + (request.blueprint != "typed"),
    )
    current_desk().typed.keep(text, continues=request.form.get("continues", ""))


def _writer(session: Session) -> str:
    """Return for whom the page of a form was made; raises RefusedError where that person is not of this session."""
    writer = request.form.get("writer", session.handler)
    if not writer or writer not in {session.handler, *session.handlers}:
        raise RefusedError("handler")
    return writer


def _read_fields() -> list[tuple[str, str]]:
    """Return the fields that a script sends as a list of pairs in JSON; raises RefusedError `too-long` for others."""
    try:
        pairs = json.loads(request.form.get("fields", "[]"))
        return [(str(name), str(value)) for name, value in pairs]
    except (ValueError, TypeError, RecursionError):
        raise RefusedError("too-long") from None
