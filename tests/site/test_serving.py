"""The site's processes: one socket for all of them, processors of their own, and one that died is replaced."""

import os
import signal
import socket
import subprocess
from contextlib import ExitStack
from itertools import permutations
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.site.serving import share_of_processors
from tests.support.faults import direct_children, until
from tests.support.paths import BIN
from tests.support.site import demonstration

_LISTENS = "0A"  # in /proc/net/tcp (proc_pid_net(5))


@pytest.mark.parametrize(
    ("processors", "workers", "shares"),
    [
        ({0, 1}, 2, [{0}, {1}]),
        ({3, 5}, 4, [{3}, {5}, {3}, {5}]),
        ({0, 1, 2, 3}, 3, [{0, 3}, {1}, {2}]),
        ({0, 1, 2, 3}, 1, [{0, 1, 2, 3}]),
        ({7}, 2, [{7}, {7}]),
    ],
)
def test_processors_are_shared_evenly(processors, workers, shares):
    """Each worker has one processor at least; where there are more processors than workers, none is left out."""
    assert [share_of_processors(processors, workers, number) for number in range(workers)] == shares


def sockets_that_listen(port: int) -> list[str]:
    """The address of each socket of this machine that listens at a port, in hexadecimal digits."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [place for _, place, _, state, *_ in lines if place.endswith(f":{port:04X}") and state == _LISTENS]


def processors_of(pid: int) -> list[set[int]]:
    """What each thread of a process may run on; nothing once the process has ended."""
    try:
        return [os.sched_getaffinity(int(thread.name)) for thread in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []


def workers(pid: int) -> list[int]:
    """The children of the site's process that answer requests, without its forwarder."""
    return [one for one in direct_children(pid) if b"forward" not in Path(f"/proc/{one}/cmdline").read_bytes()]


def states(pid: int) -> set[str]:
    """The states of a process's threads (proc_pid_stat(5)): T once all of them have stopped."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {(each / "stat").read_text().rpartition(")")[2].split()[0] for each in threads}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    with demonstration(folder, HAUMARU_SERVER_WORKERS="2") as running:
        yield running


def test_workers_have_processors_of_their_own(site):
    """All threads of a worker run on its share, and a worker that is killed is replaced on the same share."""
    every = os.sched_getaffinity(site.process.pid)
    orders = list(permutations(share_of_processors(every, 2, number) for number in (0, 1)))

    def dealt() -> bool:
        seen = [processors_of(pid) for pid in workers(site.process.pid)]
        if len(seen) != len(orders[0]):
            return False
        return all(seen) and any(
            seen == [[share] * len(one) for share, one in zip(order, seen, strict=True)] for order in orders
        )

    until(dealt, "a share for each worker")
    victim = workers(site.process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in workers(site.process.pid) and len(workers(site.process.pid)) == 2, "another worker")
    until(dealt, "its share for the other worker")


def test_workers_share_one_socket(site):
    """One socket listens at the site's address, so a connection is not bound to a worker before somebody takes it."""
    assert len(sockets_that_listen(urlsplit(site.base_url).port)) == 1


def test_no_connection_is_lost_with_a_worker(site):
    """Connections that nobody has taken when a worker is killed are answered by the other worker, all of them."""
    until(lambda: len(workers(site.process.pid)) == 2, "two workers")
    victim, other = workers(site.process.pid)
    address = urlsplit(site.base_url)
    with ExitStack() as stack:
        stack.callback(os.kill, other, signal.SIGCONT)
        for worker in (victim, other):
            os.kill(worker, signal.SIGSTOP)
        until(lambda: states(victim) == states(other) == {"T"}, "a stop of all threads")
        peers = [stack.enter_context(socket.create_connection((address.hostname, address.port), 60)) for _ in range(20)]
        for peer in peers:
            peer.sendall(f"GET /healthz HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        os.kill(victim, signal.SIGKILL)
        os.kill(other, signal.SIGCONT)
        assert [peer.recv(12) for peer in peers] == [b"HTTP/1.1 200"] * len(peers)


def test_two_sites_do_not_share_an_address(site, tmp_path):
    """A second site at the same address ends with one line that says so."""
    port = str(urlsplit(site.base_url).port)
    second = subprocess.run(
        [BIN / "haumaru", "demo"],
        cwd=tmp_path,
        env={**os.environ, "PORT": port},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1] == "haumaru: the system refused (Address already in use); correct the cause"
