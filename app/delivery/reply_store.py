"""Receipt codes, what is derived from them, and the replies that desks leave under a locator.

A code is eight words of the BIP-39 English list, 88 bits; it is never kept anywhere. The site keeps a
reply as the desk sealed it, under a locator that only the code leads to, and can read neither.
Derivations take 64 MiB each: one at a time for those who read, one for those who send.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NewType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from app.core.errors import BusyError, ReplyError, ReplyKnownError
from app.delivery.clock import day
from app.delivery.database import Store
from app.delivery.receipt_codes import ReceiptCode
from app.delivery.schema import destroy, keep, posted, replies, sweep
from app.vault.reply import SEALED_BYTES

SALT = b"haumaru/receipt/1"
POST_CONTEXT = b"haumaru/reply-post/1"
POST_BYTES = 64 * 1024
LONGEST_DAYS = 90

Locator = NewType("Locator", str)

_LOCATOR = re.compile("[0-9a-f]{32}")


def derive(code: ReceiptCode) -> tuple[Locator, bytes]:
    """Return a code's locator (32 hexadecimal digits) and reply key (32 bytes).

    Takes 64 MiB and some 0.1 s: call it through a DerivationQueue. Argon2id (RFC 9106), then HKDF-SHA256 (RFC 5869).
    """
    # More than one lane, in several threads at once, has never returned in some versions.
    root = Argon2id(salt=SALT, length=32, iterations=3, lanes=1, memory_cost=64 * 1024).derive(code.encode())
    return Locator(_expand(root, b"locator", 16).hex()), _expand(root, b"reply-key", 32)


class DerivationQueue:
    """Lets one derivation at a time through, with a bounded number waiting; beyond that, BusyError."""

    def __init__(self, *, waiting: int) -> None:
        self._places = threading.BoundedSemaphore(waiting + 1)
        self._turn = threading.Lock()

    def derive(self, code: ReceiptCode) -> tuple[Locator, bytes]:
        """Derive when it is our turn; raises BusyError, at once, if too many wait."""
        with self._place(), self._turn:
            return derive(code)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise BusyError
        try:
            yield
        finally:
            self._places.release()


@dataclass(frozen=True)
class ReplyPost:
    """A reply as a desk posts it; `message` is sealed, 32,796 bytes."""

    agency: str
    reply_id: str
    locator: Locator
    expires: date
    message: bytes


def read_post(untrusted_body: bytes, untrusted_signature: str, keys: Mapping[str, bytes]) -> ReplyPost:
    """Return the reply in the body of a POST to /agency/replies, if a desk signed it.

    `untrusted_signature` is the Haumaru-Signature header, base64; `keys` holds each agency's Ed25519
    public key, 32 bytes. Raises ReplyError (403), and parses nothing that is not signed.
    """
    if len(untrusted_body) > POST_BYTES:
        raise ReplyError("too-long")
    signers = {agency for agency, key in keys.items() if _signed(untrusted_body, untrusted_signature, key)}
    if not signers:
        raise ReplyError("signature")
    try:
        fields = json.loads(untrusted_body)
        post = ReplyPost(
            agency=fields["agency"],
            reply_id=fields["reply_id"],
            locator=Locator(fields["locator"]),
            expires=date.fromisoformat(fields["expires"]),
            message=base64.b64decode(fields["message"], validate=True),
        )
        good = post.reply_id.encode() and _LOCATOR.fullmatch(post.locator) and post.agency in signers
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise ReplyError("post") from None
    if not good or len(post.message) != SEALED_BYTES:
        raise ReplyError("post")
    return post


class ReplyBox:
    """Replies in one store, in by the desk and out by the code; `prepare` the outbox first."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def store(self, post: ReplyPost, *, now: float) -> None:
        """Keep a reply until it is deleted or its day has passed.

        Raises ReplyError `expires` if that day is past or more than 90 days off, and ReplyKnownError if
        this reply_id was stored before and its day has not passed, deleted or not.
        """
        today = day(now)
        if not today <= post.expires <= today + timedelta(days=LONGEST_DAYS):
            raise ReplyError("expires")
        reply = hashlib.sha256(post.reply_id.encode()).digest()
        with self._store.write() as connection:
            sweep(connection, now)
            try:
                connection.execute(insert(posted).values(reply=reply, expires=post.expires))
            except IntegrityError:
                raise ReplyKnownError from None
            connection.execute(
                insert(replies).values(
                    locator=post.locator, reply=reply, expires=post.expires, slot=keep(connection, reply, post.message)
                )
            )

    def fetch(self, locator: Locator, *, now: float) -> tuple[bytes, ...]:
        """Return the sealed replies under a locator, the one that ends first first; none is no error."""
        mine = (replies.c.locator == locator) & (replies.c.expires >= day(now))
        order = (replies.c.expires, replies.c.reply)
        with self._store.read() as connection:
            slots = connection.execute(select(replies.c.slot).where(mine).order_by(*order)).scalars().all()
        return tuple(self._store.blob(slot) for slot in slots)

    def delete(self, locator: Locator) -> None:
        """Destroy every reply under a locator; their ids stay known until their days have passed."""
        with self._store.write() as connection:
            destroy(connection, replies, replies.c.locator == locator)


def _expand(root: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(root)


def _signed(body: bytes, signature: str, key: bytes) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(key).verify(raw, POST_CONTEXT + body)
    except (InvalidSignature, ValueError):
        return False
    return True
