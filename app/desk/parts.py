"""The parts of tips' files at the desk: those that a tip's words prove, and those that nothing proves yet.

A proven part is kept with its case, sealed as it came. Any other part waits, since words and parts come in any order:
when its words come it is proven, and after 30 days it may be destroyed. At most 16,384 parts wait (2 GiB); beyond that
one of them, chosen at random, gives its place, so that a stranger who fills the room cannot choose what is lost.
"""

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from hashlib import sha256

from app.core.errors import HaumaruError
from app.desk.case import Case
from app.desk.envelopes import open_envelope
from app.desk.errors import RefusedError
from app.desk.store import SealedStore
from app.vault.keys import Identity
from app.vault.part import Part

WAITING_DAYS = 30
MAX_WAITING_PARTS = 16_384

_PROVEN, _WAITING = "parts", "waiting"


class PartStore:
    """The parts in one store, found by their files' names: `<case>.<number>.age`, `<day>.<tip>.<hash>.age`."""

    def __init__(
        self,
        store: SealedStore,
        identities: Sequence[Identity],
        today: Callable[[], date],
        *,
        max_waiting: int = MAX_WAITING_PARTS,
    ) -> None:
        self._store, self._identities, self._today = store, tuple(identities), today
        self._max_waiting = max_waiting
        self._proven: dict[str, set[int]] = defaultdict(set)  # by case
        self._waiting: dict[str, str] = {}  # names of files, by the hash in the name
        self._waiting_of: dict[str, set[str]] = defaultdict(set)  # hashes, by tip
        for name in store.list_names(_PROVEN):
            case_id, number, _ = name.split(".")
            self._proven[case_id].add(int(number))
        for name in store.list_names(_WAITING):
            self._index(name)

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

    def receive(self, part: Part, envelope: bytes, cases: Iterable[Case]) -> Case | None:
        """Keep the envelope of a part: with the case that proves the part, otherwise to wait; return that case.

        A part that is here already is not kept twice. Raises RefusedError for a fault of the disk.
        """
        case = next((one for one in cases if one.proves(part)), None)
        if case is None:
            self._wait(part, envelope)
        elif part.number not in self._proven[case.id]:
            self._store.put_sealed(_proven_name(case, part.number), envelope)
            self._proven[case.id].add(part.number)
        return case

    def prove_waiting(self, case: Case) -> int:
        """Move to a new case those waiting parts that it proves, and return how many; raises RefusedError."""
        found = 0
        for digest in tuple(self._waiting_of.get(case.tip_id, ())):
            name = self._waiting[digest]
            part = self._open(f"{_WAITING}/{name}")
            if part is None or not case.proves(part):
                continue
            self._store.move_in(self._store.folder / _WAITING / name, _proven_name(case, part.number))
            self._forget(name)
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
        limit = (self._today() - timedelta(days=WAITING_DAYS)).isoformat()
        return [name for name in self._waiting.values() if name.split(".")[0] < limit]

    def delete_waiting(self, names: Iterable[str]) -> None:
        """Destroy those of the named parts that still wait; raises RefusedError."""
        self._delete_waiting([name for name in names if name in self._waiting.values()])

    def _wait(self, part: Part, envelope: bytes) -> None:
        digest = sha256(envelope).hexdigest()[:32]
        if digest in self._waiting:
            return
        while len(self._waiting) >= self._max_waiting:
            self._delete_waiting([secrets.choice(list(self._waiting.values()))])
        name = f"{self._today().isoformat()}.{part.tip}.{digest}.age"
        self._store.put_sealed(f"{_WAITING}/{name}", envelope)
        self._index(name)

    def _delete_waiting(self, names: Sequence[str]) -> None:
        self._store.delete([f"{_WAITING}/{name}" for name in names])
        for name in names:
            self._forget(name)

    def _index(self, name: str) -> None:
        _day, tip, digest, _ = name.split(".")
        self._waiting[digest] = name
        self._waiting_of[tip].add(digest)

    def _forget(self, name: str) -> None:
        _day, tip, digest, _ = name.split(".")
        del self._waiting[digest]
        self._waiting_of[tip].discard(digest)
        if not self._waiting_of[tip]:
            del self._waiting_of[tip]

    def _open(self, name: str) -> Part | None:
        try:
            opened = open_envelope((self._store.folder / name).read_bytes(), self._identities)
        except (OSError, HaumaruError):
            return None
        return opened if isinstance(opened, Part) else None


def _proven_name(case: Case, number: int) -> str:
    return f"{_PROVEN}/{case.id}.{number}.age"
