"""The report form's fields, and the token that proves a form is ours without a cookie or a session.

Labels and hints are message ids, which the templates translate. The token is signed and timed: it holds a random
nonce, the second at which the form was given out, and whether it is the first page. Nobody can make one; one used
twice sends once; it is good for twelve hours.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from flask import request
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from itsdangerous import BadSignature, Signer
from wtforms import BooleanField, Field, RadioField, SelectMultipleField, TextAreaField
from wtforms.csrf.core import CSRF
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length, Optional
from wtforms.validators import ValidationError as Invalid

from app.core.errors import N_, HaumaruError
from app.core.unicode import clean_text
from app.vault.tip import SCHEMA, FieldType, TipField

TOKEN_SECONDS = 12 * 3600


class TokenError(HaumaruError):
    """A form token that is not ours, or too old."""

    code = "token"
    status = 400
    message = N_("This page was open for too long. Nothing was sent. Your words are still here: please try again.")


class TooSoonError(TokenError):
    """A first form that came back quicker than a person fills one in."""

    message = N_("That was very quick, so nothing was sent. Wait a few seconds, then press the button again.")


@dataclass(frozen=True)
class Token:
    """What a form carries: its nonce, when the first page was given out (unix seconds), and whether this is it."""

    nonce: bytes
    issued: int
    first: bool

    @classmethod
    def new(cls, now: float) -> "Token":
        """A token for a form that is given out now."""
        return cls(secrets.token_bytes(16), int(now), first=True)

    def next(self) -> "Token":
        """The token of the page after the first: the same form, so the same nonce."""
        return Token(self.nonce, self.issued, first=False)

    def sign(self, secret: bytes) -> str:
        """The token as text, signed."""
        text = f"{self.nonce.hex()}-{self.issued}-{int(self.first)}"
        return _signer(secret).sign(text.encode()).decode()


def read_token(untrusted_text: str, *, secret: bytes, now: float, min_fill: int) -> Token:
    """Check a form's token; `TokenError` where it is not ours or too old, `TooSoonError` where it is too young."""
    try:
        nonce, issued, first = _signer(secret).unsign(untrusted_text.encode()).decode().split("-")
    except (BadSignature, UnicodeError, ValueError):
        raise TokenError from None
    token = Token(bytes.fromhex(nonce), int(issued), first=first == "1")
    if not token.issued - 60 <= now <= token.issued + TOKEN_SECONDS:
        raise TokenError("token-old")
    if token.first and now < token.issued + min_fill:
        raise TooSoonError("too-soon")
    return token


def _signer(secret: bytes) -> Signer:
    return Signer(secret, salt="haumaru/form/1", key_derivation="hmac", digest_method=sha256)


@dataclass(frozen=True)
class TokenContext:
    """What WTForms hands on to the token's class below."""

    secret: bytes
    token: Token
    now: float
    min_fill: int


class StatelessToken(CSRF):
    """WTForms' own hook for a token, with the form as its only state."""

    def setup_form(self, form: Any) -> Any:
        """Keep the context for this form."""
        self.context: TokenContext = form.meta.csrf_context
        return super().setup_form(form)

    def generate_csrf_token(self, csrf_token_field: Any) -> str:  # noqa: ARG002
        """The token that this page carries."""
        return self.context.token.sign(self.context.secret)

    def validate_csrf_token(self, form: Any, field: Any) -> None:
        """Note a bad token as the field's one error, and keep the token that was read."""
        context = self.context
        try:
            form.token = read_token(field.data or "", secret=context.secret, now=context.now, min_fill=context.min_fill)
        except TokenError as error:
            form.token_error = error
            raise Invalid(error.message) from None


def _cleaned(value: str | None) -> str:
    return clean_text(value or "").strip()


def _text_field(label: str, hint: str, max_length: int, required: str = "") -> Field:
    too_long = _l("This is too long. Use at most %(limit)s characters.", limit=f"{max_length:,}")
    checks = [InputRequired(message=_l(required))] if required else []
    return TextAreaField(
        label, description=hint, filters=[_cleaned], validators=[*checks, Length(max=max_length, message=too_long)]
    )


def _form_field(field: TipField) -> Field:
    """Return the WTForms field that asks for one field of the schema."""
    choices = [SelectChoice(choice.value, choice.label) for choice in field.choices]
    if field.type is FieldType.CHOICE:
        return RadioField(field.label, description=field.hint, choices=choices, validators=[Optional()])
    if field.type is FieldType.CHOICES:
        return SelectMultipleField(field.label, description=field.hint, choices=choices, validators=[Optional()])
    return _text_field(field.label, field.hint, field.max_length, field.required)


class TokenForm(FlaskForm):  # type: ignore[misc]
    """A form that proves by its token alone that it is ours."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        """Stateless token, no session."""

        csrf = True
        csrf_class = StatelessToken
        csrf_field_name = "csrf_token"
        csrf_context: TokenContext
        locales = False

        def wrap_formdata(self, form: Any, formdata: Any) -> Any:  # noqa: ARG002
            """Fill the fields from a form alone: a file under a field's name is no text, and we take no JSON."""
            return request.form or None

    token: Token | None = None
    token_error: TokenError | None = None

    @property
    def current(self) -> Token:
        """The token that came with the form, or a new one where none or a bad one did."""
        return self.token or self.meta.csrf_context.token

    @property
    def shown_errors(self) -> dict[str, list[str]]:
        """The fields' errors, without the token's, which is no field that a person sees."""
        return {name: errors for name, errors in self.errors.items() if name and name != "csrf_token"}


class ReplyForm(TokenForm):
    """What somebody writes who came back with a receipt code."""

    what = _text_field(N_("Your answer"), N_("Leave out who you are."), SCHEMA.field("what").max_length)


class ReportForm(TokenForm):
    """The questions of the schema, and whether the sender wants a receipt code; none asks who is writing."""

    reply = BooleanField(N_("I want to be able to come back for a reply"))

    @property
    def questions(self) -> list[Field]:
        """The fields of the schema, in its order."""
        return [self[field.name] for field in SCHEMA.fields]


# The WTForms way to compose a form from data ("Dynamic Form Composition" in its documentation).
for _field in SCHEMA.fields:
    setattr(ReportForm, _field.name, _form_field(_field))
