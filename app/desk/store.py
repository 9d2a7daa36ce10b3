"""The desk's folder: its files are sealed to the desk's own key, and a write that returns is on the disk.

The desk's own key is its first identity; the other identities still open what was sealed to them. A file is replaced
as a whole or not at all. A second desk on the same folder is refused. Nothing of a tip is written decrypted, not even
for a moment. The times of files and folders are the beginning of the day, so that they do not show when something came.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from app.core.durable import erase, fsync_folder, write_atomically
from app.core.errors import EnvelopeError
from app.delivery.clock import nz_midnight
from app.desk.errors import RefusedError
from app.desk.jobs import Job
from app.vault.age import seal
from app.vault.age_open import EnvelopeOpener
from app.vault.keys import Identity, recipient_of

_KEY_CHECK = "desk.age"  # opens only with the right identity
_KEY_CHECK_WORDS = b"haumaru-desk/1"


class SealedStore:
    """A folder and the identities that open its files; write only within `locked`."""

    def __init__(self, folder: Path, identities: Sequence[Identity], *, clock: Callable[[], float] = time.time) -> None:
        self.folder, self._clock = folder, clock
        self._opener = EnvelopeOpener(identities)
        self._own_recipients = (recipient_of(identities[0]),)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process out until the block ends; raises RefusedError `store-in-use` or `store-key`."""
        with as_refused_errors():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RefusedError("store-in-use") from None
            self._check_key()
            yield
        finally:
            os.close(descriptor)

    def write(self, name: str, data: bytes) -> None:
        """Seal data and write them under a name such as `tips/<id>.age`; raises RefusedError `disk-full` or `disk`."""
        self.put_sealed(name, self.seal(data))

    def put_sealed(self, name: str, envelope: bytes) -> None:
        """Write an envelope under a name such as `envelopes/<id>.age`, as it came; raises RefusedError."""
        replace_file(self.folder / name, envelope, timestamp=self.midnight())

    def seal(self, data: bytes) -> bytes:
        """Return data sealed to the desk's own key; one stanza is enough for what never leaves the desk."""
        return seal(data, self._own_recipients, stanzas=1)

    def read(self, name: str) -> bytes:
        """Return what was written; raises FileNotFoundError, and RefusedError `store-key` or `store-damaged`."""
        return self.unseal((self.folder / name).read_bytes())

    def unseal(self, sealed: bytes) -> bytes:
        """Return data opened with any of the identities; raises RefusedError `store-key` or `store-damaged`."""
        try:
            return self._opener.unseal(sealed)
        except EnvelopeError as error:
            raise RefusedError("store-key" if error.code == "no-match" else "store-damaged") from None

    def move_in(self, path: Path, name: str) -> None:
        """Move a sealed file into the store durably, from another disk too; raises RefusedError.

        Both folders then show the day alone.
        """
        target = self.folder / name
        with as_refused_errors():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                path.rename(target)
                self._date(target, target.parent)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                replace_file(target, path.read_bytes(), timestamp=self.midnight())
                path.unlink()
        self.show_day(path.parent)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files durably; a file that is gone already is no error."""
        with as_refused_errors():
            folders = set()
            for name in names:
                (self.folder / name).unlink(missing_ok=True)
                folders.add((self.folder / name).parent)
            for folder in folders:
                if folder.exists():
                    self._date(folder)
                    fsync_folder(folder)

    def erase(self, name: str) -> None:
        """Write zeros over a file in place, then delete the file, durably; raises RefusedError."""
        with as_refused_errors():
            erase(self.folder / name)
        self.show_day((self.folder / name).parent)

    def is_erased(self, name: str) -> bool:
        """Return whether `erase` had begun to write over a file when it was stopped."""
        return (self.folder / name).read_bytes().startswith(b"\0")

    def renew(self, name: str) -> None:
        """Write a file of the store again as it is, as a new file; a file that is gone is no error.

        The new file's birth time, which nobody can set, is that of this moment. Raises RefusedError.
        """
        with suppress(FileNotFoundError):
            self.put_sealed(name, (self.folder / name).read_bytes())

    def exists(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        return (self.folder / name).exists()

    def midnight(self) -> float:
        """Return the beginning of the day in New Zealand, in unix seconds."""
        return nz_midnight(self._clock()).timestamp()

    def show_day(self, folder: Path) -> None:
        """Let a folder show the day alone as its time; one that another user owns, or that is gone, is left alone."""
        with suppress(PermissionError, FileNotFoundError):
            self._date(folder)

    def list_names(self, folder: str) -> list[str]:
        """Return the sorted names of the complete files in a folder of the store."""
        path = self.folder / folder
        return sorted(entry.name for entry in path.iterdir() if entry.suffix != ".part") if path.exists() else []

    def reseal(self, folders: Iterable[str], job: Job) -> int | None:
        """Seal every file anew to the first identity; return their number, or None where the job was stopped.

        Each file is replaced as a whole, so a job that is stopped loses nothing. Raises RefusedError.
        """
        names = [f"{folder}/{name}" for folder in folders for name in self.list_names(folder)]
        names += [name for name in self.list_names(".") if name.endswith(".age") and not name.startswith(".")]
        job.total = len(names)
        for name in names:
            if job.stopped:
                return None
            self.write(name, self.read(name))
            job.advance()
        return len(names)

    def _date(self, *paths: Path) -> None:
        for path in paths:
            os.utime(path, (self.midnight(), self.midnight()))

    def _check_key(self) -> None:
        try:
            self.read(_KEY_CHECK)
        except FileNotFoundError:
            self.write(_KEY_CHECK, _KEY_CHECK_WORDS)


def replace_file(path: Path, data: bytes, *, timestamp: float | None = None) -> None:
    """Replace a whole file durably and make its folder if need be; raises RefusedError `disk-full` or `disk`."""
    with as_refused_errors():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, data, timestamp=timestamp)


@contextmanager
def as_refused_errors() -> Iterator[None]:
    """Turn an OSError into RefusedError `disk-full` or `disk`."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise RefusedError("disk-full" if full else "disk") from None
