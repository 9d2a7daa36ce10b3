"""A forwarder for tests, its clock, its inboxes, and what is left in its outbox."""

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from app.delivery.destinations import Destination, open_transport
from app.delivery.forwarder import Forwarder, ForwardRules
from app.delivery.outbox import Envelope, Outbox
from app.delivery.schema import blobs, envelopes, labels, owners, spares
from app.vault.tip import new_tip_id
from tests.support import servers
from tests.support.ports import free_port

WINDOW = 600
START = 1_795_326_000  # a multiple of the window: 2026-11-22, 18:40 in New Zealand
SMALL, LARGE = 1000, 300_000


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def make(size: int = SMALL, agency: str = "intake") -> Envelope:
    return Envelope(new_tip_id(), agency, os.urandom(size))


def inbox(tmp_path: Path, name: str = "inbox") -> Path:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    return folder


def dropped(folder: Path) -> dict[str, bytes]:
    return {file.stem: file.read_bytes() for file in folder.iterdir()}


def forwarder(box: Outbox, transports: dict, *, padded: str | None = "intake", **more) -> Forwarder:
    rules = ForwardRules(window=WINDOW, batch=4, padded=padded, envelope_seconds=more.pop("seconds", 20))
    return Forwarder(box, transports, rules, make_decoy=more.pop("make_decoy", make), **({"clock": Clock()} | more))


def https(port: int, certificates: servers.Certificates):
    return open_transport(Destination("a", f"https://127.0.0.1:{port}/", ca=certificates.ca), base=Path("/"))


def nobody(certificates: servers.Certificates):
    return https(free_port(), certificates)


def put(box: Outbox, *many: Envelope) -> None:
    for envelope in many:
        box.put(envelope, now=START)


def kept(box: Outbox) -> int:
    # In one question, since forwarders are at work meanwhile.
    counts = [select(func.count()).select_from(one).scalar_subquery() for one in (envelopes, labels, blobs, spares)]
    with box.database.read() as connection:
        rows = connection.execute(select(*counts)).one()
    assert len(set(rows)) == 1, rows
    return rows[0]


def at_work(box: Outbox) -> bool:
    with box.database.read() as connection:
        return connection.execute(select(owners)).first() is not None
