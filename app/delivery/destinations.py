"""Where an agency takes its envelopes: the recipients and the `deliver` address of a table of the configuration.

Three kinds of address: `drop:` a folder, `smtp+starttls://` or `smtps://` a mailbox, `https://` an endpoint. No kind
but the folder works without TLS. A faulty address raises ConfigError with every fault and its remedy; the functions
that read a table record faults in its reader instead.
"""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from app.core.config_reader import Reader
from app.core.errors import ConfigError, KeyTextError
from app.delivery.smtp import SmtpTransport
from app.delivery.transports import FolderTransport, HttpsTransport, Transport
from app.vault.age import STANZAS
from app.vault.keys import Recipient, public_key

_MAIL_ADDRESS = re.compile(r"[!-?A-~]+@[A-Za-z0-9.-]+|[!-?A-~]+@\[[0-9A-Fa-f:.]+\]")
_PRINTABLE_ASCII = re.compile(r"[!-~]*")


@dataclass(frozen=True)
class Destination:
    """One agency's `deliver` address and what its transport needs; secrets stay out of its repr."""

    agency: str
    url: str
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    client_cert: Path | None = None
    client_key: Path | None = None
    ca: Path | None = None


def read_recipients(reader: Reader) -> tuple[Recipient, ...]:
    """Return the one to four hybrid recipients of a table; another number, and a text of another form, are faults."""
    texts = reader.texts("recipients", remedy='write ["age1pq1…"], as haumaru-desk keygen prints it')
    if not texts:
        reader.fault("recipients", "is empty", "envelopes are sealed to at least one recipient")
    if len(texts) > STANZAS:
        reader.fault("recipients", f"are {len(texts)}", f"envelopes are sealed to at most {STANZAS} recipients")
    for number, text in enumerate(texts, 1):
        try:
            public_key(text)
        except KeyTextError:
            reader.fault("recipients", f"number {number} is not age1pq1…", "copy what haumaru-desk keygen printed")
    return tuple(Recipient(text) for text in texts)


def read_destination(reader: Reader, agency: str, *, base: Path, table: str = "[[agency]]") -> Destination:
    """Return the destination of a table, called `table` in faults; after a fault, a folder as a stand-in."""
    destination = Destination(
        agency=agency,
        url=reader.text("deliver", remedy="use drop:FOLDER, smtp+starttls://, smtps:// or https://"),
        password=reader.secret("password"),
        token=reader.secret("token"),
        client_cert=reader.path("client_cert"),
        client_key=reader.path("client_key"),
        ca=reader.path("ca"),
    )
    stand_in = Destination(agency, "drop:.")
    if not destination.url:
        return stand_in
    try:
        open_transport(destination, base=base, table=table)
    except ConfigError as error:
        reader.add_faults(error.faults)
        return stand_in
    return destination


def open_transport(destination: Destination, *, base: Path, table: str = "[[agency]]") -> Transport:
    """Return the transport of a destination; a relative `drop:` folder starts at `base`.

    Reads the certificates, but opens no connection. Raises ConfigError with all faults, each of which names `table`.
    """
    name = f"{table} {destination.agency}: deliver"
    if destination.url.startswith("drop:"):
        folder = destination.url.removeprefix("drop:")
        if not folder or folder.startswith("//"):
            raise ConfigError((f"{name} names no folder; write drop:path/to/folder",))
        return FolderTransport(base / folder)
    parts, faults = _split_url(destination.url)
    transports = {"https": _https_transport, "smtps": _smtp_transport, "smtp+starttls": _smtp_transport}
    if parts.scheme not in transports:
        faults.append("must begin with drop:, smtp+starttls://, smtps:// or https://")
    if not parts.hostname:
        faults.append("names no host")
    context = _tls_context(destination, faults)
    if faults:
        raise ConfigError(tuple(f"{name} {fault}" for fault in faults))
    transport = transports[parts.scheme](destination, parts, context, faults)
    if faults:
        raise ConfigError(tuple(f"{name} {fault}" for fault in faults))
    return transport


def _split_url(url: str) -> tuple[SplitResult, list[str]]:
    if not _PRINTABLE_ASCII.fullmatch(url):
        return urlsplit(""), ["holds a space or a letter that an address cannot hold; encode it as %xx"]
    try:
        parts = urlsplit(url)
        if parts.port == 0:
            return parts, ["has port 0; name the server's"]
    except ValueError:
        return urlsplit(""), ["is not an address; write scheme://host:port/…"]
    return parts, ["holds a # part; leave it out"] if parts.fragment else []


def _https_transport(
    destination: Destination, parts: SplitResult, context: ssl.SSLContext, faults: list[str]
) -> Transport:
    if parts.username is not None:
        faults.append("holds a user; use token or client_cert instead")
    if not _PRINTABLE_ASCII.fullmatch(destination.token):
        faults.append("has a token with a space or a control character; write it on one line")
    return HttpsTransport(
        host=parts.hostname or "",
        port=parts.port or 443,
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        token=destination.token,
        context=context,
    )


def _smtp_transport(
    destination: Destination, parts: SplitResult, context: ssl.SSLContext, faults: list[str]
) -> Transport:
    query = parse_qs(parts.query)
    user = unquote(parts.username or "")
    to = query.pop("to", [""])[0]
    default = user if "@" in user else f"{user}@{parts.hostname}" if user else to
    sender = query.pop("from", [default])[0]
    if not _MAIL_ADDRESS.fullmatch(to):
        faults.append("names no mailbox; end it with /?to=name@example.org")
    if not _MAIL_ADDRESS.fullmatch(sender):
        faults.append("has no good sender; add &from=name@example.org")
    if query:
        faults.append("has options other than to and from; leave them out")
    if parts.password is not None:
        faults.append("holds a password; put it in password_file")
    if bool(user) != bool(destination.password):
        faults.append("needs a user and a password, or neither")
    immediate = parts.scheme == "smtps"
    return SmtpTransport(
        host=parts.hostname or "",
        port=parts.port or (465 if immediate else 587),
        immediate=immediate,
        sender=sender,
        to=to,
        user=user,
        password=destination.password,
        context=context,
    )


def _tls_context(destination: Destination, faults: list[str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        if destination.ca is not None:
            context = ssl.create_default_context(cafile=destination.ca)
    except (OSError, ssl.SSLError):
        faults.append("has a ca that is no readable PEM file; correct its path")
    try:
        if destination.client_cert is not None:
            # Without a password of its own, OpenSSL would ask the terminal for one.
            context.load_cert_chain(destination.client_cert, destination.client_key, password=b"")
    except (OSError, ssl.SSLError, ValueError):
        faults.append("has a client_cert and client_key that do not load; use PEM files without a passphrase")
    return context
