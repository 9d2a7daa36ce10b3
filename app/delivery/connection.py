"""One connection to an agency's server, bounded as a whole.

A time-out on each read does not stop a server that sends one byte a second: here a watch cuts the
connection when the time is up, whatever is being done with it. Every failure comes out as a
DeliveryError with a code; what the server said never does.
"""

import http.client
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app.core.errors import DeliveryError


@contextmanager
def connection(host: str, port: int, *, seconds: float) -> Iterator[socket.socket]:
    """Connect, and cut the connection after `seconds` in all; raises DeliveryError.

    The socket may be wrapped in TLS: the watch holds a handle of its own to the same connection.
    """
    ends = time.monotonic() + seconds
    with _connect(host, port, ends) as sock, sock.dup() as handle:

        def cut() -> None:
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

        watch = threading.Timer(max(0.0, ends - time.monotonic()), cut)
        watch.daemon = True
        watch.start()
        try:
            yield sock
        except DeliveryError as fault:
            raise DeliveryError("timeout") if time.monotonic() >= ends else fault from None
        except (OSError, EOFError, ValueError, http.client.HTTPException, smtplib.SMTPException) as fault:
            raise DeliveryError("timeout" if time.monotonic() >= ends else _code(fault)) from None
        finally:
            watch.cancel()
            watch.join()


def _connect(host: str, port: int, ends: float) -> socket.socket:
    # The resolver's own limits bound the look-up; each address gets what is left of the time.
    code = "unreachable"
    with suppress(OSError, UnicodeError):
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            left = ends - time.monotonic()
            if left <= 0:
                raise DeliveryError("timeout")
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(left)
                sock.connect(address)
            except OSError as fault:
                sock.close()
                code = "timeout" if isinstance(fault, TimeoutError) else "unreachable"
            else:
                return sock
    raise DeliveryError(code)


def _code(fault: Exception) -> str:
    if isinstance(fault, TimeoutError):
        return "timeout"
    if isinstance(fault, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "closed"
    return "tls" if isinstance(fault, ssl.SSLError) else "closed"
