"""Durable files: a function that returns has put the bytes on the disk; one that raises leaves no part of a file.

A file is written under a temporary name beside its place (`.NAME.part`, or `.NAME.ATTEMPT.part` if several may
write at once) and renamed, so that a reader sees the old file or the new file, never a mixture. A symbolic link under
the temporary name is refused. Every fault of the disk is an OSError, which callers turn into an error of their own.
"""

import os
from contextlib import suppress
from pathlib import Path


def write_atomically(
    path: Path, data: bytes, *, mode: int = 0o600, timestamp: float | None = None, attempt: str = ""
) -> None:
    """Replace or create a whole file; the folder must exist.

    `timestamp` (unix seconds) becomes the access and modification time of the file, and of the folder if that is
    allowed; `attempt` makes a temporary name for this caller alone. Raises OSError, and removes the temporary file.
    """
    part = path.with_name(f".{path.name}.{attempt}.part" if attempt else f".{path.name}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        _write_synced(os.open(part, flags, mode), data, timestamp)
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    if timestamp is not None:
        with suppress(OSError):  # the file is safe: a folder of another user, or on a network, keeps its own time
            os.utime(path.parent, (timestamp, timestamp))
    fsync_folder(path.parent)


def create_once(path: Path, data: bytes) -> None:
    """Create a file that only this user can read (mode 0600).

    Raises FileExistsError if the name is taken. Raises another OSError, and removes the file, if the file cannot be
    written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _write_synced(descriptor, data, None)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def erase(path: Path) -> None:
    """Write zeros over a file in place, then delete the file; both steps are durable.

    A file that is gone is no error. A crash between the two leaves a file of zeros. A disk that writes in other places
    (flash), and a file system with snapshots, may keep the old bytes. Raises OSError.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    _write_synced(descriptor, bytes(os.fstat(descriptor).st_size), None)
    path.unlink(missing_ok=True)
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Make the creations, renames and deletions in a folder durable (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_synced(descriptor: int, data: bytes, timestamp: float | None) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if timestamp is not None:
            os.utime(file.fileno(), (timestamp, timestamp))
        os.fsync(file.fileno())
