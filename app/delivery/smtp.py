"""The transport that sends one envelope as one mail to an agency's mailbox, over verified TLS.

A mail has a fixed subject, a date without a time of the day, and no name of this program or machine; the same
envelope gives the same mail all day, under the same Message-ID. Raises DeliveryError with the codes that `transports`
lists.
"""

import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from app.core.errors import DeliveryError
from app.delivery.clock import nz_midnight
from app.delivery.outbox import Envelope
from app.delivery.transports import open_connection

_MAIL_OVERHEAD = 4096  # headers, and the text that says what the attachment is
_TEXT = "The attachment is a sealed report. Open it with haumaru-desk, or with age and the agency's identity.\n"


class _SmtpSession(smtplib.SMTP):
    """An SMTP session over a socket that `open_connection` opened and bounds in time."""

    def __init__(self, opened: socket.socket, host: str, port: int, name: str) -> None:
        self._socket = opened
        super().__init__(host, port, local_hostname=name)

    def _get_socket(self, _host: str, _port: int, _timeout: float) -> socket.socket:
        return self._socket


@dataclass(frozen=True)
class SmtpTransport:
    """A mailbox: one mail for each envelope, over TLS from the first byte (`immediate`) or by STARTTLS."""

    host: str
    port: int
    immediate: bool
    sender: str
    to: str
    user: str
    password: str = field(repr=False)
    context: ssl.SSLContext = field(repr=False)
    clock: Callable[[], float] = time.time

    def deliver(self, envelope: Envelope, *, seconds: float) -> None:
        """Send one mail; refuse before sending a mail that is larger than the server's SIZE."""
        mail = self.mail(envelope)
        with self._session(seconds) as session:
            room = _size_limit(session)
            if room is not None and len(mail) > room:
                raise DeliveryError("too-large", permanent=True)
            session.sendmail(self.sender, [self.to], mail)

    def probe(self, *, seconds: float) -> int | None:
        """Connect, start TLS and log in; return the largest envelope that fits into the server's SIZE."""
        with self._session(seconds) as session:
            room = _size_limit(session)
        return None if room is None else max(0, room - _MAIL_OVERHEAD) // 78 * 57  # base64 in lines of 76

    def mail(self, envelope: Envelope) -> bytes:
        """Return the mail of an envelope: the same bytes all day, with no content but the envelope."""
        mail = EmailMessage(policy=SMTP)
        mail["Subject"] = "Report"
        mail["From"] = self.sender
        mail["To"] = self.to
        mail["Date"] = format_datetime(nz_midnight(self.clock()))
        mail["Message-ID"] = f"<{envelope.id}@{self.sender.rpartition('@')[2]}>"
        mail.set_content(_TEXT)
        mail.add_attachment(envelope.data, maintype="application", subtype="age", filename=f"{envelope.id}.age")
        mail.set_boundary(f"=={envelope.id}==")
        return mail.as_bytes()

    @contextmanager
    def _session(self, seconds: float) -> Iterator[_SmtpSession]:
        with open_connection(self.host, self.port, seconds=seconds) as sock, self._secured(sock) as made:
            try:
                # EHLO with our own host name would reveal the server; the sender's domain is in the mail anyway.
                with closing(_SmtpSession(made, self.host, self.port, self.sender.rpartition("@")[2])) as session:
                    self._start(session)
                    yield session
                    # The mail is taken, so a failure of QUIT changes nothing.
                    with suppress(OSError, smtplib.SMTPException):
                        session.quit()
            except smtplib.SMTPException as fault:
                raise _delivery_error(fault) from None

    def _start(self, session: smtplib.SMTP) -> None:
        try:
            if not self.immediate:
                session.starttls(context=self.context)
            session.ehlo_or_helo_if_needed()
        except (smtplib.SMTPNotSupportedError, smtplib.SMTPResponseException):
            raise DeliveryError("refused" if self.immediate else "tls") from None
        try:
            if self.user:
                session.login(self.user, self.password)
        except smtplib.SMTPServerDisconnected:
            raise
        except smtplib.SMTPException:
            raise DeliveryError("auth") from None

    @contextmanager
    def _secured(self, sock: socket.socket) -> Iterator[socket.socket]:
        if self.immediate:
            with self.context.wrap_socket(sock, server_hostname=self.host) as secured:
                yield secured
        else:
            yield sock


def _size_limit(session: smtplib.SMTP) -> int | None:
    size = session.esmtp_features.get("size", "")
    return int(size) if size.isdecimal() and int(size) else None  # 0: no limit (RFC 1870, 4)


def _delivery_error(fault: smtplib.SMTPException) -> DeliveryError:
    """Return the DeliveryError of a failure; only a refusal of the message itself concerns this envelope alone."""
    if isinstance(fault, smtplib.SMTPServerDisconnected):
        return DeliveryError("closed")
    if isinstance(fault, smtplib.SMTPDataError | smtplib.SMTPSenderRefused):
        too_large = fault.smtp_code == 552  # noqa: PLR2004  # RFC 1870, 6.1
        permanent = fault.smtp_code >= 500 and (too_large or isinstance(fault, smtplib.SMTPDataError))  # noqa: PLR2004
        return DeliveryError("too-large" if too_large else "rejected" if permanent else "refused", permanent=permanent)
    return DeliveryError("refused")
