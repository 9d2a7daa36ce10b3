"""The room for the words of tips that wait, and the tips of one process on their way into that room.

What one tip finds waiting and what the memory store is told afterwards are one step: between them the tip counts here.
So a burst is let in up to the room for words exactly, and no tip waits for the disk of another.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from app.core.errors import WordsFullError


class ComingWords:
    """The tips of one process between the question whether there is room and the note that they wait."""

    def __init__(self) -> None:
        self._lock, self._coming = Lock(), 0

    @contextmanager
    def place(self) -> Iterator["ComingPlace"]:
        """Return the place of one tip, which counts from the place's `take` until the place's `settle` or the end."""
        place = ComingPlace(self)
        try:
            yield place
        finally:
            place.settle(lambda: None)

    def change(self, by: int, ask: Callable[[int], None]) -> None:
        """Call `ask` with the number that is coming, and change that number; a call that raises changes nothing."""
        with self._lock:
            ask(self._coming)
            self._coming += by


class ComingPlace:
    """One tip in the count."""

    def __init__(self, words: ComingWords) -> None:
        self._words, self._taken = words, 0

    def take(self, require_room: Callable[[int], None]) -> None:
        """Count the tip unless `require_room`, called with the number of other tips that are coming, raises."""
        if not self._taken:
            self._words.change(1, require_room)
            self._taken = 1

    def settle(self, note: Callable[[], None]) -> None:
        """Call `note`, which tells the memory store of the tip, and count the tip no longer."""
        taken, self._taken = self._taken, 0
        self._words.change(-taken, lambda _coming: note())


def require_room(words: int, held: int, most_waiting: int, *, to_hold: bool) -> None:
    """Raise WordsFullError if so many words wait, or will once all held tips are sent; `to_hold` for a tip to hold.

    Held tips, of which some are never sent, take at most half of the room.
    """
    most_held = most_waiting // 2
    if words + min(held, most_held) >= most_waiting or (to_hold and held >= most_held):
        raise WordsFullError
