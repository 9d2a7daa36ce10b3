"""What somebody who watches the desk needs to know, told without opening anything."""

import time
from datetime import timedelta

from app.delivery.clock import day
from app.delivery.leases import Turns
from app.delivery.outbox import Outbox
from app.desk.config import DeskConfig
from app.desk.service import WARN_DAYS


def now() -> float:
    """Unix seconds."""
    return time.time()


def tell(settings: DeskConfig) -> tuple[list[str], bool]:
    """Lines for a person, and whether somebody must act."""
    inbox = sum(1 for _ in settings.inbox.glob("*.age")) if settings.inbox.exists() else 0
    aside = sum(1 for _ in (settings.store / "aside").glob("*")) if settings.store.exists() else 0
    lines = [f"{inbox} envelopes wait in the inbox", f"{aside} were set aside"]
    today, acts = day(now()), aside > 0
    ends = {"this desk": settings.expires}
    ends |= {party.name: party.expires for party in (*settings.authorities.values(), *settings.translators.values())}
    for name, end in ends.items():
        if end <= today + timedelta(days=WARN_DAYS):
            lines.append(f"the key of {name} expires in {(end - today).days} days; arrange a new one")
            acts = True
    if (settings.store / "outbox.db").exists():
        outbox = Outbox(f"sqlite:///{settings.store / 'outbox.db'}")
        for name, one in Turns(outbox.store).status(now()).agencies.items():
            lines.append(f"{one.waiting} referrals wait for {name}" + (f": {one.code}" if one.code else ""))
            acts = acts or bool(one.code)
        outbox.store.close()
    return lines, acts
