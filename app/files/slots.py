"""Places that every process of this machine shares, without a trace on disk.

A place is a name in Linux's abstract socket namespace (unix(7)): only one process can hold it, the kernel frees it
when that process ends however it ends, and there is no file. Nothing ever listens there.
"""

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from app.core.errors import BusyError

_PAUSE = 0.02


@contextmanager
def slot(name: str, places: int, *, seconds: float = 0.0) -> Iterator[None]:
    """Hold one of so many places of this name, waiting at most so long for it; BusyError when none came free."""
    deadline = time.monotonic() + seconds
    while (held := _take(name, places)) is None:
        if time.monotonic() >= deadline:
            raise BusyError
        time.sleep(_PAUSE)
    with closing(held):
        yield


def _take(name: str, places: int) -> socket.socket | None:
    for place in range(places):
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            held.bind(f"\0haumaru/{os.getuid()}/{name}/{place}")
        except OSError as error:
            held.close()
            if error.errno != errno.EADDRINUSE:
                raise BusyError("slots") from None
        else:
            return held
    return None
