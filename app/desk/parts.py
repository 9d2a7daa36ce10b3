"""The parts of tips' files at the desk: those that a tip's words prove, and those that nothing proves yet.

A proven part is kept with its case, sealed to the desk's own key. Any other part waits, since words and parts come in
any order: when its words come it is proven, and after 30 days it may be destroyed (`waiting_envelopes`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from app.core.errors import HaumaruError
from app.desk.case import Case
from app.desk.envelopes import open_envelope
from app.desk.errors import RefusedError
from app.desk.store import SealedStore
from app.desk.waiting_envelopes import MAX_WAITING, WaitingEnvelopes
from app.vault.keys import Identity
from app.vault.part import Part

_PROVEN, _WAITING = "parts", "waiting"


class PartStore:
    """The parts in one store, found by their files' names: `<case>.<number>.age`, `<day>.<tip>.<hash>.age`."""

    def __init__(
        self,
        store: SealedStore,
        identities: Sequence[Identity],
        today: Callable[[], date],
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._store, self._identities = store, tuple(identities)
        self._waiting = WaitingEnvelopes(store, _WAITING, today, most=max_waiting)
        self._proven: dict[str, set[int]] = defaultdict(set)  # by case
        for name in store.list_names(_PROVEN):
            case_id, number, _ = name.split(".")
            self._proven[case_id].add(int(number))

    def count(self, case: Case) -> int:
        """Return how many of a case's parts are here."""
        return len(self._proven[case.id]) if case.id in self._proven else 0

    def missing(self, case: Case) -> list[int]:
        """Return the numbers of a case's parts that are not here, counted from 1."""
        here = self._proven.get(case.id, set())
        return [number for number in range(1, case.part_count + 1) if number not in here]

    def is_complete(self, case: Case) -> bool:
        """Return whether all parts of a case's files are here."""
        return self.count(case) == case.part_count

    def names(self, case: Case) -> list[str]:
        """Return the names in the store of a case's parts that are here."""
        return [_proven_name(case, number) for number in sorted(self._proven.get(case.id, ()))]

    def receive(self, part: Part, envelope: bytes, digest: str, cases: Iterable[Case]) -> Case | None:
        """Keep the envelope of a part: with the case that proves the part, otherwise to wait; return that case.

        `digest` is the SHA-256 of the envelope that came.

        A part that is here already is not kept twice. Raises RefusedError for a fault of the disk.
        """
        case = next((one for one in cases if one.proves(part)), None)
        if case is None:
            self._waiting.add(part.tip, envelope, digest)
        elif part.number not in self._proven[case.id]:
            self._store.put_sealed(_proven_name(case, part.number), envelope)
            self._proven[case.id].add(part.number)
        return case

    def prove_waiting(self, case: Case) -> int:
        """Move to a new case those waiting parts that it proves, and return how many; raises RefusedError."""
        found = 0
        for name in self._waiting.of(case.tip_id):
            part = self._open(f"{_WAITING}/{name}")
            if part is None or not case.proves(part):
                continue
            self._waiting.move(name, _proven_name(case, part.number))
            self._proven[case.id].add(part.number)
            found += 1
        return found

    def read(self, case: Case) -> list[Part]:
        """Return the parts of a case; raises RefusedError `store-damaged` for one that does not open."""
        parts = [self._open(_proven_name(case, number)) for number in sorted(self._proven[case.id])]
        if any(part is None for part in parts):
            raise RefusedError("store-damaged")
        return [part for part in parts if part is not None]

    def delete(self, case: Case) -> None:
        """Destroy the parts of a case for good; raises RefusedError."""
        self._store.delete([_proven_name(case, number) for number in self._proven.pop(case.id, set())])

    def overdue(self) -> list[str]:
        """Return the names of the parts that nothing has proven for 30 days."""
        return self._waiting.overdue()

    def delete_waiting(self, names: Iterable[str]) -> None:
        """Destroy those of the named parts that still wait; raises RefusedError."""
        self._waiting.delete(self._waiting.waiting(names))

    def _open(self, name: str) -> Part | None:
        try:
            opened = open_envelope((self._store.folder / name).read_bytes(), self._identities)
        except (OSError, HaumaruError):
            return None
        return opened if isinstance(opened, Part) else None


def _proven_name(case: Case, number: int) -> str:
    return f"{_PROVEN}/{case.id}.{number}.age"
