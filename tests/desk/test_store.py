"""The desk's folder: sealed, whole or not at all, one desk at a time; and the journal in it."""

import json
import os
import resource
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.desk.errors import RefusedError
from app.desk.journal import Journal, JournalEntry, verify_journal
from app.desk.store import SealedStore
from app.vault.age_open import unseal
from app.vault.keys import new_identity, recipient_of
from app.vault.signature import new_signing_key, read_signing_key
from tests.support.desk import NOON, receive, tip
from tests.support.paths import ROOT

KEY = read_signing_key(new_signing_key(None)[0], None)


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
    count, _ = verify_journal(office.store, office.key.public_key())
    assert count == 2


def _journal(folder, lines=6):
    made = Journal(folder, KEY, clock=lambda: NOON)
    for number in range(lines):
        made.write(JournalEntry("Ana", "noted", f"tip{number}"))
    return folder / "journal.jsonl"


def test_a_whole_journal_is_verified_and_read_again(tmp_path):
    """A journal opens again with its entries, goes on, and verifies; lines carry who, what and when."""
    _journal(tmp_path)
    again = Journal(tmp_path, KEY, clock=lambda: NOON)
    assert [entry.tip for entry in again.entries] == [f"tip{number}" for number in range(6)]
    again.write(JournalEntry("Ben", "closed", "tip1", "finished"))
    count, last = verify_journal(tmp_path, KEY.public_key())
    assert count == 7
    assert len(last) == 64
    assert again.entries[-1].at.startswith("2026-11-22T12:00:00")


@given(data=st.data())
def test_any_change_of_the_journal_is_found(tmp_path_factory, data):
    """A byte that is flipped, cut or added, a line taken out, doubled or moved: verify refuses each."""
    folder = tmp_path_factory.mktemp("journal")
    path = _journal(folder, 4)
    good = path.read_bytes()
    lines = good.splitlines(keepends=True)
    how = data.draw(st.sampled_from(("flip", "cut", "add", "drop", "double", "swap", "tail")))
    place = data.draw(st.integers(0, len(good) - 2))
    line = data.draw(st.integers(0, 2))
    changed = {
        "flip": good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :],
        "cut": good[:place] + good[place + 1 :],
        "add": good[:place] + b" " + good[place:],
        "drop": b"".join(lines[:line] + lines[line + 1 :]),
        "double": b"".join([*lines[: line + 1], lines[line], *lines[line + 1 :]]),
        "swap": b"".join([*lines[:line], lines[line + 1], lines[line], *lines[line + 2 :]]),
        "tail": b"".join(lines[:-1]),
    }[how]
    path.write_bytes(changed)
    with pytest.raises(RefusedError, match="journal"):
        verify_journal(folder, KEY.public_key())


def test_a_journal_made_by_another_key_is_found(tmp_path):
    """Whoever rewrites the whole chain without the desk's key is found."""
    _journal(tmp_path)
    other = read_signing_key(new_signing_key(None)[0], None)
    with pytest.raises(RefusedError, match="journal"):
        verify_journal(tmp_path, other.public_key())


def test_a_line_that_a_power_failure_cut_is_taken_back(tmp_path):
    """A torn last line, never acknowledged, does not stop the next start."""
    path = _journal(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"n":7,"at":"20')
    again = Journal(tmp_path, KEY, clock=lambda: NOON)
    assert path.read_bytes() == whole
    again.write(JournalEntry("Ana", "noted", "tip9"))
    assert verify_journal(tmp_path, KEY.public_key())[0] == 7


def test_a_journal_ahead_of_its_head_is_whole(tmp_path):
    """Where the power failed between the line and the head, the journal is whole; behind its head it is not."""
    path = _journal(tmp_path, 3)
    head = (tmp_path / "journal.head").read_bytes()
    Journal(tmp_path, KEY, clock=lambda: NOON).write(JournalEntry("Ana", "noted", "tip9"))
    newer = (tmp_path / "journal.head").read_bytes()
    (tmp_path / "journal.head").write_bytes(head)
    assert verify_journal(tmp_path, KEY.public_key())[0] == 4
    (tmp_path / "journal.head").write_bytes(newer)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    with pytest.raises(RefusedError, match="journal"):
        Journal(tmp_path, KEY, clock=lambda: NOON)


def test_somebody_else_writing_into_the_journal_is_noticed(tmp_path):
    """A desk whose journal grew behind its back writes nothing more into it."""
    path = _journal(tmp_path)
    desk = Journal(tmp_path, KEY, clock=lambda: NOON)
    with path.open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(RefusedError, match="journal"):
        desk.write(JournalEntry("Ana", "noted", "tip0"))


def test_no_word_of_a_tip_fits_into_the_journal(tmp_path):
    """The journal takes codes and ids; a sentence is refused, and nothing is written."""
    path = _journal(tmp_path)
    before = path.read_bytes()
    with pytest.raises(RefusedError, match="journal"):
        Journal(tmp_path, KEY, clock=lambda: NOON).write(JournalEntry("Ana", "noted", "tip0", "Seven men live there."))
    assert path.read_bytes() == before
    assert all(
        set(json.loads(line)) == {"n", "at", "who", "did", "tip", "what", "before", "signature"}
        for line in before.splitlines()
    )


def test_rekeying_seals_everything_to_the_new_identity(tmp_path, office):
    """After rekey the old identity opens nothing, the new one everything, and the desk reads its tips."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
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
