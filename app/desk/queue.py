"""The queue: which cases to show, in which order, and how many of each there are; all from memory.

Tips whose sender asks not to pass them on come first, then danger and children, then the oldest day, unless a handler
asks for the newest day first. A case that is
locked as objectionable is listed by its id alone and found by no search. An answer that belongs to a thread has no row
of its own: the answer brings its tip, also a referred or closed one, back among the open tips until a handler has read
the thread.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.desk.case import Case
from app.desk.case_fields import State
from app.desk.cases import Cases
from app.desk.language_guess import UNKNOWN_LANGUAGE, LanguageGuess
from app.desk.replies import readable_reply_to
from app.desk.similarity import similar_groups
from app.desk.withdrawn import open_requests, was_asked_back

PAGE_ROWS = 50
VIEWS = ("open", "withdrawn", "new", "work", "waiting", "answered", "referred", "closed", "all", "objectionable")
SORTS = ("urgent", "newest")


@dataclass(frozen=True)
class QueueFilter:
    """What a handler asked to see; an empty value means any."""

    view: str = "open"
    danger: bool = False
    children: bool = False
    kind: str = ""
    place: str = ""
    words: str = ""
    mine: bool = False
    translator: bool = False
    answerable: bool = False
    files: bool = False
    language: str = ""  # as the desk guesses it
    sort: str = "urgent"
    page: int = 1

    @property
    def narrowed(self) -> bool:
        """Whether a handler asked for less than a whole view."""
        return replace(self, view="open", sort="urgent", page=1) != QueueFilter()


@dataclass(frozen=True)
class QueuePage:
    """One page of the queue: its rows and number, how many cases and pages there are, the count of each view."""

    rows: tuple[Case, ...]
    total: int
    pages: int
    counts: Counter[str]
    groups: dict[str, frozenset[str]]  # by case, the ids of the cases that say much the same
    number: int


@dataclass(frozen=True)
class QueueNeighbours:
    """The tips before and after one in a filtered queue, None at its ends, each with the number of its page."""

    previous: Case | None
    following: Case | None
    previous_page: int
    following_page: int


class Queue:
    """The queue over all cases; what is computed from all of them is kept until one changes."""

    def __init__(self, cases: Cases, languages: LanguageGuess) -> None:
        self._cases, self.languages = cases, languages
        self._lock = threading.Lock()
        self._computed_at = -1  # the number of changes of the cases
        self._order: tuple[Case, ...] = ()
        self._counts: Counter[str] = Counter()
        self._search_texts: dict[str, tuple[int, str]] = {}  # by case: its version, its text in small letters
        self._languages: dict[str, str] = {}  # by case
        self._groups: dict[str, frozenset[str]] = {}
        self._sketches: dict[str, tuple[int, ...]] = {}

    def page(self, chosen: QueueFilter, who: str) -> QueuePage:
        """Return the page of cases that a handler asked for; the last page where there are fewer."""
        rows = self._filtered(chosen, who)
        pages = max(1, -(-len(rows) // PAGE_ROWS))
        number = min(max(1, chosen.page), pages)
        shown = tuple(rows[(number - 1) * PAGE_ROWS : number * PAGE_ROWS])
        return QueuePage(shown, len(rows), pages, self._counts, self._groups, number)

    def neighbours(self, case: Case, chosen: QueueFilter, who: str) -> QueueNeighbours:
        """Return the tips beside a case; a case that no longer matches the filter has its place all the same."""
        rows, key = self._filtered(chosen, who), _sort_key(chosen)
        place = bisect_left(rows, key(case), key=key)
        after = place + (place < len(rows) and rows[place].id == case.id)
        previous = rows[place - 1] if place else None
        following = rows[after] if after < len(rows) else None
        return QueueNeighbours(previous, following, (place - 1) // PAGE_ROWS + 1, after // PAGE_ROWS + 1)

    def _filtered(self, chosen: QueueFilter, who: str) -> list[Case]:
        rows = [case for case in self.order() if self._matches(case, chosen, who)]
        return rows if chosen.sort == "urgent" else sorted(rows, key=_sort_key(chosen))

    def order(self) -> tuple[Case, ...]:
        """Return every row, the most urgent first."""
        with self._lock:
            if self._computed_at != self._cases.changes:
                self._computed_at = self._cases.changes
                rows = self._rows()
                self._order = tuple(sorted(rows, key=urgency_key))
                self._counts = Counter(view for case in rows for view in _views(case))
                self._regroup(rows)
            return self._order

    def similar_to(self, case: Case) -> tuple[Case, ...]:
        """Return the other open cases that say much the same, the most urgent first."""
        order = self.order()
        group = self._groups.get(case.id, frozenset())
        return tuple(one for one in order if one.id in group and one.id != case.id)

    def next_new(self, case: Case, chosen: QueueFilter, who: str) -> Case | None:
        """Return the case to open after this one: the first new one of the list from which this one was opened."""
        rows = self._filtered(chosen, who)
        return next((one for one in rows if one.state is State.NEW and one.id != case.id), None)

    def language(self, case: Case) -> str:
        """Return the code of the language in which the sender seems to write: the same on every page."""
        if case.id not in self._languages:  # the answers of a case never change
            self._languages[case.id] = self.languages.guess_case(case) or UNKNOWN_LANGUAGE
        return self._languages[case.id]

    def guess_languages(self) -> None:
        """Guess the language of every case, so that the first search by language need not wait."""
        for case in self._cases.all():
            self.language(case)

    def _rows(self) -> list[Case]:
        cases = self._cases.all()
        in_threads = {message.id for case in cases for message in case.thread if not message.who}
        asked = {case.reply.locator for case in cases if case.reply and not case.answers_to and was_asked_back(case)}
        # Where a full thread has a request already, further ones say nothing new, and would stand above all.
        return [
            case for case in cases if case.id not in in_threads and not (case.withdraw and case.answers_to in asked)
        ]

    def _regroup(self, rows: Sequence[Case]) -> None:
        sketches: dict[str, tuple[int, ...]] = {case.id: case.sketch for case in rows if case.open and case.sketch}
        if sketches.keys() != self._sketches.keys():
            self._sketches, self._groups = sketches, similar_groups(sketches)

    def _matches(self, case: Case, chosen: QueueFilter, who: str) -> bool:
        if chosen.view not in _views(case):
            return False
        if case.state is State.OBJECTIONABLE:
            return not chosen.narrowed
        asked = (
            not chosen.danger or case.danger,
            not chosen.children or case.children,
            not chosen.kind or chosen.kind in case.known_kinds,
            not chosen.mine or case.holder == who,
            not chosen.translator or case.translator,
            not chosen.answerable or readable_reply_to(case) is not None,
            not chosen.files or bool(case.files),
            not chosen.language or self.language(case) == chosen.language,
        )
        return all(asked) and self._matches_text(case, chosen)

    def _matches_text(self, case: Case, chosen: QueueFilter) -> bool:
        if chosen.place and chosen.place.casefold() not in case.text("where").casefold():
            return False
        text = self._search_text(case) if chosen.words else ""
        return all(word in text for word in chosen.words.casefold().split())

    def _search_text(self, case: Case) -> str:
        version, text = self._search_texts.get(case.id, (-1, ""))
        if version != case.version:
            thread = [text for one in case.thread for text in (one.text, *one.replies.values())]
            notes = [note.text for note in case.notes]
            parts = [case.id, *map(case.text, case.answers), *case.replies.values(), case.translation, *thread, *notes]
            text = "\n".join(parts).casefold()
            self._search_texts[case.id] = (case.version, text)
        return text


def urgency_key(case: Case) -> tuple[bool, bool, bool, int, str]:
    """Return a key that sorts open requests not to pass a tip on first, then danger, children, and the oldest day."""
    return (not open_requests(case), not case.danger, not case.children, case.received.toordinal(), case.id)


def _sort_key(chosen: QueueFilter) -> Callable[[Case], tuple[int | str, ...]]:
    newest = chosen.sort == "newest"
    return lambda case: (-case.received.toordinal() if newest else 0, *urgency_key(case))


def _views(case: Case) -> tuple[str, ...]:
    views = [str(case.state)]
    if case.state is not State.OBJECTIONABLE:
        views.append("all")
    asked_back = bool(open_requests(case))
    if asked_back or case.unread or case.state in {State.NEW, State.WORK, State.WAITING}:
        views.append("open")
    if asked_back:
        views.append("withdrawn")
    if case.unread:
        views.append("answered")
    return tuple(views)
