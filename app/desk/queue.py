"""The queue: which cases to show, in which order, and how many of each there are; all from memory.

Tips whose sender asks not to pass them on come first, then danger and children, then the oldest day, unless a handler
asks for the newest day first. A case that is
locked as objectionable is listed by its id alone and found by no search. An answer that belongs to a thread has no row
of its own: the answer brings its tip, also a referred or closed one, back among the open tips until a handler has read
the thread. A question of an authority does so until a handler has decided about the question.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from app.desk.assignment import due_day, is_due
from app.desk.case import Case
from app.desk.case_fields import State
from app.desk.case_records import CaseRecords
from app.desk.common_details import CommonDetails
from app.desk.language_guess import UNKNOWN_LANGUAGE, LanguageGuess
from app.desk.queue_rows import EVERY_ROW, QueueRow, QueueRows, SortKey
from app.desk.replies import readable_reply_to
from app.desk.withdrawn import open_requests, was_asked_back

PAGE_ROWS = 50
_WITH_ALL_NEW = frozenset({"open", "new", "all"})  # views that show every new tip
VIEWS = (
    "open",
    "withdrawn",
    "asked",
    "new",
    "work",
    "waiting",
    "answered",
    "referred",
    "closed",
    "all",
    "objectionable",
)


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
    due: bool = False  # today or before
    translator: bool = False
    answerable: bool = False
    files: bool = False
    common: bool = False  # has a number, an address or a firm in common with another tip
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
    similar: dict[str, int]  # by case, how many cases say much the same, itself among them
    common: dict[str, int]  # by case, how many other tips have a number, an address or a firm in common with it
    number: int


@dataclass(frozen=True)
class QueueNeighbours:
    """The tips before and after one in a filtered queue, None at its ends, each with the number of its page."""

    previous: Case | None
    following: Case | None
    previous_page: int
    following_page: int


class Queue:
    """The queue over all cases."""

    def __init__(
        self, records: CaseRecords, languages: LanguageGuess, common: CommonDetails, *, today: Callable[[], date]
    ) -> None:
        self._records, self.languages, self._common, self._today = records, languages, common, today
        self._rows = QueueRows(records, self._make_row)
        self._languages: dict[str, str] = {}  # by case

    def page(self, chosen: QueueFilter, who: str) -> QueuePage:
        """Return the page of cases that a handler asked for; the last page where there are fewer."""
        self._common.catch_up()
        found = None if not chosen.narrowed else self._filtered(chosen, who)
        total = self._rows.counts()[chosen.view] if found is None else len(found)
        pages = max(1, -(-total // PAGE_ROWS))
        number = min(max(1, chosen.page), pages)
        start, stop = (number - 1) * PAGE_ROWS, number * PAGE_ROWS
        rows = self._rows.some_of(chosen.view, chosen.sort, start, stop)[0] if found is None else found[start:stop]
        shown = tuple(row.case for row in rows)
        similar: dict[str, int] = {case.id: count for case in shown if (count := self._rows.count_similar(case))}
        common: dict[str, int] = {case.id: count for case in shown if (count := self._common.count(case))}
        return QueuePage(shown, total, pages, self._rows.counts(), similar, common, number)

    def neighbours(self, case: Case, chosen: QueueFilter, who: str) -> QueueNeighbours:
        """Return the tips beside a case; a case that no longer matches the filter has its place all the same."""
        key = SORT_KEYS[chosen.sort](case)
        if chosen.narrowed:
            rows = self._filtered(chosen, who)
            place, start = bisect_left(rows, key, key=lambda row: row.keys[chosen.sort]), 0
        else:
            place, rows = self._rows.around(chosen.view, chosen.sort, key)
            start = max(0, place - 1)
        here = place - start
        after = here + (here < len(rows) and rows[here].case.id == case.id)
        previous = rows[here - 1].case if here else None
        following = rows[after].case if after < len(rows) else None
        return QueueNeighbours(previous, following, (place - 1) // PAGE_ROWS + 1, (start + after) // PAGE_ROWS + 1)

    def order(self) -> tuple[Case, ...]:
        """Return every row, the most urgent first."""
        return tuple(row.case for row in self._rows.of(EVERY_ROW, "urgent"))

    def similar_to(self, case: Case) -> tuple[Case, ...]:
        """Return the other open cases that say much the same, the most urgent first."""
        found = map(self._records.find_one, self._rows.similar(case) - {case.id})
        return tuple(sorted(filter(None, found), key=urgency_key))

    def next_new(self, case: Case, chosen: QueueFilter, who: str) -> Case | None:
        """Return the case to open after this one: the first new one of the list from which this one was opened."""
        if chosen.view in _WITH_ALL_NEW and not chosen.narrowed:
            rows, _ = self._rows.some_of(State.NEW, chosen.sort, 0, 2)
        else:
            rows = self._filtered(chosen, who)
        return next((row.case for row in rows if row.case.state is State.NEW and row.case.id != case.id), None)

    def language(self, case: Case) -> str:
        """Return the code of the language in which the sender seems to write: the same on every page."""
        if case.id not in self._languages:  # the answers of a case never change
            self._languages[case.id] = self.languages.guess_case(case) or UNKNOWN_LANGUAGE
        return self._languages[case.id]

    def guess_languages(self) -> None:
        """Guess the language of every case, so that the first search by language need not wait."""
        for case in self._records.all():
            self.language(case)

    def _filtered(self, chosen: QueueFilter, who: str) -> list[QueueRow]:
        rows = self._rows.of(chosen.view, chosen.sort)
        for check in self._checks(chosen, who):
            rows = [row for row in rows if check(row)]
        for word in chosen.words.casefold().split():
            rows = [row for row in rows if word in row.search_text]
        return rows

    def _make_row(self, case: Case) -> QueueRow | None:
        if not self._has_row(case):
            return None
        keys = {order: key(case) for order, key in SORT_KEYS.items()}
        return QueueRow(case, keys, _views(case), _search_text(case), danger=case.danger, children=case.children)

    def _has_row(self, case: Case) -> bool:
        threads = self._records.threads(case.answers_to) if case.answers_to is not None else []
        in_thread = any(message.id == case.id and not message.who for one in threads for message in one.thread)
        # Where a full thread has a request already, further ones say nothing new, and would stand above all.
        # An answer that waits for a second person has a row: that person must find the answer.
        hidden = in_thread and case.state is not State.WAITING
        return not hidden and not (case.withdraw and any(map(was_asked_back, threads)))

    def _checks(self, chosen: QueueFilter, who: str) -> list[Callable[[QueueRow], bool]]:
        """Return what a row must pass, the quickest first; a locked tip passes only where nothing is asked."""
        place, today = chosen.place.casefold(), self._today()
        asked: list[tuple[object, Callable[[QueueRow], bool]]] = [
            (
                chosen.view == State.OBJECTIONABLE and chosen.narrowed,
                lambda row: row.case.state is not State.OBJECTIONABLE,
            ),
            (chosen.mine, lambda row: row.case.holder == who),
            (chosen.due, lambda row: is_due(row.case, today)),
            (chosen.translator, lambda row: row.case.translator),
            (chosen.files, lambda row: bool(row.case.files)),
            (chosen.danger, lambda row: row.danger),
            (chosen.children, lambda row: row.children),
            (chosen.kind, lambda row: chosen.kind in row.case.known_kinds),
            (chosen.answerable, lambda row: readable_reply_to(row.case) is not None),
            (chosen.common, lambda row: self._common.count(row.case) > 0),
            (place, lambda row: place in row.case.text("where").casefold()),
            (chosen.language, lambda row: self.language(row.case) == chosen.language),
        ]
        return [check for wanted, check in asked if wanted]


def _search_text(case: Case) -> str:
    thread = [text for one in case.thread for text in (one.text, *one.replies.values())]
    notes = [note.text for note in case.notes]
    parts = [case.id, *map(case.text, case.answers), *case.replies.values(), case.translation, *thread, *notes]
    return "\n".join(parts).casefold()


def urgency_key(case: Case) -> SortKey:
    """Return a key that sorts open requests not to pass a tip on first, then danger, children, and the oldest day."""
    return (not open_requests(case), not case.danger, not case.children, case.received.toordinal(), case.id)


def _newest_key(case: Case) -> SortKey:
    return (-case.received.toordinal(), *urgency_key(case))


def _due_key(case: Case) -> SortKey:
    return ((due_day(case) or date.max).toordinal(), *urgency_key(case))


SORT_KEYS: Mapping[str, Callable[[Case], SortKey]] = {"urgent": urgency_key, "newest": _newest_key, "due": _due_key}


def _views(case: Case) -> tuple[str, ...]:
    views = [str(case.state)]
    if case.state is not State.OBJECTIONABLE:
        views.append("all")
    asked_back, asked = bool(open_requests(case)), bool(case.undecided)
    if asked_back or asked or case.unread or case.state in {State.NEW, State.WORK, State.WAITING}:
        views.append("open")
    if asked_back:
        views.append("withdrawn")
    if asked:
        views.append("asked")
    if case.unread:
        views.append("answered")
    return tuple(views)
