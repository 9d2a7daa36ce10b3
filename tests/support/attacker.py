"""What one attacker does to a proxy: connections that say little or nothing, and bodies that never end."""

import select
import socket
import ssl
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress

# IP_FREEBIND of Linux (ip(7)): an address of loopback may be used that no interface bears.
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78


def connect(port: int, address: str = "127.0.0.1", family: int = socket.AF_INET) -> socket.socket:
    """Connect to a port of loopback from an address of loopback."""
    line = socket.socket(family, socket.SOCK_STREAM)
    line.settimeout(20)
    if family == socket.AF_INET:
        line.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    else:
        line.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
    try:
        line.bind((address, 0))
        line.connect(("127.0.0.1" if family == socket.AF_INET else "::1", port))
    except OSError:
        line.close()
        raise
    return line


def connect_many(port: int, addresses: Iterable[str], family: int = socket.AF_INET) -> list[socket.socket]:
    """Connect from each address; connections that were reset at once are left out."""
    lines = []
    for address in addresses:
        with suppress(ConnectionError):
            lines.append(connect(port, address, family))
    return lines


def circuit_line(port: int, circuit: int) -> socket.socket:
    """Connect as Tor does for this circuit (HiddenServiceExportCircuitID haproxy)."""
    line = connect(port)
    high, low = divmod(circuit, 1 << 16)
    line.sendall(f"PROXY TCP6 fc00:dead:beef:4dad::{high:x}:{low:x} ::1 65535 42\r\n".encode())
    return line


def secured(line: socket.socket, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    """Begin TLS on a connection, HTTP/1.1 within."""
    context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(line, server_hostname=name)


def open_lines(lines: Iterable[socket.socket], seconds: float = 1.0) -> list[socket.socket]:
    """Return the connections that the other end has not closed after some seconds; the closed ones are let go."""
    lines = list(lines)
    time.sleep(seconds)
    return [line for line in lines if not _is_closed(line)]


def _is_closed(line: socket.socket) -> bool:
    poll = select.poll()
    poll.register(line, select.POLLIN)
    if not poll.poll(0):
        return False
    try:
        while came := line.recv(65536):
            if not isinstance(line, ssl.SSLSocket) and len(came) < 65536 and not poll.poll(0):
                return False
    except (ssl.SSLWantReadError, BlockingIOError, TimeoutError):
        return False
    except OSError:
        return True
    line.close()
    return True


def keep_open(stack: ExitStack, lines: Iterable[socket.socket], begun: bytes = b"") -> list[socket.socket]:
    """Keep connections that have said `begun` until the stack ends."""
    kept = []
    for line in lines:
        stack.callback(line.close)
        with suppress(OSError):
            line.sendall(begun)
        kept.append(line)
    return kept


def drip(lines: Iterable[socket.socket], seconds: float, *, every: float = 0.3) -> None:
    """Send one byte on each connection again and again."""
    lines, until = list(lines), time.monotonic() + seconds
    while time.monotonic() < until:
        for line in lines:
            with suppress(OSError):
                line.send(b"x")
        time.sleep(every)


def ask(line: socket.socket, host: str, path: str = "/en/help", more: str = "") -> bytes:
    """Ask for a page and return the whole answer."""
    line.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n".encode())
    return everything(line)


def everything(line: socket.socket) -> bytes:
    """Return all that comes until the other end closes."""
    pieces = []
    with suppress(ConnectionError):
        while piece := line.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)
