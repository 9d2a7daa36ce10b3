"""The state that an operator checks every day: the backlog of each agency, and actions that are needed.

Reports how many windows a backlog takes, and whole days, and nothing else about tips: up to the stock nobody sees
whether any wait. An unusable database is reported too, with the action that helps: meanwhile the form says "not sent",
and nothing that was acknowledged is lost.
"""

import math
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import time
from typing import Any

from app.core.errors import MemoryStoreError, OutboxError
from app.core.resources import ROOT
from app.delivery.clock import days_left, nz_day
from app.delivery.database import Database
from app.delivery.leases import AgencyQueue, Leases
from app.delivery.memory_file import MEMORY_FILE
from app.delivery.memory_store import MemoryStore
from app.delivery.outbox import Outbox
from app.site.agencies import NO_DAY_KEY, AgencyConfig
from app.site.config import EXPIRY_WARNING_DAYS, Config
from app.site.factory import SCHEMA_REMEDIES, open_memory_store
from app.site.guide.loader import load_library
from app.site.guide.models import ENGLISH, Library
from app.site.guide.page_recordings import OLD_RECORDING, recorded_languages
from app.vault.age import ENVELOPE_BYTES
from app.vault.day_keys import KEEP_DAYS, LOW_DAYS

_MAX_FAILING_DAYS = 2
_HALF_KEPT_DAYS = KEEP_DAYS // 2
_MAX_BACKLOG_SECONDS = 12 * 3600
_DAY_SECONDS = 86_400
_MAX_CONTACT_AGE_DAYS = 180
# Space for a few tips without files: each is written twice to the log, then twice into place.
FULL_DISK_BYTES = 8 * 4 * ENVELOPE_BYTES
# What helps, by the code of an `OutboxError`.
_REMEDIES = {
    "database-away": "start the database, or repair the connection to it",
    "disk-full": "free space",
    "disk": "check the disk: it accepts no more data, or it fails",
    "read-only": "make the database and its folder writable",
    "cannot-open": "mount the folder of the database, and give this user the right to write there",
    "corrupt": "stop the site and the forwarder, run haumaru forward --once, move the file away; docs/operator.md",
    "memory": "give the machine more memory; if that does not help, do the same as for corrupt",
    "fsync-off": "set fsync = on",
    "busy": "another program has locked the database; end that program",
    **SCHEMA_REMEDIES,
}


@dataclass(frozen=True)
class AgencyDeliveries:
    """The deliveries to one agency: how many windows its backlog takes, and the last failure since `failing_since`."""

    id: str
    backlog_windows: int  # 0 when no more than the stock waits
    failing: str  # the code of the last failure; empty where deliveries do not fail
    failing_since: date | None
    key_days: int
    day_key_days: int | None = None  # to the last day that has a day key; None where the agency has no day keys

    def as_json(self) -> dict[str, Any]:
        """Return the deliveries for a monitor."""
        since = self.failing_since.isoformat() if self.failing_since else None
        return {
            "id": self.id,
            "backlog_windows": self.backlog_windows,
            "failing": self.failing,
            "failing_since": since,
            "key_days": self.key_days,
            **({} if self.day_key_days is None else {"day_key_days": self.day_key_days}),
        }

    def as_text(self) -> str:
        """Return the deliveries for a person, in one line."""
        state = f"failing since {self.failing_since}: {self.failing}" if self.failing else "delivering"
        backlog = f"backlog of {self.backlog_windows} windows" if self.backlog_windows else "no backlog"
        day_keys = "" if self.day_key_days is None else f", day keys for {self.day_key_days} days"
        return f"{self.id}: {backlog}, {state}, key for {self.key_days} days{day_keys}"


@dataclass(frozen=True)
class SiteStatus:
    """What `haumaru status` shows; `actions_needed` holds one sentence for each action."""

    agencies: tuple[AgencyDeliveries, ...]
    actions_needed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the status for a monitor."""
        return {"agencies": [agency.as_json() for agency in self.agencies], "act": list(self.actions_needed)}

    def as_text(self) -> str:
        """Return the status for a person, one line for each agency and each action."""
        lines = [agency.as_text() for agency in self.agencies]
        return "\n".join([*lines, *(f"act: {action}" for action in self.actions_needed)])


def read_status(config: Config) -> SiteStatus:
    """Return the state of the deliveries, without agencies if the database cannot be read."""
    now = time()
    database = Outbox(config.outbox_url).database
    actions = _database_actions(database, config.limits.words_room)
    try:
        queue = Leases(database).status()
    except OutboxError:
        return SiteStatus((), tuple(actions + _content_actions(config.content)))
    finally:
        database.close()
    agencies = []
    for agency in config.agencies:
        found = queue.agencies.get(agency.id, AgencyQueue())
        stock = config.forward.stock if agency.id in config.report.agencies else 0
        deliveries = AgencyDeliveries(
            id=agency.id,
            backlog_windows=math.ceil(max(0, found.waiting - stock) / config.forward.cells),
            failing=found.code,
            failing_since=found.since,
            key_days=days_left(agency.expires, now),
            day_key_days=days_left(agency.day_keys.last, now) if agency.day_keys else None,
        )
        agencies.append(deliveries)
        actions += _agency_actions(deliveries, config.forward.window, now)
        actions += _day_key_actions(deliveries, agency, config.forward.window, now)
    unknown = queue.agencies.keys() - {agency.id for agency in config.agencies}
    actions += [f"{name}: envelopes wait for an agency that is not configured; put it back" for name in sorted(unknown)]
    if queue.last_window and now - queue.last_window > 3 * config.forward.window + 60:
        actions.append("the forwarder has not run for three windows; start it")
    elif queue.last_window:
        actions += _memory_actions(config)
    return SiteStatus(tuple(agencies), tuple(actions + _content_actions(config.content)))


def _database_actions(database: Database, words_room: int) -> list[str]:
    try:
        database.prepare()
        database.quick_check()
    except OutboxError as error:
        remedy = _REMEDIES.get(error.code, "read the database's own log")
        return [f"the database cannot be used ({error.code}), so the form says that nothing was sent: {remedy}"]
    if database.path is None:
        return []
    free = shutil.disk_usage(database.path.parent).free
    if free < FULL_DISK_BYTES:
        return ["the disk is full (disk-full), so the form says that nothing was sent: free space"]
    if free < words_room:
        return ["less than words_room is free on the outbox's disk, so the site accepts no files: free space"]
    return []


def _memory_actions(config: Config) -> list[str]:
    """Return what to do about a memory store that cannot be used, although the forwarder, which runs, would make it."""
    folder = config.memory.folder
    if folder is None:
        is_usable, remedy = (
            _answers(open_memory_store(config.memory)),
            "start the Redis of the memory store",
        )
    else:
        is_usable, remedy = folder.is_dir(), f"make {folder}, and give the site's user the right to write there"
        # A folder or a file that is made here could belong to another user, and shut the site out.
        if is_usable and (folder / MEMORY_FILE).exists():
            is_usable = _answers(open_memory_store(config.memory))
    if is_usable:
        return []
    return [f"the memory store cannot be used, so the site accepts no files, and a form may be sent twice: {remedy}"]


def _answers(store: MemoryStore) -> bool:
    try:
        store.level()
    except MemoryStoreError:
        return False
    finally:
        store.close()
    return True


def _agency_actions(agency: AgencyDeliveries, window: int, now: float) -> list[str]:
    actions = []
    if agency.failing:
        since = agency.failing_since or nz_day(now)
        by_hand = "; deliver by hand if need be" if (nz_day(now) - since).days >= _MAX_FAILING_DAYS else ""
        actions.append(f"{agency.id}: deliveries fail ({agency.failing}) since {since}; see docs/operator.md{by_hand}")
    elif agency.backlog_windows * window > _MAX_BACKLOG_SECONDS:
        actions.append(f"{agency.id}: its backlog takes {agency.backlog_windows} windows; raise cells")
    if agency.key_days < EXPIRY_WARNING_DAYS:
        actions.append(f"{agency.id}: its key expires in {agency.key_days} days; get a new key from the agency")
    return actions


def _day_key_actions(deliveries: AgencyDeliveries, agency: AgencyConfig, window: int, now: float) -> list[str]:
    """Return what to do about the day keys of an agency: for new ones, and before the agency destroys old ones."""
    if agency.day_keys is None or deliveries.day_key_days is None:
        return []
    actions = []
    if not agency.day_keys.has_key(nz_day(now)):
        actions.append(f"{agency.id}: {NO_DAY_KEY}")
    elif deliveries.day_key_days < LOW_DAYS:
        actions.append(f"{agency.id}: its day keys end in {deliveries.day_key_days} days; get new ones from the agency")
    failing_days = (nz_day(now) - deliveries.failing_since).days if deliveries.failing_since else 0
    if max(failing_days, deliveries.backlog_windows * window // _DAY_SECONDS) >= _HALF_KEPT_DAYS:
        actions.append(
            f"{agency.id}: reports wait for {_HALF_KEPT_DAYS} days or more; deliver by hand now, because the agency "
            f"destroys the key of a day after {KEEP_DAYS} days"
        )
    return actions


def _content_actions(own: Path | None) -> list[str]:
    """Return what to do about contacts that nobody has confirmed for long, and about recordings of older pages."""
    root = ROOT / "content"
    library = load_library(root, tuple(sorted({ENGLISH, *recorded_languages(root, own)})), own)
    return [*_contact_actions(library), *(f"{name}: {OLD_RECORDING}" for name in library.old_recordings)]


def _contact_actions(library: Library) -> list[str]:
    """Return which contacts nobody has confirmed for long; once one is due, all that nobody has confirmed are.

    A contact whose source has a day of its own is not due by that day alone.
    """
    today = nz_day(time())
    old = [
        contact
        for contact in library.editions[ENGLISH].contacts.values()
        if (today - contact.as_at).days > _MAX_CONTACT_AGE_DAYS
    ]
    if all(contact.dated for contact in old):
        return []
    names = ", ".join(contact.id for contact in old)
    return [f"contacts {names}: nobody has confirmed them for {_MAX_CONTACT_AGE_DAYS} days; run haumaru contacts"]
