"""The form of a report, built from the schema of the tip, and what the form of an answer shares with it.

Labels, hints and choices are keys of translation, which the templates translate. Until a form is validated its text is
as it came; `validate` cleans each text, but for one far beyond its limit, and then measures it. A choice that the
schema does not have is an error, and no field asks who is writing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, Field, RadioField, SelectMultipleField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length, Optional, ValidationError

from app.core.errors import N_
from app.core.unicode import clean_text
from app.site.agencies import AgencyConfig
from app.site.report.agency_field import AgencyField
from app.site.report.form_token import TokenForm
from app.text.find import remove_spans
from app.vault.tip import SCHEMA, Choice, FieldType, TipField

# Words to take out, as the check page writes them: field, start, end.
_SPAN = re.compile(r"([a-z-]{1,32}):(\d{1,6})-(\d{1,6})", re.ASCII)


# A text may be so many times its limit before it is cleaned: a browser sends a line end as two characters.
_MOST_BEFORE_CLEANING = 2


class _TypedText(TextAreaField):
    """A text of at most `max_length` characters once it is cleaned; one that is far too long is not cleaned."""

    def __init__(self, *args: Any, max_length: int, **values: Any) -> None:
        self._max_length = max_length
        super().__init__(*args, **values)

    def pre_validate(self, form: Any) -> None:  # noqa: ARG002
        """Clean the text before its validators see it."""
        if len(self.data or "") <= _MOST_BEFORE_CLEANING * self._max_length:
            self.data = clean_text(self.data or "").strip()
            self.raw_data = [self.data]


def text_field(label: str, hint: str, max_length: int, required: str = "") -> Field:
    """Return a field for a text of at most `max_length` characters; `required` is the sentence for an empty one."""
    too_long = _l("Your text is too long. Use %(limit)s characters or fewer.", limit=f"{max_length:,}")
    checks: list[Any] = [InputRequired(message=_l(required))] if required else []
    checks.append(Length(max=max_length, message=too_long))
    return _TypedText(label, description=hint, validators=checks, max_length=max_length)


def choice_field(label: str, hint: str, choices: Iterable[Choice], *, several: bool = False) -> Field:
    """Return a field in which one of the choices can be ticked, or several."""
    field_class = SelectMultipleField if several else RadioField
    offered = [SelectChoice(choice.value, choice.label) for choice in choices]
    checks = [Optional(), _KnownChoices(choice.value for choice in offered)]
    return field_class(label, description=hint, choices=offered, validators=checks, validate_choice=False)


class _KnownChoices:
    """Refuses a value that the form does not have, such as one of an older form, in the visitor's language."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values = frozenset(values)

    def __call__(self, _form: TokenForm, field: Field) -> None:
        if not self._values.issuperset(_values(field)):
            raise ValidationError(_l("Choose from the answers that are shown here."))


def _form_field(field: TipField) -> Field:
    """Return the WTForms field that asks for one field of the schema."""
    if field.choices:
        return choice_field(field.label, field.hint, field.choices, several=field.type is FieldType.CHOICES)
    return text_field(field.label, field.hint, field.max_length, field.required)


class TipForm(TokenForm):
    """What the steps from typing to sending need of a form; a report and an answer have one each.

    `focus` is the name of the question that the sender wants to change, and that the browser goes to. `agency` is the
    agency to which the tip goes, None where the form does not say which.
    """

    focus = ""
    agency: AgencyConfig | None = None

    @property
    def questions(self) -> list[Field]:
        """The fields whose answers a tip holds, in the order of the page."""
        raise NotImplementedError

    @property
    def texts(self) -> dict[str, str]:
        """What was written in each field of free text, by its name."""
        return {field.name: field.data or "" for field in self.questions if isinstance(field, _TypedText)}

    @property
    def suspects(self) -> frozenset[str]:
        """The names of the fields that are about the suspects."""
        return frozenset(field.name for field in SCHEMA.fields if field.about_suspects)

    @property
    def in_danger(self) -> bool:
        """Whether the sender said that someone is in danger now."""
        return False

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """The names and values with which a later page carries what was typed and ticked."""
        return [(field.name, value) for field in self.questions for value in _values(field)]

    def take_out(self, untrusted_spans: Iterable[str]) -> None:
        """Take spans (`field:start-end`) out of the texts, so that the pages that follow do not have them any more."""
        texts = self.texts
        for name, spans in spans_by_field(untrusted_spans).items():
            if name in texts:
                self[name].data = remove_spans(self[name].data or "", spans)

    def answers(self, untrusted_spans: Iterable[str]) -> Mapping[str, str | tuple[str, ...]]:
        """Return the answers that a tip holds, without the spans (`field:start-end`) that its sender takes out."""
        spans = spans_by_field(untrusted_spans)
        answers: dict[str, str | tuple[str, ...]] = {}
        for field in self.questions:
            if isinstance(field.data, list):
                answers |= {field.name: tuple(field.data)} if field.data else {}
            elif field.data:
                out = spans.get(field.name, ()) if isinstance(field, _TypedText) else ()
                answers[field.name] = remove_spans(field.data, out)
        return answers


def _with_questions(form_class: type["ReportForm"]) -> type["ReportForm"]:
    """Add the fields of the schema to a form class ("Dynamic Form Composition" in the documentation of WTForms)."""
    for field in SCHEMA.fields:
        setattr(form_class, field.name, _form_field(field))
    return form_class


@_with_questions
class ReportForm(TipForm):
    """The questions of the schema, and whether the sender wants a receipt code."""

    reply = BooleanField(
        N_(
            "I want to be able to come back and read a reply. "
            "We will show you a code. Keep the code safe. We will show the code only once."
        )
    )

    without = AgencyField(N_("Is your report about people who work at one of these agencies?"))

    def offer(self, agencies: Sequence[AgencyConfig], *, is_lost: bool = False) -> None:
        """Offer these agencies, of which the first gets the report unless it is left out; `is_lost` asks again."""
        self.without.offer(agencies, is_lost=is_lost)
        self.agency = self.without.agency

    @property
    def questions(self) -> list[Field]:
        """The fields of the schema, in its order."""
        return [self[field.name] for field in SCHEMA.fields]

    @property
    def first_questions(self) -> list[Field]:
        """The questions that stand at the top of the form."""
        return [self[field.name] for field in SCHEMA.fields if field.first]

    @property
    def further_questions(self) -> list[Field]:
        """The questions under "More, if you know it", which are shown at once where one has an answer or an error."""
        return [self[field.name] for field in SCHEMA.fields if not field.first]

    @property
    def in_danger(self) -> bool:
        """Whether the sender said that someone is in danger now."""
        return bool(self["danger"].data == "yes")

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """The names and values with which a later page carries what was typed and ticked."""
        return [*super().hidden, *self.without.hidden, *([("reply", "yes")] if self.reply.data else [])]

    def fill(self, answers: Mapping[str, Any]) -> None:
        """Answer the questions with these answers and no others, whatever the request holds."""
        for field in self.questions:
            field.process(None, answers.get(field.name))
        self.reply.process(None, False)
        self.without.data = ()
        self.agency = self.without.agency


def _values(field: Field) -> list[str]:
    """Return the values that a field holds, none where it is empty."""
    return [*field.data] if isinstance(field.data, list) else [field.data] if field.data else []


def spans_by_field(untrusted_values: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
    """Return the spans by field; values that are not of the check page's form are ignored."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for value in untrusted_values:
        parts = _SPAN.fullmatch(value)
        if parts:
            spans.setdefault(parts[1], []).append((int(parts[2]), int(parts[3])))
    return spans
