"""The forwarder: what is acknowledged reaches its agency, and what leaves tells nothing of who wrote."""

import itertools
import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from app.core.errors import DeliveryError, EnvelopeError, MemoryStoreError, OutboxError
from app.delivery.destinations import Destination, open_transport
from app.delivery.forwarder import DeliveryOutcome, Forwarder, ForwardRules
from app.delivery.leases import AgencyQueue, Leases
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.outbox import Envelope, Outbox
from app.delivery.pace import Pace
from app.delivery.schema import blob_id, blobs, cells, labels, owners, spares
from app.delivery.transports import FolderTransport
from app.vault.tip import TipId, new_tip_id
from tests.support import databases, servers
from tests.support.databases import opened
from tests.support.ports import free_port

WINDOW = 600
START = 1_795_326_000  # a multiple of the window: 2026-11-22, 18:40 in New Zealand
CELLS, STOCK = 4, 16
LENGTH = 1000


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Agency:
    """An agency's end, which notes what it is given, and refuses what `refuses` says."""

    refuses: object = lambda _: False
    clock: Clock = field(default_factory=Clock)
    limit: float = 20  # the seconds that a delivery is given
    tried: list[TipId] = field(default_factory=list)
    taken: dict[TipId, bytes] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)

    def deliver(self, envelope: Envelope, *, seconds: float) -> None:
        assert seconds == self.limit
        self.tried.append(envelope.id)
        self.times.append(self.clock())
        if code := self.refuses(envelope.id):
            raise DeliveryError(code if isinstance(code, str) else "refused", permanent=code == "rejected")
        self.taken[envelope.id] = envelope.data

    def probe(self, *, seconds: float) -> int | None:  # noqa: ARG002
        return None


def make(agency: str = "intake") -> Envelope:
    return Envelope(new_tip_id(), agency, os.urandom(LENGTH))


def inbox(tmp_path: Path, name: str = "inbox") -> Path:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    return folder


def dropped(folder: Path) -> dict[str, bytes]:
    return {file.stem: file.read_bytes() for file in folder.iterdir()}


def forwarder(box: Outbox, transports: dict, *, stock: int = STOCK, cells_: int = CELLS, **more) -> Forwarder:
    paces = {"intake": Pace(cells_, stock)} | more.pop("paces", {})
    rules = ForwardRules(WINDOW, paces, delivery_seconds=20)
    return Forwarder(box, transports, rules, **({"clock": Clock(), "make_decoy": make} | more))


def https(port: int, certificates: servers.Certificates):
    return open_transport(Destination("a", f"https://127.0.0.1:{port}/", ca=certificates.ca), base=Path("/"))


def nobody(certificates: servers.Certificates):
    return https(free_port(), certificates)


def put(box: Outbox, *many: Envelope) -> None:
    for envelope in many:
        box.put([envelope], now=START)


def stored(box: Outbox) -> int:
    # In one question, since forwarders are at work meanwhile.
    counts = [select(func.count()).select_from(one).scalar_subquery() for one in (cells, labels, blobs, spares)]
    with box.database.read() as connection:
        rows = connection.execute(select(*counts)).one()
    assert len(set(rows)) == 1, rows
    return rows[0]


def rows(box: Outbox) -> Counter[bool]:
    """Return how many rows were tried, and how many were not."""
    with box.database.read() as connection:
        return Counter(connection.execute(select(cells.c.tried)).scalars())


def ids(box: Outbox, *which) -> set[TipId]:
    with box.database.read() as connection:
        return set(connection.execute(select(cells.c.id).where(*which)).scalars())


@pytest.fixture
def file(memory_folder) -> Path:
    """Where the outbox of the SQLite tests has its file: in memory, since these tests lose no power."""
    return memory_folder / "private" / "outbox.db"


@pytest.fixture(params=databases.BACKENDS)
def url(request, file) -> str:
    """The URL of an empty database."""
    return f"sqlite:///{file}" if request.param == "sqlite" else request.getfixturevalue("postgres").database()


@pytest.fixture
def memory(memory_folder) -> SqliteMemoryStore:
    return SqliteMemoryStore(memory_folder)


@pytest.fixture
def box(outbox, memory) -> Outbox:
    """An outbox with a memory store, on each database."""
    outbox.memory = memory
    return outbox


@pytest.fixture
def lite(sqlite, memory) -> Outbox:
    """An outbox of SQLite with a memory store."""
    sqlite.memory = memory
    return sqlite


# Whose window, whose envelope


def take(leases: Leases, start: int):
    return leases.take_window(start, seconds=WINDOW, lease=WINDOW + 120)


def test_one_owner_a_window(outbox):
    """Of many that ask at once, one takes a window; the next window is free again, and a past one is not."""
    leases = Leases(outbox.database)
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(take(leases, START))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(owner is not None for owner in answers) == 1
    assert take(leases, START + WINDOW)
    assert take(leases, START) is None
    assert take(leases, START + WINDOW) is None


def test_a_clock_that_ran_ahead(outbox):
    """A window taken under a clock far ahead stops nobody once the clock is right."""
    leases = Leases(outbox.database)
    put(outbox, envelope := make())
    assert leases.begin(take(leases, START + 1000 * WINDOW), envelope.id)
    owner = take(leases, START)
    assert leases.waiting("intake") == {envelope.id: True}
    assert leases.begin(owner, envelope.id)


def test_an_envelope_in_hand_is_nobody_else_s(outbox):
    """What one owner has begun no other gets, until it is given back, released, or the owner's lease is over."""
    leases = Leases(outbox.database)
    put(outbox, envelope := make(), other := make())
    first = take(leases, START)
    assert leases.begin(first, envelope.id)
    once = leases.acquire_lease(START, seconds=WINDOW)
    assert not leases.begin(once, envelope.id)
    assert leases.waiting("intake") == {other.id: False}
    leases.release(first)
    assert leases.waiting("intake") == {other.id: False, envelope.id: True}
    assert leases.begin(once, envelope.id)
    leases.record_failure("intake", "closed", now=START, tip=envelope.id)
    killed = take(leases, START + WINDOW)
    assert leases.begin(killed, envelope.id)
    after = take(leases, START + 2 * WINDOW)  # a delivery may outlast its window
    assert not leases.begin(after, envelope.id)
    last = take(leases, START + 3 * WINDOW)
    assert leases.begin(last, envelope.id)


def test_what_was_replaced_cannot_begin(outbox):
    """A decoy whose place a tip has taken is not there, neither to begin nor to load."""
    leases = Leases(outbox.database)
    owner = take(leases, START)
    assert not leases.begin(owner, new_tip_id())
    with pytest.raises(OutboxError, match="gone"):
        leases.load(new_tip_id())


def test_an_envelope_is_marked_before_its_bytes_leave(box):
    """While an envelope is on its way its row says, durably, that it was tried."""
    seen = []

    class Looking(Agency):
        def deliver(self, envelope: Envelope, *, seconds: float) -> None:
            with box.database.read() as connection:
                row = connection.execute(select(cells).where(cells.c.id == envelope.id)).one()
            seen.append((row.tried, row.owner is not None))
            super().deliver(envelope, seconds=seconds)

    forwarder(box, {"intake": Looking()}).run_window(START)
    assert seen == [(True, True)] * CELLS


# What leaves


@pytest.mark.parametrize("tips", [0, 1, 3, 30])
def test_exactly_so_many_leave(box, tips):
    """In each window exactly the cells leave, tips first; the outbox holds its stock, and everything arrives."""
    agency = Agency()
    post = forwarder(box, {"intake": agency})
    post.run_window(START - WINDOW)
    agency.tried.clear()
    put(box, *(mine := [make() for _ in range(tips)]))
    for number in range(8):
        assert post.run_window(START + number * WINDOW)[0].delivered == CELLS
        assert stored(box) % STOCK == 0 or tips > STOCK
    assert len(agency.tried) == 8 * CELLS
    assert [tip in agency.taken for tip in (one.id for one in mine)] == [True] * tips
    assert all(agency.taken[one.id] == one.data for one in mine)
    assert set(agency.tried[:tips]) == {one.id for one in mine}


def test_a_tip_takes_the_places_of_decoys(box, memory):
    """Tips and decoys together are as many as the stock, and a tip's envelopes leave its words first."""
    agency = Agency()
    post = forwarder(box, {"intake": agency})
    post.run_window(START)
    words, *parts = [make() for _ in range(5)]
    box.put([words, *parts], now=START)
    assert stored(box) == STOCK
    post.run_window(START + WINDOW)
    assert words.id in agency.tried[CELLS : CELLS + 2]
    assert stored(box) == STOCK
    post.run_window(START + 2 * WINDOW)
    assert {words.id, *(part.id for part in parts)} <= agency.taken.keys()
    assert Counter(kind.name for kind in memory.kinds("intake").values()) == {"decoy": STOCK}


def test_above_the_stock_the_outbox_grows_in_steps(lite, memory):
    """When more wait than the stock, the outbox is filled to twice as many, and comes down by delivery alone."""
    agency = Agency()
    post = forwarder(lite, {"intake": agency})
    post.run_window(START)
    put(lite, *(mine := [make() for _ in range(STOCK + 1)]))
    held = [stored(lite)]
    for number in range(1, 16):
        post.run_window(START + number * WINDOW)
        held.append(stored(lite))
    assert held[:3] == [STOCK + 1, 2 * STOCK, 2 * STOCK]
    assert held[-1] == STOCK
    assert all(before - after in {0, CELLS} or after > before for before, after in itertools.pairwise(held))
    assert {one.id for one in mine} <= agency.taken.keys()
    assert len(agency.tried) == 16 * CELLS


def test_parts_do_not_wait_for_all_words(lite):
    """While words wait without end, a quarter of what leaves are parts."""
    agency = Agency()
    post = forwarder(lite, {"intake": agency}, cells_=8)
    photograph = [make() for _ in range(6)]
    lite.put(photograph, now=START)
    put(lite, *(make() for _ in range(60)))
    post.run_window(START)
    assert sum(one.id in agency.taken for one in photograph[1:]) == 2


def test_other_agencies_get_no_decoys(box):
    """An agency without a stock gets what waits for it, at most so many a window, and nothing else."""
    put(box, *(make("police") for _ in range(20)))
    ways = {"intake": Agency(), "police": Agency()}
    post = forwarder(box, ways)
    left = [
        (post.run_window(START + n * WINDOW), len(ways["intake"].tried), len(ways["police"].tried)) for n in (0, 1, 2)
    ]
    assert [counts[1:] for counts in left] == [(4, 16), (8, 20), (12, 20)]
    assert stored(box) == STOCK


def test_without_a_memory_store_everything_arrives(sqlite):
    """The desk's outbox has no memory store: what waits leaves, and nothing else."""
    put(sqlite, *(mine := [make() for _ in range(9)]))
    agency = Agency()
    post = forwarder(sqlite, {"intake": agency}, stock=0, make_decoy=None)
    assert [post.run_window(START + n * WINDOW)[0].delivered for n in range(4)] == [4, 4, 1, 0]
    assert agency.taken == {one.id: one.data for one in mine}


def test_a_lost_memory_store_loses_nothing(lite, memory_folder):
    """Where the memory store is lost, all that was stored counts as tips, and the stock is filled up beside it."""
    agency = Agency()
    forwarder(lite, {"intake": agency}).run_window(START)
    put(lite, *(mine := [make() for _ in range(5)]))
    for file in memory_folder.rglob("*.*"):
        file.unlink()
    lite.memory = SqliteMemoryStore(memory_folder)
    before = ids(lite)
    post = forwarder(lite, {"intake": agency})
    for number in range(1, 9):
        post.run_window(START + number * WINDOW)
        assert stored(lite) <= 2 * STOCK
    assert {one.id for one in mine} <= before <= agency.taken.keys()
    assert stored(lite) in {STOCK, STOCK + CELLS, STOCK + 2 * CELLS, STOCK + 3 * CELLS, 2 * STOCK}


def test_a_memory_store_that_is_away_stops_nothing(lite, monkeypatch):
    """While the memory store is away as many leave as ever, and the outbox does not grow without end."""
    agency = Agency()
    post = forwarder(lite, {"intake": agency})
    post.run_window(START)

    def away(*_: object, **__: object) -> None:
        raise MemoryStoreError

    for name in ("kinds", "level", "agree_level", "list_decoy", "take_decoys", "note_tip", "forget"):
        monkeypatch.setattr(lite.memory, name, away)
    put(lite, mine := make())
    for number in range(1, 20):
        post.run_window(START + number * WINDOW)
        assert stored(lite) <= STOCK + 1
    assert len(agency.tried) == 20 * CELLS
    assert mine.id in agency.taken


def test_decoys_that_cannot_be_made_stop_nothing(lite):
    """Where a decoy cannot be made, tips leave all the same and the code is shown."""

    def fail(_: str) -> Envelope:
        raise EnvelopeError("recipients")

    put(lite, *(mine := [make() for _ in range(9)]))
    agency = Agency()
    post = forwarder(lite, {"intake": agency}, make_decoy=fail)
    for number in range(3):
        (outcome,) = post.run_window(START + number * WINDOW)
        assert outcome.code == "recipients"
    assert agency.taken.keys() == {one.id for one in mine}


def test_once(box, tmp_path):
    """`--once` delivers all that is stored, decoys too, now, whatever failed before, and puts no decoys."""
    put(box, *(mine := [make() for _ in range(3)]))
    forwarder(box, {"intake": Agency(refuses=lambda _: True)}).run_window(START)
    folder = inbox(tmp_path)
    count = stored(box)
    post = forwarder(box, {"intake": FolderTransport(folder)}, clock=Clock(START + 7))
    leases = Leases(box.database)
    take(leases, START + WINDOW)
    assert post.run_once() == (DeliveryOutcome("intake", count, 0, ""),)
    assert len(dropped(folder)) == count
    assert {one.id for one in mine} <= dropped(folder).keys()
    assert post.run_once() == ()
    assert leases.status().agencies == {}


def test_once_leaves_an_agency_alone_that_is_not_there(lite):
    """`--once` gives an agency up after three failures in a row, and delivers to the others."""
    put(lite, *(make("away") for _ in range(9)), *(make() for _ in range(5)))
    ways = {"away": Agency(refuses=lambda _: "unreachable"), "intake": Agency()}
    outcomes = forwarder(lite, ways).run_once()
    assert set(outcomes) == {DeliveryOutcome("away", 0, 9, "unreachable"), DeliveryOutcome("intake", 5, 0, "")}
    assert len(ways["away"].tried) == 3


# Failures


def test_nothing_is_tried_twice_in_a_window(lite):
    """What was refused is tried again in later windows, at most half of the cells, and never twice in one."""
    agency = Agency(refuses=lambda _: True)
    post = forwarder(lite, {"intake": agency}, cells_=8, stock=32)
    new = []
    for number in range(20):
        agency.tried.clear()
        known = ids(lite, cells.c.tried)
        post.run_window(START + number * WINDOW)
        assert len(agency.tried) == len(set(agency.tried)) == 8
        new.append(len(set(agency.tried) - known))
    assert new[:6] == [8, 4, 4, 4, 4, 4]
    assert rows(lite)[False] == 32
    assert rows(lite)[True] < 32 + 4 * 20


def test_one_refused_envelope_holds_up_nobody(lite):
    """An envelope that is refused for good stays, is told, and is tried again; all others leave."""
    bad, good = make(), [make() for _ in range(6)]
    put(lite, bad, *good)
    agency = Agency(refuses=lambda tip: "rejected" if tip == bad.id else "")
    post = forwarder(lite, {"intake": agency})
    for number in range(4):
        post.run_window(START + number * WINDOW)
    assert {one.id for one in good} <= agency.taken.keys()
    queue = Leases(lite.database).status().agencies["intake"]
    assert (queue.code, queue.since, queue.waiting) == ("rejected", date(2026, 11, 22), STOCK + 1)
    assert Counter(agency.tried)[bad.id] in {3, 4}
    agency.refuses = lambda _: False
    for number in range(4, 7):
        post.run_window(START + number * WINDOW)
    assert bad.id in agency.taken
    assert Leases(lite.database).status().agencies["intake"] == AgencyQueue(STOCK)


def test_the_first_day_of_failures_stays(outbox):
    """Failures are counted and keep their first day; the last code is shown; success clears them."""
    leases = Leases(outbox.database)
    leases.record_failure("intake", "closed", now=START)
    leases.record_failure("intake", "tls", now=START + 9 * 86_400)
    assert leases.status().agencies == {"intake": AgencyQueue(0, 2, "tls", date(2026, 11, 22))}
    leases.clear_failures("intake")
    assert leases.status().agencies == {}
    assert leases.status().last_window == 0


def test_several_failing_at_random_lose_nothing(lite, certificates):
    """With an endpoint that fails half of the time, everything arrives in the end."""
    put(lite, *(sent := [make() for _ in range(12)]))
    with servers.https(certificates) as (port, endpoint):
        endpoint.statuses = [random.choice([201, 503, 422, 409, 507]) for _ in range(60)] + [201]
        post = forwarder(lite, {"intake": https(port, certificates)})
        for number in range(30):
            post.run_window(START + number * WINDOW)
    assert {envelope.id for envelope in sent} <= {r.headers["Idempotency-Key"] for r in endpoint.requests}
    assert rows(lite) == {False: STOCK}


def test_what_was_delivered_is_not_sent_again(lite, monkeypatch):
    """Where an envelope cannot be settled, it is settled at a later beat and not delivered again."""
    put(lite, envelope := make())
    agency = Agency()
    post = forwarder(lite, {"intake": agency})
    settle = lite.settle
    faults = iter([OutboxError("disk-full")])

    def failing(tip: TipId, **more: object) -> None:
        if fault := next(faults, None):
            raise fault
        settle(tip, **more)

    monkeypatch.setattr(lite, "settle", failing)
    with pytest.raises(OutboxError, match="disk-full"):
        post.run_window(START)
    assert envelope.id in agency.taken
    for number in range(1, 4):
        post.run_window(START + number * WINDOW)
    assert Counter(agency.tried)[envelope.id] == 1
    with lite.database.read() as connection:
        assert connection.execute(select(cells).where(cells.c.id == envelope.id)).first() is None


@pytest.mark.parametrize("copies", [1, 2])
def test_a_damaged_envelope_holds_up_nobody(tmp_path, copies):
    """A damaged envelope leaves from its second copy; damaged twice it is told as `corrupt`, and all others leave."""
    bad, good = make(), [make() for _ in range(5)]
    with opened(tmp_path / "outbox.db") as box:
        put(box, bad, *good)
        for table in (blobs, spares)[:copies]:
            with box.database.write() as connection:
                damaged = update(table).where(table.c.slot == blob_id(bad.id.encode()))
                connection.execute(damaged.values(data=bytes(32) + bad.data))
        agency = Agency()
        post = forwarder(box, {"intake": agency}, stock=0)
        for number in range(3):
            post.run_window(START + number * WINDOW)
        assert agency.taken.keys() == {one.id for one in good} | ({bad.id} if copies == 1 else set())
        assert Leases(box.database).status().agencies.get("intake", AgencyQueue()).code == (
            "" if copies == 1 else "corrupt"
        )


def test_an_envelope_known_by_its_label_alone_leaves(sqlite):
    """An envelope whose row in `cells` is lost with its page is found by its label, and leaves once."""
    put(sqlite, envelope := make())
    with sqlite.database.write() as connection:
        connection.execute(cells.delete())
    agency = Agency()
    post = forwarder(sqlite, {"intake": agency}, stock=0)
    for number in range(2):
        post.run_window(START + number * WINDOW)
    assert agency.tried == [envelope.id]
    assert stored(sqlite) == 0


def test_nothing_but_codes_in_the_log(lite, certificates, caplog):
    """A failing delivery logs the agency and a code, once a window, and no id."""
    caplog.set_level(logging.DEBUG)
    put(lite, envelope := make())
    forwarder(lite, {"intake": nobody(certificates)}).run_window(START)
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("haumaru")]
    assert messages == ["delivery agency=intake code=unreachable"]
    assert envelope.id not in caplog.text


# One agency and another


def test_an_agency_that_hangs_holds_up_no_other(lite, monkeypatch):
    """While the disk of one agency hangs, another's envelopes leave at their pace, and the forwarder ends when told."""
    monkeypatch.setattr("app.delivery.transports._GRACE_SECONDS", 0.0)
    let_go, stop = threading.Event(), threading.Event()

    class HangingDisk(Agency):
        def deliver(self, envelope: Envelope, *, seconds: float) -> None:
            self.tried.append(envelope.id)
            let_go.wait(60)
            assert seconds

    ways = {"hanging": HangingDisk(), "intake": Agency(limit=0.2)}
    put(lite, *(make("hanging") for _ in range(3)))
    rules = ForwardRules(1, {"intake": Pace(8, STOCK)}, delivery_seconds=0.2)
    running = threading.Thread(target=Forwarder(lite, ways, rules, make_decoy=make).run, args=(stop,))
    running.start()
    time.sleep(2.5)
    stop.set()
    running.join(15)
    assert not running.is_alive()
    assert len(ways["hanging"].tried) == 1
    assert len(ways["intake"].tried) >= 10
    assert Leases(lite.database).status().agencies["hanging"].code == "timeout"
    let_go.set()


def test_a_slow_agency_gets_each_envelope_once(lite):
    """An end that takes longer than the window gets each envelope once, one after another."""
    stop = threading.Event()

    class Slow(Agency):
        def deliver(self, envelope: Envelope, *, seconds: float) -> None:
            assert seconds == 20
            self.tried.append(envelope.id)
            time.sleep(1.5)
            self.taken[envelope.id] = envelope.data
            if len(self.taken) == 2:
                stop.set()

    put(lite, *(mine := [make() for _ in range(2)]))
    slow = Slow()
    post = Forwarder(lite, {"intake": slow}, ForwardRules(1, {"intake": Pace(4)}, delivery_seconds=20))
    post.run(stop)
    assert sorted(slow.tried) == sorted(one.id for one in mine)
    assert stored(lite) == 0


# The loop


def test_beats_are_even_whatever_happens(lite):
    """The loop makes one beat each interval, lives through faults and clock jumps, and never makes up for lost time."""
    clock, stop = Clock(START + 100), threading.Event()
    agency = Agency(clock=clock)
    jumps = iter([*([0] * 60), -5 * WINDOW, *([0] * 60), 3 * WINDOW, *([0] * 200)])

    def wait(seconds: float) -> None:
        assert 0 < seconds <= 30
        clock.wait(seconds + next(jumps))
        agency.refuses = lambda _: len(agency.tried) % 7 == 3
        if len(agency.tried) >= 50:
            stop.set()

    forwarder(lite, {"intake": agency}, clock=clock).run_agency("intake", stop, wait)
    gaps = [round(later - before) for before, later in itertools.pairwise(agency.times)]
    assert Counter(gap for gap in gaps if gap >= 0).most_common(1)[0][0] == WINDOW // CELLS
    assert [gap for gap in gaps if 0 <= gap < WINDOW // CELLS * 0.9] == []
    assert len([gap for gap in gaps if gap != WINDOW // CELLS]) <= 3


def test_so_many_a_window_and_no_more(lite):
    """In each window of a day exactly the cells leave, however the times of the day fall."""
    clock, stop = Clock(START), threading.Event()
    agency = Agency(clock=clock)

    def wait(seconds: float) -> None:
        clock.wait(seconds + random.random() / 10)
        if clock.now >= START + 40 * WINDOW:
            stop.set()

    forwarder(lite, {"intake": agency}, clock=clock).run_agency("intake", stop, wait)
    counts = Counter(int(moment) // WINDOW for moment in agency.times)
    assert set(counts.values()) == {CELLS}
    assert len(counts) == 40


@pytest.mark.needs("postgres")
@pytest.mark.slow
def test_the_loop_outlives_the_database(caplog):
    """While the database is away the loop goes on with a code in the log; what was delivered is not sent twice."""
    clock, stop = Clock(), threading.Event()
    with databases.postgres() as server:

        class Cutting(Agency):
            def deliver(self, envelope: Envelope, *, seconds: float) -> None:
                super().deliver(envelope, seconds=seconds)
                if len(self.tried) == 1:
                    server.stop()

        agency = Cutting()

        def wait(seconds: float) -> None:
            before = clock.now
            clock.wait(seconds)
            if before < START + 3 * WINDOW <= clock.now:
                server.start()
            if clock.now >= START + 6 * WINDOW:
                stop.set()

        with opened(server.database()) as box:
            put(box, *(tips := [make(), make()]))
            forwarder(box, {"intake": agency}, stock=0, clock=clock).run_agency("intake", stop, wait)
            assert stored(box) == 0
    assert sorted(agency.tried) == sorted(envelope.id for envelope in tips)
    assert "beat agency=intake code=database-away" in caplog.text


def test_told_to_stop_it_finishes_the_envelope_in_hand(lite):
    """A forwarder told to stop in the middle of a delivery settles it, and leaves nothing in hand."""
    stop = threading.Event()

    class Stopping(Agency):
        def deliver(self, envelope: Envelope, *, seconds: float) -> None:
            assert seconds
            stop.set()
            time.sleep(0.2)
            self.tried.append(envelope.id)

    put(lite, *(make() for _ in range(8)))
    agency = Stopping()
    Forwarder(lite, {"intake": agency}, ForwardRules(1, {"intake": Pace(8)})).run(stop)
    assert len(agency.tried) == 1
    assert stored(lite) == 7
    assert len(Leases(lite.database).waiting("intake")) == 7
    with lite.database.read() as connection:
        assert connection.execute(select(owners)).first() is None


# Several processes

PROCESS = """
import os, signal, sys, threading
from pathlib import Path
from app.delivery.destinations import Destination, open_transport
from app.delivery.forwarder import Forwarder, ForwardRules
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.outbox import Envelope, Outbox
from app.delivery.pace import Pace
from app.vault.tip import new_tip_id
url, memory, port, ca = sys.argv[1:]
box = Outbox(url, SqliteMemoryStore(Path(memory)))
box.prepare()
way = open_transport(Destination("intake", f"https://127.0.0.1:{port}/", ca=Path(ca)), base=Path("/"))
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print("ready", flush=True)
rules = ForwardRules(1, {"intake": Pace(16, 32)}, delivery_seconds=2)
decoy = lambda agency: Envelope(new_tip_id(), agency, os.urandom(1000))
Forwarder(box, {"intake": way}, rules, make_decoy=decoy).run(stop)
"""


@contextmanager
def processes(*arguments: object) -> Iterator[list]:
    """Run two forwarders as processes; told to stop on leaving, they must end well."""
    running: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROCESS, *map(str, arguments)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        assert running[-1].stdout.readline() == "ready\n", running[-1].stderr.read()
        return running[-1]

    try:
        yield [start, [start(), start()]]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.communicate()
    assert {process.returncode for process in running} <= {0, -9}


def until(done: object, what: str) -> None:
    """Wait for what must come, and say what did not."""
    for _ in range(900):
        if done():
            return
        time.sleep(0.1)
    pytest.fail(f"never: {what}")


def test_two_forwarders_deliver_each_once(url, box, memory_folder, certificates):
    """Two forwarders on one database: every tip arrives exactly once, and so does every decoy."""
    tips = [make() for _ in range(40)]
    with servers.https(certificates) as (port, endpoint):
        with processes(url, memory_folder, port, certificates.ca):
            put(box, *tips)
            mine = {envelope.id for envelope in tips}
            until(lambda: not mine & ids(box), "a tip's delivery")
        arrived = Counter(request.headers["Idempotency-Key"] for request in endpoint.requests)
    assert {arrived[envelope.id] for envelope in tips} == {1}
    assert set(arrived.values()) == {1}
    bodies = {request.headers["Idempotency-Key"]: request.body for request in endpoint.requests}
    assert all(bodies[envelope.id] == envelope.data for envelope in tips)
    assert ids(box, cells.c.owner.is_not(None)) == set()


@pytest.mark.slow
def test_killed_forwarders_lose_nothing(url, box, memory_folder, certificates):
    """Forwarders killed at random, again and again, while tips arrive: every one of them is delivered, whole."""
    tips, kills = [make() for _ in range(40)], 6
    with (
        servers.https(certificates) as (port, endpoint),
        processes(url, memory_folder, port, certificates.ca) as (start, running),
    ):
        for number, envelope in enumerate(tips):
            put(box, envelope)
            if number % (len(tips) // kills) == 0:
                time.sleep(random.random())
                victim = running.pop(0)
                victim.kill()
                victim.wait()
                running.append(start())
        mine = {envelope.id for envelope in tips}
        until(lambda: not mine & ids(box), "a tip's delivery")
        arrived = Counter(request.headers["Idempotency-Key"] for request in endpoint.requests)
        bodies = {request.headers["Idempotency-Key"]: request.body for request in endpoint.requests}
    assert all(bodies[envelope.id] == envelope.data for envelope in tips)
    # Only what was in a killed forwarder's hand can come again, under the same id.
    assert sum(count - 1 for count in arrived.values()) <= kills + 1


def test_a_delivery_fault_says_its_code():
    """A failure is told by its code and by whether it concerns this envelope alone."""
    assert (DeliveryError("x").permanent, str(DeliveryError("x", permanent=True))) == (False, "x")
