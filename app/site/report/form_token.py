"""The token that proves a form is ours without a cookie or a session, and the form class that checks it.

A token is signed and timed: it holds a random nonce, the second at which its form was given out, and whether that was
the first page. Nobody else can make one, it is good for twelve hours, and one that is used twice sends once. It goes
through the `csrf_class` of WTForms (docs/decisions/0002), so a FlaskForm checks it as any other token.
"""

import secrets
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from flask import request
from flask_wtf import FlaskForm
from itsdangerous import BadSignature, Signer
from wtforms.csrf.core import CSRF
from wtforms.meta import DefaultMeta
from wtforms.validators import ValidationError

from app.core.errors import N_, HaumaruError

TOKEN_SECONDS = 12 * 3600
_CLOCK_SKEW_SECONDS = 60  # between the machines of one site


class TokenError(HaumaruError):
    """A form token that is not ours, or too old."""

    code = "token"
    status = 400
    message = N_("This page was open for too long, so nothing was sent. Your words are still here. Please try again.")


class TooSoonError(TokenError):
    """A first form that came back quicker than a person fills one in."""

    message = N_(
        "You pressed the button very quickly, so nothing was sent. Wait a few seconds, then press the button again."
    )


@dataclass(frozen=True)
class Token:
    """What a form carries: its nonce, when its first page was given out (unix seconds), and whether this is it."""

    nonce: bytes
    issued: int
    first: bool

    @classmethod
    def new(cls, now: float) -> "Token":
        """Return a token for a form that is given out now."""
        return cls(secrets.token_bytes(16), int(now), first=True)

    def next(self) -> "Token":
        """Return the token of the page after the first: it is the same form, so the nonce is the same."""
        return Token(self.nonce, self.issued, first=False)

    def sign(self, secret: bytes) -> str:
        """Return the token as text, signed with HMAC-SHA-256 (RFC 2104)."""
        text = f"{self.nonce.hex()}-{self.issued}-{int(self.first)}"
        return _signer(secret).sign(text.encode()).decode()


def read_token(untrusted_text: str, *, secret: bytes, now: float, min_fill: int) -> Token:
    """Return the token in a text, checked at `now` (unix seconds).

    Raises TokenError for one that is not ours or too old, TooSoonError for a first page that came back sooner than
    `min_fill` seconds.
    """
    try:
        nonce, issued, first = _signer(secret).unsign(untrusted_text.encode()).decode().split("-")
    except (BadSignature, UnicodeError, ValueError):
        raise TokenError from None
    token = Token(bytes.fromhex(nonce), int(issued), first=first == "1")
    if not token.issued - _CLOCK_SKEW_SECONDS <= now <= token.issued + TOKEN_SECONDS:
        raise TokenError("token-old")
    if token.first and now < token.issued + min_fill:
        raise TooSoonError("too-soon")
    return token


def _signer(secret: bytes) -> Signer:
    return Signer(secret, salt="haumaru/form/1", key_derivation="hmac", digest_method=sha256)


@dataclass(frozen=True)
class TokenContext:
    """What checking a token needs; the form's `meta` carries it to StatelessToken."""

    secret: bytes
    token: Token
    now: float
    min_fill: int


class StatelessToken(CSRF):
    """The CSRF protection of WTForms with the form itself as the only state."""

    def setup_form(self, form: Any) -> Any:
        """Keep the context of this form."""
        self.context: TokenContext = form.meta.csrf_context
        return super().setup_form(form)

    def generate_csrf_token(self, csrf_token_field: Any) -> str:  # noqa: ARG002
        """Return nothing: the pages write their token themselves, and few forms are rendered again."""
        return ""

    def validate_csrf_token(self, form: Any, field: Any) -> None:
        """Keep the token of the form, or its error as the one error of the token's field; a good one is read once."""
        if form.token is not None:
            return
        context = self.context
        try:
            form.token = read_token(field.data or "", secret=context.secret, now=context.now, min_fill=context.min_fill)
        except TokenError as error:
            form.token_error = error
            raise ValidationError(error.message) from None


@cache
def _bound_once(unbound_field: Any, name: str, prefix: str, translations: Any) -> Any:
    """Return a field of no form, which is never filled; copies share its label, flags, validators and choices."""
    return unbound_field.bind(None, name, prefix, translations, _meta=DefaultMeta())


class TokenForm(FlaskForm):  # type: ignore[misc]
    """A form whose token alone proves that it is ours."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        """A stateless token instead of one in a session."""

        csrf = True
        csrf_class = StatelessToken
        csrf_field_name = "csrf_token"
        csrf_context: TokenContext
        locales = False

        def wrap_formdata(self, form: Any, formdata: Any) -> Any:  # noqa: ARG002
            """Fill the fields from form data alone: a file under the name of a text field is no text, nor is JSON."""
            return request.form or None

        def bind_field(self, form: Any, unbound_field: Any, options: Any) -> Any:
            """Return a copy of a field that was bound once; the token's field, which holds its form, is bound anew."""
            if unbound_field.field_class is self.csrf_class.field_class:
                return super().bind_field(form, unbound_field, options)
            once = _bound_once(unbound_field, **options)
            field = object.__new__(type(once))  # the class itself would make an unbound field
            vars(field).update(vars(once), meta=self, _form=form)
            return field

    token: Token | None = None
    token_error: TokenError | None = None

    def check_token(self) -> TokenError | None:
        """Return what is wrong with the token that came with the form, None if nothing; reads no other field."""
        self[self.meta.csrf_field_name].validate(self)
        return self.token_error

    @property
    def current(self) -> Token:
        """The token that came with the form, or a new one where none or a bad one did."""
        return self.token or self.meta.csrf_context.token

    @property
    def field_errors(self) -> dict[str, list[str]]:
        """The errors of the fields that a person sees, by name."""
        return {name: errors for name, errors in self.errors.items() if name and name != self.meta.csrf_field_name}
