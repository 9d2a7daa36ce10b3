"""The desk's folder: sealed, whole or not at all, one desk at a time."""

import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from app.delivery.clock import nz_midnight
from app.delivery.outbox import Envelope
from app.desk.closing import close_case
from app.desk.envelopes import deposit_envelope
from app.desk.errors import RefusedError
from app.desk.journal import verify_journal
from app.desk.seat import Role
from app.desk.store import SealedStore
from app.vault.age import ENVELOPE_BYTES
from app.vault.age_open import unseal
from app.vault.keys import new_identity, recipient_of
from app.vault.signature import public_bytes
from app.vault.tip import new_tip_id
from app.vault.tip_bundles import to_bundles
from tests.support.desk import NOON, jpeg, receive, tip
from tests.support.paths import ROOT


def test_what_is_kept_is_sealed_to_the_first_identity(tmp_path):
    """A file of the store opens with the first identity, and older ones still with the others."""
    old, new = new_identity(), new_identity()
    SealedStore(tmp_path, [old]).write("tips/a.age", b"old words")
    store = SealedStore(tmp_path, [new, old])
    store.write("tips/b.age", b"new words")
    assert store.read("tips/a.age") == b"old words"
    assert unseal((tmp_path / "tips/b.age").read_bytes(), [new]) == b"new words"
    assert b"words" not in (tmp_path / "tips/a.age").read_bytes()
    assert (tmp_path / "tips/b.age").stat().st_mode & 0o077 == 0


def test_two_desks_on_one_store_are_refused(office):
    """The second desk is told to close the first, and the first goes on."""
    with office.desk() as desk, pytest.raises(RefusedError, match="store-in-use"), office.desk():
        desk.cases.all()
    with office.desk() as desk:
        assert desk.cases.all() == ()


def test_another_identity_is_told_apart_from_damage(office):
    """An identity that does not match is said to be one; a damaged file is said to be damaged."""
    with office.desk():
        pass
    with pytest.raises(RefusedError, match="store-key"), SealedStore(office.store, [new_identity()]).locked():
        pass
    probe = office.store / "desk.age"
    probe.write_bytes(probe.read_bytes()[:-1])
    with pytest.raises(RefusedError, match="store-damaged"), office.desk():
        pass


FULL = """
import errno, os, resource, signal, sys
from pathlib import Path
from app.desk.store import replace_file
from app.desk.errors import RefusedError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    replace_file(Path(sys.argv[1]), bytes(5000))
except RefusedError as error:
    print(error.code, error.message)
"""


def test_a_write_that_the_disk_refuses_leaves_what_was_there(tmp_path):
    """When the disk takes no more, the old file stays whole and nothing half-written lies about."""
    path = tmp_path / "record.age"
    path.write_bytes(b"as it was")
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("disk")
    assert "nothing was changed" in done.stdout
    assert path.read_bytes() == b"as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_changes_no_tip(office):
    """With the disk full a claim is refused with clear words, and the tip is as it was, in memory and on disk."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        before = (office.store / f"tips/{one}.age").read_bytes()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
        try:
            with pytest.raises(RefusedError) as refused:
                desk.cases.claim(one, "Ana")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, ignored)
        assert refused.value.code in {"disk", "disk-full"}
        assert desk.cases.get(one).holder == ""
        assert (office.store / f"tips/{one}.age").read_bytes() == before
        desk.cases.claim(one, "Ana")
    count, _ = verify_journal(SealedStore(office.store, [office.identity]), public_bytes(office.key))
    assert count == 1


def test_rekeying_seals_everything_to_the_new_identity(tmp_path, office):
    """After rekey the old identity opens nothing, the new one everything, and the desk reads its tips."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        batch = desk.day_keys.make_batch(1, fresh=False)
        desk.seats.add(None, "Kaia", Role.SUPERVISOR)
    old, new = office.identity, new_identity()
    (tmp_path / "new.txt").write_text(f"{new}\n")
    text = office.config.read_text().replace('["identity.txt"]', '["new.txt", "identity.txt"]')
    office.config.write_text(text)
    command = [sys.executable, "-m", "app.desk.cli", "rekey", "--config", str(office.config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ)
    assert recipient_of(new)[:24] in done.stdout
    for path in office.store.rglob("*.age"):
        assert unseal(path.read_bytes(), [new])
        with pytest.raises(Exception, match="no-match"):
            unseal(path.read_bytes(), [old])
    office.identity = new
    with office.desk() as desk:
        assert desk.cases.original(desk.cases.get(one)).id == one
        assert [one.name for one in desk.seats.all()] == ["Kaia"]
        assert {*batch.recipients} < {recipient_of(key) for key in desk.day_keys.identities()}


def test_files_and_folders_show_the_day_alone(office):
    """Whatever comes in, is worked on or set aside, no time of a file or folder is finer than the day."""
    early = tip(files=(jpeg(),))
    words, *parts = to_bundles(early)
    for part in parts:
        office.drop_bundle(part)
    one, other = office.drop(tip(files=(jpeg(),))), office.drop(tip())
    (office.inbox / f"{'0' * 26}.age").write_bytes(b"nothing")
    office.drop_bundle(to_bundles(tip(files=(jpeg(),)))[1])
    with office.desk() as desk:
        receive(desk)
        office.drop_bundle(words)
        receive(desk)  # the parts of these words came before them, and leave the folder in which parts wait
        assert desk.cases.parts.is_complete(desk.cases.get(early.id))
        desk.cases.claim(one, "Ana")
        close_case(desk.cases, other, "Ana", "test")
        paths = [path for path in office.store.rglob("*") if path.name != "lock" and "outbox" not in path.name]
        assert {path.parent.name for path in paths} >= {"tips", "envelopes", "parts", "waiting", "aside"}
        midnight = nz_midnight(NOON).timestamp()
        assert [path.name for path in (*paths, office.inbox) if path.stat().st_mtime != midnight] == []
        deposit_envelope(office.inbox, Envelope(new_tip_id(), "", b"x" * ENVELOPE_BYTES))
        today = nz_midnight(time.time()).timestamp()
        assert {path.stat().st_mtime for path in (office.inbox, *office.inbox.iterdir())} == {today}


def test_birth_and_change_times_show_neither_time_nor_order_once_the_day_is_over(office):
    """The files of a day's tips are written anew, in no order, when the day is over: nobody can set those times."""
    now = {"at": NOON}
    with office.desk(clock=lambda: now["at"]) as desk:
        came = []
        for _ in range(12):
            came.append(office.drop(tip(files=(jpeg(),))))
            receive(desk)
        desk.cases.claim(came[0], "Ana")
        files = [path for folder in ("tips", "envelopes", "parts") for path in (office.store / folder).iterdir()]
        before = {path: path.stat() for path in files}
        desk.cases.arrivals.settle()
        assert {path: path.stat().st_ino for path in files} == {path: old.st_ino for path, old in before.items()}
        now["at"] += 86_400
        desk.cases.arrivals.settle()
        last = max(old.st_ctime_ns for old in before.values())
        assert len(files) == 36
        assert all(path.stat().st_ctime_ns > last for path in files)
        order = sorted(came, key=lambda one: (office.store / f"envelopes/{one}.age").stat().st_ctime_ns)
        assert order != came
        assert desk.cases.get(came[0]).holder == "Ana"
        assert {desk.cases.original(desk.cases.get(one)).id for one in came} == set(came)
        assert desk.journal.unsettled() == []
    with office.desk(clock=lambda: now["at"]) as desk:
        assert {case.id for case in desk.cases.all()} == set(came)


@pytest.fixture
def private():
    """The umask that the desk's door sets, for one test."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_who_may_read_the_store(office, private):
    """Every file and folder of the store is this user's alone."""
    office.drop(tip())
    with office.desk() as desk:
        receive(desk)
    assert [path for path in office.store.rglob("*") if path.stat().st_mode & 0o077] == []
