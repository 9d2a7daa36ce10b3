"""Replies to a sender: checked for what could put their reader at risk, and kept in the thread until they are posted.

Refuses a link in a reply, and warns of a question about the sender. `reply_poster` takes the replies that the site does
not have yet out of the threads, where they are sealed with the rest of the case: the disk shows no locator.
"""

import re
from collections.abc import Mapping
from datetime import date, timedelta

from app.core.unicode import clean_text
from app.desk.case import Case
from app.desk.case_index import CaseIndex, CaseTally
from app.desk.cases import Cases
from app.desk.errors import RefusedError
from app.desk.ready_texts import without_ready_texts
from app.desk.thread import ThreadMessage, is_by_handler, unposted_messages
from app.vault.tip import ReplyTo, TipId, new_tip_id

DAYS = 90  # for which the site keeps a reply
MAX_LENGTH = 5000  # characters

_UNPOSTED = "unposted"

_LOCATOR = re.compile("[0-9a-f]{32}")  # the site refuses a locator of any other form
_LINK = re.compile(r"https?:|www\.|\b[\w-]+(?:\.[\w-]+)*\.(?:[a-z]{2,24})\b(?:/|\b)|\w@\w", re.IGNORECASE)
_ASKS: Mapping[str, re.Pattern[str]] = {
    "who": re.compile(
        r"\b(?:who (?:are|is) you|your (?:\w+ )?(?:name|number|phone|e-?mail|address|age|job|workplace|contact|details)"
        r"|what(?:'s| is) your|how (?:can|do|could) (?:we|i) (?:reach|contact|call)"
        r"|(?:call|ring|text|phone|e-?mail|contact|write to) (?:us|me)|identify yourself|tell (?:us|me) who)",
        re.IGNORECASE,
    ),
    "meet": re.compile(
        r"\b(?:meet(?:ing)?|come (?:in|to|and see|by)|visit (?:us|me)|in person|face to face|see you|pick you up|go to"
        r"|where (?:are|do) you (?:live|work|stay)?|appointment)\b",
        re.IGNORECASE,
    ),
}
WARNINGS: Mapping[str, str] = {
    "who": "This may ask who the sender is. The site promised the sender that nobody will ask.",
    "meet": "This may ask the sender to go somewhere. Another person may watch the sender, or wait there.",
}


def reply_warnings(text: str) -> tuple[str, ...]:
    """Return what in a reply could put its reader at risk, as sentences; raises RefusedError `reply-link`."""
    if _LINK.search(text):
        raise RefusedError("reply-link")
    own_words = without_ready_texts(text)
    return tuple(WARNINGS[name] for name, asks in _ASKS.items() if asks.search(own_words))


class ReplyQueue:
    """The replies of one desk: written into threads, and waiting there until the site has them."""

    def __init__(self, cases: Cases, *, has_site: bool) -> None:
        self._cases, self._has_site = cases, has_site
        self._unposted = cases.records.watch(CaseIndex(lambda case: (_UNPOSTED,) if unposted_of(case) else ()))
        self._days = cases.records.watch(CaseTally(_written_days))

    def require_way(self, case: Case) -> None:
        """Raise RefusedError where nothing can be sent to the sender of a case: `no-site`, `no-reply`."""
        if not self._has_site:
            raise RefusedError("no-site")
        if readable_reply_to(case) is None:
            raise RefusedError("no-reply")

    def write(self, case: Case, who: str, untrusted_text: str, *, reply_id: TipId | None = None) -> Case:
        """Put a reply into the thread, where it waits for its post; raises RefusedError.

        A reply whose `reply_id` stands in the thread already is not written again. The codes of the refusals:
        `no-site`, `no-reply`, `no-words`, `too-long`, `reply-link`, and those of `Case.require_holder`.
        """
        self.require_way(case)
        text = self.checked(untrusted_text)
        message = ThreadMessage(self._cases.today(), who, text, id=reply_id or new_tip_id())
        try:
            return self._cases.change(case.id, who, "replied", lambda now: _with_new_reply(now, who, message))
        except RefusedError as error:
            if error.code != "written":
                raise
            return self._cases.get(case.id)

    def checked(self, untrusted_text: str) -> str:
        """Return the cleaned text of a reply; raises RefusedError `no-words`, `too-long` or `reply-link`."""
        text = clean_text(untrusted_text)
        if not text:
            raise RefusedError("no-words")
        if len(text) > MAX_LENGTH:
            raise RefusedError("too-long")
        reply_warnings(text)
        return text

    def waiting(self, now: float) -> list[tuple[ReplyTo, ThreadMessage]]:
        """Return, of each thread, the oldest reply that may leave at `now` (unix seconds) and that the site lacks.

        A reply waits for 90 days at most. Statuses wait while any reply that a handler wrote can leave.
        """
        first_day = self._first_day()
        found = [
            (case.reply, one)
            for case in self._cases.records.find(self._unposted, _UNPOSTED)
            for one in unposted_messages(case.thread, first_day)
            if case.reply and one.earliest <= now
        ]
        written = [(reply_to, one) for reply_to, one in found if is_by_handler(one)]
        oldest = {reply_to.locator: (reply_to, one) for reply_to, one in reversed(written or found)}
        return list(oldest.values())

    def count_waiting(self) -> int:
        """Return how many replies that a handler wrote the site does not have yet."""
        return self._days.since(self._first_day())

    def _first_day(self) -> date:
        return self._cases.today() - timedelta(days=DAYS)

    def number(self, reply_id: str) -> int:
        """Return the place of a reply in its thread, so that the site can show the replies of a day in their order."""
        case = self._cases.with_reply(reply_id)
        places = (place for place, one in enumerate(case.thread) if one.id == reply_id) if case else ()
        return next(iter(places), 0)

    def note_posted(self, reply_id: str) -> None:
        """Note that the site has a reply; raises RefusedError."""
        self._cases.note_posted(reply_id)


def _with_new_reply(now: Case, who: str, message: ThreadMessage) -> Case:
    if any(one.id == message.id for one in now.thread):
        raise RefusedError("written")
    return now.with_reply(who, message)


def _written_days(case: Case) -> list[date]:
    return [one.day for one in unposted_of(case) if is_by_handler(one)]


def unposted_of(case: Case) -> list[ThreadMessage]:
    """Return what the desk wrote to the sender of a case and the site lacks, of whatever day."""
    return unposted_messages(case.thread, date.min) if case.thread and readable_reply_to(case) else []


def readable_reply_to(case: Case) -> ReplyTo | None:
    """Return where the sender of a case reads replies, or None without a place that the site takes."""
    return case.reply if case.reply and _LOCATOR.fullmatch(case.reply.locator) else None
