"""The queue: which tips to show, in which order, and how many of each there are; all from memory.

Danger and children come first, then the oldest day. What is locked as objectionable is listed by its id alone and
found by no search. An answer that belongs to a thread is no row of its own.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.desk.case import Case, State
from app.desk.cases import Cases
from app.desk.similarity import similar_groups

PAGE = 50
VIEWS = ("open", "new", "work", "waiting", "answered", "referred", "closed", "objectionable")


@dataclass(frozen=True)
class QueueFilter:
    """What a handler asked to see; empty means any."""

    view: str = "open"
    danger: bool = False
    children: bool = False
    kind: str = ""
    place: str = ""
    words: str = ""
    mine: bool = False
    translator: bool = False
    page: int = 1


@dataclass(frozen=True)
class QueuePage:
    """One page of the queue, how many tips fit in all, and how many each view holds."""

    rows: tuple[Case, ...]
    total: int
    pages: int
    counts: Counter[str]
    groups: dict[str, frozenset[str]]
    place: int


class Queue:
    """The queue over all tips; what is worked out from all of them is kept until one changes."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases
        self._lock = threading.Lock()
        self._at = -1
        self._order: tuple[Case, ...] = ()
        self._counts: Counter[str] = Counter()
        self._folded: dict[str, tuple[int, str]] = {}
        self._groups: dict[str, frozenset[str]] = {}
        self._sketched: dict[str, tuple[int, ...]] = {}

    def show(self, wanted: QueueFilter, who: str) -> QueuePage:
        """The page of tips that a handler asked for."""
        order = self.order()
        rows = [case for case in order if self._matches(case, wanted, who)]
        pages = max(1, -(-len(rows) // PAGE))
        page = min(max(1, wanted.page), pages)
        return QueuePage(
            tuple(rows[(page - 1) * PAGE : page * PAGE]), len(rows), pages, self._counts, self._groups, page
        )

    def order(self) -> tuple[Case, ...]:
        """Every row, the most urgent first."""
        with self._lock:
            if self._at != self._cases.changes:
                self._at = self._cases.changes
                rows = self._rows()
                self._order = tuple(sorted(rows, key=urgency_key))
                self._counts = Counter(view for case in rows for view in _views(case))
                self._regroup(rows)
            return self._order

    def show_group(self, case: Case) -> tuple[Case, ...]:
        """The other open tips that say much the same, the most urgent first."""
        order = self.order()
        group = self._groups.get(case.id, frozenset())
        return tuple(one for one in order if one.id in group and one.id != case.id)

    def next_after(self, case: Case) -> Case | None:
        """The tip to open when one is done: the first that is new."""
        return next((one for one in self.order() if one.state is State.NEW and one.id != case.id), None)

    def _rows(self) -> list[Case]:
        every = self._cases.all()
        threads = {case.reply.locator for case in every if case.reply and case.answers_to is None}
        return [case for case in every if case.answers_to is None or case.answers_to not in threads]

    def _regroup(self, rows: Sequence[Case]) -> None:
        sketched: dict[str, tuple[int, ...]] = {case.id: case.sketch for case in rows if case.open and case.sketch}
        if sketched.keys() != self._sketched.keys():
            self._sketched, self._groups = sketched, similar_groups(sketched)

    def _matches(self, case: Case, wanted: QueueFilter, who: str) -> bool:
        if wanted.view not in _views(case):
            return False
        if case.state is State.OBJECTIONABLE:
            return not (wanted.words or wanted.place or wanted.kind or wanted.danger or wanted.children)
        plain = (
            (wanted.danger and not case.danger)
            or (wanted.children and not case.children)
            or (wanted.kind and wanted.kind not in case.kinds)
            or (wanted.mine and case.holder != who)
            or (wanted.translator and not case.translator)
        )
        return not plain and self._matches_text(case, wanted)

    def _matches_text(self, case: Case, wanted: QueueFilter) -> bool:
        if wanted.place and wanted.place.casefold() not in case.text("where").casefold():
            return False
        folded = self._search_text(case) if wanted.words else ""
        return all(word in folded for word in wanted.words.casefold().split())

    def _search_text(self, case: Case) -> str:
        version, folded = self._folded.get(case.id, (-1, ""))
        if version != case.version:
            thread = [message.text for message in case.thread]
            notes = [note.text for note in case.notes]
            words = [case.id, *map(case.text, case.answers), case.translation, *thread, *notes]
            folded = "\n".join(words).casefold()
            self._folded[case.id] = (case.version, folded)
        return folded


def urgency_key(case: Case) -> tuple[bool, bool, int, str]:
    """Sorts danger first, then children, then the oldest day."""
    return (not case.danger, not case.children, case.received.toordinal(), case.id)


def _views(case: Case) -> tuple[str, ...]:
    """The views in which a tip is listed."""
    views = [str(case.state)]
    if case.state in {State.NEW, State.WORK, State.WAITING}:
        views.append("open")
    if case.unread:
        views.append("answered")
    return tuple(views)
