"""The step `withdraw` of a sender who came back with a code: ask once more, then destroy the report or ask the agency.

What has not left this site is destroyed. Otherwise a sealed request not to pass the report on goes to the agency as an
answer does. A code without anything looks like one whose report has left, and takes the same work, so a guess learns
nothing. The first page derives nothing from the code; a second press of its button says what the first one said.
"""

from dataclasses import replace

from flask import Response
from flask_babel import gettext as _

from app.core.errors import AlreadySentError, HaumaruError, RateError
from app.core.log import log_error
from app.delivery.outbox import Envelope
from app.delivery.receipt_codes import ReceiptCode
from app.delivery.withdrawal import Withdrawal, withdraw
from app.site.agencies import new_decoy_envelope
from app.site.report.access import ReplyAccess
from app.site.report.form_token import Token
from app.site.report.responses import PageError, ReportContext, ReportResponses, closed_error
from app.site.report.submit import Submission, submit
from app.vault.tip import ReplyTo

_RETRY_SECONDS = 60


class WithdrawStep:
    """The two pages of the step: the one that asks, and the one that says what was done."""

    def __init__(self, context: ReportContext, responses: ReportResponses) -> None:
        self._context, self._responses = context, responses

    def ask(self, code: ReceiptCode, problem: PageError | None = None) -> Response:
        """Return the page that says what will happen, with one button, under a form token of its own."""
        token = Token.new(self._context.clock()).sign(self._context.secret)
        return self._responses.page("report/withdraw.html", problem, carried=[("code", code)], token=token)

    def run(self, access: ReplyAccess, nonce: bytes) -> Response:
        """Destroy what waits under a code, or ask the agency; `nonce` is that of the page that asked."""
        try:
            destroyed = self._destroy(access, nonce)
            if not destroyed.words:
                self._send_request(access, nonce)
        except PageError as problem:
            return self.ask(access.code, problem)
        except RateError as error:
            words = _(
                "Too many reports came at the same time, so nothing was sent. Please try again in %(minutes)s minutes."
            )
            sentence = words % {"minutes": error.minutes}
            return self.ask(access.code, PageError(error.status, sentence, error.seconds, unknown=True))
        except HaumaruError as error:
            log_error(error)
            sentence = _("We could not take your report back. Please try again.")
            return self.ask(access.code, PageError(503, sentence, _RETRY_SECONDS, unknown=True))
        return self._responses.page("report/withdrawn.html", destroyed=destroyed)

    def _destroy(self, access: ReplyAccess, nonce: bytes) -> Withdrawal:
        return withdraw(
            self._context.outbox,
            access.envelope_id,
            self._new_decoy,
            agencies=[each.id for each in self._context.config.report_agencies],
            nonce=nonce,
            now=self._context.clock(),
        )

    def _send_request(self, access: ReplyAccess, nonce: bytes) -> None:
        """Put a sealed request not to pass the report on into the outbox, once; raises as `submit` does, PageError."""
        context, now = self._context, self._context.clock()
        agency = context.config.agency_of(access.code)
        if agency is None or agency.is_closed(now):
            raise closed_error(unknown=True)
        request = Submission(
            answers={},
            nonce=nonce,
            reply_to=ReplyTo(key=access.key, locator=access.locator),
            answers_to=access.locator,
            withdraw=True,
            networks=context.networks,
        )
        with context.rates.reserved("tip") as place:
            try:
                submit(request, context.submission_to(agency), most_waiting=place.most_waiting, now=now)
            except AlreadySentError:
                place.give_back()  # by an earlier press of the same button

    def _new_decoy(self, agency: str) -> Envelope:
        """Return a decoy for an agency; one that is no longer configured gets it sealed to the first agency."""
        agencies = {each.id: each for each in self._context.config.agencies}
        sealed_to = agencies.get(agency, self._context.config.intake)
        return replace(new_decoy_envelope(sealed_to, self._context.clock()), agency=agency)
