"""The views of the report form: show it, and one step for each button of its pages.

Every response keeps what was typed, says "sent" only once the outbox has the tip, and otherwise says "not sent" and
whom to call. There is no cookie, no session and no script: what a step needs travels in the form itself.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus

from flask import Blueprint, Response, g, request
from flask_babel import gettext as _
from werkzeug.datastructures import FileStorage

from app.core.errors import (
    N_,
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
from app.delivery.receipt_codes import DerivationQueue, ReceiptCode, ReceiptKeys, new_code, parse_code
from app.files.protocol import REFUSALS
from app.site.guide.signs import ticked_answers
from app.site.report.file_steps import FileSteps, take_uploads
from app.site.report.form_token import TooSoonError
from app.site.report.forms import ReportForm
from app.site.report.responses import (
    WITH_FILES_BYTES,
    HeldTip,
    PageError,
    ReportContext,
    ReportResponses,
    file_rows,
    read_shown,
)
from app.site.report.submit import Submission, arrival_hours, confirm, is_closed, submit
from app.vault.tip import ReplyTo
from app.web.http import REFUSED, WORDS_BYTES, same_origin
from app.web.network_shares import NetworkShares

# Senders who may wait for their receipt code; each derivation takes 64 MiB and a tenth of a second.
_WAITING = 8
# Steps that store and count nothing: one fills in the form by the ids of signs, one compares two texts of the request.
_WITHOUT_TOKEN = ("begin", "kept")
_DRAFT = re.compile(r"[0-9a-f]{32}", re.ASCII)
_RETRY_SECONDS = 60
# What a step takes of the visitor's shares; the others cost little, and a held tip was counted when it was held.
_PURPOSES = {"check": "look", "send": "tip"}
_TOO_LARGE = N_("Your report is too big, so nothing was sent. Send fewer or smaller files, or less text.")
# What is said of a long body whose words alone were read, by status: too long, or too slow.
_REFUSED = {413: _TOO_LARGE, 408: REFUSALS["no-time"]}
_CODE_LENGTH = 400  # characters; eight words and what a person may write between them


class ReportViews:
    """The views under `/<lang>/report`."""

    def __init__(self, context: ReportContext) -> None:
        self._context = context
        self._responses = ReportResponses(context)
        self._files = FileSteps(context, self._responses)
        self._derivations = DerivationQueue(waiting=_WAITING)
        self._code_places = NetworkShares(_WAITING + 1, draw=context.visitors.draw)
        self._steps: dict[str, Callable[[ReportForm], Response]] = {
            "begin": self._begin,
            "edit": self._edit,
            "check": self._check,
            "send": self._send,
            "confirm": self._confirm,
            "discard": self._discard,
            "extend": self._extend,
            "kept": self._compare_code,
            **{name: partial(self._change_file, name=name) for name in self._files.names},
        }

    def add_to(self, blueprint: Blueprint) -> None:
        """Add the routes `form` (GET) and `step` (POST) to a blueprint."""
        blueprint.add_url_rule("/<lang:lang>/report", "form", self.show_form)
        blueprint.add_url_rule("/<lang:lang>/report", "step", self.run_step, methods=["POST"])

    def show_form(self, lang: str) -> Response:  # noqa: ARG002
        """Return the empty form, or why there is none just now."""
        return self._form_again(self._form(), None)

    def run_step(self, lang: str) -> Response:  # noqa: ARG002
        """Run the step whose button was pressed, once the request is known to be ours and within the limits."""
        form, name = self._form(), request.form.get("step", "").partition(":")[0]
        if _has_files():
            g.page_bytes = WITH_FILES_BYTES
        try:
            self._require_whole_request(name)
            self._require_token(form, name)
            return self._run_within_limits(form, name)
        except PageError as problem:
            return self._page_again(form, name, problem)
        except RateError as error:
            return self._over_limit(form, name, error)

    def _run_within_limits(self, form: ReportForm, name: str) -> Response:
        """Run a step that has a place in the visitor's shares, and give the place back if nothing comes of the step.

        Raises RateError.
        """
        purpose = "look" if name in self._files.names else _PURPOSES.get(name)
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
        if self._closed() and name in ("check", "send", "confirm"):
            sentence = _("This form is closed at the moment, so nothing was sent. Please call one of the numbers.")
            raise PageError(503, sentence)

    def _require_token(self, form: ReportForm, name: str) -> None:
        if name in _WITHOUT_TOKEN:
            return
        error = form.check_token()
        if error and not (name == "edit" and isinstance(error, TooSoonError)):
            raise PageError(error.status, _(error.message))
        if any(request.form.getlist("website")):
            sentence = _(
                "Something was written in a hidden box, so nothing was sent. The box is empty now. Please try again."
            )
            raise PageError(400, sentence)

    def _over_limit(self, form: ReportForm, name: str, error: RateError) -> Response:
        nonce, now = form.current.nonce, self._context.clock()
        if name == "send" and self._context.outbox.was_sent(nonce, now):  # by an earlier press of the same button
            return self._not_sent(form, AlreadySentError())
        words = _(
            "Too many reports came at the same time, so nothing was sent. Please try again in %(minutes)s minutes."
        )
        problem = PageError(error.status, words % {"minutes": -(-error.seconds // 60)}, error.seconds)
        return self._page_again(form, name, problem)

    def _page_again(self, form: ReportForm, name: str, problem: PageError | None) -> Response:
        """Return the page that the request came from, with what was typed, as it came."""
        if name == "begin":
            form.fill({})
        if name in ("confirm", "discard", "extend") or name in self._files.names:
            return self._responses.held(form, self._held_tip(), problem)
        return self._form_again(form, problem)

    # The steps.

    def _begin(self, form: ReportForm) -> Response:
        answers = ticked_answers(
            self._context.signs(g.lang), frozenset(request.form.getlist("sign")), _("I ticked these signs:")
        )
        form.fill(answers)
        return self._form_again(form, None, begun=bool(answers))

    def _edit(self, form: ReportForm) -> Response:
        return self._form_again(form, None)

    def _check(self, form: ReportForm) -> Response:
        if form.field_errors:
            return self._form_again(form, PageError(422, errors=form.field_errors))
        return self._responses.check(form, None)

    def _send(self, form: ReportForm, *, most_waiting: int | None = None) -> Response:
        if form.field_errors:
            return self._form_again(form, PageError(422, errors=form.field_errors))
        files = [file for file in request.files.getlist("files") if file.filename]
        try:
            return self._submit(form, files, most_waiting)
        except PageError as error:
            return self._responses.check(form, error)
        except WordsFullError:
            raise  # told as a limit
        except (OutboxError, BusyError, BundleError, FileRefusedError) as error:
            return self._not_sent(form, error)

    def _confirm(self, form: ReportForm) -> Response:
        context = self._context
        try:
            if page := self._files.cut_before_sending(form, self._held_tip()):
                return page
            parts = confirm(
                _draft(),
                context.submission_context,
                nonce=form.current.nonce,
                now=context.clock(),
                networks=context.networks,
            )
        except (OutboxError, BusyError) as error:
            return self._held_error(form, error)
        late = context.visitors.draw(context.networks[0], "files")
        hours = arrival_hours(parts, context.submission_context, context.config.forward, late=late) if parts else 0
        return self._responses.with_code("report/sent.html", _typed_code("code"), files_hours=hours)

    def _discard(self, form: ReportForm) -> Response:
        try:
            self._context.held.discard(_draft(), now=self._context.clock())
        except HeldDestroyedError:
            pass  # by an earlier press of the same button
        except (OutboxError, BusyError) as error:
            return self._held_error(form, error)
        return self._responses.page("report/discarded.html")

    def _extend(self, form: ReportForm) -> Response:
        held = self._held_tip()
        try:
            self._context.held.extend(held.draft, latest=held.held_until, now=self._context.clock())
        except HeldLimitError as error:
            return self._files.held_again(form, held, PageError(error.status, _(error.message)))
        except (OutboxError, BusyError) as error:
            return self._held_error(form, error)
        return self._files.held_again(form, held, None)

    def _change_file(self, form: ReportForm, *, name: str) -> Response:
        try:
            return self._files.run(form, self._held_tip(), name)
        except OutboxError as error:
            return self._held_error(form, error)

    def _compare_code(self, form: ReportForm) -> Response:  # noqa: ARG002
        code = _typed_code("code")
        same = code is not None and code == _typed_code("typed")
        return self._responses.with_code("report/kept.html", code, kept=same)

    # What a step is made of.

    def _submit(self, form: ReportForm, files: Sequence[FileStorage], most_waiting: int | None) -> Response:
        untrusted_files = take_uploads(files, self._context.config.report.max_upload)
        code, keys = self._receipt() if form.reply.data else (None, None)
        submission = Submission(
            answers=form.answers(request.form.getlist("remove")),
            nonce=form.current.nonce,
            untrusted_files=untrusted_files,
            reply_to=ReplyTo(key=keys.reply_key, locator=keys.locator) if keys else None,
            envelope_id=keys.envelope_id if keys else None,
            networks=self._context.networks,
        )
        context, now = self._context.submission_context, self._context.clock()
        submitted = submit(submission, context, most_waiting=most_waiting, now=now)
        if submitted.draft:
            rows = file_rows(submitted.files, [file.filename or "" for file in files])
            held = HeldTip(submitted.draft, code, rows, submitted.held_until).with_files(submitted.shown)
            form.take_out(request.form.getlist("remove"))
            return self._responses.held(form, held, None)
        return self._responses.with_code("report/sent.html", code, files_hours=0)

    def _refused_body(self, status: int) -> PageError:
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return self._context.busy(_(HeldFullError.message))
        # Browsers take 408 for a fault of the connection, and ask again by themselves.
        shown = HTTPStatus.SERVICE_UNAVAILABLE if status == HTTPStatus.REQUEST_TIMEOUT else status
        seconds = _RETRY_SECONDS if status == HTTPStatus.REQUEST_TIMEOUT else 0
        return PageError(shown, _(_REFUSED.get(status, BusyError.message)), seconds)

    def _receipt(self) -> tuple[ReceiptCode, ReceiptKeys]:
        code = new_code()
        with self._context.place(self._code_places):
            return code, self._derivations.derive(code)

    def _form(self) -> ReportForm:
        return self._context.open_form(ReportForm, min_fill=self._context.config.report.min_fill)

    def _closed(self) -> bool:
        return is_closed(self._context.config.intake, self._context.clock())

    def _form_again(self, form: ReportForm, problem: PageError | None, *, begun: bool = False) -> Response:
        if self._closed() and problem is None:
            problem = PageError(HTTPStatus.SERVICE_UNAVAILABLE, _("This form is closed at the moment."))
        return self._responses.form(form, problem, closed=self._closed(), begun=begun)

    def _not_sent(self, form: ReportForm, error: HaumaruError) -> Response:
        log_error(error)
        if isinstance(error, AlreadySentError):
            return self._responses.page("report/already.html", status=error.status)
        if isinstance(error, BusyError) and request.files:
            return self._responses.check(form, self._context.busy())
        seconds = _RETRY_SECONDS if error.status == HTTPStatus.SERVICE_UNAVAILABLE else 0
        sentence = REFUSALS.get(error.code, error.message) if isinstance(error, FileRefusedError) else error.message
        if isinstance(error, BundleError):
            sentence = _TOO_LARGE
        unknown = isinstance(error, HeldGoneError) and not isinstance(error, HeldDestroyedError)
        return self._responses.check(form, PageError(error.status, _(sentence), seconds, unknown=unknown))

    def _held_error(self, form: ReportForm, error: HaumaruError) -> Response:
        """Return the page for a step on a held tip that failed; it says "not sent" only where that is known."""
        if not isinstance(error, MemoryStoreError | BusyError):
            return self._not_sent(form, error)
        log_error(error)
        problem = PageError(error.status, _("Something went wrong"), _RETRY_SECONDS, unknown=True)
        return self._responses.held(form, self._held_tip(), problem)

    def _held_tip(self) -> HeldTip:
        draft = _draft()
        rows, held_until = read_shown(request.form.get("shown", ""), draft, self._context.secret)
        return HeldTip(draft, _typed_code("code"), rows, held_until)


def _has_files() -> bool:
    """Return whether files came, or a tip with files is held: such an answer is as long as every other with files."""
    long = (request.content_length or 0) > WORDS_BYTES
    return long or "draft" in request.form or any(file.filename for file in request.files.values())


def _draft() -> bytes:
    untrusted_draft = request.form.get("draft", "")
    return bytes.fromhex(untrusted_draft) if _DRAFT.fullmatch(untrusted_draft) else b""


def _typed_code(name: str) -> ReceiptCode | None:
    try:
        return parse_code(request.form.get(name, "")[:_CODE_LENGTH])
    except HaumaruError:
        return None
