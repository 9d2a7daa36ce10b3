"""The replies that desks post, kept under a locator until their day has passed.

A reply is kept as the desk sealed it: the site can neither read the reply nor derive its locator, which only the
receipt code leads to. `read_reply_post` refuses, before parsing, a body that no configured agency signed.
"""

import base64
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.exc import IntegrityError

from app.core.errors import OutboxError, ReplyError, ReplyKnownError, SignatureError
from app.delivery.clock import nz_day
from app.delivery.database import Database
from app.delivery.receipt_codes import Locator
from app.delivery.schema import (
    delete_expired,
    delete_replies,
    insert_message,
    message_spares,
    messages,
    posted,
    replies,
)
from app.vault.reply import SEALED_BYTES
from app.vault.signature import SignatureContext, verify

MAX_POST_BYTES = 64 * 1024
MAX_REPLY_DAYS = 90

_LOCATOR = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class ReplyPost:
    """A reply as a desk posts it; `message` is sealed, 32,796 bytes."""

    agency: str
    reply_id: str
    locator: Locator
    expires: date
    message: bytes


def read_reply_post(untrusted_body: bytes, untrusted_signature: str, keys: Mapping[str, bytes]) -> ReplyPost:
    """Return the reply in the body of a POST to /agency/replies that a configured agency signed.

    `untrusted_signature` is the Haumaru-Signature header, base64; `keys` holds the Ed25519 public key of each agency,
    32 bytes. Raises ReplyError (403): `too-long`, `signature`, or `post` for a signed body of another form.
    """
    if len(untrusted_body) > MAX_POST_BYTES:
        raise ReplyError("too-long")
    signers = {agency for agency, key in keys.items() if _is_signed(untrusted_body, untrusted_signature, key)}
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


class ReplyStore:
    """The replies in one database; call `prepare` of its outbox first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, post: ReplyPost, *, now: float) -> None:
        """Store a reply until the reply is deleted or its day has passed.

        Raises ReplyError `expires` if that day is past or more than 90 days off, and ReplyKnownError if
        this reply_id was stored before and its day has not passed, deleted or not.
        """
        today = nz_day(now)
        if not today <= post.expires <= today + timedelta(days=MAX_REPLY_DAYS):
            raise ReplyError("expires")
        reply = hashlib.sha256(post.reply_id.encode()).digest()
        with self._database.write() as connection:
            delete_expired(connection, now)
            try:
                connection.execute(insert(posted).values(reply=reply, expires=post.expires))
            except IntegrityError:
                raise ReplyKnownError from None
            insert_message(connection, reply, post.message)
            row = {"locator": post.locator, "reply": reply, "expires": post.expires}
            connection.execute(insert(replies).values(row))

    def fetch(self, locator: Locator, *, now: float) -> tuple[bytes, ...]:
        """Return the sealed replies under a locator in the order of their last days; none is no error.

        A reply of which no undamaged copy is left is empty, so that a damaged reply hides no other. Raises OutboxError.
        """
        wanted = (replies.c.locator == locator) & (replies.c.expires >= nz_day(now))
        return tuple(self._read(name) for name in self._names(wanted))

    def delete(self, locator: Locator, seen: Collection[bytes] | None = None) -> None:
        """Destroy the replies under a locator of which `seen` holds the SHA-256, or all of them; raises OutboxError.

        Their ids stay known until their days have passed.
        """
        wanted = replies.c.locator == locator
        if seen is not None:
            names = [name for name in self._names(wanted) if hashlib.sha256(self._read(name)).digest() in seen]
            wanted &= replies.c.reply.in_(names)
        with self._database.write() as connection:
            delete_replies(connection, wanted)

    def _names(self, wanted: ColumnElement[bool]) -> list[bytes]:
        with self._database.read() as connection:
            order = (replies.c.expires, replies.c.reply)
            found = connection.execute(select(replies.c.reply).where(wanted).order_by(*order))
            return [bytes(name) for name in found.scalars()]

    def _read(self, name: bytes) -> bytes:
        try:
            return self._database.read_blob(name, messages, message_spares)
        except OutboxError as error:
            if error.code not in {"gone", "corrupt"}:
                raise
            return b""


def _is_signed(body: bytes, signature: str, public_key: bytes) -> bool:
    try:
        verify(SignatureContext.REPLY_POST, body, signature, public_key)
    except SignatureError:
        return False
    return True
