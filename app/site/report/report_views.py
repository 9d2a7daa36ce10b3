"""The views of the report form: its first page, empty or begun from the page of signs, and the comparing of codes.

`steps` has every other step. A report whose sender asks for a receipt code gets a new code, from which the place of a
reply and the ids of the report's envelopes follow.
"""

import secrets
from collections.abc import Callable, Hashable, Sequence
from http import HTTPStatus

from flask import Blueprint, Response, g, request
from flask_babel import gettext as _

from app.core.errors import AlreadySentError
from app.delivery.receipt_codes import ReceiptCode, codes_of_agencies
from app.site.agencies import AgencyConfig
from app.site.guide.signs import ticked_answers
from app.site.report.access import SharedDerivations, given_code
from app.site.report.agency_field import LOST
from app.site.report.code_fields import code_secret, given_secret
from app.site.report.form_token import Token
from app.site.report.forms import ReportForm
from app.site.report.journey import REPORT
from app.site.report.responses import PageError, ReportContext, ReportResponses
from app.site.report.steps import TipSteps
from app.site.report.submit import Submission, was_sent_as
from app.vault.tip import ReplyTo
from app.web.http import REFUSED


class NewForms:
    """The empty forms that were rendered, by language and whatever else the page depends on.

    Only a page that was made without anything of a request may be kept here: a random text stands in place of the
    token, and the token is all that differs between two visitors.
    """

    def __init__(self) -> None:
        self._pages: dict[Hashable, tuple[int, list[str]]] = {}

    def response(self, key: Hashable, token: str, make: Callable[[str], Response]) -> Response:
        """Return the page of a key with a signed token; `make` renders the page with another text as its token."""
        if key not in self._pages:
            hole = secrets.token_hex(16)
            made = make(hole)
            self._pages[key] = made.status_code, made.get_data(as_text=True).split(hole)
        status, pieces = self._pages[key]
        return Response(token.join(pieces), status, mimetype="text/html")


class ReportViews:
    """The views under `/<lang>/report`; `derivations` runs those of senders."""

    def __init__(self, context: ReportContext, derivations: SharedDerivations) -> None:
        self._context, self._derivations = context, derivations
        self._responses, self._new_forms = ReportResponses(context, REPORT), NewForms()
        # Both store and count nothing: one fills in the form by ids of signs, one compares two texts of the request.
        own = {"begin": self._begin, "kept": self._compare_code}
        self._steps = TipSteps(context, self._responses, self, own=own, without_token=own)

    def add_to(self, blueprint: Blueprint) -> None:
        """Add the routes `form` (GET) and `step` (POST) to a blueprint."""
        blueprint.add_url_rule("/<lang:lang>/report", "form", self.show_form)
        blueprint.add_url_rule("/<lang:lang>/report", "step", self.run_step, methods=["POST"])

    def show_form(self, lang: str) -> Response:  # noqa: ARG002
        """Return the empty form, or why there is none just now."""
        token = Token.new(self._context.clock()).sign(self._context.secret)
        return self._new_forms.response((g.lang, self._is_closed()), token, self._make_empty_form)

    def run_step(self, lang: str) -> Response:  # noqa: ARG002
        """Run the step whose button was pressed."""
        return self._steps.run()

    # What the steps ask for.

    def open_form(self) -> ReportForm:
        """Return the report form with what the request sent."""
        form = self._context.open_form(ReportForm, min_fill=self._context.config.report.min_fill)
        asked_again = REFUSED in request.environ or LOST in request.form
        is_lost = asked_again and form.without.name not in request.form
        form.offer(self._context.config.report_agencies, is_lost=is_lost)
        return form

    def require(self, name: str) -> None:
        """Require nothing further."""

    def first_page(self, form: ReportForm, problem: PageError | None) -> Response:
        """Return the form with what was typed, as it came."""
        if problem and request.form.get("step") == "begin":
            form.fill({})
        return self._form_page(form, problem)

    def carried(self, form: ReportForm) -> Sequence[tuple[str, str]]:
        """Return the secret of the form, from which the receipt code follows; the server keeps neither."""
        return [("code", code_secret(form.current.nonce).hex())]

    def submission(self, form: ReportForm, untrusted_files: list[bytes]) -> Submission:
        """Return the report, with the receipt code of this form if its sender wants one; raises BusyError."""
        code = self._code(form)
        keys = self._derivations.derive(code) if code else None
        return Submission(
            answers=form.answers(request.form.getlist("remove")),
            nonce=form.current.nonce,
            untrusted_files=untrusted_files,
            reply_to=ReplyTo(key=keys.reply_key, locator=keys.locator) if keys else None,
            envelope_id=keys.envelope_id if keys else None,
            networks=self._context.networks,
        )

    def sent_page(self, form: ReportForm, files_hours: int) -> Response:
        """Return the page that says "sent", with the code."""
        return self._responses.with_code(
            "report/sent.html", self._code(form), form=form, files_hours=files_hours, again=False
        )

    def sent_again_page(self, form: ReportForm) -> Response:
        """Return the page for a form that was sent before, with its code where the form is sure to have that code.

        Raises BusyError or OutboxError where that cannot be found out now.
        """
        code, context = self._code(form), self._context
        if code:
            words_id = self._derivations.derive(code).envelope_id(0)
            nonce, now = form.current.nonce, context.clock()
            code = code if was_sent_as(words_id, context.outbox, nonce=nonce, now=now) else None
        status, wanted = AlreadySentError.status, bool(form.reply.data)
        return self._responses.with_code(
            "report/sent.html", code, form=form, status=status, files_hours=0, again=True, wanted=wanted
        )

    def _code(self, form: ReportForm) -> ReceiptCode | None:
        """Return the code of the form, which says to which agency an answer goes; None where no code is wanted."""
        if not form.reply.data or form.agency is None:
            return None
        return codes_of_agencies(code_secret(form.current.nonce), self._context.config.report.agencies)[form.agency.id]

    # Steps of the report alone.

    def _begin(self, form: ReportForm) -> Response:
        answers = ticked_answers(
            self._context.signs(g.lang), frozenset(request.form.getlist("sign")), _("I ticked these signs:")
        )
        form.fill(answers)
        return self._form_page(form, None, begun=bool(answers))

    def _compare_code(self, form: ReportForm) -> Response:  # noqa: ARG002
        code = given_code("code")
        same = code is not None and code == given_code("typed")
        return self._responses.with_code("report/kept.html", code, kept=same)

    def _make_empty_form(self, token: str) -> Response:
        return self._form_page(self.open_form(), None, token=token)

    def _form_page(
        self, form: ReportForm, problem: PageError | None, *, begun: bool = False, token: str = ""
    ) -> Response:
        closed = self._is_closed(form.agency)
        if closed and problem is None:
            problem = PageError(HTTPStatus.SERVICE_UNAVAILABLE, _("This form is closed at the moment."))
        secret = given_secret()
        carried = [("code", secret.hex())] if secret else []
        return self._responses.form(form, carried, problem, closed=closed, begun=begun, token=token)

    def _is_closed(self, agency: AgencyConfig | None = None) -> bool:
        return (agency or self._context.config.intake).is_closed(self._context.clock())
