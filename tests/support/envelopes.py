"""Envelopes and outboxes for the tests of delivery, and what is in an outbox."""

import os
from datetime import UTC, datetime

from sqlalchemy import func, select

from app.delivery.leases import Leases
from app.delivery.outbox import Envelope, Outbox
from app.vault.tip import TipId, new_tip_id

NOW = datetime(2026, 11, 22, 5, 43, 21, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 21, 11, 0, 0, tzinfo=UTC).timestamp()  # in New Zealand
ENVELOPE = 140_000
SECRET = b"marker-of-what-was-sent"


def make(size: int = ENVELOPE, tip: TipId | None = None) -> Envelope:
    return Envelope(tip or new_tip_id(), "intake", os.urandom(size))


def waiting(box: Outbox) -> dict[str, bytes]:
    leases = Leases(box.database)
    owner = leases.acquire_lease(NOW, seconds=60)
    found = {one.id: leases.load(one.id) for one in leases.claim(owner, ready={"intake"})}
    leases.release(owner)
    return found


def count(box: Outbox, table: object) -> int:
    with box.database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()
