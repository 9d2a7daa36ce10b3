"""`desk.toml`, read once into one frozen value; all faults are reported together, each with its remedy.

The desk itself listens on loopback only, or on a network under a name of its own with TLS. A relative `drop:` folder of
an authority lies beside the file and is made at the start; an absolute one may be a mount, and must be there. Reading
opens no key and connects to nothing.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from app.core.config_reader import Reader, read_toml
from app.core.errors import ConfigError
from app.delivery.destinations import open_transport, read_destination, read_recipients
from app.delivery.transports import Transport
from app.vault.keys import Recipient
from app.vault.signature import decode_public_key


@dataclass(frozen=True)
class ListenAddress:
    """The address at which a server listens."""

    host: str
    port: int


@dataclass(frozen=True)
class HostConfig:
    """The name under which a desk on a network is reached, the port that browsers use, and the files of its TLS."""

    name: str
    port: int
    cert: Path
    key: Path

    @property
    def origin(self) -> str:
        """The address with which every page of the desk begins (RFC 6454)."""
        return f"https://{self.name}" if self.port == _HTTPS_PORT else f"https://{self.name}:{self.port}"


@dataclass(frozen=True)
class Authority:
    """A party to refer to: its keys, its transport, and what it takes (kinds, `danger`, `children`, `trafficking`).

    `question_key`, 32 bytes, is the public key with which the party signs its questions; b"": it cannot ask.
    With `cells`, so many envelopes leave for the party in every window, decoys among them; with 0, at most 16 leave,
    and only while referrals wait.
    """

    id: str
    name: str
    takes: tuple[str, ...]
    recipients: tuple[Recipient, ...]
    transport: Transport = field(repr=False)
    expires: date = date.max
    cells: int = 0
    question_key: bytes = b""


@dataclass(frozen=True)
class ImapConfig:
    """A mailbox to which the site sends envelopes, read over implicit TLS (RFC 8314); `every` is in seconds."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    folder: str
    every: int
    ca: Path | None


@dataclass(frozen=True)
class ReceiverConfig:
    """How `haumaru-desk receive` listens; without a certificate of its own it stands behind a proxy."""

    bind: ListenAddress
    token: str = field(repr=False)
    cert: Path | None
    key: Path | None
    client_ca: Path | None


_HTTPS_PORT = 443
_MAX_NAME = 253  # characters
_HOST_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123; a name in other letters is written xn--…
REPLY_SITE_ID = "[site]"  # under which the outbox notes how posting replies fails; no party may have this id
_MAX_WINDOW_SECONDS = 86_400


@dataclass(frozen=True)
class ReplySite:
    """The address at which the site takes replies, this agency's id there, and the seconds between two posts."""

    replies: str
    agency: str
    ca: Path | None = None
    every: int = 3600


@dataclass(frozen=True)
class DeskConfig:
    """All of `desk.toml`, paths absolute."""

    identities: tuple[Path, ...]
    signing_key: Path
    inbox: Path
    store: Path
    bind: ListenAddress
    host: HostConfig | None  # of a desk on a network, with seats; None for a desk on loopback
    release: int
    retain_days: int
    contact: str
    acknowledge: bool
    expires: date
    handlers: tuple[str, ...]  # of a desk on loopback; on a network people have seats
    authorities: Mapping[str, Authority]
    translators: Mapping[str, Authority]
    window: int  # seconds in which each party gets its cells
    site: ReplySite | None
    imap: ImapConfig | None
    receive: ReceiverConfig | None


def load_desk_config(path: Path, env: Mapping[str, str]) -> DeskConfig:
    """Return the configuration of a file, with `HAUMARU_…` variables over it; raises ConfigError with every fault."""
    faults: list[str] = []
    folder = path.absolute().parent
    root = Reader(read_toml(path), name=path.name, prefix="HAUMARU", folder=folder, env=env, faults=faults)
    desk = root.table("desk")
    config = DeskConfig(
        identities=tuple(folder / name for name in desk.texts("identities")),
        signing_key=_read_path(desk, "signing_key"),
        inbox=_read_path(desk, "inbox"),
        store=_read_path(desk, "store"),
        bind=desk.required(
            "bind", _parse_address, ListenAddress("127.0.0.1", 1), remedy='write "127.0.0.1:8001": loopback only'
        ),
        host=_read_host(desk),
        release=desk.integer("release", 1, 1, 2),
        retain_days=desk.integer("retain_days", 90, 1, 3650),
        contact=desk.text("contact"),
        acknowledge=desk.flag("acknowledge", default=True),
        expires=desk.day("expires", date.max),
        handlers=tuple(_read_handler(row) for row in root.tables("handler")),
        authorities=_read_parties(root, "authority", folder, faults),
        translators=_read_parties(root, "translator", folder, faults),
        window=_read_window(root),
        site=_read_site(root),
        imap=_read_imap(root),
        receive=_read_receiver(root),
    )
    desk.reject_unknown_keys()
    root.reject_unknown_keys()
    _check_references(config, faults)
    if faults:
        raise ConfigError(tuple(faults))
    return config


def _check_references(config: DeskConfig, faults: list[str]) -> None:
    if not config.identities:
        faults.append(
            "[desk] identities: is empty; write the name of an identity file, which haumaru-desk keygen makes"
        )
    if config.host is None and not ipaddress.ip_address(config.bind.host).is_loopback:
        faults.append(
            '[desk] bind: is not right; write "127.0.0.1:8001": loopback only, or write host, tls_cert and tls_key too'
        )
    if config.host is None and len(set(config.handlers)) < config.release:
        faults.append(f"[[handler]]: release = {config.release} needs more handlers; add a handler with another name")
    if config.authorities.keys() & config.translators.keys():
        faults.append("[[translator]] id: an authority has the same id; choose another id")
    if REPLY_SITE_ID in config.authorities.keys() | config.translators.keys():
        faults.append(f"[[authority]] id: {REPLY_SITE_ID} means the site; choose another id")
    question_keys = [party.question_key for party in config.authorities.values() if party.question_key]
    if len(set(question_keys)) < len(question_keys):
        faults.append("[[authority]] question_key: two authorities have the same key; write each authority's own")
    if not config.authorities:
        faults.append("[[authority]]: is missing; add at least one authority")


def _read_handler(row: Reader) -> str:
    name = row.text("name")
    row.reject_unknown_keys()
    return name


def _read_parties(root: Reader, key: str, folder: Path, faults: list[str]) -> dict[str, Authority]:
    parties = [_read_party(row, f"[[{key}]]", folder) for row in root.tables(key)]
    if len({party.id for party in parties}) < len(parties):
        faults.append(f"[[{key}]] id: two have the same id; choose another id")
    return {party.id: party for party in parties}


def _read_party(row: Reader, title: str, folder: Path) -> Authority:
    name = row.text("id")
    party = Authority(
        id=name,
        name=row.text("name"),
        takes=row.texts("takes", ()),
        recipients=read_recipients(row),
        transport=open_transport(read_destination(row, name, base=folder, table=title), base=folder),
        expires=row.day("expires", date.max),
        cells=row.integer("cells", 0, 0, 4096),
        question_key=_read_question_key(row) if title == "[[authority]]" else b"",
    )
    row.reject_unknown_keys()
    return party


def _read_question_key(row: Reader) -> bytes:
    remedy = "write the 44 characters of the authority's public signing key, which it reads to you by voice"
    return row.optional("question_key", decode_public_key, b"", remedy=remedy)


def _read_window(root: Reader) -> int:
    row = root.table("forward")
    window = row.duration("window", "10min")
    if window > _MAX_WINDOW_SECONDS:
        row.fault("window", "is longer than a day", 'write a time such as "10min"')
    row.reject_unknown_keys()
    return window


def _read_site(root: Reader) -> ReplySite | None:
    row = root.table("site")
    replies = row.optional("replies", _check_reply_url, "", remedy="write https://…/agency/replies")
    site = ReplySite(replies, row.text("agency", "intake"), row.path("ca"), row.duration("every", "1h"))
    row.reject_unknown_keys()
    return site if replies else None


def _read_imap(root: Reader) -> ImapConfig | None:
    row = root.table("imap", title="[imap]")
    host = row.text("host", "")
    imap = ImapConfig(
        host=host,
        port=row.integer("port", 993, 1, 65535),
        user=row.text("user", ""),
        password=row.secret("password"),
        folder=row.text("folder", "INBOX"),
        every=row.duration("every", "1min"),
        ca=row.path("ca"),
    )
    if host and not (imap.user and imap.password):
        row.fault("user", "is missing, or its password", "write user, and password_file")
    row.reject_unknown_keys()
    return imap if host else None


def _read_receiver(root: Reader) -> ReceiverConfig | None:
    row = root.table("receive")
    bind = row.optional("bind", _parse_address, ListenAddress("", 0), remedy='write "127.0.0.1:8002"')
    receive = ReceiverConfig(bind, row.secret("token"), row.path("cert"), row.path("key"), row.path("client_ca"))
    row.reject_unknown_keys()
    if not bind.host:
        return None
    if receive.client_ca and not receive.cert:
        row.fault("client_ca", "needs this server's own TLS", "write cert and key as well, or let the proxy check it")
    if not (receive.token or receive.client_ca):
        row.fault("token", "is missing, and so is client_ca", "write token_file, or anybody could fill the disk")
    return receive


def _read_host(desk: Reader) -> HostConfig | None:
    """Return the name and the TLS of a desk on a network; all three keys, or none of them."""
    remedy = 'write a name such as "desk.agency.example" or "desk.agency.example:8443", and no IP address'
    named = desk.optional("host", _parse_host_name, None, remedy=remedy)
    cert, key = desk.path("tls_cert"), desk.path("tls_key")
    values = {"host": named, "tls_cert": cert, "tls_key": key}
    if not any(values.values()):
        return None
    for name, value in values.items():
        if value is None:
            desk.fault(name, "is missing", "write host, tls_cert and tls_key, or none of the three")
    if not (named and cert and key):
        return None
    return HostConfig(*named, cert, key)


def _read_path(row: Reader, key: str) -> Path:
    path = row.path(key)
    if path is None:
        row.fault(key, "is missing", "write a path")
    return path or Path()


def _parse_address(text: str) -> ListenAddress:
    host, _, port = text.rpartition(":")
    return ListenAddress(str(ipaddress.ip_address(host.strip("[]"))), _parse_port(port))


def _parse_host_name(text: str) -> tuple[str, int] | None:
    """Return a DNS name and a port; a browser registers no security key for an IP address (WebAuthn 2, 5.1.2)."""
    name, separator, port = text.partition(":")
    labels = name.split(".")
    if not (len(name) <= _MAX_NAME and all(map(_HOST_LABEL.fullmatch, labels)) and not labels[-1].isdigit()):
        raise ValueError
    return name, _parse_port(port) if separator else _HTTPS_PORT


def _parse_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):  # noqa: PLR2004
        raise ValueError
    return int(text)


def _check_reply_url(text: str) -> str:
    loopback = text.startswith(("http://127.0.0.1:", "http://localhost:"))
    if not (text.startswith("https://") or loopback):
        raise ValueError
    return text
