"""Real servers on loopback for the tests: SMTP, HTTPS, and one that misbehaves.

Each is a context manager that stops its server when it ends.
"""

# ruff: noqa: ARG002  # aiosmtpd calls its hooks with what it has
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.support.ports import free_port


class Certificates:
    """An authority of our own, a certificate for loopback, and one for a client; as files in a folder."""

    def __init__(self, folder: Path, *, names: tuple[str, ...] = ("localhost", "127.0.0.1")) -> None:
        authority = trustme.CA()
        self.ca, self.client, self.client_key = folder / "ca.pem", folder / "client.pem", folder / "client.key"
        authority.cert_pem.write_to_path(str(self.ca))
        client = authority.issue_cert("forwarder@example.org")
        client.cert_chain_pems[0].write_to_path(str(self.client))
        client.private_key_pem.write_to_path(str(self.client_key))
        self._server = authority.issue_cert(*names)

    def context(self, *, ask_client: bool = False) -> ssl.SSLContext:
        """Return a server's context; `ask_client`: it refuses clients without a certificate of ours."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.configure_cert(context)
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context


@dataclass
class Mailbox:
    """What an SMTP server was sent, and how it answers to RCPT and DATA."""

    mails: list[bytes] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    greetings: list[str] = field(default_factory=list)
    rcpt: str = "250 OK"
    data: str = "250 OK"
    logins: list[str] = field(default_factory=list)

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802
        session.host_name = hostname
        self.greetings.append(hostname)
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.data.startswith("250"):
            self.mails.append(envelope.content)
            self.senders.append(envelope.mail_from)
        return self.data

    def authenticate(self, server, session, envelope, mechanism, credentials):
        """Take the one password there is."""
        good = isinstance(credentials, LoginPassword) and credentials.password == b"open sesame"
        self.logins.append(mechanism)
        return AuthResult(success=good, handled=False)


@contextmanager
def smtp(
    certificates: Certificates, *, immediate: bool = False, tls: bool = True, size: int = 50_000_000
) -> Iterator[tuple[int, Mailbox]]:
    """Run an SMTP server with STARTTLS (or TLS from the first byte, or no TLS); yields its port."""
    mailbox = Mailbox()
    starttls = tls and not immediate
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=free_port(),
        ssl_context=certificates.context() if immediate else None,
        tls_context=certificates.context() if starttls else None,
        require_starttls=starttls,
        auth_require_tls=starttls,
        authenticator=mailbox.authenticate,
        data_size_limit=size,
    )
    controller.start()
    try:
        yield controller.port, mailbox
    finally:
        controller.stop()


@dataclass(frozen=True)
class Request:
    """One request that an HTTPS server was sent."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Endpoint:
    """What an HTTPS server was sent, and what it answers: a status each, the last one for good."""

    statuses: list[int] = field(default_factory=lambda: [201])
    requests: list[Request] = field(default_factory=list)
    read_body: bool = True
    by_id: dict[str, int] = field(default_factory=dict)  # what some envelopes get

    def status(self, tip: str) -> int:
        """Return the status with which an envelope is answered."""
        if tip in self.by_id:
            return self.by_id[tip]
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextmanager
def https(certificates: Certificates, *, ask_client: bool = False) -> Iterator[tuple[int, Endpoint]]:
    """Run an HTTPS server; yields its port."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length) if endpoint.read_body else b""
            endpoint.requests.append(Request(self.path, dict(self.headers), body))
            self.send_response(endpoint.status(self.headers.get("Idempotency-Key", "")))
            self.send_header("Location", f"https://127.0.0.1:{self.server.server_port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            """Say nothing: refused handshakes are what is tested."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = certificates.context(ask_client=ask_client).wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port, endpoint
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def misbehaving(behave: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a server that does `behave` with each connection, inside TLS if there is a context."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads: list[threading.Thread] = []

        def serve(accepted: socket.socket) -> None:
            with suppress(OSError), accepted:
                if context is None:
                    behave(accepted)
                else:
                    with context.wrap_socket(accepted, server_side=True) as secured:
                        behave(secured)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threads.append(threading.Thread(target=serve, args=(listener.accept()[0],)))
                    threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()
