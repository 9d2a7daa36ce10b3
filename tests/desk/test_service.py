"""The desk as it runs: opened whole or not at all, and going on when something in its background fails."""

import re
import threading
import time

import pytest

from app.core.errors import ConfigError
from app.desk import service
from app.desk.case_fields import RedactionDraft
from app.desk.config import load_desk_config
from app.desk.dispatch import confirm_key
from app.desk.errors import RefusedError
from app.desk.release import send_referrals
from app.vault.age import ENVELOPE_BYTES
from tests.support.desk import NOON, Office, jpeg, receive, tip, wait_for


def test_a_desk_that_does_not_open_leaves_the_store_free(office):
    """With a journal that was changed no desk opens; with the journal back, the next one does."""
    office.drop(tip())
    with office.desk() as desk:
        desk.open_inbox()
        wait_for(lambda: desk.opening.ended)
    path = office.store / "journal.sealed"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
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


def test_closing_waits_for_a_delivery_that_has_begun(office):
    """A delivery that goes on when the desk closes ends, and is noted, before the store is free for another desk."""
    begun, noted = threading.Event(), []
    with office.desk() as desk:

        def deliver(stop):
            begun.set()
            stop.wait()
            time.sleep(0.2)
            noted.append(desk.waiting_deliveries())

        desk.forwarder.run = deliver
        desk.start()
        assert begun.wait(60)
    assert (noted, desk.failures) == ([{}], {})


def test_a_delivery_that_hangs_keeps_no_desk_open(office, monkeypatch):
    """A thread that does not end is left to the end of the process; the desk closes."""
    monkeypatch.setattr(service, "_CLOSE_SECONDS", 0.1)
    begun, lasts = threading.Event(), threading.Event()
    with office.desk() as desk:

        def deliver(_stop):
            begun.set()
            lasts.wait(60)

        desk.forwarder.run = deliver
        desk.start()
        assert begun.wait(60)
    with office.desk():
        lasts.set()


@pytest.mark.parametrize(("cells", "quiet", "busy"), [("", 0, 2), ("cells = 4\n", 4, 4)])
def test_an_authority_with_cells_of_its_own_gets_as_many_envelopes_whether_or_not_something_is_referred(
    tmp_path, cells, quiet, busy
):
    """With `cells` each window shows the same on the line; without, only what is referred leaves."""
    office, now = Office(tmp_path), {"is": NOON}
    text = office.config.read_text()
    office.config.write_text(text.replace('name = "Example Police"', f'name = "Example Police"\n{cells}'))
    one = office.drop(tip(files=(jpeg(),)))
    with office.desk(clock=lambda: now["is"]) as desk:
        receive(desk)
        counts = []
        for window in range(4):
            before = len(office.referred("police"))
            desk.forwarder.run_window(int(now["is"]) // 8 * 8)
            counts.append(len(office.referred("police")) - before)
            now["is"] += 8
            if window == 1:
                _refer_with_file(desk, one)
        assert counts[:2] == [quiet] * 2
        assert counts[2] == busy
        assert desk.waiting_deliveries() == {} or cells
    assert {path.stat().st_size for path in office.referred("police")} <= {ENVELOPE_BYTES}


def _refer_with_file(desk, one):
    police = desk.config.authorities["police"]
    confirm_key(desk.cases, police, "Ana")
    desk.cases.claim(one, "Ana")
    draft = RedactionDraft(summary="x", authorities=("police",), files=("files/1.jpg",), looked=True)
    send_referrals(desk.cases.redact(one, "Ana", draft), [police], desk.referral_context, "Ana")


def test_more_than_four_recipients_are_a_fault(office):
    """An envelope has four stanzas, so a party with five keys is refused when the configuration is read."""
    text = office.config.read_text()
    key = re.search(r'recipients = \["(age1pq1[^"]+)"\]', text)[1]
    office.config.write_text(text.replace(f'["{key}"]', str([key] * 5).replace("'", '"'), 1))
    with pytest.raises(ConfigError, match="at most 4 recipients"):
        load_desk_config(office.config, {})
