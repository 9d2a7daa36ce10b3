"""Replies to a sender: checked, sealed with the tip's reply key, signed by the desk, left at the site.

The site learns a locator and a day, nothing of the tip or the words. What is not yet taken is kept sealed in the tip's
record, exactly as it will be posted, and tried again until the site says 204, or 409 for one that it knows.
"""

import http.client
import json
import re
import secrets
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import DeliveryError, ReplyError
from app.core.unicode import clean_text
from app.delivery.transports import open_connection
from app.desk.case import Case, ThreadMessage
from app.desk.cases import DESK, Cases
from app.desk.config import ReplySite
from app.desk.errors import RefusedError
from app.vault.reply import seal_reply

CONTEXT = b"haumaru/reply-post/1"
DAYS = 90
LONGEST = 5000
_SECONDS = 30.0

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
    """What in a reply could put its reader at risk, as sentences; raises RefusedError for a link."""
    if _LINK.search(text):
        raise RefusedError("reply-link")
    return tuple(WARNINGS[name] for name, asks in _ASKS.items() if asks.search(text))


def write_reply(cases: Cases, case: Case, who: str, untrusted_text: str, site: ReplySite | None) -> Case:
    """Seal a reply and keep it with the tip, to be posted; raises RefusedError."""
    text = clean_text(untrusted_text)
    if site is None:
        raise RefusedError("no-site")
    if case.reply is None:
        raise RefusedError("no-reply")
    if not text:
        raise RefusedError("no-words")
    if len(text) > LONGEST:
        raise RefusedError("too-long")
    reply_warnings(text)
    today = cases.today()
    number = secrets.token_hex(16)
    try:
        sealed = seal_reply({"text": text, "day": today.isoformat()}, case.reply.key, case.reply.locator)
    except ReplyError:
        raise RefusedError("too-long") from None
    body = {
        "agency": site.agency,
        "reply_id": number,
        "locator": case.reply.locator,
        "expires": (today + timedelta(days=DAYS)).isoformat(),
        "message": b64encode(sealed).decode(),
    }
    message = ThreadMessage(today, who, text, id=number, body=json.dumps(body))
    return cases.change(case.id, who, "replied", lambda now: now.with_reply(who, message))


def post_waiting(cases: Cases, key: Ed25519PrivateKey, site: ReplySite) -> str:
    """Try to post every reply that waits; "" or the code of the last failure."""
    code = ""
    for case in cases.all():
        for message in case.thread:
            if message.body:
                try:
                    post(message.body.encode(), key, site)
                except DeliveryError as error:
                    code = error.code
                else:
                    _settle(cases, case.id, message.id)
    return code


def post(body: bytes, key: Ed25519PrivateKey, site: ReplySite) -> None:
    """POST one signed reply; returns when the site has it. Raises DeliveryError."""
    parts = urlsplit(site.replies)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    headers = {
        "Content-Type": "application/json",
        "Haumaru-Signature": b64encode(key.sign(CONTEXT + body)).decode(),
    }
    with open_connection(host, port, seconds=_SECONDS) as sock:
        client = http.client.HTTPConnection(host, port)
        client.sock = (
            ssl.create_default_context(cafile=site.ca).wrap_socket(sock, server_hostname=host) if secure else sock
        )
        client.request("POST", parts.path or "/", body=body, headers=headers)
        with client.getresponse() as response:
            status = response.status
    if status not in (http.HTTPStatus.NO_CONTENT, http.HTTPStatus.CONFLICT):
        raise DeliveryError("auth" if status == http.HTTPStatus.FORBIDDEN else "refused")


def _settle(cases: Cases, tip: str, number: str) -> None:
    def posted(now: Case) -> Case:
        thread = tuple(replace(one, body="") if one.id == number else one for one in now.thread)
        return replace(now, thread=thread)

    cases.change(tip, DESK, "reply-posted", posted)
