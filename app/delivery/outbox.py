"""The outbox: envelopes that are on the disk before anybody is told so, until the forwarder has settled them.

A tip's envelopes go in together, in one durable transaction, and take the places of decoys that were never tried; a
decoy goes in by the same transaction. Which rows are decoys is only in the memory store. Without a memory store (at the
desk), or while it is away, tips are taken all the same: then no decoy gives its place, and a form may be sent twice.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from app.core.errors import AlreadySentError, MemoryStoreError
from app.delivery.clock import nz_day
from app.delivery.database import Database
from app.delivery.memory_store import MemoryStore, memory_key
from app.delivery.schema import (
    cells,
    delete_envelope,
    delete_expired,
    delete_untried_envelope,
    insert_envelope,
    labels,
)
from app.vault.tip import TipId

PAGES_PER_TIDY = 64  # of 8 KiB: more than the two copies of one envelope take

_T = TypeVar("_T")
_log = logging.getLogger("haumaru.outbox")


@dataclass(frozen=True)
class Envelope:
    """Sealed bytes, their id, which every other part uses too, and the agency that receives them."""

    id: TipId
    agency: str
    data: bytes


class Outbox:
    """The outbox of one database; call `prepare` before use, to learn at once of a fault."""

    def __init__(self, url: str, memory: MemoryStore | None = None) -> None:
        self.database = Database(url)
        self.memory = memory
        self._tidied = nz_day(0)  # the day on which this process last deleted expired rows

    def prepare(self) -> None:
        """Create the missing parts of the database; raises OutboxError."""
        self.database.prepare()

    def put(
        self,
        envelopes: Sequence[Envelope],
        *,
        nonce: bytes | None = None,
        draft: bytes | None = None,
        now: float | None = None,
    ) -> None:
        """Put the envelopes of one tip into the outbox, its words first; a return means that all are on the disk.

        `nonce` is the form's, `draft` the held tip's: either is sent once. Raises AlreadySentError if one of the two,
        or one of the ids, was put before, by an attempt that was killed too, and OutboxError if nothing was stored.
        """
        now = time.time() if now is None else now
        keys = [memory_key(secret) for secret in (nonce, draft) if secret is not None]
        words, *parts = envelopes
        taken: list[TipId] = []
        kept = taken
        try:
            with self.database.write() as connection:
                self._use_forms(connection, keys, words.id, now)
                self._insert_in_place(connection, envelopes, taken)
                still_there = _present(connection, taken)
            kept = still_there
        finally:
            self._list_decoys(words.agency, kept)
        for key in keys:
            self._remember(lambda memory: memory.mark_sent(key, now), None)  # noqa: B023  # called at once
        self._remember(lambda memory: memory.note_tip(words.agency, words.id, [part.id for part in parts]), None)

    def use_up(self, words_id: TipId, *, draft: bytes, now: float) -> None:
        """Use up the draft of a held tip without sending the tip, whose words are `words_id`: no `put` takes it then.

        Raises AlreadySentError if the tip was put before, and OutboxError.
        """
        key = memory_key(draft)
        with self.database.write() as connection:
            self._use_forms(connection, [key], words_id, now)
            self._remember(lambda memory: memory.mark_sent(key, now), None)

    def put_decoy(self, decoy: Envelope) -> None:
        """Put a decoy into the outbox as a tip of one envelope goes in; raises OutboxError."""
        with self.database.write() as connection:
            _insert(connection, decoy)
        self._list_decoys(decoy.agency, [decoy.id])

    def settle(self, envelope_id: TipId, *, decoy: Envelope | None = None) -> None:
        """Delete an envelope that its agency has; a decoy may take its place in the same transaction.

        Settling an envelope twice is no error. Raises OutboxError.
        """
        self._remember(lambda memory: memory.forget([envelope_id]), None)
        with self.database.write() as connection:
            delete_envelope(connection, envelope_id)
            if decoy is not None:
                _insert(connection, decoy)
        if decoy is not None:
            self._list_decoys(decoy.agency, [decoy.id])

    def tidy(self, now: float, *, pages: int = PAGES_PER_TIDY) -> None:
        """Do after a delivery what takes little time: delete expired rows once a day, give back a few free pages.

        Sets the times of SQLite's files to the day. Raises OutboxError.
        """
        today = nz_day(now)
        if self._tidied != today:
            with self.database.write() as connection:
                delete_expired(connection, now)
            self._tidied = today
        self.database.compact(now, pages=pages)

    def forget_absent(self, agency: str) -> None:
        """Let the memory store forget the agency's envelopes that are no longer in the outbox; raises OutboxError."""
        # Read before the rows are: an id is listed or noted only after the commit of its row.
        known: set[TipId] = self._remember(lambda memory: set(memory.kinds(agency)), set())
        with self.database.read() as connection:
            present = set(connection.execute(select(cells.c.id).where(cells.c.agency == agency)).scalars())
        self._remember(lambda memory: memory.forget(known - present), None)

    def _use_forms(self, connection: Connection, keys: Sequence[bytes], words_id: TipId, now: float) -> None:
        """Use up a form's keys, once; raises AlreadySentError.

        The lock excludes an attempt that goes on at the same time: an earlier attempt has put its tip, or never will.
        """
        for key in keys:
            self.database.lock_exclusive(connection, int.from_bytes(key[:8], "big", signed=True))
            earlier = self._remember(lambda memory: memory.use_form(key, words_id, now), None)  # noqa: B023
            if earlier is not None and _present(connection, [earlier]):
                self._remember(lambda memory: memory.mark_sent(key, now), None)  # noqa: B023
                raise AlreadySentError

    def _insert_in_place(self, connection: Connection, envelopes: Sequence[Envelope], taken: list[TipId]) -> None:
        """Insert envelopes, each after the deletion of one decoy as far as there are any; add to `taken` those tried.

        One after the other, so that each envelope takes just those pages that one decoy leaves free, as a decoy does
        that is put after a delivery. Raises AlreadySentError if an id is there already.
        """
        left: list[TipId] = []
        for number, envelope in enumerate(envelopes):
            while True:
                if not left:
                    agency, missing = envelope.agency, len(envelopes) - number
                    left = self._remember(lambda memory: memory.take_decoys(agency, missing), [])  # noqa: B023
                    taken += left
                if not left or delete_untried_envelope(connection, left.pop()):
                    break
            _insert(connection, envelope)

    def _list_decoys(self, agency: str, ids: Iterable[TipId]) -> None:
        for each in ids:
            self._remember(lambda memory: memory.list_decoy(agency, each), None)  # noqa: B023

    def _remember(self, ask: Callable[[MemoryStore], _T], otherwise: _T) -> _T:
        """Return the answer of the memory store, or `otherwise` where there is none: nothing durable depends on it."""
        if self.memory is None:
            return otherwise
        try:
            return ask(self.memory)
        except MemoryStoreError as error:
            _log.warning("memory code=%s", error.code)
            return otherwise


def _insert(connection: Connection, envelope: Envelope) -> None:
    """Insert an envelope; raises AlreadySentError if its id is there already."""
    try:
        insert_envelope(connection, envelope.id, envelope.agency, envelope.data)
    except IntegrityError:
        raise AlreadySentError from None


def _present(connection: Connection, ids: Sequence[TipId]) -> list[TipId]:
    """Return those of some envelopes that are in the outbox."""
    found = select(labels.c.id).where(labels.c.id.in_(ids))
    return [TipId(each) for each in connection.execute(found).scalars()]
