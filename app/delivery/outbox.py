"""The outbox: envelopes that are on the disk before anybody is told so, until the forwarder has settled them.

A tip's envelopes go in together, in one durable transaction, and take the places of decoys that were never tried; a
decoy goes in by the same transaction. Where there are several agencies, as many new decoys go in for each of the
others, so that copies of the disk do not show to which agency a tip goes. Which rows are decoys is only in the memory
store. Without a memory store (at the desk), or while it is away, tips are taken all the same: then no decoy gives its
place, and a form may be sent twice.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, select

from app.core.errors import AlreadySentError, HaumaruError, MemoryStoreError, OutboxError
from app.core.log import log_rarely
from app.delivery.clock import QUARTER_HOUR_SECONDS, nz_day, nz_day_end
from app.delivery.database import Database
from app.delivery.memory_store import MemoryStore, answer_keys, memory_key
from app.delivery.places import DecoyPlaces, ids_put_once, insert_all, present_ids
from app.delivery.schema import (
    blob_id,
    cells,
    count_staged,
    delete_envelope,
    delete_expired,
    delete_slots,
    delete_untried_envelope,
    insert_rows,
    slots_without_row,
    stage_bytes,
    stored_blob,
)
from app.delivery.words_room import ComingPlace, ComingWords, require_room
from app.vault.tip import MAX_NUMBER, TipId

PAGES_PER_TIDY = 64  # of 8 KiB: more than the two copies of one envelope take
# Envelopes of one transaction, some 10 ms; the bytes of more are staged on SQLite, where one writes alone.
_AT_ONCE = 16
_PAUSE_SECONDS = 0.005  # between two such transactions, in which other threads get the lock of the writers

_T = TypeVar("_T")


@dataclass(frozen=True)
class Envelope:
    """Sealed bytes, their id, which every other part uses too, and the agency that receives them."""

    id: TipId
    agency: str
    data: bytes


@dataclass(frozen=True)
class _Put:
    """One tip to be put: the places of its envelopes, the id of its words, and the keys of its form.

    `room` is its place among the tips that are coming, with how many words may wait.
    """

    places: DecoyPlaces[Envelope]
    words_id: TipId
    keys: Sequence[bytes]
    now: float
    room: tuple[ComingPlace, int] | None


class Outbox:
    """The outbox of one database; call `prepare` before use, to learn at once of a fault."""

    def __init__(self, url: str, memory: MemoryStore | None = None) -> None:
        self.database = Database(url)
        self.memory = memory
        self._tidied = 0  # the quarter-hour in which this process last deleted rows and bytes that are over
        self._without_row: set[int] = set()  # slots of bytes that had no row then
        self._tidying = threading.Lock()
        self._coming = ComingWords()
        self._staging = threading.Lock()  # one tip of many parts at a time, so that words wait for few parts

    def prepare(self) -> None:
        """Create the missing parts of the database; raises OutboxError."""
        self.database.prepare()

    def put(
        self,
        envelopes: Sequence[Envelope],
        *,
        covers: Sequence[Envelope] = (),
        nonce: bytes | None = None,
        draft: bytes | None = None,
        now: float | None = None,
        most_waiting: int | None = None,
        also: bytes | None = None,
    ) -> None:
        """Put the envelopes of one tip into the outbox, its words first; a return means that all are on the disk.

        At the desk, which has no memory store, they may be those of several referrals. `covers` are decoys for other
        agencies, as many for each as the tip has envelopes.

        `nonce` is the form's, `draft` the held tip's: either is sent once; `also` is noted with them. Raises
        AlreadySentError if one of these, or one of the ids, was put before, by an attempt that was killed too,
        WordsFullError if `most_waiting` words of tips wait already, and OutboxError if nothing was stored.
        """
        now = time.time() if now is None else now
        words, *parts = envelopes
        keys = [memory_key(secret) for secret in (nonce, draft, also) if secret is not None]
        places = DecoyPlaces(self._take_decoys, _in_turn(envelopes, covers))
        kept = places.taken
        # What one tip finds waiting must not change before the tip itself is noted as waiting.
        with self._coming.place() as place:
            try:
                places.take_enough()
                room = None if most_waiting is None else (place, most_waiting)
                kept = self._put(_Put(places, words.id, keys, now, room))
            finally:
                for agency, each in kept:
                    self._list_decoy(agency, each)
            if keys:
                self._remember(lambda memory: memory.mark_sent(keys, now), None)
            part_ids = [part.id for part in parts]
            place.settle(lambda: self._remember(lambda memory: memory.note_tip(words.agency, words.id, part_ids), None))
        for cover in covers:
            self._list_decoy(cover.agency, cover.id)

    def number_answer(self, locator: str, nonce: bytes, now: float) -> int:
        """Return the place of a form's answer among the answers of the day of `now` under a locator, 1 for the first.

        The answer keeps its place where `put` fails and the form is sent again. 0 where the memory store cannot say.
        """
        thread, form = answer_keys(locator, nz_day(now), nonce)
        ends = nz_day_end(now)
        return self._remember(lambda memory: min(memory.number_answer(thread, form, ends=ends, now=now), MAX_NUMBER), 0)

    def was_sent(self, nonce: bytes, now: float) -> bool:
        """Return whether a form was sent, as far as the memory store knows."""
        return self._remember(lambda memory: memory.was_sent(memory_key(nonce), now), otherwise=False)

    def require_room(self, most_waiting: int, *, now: float, to_hold: bool = False, coming: int = 0) -> None:
        """Raise WordsFullError if so many words wait, or will once all held tips are sent; `to_hold` for a tip to hold.

        `coming` are words that the memory store does not know yet.

        The words for all agencies count together: nobody can learn, by filling the room of one, to which a tip goes.
        Held tips, of which some are never sent, take at most half of the room. Parts, decoys, and envelopes that the
        memory store does not know take none.
        """
        words = self._remember(lambda memory: memory.count_words() + coming, 0)
        held = self._remember(lambda memory: memory.count_held(now), 0)
        require_room(words, held, most_waiting, to_hold=to_hold)

    def use_up(self, words_id: TipId, memory: MemoryStore, *, draft: bytes, mark: bytes, now: float) -> None:
        """Use up the draft of a held tip without sending the tip, whose words are `words_id`: no `put` takes it then.

        `mark` is the key that says so, and is marked in the same step: no draft only looks sent. Raises
        AlreadySentError if the tip was put before, and OutboxError.
        """
        key = memory_key(draft)
        with self.database.write() as connection:
            self._use_forms(connection, [key], words_id, now)
            memory.mark_sent([mark, key], now)

    def put_decoy(self, decoy: Envelope) -> None:
        """Put a decoy into the outbox as a tip of one envelope goes in; raises OutboxError."""
        with self.database.write() as connection:
            insert_all(connection, [decoy])
        self._list_decoy(decoy.agency, decoy.id)

    def settle(self, envelope_id: TipId, *, decoy: Envelope | None = None) -> None:
        """Delete an envelope that its agency has; a decoy may take its place in the same transaction.

        Settling an envelope twice is no error. Raises OutboxError.
        """
        self._remember(lambda memory: memory.forget([envelope_id]), None)
        with self.database.write() as connection:
            delete_envelope(connection, envelope_id)
            if decoy is not None:
                insert_all(connection, [decoy])
        if decoy is not None:
            self._list_decoy(decoy.agency, decoy.id)

    def replace_untried(
        self, pairs: Sequence[tuple[TipId, Envelope]], *, mark: bytes | None = None, now: float
    ) -> list[TipId]:
        """Destroy those of some envelopes that were never tried, a decoy in the place of each; return their ids.

        One durable transaction. `mark` is a key that counts as sent if the first one is destroyed. Raises OutboxError.
        """
        replaced: list[tuple[TipId, Envelope]] = []
        with self.database.write() as connection:
            for each, decoy in pairs:
                if delete_untried_envelope(connection, each):
                    insert_all(connection, [decoy])
                    replaced.append((each, decoy))
            if mark and replaced[:1] == pairs[:1]:  # before the commit: whoever finds it destroyed finds the mark
                self._remember(lambda memory: memory.mark_sent([mark], now), None)
        gone = [each for each, _ in replaced]
        self._remember(lambda memory: memory.forget(gone), None)
        for _, decoy in replaced:
            self._list_decoy(decoy.agency, decoy.id)
        return gone

    def tidy(self, now: float, *, pages: int = PAGES_PER_TIDY) -> None:
        """Do after a delivery what takes little time: give back a few free pages, empty the log, date SQLite's files.

        Once in a quarter-hour, delete expired rows and bytes that a killed process has left. Raises OutboxError.
        """
        quarter = int(now) // QUARTER_HOUR_SECONDS
        with self._tidying:
            if self._tidied != quarter:
                with self.database.write() as connection:
                    delete_expired(connection, now)
                self._drop_left_over()
                self._remember(lambda memory: memory.forget_ended(now), None)
                self._tidied = quarter
        self.database.compact(now, pages=pages)

    def present(self, ids: Sequence[TipId]) -> list[TipId]:
        """Return those of some ids whose envelopes are in the outbox; raises OutboxError."""
        with self.database.read() as connection:
            return present_ids(connection, ids)

    def forget_absent(self, agency: str) -> None:
        """Let the memory store forget the agency's envelopes that are no longer in the outbox; raises OutboxError."""
        # Read before the rows are: an id is listed or noted only after the commit of its row.
        known: set[TipId] = self._remember(lambda memory: set(memory.kinds(agency)), set())
        with self.database.read() as connection:
            present = set(connection.execute(select(cells.c.id).where(cells.c.agency == agency)).scalars())
        self._remember(lambda memory: memory.forget(known - present), None)

    def _put(self, put: _Put) -> list[tuple[str, TipId]]:
        """Commit envelopes in one transaction; return the decoys that were taken and are still there.

        The bytes of many parts are staged before, in short transactions between which others may write. Bytes without a
        row are nothing: nobody delivers them, and a later tidying deletes those of a killed process.
        """
        envelopes = put.places.envelopes
        staged = envelopes[_AT_ONCE:] if self.database.path else []
        at_once = envelopes[: len(envelopes) - len(staged)]
        try:
            with self._staging if staged else nullcontext():
                for first in range(0, len(staged), _AT_ONCE):
                    self._stage(staged[first : first + _AT_ONCE], put.places)
                    time.sleep(_PAUSE_SECONDS)
            stored = {each.id: stored_blob(each.data) for each in at_once[:_AT_ONCE]}
            return self.database.write_with_others(partial(self._insert, put, at_once, staged, stored))
        except HaumaruError:
            self._drop_staged(staged)
            raise

    def _insert(
        self,
        put: _Put,
        at_once: Sequence[Envelope],
        staged: Sequence[Envelope],
        stored: Mapping[TipId, bytes],
        connection: Connection,
    ) -> list[tuple[str, TipId]]:
        """Insert envelopes, those of which the bytes are staged last, and return what `_put` returns."""
        places = put.places.for_one_run()
        self._use_forms(connection, put.keys, put.words_id, put.now)
        if put.room is not None:
            place, most = put.room
            place.take(lambda coming: self.require_room(most, now=put.now, coming=coming))
        if count_staged(connection, [each.id for each in staged]) != 2 * len(staged):
            raise OutboxError("busy")  # another attempt at the same tip failed and took its bytes away
        insert_all(connection, at_once, places, stored=stored)
        if staged:
            with ids_put_once():
                insert_rows(connection, [(each.id, each.agency) for each in staged])
        return places.still_there(connection)

    def _stage(self, envelopes: Sequence[Envelope], places: DecoyPlaces[Envelope]) -> None:
        with self.database.write() as connection:
            if present_ids(connection, [each.id for each in envelopes]):
                raise AlreadySentError
            for each in envelopes:
                places.free_one(connection, each.agency)
                stage_bytes(connection, each.id, each.data)

    def _drop_staged(self, staged: Sequence[Envelope]) -> None:
        if not staged:
            return
        with suppress(OutboxError), self.database.write() as connection:
            there = set(present_ids(connection, [each.id for each in staged]))
            delete_slots(connection, [blob_id(each.id.encode()) for each in staged if each.id not in there])

    def _drop_left_over(self) -> None:
        """Delete bytes that had no row a quarter-hour ago and have none now: a killed process staged them.

        A process that still stages them would find them missing, and put nothing.
        """
        if self.database.path is None:
            return
        with self.database.read() as connection:
            without_row = slots_without_row(connection)
        left_over, self._without_row = without_row & self._without_row, without_row
        if left_over:
            with self.database.write() as connection:
                delete_slots(connection, slots_without_row(connection) & left_over)

    def _use_forms(self, connection: Connection, keys: Sequence[bytes], words_id: TipId, now: float) -> None:
        """Use up a form's keys, once; raises AlreadySentError.

        The lock excludes an attempt that goes on at the same time: an earlier attempt has put its tip, or never will.
        """
        for key in keys:
            self.database.lock_exclusive(connection, int.from_bytes(key[:8], "big", signed=True))
        if not keys:
            return
        none: Mapping[bytes, TipId] = {}
        earlier = self._remember(lambda memory: memory.use_forms(keys, words_id, now), none)
        if present_ids(connection, [*earlier.values()]):
            # That tip may be of this very transaction, and not durable yet: the forms stay unsent, as its attempt.
            for key, tip in earlier.items():
                self._remember(lambda memory: memory.use_forms([key], tip, now), none)  # noqa: B023  # called at once
            raise AlreadySentError

    def _take_decoys(self, agency: str, number: int) -> list[TipId]:
        return self._remember(lambda memory: memory.take_decoys(agency, number), [])

    def _list_decoy(self, agency: str, decoy: TipId) -> None:
        self._remember(lambda memory: memory.list_decoy(agency, decoy), None)

    def _remember(self, ask: Callable[[MemoryStore], _T], otherwise: _T) -> _T:
        """Return the answer of the memory store, or `otherwise` where there is none: nothing durable depends on it."""
        if self.memory is None:
            return otherwise
        try:
            return ask(self.memory)
        except MemoryStoreError as error:
            log_rarely("memory code=%s", error.code)
            return otherwise


def _in_turn(envelopes: Sequence[Envelope], covers: Sequence[Envelope]) -> Sequence[Envelope]:
    """Return envelopes in the order of their rows: of each agency one in turn, which does not say whose the tip is."""
    if not covers:
        return envelopes
    by_agency: dict[str, list[Envelope]] = {}
    for each in (*envelopes, *covers):
        by_agency.setdefault(each.agency, []).append(each)
    turns = zip(*(by_agency[agency] for agency in sorted(by_agency)), strict=True)
    return [each for turn in turns for each in turn]
