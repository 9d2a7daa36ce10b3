"""Ports on loopback for the servers that tests start: a port that was handed out once is nobody else's.

The ports are below the range from which the kernel takes the ports of outgoing connections, so no connection can take
one between its choice and the start of its server. A lock on one byte of a file, which the kernel frees when the
process ends, keeps each port from every other test process of the same user: the workers of pytest-xdist, and runs
of other clones. A process never gets the same port twice.
"""

import fcntl
import os
import secrets
import socket
import subprocess
import tempfile
import time
from functools import cache
from io import FileIO
from pathlib import Path

_LOWEST, _HIGHEST = 10_000, 65_535
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens, kept for this process until the process ends."""
    ports = _candidates()
    start = secrets.randbelow(len(ports))
    for port in [*ports[start:], *ports[:start]]:
        if port not in _given and _reserve(port) and _is_unused(port):
            _given.add(port)
            return port
    raise AssertionError("no port of 127.0.0.1 is left")


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server that was just started listens on a port; fail if it ends first, or within a minute not."""
    for _ in range(600):
        assert process.poll() is None, process.communicate()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server never listened")


@cache
def _candidates() -> range:
    """Return the ports that no outgoing connection gets by itself."""
    first, last = map(int, _EPHEMERAL.read_text().split())
    return range(_LOWEST, first) if first > _LOWEST else range(last + 1, _HIGHEST + 1)


@cache
def _locks() -> FileIO:
    """Return the file of locks; closing the file would free them all, so the file stays open."""
    path = Path(tempfile.gettempdir()) / f"haumaru-test-ports-{os.getuid()}"
    path.touch(mode=0o600)
    return FileIO(path, "r+")


def _reserve(port: int) -> bool:
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _is_unused(port: int) -> bool:
    """Bind all addresses without SO_REUSEADDR: this fails where any address of the machine has the port in use."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
