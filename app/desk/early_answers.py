"""Answers that name a thread which this desk does not have: no handler sees them before the thread's words come.

The envelopes of one window come in any order, so an answer may be here before its tip is. It waits, sealed to the
desk's own key, for at most 30 days (`waiting_envelopes`). Anybody may seal an answer to a code that was never given:
such an answer waits for nothing, takes no row of the queue, and is destroyed and counted. A thread whose tip was
destroyed or locked is known by a hash in the journal: what its sender writes later is still shown.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import date
from hashlib import sha256

from app.core.errors import HaumaruError
from app.desk.case import Case
from app.desk.envelopes import open_envelope
from app.desk.journal import Journal, JournalEntry
from app.desk.store import SealedStore
from app.desk.waiting_envelopes import MAX_WAITING, WaitingEnvelopes
from app.vault.keys import Identity
from app.vault.tip_bundles import Words

EARLY_FOLDER = "answers"
_THREAD = "thread"
_HASH_CHARACTERS = 32  # of a locator's SHA-256 in a file's name: the disk shows no locator


class EarlyAnswers:
    """The answers in one store that wait for the words of their thread; safe for one thread at a time."""

    def __init__(
        self,
        store: SealedStore,
        journal: Journal,
        identities: Sequence[Identity],
        today: Callable[[], date],
        *,
        most: int = MAX_WAITING,
    ) -> None:
        self._journal, self._identities = journal, tuple(identities)
        self._waiting = WaitingEnvelopes(store, EARLY_FOLDER, today, most=most)
        self._ended = {entry.what for entry in journal.entries if entry.what.startswith(f"{_THREAD} ")}
        self._gave_place = 0  # since they were last journaled

    def end_thread(self, case: Case) -> str:
        """Note that the thread of a case ends; return how the journal names the thread, "" where there is none.

        The journal keeps the ids of such cases anyway: whoever has a receipt code could find its tip there by the id.
        """
        if case.reply is None or case.answers_to is not None:
            return ""
        code = f"{_THREAD} {_hash(case.reply.locator)}"
        self._ended.add(code)
        return code

    def is_ended(self, locator: str) -> bool:
        """Return whether the tip of a thread was here, and was destroyed or locked."""
        return f"{_THREAD} {_hash(locator)}" in self._ended

    def add(self, locator: str, envelope: bytes, digest: str) -> None:
        """Let an answer wait; `digest` is the SHA-256 of the envelope that came. Raises RefusedError."""
        self._gave_place += self._waiting.add(_group(locator), envelope, digest)

    def take(self, case: Case, receive: Callable[[Words, bytes, str], None]) -> None:
        """Hand each answer that waits for the thread of a case to `receive`, which keeps it; then it waits no more."""
        if case.reply is None or case.answers_to is not None:
            return
        for name in self._waiting.of(_group(case.reply.locator)):
            envelope = self._waiting.read(name)
            words = self._open(envelope)
            if words is not None:
                receive(words, envelope, self._waiting.digest(name) or sha256(envelope).hexdigest())
            self._waiting.delete([name])

    def overdue(self) -> list[str]:
        """Return the names of the answers whose words have not come for 30 days."""
        return self._waiting.overdue()

    def destroy(self, names: Collection[str], *, by: str) -> None:
        """Destroy those of the named answers that still wait; `by` journals how many were lost, and nothing else.

        Raises RefusedError.
        """
        here = self._waiting.waiting(names)
        lost, self._gave_place = len(here) + self._gave_place, 0
        if lost:
            self._journal.write(JournalEntry(by, "answers-destroyed", "", str(lost)))
            self._waiting.delete(here)

    def _open(self, envelope: bytes) -> Words | None:
        try:
            opened = open_envelope(envelope, self._identities)
        except HaumaruError:
            return None
        return opened if isinstance(opened, Words) else None


def _hash(locator: str) -> str:
    return sha256(locator.encode()).hexdigest()


def _group(locator: str) -> str:
    return _hash(locator)[:_HASH_CHARACTERS]
