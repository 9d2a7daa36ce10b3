"""Questions of the catalogue that a handler asks by their ids; the sender reads each in the sender's own language.

A question is a message of the thread that leaves as any reply does: one post each, at the pace of all posts. So a
handler asks at most five at once, and a question that has not left, or was asked on the same day, is not asked twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date

from app.desk.case import Case
from app.desk.cases import Cases
from app.desk.errors import RefusedError
from app.desk.replies import ReplyQueue
from app.desk.thread import MessageKind, ThreadMessage
from app.vault.asked_questions import QUESTIONS, AskedQuestion, question_text
from app.vault.tip import new_tip_id

MAX_ASKED = 5  # questions at once, each of which takes a post


class QuestionQueue:
    """The questions of one desk: written into threads, where each waits until the site has it."""

    def __init__(self, cases: Cases, replies: ReplyQueue) -> None:
        self._cases, self._replies = cases, replies

    def ask(self, case: Case, who: str, untrusted_ids: Iterable[str]) -> Case:
        """Put questions into the thread, where each waits for its post; raises RefusedError.

        The codes of the refusals: `no-question` (none of the catalogue), `many-questions`, and those of
        `ReplyQueue.require_way` and `Case.require_holder`. Questions that wait already are not put there again.
        """
        self._replies.require_way(case)
        ids = [one for one in dict.fromkeys(untrusted_ids) if one in QUESTIONS]
        if not ids:
            raise RefusedError("no-question")
        if len(ids) > MAX_ASKED:
            raise RefusedError("many-questions")
        try:
            return self._cases.change(case.id, who, "asked", lambda now: self._with_questions(now, who, ids))
        except RefusedError as error:
            if error.code != "written":
                raise
            return self._cases.get(case.id)

    def _with_questions(self, now: Case, who: str, ids: Iterable[str]) -> Case:
        now.require_holder(who)
        new = question_messages(now, who, self._cases.today(), ids)
        if not new:
            raise RefusedError("written")
        return replace(now, thread=(*now.thread, *new))


def question_messages(case: Case, who: str, day: date, ids: Iterable[str]) -> list[ThreadMessage]:
    """Return the messages that ask questions on a day, but those that wait for their post or were asked that day."""
    asked = [one for one in case.thread if one.kind is MessageKind.QUESTION]
    waiting = {one.value for one in asked if not one.posted or one.day == day}
    return [
        ThreadMessage(day, who, question_text(one), id=new_tip_id(), kind=MessageKind.QUESTION, value=one)
        for one in ids
        if one not in waiting
    ]


def questions_by_topic() -> dict[str, list[AskedQuestion]]:
    """Return the catalogue by topic, in the order in which a handler reads it."""
    topics: dict[str, list[AskedQuestion]] = {}
    for question in QUESTIONS.values():
        topics.setdefault(question.topic, []).append(question)
    return topics


def question_states(thread: Iterable[ThreadMessage]) -> Mapping[str, str]:
    """Return, by the id of a question, when the thread last asked it or had an answer to it."""
    states: dict[str, str] = {}
    for message in thread:
        if message.kind is MessageKind.QUESTION:
            states[message.value] = f"asked on {message.day.isoformat()}"
        states |= dict.fromkeys(message.replies, f"answered on {message.day.isoformat()}")
    return states


def warned_replies(thread: Iterable[ThreadMessage]) -> list[str]:
    """Return, as sentences, what a sender last said that a handler must know before the tip is passed on."""
    said = {name: (value, message.day) for message in thread for name, value in message.replies.items()}
    return [
        f"{question.text} {question.label(said[name][0])} ({said[name][1].isoformat()})"
        for name, question in QUESTIONS.items()
        if name in said and said[name][0] in question.warns
    ]
