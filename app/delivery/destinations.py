"""Where an agency takes its envelopes: the `deliver` address of the configuration, read and checked.

Three kinds: `drop:` a folder, `smtp+starttls://` or `smtps://` a mailbox, `https://` an endpoint. There
is no kind without TLS but the folder. A faulty address raises ConfigError with every fault and its remedy.
"""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from app.core.errors import ConfigError
from app.delivery.smtp import SmtpTransport
from app.delivery.transports import FolderTransport, HttpsTransport, Transport

_ADDRESS = re.compile(r"[!-?A-~]+@[A-Za-z0-9.-]+|[!-?A-~]+@\[[0-9A-Fa-f:.]+\]")
_TOKEN = re.compile(r"[!-~]*")


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


def open_transport(destination: Destination, *, base: Path) -> Transport:
    """Return the transport of a destination; a relative `drop:` folder starts at `base`.

    Reads the certificates, connects to nothing; raises ConfigError with all faults.
    """
    name = f"[[agency]] {destination.agency}: deliver"
    if destination.url.startswith("drop:"):
        folder = destination.url.removeprefix("drop:")
        if not folder or folder.startswith("//"):
            raise ConfigError((f"{name} names no folder; write drop:path/to/folder",))
        return FolderTransport(base / folder)
    parts, faults = _split(destination.url)
    makers = {"https": _https, "smtps": _smtp, "smtp+starttls": _smtp}
    if parts.scheme not in makers:
        faults.append("must begin with drop:, smtp+starttls://, smtps:// or https://")
    if not parts.hostname:
        faults.append("names no host")
    context = _context(destination, faults)
    if faults:
        raise ConfigError(tuple(f"{name} {fault}" for fault in faults))
    transport = makers[parts.scheme](destination, parts, context, faults)
    if faults:
        raise ConfigError(tuple(f"{name} {fault}" for fault in faults))
    return transport


def _split(url: str) -> tuple[SplitResult, list[str]]:
    if not _TOKEN.fullmatch(url):
        return urlsplit(""), ["holds a space or a letter that an address cannot hold; encode it as %xx"]
    try:
        parts = urlsplit(url)
        if parts.port == 0:
            return parts, ["has port 0; name the server's"]
    except ValueError:
        return urlsplit(""), ["is not an address; write scheme://host:port/…"]
    return parts, ["holds a # part; leave it out"] if parts.fragment else []


def _https(destination: Destination, parts: SplitResult, context: ssl.SSLContext, faults: list[str]) -> Transport:
    if parts.username is not None:
        faults.append("holds a user; use token or client_cert instead")
    if not _TOKEN.fullmatch(destination.token):
        faults.append("has a token with a space or a control character; write it on one line")
    return HttpsTransport(
        host=parts.hostname or "",
        port=parts.port or 443,
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        token=destination.token,
        context=context,
    )


def _smtp(destination: Destination, parts: SplitResult, context: ssl.SSLContext, faults: list[str]) -> Transport:
    query = parse_qs(parts.query)
    user = unquote(parts.username or "")
    to = query.pop("to", [""])[0]
    default = user if "@" in user else f"{user}@{parts.hostname}" if user else to
    sender = query.pop("from", [default])[0]
    if not _ADDRESS.fullmatch(to):
        faults.append("names no mailbox; end it with /?to=name@example.org")
    if not _ADDRESS.fullmatch(sender):
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


def _context(destination: Destination, faults: list[str]) -> ssl.SSLContext:
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
