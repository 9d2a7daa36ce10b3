"""Whose window is whose: leases, claims, and what is counted of an agency's queue."""

import threading
from datetime import date

from sqlalchemy import select

from app.delivery.leases import AgencyQueue, Leases
from app.delivery.schema import envelopes
from tests.support.forwarding import START, WINDOW, make, put


def test_one_owner_a_window(outbox):
    """Of many that ask at once, one takes a window; the next window is free again, and a past one is not."""
    leases = Leases(outbox.database)
    answers: list[object] = []

    def ask() -> None:
        answers.append(leases.take_window(START, seconds=WINDOW))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(owner is not None for owner in answers) == 1
    assert leases.take_window(START + WINDOW, seconds=WINDOW)
    assert leases.take_window(START, seconds=WINDOW) is None
    assert leases.take_window(START + WINDOW, seconds=WINDOW) is None


def test_a_clock_that_ran_ahead(outbox):
    """A window taken under a clock far ahead stops nobody once the clock is right."""
    leases = Leases(outbox.database)
    envelope = make()
    put(outbox, envelope)
    ahead = leases.take_window(START + 1000 * WINDOW, seconds=WINDOW)
    assert len(leases.claim(ahead, ready={"intake"})) == 1
    leases.record_outcome("intake", code="closed", backoff=True, at=START + 1000 * WINDOW, seconds=WINDOW)
    owner = leases.take_window(START, seconds=WINDOW)
    assert leases.agencies_in_backoff(START) == frozenset()
    assert [one.id for one in leases.claim(owner, ready={"intake"})] == [envelope.id]


def test_claims_are_exclusive_until_their_end(outbox):
    """What one owner has claimed no other gets, until it is released or the owner's time is over."""
    leases = Leases(outbox.database)
    put(outbox, *(make() for _ in range(5)))
    first = leases.take_window(START, seconds=WINDOW)
    assert len(leases.claim(first, ready={"intake"})) == 5
    once = leases.acquire_lease(START, seconds=WINDOW)
    assert leases.claim(once, ready={"intake"}) == []
    leases.release(first)
    assert len(leases.claim(once, ready={"intake"})) == 5
    killed = leases.take_window(START + WINDOW, seconds=WINDOW)
    assert len(leases.claim(killed, ready={"intake"})) == 5
    after = leases.take_window(START + 2 * WINDOW, seconds=WINDOW)
    assert len(leases.claim(after, ready={"intake"})) == 5


def test_status_counts_days(outbox):
    """What is left over is told in whole days, counted in New Zealand from the first window's end it saw."""
    leases = Leases(outbox.database)
    assert leases.status(START).last_window == 0
    put(outbox, make(), make(agency="police"))
    assert leases.status(START).agencies["intake"] == AgencyQueue(waiting=1)
    leases.take_window(START, seconds=WINDOW)
    leases.finish_window(START)
    put(outbox, make())
    assert leases.status(START + 5 * 3600).agencies["intake"] == AgencyQueue(waiting=2, oldest_days=0)
    assert leases.status(START + 6 * 3600).agencies["intake"] == AgencyQueue(waiting=2, oldest_days=1)
    assert leases.status(START + 86_400 * 400).agencies["police"].oldest_days == 400
    assert leases.status(START - 86_400 * 9).agencies["police"].oldest_days == 0
    assert leases.status(START).last_window == START
    with outbox.database.read() as connection:
        days = set(connection.execute(select(envelopes.c.since)).scalars())
    assert days == {None, date(2026, 11, 22)}
