"""The places of decoys, which the envelopes of a tip take: each envelope is inserted after the deletion of one decoy.

So a tip leaves as many rows, and just those free pages, that a decoy leaves which is put after a delivery. With several
agencies, each of them gets as many new envelopes as the tip has: decoys for all but one. So the places show that a tip
came, and not for which agency.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection, bindparam, select

from app.core.errors import AlreadySentError
from app.delivery.schema import KEY_ERRORS, delete_untried_envelope, insert_envelope, labels, stored_blob
from app.vault.tip import TipId

_PRESENT = select(labels.c.id).where(labels.c.id.in_(bindparam("ids", expanding=True)))


class _EnvelopeRow(Protocol):
    """What a row needs of an envelope."""

    @property
    def id(self) -> TipId:
        """Its id."""

    @property
    def agency(self) -> str:
        """The agency that receives it."""

    @property
    def data(self) -> bytes:
        """Its sealed bytes."""


_Row = TypeVar("_Row", bound=_EnvelopeRow)


@dataclass(frozen=True)
class DecoyPlaces(Generic[_Row]):
    """The places that some envelopes take, of decoys of their own agencies.

    `envelopes` are in the order in which their rows are inserted. `take` chooses so many decoys of an agency, which are
    listed no longer; `taken` are those, with their agencies. Of these, `left` wait to be deleted, and `freed` are.
    """

    take: Callable[[str, int], list[TipId]]
    envelopes: Sequence[_Row]
    taken: list[tuple[str, TipId]] = field(default_factory=list)
    left: dict[str, list[TipId]] = field(default_factory=dict)
    freed: set[TipId] = field(default_factory=set)

    def take_enough(self) -> None:
        """Take a decoy for each envelope, if there are so many; to be called while others can write."""
        for agency, wanted in Counter(each.agency for each in self.envelopes).items():
            self.left[agency] = self._take_some(agency, wanted)

    def for_one_run(self) -> "DecoyPlaces[_Row]":
        """Return the places as one run of a write finds them: a further run, after that was undone, finds the same."""
        return replace(self, left={agency: [*ids] for agency, ids in self.left.items()}, freed={*self.freed})

    def free_one(self, connection: Connection, agency: str) -> None:
        """Delete one decoy of an agency that was never tried, if there is one."""
        left = self.left[agency]
        while left:
            decoy = left.pop()
            if delete_untried_envelope(connection, decoy):
                self.freed.add(decoy)
                break
            left += self._take_some(agency, 1)  # in place of one that was tried, or has left, since it was listed

    def still_there(self, connection: Connection) -> list[tuple[str, TipId]]:
        """Return the decoys that were taken and are in the outbox still."""
        kept = [(agency, each) for agency, each in self.taken if each not in self.freed]
        there = set(present_ids(connection, [each for _, each in kept]))
        return [(agency, each) for agency, each in kept if each in there]

    def _take_some(self, agency: str, number: int) -> list[TipId]:
        found = self.take(agency, number)
        self.taken.extend((agency, each) for each in found)
        return found


def insert_all(
    connection: Connection,
    envelopes: Sequence[_Row],
    places: DecoyPlaces[_Row] | None = None,
    *,
    stored: Mapping[TipId, bytes] = MappingProxyType({}),
) -> None:
    """Insert envelopes, each after the deletion of one decoy; raises AlreadySentError if an id is there already.

    `stored` are those stored values of their bytes that were made before, while others could write.

    One after the other, so that each envelope takes just those pages that one decoy leaves free, as a decoy does that
    is put after a delivery.
    """
    for each in envelopes:
        if places is not None:
            places.free_one(connection, each.agency)
        with ids_put_once():
            insert_envelope(connection, each.id, each.agency, stored.get(each.id) or stored_blob(each.data))


@contextmanager
def ids_put_once() -> Iterator[None]:
    """Raise AlreadySentError where an id is there already."""
    try:
        yield
    except KEY_ERRORS:
        raise AlreadySentError from None


def present_ids(connection: Connection, ids: Sequence[TipId]) -> list[TipId]:
    """Return those of some envelopes that are in the outbox."""
    if not ids:
        return []
    return [TipId(each) for each in connection.execute(_PRESENT, {"ids": list(ids)}).scalars()]
