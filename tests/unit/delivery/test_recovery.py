"""Recovery from a damaged SQLite outbox: whichever page is damaged, and however, every envelope is found whole."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from app.core.errors import OutboxError
from app.delivery.database import Database
from app.delivery.outbox import Envelope, Outbox
from app.delivery.recovery import recover_envelopes
from app.delivery.schema import blobs, labels, spares
from app.vault.tip import new_tip_id
from tests.support.damage import damaged_copies, pages_by_kind
from tests.support.databases import opened
from tests.support.faults import report, scale

NOW = 1_795_326_000.0


@pytest.fixture
def damageable(file) -> tuple[Path, dict[str, bytes]]:
    """An outbox with a past: envelopes came and went, in one and in several, and pages were given back."""
    with opened(file) as box:
        for _ in range(30):
            box.put([Envelope(new_tip_id(), "intake", os.urandom(60_000)) for _ in range(2)])
        for number, tip_id in enumerate(sorted(waiting(box.database))):
            if number % 3:
                new = Envelope(new_tip_id(), "intake", os.urandom(60_000)) if number % 7 == 0 else None
                box.settle(tip_id, decoy=new)
            if number % 5 == 0:
                box.tidy(NOW, pages=7)
        tips = waiting(box.database)
    assert len(tips) >= 20
    return file, tips


def waiting(database: Database) -> dict[str, bytes]:
    with database.read() as connection:
        ids = connection.execute(select(labels.c.id)).scalars().all()
    return {each: database.read_blob(each.encode(), blobs, spares) for each in ids}


@pytest.mark.slow
def test_every_envelope_of_a_damaged_outbox_is_found(damageable, tmp_path):
    """Whichever page is damaged, of whatever kind: all envelopes are found, whole, and the file is left as it is."""
    file, tips = damageable
    assert len(pages_by_kind(file)) >= 16
    damaged = readable = 0
    for what, spoiled in damaged_copies(file, scale(2, 40)):
        found, as_usual = recovered(tmp_path / "spoiled", spoiled)
        assert found == tips, what
        damaged, readable = damaged + 1, readable + (as_usual == tips)
    report("damaged pages, recovered", pages=damaged, envelopes=damaged * len(tips), lost=0, readable_anyway=readable)


def recovered(place: Path, spoiled: bytes) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What recovery finds in a spoiled file, and what the outbox itself still reads of it."""
    place.mkdir()
    (place / "outbox.db").write_bytes(spoiled)
    box, as_usual = Outbox(f"sqlite:///{place}/outbox.db"), {}
    found = {each.id: each.data for each in recover_envelopes(box.database)}
    assert (place / "outbox.db").read_bytes() == spoiled
    with suppress(OutboxError):
        as_usual = waiting(box.database)
    box.database.close()
    shutil.rmtree(place)
    return found, as_usual


def test_nothing_false_is_recovered(damageable, tmp_path):
    """Where both copies of an envelope are damaged it is left out, and the others are found."""
    file, tips = damageable
    raw = bytearray(file.read_bytes())
    lost = sorted(tips)[3]
    for at in (raw.find(tips[lost][:500]), raw.rfind(tips[lost][:500])):
        raw[at + 100] ^= 1
    found, _ = recovered(tmp_path / "spoiled", bytes(raw))
    assert found == {each: data for each, data in tips.items() if each != lost}


def test_no_recovery_without_a_file(tmp_path):
    """Where there is no file to copy, or no SQLite, the error says so."""
    box = Outbox(f"sqlite:///{tmp_path}/nowhere/outbox.db")
    with pytest.raises(OutboxError):
        list(recover_envelopes(box.database))
    with pytest.raises(OutboxError, match="corrupt"):
        list(recover_envelopes(Database("postgresql+psycopg://127.0.0.1:1/none")))
