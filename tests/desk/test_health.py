"""What waits, expires or fails at a desk is said in sentences, and whether somebody must act."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from app.delivery.leases import Leases
from app.delivery.outbox import Envelope
from app.desk.health import EXPIRY_WARNING_DAYS, check_health, expiring_keys
from app.vault.tip import new_tip_id
from tests.support.desk import NOON, receive, tip

TODAY = date(2026, 11, 22)


def _expiring(config, days):
    """The same configuration, where the key of Police has this many days left."""
    police = replace(config.authorities["police"], expires=TODAY + timedelta(days=days))
    return replace(config, authorities={**config.authorities, "police": police})


def test_a_desk_where_nothing_waits_asks_for_nothing(desk):
    """An empty inbox, keys that never expire and an empty outbox are no reason to act."""
    health = check_health(desk.config, NOON)
    assert health.lines == ("Envelopes in the inbox: 0", "Envelopes set aside: 0")
    assert not health.action_needed


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (EXPIRY_WARNING_DAYS, f"Example Police: the key expires in {EXPIRY_WARNING_DAYS} days; get a new key"),
        (-3, "Example Police: the key expired 3 days ago; get a new key"),
    ],
)
def test_a_key_is_named_from_six_weeks_before_its_last_day(desk, days, words):
    """A key that expires soon, or has expired, is named with its days and asks somebody to act."""
    health = check_health(_expiring(desk.config, days), NOON)
    assert words in health.lines
    assert health.action_needed
    assert expiring_keys(_expiring(desk.config, EXPIRY_WARNING_DAYS + 1), NOON) == []


def test_an_envelope_in_the_inbox_waits_and_one_that_was_set_aside_asks_to_act(office, desk):
    """Waiting envelopes are counted and need nobody; one that did not open needs a handler."""
    office.drop(tip())
    waiting = check_health(desk.config, NOON)
    assert waiting.lines[0] == "Envelopes in the inbox: 1"
    assert not waiting.action_needed
    (office.inbox / f"{'0' * 26}.age").write_bytes(b"nothing")
    receive(desk)
    aside = check_health(desk.config, NOON)
    assert aside.lines[:2] == ("Envelopes in the inbox: 0", "Envelopes set aside: 1")
    assert aside.action_needed


def test_a_delivery_asks_to_act_only_when_it_failed(desk):
    """An envelope that waits is counted; once a delivery has failed, its code is shown and somebody must act."""
    desk.outbox.put([Envelope(new_tip_id(), "police", b"sealed")])
    waiting = check_health(desk.config, NOON)
    assert any("1 envelope waits for Example Police" in line for line in waiting.lines)
    assert not waiting.action_needed
    Leases(desk.outbox.database).record_failure("police", "refused", now=NOON)
    failed = check_health(desk.config, NOON)
    assert any("Example Police. Sending has failed since 2026-11-22 (refused)" in line for line in failed.lines)
    assert failed.action_needed
