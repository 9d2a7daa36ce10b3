"""The file of an agency's day keys at the site: read again whenever the file changes, so that no restart is needed.

A batch is taken only with the desk's signature, for the agency's own key, and with a number that is not below that of a
batch with which the site has sealed before. A new file that is faulty changes nothing while the site runs: the batch
before stays until its last day. At a start such a file is a fault of the configuration. Nothing here falls back to the
agency's own key.
"""

import threading
from contextlib import suppress
from datetime import date
from pathlib import Path

from app.core.durable import write_atomically
from app.core.errors import HaumaruError, KeyTextError
from app.core.log import log_rarely
from app.delivery.clock import nz_midnight
from app.vault.day_keys import MAX_BATCH_BYTES, DayKeyBatch, read_batch
from app.vault.keys import Recipient

_Stamp = tuple[int, int, int]


class DayKeyFile:
    """The day keys of one agency, whose desk has the 32-byte public key `signer`; safe for many threads.

    `number_file` keeps the number of the newest batch that this machine has used. The constructor raises
    OSError, SignatureError, and KeyTextError `day-keys`, `other-agency` or `older`.
    """

    def __init__(self, path: Path, signer: bytes, own_recipients: tuple[Recipient, ...], number_file: Path) -> None:
        self._path, self._signer, self._own, self._number_file = path, signer, own_recipients, number_file
        self._lock = threading.Lock()
        self._noted = 0  # the number that this process has written into `number_file`
        self._stamp = self._stamp_now()
        self._batch = self._read()

    @property
    def last(self) -> date:
        """The last day that has a key."""
        return self._current().last

    def has_key(self, day: date) -> bool:
        """Return whether a day has a key."""
        return self._current().recipient_on(day) is not None

    def recipient_on(self, day: date) -> Recipient | None:
        """Return to whom a report is sealed on a day, None where the day has no key."""
        return self._current().recipient_on(day)

    def nearest_recipient(self, day: date) -> Recipient:
        """Return to whom a decoy is sealed: decoys go on for 30 days while the form is closed."""
        return self._current().nearest_recipient(day)

    def note_used(self, now: float) -> None:
        """Note, once for each batch, that this machine seals with the batch: an older one is refused from then on.

        A visitor's request must not call this: the time of the file would show when the request came.
        """
        number = self._current().number
        if number <= self._noted:
            return
        self._noted = number
        if number > self._used_number():
            try:
                write_atomically(self._number_file, b"%d\n" % number, timestamp=nz_midnight(now).timestamp())
            except OSError:
                log_rarely("day keys code=%s", "number-file")

    def _current(self) -> DayKeyBatch:
        with self._lock:
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    batch = self._read()
                    if batch.number < self._batch.number:
                        raise KeyTextError("older")
                    self._batch = batch
                except OSError:
                    log_rarely("day keys code=%s", "file")
                except HaumaruError as error:
                    log_rarely("day keys code=%s", error.code)
            return self._batch

    def _stamp_now(self) -> _Stamp | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> DayKeyBatch:
        with self._path.open("rb") as file:
            batch = read_batch(file.read(MAX_BATCH_BYTES + 1), self._signer, self._own)
        if batch.number < self._used_number():
            raise KeyTextError("older")
        return batch

    def _used_number(self) -> int:
        with suppress(OSError, ValueError):
            return int(self._number_file.read_bytes())
        return 0
