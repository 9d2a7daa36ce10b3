"""Serves the desk over TLS 1.2 or later on an agency's own network.

Each connection is shaken hands with in a thread of its own, so a silent one keeps nobody else waiting. The
wait for a request, and its answer, have their longest times; one address, and all addresses together, have their most
connections. The server logs no request and names no software. A request without TLS gets no answer.
"""

import socket
import ssl
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from app.core.errors import ConfigError
from app.desk.config import ListenAddress

HEAD_SECONDS = 20.0  # until TLS is agreed and the head of a request is here; also the pause between two requests
ANSWER_SECONDS = 600.0  # until a request is answered, its body read
MAX_CONNECTIONS = 128
MAX_OF_ADDRESS = 32


class RequestReader(WSGIRequestHandler):
    """Answers requests and logs none."""

    timeout = 60.0  # seconds that a silent connection may hold a thread

    def version_string(self) -> str:
        """Return a name that says nothing about the software."""
        return "desk"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # Werkzeug's own name
        """Log nothing."""


class TlsRequestReader(RequestReader):
    """Answers requests within the times of the server."""

    server: "TlsServer"
    timeout = HEAD_SECONDS

    def handle_one_request(self) -> None:
        """Wait for the head of a request, and answer the request."""
        self.server.end_after(self.connection, HEAD_SECONDS)
        super().handle_one_request()

    def run_wsgi(self) -> None:
        """Answer a request whose head is here."""
        self.server.end_after(self.connection, ANSWER_SECONDS)
        super().run_wsgi()


class TlsServer(ThreadedWSGIServer):
    """The server; its application is set before it serves."""

    def __init__(self, bind: ListenAddress, context: ssl.SSLContext, *, head_seconds: float = HEAD_SECONDS) -> None:
        super().__init__(bind.host, bind.port, no_app_yet, TlsRequestReader)
        self.ssl_context = context  # Werkzeug would shake hands where it accepts, one connection after the other
        self._head_seconds = head_seconds
        self._ends: dict[socket.socket, float] = {}
        self._addresses: Counter[str] = Counter()
        self._lock = threading.Lock()

    def end_after(self, connection: socket.socket, seconds: float) -> None:
        """Give a connection so much time from now, or the shorter time of this server."""
        with self._lock:
            if connection in self._ends:
                self._ends[connection] = time.monotonic() + (
                    min(seconds, self._head_seconds) if seconds <= HEAD_SECONDS else seconds
                )

    def service_actions(self) -> None:
        """Cut the connections whose time is over; the server calls this between two looks for a connection."""
        super().service_actions()
        with self._lock:
            over = [one for one, end in self._ends.items() if end < time.monotonic()]
        for one in over:
            _cut(one)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002  # the interface of socketserver
        """Return whether there is room for one more connection of this address."""
        with self._lock:
            return self._addresses.total() < MAX_CONNECTIONS and self._addresses[client_address[0]] < MAX_OF_ADDRESS

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count the connection, then handle it in a thread of its own."""
        with self._lock:
            self._addresses[client_address[0]] += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Agree on TLS, answer every request of the connection, and close the connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._addresses[client_address[0]] -= 1

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Agree on TLS, then answer the requests."""
        assert self.ssl_context is not None
        request.settimeout(self._head_seconds)
        with self.ssl_context.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as secure:
            with self._lock:
                self._ends[secure] = time.monotonic() + self._head_seconds
            try:
                secure.do_handshake()
                super().finish_request(secure, client_address)
            finally:
                with self._lock:
                    self._ends.pop(secure, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: an error of a connection could repeat what a stranger sent; the application logs its own."""


def tls_context(cert: Path, key: Path) -> ssl.SSLContext:
    """Return the TLS of a server with this certificate, its chain in the same file; raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # The callback answers in the place of a prompt, which would stop the start.
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (OSError, ValueError):
        fault = "[desk] tls_cert, tls_key: cannot be used; write a certificate in PEM, and its key without a passphrase"
        raise ConfigError((fault,)) from None
    return context


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # below TLS: the thread that waits there goes on and ends


def no_app_yet(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Stand in for the application, which is created when the address of the server is known."""
    raise RuntimeError(environ["PATH_INFO"], start_response)
