"""Withdraw a tip by its receipt code: what has not left is destroyed, and decoys take its places in the outbox.

The ids of a tip's envelopes follow from its code, so nothing else is kept of which envelopes belong together. An
envelope whose delivery was tried, or that a forwarder has in hand, counts as left. A code that has nothing here takes
the same work as one whose tip has left. Where a site has several agencies, decoys of the others are replaced with it,
so that no copy of the disk shows for which agency something changed.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from app.core.errors import MemoryStoreError
from app.core.log import log_rarely
from app.delivery.memory_store import memory_key
from app.delivery.outbox import Envelope, Outbox
from app.delivery.schema import cells
from app.vault.part import MAX_PARTS
from app.vault.tip import TipId

_AT_ONCE = 16  # envelopes that are replaced in one transaction, the words among the first
_PAUSE_SECONDS = 0.005  # between two such transactions, in which other threads get the lock of the writers
_MARK = b"haumaru/withdrawn/1"


@dataclass(frozen=True)
class Withdrawal:
    """What was destroyed of a tip: its words, and how many parts; `whole` if it is known that nothing had left."""

    words: bool
    parts: int
    whole: bool


def withdraw(
    outbox: Outbox,
    envelope_id: Callable[[int], TipId],
    make_decoy: Callable[[str], Envelope],
    *,
    agencies: Sequence[str],
    nonce: bytes,
    now: float,
) -> Withdrawal:
    """Destroy what waits of the tip whose ids `envelope_id` makes, each envelope replaced by a decoy of its agency.

    `agencies` are the ids of all that reports can go to. The words are destroyed first. What `nonce`, the form's, has
    destroyed once is said again. Raises OutboxError; then a part of the tip may be destroyed, and the same call
    finishes the work.
    """
    ids = [envelope_id(number) for number in range(MAX_PARTS + 1)]
    waiting = _agencies(outbox)
    found = [(each, waiting[each]) for each in ids if each in waiting]
    mark, words = _MARK + nonce, ids[0]
    rank = _rank(outbox, words, waiting.get(words))
    gone: set[TipId] = set()
    for pairs in _batches(found):
        covers = [(each, other) for other in agencies if other != pairs[0][1] for each in _decoys(outbox, other, pairs)]
        decoys = [(each, make_decoy(agency)) for each, agency in (*pairs, *covers)]
        gone.update(outbox.replace_untried(decoys, mark=memory_key(mark) if pairs[0][0] == words else None, now=now))
    parts = len(gone.intersection(each for each, _ in found) - {words})
    if words not in gone and outbox.was_sent(mark, now):
        return Withdrawal(words=True, parts=parts, whole=False)
    return Withdrawal(words=words in gone, parts=parts, whole=words in gone and parts == rank)


def _batches(found: Sequence[tuple[TipId, str]]) -> Iterator[Sequence[tuple[TipId, str]]]:
    for start in range(0, len(found), _AT_ONCE):
        time.sleep(_PAUSE_SECONDS if start else 0)
        yield found[start : start + _AT_ONCE]


def _decoys(outbox: Outbox, agency: str, pairs: Sequence[object]) -> Sequence[TipId]:
    """Return as many decoys of another agency as there are pairs, which the memory store lists no longer."""
    try:
        return outbox.memory.take_decoys(agency, len(pairs)) if outbox.memory else ()
    except MemoryStoreError as error:
        log_rarely("memory code=%s", error.code)
        return ()


def _agencies(outbox: Outbox) -> Mapping[TipId, str]:
    """Return the agency of every envelope in the outbox: reading all of them takes the same time for every code."""
    with outbox.database.read() as connection:
        return {TipId(row.id): row.agency for row in connection.execute(select(cells.c.id, cells.c.agency))}


def _rank(outbox: Outbox, words: TipId, agency: str | None) -> int | None:
    """Return how many parts a tip has, as far as the memory store knows."""
    try:
        kind = outbox.memory.kinds(agency).get(words) if outbox.memory and agency else None
    except MemoryStoreError as error:
        log_rarely("memory code=%s", error.code)
        return None
    return kind.rank if kind else None
