"""The views for a sender who comes back with a receipt code, and the address where desks leave replies.

A sender reads a reply, has it deleted or takes the report back; an answer goes through the same steps as a report. An
unknown code, a code without a reply and a guess look the same and take the same work. The code is read from the form
and goes nowhere but into the derivation. A reply that no desk signed is not parsed. Replies are shown in the order in
which the desk wrote them, each with its day; a reply that does not open hides no other.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from app.core.errors import (
    AlreadySentError,
    BusyError,
    CodeError,
    HaumaruError,
    OutboxError,
    RateError,
    ReplyError,
    ReplyKnownError,
)
from app.core.log import log_error
from app.delivery.receipt_codes import ReceiptCode
from app.delivery.reply_store import ReplyStore, read_reply_post
from app.site.report.access import ReplyAccess, SharedDerivations, given_code, read_code
from app.site.report.answer_form import ReplyForm, known_questions
from app.site.report.choices import kept_choices
from app.site.report.code_fields import code_sentences, typed_code
from app.site.report.form_token import Token
from app.site.report.journey import ANSWER
from app.site.report.opened_replies import open_replies
from app.site.report.responses import PageError, ReportContext, ReportResponses, closed_error
from app.site.report.steps import TipSteps
from app.site.report.submit import Submission
from app.site.report.withdraw_step import WithdrawStep
from app.vault.tip import SCHEMA, ReplyTo
from app.web.http import REFUSED, same_origin

_RETRY_SECONDS = 60
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ReplyViews:
    """The views under `/<lang>/reply`, and `/agency/replies`; `derivations` runs those of senders."""

    def __init__(self, context: ReportContext, derivations: SharedDerivations) -> None:
        self._context, self._sending = context, derivations
        self._responses = ReportResponses(context, ANSWER)
        self._box = ReplyStore(context.outbox.database)
        self._reading = SharedDerivations(context)
        self._steps = TipSteps(context, self._responses, self)
        self._withdrawal = WithdrawStep(context, self._responses)
        # The steps that need what a code opens.
        self._reading_steps = {"read": self._read, "done": self._delete, "withdraw": self._withdraw}

    def add_to(self, blueprint: Blueprint) -> None:
        """Add the routes `reply` (GET), `reply_step` and `agency_replies` (POST) to a blueprint."""
        blueprint.add_url_rule("/<lang:lang>/reply", "reply", self.show_code_form)
        blueprint.add_url_rule("/<lang:lang>/reply", "reply_step", self.run_step, methods=["POST"])
        blueprint.add_url_rule("/agency/replies", "agency_replies", self.store_reply, methods=["POST"])

    def show_code_form(self, lang: str) -> Response:  # noqa: ARG002
        """Return the page that asks for the code."""
        return self._ask_for_code(None)

    def run_step(self, lang: str) -> Response:  # noqa: ARG002
        """Read or delete a reply, or take an answer through its steps, whichever button was pressed."""
        step = self._reading_steps.get(request.form.get("step", ""))
        if step is None:
            return self._steps.run()
        form = self.open_form()
        try:
            if refused := request.environ.get(REFUSED):
                raise _refused_body(refused)
            self._require_our_page(form)
            if step == self._withdraw and request.form.get("sure") != "yes":
                return self._withdrawal.ask(_required_code())
            return step(form, self._open_access())
        except PageError as error:
            typed = form.texts if given_code() else {}
            return self.first_page(form, _of_page(error)) if any(typed.values()) else self._ask_for_code(error)

    # What the steps of an answer ask for.

    def open_form(self) -> ReplyForm:
        """Return the form of an answer with what the request sent, and the questions that its page asked."""
        form = self._context.open_form(ReplyForm)
        form.ask(request.form.getlist("asked"))
        if code := given_code():
            form.agency = self._context.config.agency_of(code)
        return form

    def require(self, name: str) -> None:
        """Raise PageError where an answer has no receipt code, or where its agency takes no answers any more.

        Whether there is a reply for the code makes no difference.
        """
        if name in (ANSWER.look, "send", "confirm") and self._context.config.agency_of(_required_code()) is None:
            raise closed_error()

    def first_page(self, form: ReplyForm, problem: PageError | None) -> Response:
        """Return the page with the answer as it was typed; the code stays in the page where it is one."""
        return self._responses.page(
            "report/answer.html",
            problem,
            form=form,
            code=given_code() or "",
            typed=typed_code(),
            carried=[*self.carried(form), *kept_choices(form)],
            token=self._responses.next_token(form.current),
        )

    def carried(self, form: ReplyForm) -> Sequence[tuple[str, str]]:  # noqa: ARG002
        """Return the receipt code, the digests of the replies that were read, and the questions answered before."""
        return _carried(given_code(), _seen(), _said())

    def submission(self, form: ReplyForm, untrusted_files: list[bytes]) -> Submission:
        """Return the answer under the code of the page; raises BusyError."""
        keys = self._sending.derive(_required_code())
        return Submission(
            answers=form.answers(request.form.getlist("remove")),
            replies=form.replies(request.form.getlist("remove")),
            nonce=form.current.nonce,
            untrusted_files=untrusted_files,
            reply_to=ReplyTo(key=keys.reply_key, locator=keys.locator),
            answers_to=keys.locator,
            networks=self._context.networks,
        )

    def sent_page(self, form: ReplyForm, files_hours: int) -> Response:
        """Return the page that says "sent", from which the replies that were read can be deleted."""
        return self._sent_page(form, HTTPStatus.OK, files_hours=files_hours, again=False)

    def sent_again_page(self, form: ReplyForm) -> Response:
        """Return the page for an answer that was sent before."""
        return self._sent_page(form, AlreadySentError.status, files_hours=0, again=True)

    def _sent_page(self, form: ReplyForm, status: int, **values: Any) -> Response:
        carried, token = _carried(given_code(), _seen(), [*_said(), *form.answered]), self._new_token()
        return self._responses.page(
            "report/answered.html", status=status, form=form, carried=carried, token=token, **values
        )

    def store_reply(self) -> Response:
        """Keep a reply that a desk posts: 204, 409 where it was stored before, 403 for everything else."""
        keys = {agency.id: agency.reply_key for agency in self._context.config.agencies if agency.reply_key}
        try:
            post = read_reply_post(request.get_data(cache=False), request.headers.get("Haumaru-Signature", ""), keys)
            self._box.store(post, now=self._context.clock())
        except ReplyKnownError:
            return Response(status=409)
        except ReplyError as error:
            log_error(error)
            return Response(status=403)
        except OutboxError as error:
            log_error(error)
            return Response(status=503, headers={"Retry-After": str(_RETRY_SECONDS)})
        return Response(status=204)

    # The steps.

    def _read(self, form: ReplyForm, access: ReplyAccess) -> Response:
        return self._show_replies(form, access, None)

    def _delete(self, form: ReplyForm, access: ReplyAccess) -> Response:
        seen = _seen()
        try:
            self._box.delete(access.locator, {bytes.fromhex(each) for each in seen} if seen else None)
            left = self._box.fetch(access.locator, now=self._context.clock())
        except OutboxError as error:
            log_error(error)
            raise _code_error(503, _("We could not delete the reply. Please try again.")) from None
        # A reply that came after the page was shown has not been read, and stays.
        return self._show_replies(form, access, None) if left else self._responses.page("report/deleted.html")

    def _withdraw(self, form: ReplyForm, access: ReplyAccess) -> Response:
        return self._withdrawal.run(access, form.current.nonce)

    # What a step is made of.

    def _require_our_page(self, form: ReplyForm) -> None:
        if not same_origin(self._context.origins):
            raise _code_error(
                403, _("We could not check that you used our own page, so nothing was sent. Please try again.")
            )
        if form.check_token():
            raise _code_error(400, _("This page was open for too long. Please try again."))

    def _open_access(self) -> ReplyAccess:
        """Return what the typed code opens; raises PageError. Whether there is a reply for it makes no difference."""
        try:
            with self._context.rates.reserved("reply"):
                code = read_code()
                keys = self._reading.derive(code)
            return ReplyAccess(code, keys.locator, keys.reply_key, keys.envelope_id)
        except RateError as error:
            words = _("There were too many tries at the same time. Please try again in %(minutes)s minutes.")
            sentence = words % {"minutes": error.minutes}
            raise _code_error(error.status, sentence, error.seconds) from None
        except CodeError as error:
            raise _wrong_code(error) from None
        except HaumaruError as error:
            raise _code_error(error.status, _(error.message), _RETRY_SECONDS) from None

    def _new_token(self) -> str:
        return Token.new(self._context.clock()).sign(self._context.secret)

    def _show_replies(self, form: ReplyForm, access: ReplyAccess, problem: PageError | None) -> Response:
        try:
            sealed = self._box.fetch(access.locator, now=self._context.clock())
        except OutboxError as error:
            log_error(error)
            raise _code_error(503, _("Something went wrong"), _RETRY_SECONDS) from None
        opened = open_replies(sealed, access.key, access.locator)
        # The desk's questions stay under the code; who answered some of them a moment ago is asked the others.
        said = _said()
        form.ask(one for one in opened.questions if one not in said)
        return self._responses.page(
            "report/replies.html",
            problem,
            form=form,
            carried=_carried(access.code, opened.digests, said),
            opened=opened,
            answered=any(one in said for one in opened.questions),
            token=self._responses.next_token(form.current),
        )

    def _ask_for_code(self, problem: PageError | None) -> Response:
        typed = typed_code() if problem else ""
        return self._responses.page("report/reply.html", problem, typed=typed, token=self._new_token())


def _required_code() -> ReceiptCode:
    try:
        return read_code()
    except CodeError as error:
        raise _wrong_code(error) from None


def _seen() -> list[str]:
    """Return the digests of the replies that the page showed; none from a page that showed none."""
    return [each for each in request.form.getlist("seen") if _DIGEST.fullmatch(each)]


def _said() -> tuple[str, ...]:
    """Return the ids of the questions that were answered before, in this coming back."""
    return known_questions(request.form.getlist("said"))


def _carried(code: ReceiptCode | None, seen: Sequence[str], said: Sequence[str]) -> list[tuple[str, str]]:
    """Return the names and values of the hidden fields that a page of an answer carries to the next."""
    code_field = [("code", code)] if code else []
    return [*code_field, *(("seen", each) for each in seen), *(("said", each) for each in said)]


def _refused_body(status: int) -> PageError:
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        limit = f"{SCHEMA.field('what').max_length:,}"
        return _code_error(status, _("Your text is too long. Use %(limit)s characters or fewer.", limit=limit))
    return _code_error(HTTPStatus.SERVICE_UNAVAILABLE, _(BusyError.message), _RETRY_SECONDS)


def _code_error(status: int, sentence: str, seconds: int = 0) -> PageError:
    """Return an error that stands at the field of the receipt code."""
    return PageError(status, seconds=seconds, errors={"code": [sentence]})


def _of_page(problem: PageError) -> PageError:
    """Return a problem of the field of the code for a page that carries a right code out of sight."""
    sentences = [sentence for each in problem.errors.values() for sentence in each]
    return PageError(problem.status, " ".join(sentences) or problem.sentence, problem.seconds)


def _wrong_code(error: CodeError) -> PageError:
    """Return an error that names, at the field of the receipt code, the words that are wrong."""
    return PageError(error.status, errors={"code": code_sentences(error)})
