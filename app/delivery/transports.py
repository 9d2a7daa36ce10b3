"""The transports that take one envelope to its agency: a folder or an https endpoint; `smtp` has the mailbox.

`deliver` returns only when the other end has taken the envelope, and may be repeated: the id makes two
deliveries one. It raises DeliveryError with a code of this list: unreachable, timeout, tls, auth, closed,
refused, rejected, too-large, receiver-full, redirect, disk. Nothing in a name, header or file time is finer than the
day or says anything about a tip. A connection is bounded as a whole by `open_connection`, and any delivery by a
`BoundedTransport`, which a disk that hangs does not hold up.
"""

import http.client
import os
import secrets
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from app.core.durable import write_atomically
from app.core.errors import DeliveryError
from app.delivery.clock import nz_midnight
from app.delivery.outbox import Envelope
from app.vault.tip import TipId

_GRACE_SECONDS = 2.0  # for a transport to end by itself, before its thread is left alone


class Transport(Protocol):
    """A transport to one agency."""

    def deliver(self, envelope: Envelope, *, seconds: float) -> None:
        """Deliver one envelope within `seconds`; raises DeliveryError."""

    def probe(self, *, seconds: float) -> int | None:
        """Check the transport as far as possible without an envelope; raises DeliveryError.

        Returns the length in bytes of the largest envelope that the other end takes, or None without a stated limit.
        """


@dataclass(frozen=True)
class FolderTransport:
    """A folder, which must exist: a folder made anew could hide that a disk is not mounted."""

    folder: Path
    clock: Callable[[], float] = time.time

    def deliver(self, envelope: Envelope, *, seconds: float) -> None:  # noqa: ARG002  # a disk keeps no time
        """Write the file atomically and durably, with the beginning of the day as its times."""
        path, day = self.folder / f"{envelope.id}.age", nz_midnight(self.clock()).timestamp()
        try:
            write_atomically(path, envelope.data, mode=0o640, timestamp=day, attempt=secrets.token_hex(8))
            # What a killed attempt left behind. If another attempt is still writing it, that attempt fails, and the
            # envelope is delivered all the same.
            for left in self.folder.glob(f".{path.name}.*.part"):
                left.unlink(missing_ok=True)
        except OSError:
            raise DeliveryError("disk") from None

    def probe(self, *, seconds: float) -> int | None:  # noqa: ARG002
        """Check that the folder exists and takes files."""
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise DeliveryError("disk")
        return None


class BoundedTransport:
    """A transport whose deliveries end in time, whatever the other end or the disk does; one thread each delivery.

    While a delivery that ran out of time still hangs, `hangs` is true and further ones are refused at once. Should that
    delivery succeed after all, its id is in `late`.
    """

    late: set[TipId]

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._hanging: threading.Thread | None = None
        self.late = set()

    @property
    def hangs(self) -> bool:
        """Whether a delivery that ran out of time goes on."""
        return self._hanging is not None and self._hanging.is_alive()

    def deliver(self, envelope: Envelope, *, seconds: float) -> None:
        """Deliver one envelope within `seconds`; raises DeliveryError, `timeout` if the transport does not return."""
        if self.hangs:
            raise DeliveryError("timeout")
        ended: Future[None] = Future()

        def work() -> None:
            try:
                self._transport.deliver(envelope, seconds=seconds)
            except BaseException as fault:  # noqa: BLE001  # raised again by the caller
                ended.set_exception(fault)
            else:
                self.late.add(envelope.id)
                ended.set_result(None)

        # A daemon: a disk that hangs must not keep the process from ending.
        self._hanging = threading.Thread(target=work, daemon=True)
        self._hanging.start()
        try:
            ended.result(seconds + _GRACE_SECONDS)
        except TimeoutError:
            raise DeliveryError("timeout") from None
        self.late.discard(envelope.id)

    def probe(self, *, seconds: float) -> int | None:
        """Check the transport as it checks itself."""
        return self._transport.probe(seconds=seconds)


@dataclass(frozen=True)
class HttpsTransport:
    """An endpoint that takes an envelope as a POST and answers 2xx, or 409 if it had it already."""

    host: str
    port: int
    path: str
    token: str = field(repr=False)
    context: ssl.SSLContext = field(repr=False)

    def deliver(self, envelope: Envelope, *, seconds: float) -> None:
        """POST the envelope under its id as Idempotency-Key; redirects are not followed."""
        headers = {"Content-Type": "application/age", "Idempotency-Key": envelope.id}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        with self._connect(seconds) as client:
            # A server may answer, and close, before it has read everything.
            sent = True
            try:
                client.request("POST", self.path, body=envelope.data, headers=headers)
            except OSError:
                sent = False
            with client.getresponse() as response:
                status = response.status
            if sent or status >= HTTPStatus.BAD_REQUEST:
                _check_status(status)
            else:
                raise DeliveryError("closed")

    def probe(self, *, seconds: float) -> int | None:
        """Connect and check certificates."""
        with self._connect(seconds):
            return None

    @contextmanager
    def _connect(self, seconds: float) -> Iterator[http.client.HTTPSConnection]:
        with (
            open_connection(self.host, self.port, seconds=seconds) as sock,
            self.context.wrap_socket(sock, server_hostname=self.host) as secured,
        ):
            client = http.client.HTTPSConnection(self.host, self.port, context=self.context)
            client.sock = secured
            yield client


@contextmanager
def open_connection(host: str, port: int, *, seconds: float) -> Iterator[socket.socket]:
    """Open a connection that is cut after `seconds` in all; raises DeliveryError, never what the server said.

    A time-out for each read would not stop a server that sends one byte a second, so a timer closes the connection.
    The socket may be wrapped in TLS: the timer holds a handle of its own to the same connection.
    """
    ends = time.monotonic() + seconds
    with _open_socket(host, port, ends) as sock, sock.dup() as handle:

        def cut() -> None:
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(max(0.0, ends - time.monotonic()), cut)
        timer.daemon = True
        timer.start()
        try:
            yield sock
        except DeliveryError as fault:
            raise DeliveryError("timeout") if time.monotonic() >= ends else fault from None
        except (OSError, EOFError, ValueError, http.client.HTTPException, smtplib.SMTPException) as fault:
            raise DeliveryError("timeout" if time.monotonic() >= ends else _code_of(fault)) from None
        finally:
            timer.cancel()
            timer.join()


def _open_socket(host: str, port: int, ends: float) -> socket.socket:
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


def _code_of(fault: Exception) -> str:
    if isinstance(fault, TimeoutError):
        return "timeout"
    if isinstance(fault, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "closed"
    return "tls" if isinstance(fault, ssl.SSLError) else "closed"


def _check_status(status: int) -> None:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.CONFLICT:
        return
    if status < HTTPStatus.BAD_REQUEST:
        raise DeliveryError("redirect")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}:
        raise DeliveryError("auth")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        raise DeliveryError("too-large", permanent=True)
    if status == HTTPStatus.INSUFFICIENT_STORAGE:
        raise DeliveryError("receiver-full")
    passing = {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.NOT_FOUND,
    }
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in passing:
        raise DeliveryError("refused")
    raise DeliveryError("rejected", permanent=True)
