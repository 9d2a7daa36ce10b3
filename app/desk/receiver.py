"""The WSGI application that receives envelopes from the site's `https:` transport into the inbox.

It answers 201 only when the envelope is on the disk, 409 while these very bytes lie in the inbox, and 507 before the
disk is full. Words, parts and decoys are answered alike. A request without the token is refused before a byte of its
body is read. The receiver holds no identity, so it can open no envelope.
"""

import hmac
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

from app.core.errors import DeliveryError
from app.delivery.outbox import Envelope
from app.desk.config import ReceiverConfig
from app.desk.envelopes import deposit_envelope, id_from_name
from app.vault.age import ENVELOPE_BYTES
from app.web.http import REFUSED
from app.web.middleware import BodyLimiter, BodyRoom

MAX_BODIES = 8  # at once


class EnvelopeReceiver:
    """The application of `haumaru-desk receive` (PEP 3333); an empty `token` means that TLS checks the client."""

    def __init__(self, inbox: Path, *, token: str, hosts: frozenset[str] | None = None) -> None:
        self._token, self._inbox = token, inbox
        self._limiter = BodyLimiter(
            self._receive,
            hosts=hosts,
            room=BodyRoom(threads=2 * MAX_BODIES, memory=MAX_BODIES * ENVELOPE_BYTES),
            max_body=ENVELOPE_BYTES,
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        if environ["REQUEST_METHOD"] != "POST":
            healthy = environ["PATH_INFO"] == "/healthz"
            return _respond(start_response, HTTPStatus.OK if healthy else HTTPStatus.METHOD_NOT_ALLOWED)
        given = environ.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")
        if self._token and not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            return _respond(start_response, HTTPStatus.UNAUTHORIZED)
        if environ.get("CONTENT_TYPE") != "application/age":
            return _respond(start_response, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        return self._limiter(environ, start_response)

    def _receive(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if REFUSED in environ:
            return _respond(start_response, HTTPStatus(environ[REFUSED]))
        tip = id_from_name(f"{environ.get('HTTP_IDEMPOTENCY_KEY', '')}.age")
        data = environ["wsgi.input"].read()
        if tip is None or len(data) != ENVELOPE_BYTES or not data.startswith(b"age-encryption.org/v1\n"):
            return _respond(start_response, HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            new = deposit_envelope(self._inbox, Envelope(tip, "", data))
        except DeliveryError:
            return _respond(start_response, HTTPStatus.INSUFFICIENT_STORAGE)
        return _respond(start_response, HTTPStatus.CREATED if new else HTTPStatus.CONFLICT)


def serve_receiver(config: ReceiverConfig, receiver: EnvelopeReceiver) -> None:
    """Serve the receiver at its address until the process is told to end."""
    from granian import Granian  # noqa: PLC0415  # only this command needs it
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415

    Granian(
        "haumaru-desk",
        address=config.bind.host,
        port=config.bind.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=32,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
        ssl_cert=config.cert,
        ssl_key=config.key,
        ssl_ca=config.client_ca,
        ssl_client_verify=config.client_ca is not None,
    ).serve(target_loader=lambda: receiver, wrap_loader=False)


def _respond(start_response: StartResponse, status: HTTPStatus) -> Iterable[bytes]:
    headers = [
        ("Content-Length", "0"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Server", "web"),
    ]
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("Retry-After", "60"))
    start_response(f"{status.value} {status.phrase}", headers)
    return [b""]
