"""Real envelopes of tips and decoys for the tests of what a watcher sees, and outboxes that several nodes share."""

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.outbox import Envelope, Outbox
from app.vault.age import seal
from app.vault.keys import DEMONSTRATION, recipient_of
from app.vault.tip import Tip, TipFile, new_decoy, new_tip_id
from app.vault.tip_bundles import to_bundles

RECIPIENTS = [recipient_of(DEMONSTRATION)]


def sealed(tip: Tip, agency: str = "intake") -> list[Envelope]:
    return [Envelope(bundle.id, agency, seal(bundle.data, RECIPIENTS)) for bundle in to_bundles(tip)]


def decoy(agency: str) -> Envelope:
    return sealed(new_decoy(), agency)[0]


def real(*, photograph: bool = False, agency: str = "intake", size: int = 200_000) -> list[Envelope]:
    """The envelopes of a tip: words of any length, with a photograph of so many bytes or without."""
    files = (TipFile("files/1.jpg", "image/jpeg", (), os.urandom(size)),) if photograph else ()
    answers = {"what": "x" * random.randrange(9_000)}
    return sealed(Tip(id=new_tip_id(), received=datetime.now(UTC).date(), answers=answers, files=files), agency)


@contextmanager
def nodes(number: int = 1) -> Iterator[list[Outbox]]:
    """So many nodes on one outbox and one memory store, which are in memory here: no power is lost."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="haumaru-") as folder:
        boxes = [
            Outbox(f"sqlite:///{folder}/outbox.db", SqliteMemoryStore(Path(folder) / "memory")) for _ in range(number)
        ]
        yield boxes
        for box in boxes:
            box.database.close()
