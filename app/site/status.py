"""The state that an operator checks every day: envelopes that wait for each agency, and actions that are needed.

Reports counts and whole days, and nothing else about a tip. An unusable database is reported too, with the
action that helps: meanwhile the form says "not sent", and nothing that was acknowledged is lost.
"""

import shutil
from dataclasses import asdict, dataclass
from time import time
from typing import Any

from app.core.errors import OutboxError
from app.core.resources import ROOT
from app.delivery.clock import days_left, nz_day
from app.delivery.database import Database
from app.delivery.leases import Leases
from app.delivery.outbox import Outbox
from app.site.config import EXPIRY_WARNING_DAYS, Config
from app.site.guide.loader import load_library
from app.site.guide.models import ENGLISH
from app.vault.bundle import SMALLEST

_MAX_WAITING_DAYS = 2
_MAX_CONTACT_AGE_DAYS = 180
# Space for the tips of one window, and for the copy of the database that is made at the end of a window.
LOW_DISK_BYTES = 1024**3
# Space for a few tips without files: each is written twice to the log, then twice into place.
FULL_DISK_BYTES = 8 * SMALLEST
# What helps, by the code of an `OutboxError`.
_REMEDIES = {
    "database-away": "start it, or open the way to it",
    "disk-full": "free space",
    "disk": "look at the disk; it takes no more, or fails",
    "read-only": "make the database and its folder writable",
    "cannot-open": "mount its folder and give this user the right to it",
    "corrupt": "stop the site and the forwarder, run haumaru forward --once, then put the file aside; docs/operator.md",
    "memory": "give the machine more memory, and see corrupt",
    "fsync-off": "set fsync = on",
    "busy": "another program holds it; end that one",
}


@dataclass(frozen=True)
class AgencyDeliveries:
    """The deliveries to one agency: times in whole days, and `failing` as the code of the last failure."""

    id: str
    waiting: int
    oldest_days: int
    failing: str
    key_days: int


@dataclass(frozen=True)
class SiteStatus:
    """What `haumaru status` shows; `actions_needed` holds one sentence for each action."""

    agencies: tuple[AgencyDeliveries, ...]
    actions_needed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the status for a monitor."""
        return {"agencies": [asdict(agency) for agency in self.agencies], "act": list(self.actions_needed)}

    def as_text(self) -> str:
        """Return the status for a person, one line for each agency and each action."""
        lines = [
            f"{agency.id}: {agency.waiting} waiting, oldest {agency.oldest_days} days, "
            f"{'failing: ' + agency.failing if agency.failing else 'delivering'}, key for {agency.key_days} days"
            for agency in self.agencies
        ]
        return "\n".join([*lines, *(f"act: {action}" for action in self.actions_needed)])


def read_status(config: Config) -> SiteStatus:
    """Return the state of the deliveries, without agencies if the database cannot be read."""
    now = time()
    database = Outbox(config.outbox_url).database
    actions = _database_actions(database)
    try:
        queue = Leases(database).status(now)
    except OutboxError:
        return SiteStatus((), tuple(actions + _contact_actions()))
    finally:
        database.close()
    agencies = []
    for agency in config.agencies:
        found = queue.agencies.get(agency.id)
        deliveries = AgencyDeliveries(
            id=agency.id,
            waiting=found.waiting if found else 0,
            oldest_days=found.oldest_days if found else 0,
            failing=found.code if found else "",
            key_days=days_left(agency.expires, now),
        )
        agencies.append(deliveries)
        actions += _agency_actions(deliveries)
    unknown = queue.agencies.keys() - {agency.id for agency in config.agencies}
    actions += [f"{name}: envelopes wait for an agency that is not configured; put it back" for name in sorted(unknown)]
    if queue.last_window and now - queue.last_window > 3 * config.forward.window + 60:
        actions.append("the forwarder has not run for three windows; start it")
    return SiteStatus(tuple(agencies), tuple(actions + _contact_actions()))


def _database_actions(database: Database) -> list[str]:
    try:
        database.prepare()
        database.quick_check()
    except OutboxError as error:
        remedy = _REMEDIES.get(error.code, "look at the database's own log")
        return [f"the database cannot be used ({error.code}), so the form says that nothing was sent: {remedy}"]
    free = shutil.disk_usage(database.path.parent).free if database.path else LOW_DISK_BYTES
    if free < FULL_DISK_BYTES:
        return ["the disk is full (disk-full), so the form says that nothing was sent: free space"]
    if free < LOW_DISK_BYTES:
        return ["less than 1 GiB is free where the outbox lies: free space, before reports have to be refused"]
    return []


def _agency_actions(agency: AgencyDeliveries) -> list[str]:
    actions = []
    if agency.failing:
        actions.append(f"{agency.id}: deliveries fail ({agency.failing}); see docs/operator.md")
    if agency.oldest_days >= _MAX_WAITING_DAYS:
        actions.append(f"{agency.id}: an envelope has waited {agency.oldest_days} days; deliver by hand if need be")
    if agency.key_days < EXPIRY_WARNING_DAYS:
        actions.append(f"{agency.id}: its key ends in {agency.key_days} days; rotate it")
    return actions


def _contact_actions() -> list[str]:
    library = load_library(ROOT / "content", (ENGLISH,))
    old = [
        contact.id
        for contact in library.editions[ENGLISH].contacts.values()
        if contact.number and not contact.dated and (nz_day(time()) - contact.as_at).days > _MAX_CONTACT_AGE_DAYS
    ]
    return (
        [f"contacts {', '.join(old)}: were last checked over {_MAX_CONTACT_AGE_DAYS} days ago; call them"]
        if old
        else []
    )
