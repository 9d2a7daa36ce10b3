"""Whole tips a second: GET the form, POST the check, POST the send, four at once, each durable.

By turns with the same disk's durable writes of 128 KiB, so that the machine's noise, which is printed, is in both. In
bursts, of which those on quiet processors are told apart: fixed work, a hundredth of each processor's time, shows how
quick the processors are during each burst.
The minimum time to fill in the form is set to 0s, and each tip comes from an address of its own, since four senders
stand for hundreds. Also the memory of the server's processes at rest and afterwards, and the processor time that they
took for a tip, beside that of this client.
"""

import os
import re
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.faults import memory, processor_seconds
from tests.support.figures import spread
from tests.support.pace import Paces, watched_paces
from tests.support.site import demonstration

AT_ONCE = 4
TIPS = int(os.environ.get("TIPS", "2000"))
MIB = 1024 * 1024
BURST = 100  # tips
TURNS, WRITES = 5, 400
HEAD_BYTES = 4096  # more than the head of an answer, less than a page
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
TOKEN = re.compile(rb'name="csrf_token" value="([^"]+)"')


def durable_writes(folder: Path) -> float:
    """Files of 128 KiB a second, each written and fsynced, and its folder too."""
    data = os.urandom(128 * 1024)
    handle = os.open(folder, os.O_RDONLY)
    start = time.perf_counter()
    for number in range(WRITES):
        with (folder / f"{number}.bin").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.fsync(handle)
    return WRITES / (time.perf_counter() - start)


class Visitor:
    """A connection that asks and reads answers with little work, since the site has to share the processors with it."""

    def __init__(self, netloc: str, address: str) -> None:
        host, port = netloc.split(":")
        self._socket = socket.socket()
        # The kernel's own limit, since Python would ask before each piece whether something has come.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 60, 0))
        self._socket.connect((host, int(port)))
        self._head = f"Host: {netloc}\r\nSec-Fetch-Site: same-origin\r\nX-Forwarded-For: {address}\r\n"

    def ask(self, line: str, body: str = "") -> bytes:
        """Return the page that answers a request; fails where the answer is not a page."""
        length = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n" if body else ""
        self._socket.sendall(f"{line} HTTP/1.1\r\n{self._head}{length}\r\n{body}".encode())
        got = self._socket.recv(HEAD_BYTES)
        assert got.startswith(b"HTTP/1.1 200"), got
        end = got.find(b"\r\n\r\n")
        whole = end + 4 + int(LENGTH.search(got, 0, end)[1])
        page = got + self._socket.recv(whole - len(got), socket.MSG_WAITALL)
        assert (end > 0, len(page)) == (True, whole), "the site hung up"
        return page

    def close(self) -> None:
        self._socket.close()


def one_tip(visitor: Visitor, words: str) -> None:
    page = visitor.ask("GET /en/report")
    for step in ("check", "send"):
        token = TOKEN.search(page)[1].decode()
        fields = {"what": words, "where": "Timaru", "kinds": "work", "step": step, "csrf_token": token}
        page = visitor.ask("POST /en/report", urlencode(fields))


def sender(netloc: str, numbers: Iterable[int], times: list[float]) -> None:
    for number in numbers:
        # Each tip is somebody else's, and whichever worker takes a connection keeps it.
        start = time.perf_counter()
        visitor = Visitor(netloc, f"9.{number // 256}.{number % 256}.1")
        one_tip(visitor, f"Tip number {number}: they work every day and are never paid. " * 5)
        times.append(time.perf_counter() - start)
        visitor.close()


def send(netloc: str, numbers: range) -> list[float]:
    """Seconds for each of so many tips, four at once; the last of the list is for all of them together."""
    times: list[float] = []
    threads = [threading.Thread(target=sender, args=(netloc, numbers[one::AT_ONCE], times)) for one in range(AT_ONCE)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [*sorted(times), time.perf_counter() - start]


Burst = tuple[float, float, float]  # when a burst began and ended, and its rate


def send_bursts(netloc: str, numbers: range, times: list[float]) -> list[Burst]:
    """Send tips in bursts; the seconds for each tip are added to `times`."""
    bursts = []
    for first in range(numbers.start, numbers.stop, BURST):
        one = range(first, min(first + BURST, numbers.stop))
        start = time.monotonic()
        *each, whole = send(netloc, one)
        bursts.append((start, time.monotonic(), len(one) / whole))
        times += each
    return bursts


def tell_rates(bursts: list[Burst], paces: Paces) -> None:
    """Print the rates of all bursts, and of those on quiet processors."""
    print(f"at best {max(rate for *_, rate in bursts):.0f}/s")
    quiet = [rate for start, end, rate in bursts if paces.are_quiet(start, end)]
    told = f"{statistics.median(quiet):.0f}/s in the middle, {max(quiet):.0f} at best" if quiet else "no figure"
    print(f"on quiet processors: {told} ({len(quiet)} of {len(bursts)} bursts of {BURST} tips)")


def main() -> None:
    # Of the first tips of many networks, as many may wait as leave in ten hours: 4 of each minute.
    settings = {"HAUMARU_FORWARD_WINDOW": "1min", "HAUMARU_SERVER_PROXIES": "1"}
    disks, rates, times, bursts = [], [], [], []
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        with demonstration(folder, **settings) as site, watched_paces() as paces:
            netloc = urlsplit(site.base_url).netloc
            sender(netloc, range(20), [])
            rest, before, own = memory(site.process.pid), processor_seconds(site.process.pid), 0.0
            for turn in range(TURNS):
                disks.append(durable_writes(folder))
                own -= time.process_time()
                sent = send_bursts(netloc, range(20 + turn * TIPS // TURNS, 20 + (turn + 1) * TIPS // TURNS), times)
                own += time.process_time()
                rates.append(statistics.median(rate for *_, rate in sent))
                bursts += sent
            after, took = memory(site.process.pid), processor_seconds(site.process.pid) - before
    times.sort()
    ratio = statistics.median(tips / disk for tips, disk in zip(rates, disks, strict=True))
    print(f"durable writes of 128 KiB: {spread(disks)}")
    print(f"whole tips: {spread(rates)}, {ratio:.2f} of the disk's rate ({TIPS} tips, {AT_ONCE} at once)")
    tell_rates(bursts, paces)
    print(f"p50 {times[len(times) // 2] * 1e3:.0f} ms, p99 {times[len(times) * 99 // 100] * 1e3:.0f} ms")
    print(f"processor time for a tip: {took / TIPS * 1e3:.1f} ms of the site, {own / TIPS * 1e3:.1f} ms of this client")
    print(f"memory of the site: {rest / MIB:.0f} MiB at rest, {after / MIB:.0f} MiB after {TIPS} tips")


if __name__ == "__main__":
    main()
