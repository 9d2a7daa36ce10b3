"""The form of an answer: the questions that the desk asked by their ids, each with its boxes, and one text.

Which questions were asked, and which are answered already, travels in the page. A question that this site does not know
is not shown; an answer to a question that was not asked is not read. A sender who answers a question need not write
anything else.
"""

from collections.abc import Iterable, Mapping

from flask_babel import gettext as _
from wtforms import Field
from wtforms.validators import ValidationError

from app.core.errors import N_
from app.site.report.forms import TipForm, choice_field, text_field
from app.vault.asked_questions import QUESTIONS, AskedQuestion
from app.vault.tip import MAX_REPLIES, MAX_REPLY_LENGTH, SCHEMA

_NOT_WHO = N_("Do not write your name or anything that shows who you are.")


def known_questions(untrusted_ids: Iterable[str]) -> tuple[str, ...]:
    """Return those of the ids that the catalogue has, each once."""
    return tuple(one for one in dict.fromkeys(untrusted_ids) if one in QUESTIONS)


def _with_asked_questions(form_class: type["ReplyForm"]) -> type["ReplyForm"]:
    """Add a field for each question of the catalogue to a form class."""
    for question in QUESTIONS.values():
        setattr(form_class, _field_name(question.id), _question_field(question))
    return form_class


def _field_name(question: str) -> str:
    return f"q-{question}"


def _question_field(question: AskedQuestion) -> Field:
    if question.choices:
        return choice_field(question.text, "", question.choices)
    return text_field(question.text, _NOT_WHO, MAX_REPLY_LENGTH)


@_with_asked_questions
class ReplyForm(TipForm):
    """What a sender who came back with a receipt code answers: to questions by id, and in words."""

    what = text_field(N_("Your answer"), _NOT_WHO, SCHEMA.field("what").max_length)

    _asked: tuple[str, ...] = ()

    def ask(self, untrusted_ids: Iterable[str]) -> None:
        """Take these questions into the form: of those that the catalogue has, as many as an answer can hold."""
        self._asked = known_questions(untrusted_ids)[:MAX_REPLIES]

    def validate_what(self, field: Field) -> None:
        """Refuse an answer without words in which no question is answered either."""
        if not field.data and not any(one.data for one in self.asked):
            raise ValidationError(_("Write your answer. A few words are enough."))

    @property
    def asked(self) -> list[Field]:
        """The fields of the questions that were asked, in the order of asking."""
        return [self[_field_name(one)] for one in self._asked]

    @property
    def answered(self) -> list[str]:
        """The ids of the questions that are answered."""
        return [one for one in self._asked if self[_field_name(one)].data]

    @property
    def asked_hidden(self) -> list[tuple[str, str]]:
        """The names and values with which a page carries to the next which questions were asked."""
        return [("asked", one) for one in self._asked]

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """The names and values with which a later page carries what was asked, typed and ticked."""
        return [*self.asked_hidden, *super().hidden]

    @property
    def questions(self) -> list[Field]:
        """The questions that were asked, then the text."""
        return [*self.asked, self.what]

    @property
    def suspects(self) -> frozenset[str]:
        """The names of the fields that are about the suspects."""
        return frozenset(_field_name(one.id) for one in QUESTIONS.values() if one.about_suspects)

    def answers(self, untrusted_spans: Iterable[str]) -> Mapping[str, str | tuple[str, ...]]:
        """Return the text alone, without the spans (`field:start-end`) that its sender takes out."""
        return {name: said for name, said in super().answers(untrusted_spans).items() if name == self.what.name}

    def replies(self, untrusted_spans: Iterable[str]) -> Mapping[str, str]:
        """Return what is said to each question, by its id, without the spans that its sender takes out.

        Where the words that stand in place of a span make a text too long for a tip, the end of the text is cut.
        """
        said = super().answers(untrusted_spans)
        by_id = {one: str(said.get(_field_name(one), "")) for one in self._asked}
        return {one: text[:MAX_REPLY_LENGTH] for one, text in by_id.items() if text}
