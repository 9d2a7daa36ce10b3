"""The WSGI application that receives envelopes from the site's `https:` transport into the inbox.

It answers 201 only when the envelope is on the disk, and 409 for an id that the inbox, the store or the journal knows.
A request without the token is refused before a byte of its body is read. The receiver holds no identity, so it can
open no envelope.
"""

import hmac
import json
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from wsgiref.types import StartResponse, WSGIEnvironment

from app.core.errors import BundleError, DeliveryError
from app.delivery.outbox import Envelope
from app.delivery.transports import FolderTransport
from app.desk.envelopes import MAX_ENVELOPE_BYTES, id_from_name
from app.vault.bundle import size_class
from app.vault.tip import TipId
from app.web.middleware import REFUSED, BodyLimiter

MAX_BODIES = 8  # at once
_BODY_SECONDS = 60.0


class ReceivedIds:
    """The ids of envelopes that came before: in the inbox, in the store, or in the journal of what the store held."""

    def __init__(self, inbox: Path, store: Path) -> None:
        self._inbox, self._store = inbox, store
        self._ids: set[str] = set()
        self._journal_read = 0  # bytes
        self._lock = Lock()

    def __contains__(self, tip: TipId) -> bool:
        """Whether an envelope of this id came before."""
        name = f"{tip}.age"
        if (self._inbox / name).exists() or (self._store / "envelopes" / name).exists():
            return True
        with self._lock:
            self._read_new_lines()
            return tip in self._ids

    def _read_new_lines(self) -> None:
        path = self._store / "journal.jsonl"
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self._journal_read)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._journal_read += len(line)
                entry = json.loads(line)
                if entry["did"] == "received":
                    self._ids.add(entry["tip"])


class EnvelopeReceiver:
    """The application of `haumaru-desk receive` (PEP 3333); an empty `token` means that TLS checks the client."""

    def __init__(self, inbox: Path, store: Path, *, token: str, hosts: frozenset[str] | None = None) -> None:
        self._token = token
        self._received = ReceivedIds(inbox, store)
        self._folder = FolderTransport(inbox)
        self._limiter = BodyLimiter(
            self._receive,
            hosts=hosts,
            bodies=MAX_BODIES,
            max_body=MAX_ENVELOPE_BYTES,
            deadline=_BODY_SECONDS,
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
        if tip is None or not _is_envelope(data):
            return _respond(start_response, HTTPStatus.UNPROCESSABLE_ENTITY)
        if tip in self._received:
            return _respond(start_response, HTTPStatus.CONFLICT)
        try:
            self._folder.deliver(Envelope(tip, "", data), seconds=_BODY_SECONDS)
        except DeliveryError:
            return _respond(start_response, HTTPStatus.INSUFFICIENT_STORAGE)
        return _respond(start_response, HTTPStatus.CREATED)


def _is_envelope(data: bytes) -> bool:
    try:
        size_class(len(data))
    except BundleError:
        return False
    return data.startswith(b"age-encryption.org/v1\n")


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
