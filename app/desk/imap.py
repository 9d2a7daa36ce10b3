"""Envelopes from a mailbox, over IMAP inside TLS (RFC 9051): each goes to the inbox durably before its mail is deleted.

A mail holds one envelope or none, and one run takes at most 500 mails. A mail without an envelope is marked as read and
stays. Nothing that the server says is trusted: sizes are asked before
a mail is fetched, names are checked, and every failure is a DeliveryError with a code that is safe to log.
"""

import imaplib
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from itertools import islice
from pathlib import Path

from app.core.errors import DeliveryError
from app.delivery.outbox import Envelope
from app.desk.config import ImapConfig
from app.desk.envelopes import deposit_envelope, id_from_name
from app.vault.age import ENVELOPE_BYTES

_TIMEOUT_SECONDS = 60
_MAX_MAIL_BYTES = ENVELOPE_BYTES * 3 // 2  # base64, and the mail around it
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,12})")
_MAX_MAILS = 500  # in one run


def fetch_envelopes(imap: ImapConfig, inbox: Path) -> tuple[int, int]:
    """Move the envelopes of new mails into the inbox.

    Returns how many envelopes came and how many mails held none. Raises DeliveryError: `unreachable`, `tls`,
    `auth`, `refused`, `disk`, `receiver-full`.
    """
    came = without = 0
    with _session(imap) as session:
        for uid in _unseen_uids(session):
            envelope = _fetch_envelope(session, uid)
            if envelope is not None:
                deposit_envelope(inbox, envelope)
            came, without = came + (envelope is not None), without + (envelope is None)
            session.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)" if envelope is not None else r"(\Seen)")
        session.expunge()
    return came, without


@contextmanager
def _session(imap: ImapConfig) -> Iterator[imaplib.IMAP4_SSL]:
    try:
        context = ssl.create_default_context(cafile=imap.ca)
        session = imaplib.IMAP4_SSL(imap.host, imap.port, ssl_context=context, timeout=_TIMEOUT_SECONDS)
    except ssl.SSLError:
        raise DeliveryError("tls") from None
    except (OSError, imaplib.IMAP4.error):
        raise DeliveryError("unreachable") from None
    try:
        _log_in(session, imap)
        yield session
    except (imaplib.IMAP4.error, OSError, ValueError):
        raise DeliveryError("refused") from None
    finally:
        with suppress(OSError, imaplib.IMAP4.error):
            session.logout()


def _log_in(session: imaplib.IMAP4_SSL, imap: ImapConfig) -> None:
    try:
        session.login(imap.user, imap.password)
    except imaplib.IMAP4.error:
        raise DeliveryError("auth") from None
    status, _ = session.select(f'"{imap.folder}"')
    if status != "OK":
        raise DeliveryError("refused")


def _unseen_uids(session: imaplib.IMAP4_SSL) -> list[str]:
    _, found = session.uid("SEARCH", "UNSEEN")
    return [uid.decode("ascii") for uid in (found[0] or b"").split()[:_MAX_MAILS] if uid.isdigit()]


def _fetch_envelope(session: imaplib.IMAP4_SSL, uid: str) -> Envelope | None:
    _, answer = session.uid("FETCH", uid, "(RFC822.SIZE)")
    size = next((match for part in answer if isinstance(part, bytes) and (match := _SIZE.search(part))), None)
    if size is None or int(size[1]) > _MAX_MAIL_BYTES:
        return None
    _, answer = session.uid("FETCH", uid, "(BODY.PEEK[])")
    raw = next((part[1] for part in answer if isinstance(part, tuple)), b"")
    return _attached(raw)


def _attached(untrusted_mail: bytes) -> Envelope | None:
    """Return the one envelope of a mail, known by its name, its length and the first line of the format.

    A mail with several attachments, or longer than one envelope makes it, is not the site's: it holds none.
    """
    if len(untrusted_mail) > _MAX_MAIL_BYTES:
        return None
    try:
        mail = BytesParser(EmailMessage, policy=policy.default).parsebytes(untrusted_mail)
        parts = list(islice(mail.iter_attachments(), 2))
        if len(parts) != 1:
            return None
        name, data = parts[0].get_filename() or "", parts[0].get_payload(decode=True)
    except Exception:  # noqa: BLE001  # the parser raises many kinds on hostile mail, and the mail is left alone
        return None
    tip = id_from_name(name)
    if tip is None or not isinstance(data, bytes) or len(data) != ENVELOPE_BYTES:
        return None
    return Envelope(tip, "", data) if data.startswith(b"age-encryption.org/v1\n") else None
