"""The ways in which one envelope reaches its agency: a folder or an https endpoint here, a mailbox in `mail`.

`deliver` returns only when the other end has taken the envelope, and may be repeated: the id makes two
deliveries one. It raises DeliveryError with a code of this list: unreachable, timeout, tls, auth, closed,
refused, rejected, too-large, redirect, disk. Nothing in a name, header or file time is finer than the day
or tells anything about a tip but its size class.
"""

import http.client
import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from app.core.errors import DeliveryError
from app.delivery.clock import midnight
from app.delivery.connection import connection
from app.delivery.outbox import Envelope


class Transport(Protocol):
    """A way to one agency."""

    def deliver(self, envelope: Envelope, *, seconds: float) -> None:
        """Hand over one envelope within `seconds`; raises DeliveryError."""

    def probe(self, *, seconds: float) -> int | None:
        """Go as far as can be gone without an envelope; raises DeliveryError.

        Returns the length in bytes of the largest envelope that fits, or None where no limit is told.
        """


@dataclass(frozen=True)
class Drop:
    """A folder; it must be there, since a folder made anew may hide that a disk is not mounted."""

    folder: Path
    clock: Callable[[], float] = time.time

    def deliver(self, envelope: Envelope, *, seconds: float) -> None:  # noqa: ARG002  # a disk keeps no time
        """Write under a temporary name, fsync, set the times to the day, rename, fsync the folder."""
        part = self.folder / f".{envelope.id}.part"
        try:
            self._write(part, envelope.data)
            part.rename(self.folder / f"{envelope.id}.age")
            _fsync(self.folder)
        except OSError:
            with suppress(OSError):
                part.unlink()
            raise DeliveryError("disk") from None

    def probe(self, *, seconds: float) -> int | None:  # noqa: ARG002
        """Look whether the folder is there and takes files."""
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise DeliveryError("disk")
        return None

    def _write(self, part: Path, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(part, flags, 0o640), "wb") as file:  # noqa: PTH123  # a descriptor, not a path
            file.write(data)
            file.flush()
            moment = midnight(self.clock()).timestamp()
            os.utime(file.fileno(), (moment, moment))
            os.fsync(file.fileno())


@dataclass(frozen=True)
class Https:
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
                _judge(status)
            else:
                raise DeliveryError("closed")

    def probe(self, *, seconds: float) -> int | None:
        """Connect and check certificates."""
        with self._connect(seconds):
            return None

    @contextmanager
    def _connect(self, seconds: float) -> Iterator[http.client.HTTPSConnection]:
        with (
            connection(self.host, self.port, seconds=seconds) as sock,
            self.context.wrap_socket(sock, server_hostname=self.host) as secured,
        ):
            client = http.client.HTTPSConnection(self.host, self.port, context=self.context)
            client.sock = secured
            yield client


def _judge(status: int) -> None:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.CONFLICT:
        return
    if status < HTTPStatus.BAD_REQUEST:
        raise DeliveryError("redirect")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}:
        raise DeliveryError("auth")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        raise DeliveryError("too-large", permanent=True)
    passing = {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.NOT_FOUND,
    }
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in passing:
        raise DeliveryError("refused")
    raise DeliveryError("rejected", permanent=True)


def _fsync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
