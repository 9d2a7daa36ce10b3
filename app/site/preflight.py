"""The checks that an operator runs before the site goes live.

`check` examines the configuration, the content, the host, the database, the memory store, the server of each agency
and the sandbox, and returns every fault with its remedy. It sends nothing.
"""

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from app.core.catalogues import catalogue_faults
from app.core.errors import ConfigError, DeliveryError, HaumaruError
from app.core.resources import ROOT
from app.delivery.clock import days_left, nz_day
from app.delivery.destinations import open_transport
from app.delivery.outbox import Outbox
from app.files.clean import probe_sandbox
from app.files.sandbox import MEMORY_BYTES
from app.files.turns import cores, film_places
from app.site.agencies import NO_DAY_KEY
from app.site.config import EXPIRY_WARNING_DAYS, Config, load_config
from app.site.factory import SCHEMA_REMEDIES, form_secret, open_memory_store
from app.site.guide.editions import review_warnings, served_languages
from app.site.guide.loader import load_catalogue_reviews, load_library
from app.site.guide.outcome_files import read_outcome_files
from app.site.guide.page_recordings import OLD_RECORDING
from app.site.report.held import MAX_HELD_BYTES
from app.vault.age import ENVELOPE_BYTES
from app.vault.day_keys import LOW_DAYS

_PROBE_SECONDS = 15
_MB = 1_000_000
# What one worker takes at rest, with short bodies on all its threads; and two derivations of receipt codes.
_WORKER_BYTES = 200_000_000
_CODES_BYTES = 2 * 64 * 1024**2
# The limits of the unit in deploy/systemd, and of a container (cgroups(7), version 2).
_MEMORY_LIMITS = ("/sys/fs/cgroup/system.slice/haumaru.service/memory.max", "/sys/fs/cgroup/memory.max")

_DAY_SECONDS = 86_400
# The file systems of Linux that have no disk (statfs(2)); a tmpfs may swap, of which `host_warnings` warns.
_MEMORY_FILE_SYSTEMS = frozenset({0x01021994, 0x858458F6})  # tmpfs, ramfs
_MAIL_BYTES = 200_000  # of the mail of one envelope, at most


@dataclass(frozen=True)
class PreflightFinding:
    """One thing to correct: a fault makes the site unsafe, a warning is for the operator to decide."""

    fault: bool
    text: str

    def __str__(self) -> str:
        return f"{'fault' if self.fault else 'warning'}: {self.text}"


def check(path: Path, env: Mapping[str, str]) -> list[PreflightFinding]:
    """Return every fault and warning that can be found without sending a tip."""
    try:
        config = load_config(path, env)
    except ConfigError as error:
        return [PreflightFinding(fault=True, text=text) for text in error.faults]
    findings = [PreflightFinding(fault=False, text=text) for text in host_warnings(config)]
    examinations = (
        _check_content,
        _check_outcomes,
        _check_secret,
        _check_database,
        _check_memory,
        _check_agencies,
        _check_mail,
        _check_limits,
        _check_sandbox,
    )
    for examine in examinations:
        findings += examine(config)
    return findings


def is_in_memory(path: Path) -> bool:
    """Return whether a path, or the nearest folder above it that is there, lies in a file system without a disk."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    buffer = ctypes.create_string_buffer(512)  # struct statfs, which begins with f_type
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(there), buffer):
        return False
    return ctypes.c_ulong.from_buffer(buffer).value & 0xFFFF_FFFF in _MEMORY_FILE_SYSTEMS


def host_warnings(config: Config) -> list[str]:
    """Return what is unsafe about the host, the proxy settings or the key's expiry, one sentence each."""
    warnings = []
    if _has_unencrypted_swap():
        warnings.append("[machine] swap: memory may be written to a disk unencrypted; turn swap off or encrypt it")
    if _first_line("/proc/sys/kernel/core_pattern").startswith("|"):
        warnings.append(
            "[machine] core dumps: are piped to a program, which limits do not stop; set kernel.core_pattern=core"
        )
    server, loopback = config.server, config.server.host.startswith(("127.", "::1"))
    if server.proxies and not loopback:
        warnings.append(
            "[server] proxies: anyone who can reach bind can forge a visitor's address; set bind to 127.0.0.1"
        )
    if config.site.secure and loopback and not server.proxies:
        warnings.append(
            "[server] proxies: behind a proxy all visitors seem to have one address; write how many proxies there are"
        )
    needed, there = most_memory(config), _memory_limit()
    if needed > there:
        warnings.append(
            f"[server] body_memory: the site may need {needed // _MB} MB with workers and files being cleaned, and has "
            f"{there // _MB} MB; lower body_memory or workers, or raise MemoryMax of the unit"
        )
    return warnings + _key_warnings(config)


def _key_warnings(config: Config) -> list[str]:
    warnings = []
    for agency in config.report_agencies:
        left = days_left(agency.expires, time())
        if left < EXPIRY_WARNING_DAYS:
            warnings.append(
                f"[[agency]] {agency.id} expires: the form closes in {left} days; get a new key from the agency"
            )
        day_left = days_left(agency.day_keys.last, time()) if agency.day_keys else LOW_DAYS
        if 0 <= day_left < LOW_DAYS:
            warnings.append(
                f"[[agency]] {agency.id} day_keys: the form closes in {day_left} days; get new day keys from the agency"
            )
    return warnings


def outcome_faults(config: Config) -> tuple[str, ...]:
    """Return why figures that agencies published are not shown, each with its remedy; the site runs without them."""
    return read_outcome_files(config.content, config.report_agencies, nz_day(time()))[1]


def most_memory(config: Config) -> int:
    """Return how many bytes the site takes with every limit reached at once; `deploy/README.md` has the same sum."""
    worker = _WORKER_BYTES + config.server.body_memory + _CODES_BYTES
    return config.server.workers * worker + (cores() + film_places()) * MEMORY_BYTES + MAX_HELD_BYTES


def _memory_limit() -> int:
    """Return the bytes that the site may take: the machine's, or those of its unit or container where they are less."""
    found = [int(line.split()[1]) * 1024 for line in _read_lines("/proc/meminfo") if line.startswith("MemTotal:")]
    limits = [_first_line(path) for path in _MEMORY_LIMITS]
    return min([*found, *(int(limit) for limit in limits if limit.isdigit())], default=2**63)


def _has_unencrypted_swap() -> bool:
    lines = _read_lines("/proc/swaps")[1:]
    return any(not line.startswith(("/dev/zram", "/dev/dm-", "/dev/mapper/")) for line in lines)


def _read_lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _first_line(path: str) -> str:
    return "".join(_read_lines(path)[:1])


def _check_content(config: Config) -> list[PreflightFinding]:
    codes, faults = served_languages(ROOT / "content"), catalogue_faults(ROOT / "translations")
    try:
        library = load_library(ROOT / "content", codes, config.content, signed_only=config.site.reviewed_only)
        reviews = load_catalogue_reviews(ROOT / "translations", codes)
    except ConfigError as error:
        faults += error.faults
    if faults:
        return [PreflightFinding(fault=True, text=text) for text in faults]
    warnings = [
        PreflightFinding(
            fault=False, text=f"{name}: the English is newer than this translation; translate what changed"
        )
        for name in library.stale
    ]
    warnings += [PreflightFinding(fault=False, text=f"{name}: {OLD_RECORDING}") for name in library.old_recordings]
    if config.site.demo:
        return warnings
    texts = review_warnings(library, reviews, reviewed_only=config.site.reviewed_only)
    return warnings + [PreflightFinding(fault=False, text=text) for text in texts]


def _check_outcomes(config: Config) -> list[PreflightFinding]:
    return [PreflightFinding(fault=True, text=text) for text in outcome_faults(config)]


def _check_secret(config: Config) -> list[PreflightFinding]:
    path = config.server.secret_file
    try:
        form_secret(path)
    except ConfigError as error:
        return [PreflightFinding(fault=True, text=text) for text in error.faults]
    if path.stat().st_mode & 0o077:
        return [PreflightFinding(fault=True, text="[server] secret_file: other users can read the file; run chmod 600")]
    return []


def _check_database(config: Config) -> list[PreflightFinding]:
    outbox = Outbox(config.outbox_url)
    try:
        outbox.prepare()
    except HaumaruError as error:
        remedy = SCHEMA_REMEDIES.get(error.code, "start the database, or correct the address or the rights")
        text = f"[outbox] url: the database cannot be used ({error.code}); {remedy}"
        return [PreflightFinding(fault=True, text=text)]
    path = outbox.database.path
    if path and path.parent.stat().st_mode & 0o077:
        return [
            PreflightFinding(
                fault=False, text="[outbox] url: other users can see when its folder changes; run chmod 700"
            )
        ]
    return []


def _check_agencies(config: Config) -> list[PreflightFinding]:
    findings = []
    for agency in config.agencies:
        name = f"[[agency]] {agency.id}"
        if days_left(agency.expires, time()) < 0:
            findings.append(
                PreflightFinding(
                    fault=True,
                    text=f"{name} expires: the key has expired, so the form is closed; get a new key from the agency",
                )
            )
        if agency.day_keys and not agency.day_keys.has_key(nz_day(time())):
            findings.append(PreflightFinding(fault=True, text=f"{name} day_keys: {NO_DAY_KEY}"))
        try:
            transport = open_transport(agency.destination, base=config.folder)
            began = monotonic()
            room = transport.probe(seconds=_PROBE_SECONDS)
            findings += _check_pace(config, name, monotonic() - began)
        except DeliveryError as error:
            text = f"{name} deliver: the agency's server does not accept envelopes ({error.code}); see docs/operator.md"
            findings.append(PreflightFinding(fault=True, text=text))
            continue
        if room is not None and room < ENVELOPE_BYTES:
            text = f"{name} deliver: the mail server accepts only {room} bytes; ask for a SIZE of {_MAIL_BYTES}"
            findings.append(PreflightFinding(fault=True, text=text))
    return findings


def _check_pace(config: Config, name: str, seconds: float) -> list[PreflightFinding]:
    """Return a warning where an envelope may take longer to deliver than half the time until the next one leaves."""
    interval = config.forward.window / config.forward.cells
    if interval >= 2 * seconds:
        return []
    text = f"[forward] window: to reach {name} took {seconds:.1f} s, but an envelope leaves every {interval:.1f} s"
    return [PreflightFinding(fault=False, text=f"{text}; make window longer, or lower cells")]


def _check_mail(config: Config) -> list[PreflightFinding]:
    """Return a fault for each agency that would get more mails a day than a mail server is known to take."""
    mails = -(-config.forward.cells * _DAY_SECONDS // config.forward.window)
    return [
        PreflightFinding(
            fault=True,
            text=f"[[agency]] {agency.id} mail_limit: {mails} mails would leave each day; make [forward] window longer "
            "or lower cells, or set mail_limit to what the mail server accepts",
        )
        for agency in config.report_agencies
        if agency.destination.url.startswith("smtp") and mails > agency.mail_limit
    ]


def _check_memory(config: Config) -> list[PreflightFinding]:
    if config.memory.folder is None:
        return _check_redis("[memory] url", config.memory.url)
    if not is_in_memory(config.memory.folder):
        text = "[memory] folder: is on a disk, which could keep secrets; name a folder in a tmpfs, such as one in /run"
        # A demonstration's reports are nobody's.
        return [PreflightFinding(fault=not config.site.demo, text=text)]
    try:
        open_memory_store(config.memory).level()
    except HaumaruError:
        text = "[memory] folder: cannot be used; make the folder, and give this user the right to write there"
        return [PreflightFinding(fault=True, text=text)]
    return []


def _check_limits(config: Config) -> list[PreflightFinding]:
    return [] if config.limits.url.startswith("memory:") else _check_redis("[limits] url", config.limits.url)


def _check_redis(name: str, url: str) -> list[PreflightFinding]:
    try:
        store: Any = Redis.from_url(url, socket_timeout=_PROBE_SECONDS)
        persists = store.config_get("save").get("save") or store.config_get("appendonly").get("appendonly") == "yes"
    except RedisError:
        return [
            PreflightFinding(fault=True, text=f"{name}: Redis cannot be reached; start Redis, or correct the address")
        ]
    if persists:
        return [PreflightFinding(fault=True, text=f'{name}: Redis writes to a disk; set save "" and appendonly no')]
    return []


def _check_sandbox(config: Config) -> list[PreflightFinding]:  # noqa: ARG001
    try:
        probe_sandbox()
    except HaumaruError:
        text = "[machine] sandbox: Landlock or seccomp is missing, so files are refused; use a kernel that has both"
        return [PreflightFinding(fault=False, text=text)]
    return []
