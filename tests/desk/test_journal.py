"""The journal: whole, or found changed; encrypted; and without the time at which anything came in."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.desk.errors import RefusedError
from app.desk.journal import Journal, JournalEntry, verify_journal
from app.desk.store import SealedStore
from app.vault.age import seal
from app.vault.keys import new_identity, recipient_of
from app.vault.signature import new_signing_key, public_bytes, read_signing_key
from tests.support.desk import NOON

KEY = read_signing_key(new_signing_key(None)[0], None)
IDENTITY = new_identity()
DAY_SECONDS = 86_400


def _store(folder, clock=lambda: NOON):
    return SealedStore(folder, [IDENTITY], clock=clock)


def _open(folder, clock=lambda: NOON, key=KEY):
    return Journal(_store(folder, clock), key, clock=clock)


def _journal(folder, lines=6):
    made = _open(folder)
    for number in range(lines):
        made.write(JournalEntry("Ana", "noted", f"tip{number}"))
    return folder / "journal.sealed"


def _verify(folder, key=KEY):
    return verify_journal(_store(folder), public_bytes(key))


def test_a_whole_journal_is_verified_and_read_again(tmp_path):
    """A journal opens again with its entries, goes on, and verifies; lines carry who, what and when."""
    _journal(tmp_path)
    again = _open(tmp_path)
    assert [entry.tip for entry in again.entries] == [f"tip{number}" for number in range(6)]
    again.write(JournalEntry("Ben", "closed", "tip1", "finished"))
    count, last = _verify(tmp_path)
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
    how = data.draw(st.sampled_from(("flip", "cut", "add", "drop", "double", "swap", "tail", "empty")))
    place = data.draw(st.integers(0, len(good) - 2))
    line = data.draw(st.integers(0, 3))
    changed = {
        "flip": good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :],
        "cut": good[:place] + good[place + 1 :],
        "add": good[:place] + b" " + good[place:],
        "drop": b"".join(lines[:line] + lines[line + 1 :]),
        "double": b"".join([*lines[: line + 1], lines[line], *lines[line + 1 :]]),
        "swap": b"".join([*lines[:line], lines[line + 1], lines[line], *lines[line + 2 :]]),
        "tail": b"".join(lines[:-1]),
        "empty": b"",
    }[how]
    path.write_bytes(changed)
    with pytest.raises(RefusedError, match="journal"):
        _verify(folder)


@pytest.mark.parametrize("kept", [0, 1, 2, 6])
def test_a_missing_head_is_a_fault(tmp_path, kept):
    """Somebody without a key deletes the head and keeps some lines, or none: verify and the desk refuse it."""
    path = _journal(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: 1 + kept]))
    (tmp_path / "journal-head.age").unlink()
    with pytest.raises(RefusedError, match="journal"):
        _verify(tmp_path)
    with pytest.raises(RefusedError, match="journal"):
        _open(tmp_path)


@pytest.mark.parametrize("gone", [("journal.sealed",), ("journal.sealed", "journal-head.age")])
def test_a_store_that_holds_something_begins_no_new_journal(tmp_path, gone):
    """Without its journal a store with tips does not open: nobody wipes what was done by deleting files."""
    _journal(tmp_path)
    _store(tmp_path).write("tips/x.age", b"a case")
    for name in gone:
        (tmp_path / name).unlink()
    with pytest.raises(RefusedError, match="journal"):
        _open(tmp_path)
    with pytest.raises(RefusedError, match="journal"):
        _verify(tmp_path)


def test_a_head_that_only_the_public_key_made_is_refused(tmp_path):
    """Anybody may seal to the desk's public key: a head without the desk's signature counts for nothing."""
    _journal(tmp_path, 1)
    head = b'{"n":0,"hash":"' + b"0" * 64 + b'"}\n' + b"x" * 86
    (tmp_path / "journal-head.age").write_bytes(seal(head, [recipient_of(IDENTITY)], stanzas=1))
    with pytest.raises(RefusedError, match="journal"):
        _verify(tmp_path)


def test_a_journal_made_by_another_key_is_found(tmp_path):
    """Whoever rewrites the whole chain without the desk's key is found."""
    _journal(tmp_path)
    other = read_signing_key(new_signing_key(None)[0], None)
    with pytest.raises(RefusedError, match="journal"):
        _verify(tmp_path, other)


def test_a_line_that_a_power_failure_cut_is_taken_back(tmp_path):
    """A torn last line, never acknowledged, does not stop the next start."""
    path = _journal(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + b"YWJj")
    again = _open(tmp_path)
    assert path.read_bytes() == whole
    again.write(JournalEntry("Ana", "noted", "tip9"))
    assert _verify(tmp_path)[0] == 7


def test_a_journal_ahead_of_its_head_is_whole(tmp_path):
    """Where the power failed between the line and the head, the journal is whole; behind its head it is not."""
    path, head = _journal(tmp_path, 3), tmp_path / "journal-head.age"
    older = head.read_bytes()
    _open(tmp_path).write(JournalEntry("Ana", "noted", "tip9"))
    newer = head.read_bytes()
    head.write_bytes(older)
    assert _verify(tmp_path)[0] == 4
    head.write_bytes(newer)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))
    with pytest.raises(RefusedError, match="journal"):
        _open(tmp_path)


def test_somebody_else_writing_into_the_journal_is_noticed(tmp_path):
    """A desk whose journal grew behind its back writes nothing more into it."""
    path = _journal(tmp_path)
    desk = _open(tmp_path)
    with path.open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(RefusedError, match="journal"):
        desk.write(JournalEntry("Ana", "noted", "tip0"))


def test_no_word_of_a_tip_fits_into_the_journal(tmp_path):
    """The journal takes codes and ids; a sentence is refused, and nothing is written."""
    path = _journal(tmp_path)
    before = path.read_bytes()
    sentence = JournalEntry("Ana", "noted", "tip0", "Seven men live there.")
    for write in (_open(tmp_path).write, _open(tmp_path).add_arrivals):
        with pytest.raises(RefusedError, match="journal"):
            write(sentence)
    assert path.read_bytes() == before


def test_the_journal_cannot_be_read_without_the_desks_key(tmp_path):
    """Neither who, nor what, nor which tip, nor a length of it, stands in the file."""
    made = _open(tmp_path)
    made.write(JournalEntry("Ana", "noted", "a" * 26))
    made.write(JournalEntry("Ben", "referred", "b" * 26, "to police mbie customs"))
    data = (tmp_path / "journal.sealed").read_bytes()
    assert not re.search(rb"Ana|Ben|noted|referred|police|aaaaaa|2026|\{", data)
    lines = data.splitlines()
    assert len(lines) == 3
    assert len(lines[1]) == len(lines[2])
    with pytest.raises(RefusedError, match="store-key"):
        verify_journal(SealedStore(tmp_path, [new_identity()]), public_bytes(KEY))


def test_a_journal_that_is_sealed_anew_opens_with_the_new_identity_alone(tmp_path):
    """After rekeying, the old identity opens nothing, and the lines are the same."""
    _journal(tmp_path)
    before, new = _verify(tmp_path), new_identity()
    store = SealedStore(tmp_path, [new, IDENTITY])
    for name in ("journal-head.age", "journal.sealed"):
        assert (tmp_path / name).exists()
    store.write("journal-head.age", store.read("journal-head.age"))
    Journal(store, KEY, clock=lambda: NOON).reseal()
    assert verify_journal(SealedStore(tmp_path, [new]), public_bytes(KEY)) == before
    with pytest.raises(RefusedError, match="store-key"):
        _verify(tmp_path)


def test_what_comes_in_has_its_day_and_no_order(tmp_path):
    """Arrivals wait, sealed, until their day is over; then they stand in the journal with their day, shuffled."""
    now = {"at": NOON}
    journal = _open(tmp_path, lambda: now["at"])
    names = [f"tip{number:02}" for number in range(40)]
    for name in names:
        journal.add_arrivals(JournalEntry("desk", "received", name))
        journal.save_arrivals()
        now["at"] += 60
        journal.write(JournalEntry("Ana", "opened", name))
    assert journal.unsettled() == []
    journal = _open(tmp_path, lambda: now["at"])
    came = [entry for entry in journal.entries if entry.did == "received"]
    assert {entry.at for entry in came} == {"2026-11-22"}
    assert sorted(entry.tip for entry in came) == names
    assert [entry.tip for entry in came] != names
    assert _verify(tmp_path)[0] == 40, "only what was done is in the journal, with its time"
    now["at"] += DAY_SECONDS
    journal.settle(journal.unsettled())
    assert _verify(tmp_path)[0] == 80
    written = [entry for entry in _open(tmp_path).entries if entry.did == "received"]
    assert {entry.at for entry in written} == {"2026-11-22"}
    assert sorted(entry.tip for entry in written) == names
    assert [entry.tip for entry in written] != names
    acts = [entry for entry in _open(tmp_path).entries if entry.did == "opened"]
    start = datetime.fromtimestamp(NOON, ZoneInfo("Pacific/Auckland"))
    assert [entry.at for entry in acts] == [
        (start + timedelta(minutes=1 + number)).isoformat(timespec="seconds") for number in range(40)
    ]


def test_arrivals_that_are_settled_twice_stand_once(tmp_path):
    """A desk that is killed between the journal's lines and the arrivals' file writes no arrival a second time."""
    now = {"at": NOON}
    journal = _open(tmp_path, lambda: now["at"])
    journal.add_arrivals(JournalEntry("desk", "received", "tip0"))
    journal.save_arrivals()
    before = (tmp_path / "arrivals.age").read_bytes()
    now["at"] += DAY_SECONDS
    journal.settle(journal.unsettled())
    (tmp_path / "arrivals.age").write_bytes(before)
    again = _open(tmp_path, lambda: now["at"])
    assert again.unsettled() == []
    assert [entry.tip for entry in again.entries] == ["tip0"]


def test_a_store_of_an_earlier_version_is_named(tmp_path):
    """A journal in plain text is not taken for none: the desk says that an earlier version made this store."""
    (tmp_path / "journal.jsonl").write_text("{}\n")
    with pytest.raises(RefusedError, match="store-former"):
        _open(tmp_path)
