"""The steps of the report form: check, send, confirm and their like.

Every answer keeps what was typed, says "sent" only once the outbox has the tip, and otherwise says "not sent"
and whom to call. There is no cookie, no session and no script: what a step needs travels in the form itself.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from flask import Flask, Response, request
from flask_babel import gettext as _

from app.core.errors import (
    N_,
    AlreadySentError,
    BundleError,
    BusyError,
    FileRefusedError,
    HaumaruError,
    OutboxError,
    RateError,
)
from app.core.log import record
from app.delivery.clock import day
from app.delivery.outbox import Outbox
from app.delivery.receipt_codes import ReceiptCode, parse_code
from app.delivery.reply_store import DerivationQueue
from app.files.protocol import REFUSALS
from app.site.config import Config
from app.site.report import submit
from app.site.report.file_rows import read_rows, rows_of
from app.site.report.forms import ReportForm, Token, TokenContext
from app.site.report.screens import HeldTip, Problem, ReportScreens, answers_of
from app.site.web.rate_limits import RateLimits
from app.text.find import Phrases
from app.web.request import same_origin

# Senders who may wait for their receipt code; each derivation takes 64 MiB and a tenth of a second.
_WAITING = 8
_DRAFT = re.compile(r"[0-9a-f]{32}", re.ASCII)
_RETRY_SECONDS = 60
_TOO_MUCH = N_("This is too much for one report, so nothing was sent. Send fewer or smaller files, or less text.")


class ReportPages:
    """The pages under `/<lang>/report`."""

    def __init__(
        self,
        settings: Config,
        *,
        origins: Sequence[str],
        outbox: Outbox,
        rates: RateLimits,
        secret: bytes,
        phrases: Phrases,
        clean_files: submit.CleanFiles,
        render: Callable[..., str],
        clock: Callable[[], float],
    ) -> None:
        self._settings, self._origins, self._outbox, self._rates = settings, origins, outbox, rates
        self._secret, self._clean_files, self._clock = secret, clean_files, clock
        self._derivations = DerivationQueue(waiting=_WAITING)
        self._screens = ReportScreens(settings, secret=secret, phrases=phrases, render=render)

    def register(self, app: Flask) -> None:
        """Add the routes to an app."""
        app.add_url_rule("/<lang:lang>/report", "report", self.show, methods=["GET"])
        app.add_url_rule("/<lang:lang>/report", "report_post", self.answer, methods=["POST"])

    def show(self, lang: str) -> Response:  # noqa: ARG002
        """The empty form, or why there is none just now."""
        return self._form_again(self._form(), None)

    def answer(self, lang: str) -> Response:  # noqa: ARG002
        """One step of the form."""
        form = self._form()
        form.validate()
        steps: Mapping[str, Callable[[ReportForm], Response]] = {
            "edit": lambda form: self._form_again(form, None),
            "check": self._check,
            "send": self._send,
            "confirm": self._confirm,
            "discard": self._discard,
            "extend": self._extend,
            "kept": self._kept,
        }
        step = steps.get(request.form.get("step", ""))
        if step is None:
            return self._form_again(form, Problem(400, _("We did not understand that button. Nothing was sent.")))
        if not same_origin(self._origins):
            sentence = _("Your browser did not say that this came from our own page, so nothing was sent. Try again.")
            return self._form_again(form, Problem(403, sentence))
        return step(form)

    # The steps.

    def _check(self, form: ReportForm) -> Response:
        problem = self._problem(form, "check")
        return self._form_again(form, problem) if problem else self._screens.check(form, None)

    def _send(self, form: ReportForm) -> Response:
        problem = self._problem(form, "send")
        if problem:
            return self._form_again(form, problem)
        files = [file for file in request.files.getlist("files") if file.filename]
        untrusted_files = tuple(file.stream.read() for file in files)
        if sum(map(len, untrusted_files)) > self._settings.report.max_upload:
            return self._screens.check(form, Problem(413, self._too_big([len(file) for file in untrusted_files])))
        try:
            taken = self._take(form, untrusted_files)
        except (OutboxError, BusyError, BundleError, FileRefusedError) as error:
            return self._not_sent(form, error)
        if taken.held:
            rows = rows_of(taken.files, [file.filename or "" for file in files])
            return self._screens.held(form, HeldTip(taken.held, taken.code, rows), None)
        return self._screens.with_code("report/sent.html", taken.code)

    def _confirm(self, form: ReportForm) -> Response:
        problem = self._problem(form, "send", held=True)
        if problem:
            return self._screens.held(form, self._held_tip(), problem)
        try:
            self._outbox.confirm(self._draft(), now=self._clock())
        except OutboxError as error:
            return self._not_sent(form, error)
        return self._screens.with_code("report/sent.html", self._typed_code("code"))

    def _discard(self, form: ReportForm) -> Response:
        try:
            self._outbox.discard(self._draft())
        except OutboxError as error:
            return self._not_sent(form, error)
        return self._screens.plain("report/discarded.html", None)

    def _extend(self, form: ReportForm) -> Response:
        try:
            self._outbox.extend(self._draft(), now=self._clock())
        except OutboxError as error:
            return self._not_sent(form, error)
        return self._screens.held(form, self._held_tip(), None)

    def _kept(self, form: ReportForm) -> Response:  # noqa: ARG002
        code = self._typed_code("code")
        kept = code is not None and code == self._typed_code("typed")
        return self._screens.with_code("report/kept.html", code, kept=kept)

    # What a step is made of.

    def _take(self, form: ReportForm, untrusted_files: tuple[bytes, ...]) -> submit.Taken:
        agency = self._settings.intake
        draft = submit.Draft(
            answers=answers_of(form, request.form.getlist("remove")),
            wants_reply=bool(form.reply.data),
            nonce=form.current.nonce,
            untrusted_files=untrusted_files,
        )
        return submit.take(
            draft,
            agency=agency.id,
            recipients=agency.recipients,
            outbox=self._outbox,
            clean_files=self._clean_files,
            derivations=self._derivations,
            max_class=agency.max_class,
            now=self._clock(),
        )

    def _form(self) -> ReportForm:
        now = self._clock()
        context = TokenContext(
            secret=self._secret, token=Token.new(now), now=now, min_fill=self._settings.report.min_fill
        )
        return ReportForm(meta={"csrf_context": context})

    def _closed(self) -> bool:
        return self._settings.intake.expires < day(self._clock())

    def _problem(self, form: ReportForm, purpose: str, *, held: bool = False) -> Problem | None:
        if self._closed():
            return Problem(503, _("This form is closed just now, so nothing was sent. Please use one of the numbers."))
        if form.token_error:
            return Problem(form.token_error.status, _(form.token_error.message))
        if any(request.form.getlist("website")):
            return Problem(
                400, _("A hidden box was filled in, so nothing was sent. It is empty now. Please try again.")
            )
        if form.shown_errors and not held:
            return Problem(422, "")
        try:
            self._rates.count(purpose)
        except RateError as error:
            words = _("Too many reports came at once, so nothing was sent. Try again in %(minutes)s minutes.")
            return Problem(error.status, words % {"minutes": -(-error.seconds // 60)}, error.seconds)
        return None

    def _too_big(self, sizes: Sequence[int]) -> str:
        fit, total = 0, 0
        for size in sorted(sizes):
            total += size
            fit += total <= self._settings.report.max_upload
        words = _("These files are too big together, so nothing was sent. The %(count)s smallest would fit.")
        return str(words % {"count": fit})

    def _form_again(self, form: ReportForm, problem: Problem | None) -> Response:
        if self._closed() and problem is None:
            problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, _("This form is closed just now."))
        return self._screens.form(form, problem, closed=self._closed())

    def _not_sent(self, form: ReportForm, error: HaumaruError) -> Response:
        record(error)
        if isinstance(error, AlreadySentError):
            return self._screens.plain("report/already.html", Problem(error.status, ""))
        seconds = _RETRY_SECONDS if error.status == HTTPStatus.SERVICE_UNAVAILABLE else 0
        sentence = REFUSALS.get(error.code, error.message) if isinstance(error, FileRefusedError) else error.message
        if isinstance(error, BundleError):
            sentence = _TOO_MUCH
        return self._screens.check(form, Problem(error.status, _(sentence), seconds))

    def _held_tip(self) -> HeldTip:
        rows = read_rows(request.form.get("shown", ""), self._secret)
        return HeldTip(self._draft(), self._typed_code("code"), rows)

    @staticmethod
    def _draft() -> bytes:
        untrusted = request.form.get("draft", "")
        return bytes.fromhex(untrusted) if _DRAFT.fullmatch(untrusted) else b""

    @staticmethod
    def _typed_code(name: str) -> ReceiptCode | None:
        try:
            return parse_code(request.form.get(name, ""))
        except HaumaruError:
            return None
