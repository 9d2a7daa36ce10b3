"""Readers without a browser that ask for many pages, and connections that never finish what they began."""

import contextlib
import random
import socket
import threading
from contextlib import ExitStack

SLOW = 1_000
PAGES = [f"/{lang}/{page}" for lang in ("en", "hi", "sm", "zh-Hans") for page in ("", "help", "signs", "plan", "law")]
# Some are not ready but made when they are asked for.
MADE = ["/en/report", "/hi/reply", "/sm/no-such-page", "/en/plan/actions?goal=1"]


def answers(peer: socket.socket, paths: list[str], host: str) -> int:
    """Ask for pages one behind the other on one connection; returns how many bytes came, which all have one length."""
    head = f" HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: br\r\n\r\n"
    peer.sendall("".join(f"GET {path}{head}" for path in paths).encode())
    total, first = 0, b""
    while not first or total < len(paths) * _length(first):
        came = peer.recv(1 << 18)
        assert came, "the site hung up"
        if b"\r\n\r\n" not in first:
            first += came
        total += len(came)
    return total


def _length(first: bytes) -> int:
    head = first.partition(b"\r\n\r\n")[0]
    return len(head) + 4 + int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])


def view(port: int, times: int, *, made: float = 0.01) -> None:
    """Read so many pages, four readers at once; `made` is the part of them that are made when they are asked for."""
    read, lock, at_once = iter(range(0, times, 50)), threading.Lock(), 4

    def reader() -> None:
        while True:
            with lock:
                if next(read, None) is None:
                    return
            paths = [random.choice(MADE) if random.random() < made else random.choice(PAGES) for _ in range(50)]
            # Each time anew: whichever worker takes a connection keeps it.
            with socket.create_connection(("127.0.0.1", port), 120) as peer:
                answers(peer, paths, f"127.0.0.1:{port}")

    threads = [threading.Thread(target=reader) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def slow(stack: ExitStack, port: int, host: str) -> list[socket.socket]:
    """1,000 connections that say nothing, 1,000 that never end their headers, and 1,000 that never end their body."""
    body = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100000\r\n\r\nwhat=slow"
    begun = [
        "",
        f"GET /en/help HTTP/1.1\r\nHost: {host}\r\nX-Slow: ",
        f"POST /en/report HTTP/1.1\r\nHost: {host}\r\n{body}",
    ]
    peers = []
    for number in range(3 * SLOW):
        peers.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)))
        with contextlib.suppress(OSError):  # the first of them may have been cut by now
            peers[-1].sendall(begun[number % 3].encode())
    return peers
