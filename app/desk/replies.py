"""Replies to a sender: checked, sealed with the tip's reply key, and delivered to the site like a referral.

The site learns a locator and a day, nothing of the tip or the words. A reply waits in the desk's outbox, sealed to
the desk's own key, so that the disk shows no locator; it is tried until the site has it. Refuses a link in a reply,
and warns of what could put its reader at risk.
"""

import json
import re
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import DeliveryError, ReplyError
from app.core.unicode import clean_text
from app.delivery.leases import Leases
from app.delivery.outbox import Envelope, Outbox
from app.delivery.transports import open_connection
from app.desk.case import Case, ThreadMessage
from app.desk.cases import Cases
from app.desk.config import REPLY_SITE_ID, ReplySite
from app.desk.errors import RefusedError
from app.desk.store import SealedStore
from app.vault.reply import seal_reply
from app.vault.signature import SignatureContext, sign
from app.vault.tip import ReplyTo, TipId, new_tip_id

DAYS = 90  # for which the site keeps a reply
MAX_LENGTH = 5000  # characters

_LOCATOR = re.compile("[0-9a-f]{32}")  # the site refuses a locator of any other form
_LINK = re.compile(r"https?:|www\.|\b[\w-]+(?:\.[\w-]+)*\.(?:[a-z]{2,24})\b(?:/|\b)|\w@\w", re.IGNORECASE)
_ASKS: Mapping[str, re.Pattern[str]] = {
    "who": re.compile(
        r"\b(?:who (?:are|is) you|your (?:\w+ )?(?:name|number|phone|e-?mail|address|age|job|workplace|contact|details)"
        r"|what(?:'s| is) your|how (?:can|do|could) (?:we|i) (?:reach|contact|call)"
        r"|(?:call|ring|text|phone|e-?mail|contact|write to) (?:us|me)|identify yourself|tell (?:us|me) who)",
        re.IGNORECASE,
    ),
    "meet": re.compile(
        r"\b(?:meet(?:ing)?|come (?:in|to|and see|by)|visit (?:us|me)|in person|face to face|see you|pick you up|go to"
        r"|where (?:are|do) you (?:live|work|stay)?|appointment)\b",
        re.IGNORECASE,
    ),
}
WARNINGS: Mapping[str, str] = {
    "who": "This may ask who they are. They were promised that nobody would.",
    "meet": "This may ask them to come somewhere. Somebody could be watching them, or waiting.",
}


def reply_warnings(text: str) -> tuple[str, ...]:
    """Return what in a reply could put its reader at risk, as sentences; raises RefusedError `reply-link`."""
    if _LINK.search(text):
        raise RefusedError("reply-link")
    return tuple(WARNINGS[name] for name, asks in _ASKS.items() if asks.search(text))


class ReplyQueue:
    """The replies of one desk on their way: put into its outbox beside the referrals, sealed to the desk's own key."""

    def __init__(self, cases: Cases, store: SealedStore, outbox: Outbox, site: ReplySite | None) -> None:
        self._cases, self._store, self._outbox, self._site = cases, store, outbox, site

    def write(self, case: Case, who: str, untrusted_text: str) -> Case:
        """Seal a reply, queue it, and keep it in the thread; raises RefusedError, OutboxError.

        The codes: `no-site`, `no-reply`, `no-words`, `too-long`, `reply-link`, and those of `Case.require_holder`.
        """
        text = clean_text(untrusted_text)
        if self._site is None:
            raise RefusedError("no-site")
        if case.reply is None or not _LOCATOR.fullmatch(case.reply.locator):
            raise RefusedError("no-reply")
        if not text:
            raise RefusedError("no-words")
        if len(text) > MAX_LENGTH:
            raise RefusedError("too-long")
        reply_warnings(text)
        message = ThreadMessage(self._cases.today(), who, text, id=new_tip_id())
        body = _post_body(message, case.reply, self._site)

        def add(now: Case) -> Case:
            changed = now.with_reply(who, message)
            self._put(message, body)
            return changed

        return self._cases.change(case.id, who, "replied", add)

    def requeue(self) -> None:
        """Queue anew every reply that the site does not have yet and that has not ended; raises OutboxError.

        Done once at start: a reply that was sealed to an identity of before `rekey` is sealed to today's. The site
        knows a reply by its id, so none can be left there twice.
        """
        if self._site is None:
            return
        leases, first_day = Leases(self._outbox.database), self._cases.today() - timedelta(days=DAYS)
        for case in self._cases.all():
            for message in case.thread:
                if case.reply and message.who and not message.posted and message.day >= first_day:
                    leases.settle(TipId(message.id))
                    self._put(message, _post_body(message, case.reply, self._site))

    def _put(self, message: ThreadMessage, body: bytes) -> None:
        self._outbox.put(Envelope(TipId(message.id), REPLY_SITE_ID, self._store.seal(body)))


@dataclass(frozen=True)
class ReplyTransport:
    """Delivers queued replies: opens each, signs the body, POSTs it to the site, and notes it as posted."""

    site: ReplySite
    key: Ed25519PrivateKey = field(repr=False)
    cases: Cases = field(repr=False)
    store: SealedStore = field(repr=False)

    def deliver(self, envelope: Envelope, *, seconds: float) -> None:
        """POST one reply within `seconds`; the site has it on returning, unless its last day has passed.

        204 and 409 (the site knows its id) settle it. Raises DeliveryError, and RefusedError where it does not open.
        """
        body = self.store.unseal(envelope.data)
        if date.fromisoformat(json.loads(body)["expires"]) < self.cases.today():
            return  # the site refuses an expired reply, and a refusal holds up the replies behind it
        with self._connect(seconds) as client:
            signature = sign(SignatureContext.REPLY_POST, body, self.key)
            headers = {"Content-Type": "application/json", "Haumaru-Signature": signature}
            client.request("POST", urlsplit(self.site.replies).path or "/", body=body, headers=headers)
            with client.getresponse() as response:
                status = response.status
        if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.CONFLICT):
            raise DeliveryError("auth" if status == HTTPStatus.FORBIDDEN else "refused")
        self.cases.note_posted(envelope.id)

    def probe(self, *, seconds: float) -> int | None:
        """Connect and check the certificate; raises DeliveryError."""
        with self._connect(seconds):
            return None

    @contextmanager
    def _connect(self, seconds: float) -> Iterator[HTTPConnection]:
        parts = urlsplit(self.site.replies)
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        with open_connection(host, port, seconds=seconds) as sock:
            client = HTTPConnection(host, port)
            context = ssl.create_default_context(cafile=self.site.ca) if secure else None
            client.sock = context.wrap_socket(sock, server_hostname=host) if context else sock
            yield client


def _post_body(message: ThreadMessage, reply: ReplyTo, site: ReplySite) -> bytes:
    """Return what is posted: the sealed message and what the site needs to keep it, and nothing of the tip."""
    try:
        sealed = seal_reply({"text": message.text, "day": message.day.isoformat()}, reply.key, reply.locator)
    except ReplyError:
        raise RefusedError("too-long") from None
    fields = {
        "agency": site.agency,
        "reply_id": message.id,
        "locator": reply.locator,
        "expires": (message.day + timedelta(days=DAYS)).isoformat(),
        "message": b64encode(sealed).decode(),
    }
    return json.dumps(fields).encode()
