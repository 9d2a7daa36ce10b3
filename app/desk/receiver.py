"""The far end of the site's `https:` transport: takes envelopes into the inbox, and can open none of them.

It answers 201 only when the envelope is on the disk, and 409 for one that it has, or that the desk once had. Whoever
shows no token is turned away before a byte of the body is read. It holds no identity.
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

BODIES = 8
_SECONDS = 60.0


class ReceivedIds:
    """Which ids are here already: in the inbox, in the store, or in the journal of what the store once held."""

    def __init__(self, inbox: Path, store: Path) -> None:
        self._inbox, self._store = inbox, store
        self._ids: set[str] = set()
        self._read = 0
        self._lock = Lock()

    def has(self, tip: TipId) -> bool:
        """Whether an envelope of this id was taken before."""
        name = f"{tip}.age"
        if (self._inbox / name).exists() or (self._store / "envelopes" / name).exists():
            return True
        with self._lock:
            self._follow()
            return tip in self._ids

    def _follow(self) -> None:
        path = self._store / "journal.jsonl"
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                entry = json.loads(line)
                if entry["did"] == "received":
                    self._ids.add(entry["tip"])


class EnvelopeReceiver:
    """The WSGI application of `haumaru-desk receive`; an empty `token` leaves that to client certificates."""

    def __init__(self, inbox: Path, store: Path, *, token: str, hosts: frozenset[str] | None = None) -> None:
        self._token = token
        self._known = ReceivedIds(inbox, store)
        self._drop = FolderTransport(inbox)
        self._limiter = BodyLimiter(
            self._take,
            hosts=hosts,
            bodies=BODIES,
            max_body=MAX_ENVELOPE_BYTES,
            deadline=_SECONDS,
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

    def _take(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if REFUSED in environ:
            return _respond(start_response, HTTPStatus(environ[REFUSED]))
        tip = id_from_name(f"{environ.get('HTTP_IDEMPOTENCY_KEY', '')}.age")
        data = environ["wsgi.input"].read()
        if tip is None or not _is_envelope(data):
            return _respond(start_response, HTTPStatus.UNPROCESSABLE_ENTITY)
        if self._known.has(tip):
            return _respond(start_response, HTTPStatus.CONFLICT)
        try:
            self._drop.deliver(Envelope(tip, "", data), seconds=_SECONDS)
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
