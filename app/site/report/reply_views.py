"""Coming back with a receipt code: read a reply, answer it, have it deleted; and the address where desks leave replies.

An unknown code, a code without a reply, and a guess look the same and take the same work. The code is read from
the form and goes nowhere but into the derivation. What a desk did not sign is not parsed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Flask, Response, g, request
from flask_babel import gettext as _

from app.core.errors import AlreadySentError, HaumaruError, OutboxError, RateError, ReplyError, ReplyKnownError
from app.core.log import record
from app.delivery.clock import day
from app.delivery.outbox import Envelope, Outbox
from app.delivery.receipt_codes import ReceiptCode, parse_code
from app.delivery.reply_store import DerivationQueue, Locator, ReplyBox, read_post
from app.site.config import Config
from app.site.report.forms import ReplyForm, Token, TokenContext
from app.site.web.rate_limits import RateLimits
from app.vault.age import seal
from app.vault.reply import open_reply
from app.vault.tip import ReplyTo, Tip, new_tip_id, tip_to_bundle
from app.web.request import same_origin

# Readers who may wait for a derivation; one runs at a time in each process.
_WAITING = 8


class PageError(Exception):
    """Why the page that asks for the code comes again; `seconds` until it is worth trying."""

    def __init__(self, status: int, sentence: str, seconds: int = 0) -> None:
        self.status, self.sentence, self.seconds = status, sentence, seconds
        super().__init__()


class ReplyPages:
    """The pages under `/<lang>/reply`, and `/agency/replies`."""

    def __init__(
        self,
        settings: Config,
        *,
        origins: Sequence[str],
        outbox: Outbox,
        rates: RateLimits,
        secret: bytes,
        render: Callable[..., str],
        clock: Callable[[], float],
    ) -> None:
        self._settings, self._origins, self._outbox = settings, origins, outbox
        self._rates, self._secret, self._render, self._clock = rates, secret, render, clock
        self._box = ReplyBox(outbox.store)
        self._derivations = DerivationQueue(waiting=_WAITING)

    def register(self, app: Flask) -> None:
        """Add the routes to an app."""
        app.add_url_rule("/<lang:lang>/reply", "reply", self.show, methods=["GET"])
        app.add_url_rule("/<lang:lang>/reply", "reply_post", self.answer, methods=["POST"])
        app.add_url_rule("/agency/replies", "agency_replies", self.take, methods=["POST"])

    def show(self, lang: str) -> Response:  # noqa: ARG002
        """The page that asks for the code."""
        return self._ask("", 200)

    def answer(self, lang: str) -> Response:  # noqa: ARG002
        """Read, answer or delete, whichever step the form says."""
        form = self._form()
        form.validate()
        steps = {"read": self._read, "answer": self._answer, "done": self._done}
        step = steps.get(request.form.get("step", ""))
        if step is None:
            return self._ask(_("We did not understand that button."), 400)
        if not same_origin(self._origins):
            return self._ask(_("Your browser did not say that this came from our own page. Try again."), 403)
        if form.token_error:
            return self._ask(_("This page was open for too long. Please try again."), 400)
        try:
            code, locator, key = self._derive()
        except PageError as error:
            return self._ask(error.sentence, error.status, error.seconds)
        return step(form, code, locator, key)

    def _derive(self) -> tuple[ReceiptCode, Locator, bytes]:
        try:
            self._rates.count("reply")
            code = parse_code(request.form.get("code", ""))
            return code, *self._derivations.derive(code)
        except RateError as error:
            minutes = str(-(-error.seconds // 60))
            sentence = _("Too many tries came at once. Try again in %(minutes)s minutes.", minutes=minutes)
            raise PageError(error.status, sentence, error.seconds) from None
        except ReplyError:
            raise PageError(422, _("That is not a receipt code. It has eight words, or eight numbers.")) from None
        except HaumaruError as error:
            raise PageError(error.status, _(error.message), 60) from None

    def take(self) -> Response:
        """Keep a reply that a desk posts: 204, 409 where it was stored before, 403 for everything else."""
        keys = {agency.id: agency.reply_key for agency in self._settings.agencies if agency.reply_key}
        try:
            post = read_post(request.get_data(cache=False), request.headers.get("Haumaru-Signature", ""), keys)
            self._box.store(post, now=self._clock())
        except ReplyKnownError:
            return Response(status=409)
        except ReplyError as error:
            record(error)
            return Response(status=403)
        except OutboxError as error:
            record(error)
            return Response(status=503, headers={"Retry-After": "60"})
        return Response(status=204)

    def _read(self, form: ReplyForm, code: ReceiptCode, locator: Locator, key: bytes) -> Response:
        return self._show_replies(form, code, self._messages(locator, key), "", 200)

    def _answer(self, form: ReplyForm, code: ReceiptCode, locator: Locator, key: bytes) -> Response:
        messages = self._messages(locator, key)
        if form.shown_errors or not form.what.data:
            sentence = form.shown_errors.get("what", [_("Write your answer. A few words are enough.")])[0]
            return self._show_replies(form, code, messages, sentence, 422)
        agency = self._settings.intake
        if agency.expires < day(self._clock()):
            return self._show_replies(form, code, messages, _("The form is closed just now, so nothing was sent."), 503)
        tip = Tip(
            id=new_tip_id(),
            received=day(self._clock()),
            answers={"what": form.what.data},
            reply=ReplyTo(key=key, locator=locator),
            answers_to=locator,
        )
        try:
            envelope = Envelope(id=tip.id, agency=agency.id, data=seal(tip_to_bundle(tip), agency.recipients))
            self._outbox.put(envelope, nonce=form.current.nonce, now=self._clock())
        except AlreadySentError:
            return self._page("report/already.html", 409)
        except HaumaruError as error:
            record(error)
            return self._show_replies(form, code, messages, _(error.message), 503)
        return self._page("report/answered.html", 200, code=code, token=self._fresh(), agency=agency)

    def _done(self, form: ReplyForm, code: ReceiptCode, locator: Locator, key: bytes) -> Response:  # noqa: ARG002
        try:
            self._box.delete(locator)
        except OutboxError as error:
            record(error)
            return self._ask(_("The reply could not be deleted just now. Please try again."), 503)
        return self._page("report/deleted.html", 200)

    def _messages(self, locator: Locator, key: bytes) -> list[str]:
        found = []
        for sealed in self._box.fetch(locator, now=self._clock()):
            message: Mapping[str, Any] = open_reply(sealed, key, locator)
            found.append(str(message.get("text", "")))
        return found

    def _form(self) -> ReplyForm:
        now = self._clock()
        context = TokenContext(secret=self._secret, token=Token.new(now), now=now, min_fill=0)
        return ReplyForm(meta={"csrf_context": context})

    def _fresh(self) -> str:
        return Token.new(self._clock()).sign(self._secret)

    def _show_replies(
        self, form: ReplyForm, code: ReceiptCode, messages: Sequence[str], problem: str, status: int
    ) -> Response:
        token = form.current.next().sign(self._secret)
        return self._page(
            "report/replies.html", status, form=form, code=code, messages=messages, problem=problem, token=token
        )

    def _ask(self, problem: str, status: int, seconds: int = 0) -> Response:
        response = self._page("report/reply.html", status, problem=problem, token=self._fresh())
        if seconds:
            response.headers["Retry-After"] = str(seconds)
        return response

    def _page(self, template: str, status: int, **values: Any) -> Response:
        return Response(self._render(template, g.lang, **values), status, mimetype="text/html")
