"""Envelopes that wait at the desk for the words that they belong to: bounded, and destroyed after 30 days.

Words, parts and answers leave the site in any order, and anybody may seal an envelope that belongs to nothing. At most
16,384 of one kind wait (2 GiB); beyond that one of them, chosen at random, gives its place, so that a stranger who
fills the room cannot choose what is lost.
"""

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta

from app.desk.store import SealedStore

WAITING_DAYS = 30
MAX_WAITING = 16_384
_FORMER_CHARACTERS = 32  # of the hash in a name that an earlier version gave


class WaitingEnvelopes:
    """The envelopes that wait in one folder of a store, found by their files' names: `<day>.<group>.<hash>.age`.

    A group is a text of letters and digits that all envelopes with the same words share.
    """

    def __init__(self, store: SealedStore, folder: str, today: Callable[[], date], *, most: int = MAX_WAITING) -> None:
        self._store, self._folder, self._today, self._most = store, folder, today, most
        self._names: dict[str, str] = {}  # by the hash in the name
        self._groups: dict[str, set[str]] = defaultdict(set)  # hashes, by group
        for name in store.list_names(folder):
            self._index(name)

    def add(self, group: str, envelope: bytes, digest: str) -> int:
        """Let an envelope wait, once; return how many others gave their place. Raises RefusedError.

        `digest` is the SHA-256, in hexadecimal digits, of the envelope that came: `envelope` may be sealed anew.
        """
        if digest in self._names or digest[:_FORMER_CHARACTERS] in self._names:
            return 0
        gone = 0
        while len(self._names) >= self._most:
            self.delete([secrets.choice(list(self._names.values()))])
            gone += 1
        name = f"{self._today().isoformat()}.{group}.{digest}.age"
        self._store.put_sealed(self._path(name), envelope)
        self._index(name)
        return gone

    def of(self, group: str) -> list[str]:
        """Return the names of the envelopes of a group."""
        return [self._names[digest] for digest in self._groups.get(group, ())]

    def digest(self, name: str) -> str:
        """Return the SHA-256 of the envelope that came, "" where an earlier version kept the envelope as it came."""
        digest = name.split(".")[2]
        return digest if len(digest) > _FORMER_CHARACTERS else ""

    def read(self, name: str) -> bytes:
        """Return a waiting envelope; raises OSError."""
        return (self._store.folder / self._path(name)).read_bytes()

    def move(self, name: str, target: str) -> None:
        """Move a waiting envelope to a name in the store; raises RefusedError."""
        self._store.move_in(self._store.folder / self._path(name), target)
        self._forget(name)

    def overdue(self) -> list[str]:
        """Return the names of the envelopes that have waited for 30 days."""
        limit = (self._today() - timedelta(days=WAITING_DAYS)).isoformat()
        return [name for name in self._names.values() if name.split(".")[0] < limit]

    def waiting(self, names: Iterable[str]) -> list[str]:
        """Return those of some names whose envelopes still wait."""
        here = set(self._names.values())
        return [name for name in names if name in here]

    def delete(self, names: Sequence[str]) -> None:
        """Destroy waiting envelopes for good; raises RefusedError."""
        self._store.delete([self._path(name) for name in names])
        for name in names:
            self._forget(name)

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _index(self, name: str) -> None:
        _day, group, digest, _ = name.split(".")
        self._names[digest] = name
        self._groups[group].add(digest)

    def _forget(self, name: str) -> None:
        _day, group, digest, _ = name.split(".")
        del self._names[digest]
        self._groups[group].discard(digest)
        if not self._groups[group]:
            del self._groups[group]
