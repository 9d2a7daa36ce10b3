"""The forwarder: what is acknowledged reaches its agency, once, and what leaves tells nothing of who wrote."""

import itertools
import logging
import re
import secrets
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.core.errors import DeliveryError, EnvelopeError, OutboxError
from app.delivery.destinations import Destination, open_transport
from app.delivery.forwarder import DeliveryOutcome, Forwarder
from app.delivery.leases import AgencyQueue, Leases
from app.delivery.outbox import Envelope
from app.delivery.transports import FolderTransport
from app.vault.tip import new_tip_id
from tests.support import databases, servers
from tests.support.databases import opened
from tests.support.forwarding import (
    LARGE,
    SMALL,
    START,
    WINDOW,
    Clock,
    dropped,
    forwarder,
    https,
    inbox,
    kept,
    make,
    nobody,
    put,
)

# What leaves


@pytest.mark.parametrize(
    ("waiting", "leaving"),
    [(0, 4), (1, 4), (3, 4), (4, 4), (5, 8), (8, 8), (9, 16), (16, 16), (17, 32)],
)
def test_the_smallest_class_leaves_in_powers_of_two(sqlite, tmp_path, waiting, leaving):
    """Exactly batch × a power of two leave, the least that takes all; larger ones leave beside them."""
    small, large = [make() for _ in range(waiting)], [make(LARGE) for _ in range(3)]
    put(sqlite, *small, *large)
    folder = inbox(tmp_path)
    outcomes = forwarder(sqlite, {"intake": FolderTransport(folder)}).run_window(START)
    left = dropped(folder)
    assert sum(len(data) == SMALL for data in left.values()) == leaving
    assert sum(len(data) == LARGE for data in left.values()) == 3
    assert all(left[envelope.id] == envelope.data for envelope in (*small, *large))
    assert outcomes == (DeliveryOutcome("intake", waiting + 3, 0, ""),)
    assert kept(sqlite) == 0


def test_only_the_padded_agency_gets_decoys(outbox, tmp_path):
    """Other agencies get what waits for them and nothing else; without a padded agency nobody gets a decoy."""
    put(outbox, make(agency="police"))
    ways = {"intake": FolderTransport(inbox(tmp_path)), "police": FolderTransport(inbox(tmp_path, "police"))}
    forwarder(outbox, ways).run_window(START)
    assert [len(dropped(way.folder)) for way in ways.values()] == [4, 1]
    put(outbox, make(agency="police"))
    forwarder(outbox, ways, padded=None).run_window(START + WINDOW)
    assert [len(dropped(way.folder)) for way in ways.values()] == [4, 2]


def test_what_leaves_looks_the_same(tmp_path):
    """Over a day of windows nothing that leaves tells a quiet site from one with some tips: counts, sizes, times."""
    seen = []
    for name, tips in (("quiet", lambda _: 0), ("some", lambda _: secrets.randbelow(5))):
        folder, clock = inbox(tmp_path, name), Clock()
        with opened(f"sqlite:///{tmp_path}/{name}.db") as box:
            post = forwarder(box, {"intake": FolderTransport(folder, clock=clock)}, clock=clock)
            leaving = []
            for number in range(144):
                put(box, *(make() for _ in range(tips(number))))
                clock.now = START + number * WINDOW
                post.run_window(int(clock.now))
                leaving.append(sorted((len(f.name), f.stat().st_size, f.stat().st_mtime) for f in folder.iterdir()))
                for file in folder.iterdir():
                    file.unlink()
            seen.append(leaving)
    assert seen[0] == seen[1]
    assert {len(leaving) for leaving in seen[0]} == {4}


def test_random_order(sqlite, certificates):
    """Envelopes leave in an order that is neither that of arrival nor that of their ids."""
    put(sqlite, *(arrived := [make() for _ in range(16)]))
    with servers.smtp(certificates) as (port, mailbox):
        url = f"smtp+starttls://127.0.0.1:{port}/?to=a%40b.example"
        way = open_transport(Destination("intake", url, ca=certificates.ca), base=Path("/"))
        forwarder(sqlite, {"intake": way}).run_window(START)
    left = [re.search(rb"Message-ID: <(\w+)@", mail)[1].decode() for mail in mailbox.mails]
    arrival = [envelope.id for envelope in arrived]
    assert sorted(left) == sorted(arrival)
    assert left not in (arrival, arrival[::-1], sorted(arrival), sorted(arrival, reverse=True))


def test_decoys_are_never_kept_nor_retried(sqlite, certificates):
    """A decoy that fails is forgotten: nothing of it is in the outbox."""
    post = forwarder(sqlite, {"intake": nobody(certificates)})
    assert post.run_window(START) == (DeliveryOutcome("intake", 0, 0, "unreachable"),)
    assert kept(sqlite) == 0


def test_decoys_that_cannot_be_made_stop_nothing(sqlite, tmp_path):
    """Where a decoy cannot be made, tips leave all the same and the code is shown."""

    def fail() -> Envelope:
        raise EnvelopeError("recipients")

    put(sqlite, *(make() for _ in range(9)))
    folder = inbox(tmp_path)
    for number in range(20):
        (outcome,) = forwarder(sqlite, {"intake": FolderTransport(folder)}, make_decoy=fail).run_window(
            START + number * WINDOW
        )
        assert not outcome.waiting or outcome.code == "recipients"
    assert len(dropped(folder)) == 9


def test_once(outbox, tmp_path, certificates):
    """`--once` delivers all that waits, now, without decoys and whatever the backoff, beside another's turn."""
    put(outbox, *(make() for _ in range(3)), make(LARGE))
    forwarder(outbox, {"intake": nobody(certificates)}).run_window(START)
    folder = inbox(tmp_path)
    clock = Clock(START + 7)
    leases = Leases(outbox.database)
    leases.take_window(START + WINDOW, seconds=WINDOW)
    assert forwarder(outbox, {"intake": FolderTransport(folder)}, clock=clock).run_once() == (
        DeliveryOutcome("intake", 4, 0, ""),
    )
    assert len(dropped(folder)) == 4
    assert forwarder(outbox, {"intake": FolderTransport(folder)}, clock=clock).run_once() == ()
    assert leases.status(START).agencies == {}


# Failures


def test_one_refused_envelope_holds_up_nobody(sqlite, certificates):
    """An envelope that is refused for good stays, is told, is tried again, and sends nobody into backoff."""
    bad, good = make(), [make() for _ in range(6)]
    put(sqlite, bad, *good)
    with servers.https(certificates) as (port, endpoint):
        endpoint.by_id[bad.id] = 422
        post = forwarder(sqlite, {"intake": https(port, certificates)})
        assert post.run_window(START) == (DeliveryOutcome("intake", 6, 1, "rejected"),)
        put(sqlite, late := make())
        assert post.run_window(START + WINDOW) == (DeliveryOutcome("intake", 1, 1, "rejected"),)
        status = Leases(sqlite.database).status(START + WINDOW)
        assert status.agencies == {"intake": AgencyQueue(waiting=1, oldest_days=0, failures=0, code="rejected")}
        endpoint.by_id.clear()
        assert post.run_window(START + 2 * WINDOW) == (DeliveryOutcome("intake", 1, 0, ""),)
    tries = Counter(request.headers["Idempotency-Key"] for request in endpoint.requests)
    assert tries[bad.id] == 3
    assert {tries[envelope.id] for envelope in (*good, late)} == {1}
    assert Leases(sqlite.database).status(START).agencies == {}


def test_a_lone_refused_envelope_is_no_backoff(sqlite, certificates):
    """Where the only envelope is refused for good, the next one does not wait."""
    put(sqlite, bad := make())
    with servers.https(certificates) as (port, endpoint):
        endpoint.by_id[bad.id] = 422
        post = forwarder(sqlite, {"intake": https(port, certificates)}, padded=None)
        for number in range(3):
            assert post.run_window(START + number * WINDOW) == (DeliveryOutcome("intake", 0, 1, "rejected"),)


def test_what_was_never_tried_does_not_wait_for_another(sqlite, certificates):
    """Where there are no decoys, a new envelope passes though another put the agency into backoff."""
    put(sqlite, bad := make())
    with servers.https(certificates) as (port, endpoint):
        endpoint.by_id[bad.id] = 503
        post = forwarder(sqlite, {"intake": https(port, certificates)}, padded=None)
        for number in range(4):
            post.run_window(START + number * WINDOW)
        put(sqlite, make())
        assert post.run_window(START + 4 * WINDOW) == (DeliveryOutcome("intake", 1, 0, ""),)
        assert kept(sqlite) == 1


def tries(post: Forwarder, windows: range) -> list[int]:
    """Return after how many seconds the agency was tried."""
    return [number * WINDOW for number in windows if post.run_window(START + number * WINDOW)]


def test_backoff_grows_to_an_hour_and_never_gives_up(outbox, certificates, tmp_path):
    """An agency that is away is tried after 10, 20, 40 minutes, then hourly, tips or none; then everything leaves."""
    put(outbox, *(sent := [make() for _ in range(5)]))
    away = forwarder(outbox, {"intake": nobody(certificates)})
    hourly = [4200 + 3600 * hour for hour in range(23)]
    assert tries(away, range(144)) == [0, 600, 1800, *hourly]
    status = Leases(outbox.database).status(START + 86_400)
    assert status.agencies == {"intake": AgencyQueue(waiting=5, oldest_days=1, failures=26, code="unreachable")}
    folder = inbox(tmp_path)
    back = forwarder(outbox, {"intake": FolderTransport(folder)})
    assert tries(back, range(144, 160))[:2] == [4200 + 3600 * 23, 4800 + 3600 * 23]
    assert dropped(folder).keys() >= {envelope.id for envelope in sent}
    assert Leases(outbox.database).status(START).agencies == {}


def test_the_picture_of_an_agency_away_is_the_same(tmp_path, certificates):
    """While the agency is away, when it is tried does not tell whether somebody wrote."""
    seen = []
    for tips in (0, 3):
        with opened(f"sqlite:///{tmp_path}/{tips}.db") as box:
            post = forwarder(box, {"intake": nobody(certificates)})
            when = []
            for number in range(30):
                put(box, *(make() for _ in range(tips)))
                when += [number] if post.run_window(START + number * WINDOW) else []
            seen.append(when)
    assert seen[0] == seen[1]


def test_a_silent_agency_holds_up_no_other(sqlite, certificates, tmp_path):
    """While one agency's server says nothing, another's envelopes leave; the silent one is left after three."""
    put(sqlite, *(make(agency="silent") for _ in range(9)), make())

    def silent(peer: object) -> None:
        while peer.recv(65536):
            pass

    folder = inbox(tmp_path)
    with servers.misbehaving(silent, certificates.context()) as port:
        ways = {"silent": https(port, certificates), "intake": FolderTransport(folder)}
        outcomes = forwarder(sqlite, ways, seconds=0.3).run_window(START)
    assert set(outcomes) == {DeliveryOutcome("silent", 0, 9, "timeout"), DeliveryOutcome("intake", 1, 0, "")}
    assert kept(sqlite) == 9


def test_several_failing_at_random_lose_nothing(sqlite, certificates):
    """With an endpoint that fails half of the time, everything arrives in the end, and each is settled once."""
    put(sqlite, *(sent := [make() for _ in range(20)]))
    with servers.https(certificates) as (port, endpoint):
        endpoint.statuses = [secrets.choice([201, 503, 422, 409, 500]) for _ in range(60)] + [201]
        post = forwarder(sqlite, {"intake": https(port, certificates)})
        for number in range(60):
            post.run_window(START + number * WINDOW)
    assert {envelope.id for envelope in sent} <= {r.headers["Idempotency-Key"] for r in endpoint.requests}
    assert kept(sqlite) == 0


@pytest.mark.parametrize("copies", [1, 2])
def test_a_damaged_envelope_holds_up_nobody(tmp_path, copies):
    """A damaged envelope leaves from its second copy; damaged twice it is told as `corrupt`, and all others leave."""
    file = tmp_path / "outbox.db"
    bad = Envelope(new_tip_id(), "intake", bytes(LARGE // 2) + b"middle" * 4 + bytes(LARGE // 2))
    with opened(f"sqlite:///{file}") as box:
        put(box, bad, *(make(LARGE) for _ in range(5)))
        Leases(box.database).finish_window(START)
    raw = bytearray(file.read_bytes())
    places = [place.start() // 8192 * 8192 for place in re.finditer(b"middle" * 4, raw)]
    assert len(places) == 2
    for page in places[:copies]:
        raw[page : page + 4] = b"\xff" * 4  # where its chain of pages goes on
    file.write_bytes(raw)
    folder = inbox(tmp_path)
    with opened(f"sqlite:///{file}") as box:
        post = forwarder(box, {"intake": FolderTransport(folder)})
        with pytest.raises(OutboxError):  # the rebuilding fails too
            post.run_window(START)
        assert Leases(box.database).status(START).agencies["intake"] == AgencyQueue(1, 0, 0, "corrupt")
    left = dropped(folder)
    assert sum(len(data) >= LARGE for data in left.values()) == 5 + (copies == 1)
    assert copies == 2 or left[bad.id] == bad.data


def test_nothing_but_codes_in_the_log(sqlite, certificates, caplog):
    """A failing delivery logs the agency and a code, and no id."""
    caplog.set_level(logging.DEBUG)
    put(sqlite, envelope := make())
    forwarder(sqlite, {"intake": nobody(certificates)}).run_window(START)
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("haumaru")]
    assert messages == ["delivery agency=intake code=unreachable"]
    assert envelope.id not in caplog.text


# The loop


def test_run_works_every_window_whatever_happens(sqlite, tmp_path):
    """The loop takes each window at its start, lives through faults and clock jumps, and stops when told."""
    clock, stop, folder = Clock(START + 100), threading.Event(), inbox(tmp_path)
    counts: list[int] = []
    jumps = iter([*([0] * 60), -5 * WINDOW, *([0] * 60), 3 * WINDOW, *([0] * 60)])

    def wait(seconds: float) -> None:
        assert 0 < seconds <= 30
        clock.wait(seconds + next(jumps))
        counts.append(len(dropped(folder)))
        if len(counts) == 30:
            folder.rename(tmp_path / "away")
            folder.mkdir()
            folder.rmdir()
            folder.symlink_to(tmp_path / "away")
        if len(counts) == 180:
            stop.set()

    forwarder(sqlite, {"intake": FolderTransport(folder)}, clock=clock).run(stop, wait)
    assert counts[0] == 0
    assert counts[-1] >= 4 * 9
    assert all(later - earlier in {0, 4} for earlier, later in itertools.pairwise(counts))


@pytest.mark.needs("postgres")
def test_the_loop_outlives_the_database(tmp_path, caplog):
    """While the database is away the loop goes on with a code in the log; what was delivered is not sent twice."""
    folder, clock, stop = inbox(tmp_path), Clock(), threading.Event()
    with databases.postgres() as server:
        sent: list[str] = []

        @dataclass(frozen=True)
        class Cutting(FolderTransport):
            """A folder after whose first delivery the database goes away."""

            cut: list[bool] = field(default_factory=lambda: [True])

            def deliver(self, envelope: Envelope, *, seconds: float) -> None:
                super().deliver(envelope, seconds=seconds)
                sent.append(envelope.id)
                if self.cut and self.cut.pop():
                    server.stop()

        def wait(seconds: float) -> None:
            clock.wait(seconds)
            if clock.now == START + 3 * WINDOW:
                server.start()
            if clock.now == START + 5 * WINDOW:
                stop.set()

        with opened(server.database()) as box:
            put(box, *(tips := [make(), make()]))
            forwarder(box, {"intake": Cutting(folder)}, padded=None, clock=clock).run(stop, wait)
            assert kept(box) == 0
    assert sorted(sent) == sorted(envelope.id for envelope in tips)
    assert "turn code=database-away" in caplog.text


def test_told_to_stop_it_finishes_the_envelope_in_hand(sqlite, tmp_path):
    """A forwarder told to stop in the middle settles what it has delivered, and leaves the rest unclaimed."""
    stop, clock = threading.Event(), Clock(START - 1)

    @dataclass(frozen=True)
    class Stopping(FolderTransport):
        """A folder after whose first delivery the forwarder is told to stop."""

        def deliver(self, envelope: Envelope, *, seconds: float) -> None:
            super().deliver(envelope, seconds=seconds)
            stop.set()

    put(sqlite, *(make() for _ in range(8)))
    way = Stopping(inbox(tmp_path))
    forwarder(sqlite, {"intake": way}, clock=clock).run(stop, clock.wait)
    assert len(dropped(way.folder)) == 1
    assert kept(sqlite) == 7
    leases = Leases(sqlite.database)
    assert len(leases.claim(leases.acquire_lease(START, seconds=1), ready={"intake"})) == 7


def test_a_delivery_fault_says_its_code():
    """A failure is told by its code and by whether it concerns this envelope alone."""
    assert (DeliveryError("x").permanent, str(DeliveryError("x", permanent=True))) == (False, "x")
