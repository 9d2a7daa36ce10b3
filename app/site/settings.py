"""The settings of the public side, as frozen values: what `config` reads and everything else is handed."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from app.delivery.destinations import Destination


@dataclass(frozen=True)
class Site:
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
class Server:
    """Where and with how much the site serves; `bodies` is how many are read at once by one worker."""

    host: str
    port: int
    workers: int
    threads: int
    bodies: int
    proxies: int
    secret_file: Path


@dataclass(frozen=True)
class Report:
    """To whom reports are sealed; `max_upload` in bytes, `min_fill` in seconds."""

    agency: str
    max_upload: int
    min_fill: int


@dataclass(frozen=True)
class Agency:
    """One agency: its public keys until `expires`, and how envelopes reach it."""

    id: str
    name: str
    reads: str
    recipients: tuple[str, ...]
    expires: date
    reply_key: bytes
    destination: Destination
    max_class: str


@dataclass(frozen=True)
class Limits:
    """Rates as Flask-Limiter writes them, and where they are counted."""

    url: str
    per_address: str
    total: str


@dataclass(frozen=True)
class Forward:
    """The forwarder's window in seconds, and how many envelopes leave in each at the least."""

    window: int
    batch: int


@dataclass(frozen=True)
class Settings:
    """All of `haumaru.toml`."""

    site: Site
    server: Server
    report: Report
    agencies: tuple[Agency, ...]
    folder: Path
    outbox_url: str
    limits: Limits
    forward: Forward

    @property
    def intake(self) -> Agency:
        """The agency that reports are sealed to."""
        return next(agency for agency in self.agencies if agency.id == self.report.agency)
