"""What an operator must know before going live.

`check` looks at the configuration, the machine, the database, each agency's end and the sandbox, and tells
every fault with its mend. It sends nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from app.core.errors import ConfigError, DeliveryError, HaumaruError
from app.core.resources import ROOT
from app.delivery.clock import day
from app.delivery.destinations import open_transport
from app.delivery.outbox import Outbox
from app.files import clean
from app.site import config
from app.site.factory import form_secret, served_languages
from app.site.guide import loader
from app.site.settings import Settings
from app.vault.tip import SIZE_CLASSES

_PROBE_SECONDS = 15
_EXPIRY_WARNING_DAYS = 30
# What the envelope adds to a bundle: header, nonce and a tag each 64 KiB.
_ENVELOPE_MARGIN = 64 * 1024


@dataclass(frozen=True)
class Finding:
    """One thing to mend; a fault keeps the site from being safe, a warning is for the operator to weigh."""

    fault: bool
    words: str

    def __str__(self) -> str:
        return f"{'fault' if self.fault else 'warning'}: {self.words}"


def check(path: Path, env: Mapping[str, str]) -> list[Finding]:
    """Look at everything that can be looked at without sending a tip."""
    try:
        settings = config.load(path, env)
    except ConfigError as error:
        return [Finding(fault=True, words=words) for words in error.faults]
    findings = [Finding(fault=False, words=words) for words in machine(settings)]
    for look in (_content, _secret, _database, _agencies, _limits, _sandbox):
        findings += look(settings)
    return findings


def machine(settings: Settings) -> list[str]:
    """What the site cannot mend itself, as warnings."""
    warnings = []
    if _unencrypted_swap():
        warnings.append("[machine] swap: memory may be written to a disk unencrypted; turn swap off or encrypt it")
    if _first_line("/proc/sys/kernel/core_pattern").startswith("|"):
        warnings.append(
            "[machine] core dumps: are piped to a program, which limits do not stop; set kernel.core_pattern=core"
        )
    server, loopback = settings.server, settings.server.host.startswith(("127.", "::1"))
    if server.proxies and not loopback:
        warnings.append("[server] proxies: anyone who reaches bind may forge the header; bind to 127.0.0.1")
    if settings.site.secure and loopback and not server.proxies:
        warnings.append("[server] proxies: behind a proxy everybody has one address; say how many proxies there are")
    left = (settings.intake.expires - day(time())).days
    if left < _EXPIRY_WARNING_DAYS:
        warnings.append(f"[[agency]] {settings.intake.id} expires: in {left} days the form closes; rotate the key")
    return warnings


def _unencrypted_swap() -> bool:
    lines = _lines("/proc/swaps")[1:]
    return any(not line.startswith(("/dev/zram", "/dev/dm-", "/dev/mapper/")) for line in lines)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _first_line(path: str) -> str:
    return "".join(_lines(path)[:1])


def _content(settings: Settings) -> list[Finding]:
    try:
        library = loader.load(ROOT / "content", served_languages(ROOT / "content"))
    except ConfigError as error:
        return [Finding(fault=True, words=words) for words in error.faults]
    stale = [
        Finding(fault=False, words=f"{name}: was made from other English than today's; translate what changed")
        for name in library.stale
    ]
    if settings.site.demo:
        return stale
    unsigned = [lang for lang, edition in library.editions.items() if not edition.reviewed]
    if unsigned and not settings.site.reviewed_only:
        words = f"[site] reviewed_only: no speaker has signed {', '.join(unsigned)}; have them read, or set it to true"
        stale.append(Finding(fault=False, words=words))
    return stale


def _secret(settings: Settings) -> list[Finding]:
    path = settings.server.secret_file
    try:
        form_secret(path)
    except ConfigError as error:
        return [Finding(fault=True, words=words) for words in error.faults]
    if path.stat().st_mode & 0o077:
        return [Finding(fault=True, words="[server] secret_file: others may read it; chmod 600")]
    return []


def _database(settings: Settings) -> list[Finding]:
    box = Outbox(settings.outbox_url)
    try:
        box.prepare()
    except HaumaruError as error:
        words = f"[outbox] url: the database cannot be used ({error.code}); start it, or mend the address or its rights"
        return [Finding(fault=True, words=words)]
    path = box.store.path
    if path and path.parent.stat().st_mode & 0o077:
        return [Finding(fault=False, words="[outbox] url: others may see when its folder is written to; chmod 700")]
    return []


def _agencies(settings: Settings) -> list[Finding]:
    findings = []
    for agency in settings.agencies:
        name = f"[[agency]] {agency.id}"
        if agency.expires < day(time()):
            findings.append(Finding(fault=True, words=f"{name} expires: is past, the form is closed; rotate the key"))
        try:
            transport = open_transport(agency.destination, base=settings.folder)
            room = transport.probe(seconds=_PROBE_SECONDS)
        except DeliveryError as error:
            words = f"{name} deliver: its end does not take envelopes ({error.code}); see docs/operator.md"
            findings.append(Finding(fault=True, words=words))
            continue
        needed = SIZE_CLASSES[agency.max_class] + _ENVELOPE_MARGIN
        if room is not None and room < needed:
            words = f"{name} max_class: the server takes only {room} bytes; lower max_class or raise its SIZE"
            findings.append(Finding(fault=True, words=words))
    return findings


def _limits(settings: Settings) -> list[Finding]:
    if settings.limits.url.startswith("memory:"):
        return []
    try:
        store: Any = Redis.from_url(settings.limits.url, socket_timeout=_PROBE_SECONDS)
        persists = store.config_get("save").get("save") or store.config_get("appendonly").get("appendonly") == "yes"
    except RedisError:
        return [Finding(fault=True, words="[limits] url: cannot be reached; start it, or mend the address")]
    if persists:
        return [Finding(fault=True, words='[limits] url: writes to disk; set save "" and appendonly no')]
    return []


def _sandbox(settings: Settings) -> list[Finding]:  # noqa: ARG001
    try:
        clean.probe()
    except HaumaruError:
        words = "[machine] sandbox: Landlock or seccomp is missing, so files are refused; use a kernel that has both"
        return [Finding(fault=False, words=words)]
    return []
