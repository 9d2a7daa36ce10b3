"""The desk as it runs: opened whole or not at all, and going on when something in its background fails."""

import pytest

from app.desk.errors import RefusedError
from tests.support.desk import Office, tip, wait_for


def test_a_desk_that_does_not_open_leaves_the_store_free(office):
    """With a journal that was changed no desk opens; with the journal back, the next one does."""
    office.drop(tip())
    with office.desk() as desk:
        desk.open_inbox()
        wait_for(lambda: desk.opening.ended)
    path = office.store / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"received", b"deceived"))
    with pytest.raises(RefusedError, match="journal"), office.desk():
        pass
    path.write_bytes(whole)
    with office.desk() as desk:
        assert len(desk.cases.all()) == 1


def test_what_fails_in_the_background_is_shown_and_ends_nothing(tmp_path):
    """A mailbox that cannot be reached is kept as a code; meanwhile the desk opens what comes in."""
    mailbox = '\n[imap]\nhost = "127.0.0.1"\nport = 1\nuser = "desk"\npassword = "secret"\nevery = "1s"\n'
    office = Office(tmp_path, more=mailbox)
    one = office.drop(tip())
    with office.desk() as desk:
        desk.start()
        wait_for(lambda: desk.failures.get("mailbox") == "unreachable")
        wait_for(lambda: [case.id for case in desk.cases.all()] == [one])
