"""The desk's day keys: the identity of each day, sealed in a file of its own, and destroyed 30 days after the day.

A file `day-keys/<day>.<batch>.age` of the store holds an identity file, sealed to the desk's own key: with that key and
any age tool a person can open what was sealed on the day. To destroy a key the desk writes zeros over the file in
place and then deletes the file. Where a disk keeps old blocks (flash, snapshots), only encryption of the whole disk
helps. Batches that overlap share the keys of their common days, unless a key leaked and the keys must be fresh.
"""

import io
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta

from app.core.errors import EnvelopeError, KeyTextError
from app.desk.errors import RefusedError
from app.desk.journal import DESK, Journal, JournalEntry
from app.desk.store import SealedStore
from app.vault.age import HYBRID_STANZA, read_header
from app.vault.age_open import read_identity_file, unseal, write_identity_file
from app.vault.day_keys import KEEP_DAYS, DayKeyBatch
from app.vault.keys import Identity, key_fingerprint, new_identity, recipient_of

DAY_KEYS_FOLDER = "day-keys"
_NAME = re.compile(r"(\d{4}-\d\d-\d\d)\.(\d{1,12})\.age")
_NEAR = 3  # keys of days that are tried before the desk's own: today's and its neighbours'
_DAY = timedelta(days=1)


class DayKeyStore:
    """The day keys in one store, all in memory; hold the store's lock while you use it."""

    def __init__(
        self, store: SealedStore, journal: Journal, identities: Sequence[Identity], today: Callable[[], date]
    ) -> None:
        self._store, self._journal, self._own, self._today = store, journal, tuple(identities), today
        self._keys: dict[str, Identity] = {}  # by the name of the file
        self.damaged: list[str] = []  # the names of files that do not open
        for name in store.list_names(DAY_KEYS_FOLDER):
            if _NAME.fullmatch(name):
                self._load(name)

    def identities(self) -> list[Identity]:
        """Return the identities to try on an envelope, the likeliest first: of days near today, then the desk's own.

        The keys of all days follow, so that clocks that disagree lose nothing.
        """
        today = self._today()
        names = sorted(self._keys, key=lambda name: (abs((_day(name) - today).days), name))
        days = [key for name in names if (key := self._keys.get(name))]
        return [*days[:_NEAR], *self._own, *days[_NEAR:]]

    def make_batch(self, days: int, *, fresh: bool) -> DayKeyBatch:
        """Return the batch of the next number for so many days from today on, and for yesterday.

        A day that has a key keeps the key, unless all are to be `fresh`. The keys are on the disk, and the batch is in
        the journal, when the function returns. Raises RefusedError.
        """
        today = self._today()
        made = [int(entry.what.split(" ")[0]) for entry in self._journal.entries if entry.did == "made-day-keys"]
        number = max([int(f"{today:%Y%m%d}01"), *(one + 1 for one in (*made, *map(_number, self._keys)))])
        first = today - _DAY  # so that a desk whose clock is a day ahead makes a key for today, too
        wanted = [first + _DAY * count for count in range(days + 1)]
        known = {} if fresh else {_day(name): self._keys[name] for name in sorted(self._keys, key=_number)}
        self._journal.write(JournalEntry(DESK, "made-day-keys", "", f"{number} {first} {len(wanted)}"))
        identities = [known.get(day) or self._new_key(day, number) for day in wanted]
        own = key_fingerprint([recipient_of(self._own[0])])
        return DayKeyBatch(number, own, first, tuple(map(recipient_of, identities)))

    def overdue(self) -> list[str]:
        """Return the names of the keys whose day was more than 30 days ago."""
        return [name for name in (*self._keys, *self.damaged) if self._is_overdue(name)]

    def destroy(self, names: Iterable[str], *, envelopes_wait: bool) -> None:
        """Destroy the named keys for good; journaled. Raises RefusedError.

        While envelopes wait in the inbox, only keys that were overdue 30 days ago are destroyed: an envelope could be
        sealed to one of the others.
        """
        for name in sorted(names):
            if self._is_overdue(name, times=2 if envelopes_wait else 1):
                self._journal.write(JournalEntry(DESK, "destroyed-day-key", "", f"{_day(name)} {_number(name)}"))
                self._keys = {other: key for other, key in self._keys.items() if other != name}
                self.damaged = [other for other in self.damaged if other != name]
                self._store.erase(f"{DAY_KEYS_FOLDER}/{name}")

    def _is_overdue(self, name: str, *, times: int = 1) -> bool:
        return _day(name) < self._today() - _DAY * KEEP_DAYS * times

    def _load(self, name: str) -> None:
        path = f"{DAY_KEYS_FOLDER}/{name}"
        if self._is_overdue(name) and self._store.is_erased(path):  # stopped between the two steps of destroying
            self._store.erase(path)
            return
        try:
            (self._keys[name],) = read_identity_file(self._store.read(path), None)
        except (RefusedError, KeyTextError, ValueError):
            self.damaged.append(name)

    def _new_key(self, day: date, number: int) -> Identity:
        identity, name = new_identity(), f"{day.isoformat()}.{number}.age"
        self._store.write(f"{DAY_KEYS_FOLDER}/{name}", write_identity_file(identity, None))
        self._keys[name] = identity
        return identity


def last_day_with_key(names: Iterable[str]) -> date | None:
    """Return the last day that has a key, by the names of the files; None where there are none."""
    return max((_day(name) for name in names if _NAME.fullmatch(name)), default=None)


def is_day_key_file(data: bytes) -> bool:
    """Return whether bytes are an age file that is sealed to a hybrid recipient, as the file of a day key is."""
    try:
        header, _ = read_header(io.BytesIO(data))
    except EnvelopeError:
        return False
    return header.stanzas[0].args[0] == HYBRID_STANZA


def read_day_key_file(data: bytes, identities: Sequence[Identity]) -> tuple[Identity, ...]:
    """Return what is in the file of a day key; raises KeyTextError `no-match` where no identity opens the file."""
    try:
        return read_identity_file(unseal(data, identities), None)
    except EnvelopeError as error:
        raise KeyTextError(error.code) from None


def _day(name: str) -> date:
    return date.fromisoformat(name[:10])


def _number(name: str) -> int:
    return int(name.split(".")[1])
