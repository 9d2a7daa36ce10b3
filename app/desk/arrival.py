"""What the desk makes of words that come in: bounded, and dated by a day that can be true, whatever a stranger sealed.

Anybody may seal to a published key, so a day may lie in the year 1, a form may have ten thousand fields, and a thread
may be answered a thousand times. What is bounded here is never lost: the sealed envelope stays as it came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from app.desk.case import Case, case_from_words
from app.desk.case_fields import CaseNote
from app.desk.similarity import text_sketch
from app.desk.thread import ThreadMessage
from app.desk.withdrawn import was_asked_back
from app.vault.tip import SCHEMA, TipId
from app.vault.tip_bundles import Words

MAX_TRAVEL_DAYS = 30  # from the day on which the site took a tip to the day on which the desk opens it
MAX_UNKNOWN_FIELDS = 20
MAX_ANSWERS = 100  # of a sender that stand in one thread
_MAX_ANSWER = SCHEMA.field("what").max_length  # characters
_TOO_MANY_FIELDS = (
    "This tip holds {count} answers to questions that our form does not ask. Only the first {shown} are shown here. "
    "The sealed envelope keeps all of them."
)
_ENDED = "This is an answer to a tip that this desk has destroyed or locked."


def case_of_arrival(words: Words, case_id: TipId, today: date, *, by: str, thread_ended: bool = False) -> Case:
    """Return the new case of a tip whose words have come in; `by` writes the notes."""
    text = "\n".join(str(words.tip.answers.get(name, "")) for name in SCHEMA.text_names)
    case = case_from_words(words, text_sketch(text), case_id=case_id)
    answers = _bounded_fields(case.answers)
    notes = (CaseNote(today, by, _ENDED),) if thread_ended else ()
    if left_out := len(case.answers) - len(answers):
        sentence = _TOO_MANY_FIELDS.format(count=left_out + MAX_UNKNOWN_FIELDS, shown=MAX_UNKNOWN_FIELDS)
        notes = (*notes, CaseNote(today, by, sentence))
    return replace(case, received=believable_day(case.received, today), answers=answers, notes=notes)


def believable_day(received: date, today: date) -> date:
    """Return the day on which the site took a tip, or today where the day cannot be true: ahead, or too long ago."""
    return received if today - timedelta(days=MAX_TRAVEL_DAYS) <= received <= today else today


def with_arrived_answers(case: Case, answers: Sequence[Case]) -> Case:
    """Return a case with its sender's answers in its thread, each once, at most 100 in all; the others stay rows."""
    there = {message.id for message in case.thread}
    room = MAX_ANSWERS - sum(not message.who for message in case.thread)
    new = [answer for answer in answers if answer.id not in there]
    # A request not to pass the tip on has a place in a full thread too.
    asked = [answer for answer in new[max(0, room) :] if answer.withdraw and not was_asked_back(case)][:1]
    new = new[: max(0, room)] + asked
    return case.with_answers(*map(_thread_message, new)) if new else case


def _thread_message(answer: Case) -> ThreadMessage:
    text = answer.text("what")
    shown = text if len(text) <= _MAX_ANSWER else f"{text[:_MAX_ANSWER]}…"
    return ThreadMessage(
        answer.received,
        "",
        shown,
        id=answer.id,
        number=answer.number,
        replies=answer.replies,
        withdraw=answer.withdraw,
    )


def _bounded_fields(answers: Mapping[str, str | tuple[str, ...]]) -> dict[str, str | tuple[str, ...]]:
    known = {field.name for field in SCHEMA.fields}
    unknown = [name for name in answers if name not in known][:MAX_UNKNOWN_FIELDS]
    return {name: value for name, value in answers.items() if name in known or name in unknown}
