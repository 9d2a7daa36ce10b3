"""Reads `haumaru.toml`, with `HAUMARU_…` variables over it, into frozen values.

Raises one `ConfigError` with every fault and its remedy: a site that would not be safe does not start. An unknown key
is a fault, because a misspelt safety setting would otherwise have no effect and no message.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from limits import parse as parse_limit
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.core.config_reader import Reader, read_toml
from app.core.errors import ConfigError
from app.core.i18n import LocalText
from app.delivery.receipt_codes import ReceiptCode, agency_of_code
from app.site.agencies import AgencyConfig, check_agencies, read_agency
from app.web.networks import HOUR_SECONDS

# Days before the end of an agency's key from which `haumaru check` and `haumaru status` warn.
EXPIRY_WARNING_DAYS = 30
_BY_LANGUAGE = 'once, or for each language: { en = "…", mi = "…" }'
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_STOCK_PER_CELL = 4  # so that decoys of the stock are there to be replaced for four windows


@dataclass(frozen=True)
class SiteConfig:
    """Who runs the site, its addresses, and what it shows."""

    name: str
    operator: LocalText
    contact_email: str
    base_url: str
    onion: str
    exit_url: str
    demo: bool
    reviewed_only: bool

    @property
    def secure(self) -> bool:
        """Return whether visitors come over TLS, so that cookies and headers may require it."""
        return self.base_url.startswith("https://")

    @property
    def origins(self) -> tuple[str, ...]:
        """Return the origins that a form of ours may be sent from (RFC 6454)."""
        return tuple(url for url in (self.base_url, self.onion) if url)


@dataclass(frozen=True)
class ServerConfig:
    """The address and the capacity of the server; `body_memory` in bytes is what bodies take in one worker."""

    host: str
    port: int
    workers: int
    threads: int
    body_memory: int
    proxies: int
    secret_file: Path


@dataclass(frozen=True)
class ReportConfig:
    """The ids of the agencies that reports can be sealed to; `max_upload` in bytes, `min_fill` in seconds."""

    agencies: tuple[str, ...]
    max_upload: int
    min_fill: int


@dataclass(frozen=True)
class LimitsConfig:
    """The store that counts, the tips that an address may send ("20/hour"), the bytes of disk kept free of files."""

    url: str
    per_address: str
    words_room: int


@dataclass(frozen=True)
class MemoryConfig:
    """Where the memory store is: in a folder of a tmpfs, or in the Redis of `url`; exactly one of the two is set."""

    folder: Path | None
    url: str


@dataclass(frozen=True)
class ForwardConfig:
    """The window in seconds, how many envelopes leave in each window, and how many lie in the outbox at rest."""

    window: int
    cells: int
    stock: int


@dataclass(frozen=True)
class Config:
    """The whole of `haumaru.toml`."""

    site: SiteConfig
    server: ServerConfig
    report: ReportConfig
    agencies: tuple[AgencyConfig, ...]
    folder: Path
    content: Path | None
    outbox_url: str
    limits: LimitsConfig
    memory: MemoryConfig
    forward: ForwardConfig

    @property
    def report_agencies(self) -> tuple[AgencyConfig, ...]:
        """Return the agencies that reports can be sealed to."""
        by_id = {agency.id: agency for agency in self.agencies}
        return tuple(by_id[identifier] for identifier in self.report.agencies)

    @property
    def intake(self) -> AgencyConfig:
        """Return the agency that a report is sealed to unless its sender leaves that agency out: the first of them."""
        return self.report_agencies[0]

    def agency_of(self, code: ReceiptCode) -> AgencyConfig | None:
        """Return the agency to which the answers under a receipt code go.

        None where that agency is configured, but takes no reports any more: its sender may have left the first one out.
        """
        former = [agency.id for agency in self.agencies if agency.id not in self.report.agencies]
        wanted = agency_of_code(code, (*self.report.agencies, *former))
        return next((agency for agency in self.report_agencies if agency.id == wanted), None)


def load_config(path: Path, env: Mapping[str, str]) -> Config:
    """Return a configuration file with the variables over it; `ConfigError` with every fault."""
    faults: list[str] = []
    folder = path.resolve().parent
    root = Reader(read_toml(path), name="", prefix="HAUMARU", folder=folder, env=env, faults=faults)
    server = _read_server(root.table("server"))
    state = server.secret_file.parent
    config = Config(
        site=_read_site(root.table("site")),
        server=server,
        report=_read_report(root.table("report")),
        agencies=tuple(read_agency(row, folder, state) for row in root.tables("agency")),
        folder=folder,
        content=_read_content(root.table("content")),
        outbox_url=_read_outbox_url(root.table("outbox"), folder),
        limits=_read_limits(root.table("limits")),
        memory=_read_memory(root.table("memory")),
        forward=_read_forward(root.table("forward")),
    )
    root.reject_unknown_keys()
    check_agencies(config.agencies, config.report.agencies, faults, demo=config.site.demo)
    if faults:
        raise ConfigError(tuple(fault.strip() for fault in faults))
    return config


def _read_site(reader: Reader) -> SiteConfig:
    site = SiteConfig(
        name=reader.text("name", "Haumaru"),
        operator=reader.local_text("operator", remedy=f"write who runs this site, and their address, {_BY_LANGUAGE}"),
        contact_email=reader.text("contact_email", remedy="write the email address that the operator reads"),
        base_url=reader.text("base_url", remedy="write https://… as visitors type it").rstrip("/"),
        onion=reader.text("onion", "").rstrip("/"),
        exit_url=reader.text("exit_url", "https://www.metservice.com/"),
        demo=reader.flag("demo", default=False),
        reviewed_only=reader.flag("reviewed_only", default=False),
    )
    if site.contact_email and not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+", site.contact_email):
        reader.fault("contact_email", "is not an email address", "write one such as team@example.org")
    if site.base_url and not _is_safe_origin(site.base_url):
        reader.fault("base_url", "is neither https nor on loopback nor an onion", "write https://… without a path")
    if site.onion and not re.fullmatch(r"http://[a-z2-7]{56}\.onion", site.onion):
        reader.fault("onion", "is not an onion address", "write http://….onion, 56 characters before .onion")
    if not re.fullmatch(r"https://[a-z0-9.-]+(/[A-Za-z0-9._~/-]*)?", site.exit_url):
        reader.fault("exit_url", "is not a plain https address", "write one such as https://www.metservice.com/")
    reader.reject_unknown_keys()
    return site


def _is_safe_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.path or parts.query or parts.fragment or parts.username:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and (host in _LOOPBACK or host.endswith(".onion")))


def _read_server(reader: Reader) -> ServerConfig:
    bind = reader.text("bind", "127.0.0.1:8000")
    parts = re.fullmatch(r"(\[[0-9a-f:]+\]|[0-9.]+):(\d{1,5})", bind)
    if parts is None or not 0 < int(parts[2]) < 2**16:
        reader.fault("bind", "is not an address and a port", 'write one such as "127.0.0.1:8000"')
    server = ServerConfig(
        host=parts[1].strip("[]") if parts else "127.0.0.1",
        port=int(parts[2]) if parts else 8000,
        workers=reader.integer("workers", 2, 1, 64),
        threads=reader.integer("threads", 64, 4, 1024),
        body_memory=reader.size("body_memory", "400MB"),
        proxies=reader.integer("proxies", 0, 0, 8),
        secret_file=reader.path("secret_file", "instance/secret") or Path(),
    )
    reader.reject_former_key("bodies", 'write body_memory = "400MB", the bytes that bodies may take in one worker')
    reader.reject_unknown_keys()
    return server


def _read_report(reader: Reader) -> ReportConfig:
    reader.reject_former_key("agency", 'write agencies = ["intake"], with the ids of one or more [[agency]]')
    report = ReportConfig(
        agencies=reader.texts("agencies", remedy='write ["intake"], with the ids of one or more [[agency]]'),
        max_upload=reader.size("max_upload", "100MB"),
        min_fill=reader.duration("min_fill", "3s"),
    )
    reader.reject_unknown_keys()
    return report


def _read_outbox_url(reader: Reader, folder: Path) -> str:
    url = reader.text("url", "sqlite:///instance/outbox.db")
    reader.reject_unknown_keys()
    try:
        parts = make_url(url)
    except ArgumentError:
        reader.fault("url", "is not a database address", "write sqlite:///instance/outbox.db or postgresql+psycopg://…")
        return ""
    if parts.drivername == "sqlite" and parts.database:
        return parts.set(database=str(folder / parts.database)).render_as_string(hide_password=False)
    if parts.drivername != "postgresql+psycopg":
        reader.fault("url", "is not supported", "write sqlite:///instance/outbox.db or postgresql+psycopg://…")
    return url


def _read_content(reader: Reader) -> Path | None:
    folder = reader.path("folder")
    reader.reject_unknown_keys()
    return folder


def _read_limits(reader: Reader) -> LimitsConfig:
    reader.reject_former_key(
        "total", "remove the key: per_address sets the share of each network, and wider networks have their own shares"
    )
    limits = LimitsConfig(
        url=reader.text("url", "memory://"),
        per_address=reader.optional("per_address", _hourly_rate, "20/hour", remedy='write one such as "20/hour"'),
        words_room=reader.size("words_room", "2GB"),
    )
    if urlsplit(limits.url).scheme not in ("memory", "redis", "rediss"):
        reader.fault("url", "is not supported", "write memory:// or redis://…")
    reader.reject_unknown_keys()
    return limits


def _hourly_rate(text: str) -> str:
    """Return the text of a rate an hour, in the notation of the library `limits`; raises ValueError."""
    if parse_limit(text).get_expiry() != HOUR_SECONDS:
        raise ValueError
    return text


def _read_memory(reader: Reader) -> MemoryConfig:
    url = reader.text("url", "")
    memory = MemoryConfig(folder=reader.path("folder", "" if url else "/run/haumaru"), url=url)
    if url and urlsplit(url).scheme not in ("redis", "rediss"):
        reader.fault("url", "is not supported", "write redis://…")
    if url and memory.folder:
        reader.fault("url", "is set together with folder", "keep one of the two")
    reader.reject_unknown_keys()
    return memory


def _read_forward(reader: Reader) -> ForwardConfig:
    reader.reject_former_key("batch", "write cells, the number of envelopes that leave in each window")
    cells = reader.integer("cells", 16, 1, 1024)
    forward = ForwardConfig(
        window=reader.duration("window", "10min"),
        cells=cells,
        stock=reader.integer("stock", _STOCK_PER_CELL * cells, 1, 16_384),
    )
    if not 1 <= forward.window <= 86400:  # noqa: PLR2004
        reader.fault("window", "is too short or too long", "write from 1s to 1d")
    if forward.stock < forward.cells:
        reader.fault("stock", "is less than cells", f"leave it out for {_STOCK_PER_CELL} times as many as cells")
    reader.reject_unknown_keys()
    return forward
