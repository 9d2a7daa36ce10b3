"""`haumaru.toml`, and `HAUMARU_…` variables over it, to frozen config.

Every fault is told at once, each with its mend, as a `ConfigError`: a site that would not be safe does not
start. An unknown key is a fault, because a misspelt safety setting would otherwise be silence.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from limits import parse as parse_limit
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.core.config_reader import Reader, read_toml
from app.core.errors import ConfigError, HaumaruError
from app.delivery.destinations import Destination, open_transport
from app.vault.bundle import SIZE_CLASSES
from app.vault.keys import DEMONSTRATION, HYBRID_RECIPIENT, parse_recipient, recipient_of

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class SiteConfig:
    """What every page needs to know of who runs it and where."""

    name: str
    operator: str
    contact_email: str
    base_url: str
    onion: str
    exit_url: str
    demo: bool
    reviewed_only: bool

    @property
    def secure(self) -> bool:
        """Whether visitors come over TLS, so that cookies and headers may say so."""
        return self.base_url.startswith("https://")

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins a form of ours may be sent from (RFC 6454)."""
        return tuple(url for url in (self.base_url, self.onion) if url)


@dataclass(frozen=True)
class ServerConfig:
    """Where and with how much the site serves; `bodies` is how many are read at once by one worker."""

    host: str
    port: int
    workers: int
    threads: int
    bodies: int
    proxies: int
    secret_file: Path


@dataclass(frozen=True)
class ReportConfig:
    """To whom reports are sealed; `max_upload` in bytes, `min_fill` in seconds."""

    agency: str
    max_upload: int
    min_fill: int


@dataclass(frozen=True)
class AgencyConfig:
    """One agency: its public keys until `expires`, and how envelopes reach it."""

    id: str
    name: str
    reading_hours: str
    recipients: tuple[str, ...]
    expires: date
    reply_key: bytes
    destination: Destination
    max_class: str


@dataclass(frozen=True)
class LimitsConfig:
    """Rates as Flask-Limiter writes them, and where they are counted."""

    url: str
    per_address: str
    total: str


@dataclass(frozen=True)
class ForwardConfig:
    """The forwarder's window in seconds, and how many envelopes leave in each at the least."""

    window: int
    batch: int


@dataclass(frozen=True)
class Config:
    """All of `haumaru.toml`."""

    site: SiteConfig
    server: ServerConfig
    report: ReportConfig
    agencies: tuple[AgencyConfig, ...]
    folder: Path
    outbox_url: str
    limits: LimitsConfig
    forward: ForwardConfig

    @property
    def intake(self) -> AgencyConfig:
        """The agency that reports are sealed to."""
        return next(agency for agency in self.agencies if agency.id == self.report.agency)


def load_config(path: Path, env: Mapping[str, str]) -> Config:
    """Read a configuration file and the variables over it; `ConfigError` with every fault."""
    faults: list[str] = []
    folder = path.resolve().parent
    root = Reader(read_toml(path), name="", prefix="HAUMARU", folder=folder, env=env, faults=faults)
    config = Config(
        site=_site(root.table("site")),
        server=_server(root.table("server")),
        report=_report(root.table("report")),
        agencies=tuple(_agency(row, folder, faults) for row in root.tables("agency")),
        folder=folder,
        outbox_url=_outbox(root.table("outbox"), folder),
        limits=_limits(root.table("limits")),
        forward=_forward(root.table("forward")),
    )
    root.reject_unknown_keys()
    _check_references(config, faults)
    if faults:
        raise ConfigError(tuple(fault.strip() for fault in faults))
    return config


def _site(read: Reader) -> SiteConfig:
    site = SiteConfig(
        name=read.text("name", "Haumaru"),
        operator=read.text("operator", mend="say who runs this site, and their address"),
        contact_email=read.text("contact_email", mend="write the address that the operator reads"),
        base_url=read.text("base_url", mend="write https://… as visitors type it").rstrip("/"),
        onion=read.text("onion", "").rstrip("/"),
        exit_url=read.text("exit_url", "https://www.metservice.com/"),
        demo=read.flag("demo", default=False),
        reviewed_only=read.flag("reviewed_only", default=False),
    )
    if site.contact_email and not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+", site.contact_email):
        read.fault("contact_email", "is not an e-mail address", "write one such as team@example.org")
    if site.base_url and not _safe_origin(site.base_url):
        read.fault("base_url", "is neither https nor on loopback nor an onion", "write https://… without a path")
    if site.onion and not re.fullmatch(r"http://[a-z2-7]{56}\.onion", site.onion):
        read.fault("onion", "is not an onion address", "write http://….onion, 56 characters before .onion")
    if not re.fullmatch(r"https://[a-z0-9.-]+(/[A-Za-z0-9._~/-]*)?", site.exit_url):
        read.fault("exit_url", "is not a plain https address", "write one such as https://www.metservice.com/")
    read.reject_unknown_keys()
    return site


def _safe_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.path or parts.query or parts.fragment or parts.username:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and (host in _LOOPBACK or host.endswith(".onion")))


def _server(read: Reader) -> ServerConfig:
    bind = read.text("bind", "127.0.0.1:8000")
    parts = re.fullmatch(r"(\[[0-9a-f:]+\]|[0-9.]+):(\d{1,5})", bind)
    if parts is None or not 0 < int(parts[2]) < 2**16:
        read.fault("bind", "is not an address and a port", 'write one such as "127.0.0.1:8000"')
    server = ServerConfig(
        host=parts[1].strip("[]") if parts else "127.0.0.1",
        port=int(parts[2]) if parts else 8000,
        workers=read.integer("workers", 2, 1, 64),
        threads=read.integer("threads", 64, 4, 1024),
        bodies=read.integer("bodies", 16, 1, 512),
        proxies=read.integer("proxies", 0, 0, 8),
        secret_file=read.path("secret_file", "instance/secret") or Path(),
    )
    if server.bodies >= server.threads:
        read.fault("bodies", "leaves no thread for readers", "make it less than threads")
    read.reject_unknown_keys()
    return server


def _report(read: Reader) -> ReportConfig:
    report = ReportConfig(
        agency=read.text("agency", mend="name the id of one [[agency]]"),
        max_upload=read.size("max_upload", "25MB"),
        min_fill=read.duration("min_fill", "3s"),
    )
    read.reject_unknown_keys()
    return report


def _agency(read: Reader, folder: Path, faults: list[str]) -> AgencyConfig:
    identifier = read.convert("id", _identifier, "?", mend="use small letters, digits and hyphens")
    texts = read.texts("recipients", mend='write ["age1pq1…"], as haumaru-desk keygen prints it')
    if not texts:
        read.fault("recipients", "is empty", "tips are sealed to at least one recipient")
    for number, text in enumerate(texts, 1):
        if not _is_recipient(text):
            read.fault("recipients", f"number {number} is not age1pq1…", "copy what haumaru-desk keygen printed")
    agency = AgencyConfig(
        id=identifier,
        name=read.text("name"),
        reading_hours=read.text("reads", ""),
        recipients=texts,
        expires=read.day("expires"),
        reply_key=_reply_key(read),
        destination=_destination(read, identifier, folder, faults),
        max_class=read.text("max_class", "32MiB"),
    )
    if agency.max_class not in SIZE_CLASSES:
        read.fault("max_class", "is not a size class", f"use one of {', '.join(SIZE_CLASSES)}")
    read.reject_unknown_keys()
    return agency


def _identifier(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,40}", text):
        raise ValueError
    return text


def _is_recipient(text: str) -> bool:
    try:
        return parse_recipient(text).startswith(f"{HYBRID_RECIPIENT}1")
    except HaumaruError:
        return False


def _reply_key(read: Reader) -> bytes:
    text = read.text("reply_key", "")
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b"?"
    if len(key) not in (0, 32):
        read.fault("reply_key", "is not an Ed25519 public key", "copy what haumaru-desk keygen --signing printed")
        return b""
    return key


def _destination(read: Reader, agency: str, folder: Path, faults: list[str]) -> Destination:
    destination = Destination(
        agency=agency,
        url=read.text("deliver", mend="use drop:FOLDER, smtp+starttls://, smtps:// or https://"),
        password=read.secret("password"),
        token=read.secret("token"),
        client_cert=read.path("client_cert"),
        client_key=read.path("client_key"),
        ca=read.path("ca"),
    )
    try:
        if destination.url:
            open_transport(destination, base=folder)
    except ConfigError as error:
        faults.extend(error.faults)
    return destination


def _outbox(read: Reader, folder: Path) -> str:
    url = read.text("url", "sqlite:///instance/outbox.db")
    read.reject_unknown_keys()
    try:
        parts = make_url(url)
    except ArgumentError:
        read.fault("url", "is not a database address", "write sqlite:///instance/outbox.db or postgresql+psycopg://…")
        return ""
    if parts.drivername == "sqlite" and parts.database:
        return parts.set(database=str(folder / parts.database)).render_as_string(hide_password=False)
    if parts.drivername != "postgresql+psycopg":
        read.fault("url", "is of another kind", "write sqlite:///instance/outbox.db or postgresql+psycopg://…")
    return url


def _limits(read: Reader) -> LimitsConfig:
    limits = LimitsConfig(
        url=read.text("url", "memory://"),
        per_address=read.converted("per_address", _rate, "20/hour", mend='write one such as "20/hour"'),
        total=read.converted("total", _rate, "2000/hour", mend='write one such as "2000/hour"'),
    )
    if urlsplit(limits.url).scheme not in ("memory", "redis", "rediss"):
        read.fault("url", "is of another kind", "write memory:// or redis://…")
    read.reject_unknown_keys()
    return limits


def _rate(text: str) -> str:
    parse_limit(text)
    return text


def _forward(read: Reader) -> ForwardConfig:
    forward = ForwardConfig(window=read.duration("window", "10min"), batch=read.integer("batch", 4, 1, 1024))
    if not 1 <= forward.window <= 86400:  # noqa: PLR2004
        read.fault("window", "is out of bounds", "write from 1s to 1d")
    read.reject_unknown_keys()
    return forward


def _check_references(config: Config, faults: list[str]) -> None:
    ids = [agency.id for agency in config.agencies]
    if len(set(ids)) < len(ids):
        faults.append("[[agency]] id: two agencies have the same; give each its own")
    if config.report.agency not in ids:
        faults.append("[report] agency: no [[agency]] has this id; name one that has")
    if config.site.demo:
        return
    for agency in config.agencies:
        if recipient_of(DEMONSTRATION) in agency.recipients:
            faults.append(
                f"[[agency]] {agency.id} recipients: has a demonstration's key, which anyone can open; "
                "make your own with haumaru-desk keygen"
            )
        if agency.name.startswith("Example"):
            faults.append(f"[[agency]] {agency.id} name: is a demonstration's; write the agency's own name")
