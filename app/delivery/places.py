"""The places of decoys, which the envelopes of a tip take: each envelope is inserted after the deletion of one decoy.

So a tip leaves as many rows, and just those free pages, that a decoy leaves which is put after a delivery. With several
agencies, each of them gets as many new envelopes as the tip has: decoys for all but one. So the places show that a tip
came, and not for which agency.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.exc import IntegrityError

from app.core.errors import AlreadySentError
from app.delivery.schema import delete_untried_envelope, insert_envelope, labels, stored_blob
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


class DecoyPlaces(Generic[_Row]):
    """The places that some envelopes take, of decoys of their own agencies.

    `take` chooses so many decoys of an agency, which are listed no longer; `taken` are those, with their agencies.
    `envelopes` are in the order in which their rows are inserted.
    """

    def __init__(self, take: Callable[[str, int], list[TipId]], envelopes: Sequence[_Row]) -> None:
        self.envelopes = envelopes
        self._take, self._wanted = take, Counter(each.agency for each in envelopes)
        self._left: dict[str, list[TipId]] = {agency: [] for agency in self._wanted}
        self.taken: list[tuple[str, TipId]] = []

    def free_one(self, connection: Connection, agency: str) -> None:
        """Delete one decoy of an agency that was never tried, if there is one."""
        left = self._left[agency]
        while True:
            if not left:
                left += self._take(agency, self._wanted[agency])
                self.taken += [(agency, each) for each in left]
            if not left or delete_untried_envelope(connection, left.pop()):
                break
        self._wanted[agency] = max(1, self._wanted[agency] - 1)


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
    except IntegrityError:
        raise AlreadySentError from None


def present_ids(connection: Connection, ids: Sequence[TipId]) -> list[TipId]:
    """Return those of some envelopes that are in the outbox."""
    if not ids:
        return []
    return [TipId(each) for each in connection.execute(_PRESENT, {"ids": list(ids)}).scalars()]
