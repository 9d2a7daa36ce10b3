"""What an operator must know every day: what waits for each agency, and where somebody must act.

Says nothing of a tip but how many there are and for how many days the oldest waits. A database that cannot be
used is told too, with what to do: meanwhile the form says "not sent", and nothing that was acknowledged is lost.
"""

import shutil
from dataclasses import asdict, dataclass
from time import time
from typing import Any

from app.core.errors import OutboxError
from app.core.resources import ROOT
from app.delivery.clock import day
from app.delivery.database import Store
from app.delivery.leases import Turns
from app.delivery.outbox import Outbox
from app.site.guide import loader
from app.site.guide.models import ENGLISH
from app.site.settings import Settings
from app.vault.bundle import SMALLEST

_EXPIRY_WARNING_DAYS = 30
_OLDEST_DAYS = 2
_CONTACT_DAYS = 180
# Room for a window's tips and for the copy that a window's end makes; and for a few tips without files, each of which
# is written twice to the log, then twice into place.
_ROOM, _LITTLE = 1024**3, 8 * SMALLEST
_MENDS = {
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
class AgencyStatus:
    """One agency's deliveries; days are whole, a failure is its code."""

    id: str
    waiting: int
    oldest_days: int
    failing: str
    key_days: int


@dataclass(frozen=True)
class Status:
    """What `haumaru status` shows; `acts` says what somebody must do."""

    agencies: tuple[AgencyStatus, ...]
    acts: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For a monitor."""
        return {"agencies": [asdict(agency) for agency in self.agencies], "act": list(self.acts)}

    def as_text(self) -> str:
        """For a person."""
        lines = [
            f"{agency.id}: {agency.waiting} waiting, oldest {agency.oldest_days} days, "
            f"{'failing: ' + agency.failing if agency.failing else 'delivering'}, key for {agency.key_days} days"
            for agency in self.agencies
        ]
        return "\n".join([*lines, *(f"act: {act}" for act in self.acts)])


def status(settings: Settings) -> Status:
    """How deliveries stand, as far as the database can say."""
    now = time()
    store = Outbox(settings.outbox_url).store
    acts = _database_acts(store)
    try:
        standing = Turns(store).status(now)
    except OutboxError:
        return Status((), tuple(acts + _contact_acts()))
    finally:
        store.close()
    agencies = []
    for agency in settings.agencies:
        found = standing.agencies.get(agency.id)
        one = AgencyStatus(
            id=agency.id,
            waiting=found.waiting if found else 0,
            oldest_days=found.oldest_days if found else 0,
            failing=found.code if found else "",
            key_days=(agency.expires - day(now)).days,
        )
        agencies.append(one)
        acts += _acts(one)
    unknown = standing.agencies.keys() - {agency.id for agency in settings.agencies}
    acts += [f"{name}: envelopes wait for an agency that is not configured; put it back" for name in sorted(unknown)]
    if standing.last_turn and now - standing.last_turn > 3 * settings.forward.window + 60:
        acts.append("the forwarder has not run for three windows; start it")
    return Status(tuple(agencies), tuple(acts + _contact_acts()))


def _database_acts(store: Store) -> list[str]:
    try:
        store.prepare()
        store.examine()
    except OutboxError as error:
        mend = _MENDS.get(error.code, "look at the database's own log")
        return [f"the database cannot be used ({error.code}), so the form says that nothing was sent: {mend}"]
    free = shutil.disk_usage(store.path.parent).free if store.path else _ROOM
    if free < _LITTLE:
        return ["the disk is full (disk-full), so the form says that nothing was sent: free space"]
    if free < _ROOM:
        return ["less than 1 GiB is free where the outbox lies: free space, before reports have to be refused"]
    return []


def _acts(agency: AgencyStatus) -> list[str]:
    acts = []
    if agency.failing:
        acts.append(f"{agency.id}: deliveries fail ({agency.failing}); see docs/operator.md")
    if agency.oldest_days >= _OLDEST_DAYS:
        acts.append(f"{agency.id}: an envelope has waited {agency.oldest_days} days; deliver by hand if need be")
    if agency.key_days < _EXPIRY_WARNING_DAYS:
        acts.append(f"{agency.id}: its key ends in {agency.key_days} days; rotate it")
    return acts


def _contact_acts() -> list[str]:
    library = loader.load(ROOT / "content", (ENGLISH,))
    old = [
        contact.id
        for contact in library.editions[ENGLISH].contacts.values()
        if contact.number and not contact.dated and (day(time()) - contact.as_at).days > _CONTACT_DAYS
    ]
    return [f"contacts {', '.join(old)}: were last checked over {_CONTACT_DAYS} days ago; call them"] if old else []
