"""The outbox: what is acknowledged is on the disk, once; tips take the places of decoys, and nothing else's."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from sqlalchemy import func, select, update

from app.core.errors import AlreadySentError, OutboxError, WordsFullError
from app.delivery import outbox as outbox_module
from app.delivery import places
from app.delivery.clock import nz_day, nz_day_end
from app.delivery.leases import Leases
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.memory_store import DECOY, EnvelopeKind, answer_keys
from app.delivery.outbox import Envelope, Outbox
from app.delivery.schema import blobs, cells, labels, messages, posted, replies, spares
from app.vault.tip import TipId, new_tip_id
from tests.support.databases import opened
from tests.support.desk import wait_for

NOW = 1_795_326_000.0
ENVELOPE = 137_418


class Killed(BaseException):
    """The process ends here, as by kill -9: nothing after it is done."""


def make(size: int = ENVELOPE, tip: TipId | None = None) -> Envelope:
    return Envelope(tip or new_tip_id(), "intake", os.urandom(size))


def make_tip(parts: int = 2, size: int = 1000) -> list[Envelope]:
    return [make(size) for _ in range(parts + 1)]


def waiting(box: Outbox) -> dict[str, bytes]:
    with box.database.read() as connection:
        ids = connection.execute(select(cells.c.id)).scalars().all()
    return {each: box.database.read_blob(each.encode(), blobs, spares) for each in ids}


def count(box: Outbox, table: object) -> int:
    with box.database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def mark(box: Outbox, envelope: Envelope, **values: object) -> None:
    with box.database.write() as connection:
        connection.execute(update(cells).where(cells.c.id == envelope.id).values(values))


@pytest.fixture
def memory(memory_folder) -> Iterator[SqliteMemoryStore]:
    store = SqliteMemoryStore(memory_folder)
    yield store
    store.close()


@pytest.fixture
def stocked(outbox, memory) -> tuple[Outbox, list[Envelope]]:
    """An outbox with a memory store and eight decoys, all of the agency `intake`."""
    outbox.memory = memory
    decoys = [make(1000) for _ in range(8)]
    for decoy in decoys:
        outbox.put_decoy(decoy)
    return outbox, decoys


# Put


def test_put_is_seen_by_another(url, outbox):
    """All envelopes of a tip are there, byte for byte, for whoever opens the same database."""
    tips = [[make()], [make() for _ in range(21)]]
    for tip in tips:
        outbox.put(tip)
    with opened(url) as other:
        assert waiting(other) == {each.id: each.data for tip in tips for each in tip}


@pytest.mark.parametrize("secret", ["nonce", "draft"])
def test_a_form_is_sent_once(stocked, secret):
    """A form or a held tip that is sent twice is one tip; another form is another."""
    box, _ = stocked
    first, second = make_tip(), make_tip()
    box.put(first, **{secret: b"n" * 16}, now=NOW)
    with pytest.raises(AlreadySentError):
        box.put(make_tip(), **{secret: b"n" * 16}, now=NOW)
    box.put(second, **{secret: b"m" * 16}, now=NOW)
    assert {each.id for each in (*first, *second)} <= waiting(box).keys()
    assert count(box, cells) == 8


def test_ids_are_put_once(outbox):
    """A tip of which one id is in the outbox already is sent already; nothing of it is put."""
    first = make_tip()
    outbox.put(first)
    for again in (first, [make(), make(tip=first[1].id)]):
        with pytest.raises(AlreadySentError):
            outbox.put(again)
    assert waiting(outbox) == {each.id: each.data for each in first}


def test_a_put_that_fails_uses_nothing_up(stocked, monkeypatch):
    """Where a tip cannot be stored, its form may be sent again, and the decoys are where they were."""
    box, decoys = stocked

    def fail(*_: object) -> None:
        raise OutboxError("disk-full")

    with monkeypatch.context() as patch:
        patch.setattr(places, "insert_envelope", fail)
        with pytest.raises(OutboxError):
            box.put(make_tip(), nonce=b"n" * 16, now=NOW)
    assert waiting(box) == {each.id: each.data for each in decoys}
    assert box.memory.kinds("intake") == dict.fromkeys((each.id for each in decoys), DECOY)
    box.put(make_tip(), nonce=b"n" * 16, now=NOW)


def test_many_clicks_at_once_are_one(url, memory_folder):
    """A form sent by many threads of several processes at once is one tip."""
    with opened(url) as one, opened(url) as other:
        one.memory, other.memory = SqliteMemoryStore(memory_folder), SqliteMemoryStore(memory_folder)

        def click(number: int) -> str:
            try:
                (one, other)[number % 2].put([make(1000)], nonce=b"n" * 16, now=NOW)
            except AlreadySentError:
                return "already"
            return "sent"

        with ThreadPoolExecutor(16) as pool:
            answers = sorted(pool.map(click, range(16)))
        assert answers == ["already"] * 15 + ["sent"]
        assert len(waiting(one)) == 1


def test_many_threads(outbox):
    """Sixty-four threads put at once, and nothing is lost."""
    envelopes = [make() for _ in range(128)]
    with ThreadPoolExecutor(64) as pool:
        list(pool.map(lambda each: outbox.put([each]), envelopes))
    assert waiting(outbox) == {envelope.id: envelope.data for envelope in envelopes}


PUTTER = """
import os, sys
from app.delivery.outbox import Envelope, Outbox
from app.vault.tip import new_tip_id
box = Outbox(sys.argv[1])
box.prepare()
for _ in range(int(sys.argv[2])):
    tip = [Envelope(new_tip_id(), "intake", os.urandom(137_418)) for _ in range(2)]
    box.put(tip)
    print(tip[0].id, tip[1].id, flush=True)
"""


def run_putter(url: str, times: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PUTTER, url, str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes(url):
    """Several processes prepare and fill one database at once, and nothing is lost."""
    running = [run_putter(url, 10) for _ in range(3)]
    acknowledged = {each for process in running for each in process.communicate()[0].split()}
    assert [process.returncode for process in running] == [0, 0, 0]
    with opened(url) as box:
        assert waiting(box).keys() == acknowledged
    assert len(acknowledged) == 60


def test_killed_while_putting(url):
    """What a process acknowledged before it was killed is there, whole, and no tip is there in part."""
    acknowledged = set()
    for lines in (1, 4, 9):
        with run_putter(url, 1000) as process:
            acknowledged |= {each for _ in range(lines) for each in process.stdout.readline().split()}
            process.kill()
            acknowledged |= {each for line in process.stdout.read().split("\n")[:-1] for each in line.split()}
    with opened(url) as box:
        found = waiting(box)
    assert acknowledged <= found.keys()
    assert len(acknowledged) >= 28
    assert len(found) % 2 == 0
    assert {len(data) for data in found.values()} == {ENVELOPE}


RESENDER = """
import sys
from pathlib import Path
from app.core.errors import AlreadySentError
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.outbox import Envelope, Outbox
from app.vault.tip import new_tip_id
box = Outbox(sys.argv[1], SqliteMemoryStore(Path(sys.argv[2])))
box.prepare()
for number in range(int(sys.argv[3]), 1000):
    nonce = number.to_bytes(16, "big")
    try:
        tip = [Envelope(new_tip_id(), "intake", nonce + bytes(1000)) for _ in range(2)]
        box.put(tip, nonce=nonce, now=1_795_326_000)
    except AlreadySentError:
        print(number, "already", flush=True)
    else:
        print(number, "sent", flush=True)
    if number % 3 == 0:
        box.put_decoy(Envelope(new_tip_id(), "intake", b"decoy"))
"""


@pytest.mark.slow
def test_forms_sent_again_after_a_kill(url, memory_folder):
    """A sender who sends again what a killed process may have taken is told the truth: each tip is there, once."""
    following = 0
    for lines in (1, 2, 5, 3, 8, 1, 4, 6):
        command = [sys.executable, "-c", RESENDER, url, str(memory_folder), str(following)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            answers = [process.stdout.readline() for _ in range(lines)]
            process.kill()
            answers += process.stdout.read().split("\n")[:-1]
        following = int(answers[-1].split()[0]) + 1
    with opened(url) as box:
        numbers = [int.from_bytes(data[:16], "big") for data in waiting(box).values() if data != b"decoy"]
    assert following >= 30
    assert sorted(numbers)[: 2 * following] == [number for number in range(following) for _ in range(2)]


def test_a_cut_log_loses_nothing_acknowledged(file, tmp_path):
    """Whatever is cut off the log's end after an acknowledgement, the acknowledged tips are there."""
    log = file.with_name("outbox.db-wal")
    with opened(file) as box:
        box.database._sqlite.empty_log = lambda: None
        acknowledged = []
        for _ in range(12):
            tip = make_tip(1, 20_000)
            box.put(tip)
            acknowledged.append((tip, log.stat().st_size))
        database, whole = file.read_bytes(), log.read_bytes()
    cuts = sorted({*(size for _, size in acknowledged), *random.sample(range(len(whole)), 25)})
    for cut in cuts:
        copy = tmp_path / f"cut-{cut}"
        copy.mkdir()
        (copy / "outbox.db").write_bytes(database)
        (copy / "outbox.db-wal").write_bytes(whole[:cut])
        with opened(copy / "outbox.db") as box:
            found = waiting(box)
        assert len(found) % 2 == 0
        for tip, size in acknowledged:
            assert size > cut or all(found[each.id] == each.data for each in tip)
        shutil.rmtree(copy)


# Decoys


def test_a_tip_takes_the_places_of_decoys(stocked):
    """As many decoys go as envelopes come, so that the outbox holds as many as before; the memory store knows both."""
    box, decoys = stocked
    tip = make_tip(2)
    box.put(tip)
    found, known = waiting(box), box.memory.kinds("intake")
    assert len(found) == 8
    assert {each.id for each in tip} <= found.keys()
    assert found.keys() - {each.id for each in tip} < {each.id for each in decoys}
    assert known.keys() == found.keys()
    assert known[tip[0].id] == EnvelopeKind("words", 2)
    assert known[tip[1].id] == known[tip[2].id] == EnvelopeKind("part", 2)
    assert [count(box, table) for table in (cells, labels, blobs, spares)] == [8] * 4


def of_agency(box: Outbox, agency: str) -> set[str]:
    return set(Leases(box.database).waiting(agency))


@pytest.mark.parametrize("parts", [0, 2, 30])
@pytest.mark.parametrize(("chosen", "other"), [("intake", "police"), ("police", "intake")])
def test_each_agency_gets_as_many_new_envelopes_as_a_tip_has(stocked, chosen, other, parts):
    """As many places change for the one agency as for the other, whichever the tip is for, and however many parts."""
    box, _ = stocked
    for _ in range(8):
        box.put_decoy(Envelope(new_tip_id(), "police", bytes(1000)))
    before = {agency: of_agency(box, agency) for agency in (chosen, other)}
    tip = [Envelope(new_tip_id(), chosen, bytes(1000)) for _ in range(1 + parts)]
    covers = [Envelope(new_tip_id(), other, bytes(1000)) for _ in tip]
    box.put(tip, covers=covers, now=NOW)
    after = {agency: of_agency(box, agency) for agency in (chosen, other)}
    assert {agency: len(after[agency] - before[agency]) for agency in after} == dict.fromkeys(after, 1 + parts)
    assert {agency: len(before[agency] - after[agency]) for agency in after} == dict.fromkeys(after, min(8, 1 + parts))
    assert set(box.memory.kinds(other)) == after[other]
    assert set(box.memory.kinds(other).values()) == {DECOY}
    assert sum(kind != DECOY for kind in box.memory.kinds(chosen).values()) == 1 + parts
    assert box.memory.count_words() == 1


@pytest.mark.parametrize("chosen", ["intake", "police"])
def test_the_order_of_the_rows_does_not_depend_on_the_choice(stocked, monkeypatch, chosen):
    """The rows of one tip are written in turn, one for each agency, in one order of the agencies."""
    box, order = stocked[0], []
    other = "police" if chosen == "intake" else "intake"
    inserted = places.insert_envelope
    monkeypatch.setattr(places, "insert_envelope", lambda *row: order.append(row[2]) or inserted(*row))
    tip = [Envelope(new_tip_id(), chosen, bytes(1000)) for _ in range(3)]
    box.put(tip, covers=[Envelope(new_tip_id(), other, bytes(1000)) for _ in tip])
    assert order == ["intake", "police"] * 3


def test_a_put_that_fails_gives_the_places_of_each_agency_back(stocked):
    """Where the ids are there already, nothing is put for any agency, and the decoys of both stay known."""
    box, _ = stocked
    for _ in range(8):
        box.put_decoy(Envelope(new_tip_id(), "police", bytes(1000)))
    there = new_tip_id()  # of a tip: a decoy might give its place to the tip that has its id
    box.put([Envelope(there, "police", bytes(1000))])
    before = {agency: (of_agency(box, agency), box.memory.kinds(agency)) for agency in ("intake", "police")}
    again = Envelope(there, "police", bytes(1000))
    with pytest.raises(AlreadySentError):
        box.put([make(1000)], covers=[again])
    assert {agency: (of_agency(box, agency), box.memory.kinds(agency)) for agency in before} == before


def test_the_room_for_words_is_one_for_all_agencies(stocked):
    """Words for one agency take of the room of the other, so that nobody can fill one alone and see who comes."""
    box, _ = stocked
    for agency in ("intake", "police", "police"):
        box.put([Envelope(new_tip_id(), agency, bytes(1000))], now=NOW, most_waiting=3)
    for agency in ("intake", "police"):
        with pytest.raises(WordsFullError):
            box.put([Envelope(new_tip_id(), agency, bytes(1000))], now=NOW, most_waiting=3)


def test_decoys_that_were_tried_stay(stocked):
    """A decoy that was tried, or that a forwarder is delivering, keeps its place and stays known as a decoy."""
    box, decoys = stocked
    for decoy in decoys[:3]:
        mark(box, decoy, tried=True)
    for decoy in decoys[3:6]:
        mark(box, decoy, owner=b"forwarder")
    box.put(make_tip(2))
    found, known = waiting(box), box.memory.kinds("intake")
    assert {each.id for each in decoys[:6]} <= found.keys()
    assert {each.id for each in decoys[:6]} == {each for each, kind in known.items() if kind == DECOY}
    assert len(found) == 6 + 3


def test_an_unknown_envelope_is_a_tip(stocked, memory_folder):
    """Once the memory store is lost nothing in the outbox gives its place to a tip."""
    box, decoys = stocked
    box.memory.close()
    shutil.rmtree(memory_folder)
    box.memory = SqliteMemoryStore(memory_folder)
    box.put(make_tip(2))
    assert {each.id for each in decoys} < waiting(box).keys()
    assert len(waiting(box)) == 8 + 3


def test_without_a_memory_store(outbox, memory_folder):
    """Without a memory store, or while it is away, tips are put all the same, and take nobody's place."""
    outbox.put(make_tip(2), nonce=b"n", now=NOW)
    assert len(waiting(outbox)) == 3
    (memory_folder / "file").write_text("no folder")
    outbox.memory = SqliteMemoryStore(memory_folder / "file")
    outbox.put(make_tip(2), nonce=b"n", now=NOW)
    outbox.put_decoy(make(10))
    outbox.settle(new_tip_id(), decoy=make(10))
    assert len(waiting(outbox)) == 8


def test_a_decoy_comes_after_a_delivery(stocked):
    """A settled envelope is gone, and a decoy has its place in the same transaction; settling again is no fault."""
    box, decoys = stocked
    new = make(1000)
    box.settle(decoys[0].id, decoy=new)
    box.settle(decoys[0].id)
    assert waiting(box).keys() == box.memory.kinds("intake").keys() == {each.id for each in (*decoys[1:], new)}
    box.settle(new.id)
    assert [count(box, table) for table in (cells, labels, blobs, spares)] == [7] * 4
    assert new.id not in box.memory.kinds("intake")


def test_puts_at_once_share_the_decoys(url, memory_folder):
    """However many put at once, each decoy gives its place once, and no tip loses its place."""
    with opened(url) as one, opened(url) as other:
        one.memory, other.memory = SqliteMemoryStore(memory_folder), SqliteMemoryStore(memory_folder)
        for _ in range(40):
            one.put_decoy(make(100))
        tips = [make_tip(1, 100) for _ in range(24)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: (one, other)[number % 2].put(tips[number]), range(24)))
        assert waiting(one) == {each.id: each.data for tip in tips for each in tip}


def test_the_memory_store_forgets_what_is_absent(stocked):
    """A decoy that left while it was being taken is not known for ever; what is in the outbox stays known."""
    box, decoys = stocked
    box.memory.list_decoy("intake", new_tip_id())
    box.forget_absent("intake")
    assert box.memory.kinds("intake").keys() == {each.id for each in decoys}


# Killed between two steps


class Memory(SqliteMemoryStore):
    """A memory store in which the process is killed at one call."""

    killed_at = ""

    def __getattribute__(self, name: str):
        if name == super().__getattribute__("killed_at"):
            raise Killed
        return super().__getattribute__(name)


@pytest.fixture
def mortal(outbox, memory_folder) -> Outbox:
    outbox.memory = Memory(memory_folder)
    for _ in range(4):
        outbox.put_decoy(make(100))
    return outbox


def kill_at(box: Outbox, call: str, **secrets: bytes) -> list[Envelope]:
    tip = make_tip(1, 100)
    box.memory.killed_at = call
    with pytest.raises(Killed):
        box.put(tip, **secrets, now=NOW)
    box.memory.killed_at = ""
    return tip


@pytest.mark.parametrize("secret", ["nonce", "draft"])
@pytest.mark.parametrize("delivered", [False, True], ids=["waiting", "delivered"])
def test_killed_after_the_commit(mortal, secret, delivered):
    """A form whose tip was put is sent already, though nobody could note it: while the tip waits and afterwards."""
    tip = kill_at(mortal, "mark_sent", **{secret: b"n"})
    assert {each.id for each in tip} < waiting(mortal).keys()
    if delivered:
        for each in tip:
            mortal.settle(each.id)
    for _ in range(2):
        with pytest.raises(AlreadySentError):
            mortal.put(make_tip(), **{secret: b"n"}, now=NOW)
    assert not any(each.id in mortal.memory.kinds("intake") for each in tip), "unknown, so a tip"


@pytest.mark.parametrize("call", ["take_decoys", "use_forms"])
def test_killed_before_the_commit(mortal, call):
    """A form whose tip was not put may be sent, and is then sent once."""
    kill_at(mortal, call, nonce=b"n")
    assert len(waiting(mortal)) == 4
    tip = make_tip()
    mortal.put(tip, nonce=b"n", now=NOW)
    assert {each.id for each in tip} < waiting(mortal).keys()
    with pytest.raises(AlreadySentError):
        mortal.put(make_tip(), nonce=b"n", now=NOW)


def test_killed_within_the_transaction(mortal, monkeypatch):
    """Neither the tip nor the deletion of decoys is there; decoys that were taken count as tips if they are lost."""

    def die(*_: object) -> None:
        raise Killed

    before = waiting(mortal)
    with monkeypatch.context() as patch:
        patch.setattr(places, "insert_envelope", die)
        patch.setattr(mortal.memory, "list_decoy", die)
        with pytest.raises(Killed):
            mortal.put(make_tip(1, 100), nonce=b"n", now=NOW)
    assert waiting(mortal) == before
    assert len(mortal.memory.kinds("intake")) == 2
    mortal.put(make_tip(2, 100), nonce=b"n", now=NOW)
    assert len(waiting(mortal)) == 4 - 2 + 3, "two decoys were known, and gave their places"


def test_a_decoy_is_listed_after_its_commit(mortal):
    """Killed between its commit and the list, a decoy counts as a tip; it is never listed without being there."""
    mortal.memory.killed_at = "_insert"
    for put in (mortal.put_decoy, lambda decoy: mortal.settle(new_tip_id(), decoy=decoy)):
        decoy = make(100)
        with pytest.raises(Killed):
            put(decoy)
        assert decoy.id in waiting(mortal)
        assert decoy.id not in mortal.memory.kinds("intake")


# Many parts


MANY = 50


def bytes_without_row(box: Outbox) -> int:
    return count(box, blobs) - count(box, cells)


def test_others_write_between_many_parts(url, memory_folder):
    """While a tip of many parts is put others put words; all of it is there, in the places of as many decoys."""
    with opened(url) as box:
        box.memory = SqliteMemoryStore(memory_folder)
        for _ in range(60):
            box.put_decoy(make(100))
        tips = [make_tip(MANY, 1000), *([make(1000)] for _ in range(20)), make_tip(MANY, 1000)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(box.put, tips))
        found = waiting(box)
        assert {each.id: each.data for tip in tips for each in tip}.items() <= found.items()
        assert len(found) == max(60, 2 * (MANY + 1) + 20)
        assert bytes_without_row(box) == 0


def test_many_parts_again(stocked):
    """A tip of many parts is put once, whether it is sent again under its form or under its ids."""
    box, _ = stocked
    tip = make_tip(MANY, 1000)
    box.put(tip, draft=b"d", now=NOW)
    for again in ({"draft": b"d"}, {}):
        with pytest.raises(AlreadySentError):
            box.put([Envelope(each.id, "intake", each.data[::-1]) for each in tip], **again, now=NOW)
    with pytest.raises(AlreadySentError):
        box.put(make_tip(MANY, 1000), draft=b"d", now=NOW)
    assert waiting(box) == {each.id: each.data for each in tip}
    assert bytes_without_row(box) == 0


def test_many_parts_clicked_at_once_are_one_tip(url, memory_folder):
    """A held tip of many parts that is confirmed by several at once, each sealing it anew, is there once and whole."""
    with opened(url) as one, opened(url) as other:
        one.memory, other.memory = SqliteMemoryStore(memory_folder), SqliteMemoryStore(memory_folder)
        tip_ids = [new_tip_id() for _ in range(MANY + 1)]

        def confirm(number: int) -> str:
            try:
                (one, other)[number % 2].put([make(1000, each) for each in tip_ids], draft=b"d", now=NOW)
            except AlreadySentError:
                return "already"
            except OutboxError as error:
                return error.code
            return "sent"

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(confirm, range(6)))
        assert answers.count("sent") == 1
        assert waiting(one).keys() == set(tip_ids)
        assert bytes_without_row(one) == 0


def test_many_parts_that_cannot_be_put(sqlite, monkeypatch):
    """Where the last step fails, no bytes of the tip are left; the same tip can be put afterwards."""

    def fail(*_: object) -> None:
        raise OutboxError("disk-full")

    tip = make_tip(MANY, 1000)
    with monkeypatch.context() as patch:
        patch.setattr(outbox_module, "insert_rows", fail)
        with pytest.raises(OutboxError):
            sqlite.put(tip)
    assert [count(sqlite, table) for table in (cells, labels, blobs, spares)] == [0] * 4
    sqlite.put(tip)
    assert waiting(sqlite) == {each.id: each.data for each in tip}


def test_killed_while_many_parts_are_staged(sqlite, monkeypatch):
    """Nobody delivers bytes that a killed process staged; they go within half an hour, and those of tips stay."""

    def die(*_: object) -> None:
        raise Killed

    kept, tip, again = make_tip(MANY, 1000), make_tip(MANY, 1000), make_tip(MANY, 1000)
    sqlite.put(kept)
    with monkeypatch.context() as patch:
        patch.setattr(outbox_module, "insert_rows", die)
        for killed in (tip, again):
            with pytest.raises(Killed):
                sqlite.put(killed)
    assert waiting(sqlite) == {each.id: each.data for each in kept}
    assert bytes_without_row(sqlite) == 2 * (MANY - 15)
    sqlite.tidy(NOW)
    sqlite.put(again)
    sqlite.tidy(NOW + 60)
    assert bytes_without_row(sqlite) == MANY - 15
    sqlite.tidy(NOW + 900)
    assert waiting(sqlite) == {each.id: each.data for each in (*kept, *again)}
    assert [count(sqlite, table) for table in (cells, labels, blobs, spares)] == [2 * (MANY + 1)] * 4


def test_staged_bytes_that_went_missing(sqlite, monkeypatch):
    """Where the staged bytes are no longer all there at the last step, nothing is put."""
    stage = sqlite._stage

    def lose(envelopes: list[Envelope], places: object) -> None:
        stage(envelopes, places)
        with sqlite.database.write() as connection:
            connection.execute(spares.delete())

    monkeypatch.setattr(sqlite, "_stage", lose)
    with pytest.raises(OutboxError, match="busy"):
        sqlite.put(make_tip(MANY, 1000))
    assert [count(sqlite, table) for table in (cells, labels, blobs, spares)] == [0] * 4


# Tidying


def test_a_day_s_replies_go_once_a_day(outbox):
    """Where the clock runs steadily, expired replies go at the first tidying of a day."""
    for days in (2, 1):
        outbox.tidy(NOW - days * 86_400)
    with outbox.database.write() as connection:
        for number in range(3):
            reply = bytes([number]) * 32
            row = {"reply": reply, "expires": date(2026, 11, 21 + number)}
            connection.execute(posted.insert().values(row))
            connection.execute(replies.insert().values(locator="l", **row))
            connection.execute(messages.insert().values(slot=number, data=b""))
    outbox.tidy(NOW)
    assert (count(outbox, replies), count(outbox, posted)) == (2, 2)
    outbox.tidy(NOW + 86_400)
    assert (count(outbox, replies), count(outbox, posted)) == (1, 1)


# Room for words


def test_words_are_taken_while_few_enough_wait(stocked):
    """A tip that may find three words waiting is the third at most; parts, decoys and settled words take no room."""
    box, _ = stocked
    box.put(make_tip(parts=20), now=NOW)
    first = [make(1000)]
    box.put(first, now=NOW, most_waiting=3)
    box.put([make(1000)], now=NOW, most_waiting=3)
    before = waiting(box).keys()
    with pytest.raises(WordsFullError):
        box.put([make(1000)], now=NOW, most_waiting=3)
    assert waiting(box).keys() == before
    box.put([make(1000)], now=NOW, most_waiting=4)
    for each in first:
        box.settle(each.id)
    with pytest.raises(WordsFullError):
        box.put([make(1000)], now=NOW, most_waiting=3)
    box.put([make(1000)], now=NOW, most_waiting=4)
    box.put([make(1000)], now=NOW)


def test_a_form_refused_for_want_of_room_can_be_sent_later_and_once(stocked):
    """A form that found no room is sent once there is room; a form that was sent is told so, room or not."""
    box, _ = stocked
    box.put([make(1000)], now=NOW)
    with pytest.raises(WordsFullError):
        box.put([make(1000)], nonce=b"n" * 16, now=NOW, most_waiting=1)
    box.put([make(1000)], nonce=b"n" * 16, now=NOW, most_waiting=2)
    with pytest.raises(AlreadySentError):
        box.put([make(1000)], nonce=b"n" * 16, now=NOW, most_waiting=1)


def test_a_burst_leaves_no_more_waiting_than_there_is_room(stocked):
    """Of a hundred tips at once, from one process, just as many are taken as may wait."""
    box, _ = stocked

    def send(_number: int) -> bool:
        try:
            box.put([make(1000)], now=NOW, most_waiting=12)
        except WordsFullError:
            return False
        return True

    with ThreadPoolExecutor(100) as pool:
        assert sum(pool.map(send, range(100))) == 12


def test_held_tips_take_at_most_half_of_the_room(stocked, memory):
    """Held tips count as words to come, up to half of the room: no more are held, and words find the other half."""
    box, _ = stocked
    for number in range(5):
        memory.hold(bytes([number]) * 32, b"held", ends=int(NOW) + 1800, limit=10**6, now=NOW)
    with pytest.raises(WordsFullError):
        box.require_room(10, now=NOW, to_hold=True)
    box.require_room(12, now=NOW, to_hold=True)
    for _ in range(5):
        box.put([make(1000)], now=NOW, most_waiting=10)
    with pytest.raises(WordsFullError):
        box.put([make(1000)], now=NOW, most_waiting=10)
    box.put([make(1000)], now=NOW + 1801, most_waiting=10)


def test_without_a_memory_store_words_are_taken_whatever_waits(outbox):
    """Where nobody knows what waits, no tip is refused for it."""
    for _ in range(3):
        outbox.put([make(1000)], now=NOW, most_waiting=1)


def test_tidying_forgets_the_numbers_of_the_answers_of_a_day_that_is_over(stocked, memory_folder):
    """A form that is sent again keeps its number; once the day is over, no trace of the number stays in memory."""
    box, _ = stocked
    thread, _ = answer_keys("locator", nz_day(NOW), b"nonce")
    assert [box.number_answer("locator", nonce, NOW) for nonce in (b"nonce", b"other", b"nonce")] == [1, 2, 1]
    box.tidy(NOW)
    assert any(thread in path.read_bytes() for path in memory_folder.iterdir() if path.is_file())
    box.tidy(nz_day_end(NOW))
    wait_for(lambda: not any(thread in path.read_bytes() for path in memory_folder.iterdir() if path.is_file()))
