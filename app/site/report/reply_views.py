"""The views for a sender who comes back with a receipt code, and the address where desks leave replies.

A sender reads a reply, answers it, or has it deleted. An unknown code, a code without a reply and a guess look the
same and take the same work. The code is read from the form and goes nowhere but into the derivation. A reply that no
desk signed is not parsed. Replies are shown in the order in which the desk wrote them, each with its day; a reply that
does not open hides no other.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus

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
from app.delivery.receipt_codes import DerivationQueue, Locator, ReceiptCode, parse_code
from app.delivery.reply_store import ReplyStore, read_reply_post
from app.site.report.code_fields import code_sentences, typed_code
from app.site.report.form_token import Token
from app.site.report.forms import ReplyForm
from app.site.report.opened_replies import open_replies
from app.site.report.responses import PageError, ReportContext, ReportResponses
from app.site.report.submit import Submission, is_closed, submit
from app.vault.tip import SCHEMA, ReplyTo
from app.web.http import REFUSED, same_origin
from app.web.network_shares import NetworkShares

# Readers who may wait for a derivation; one runs at a time in each process.
_WAITING = 8
_RETRY_SECONDS = 60
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class ReplyAccess:
    """What a receipt code opens: where its replies lie, and the 32-byte key to them."""

    code: ReceiptCode
    locator: Locator
    key: bytes


class ReplyViews:
    """The views under `/<lang>/reply`, and `/agency/replies`."""

    def __init__(self, context: ReportContext) -> None:
        self._context = context
        self._responses = ReportResponses(context)
        self._box = ReplyStore(context.outbox.database)
        self._derivations = DerivationQueue(waiting=_WAITING)
        self._code_places = NetworkShares(_WAITING + 1, draw=context.visitors.draw)

    def add_to(self, blueprint: Blueprint) -> None:
        """Add the routes `reply` (GET), `reply_step` and `agency_replies` (POST) to a blueprint."""
        blueprint.add_url_rule("/<lang:lang>/reply", "reply", self.show_code_form)
        blueprint.add_url_rule("/<lang:lang>/reply", "reply_step", self.run_step, methods=["POST"])
        blueprint.add_url_rule("/agency/replies", "agency_replies", self.store_reply, methods=["POST"])

    def show_code_form(self, lang: str) -> Response:  # noqa: ARG002
        """Return the page that asks for the code."""
        return self._ask_for_code(None)

    def run_step(self, lang: str) -> Response:  # noqa: ARG002
        """Read, answer or delete a reply, whichever button was pressed."""
        form, name = self._context.open_form(ReplyForm), request.form.get("step", "")
        steps = {"read": self._read, "answer": self._answer, "done": self._delete}
        try:
            if refused := request.environ.get(REFUSED):
                raise _refused_body(refused)
            if name not in steps:
                raise _code_error(400, _("Something went wrong with that button. Nothing was sent. Please try again."))
            self._require_our_page(form)
            access = self._open_access()
            form.validate()
            return steps[name](form, access)
        except PageError as error:
            return self._ask_for_code(error) if name != "answer" else self._ask_again(form, error)

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

    def _answer(self, form: ReplyForm, access: ReplyAccess) -> Response:
        context, agency = self._context, self._context.config.intake
        if form.field_errors or not form.what.data:
            sentences = form.field_errors.get("what", [_("Write your answer. A few words are enough.")])
            return self._show_replies(form, access, PageError(422, errors={"what": sentences}))
        if is_closed(agency, context.clock()):
            sentence = _("The form is closed at the moment, so nothing was sent.")
            return self._show_replies(form, access, _answer_error(503, sentence))
        submission = Submission(
            answers={"what": form.what.data},
            nonce=form.current.nonce,
            reply_to=ReplyTo(key=access.key, locator=access.locator),
            answers_to=access.locator,
        )
        try:
            with context.rates.reserved("tip") as place:
                now = context.clock()
                submit(submission, context.submission_context, most_waiting=place.most_waiting, now=now)
        except AlreadySentError as error:
            return self._responses.page("report/already.html", status=error.status)
        except RateError as error:
            words = _(
                "Too many reports came at the same time, so nothing was sent. Please try again in %(minutes)s minutes."
            )
            sentence = words % {"minutes": -(-error.seconds // 60)}
            return self._show_replies(form, access, _answer_error(error.status, sentence))
        except HaumaruError as error:
            log_error(error)
            return self._show_replies(form, access, _answer_error(503, _(error.message)))
        return self._responses.page("report/answered.html", code=access.code, seen=_seen(), token=self._new_token())

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
                code = parse_code(typed_code())
                with self._context.place(self._code_places):
                    keys = self._derivations.derive(code)
            return ReplyAccess(code, keys.locator, keys.reply_key)
        except RateError as error:
            minutes = str(-(-error.seconds // 60))
            sentence = _(
                "There were too many tries at the same time. Please try again in %(minutes)s minutes.", minutes=minutes
            )
            raise _code_error(error.status, sentence, error.seconds) from None
        except CodeError as error:
            raise PageError(error.status, errors={"code": code_sentences(error)}) from None
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
        return self._responses.page(
            "report/replies.html",
            problem,
            form=form,
            code=access.code,
            messages=opened.messages,
            seen=opened.digests,
            unopened=opened.unopened,
            token=self._responses.next_token(form.current),
        )

    def _ask_for_code(self, problem: PageError | None) -> Response:
        typed = typed_code() if problem else ""
        return self._code_page(None, problem, code="", typed=typed)

    def _ask_again(self, form: ReplyForm, problem: PageError) -> Response:
        """Return the page with the answer as it was typed; the code stays in the page unless it is the problem."""
        code = "" if problem.status == HTTPStatus.UNPROCESSABLE_ENTITY else typed_code()
        sentences = [sentence for each in problem.errors.values() for sentence in each]
        if code:
            problem = PageError(problem.status, seconds=problem.seconds, errors={"what": sentences})
        return self._code_page(form, problem, code=code, typed=typed_code())

    def _code_page(self, form: ReplyForm | None, problem: PageError | None, *, code: str, typed: str) -> Response:
        token = self._new_token()
        return self._responses.page("report/reply.html", problem, form=form, code=code, typed=typed, token=token)


def _seen() -> list[str]:
    """Return the digests of the replies that the page showed; none from a page that showed none."""
    return [each for each in request.form.getlist("seen") if _DIGEST.fullmatch(each)]


def _refused_body(status: int) -> PageError:
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        limit = f"{SCHEMA.field('what').max_length:,}"
        return _code_error(status, _("Your text is too long. Use %(limit)s characters or fewer.", limit=limit))
    return _code_error(HTTPStatus.SERVICE_UNAVAILABLE, _(BusyError.message), _RETRY_SECONDS)


def _code_error(status: int, sentence: str, seconds: int = 0) -> PageError:
    """Return an error that stands at the field of the receipt code."""
    return PageError(status, seconds=seconds, errors={"code": [sentence]})


def _answer_error(status: int, sentence: str) -> PageError:
    """Return an error that stands at the field of the answer."""
    return PageError(status, errors={"what": [sentence]})
