"""Posts to the site at one pace: once an hour one body of one length, whether or not a handler wrote.

Each post carries a reply that waits (a handler's words before a status) or, under a random locator and a key that is
thrown away, a message that says nothing. Only a holder of the receipt code could tell them apart: agency, length, last
day and signature say the same. The time of the last post is kept, so that starting the desk again makes no post come
early. A post that fails is not repeated before the next hour.
"""

import json
import secrets
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import DeliveryError
from app.delivery.clock import nz_day
from app.delivery.leases import Leases
from app.delivery.transports import open_connection
from app.desk.config import REPLY_SITE_ID, ReplySite
from app.desk.replies import DAYS, ReplyQueue
from app.desk.store import SealedStore
from app.desk.thread import sealed_fields
from app.vault.reply import KEY_BYTES, seal_reply
from app.vault.signature import SignatureContext, sign
from app.vault.tip import ReplyTo, new_tip_id

POST_SECONDS = 60.0  # for one post in all
_LAST_POST = "posted.age"
_RANDOM_LOCATORS = "locators.age"  # of messages that say nothing
_KEPT_LOCATORS = 512  # about three weeks of posts
_AGAIN_EACH = 2  # one of so many messages that say nothing goes under a locator that had one before
_LOCATOR_BYTES = 16


class ReplyPoster:
    """Posts the replies of one desk; failures are noted in the outbox, where the desk's health shows them."""

    def __init__(
        self,
        queue: ReplyQueue,
        store: SealedStore,
        leases: Leases,
        site: ReplySite,
        key: Ed25519PrivateKey,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._queue, self._store, self._leases = queue, store, leases
        self._site, self._key, self._clock = site, key, clock
        self._last: int | None = None  # the number of the hour of the last post

    def post_due(self) -> None:
        """Post once in each hour; a failure is noted. A desk that never posted begins in the next hour.

        Raises RefusedError, OutboxError.
        """
        hour = int(self._clock()) // self._site.every
        last = self._read_last() if self._last is None else self._last
        if hour == last:
            return
        self._store.write(_LAST_POST, str(hour).encode())
        self._last = hour
        if last is None:
            return
        try:
            self._post_one()
        except DeliveryError as error:
            self._leases.record_failure(REPLY_SITE_ID, error.code, now=self._clock())
        else:
            self._leases.clear_failures(REPLY_SITE_ID)

    def _read_last(self) -> int | None:
        try:
            return int(self._store.read(_LAST_POST))
        except FileNotFoundError:
            return None

    def _post_one(self) -> None:
        """Post a waiting reply, of a thread chosen at random: a reply that the site refuses holds up no other."""
        now = self._clock()
        waiting, today = self._queue.waiting(now), nz_day(now)
        if waiting:
            reply_to, message = secrets.choice(waiting)
            said = sealed_fields(message, self._queue.number(message.id))
            self._post(self._body(message.id, reply_to, said, today))
            self._queue.note_posted(message.id)
        else:
            reply_to = ReplyTo(secrets.token_bytes(KEY_BYTES), self._random_locator())
            self._post(self._body(new_tip_id(), reply_to, {"kind": "nothing"}, today))

    def _random_locator(self) -> str:
        """Return the locator of a message that says nothing: a new one, or now and then one that had a message before.

        Otherwise the site's table would show to which locator a desk wrote again: what became of one tip is several
        posts. So every second message that says nothing goes where one went before.
        """
        try:
            kept = self._store.read(_RANDOM_LOCATORS).decode("ascii").split()
        except FileNotFoundError:
            kept = []
        if kept and secrets.randbelow(_AGAIN_EACH) == 0:
            return secrets.choice(kept)
        locator = secrets.token_hex(_LOCATOR_BYTES)
        kept = [*kept[1 - _KEPT_LOCATORS :], locator]
        self._store.write(_RANDOM_LOCATORS, " ".join(kept).encode("ascii"))
        return locator

    def _body(self, reply_id: str, reply_to: ReplyTo, message: Mapping[str, object], today: date) -> bytes:
        """Return what is posted: the sealed message and what the site needs to keep it, and nothing of the tip.

        The last day counts from today, so that it does not show since when a reply waited.
        """
        fields = {
            "agency": self._site.agency,
            "reply_id": reply_id,
            "locator": reply_to.locator,
            "expires": (today + timedelta(days=DAYS)).isoformat(),
            "message": b64encode(seal_reply(message, reply_to.key, reply_to.locator)).decode("ascii"),
        }
        return json.dumps(fields).encode()

    def _post(self, body: bytes) -> None:
        """POST one body; 204 and 409 (the site knows its id) are success. Raises DeliveryError."""
        with self._connect() as client:
            headers = {
                "Content-Type": "application/json",
                "Haumaru-Signature": sign(SignatureContext.REPLY_POST, body, self._key),
            }
            client.request("POST", urlsplit(self._site.replies).path or "/", body=body, headers=headers)
            with client.getresponse() as response:
                status = response.status
        if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.CONFLICT):
            raise DeliveryError("auth" if status == HTTPStatus.FORBIDDEN else "refused")

    @contextmanager
    def _connect(self) -> Iterator[HTTPConnection]:
        parts = urlsplit(self._site.replies)
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        with open_connection(host, port, seconds=POST_SECONDS) as sock:
            client = HTTPConnection(host, port)
            context = ssl.create_default_context(cafile=self._site.ca) if secure else None
            client.sock = context.wrap_socket(sock, server_hostname=host) if context else sock
            yield client
