"""The journal: whole, or found changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.desk.errors import RefusedError
from app.desk.journal import Journal, JournalEntry, verify_journal
from app.vault.signature import new_signing_key, public_bytes, read_signing_key
from tests.support.desk import NOON

KEY = read_signing_key(new_signing_key(None)[0], None)


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
    count, last = verify_journal(tmp_path, public_bytes(KEY))
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
        verify_journal(folder, public_bytes(KEY))


def test_a_journal_made_by_another_key_is_found(tmp_path):
    """Whoever rewrites the whole chain without the desk's key is found."""
    _journal(tmp_path)
    other = read_signing_key(new_signing_key(None)[0], None)
    with pytest.raises(RefusedError, match="journal"):
        verify_journal(tmp_path, public_bytes(other))


def test_a_line_that_a_power_failure_cut_is_taken_back(tmp_path):
    """A torn last line, never acknowledged, does not stop the next start."""
    path = _journal(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"n":7,"at":"20')
    again = Journal(tmp_path, KEY, clock=lambda: NOON)
    assert path.read_bytes() == whole
    again.write(JournalEntry("Ana", "noted", "tip9"))
    assert verify_journal(tmp_path, public_bytes(KEY))[0] == 7


def test_a_journal_ahead_of_its_head_is_whole(tmp_path):
    """Where the power failed between the line and the head, the journal is whole; behind its head it is not."""
    path = _journal(tmp_path, 3)
    head = (tmp_path / "journal.head").read_bytes()
    Journal(tmp_path, KEY, clock=lambda: NOON).write(JournalEntry("Ana", "noted", "tip9"))
    newer = (tmp_path / "journal.head").read_bytes()
    (tmp_path / "journal.head").write_bytes(head)
    assert verify_journal(tmp_path, public_bytes(KEY))[0] == 4
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
