"""Who has a tip open now, and who changed it since a page was shown: said to everybody else who has the tip open.

Both are in memory alone and no journal has them. A window that no longer asks, whose browser is gone or whose session
was locked, has no tip open. What nobody needs to look at again, such as a reply that reached the site, is no change.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from app.desk.case import Case
from app.desk.journal import DESK, Journal
from app.desk.overdue import boot_seconds

GONE_SECONDS = 90.0  # a browser lets the script of a hidden page run once a minute
_MAX_WINDOWS = 500
_MAX_ENTRIES = 30
_READING = frozenset({"opened", "printed", "exported", "refused", "to-translator", "despite-request", "was-given"})
_QUIET = frozenset({"read-answer", "reply-posted"})


@dataclass
class _OpenWindow:
    tip: str
    handler: str
    is_over: Callable[[], bool]
    seen: float


class Presence:
    """The windows that have a tip open; safe for threads."""

    def __init__(self, *, steady: Callable[[], float] = boot_seconds) -> None:
        self._steady = steady
        self._windows: dict[str, _OpenWindow] = {}
        self._lock = threading.Lock()

    def note(self, tip: str, window: str, handler: str, *, is_over: Callable[[], bool], again: bool = False) -> str:
        """Note that a window has a tip open, and return who else has, as a sentence; "" for nobody.

        `is_over` says whether the session of the window has ended. A window that asks `again` hears of the handler's
        other windows too: when a page is shown, the page before it in the same window has not said yet that it is gone.
        """
        with self._lock:
            self._windows.pop(window, None)
            self._windows[window] = _OpenWindow(tip, handler, is_over, self._steady())
            while len(self._windows) > _MAX_WINDOWS:
                self._windows.pop(next(iter(self._windows)))
            others = [self._windows[name] for name in self._here(tip) if name != window]
        names = dict.fromkeys(one.handler for one in others if one.handler != handler)
        sentences = [f"{name} has this tip open too." for name in names]
        if again and any(one.handler == handler for one in others):
            sentences.append("You have this tip open in another window too.")
        return " ".join(sentences)

    def leave(self, window: str, handler: str) -> None:
        """Note that one of a handler's windows was closed or shows something else."""
        with self._lock:
            if window in self._windows and self._windows[window].handler == handler:
                del self._windows[window]

    def _here(self, tip: str) -> list[str]:
        limit = self._steady() - GONE_SECONDS
        for name in [name for name, one in self._windows.items() if one.seen < limit or one.is_over()]:
            del self._windows[name]
        return [name for name, one in self._windows.items() if one.tip == tip]


def changed_sentence(journal: Journal, case: Case, since: int, handler: str) -> str:
    """Return who changed a case after a page showed its version `since`, as a sentence; "" for nobody."""
    count = case.version - since
    if count <= 0:
        return ""
    entries = [one for one in journal.latest(case.id, _MAX_ENTRIES) if one.did not in _READING][:count]
    told = [one.who for one in entries if one.did not in _QUIET]
    if entries and not told:
        return ""
    if not told or told[0] == DESK:
        return "This tip was changed while you had it open."
    if told[0] == handler:
        return "You changed this tip in another window."
    return f"This tip was changed by {told[0]} while you had it open."
