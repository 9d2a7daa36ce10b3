"""The steps from typing to sending, one for each button; a report and an answer go through the same.

What differs between the two is their `JourneyViews`. Every response keeps what was typed, says "sent" only once the
outbox has the tip, and otherwise says "not sent" and whom to call. There is no cookie, no session and no script: what a
step needs travels in the form itself.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Generic, Protocol, TypeVar

from flask import Response, g, request
from flask_babel import gettext as _
from werkzeug.datastructures import FileStorage

from app.core.errors import (
    AlreadySentError,
    BundleError,
    BusyError,
    FileRefusedError,
    HaumaruError,
    HeldDestroyedError,
    HeldFullError,
    HeldGoneError,
    HeldLimitError,
    MemoryStoreError,
    OutboxError,
    RateError,
    WordsFullError,
)
from app.core.log import log_error
from app.files.protocol import REFUSALS
from app.site.report.choices import files_are_missing, files_came, sends_without_files
from app.site.report.file_rows import file_rows, read_shown
from app.site.report.file_steps import FileSteps, sizes_sentence, take_uploads
from app.site.report.form_token import TooSoonError
from app.site.report.forms import TipForm
from app.site.report.journey import TOO_LARGE
from app.site.report.responses import (
    WITH_FILES_BYTES,
    HeldTip,
    PageError,
    ReportContext,
    ReportResponses,
    closed_error,
)
from app.site.report.submit import Submission, arrival_hours, confirm, submit
from app.web.http import REFUSED, REFUSED_BYTES, same_origin

_DRAFT = re.compile(r"[0-9a-f]{32}", re.ASCII)
_RETRY_SECONDS = 60
# What is said of a long body whose words alone were read, by status: too long, or too slow.
_REFUSED = {413: TOO_LARGE, 408: REFUSALS["no-time"]}
_Form = TypeVar("_Form", bound=TipForm)


class JourneyViews(Protocol[_Form]):
    """What the steps ask of the views of a journey; each method reads the current request."""

    def open_form(self) -> _Form:
        """Return the form of the journey with what the request sent."""

    def require(self, name: str) -> None:
        """Raise PageError where the request lacks something that the step `name` needs, before any text is read."""

    def first_page(self, form: _Form, problem: PageError | None) -> Response:
        """Return the page on which a sender types, with what was typed."""

    def carried(self, form: _Form) -> Sequence[tuple[str, str]]:
        """Return the names and values of the hidden fields that a page carries to the next beside what was typed."""

    def submission(self, form: _Form, untrusted_files: list[bytes]) -> Submission:
        """Return what is sent; raises BusyError."""

    def sent_page(self, form: _Form, files_hours: int) -> Response:
        """Return the page that says "sent"; its files leave within so many hours, 0 where there are none."""

    def sent_again_page(self, form: _Form) -> Response:
        """Return the page that says that this very form was sent before; raises BusyError or OutboxError."""


class TipSteps(Generic[_Form]):
    """The steps of one journey: look, send, confirm, discard, extend, edit, those on files, and some of its own.

    `own` are the journey's own steps by name; those of `without_token` store and count nothing.
    """

    def __init__(
        self,
        context: ReportContext,
        responses: ReportResponses,
        views: JourneyViews[_Form],
        *,
        own: Mapping[str, Callable[[_Form], Response]] | None = None,
        without_token: Collection[str] = (),
    ) -> None:
        self._context, self._responses, self._views = context, responses, views
        self._journey, self._without_token = responses.journey, without_token
        self._files = FileSteps(context, self._responses)
        # What a step takes of the visitor's shares; others cost little, and a held tip was counted when it was held.
        self._purposes = {self._journey.look: "look", "send": "tip", **dict.fromkeys(self._files.names, "look")}
        self._steps: dict[str, Callable[[_Form], Response]] = {
            "edit": self._edit,
            self._journey.look: self._look,
            "send": self._send,
            "confirm": self._confirm,
            "discard": self._discard,
            "extend": self._extend,
            **{name: partial(self._change_file, name=name) for name in self._files.names},
            **(own or {}),
        }

    def run(self) -> Response:
        """Run the step whose button was pressed, once the request is known to be ours and within the limits."""
        form, name = self._views.open_form(), request.form.get("step", "").partition(":")[0]
        if files_came():
            g.page_bytes = WITH_FILES_BYTES
        try:
            self._require_whole_request(name)
            self._require_token(form, name)
            self._views.require(name)
            self._require_agency(form, name)
            return self._run_within_limits(form, name)
        except PageError as problem:
            return self._page_again(form, name, problem)
        except RateError as error:
            return self._over_limit(form, name, error)

    def _run_within_limits(self, form: _Form, name: str) -> Response:
        """Run a step that has a place in the visitor's shares, and give the place back if nothing comes of the step.

        Raises RateError.
        """
        purpose = self._purposes.get(name)
        if not purpose:
            form.validate()
            return self._steps[name](form)
        with self._context.rates.reserved(purpose) as place:
            form.validate()
            run = partial(self._send, most_waiting=place.most_waiting) if name == "send" else self._steps[name]
            response = run(form)
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                place.give_back()
            return response

    # What holds for every step, before any text of the form is looked at. Each raises PageError.

    def _require_whole_request(self, name: str) -> None:
        if refused := request.environ.get(REFUSED):
            raise self._refused_body(refused)
        if name not in self._steps:
            raise PageError(400, _("Something went wrong with that button. Nothing was sent. Please try again."))
        if not same_origin(self._context.origins):
            sentence = _("We could not check that you used our own page, so nothing was sent. Please try again.")
            raise PageError(403, sentence)

    def _require_agency(self, form: _Form, name: str) -> None:
        closed = form.agency and form.agency.is_closed(self._context.clock())
        if closed and name in (self._journey.look, "send", "confirm"):
            raise closed_error()

    def _require_token(self, form: _Form, name: str) -> None:
        if name in self._without_token:
            return
        error = form.check_token()
        if error and not (name == "edit" and isinstance(error, TooSoonError)):
            raise PageError(error.status, _(error.message))
        if any(request.form.getlist("website")):
            sentence = _(
                "Something was written in a hidden box, so nothing was sent. The box is empty now. Please try again."
            )
            raise PageError(400, sentence)

    def _over_limit(self, form: _Form, name: str, error: RateError) -> Response:
        nonce, now = form.current.nonce, self._context.clock()
        if name == "send" and self._context.outbox.was_sent(nonce, now):  # by an earlier press of the same button
            return self._not_sent(form, AlreadySentError())
        words = _(
            "Too many reports came at the same time, so nothing was sent. Please try again in %(minutes)s minutes."
        )
        problem = PageError(error.status, words % {"minutes": error.minutes}, error.seconds)
        return self._page_again(form, name, problem)

    def _page_again(self, form: _Form, name: str, problem: PageError | None) -> Response:
        """Return the page that the request came from, with what was typed and ticked."""
        if name in ("confirm", "discard", "extend") or name in self._files.names:
            return self._responses.held(form, self._held_tip(form), problem)
        # Of a refused body with files the button is unknown: a browser sends the button after the files.
        if REFUSED in request.environ and request.mimetype == "multipart/form-data" and self._may_look(form):
            return self._look_again(form, problem)
        return self._views.first_page(form, problem)

    def _may_look(self, form: _Form) -> bool:
        """Return whether the words of a refused body can be shown in the look: they are ours, and within the limits."""
        if not same_origin(self._context.origins) or form.check_token():
            return False
        with suppress(RateError), self._context.rates.reserved("look"):
            return bool(form.validate())
        return False

    # The steps.

    def _edit(self, form: _Form) -> Response:
        form.focus = request.form["step"].partition(":")[2]
        return self._views.first_page(form, None)

    def _look(self, form: _Form) -> Response:
        if form.field_errors:
            return self._views.first_page(form, PageError(422, errors=form.field_errors))
        return self._look_again(form, None)

    def _send(self, form: _Form, *, most_waiting: int | None = None) -> Response:
        if form.field_errors:
            return self._views.first_page(form, PageError(422, errors=form.field_errors))
        files = [file for file in request.files.getlist("files") if file.filename]
        if not files and files_are_missing() and not sends_without_files():
            return self._look_again(form, PageError(422))
        try:
            return self._submit(form, files, most_waiting)
        except PageError as error:
            return self._look_again(form, error)
        except WordsFullError:
            raise  # told as a limit
        except (OutboxError, BusyError, BundleError, FileRefusedError) as error:
            return self._not_sent(form, error)

    def _confirm(self, form: _Form) -> Response:
        context, to_agency = self._context, self._context.submission_to(form.agency)
        try:
            if page := self._files.cut_before_sending(form, self._held_tip(form)):
                return page
            parts = confirm(
                _draft(),
                to_agency,
                nonce=form.current.nonce,
                now=context.clock(),
                networks=context.networks,
            )
        except (OutboxError, BusyError) as error:
            return self._held_error(form, error)
        late = context.visitors.draw(context.networks[0], "files")
        hours = arrival_hours(parts, to_agency, context.config.forward, late=late) if parts else 0
        return self._views.sent_page(form, hours)

    def _discard(self, form: _Form) -> Response:
        try:
            self._context.held.discard(_draft(), now=self._context.clock())
        except HeldDestroyedError:
            pass  # by an earlier press of the same button
        except (OutboxError, BusyError) as error:
            return self._held_error(form, error)
        return self._responses.page("report/discarded.html")

    def _extend(self, form: _Form) -> Response:
        held = self._held_tip(form)
        try:
            self._context.held.extend(held.draft, latest=held.held_until, now=self._context.clock())
        except HeldLimitError as error:
            return self._files.held_again(form, held, PageError(error.status, self._say(error.message)))
        except (OutboxError, BusyError) as error:
            return self._held_error(form, error)
        return self._files.held_again(form, held, None, extended=True)

    def _change_file(self, form: _Form, *, name: str) -> Response:
        try:
            return self._files.run(form, self._held_tip(form), name)
        except OutboxError as error:
            return self._held_error(form, error)

    # What a step is made of.

    def _submit(self, form: _Form, files: Sequence[FileStorage], most_waiting: int | None) -> Response:
        if self._context.outbox.was_sent(form.current.nonce, self._context.clock()):
            raise AlreadySentError  # before any file is cleaned and any code derived
        untrusted_files = take_uploads(files, self._context.config.report.max_upload)
        submission = self._views.submission(form, untrusted_files)
        context, now = self._context.submission_to(form.agency), self._context.clock()
        submitted = submit(submission, context, most_waiting=most_waiting, now=now)
        if submitted.draft:
            rows = file_rows(submitted.files, [file.filename or "" for file in files])
            held = HeldTip(submitted.draft, self._views.carried(form), rows, submitted.held_until).with_files(
                submitted.shown
            )
            form.take_out(request.form.getlist("remove"))
            return self._responses.held(form, held, None)
        return self._views.sent_page(form, 0)

    def _refused_body(self, status: int) -> PageError:
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return self._context.busy(self._say(HeldFullError.message))
        # Browsers take 408 for a fault of the connection, and ask again by themselves.
        shown = HTTPStatus.SERVICE_UNAVAILABLE if status == HTTPStatus.REQUEST_TIMEOUT else status
        seconds = _RETRY_SECONDS if status == HTTPStatus.REQUEST_TIMEOUT else 0
        sentence = self._say(_REFUSED.get(status, BusyError.message))
        if (size := request.environ.get(REFUSED_BYTES)) and request.mimetype == "multipart/form-data":
            sentence = f"{sentence} {sizes_sentence(size, self._context.config.report.max_upload)}"
        return PageError(shown, sentence, seconds)

    def _not_sent(self, form: _Form, error: HaumaruError) -> Response:
        log_error(error)
        if isinstance(error, AlreadySentError):
            return self._sent_again(form)
        if isinstance(error, BusyError) and request.files:
            return self._look_again(form, self._context.busy())
        seconds = _RETRY_SECONDS if error.status == HTTPStatus.SERVICE_UNAVAILABLE else 0
        sentence = REFUSALS.get(error.code, error.message) if isinstance(error, FileRefusedError) else error.message
        if isinstance(error, BundleError):
            sentence = TOO_LARGE
        unknown = isinstance(error, HeldGoneError) and not isinstance(error, HeldDestroyedError)
        return self._look_again(form, PageError(error.status, self._say(sentence), seconds, unknown=unknown))

    def _sent_again(self, form: _Form) -> Response:
        """Return the page for a form that was sent before, or one that does not say whether, where that is unknown."""
        try:
            with self._context.rates.reserved("look"):  # a code takes a derivation, at every press
                return self._views.sent_again_page(form)
        except (OutboxError, BusyError, RateError) as error:
            log_error(error)
            problem = PageError(error.status, _("Something went wrong"), _RETRY_SECONDS, unknown=True)
            held = self._held_tip(form)
            return self._responses.held(form, held, problem) if held.draft else self._look_again(form, problem)

    def _held_error(self, form: _Form, error: HaumaruError) -> Response:
        """Return the page for a step on a held tip that failed; it says "not sent" only where that is known."""
        if not isinstance(error, MemoryStoreError | BusyError):
            return self._not_sent(form, error)
        log_error(error)
        problem = PageError(error.status, _("Something went wrong"), _RETRY_SECONDS, unknown=True)
        return self._responses.held(form, self._held_tip(form), problem)

    def _held_tip(self, form: _Form) -> HeldTip:
        draft = _draft()
        rows, held_until = read_shown(request.form.get("shown", ""), draft, self._context.secret)
        return HeldTip(draft, self._views.carried(form), rows, held_until)

    def _look_again(self, form: _Form, problem: PageError | None) -> Response:
        return self._responses.check(form, self._views.carried(form), problem)

    def _say(self, sentence: str) -> str:
        return str(_(self._journey.say(sentence)))


def _draft() -> bytes:
    untrusted_draft = request.form.get("draft", "")
    return bytes.fromhex(untrusted_draft) if _DRAFT.fullmatch(untrusted_draft) else b""
