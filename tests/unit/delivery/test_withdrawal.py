"""A tip that is withdrawn by its code: destroyed before it leaves, a decoy in its place, and never half forgotten."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import pytest
from redis import Redis
from sqlalchemy import select

from app.delivery import places
from app.delivery.leases import Leases
from app.delivery.memory_redis import RedisMemoryStore
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.memory_store import DECOY
from app.delivery.outbox import Envelope, Outbox
from app.delivery.receipt_codes import ReceiptKeys, derive_keys, new_code
from app.delivery.schema import blobs, cells, labels, spares
from app.delivery.withdrawal import Withdrawal, withdraw
from app.vault.tip import new_tip_id
from tests.support.databases import opened, redis_server
from tests.support.desk import wait_for

NOW = 1_795_326_000.0
NONCE, OTHER = b"n" * 16, b"o" * 16
NOTHING = Withdrawal(words=False, parts=0, whole=False)
STOCK = 20
AGENCIES = ("intake", "second")


class Killed(BaseException):
    """The process ends here, as by kill -9: nothing after it is done."""


@cache
def keys() -> ReceiptKeys:
    return derive_keys(new_code())


@cache
def other_keys() -> ReceiptKeys:
    return derive_keys(new_code())


def quick_keys() -> ReceiptKeys:
    """Keys whose envelopes are those of a code of their own, without the time that a derivation takes."""
    return replace(keys(), root=os.urandom(32))


def decoy(agency: str) -> Envelope:
    return Envelope(new_tip_id(), agency, os.urandom(1000))


def put(box: Outbox, parts: int = 0, *, agency: str = "intake", **more: object) -> list[Envelope]:
    tip = [Envelope(keys().envelope_id(number), agency, os.urandom(1000)) for number in range(parts + 1)]
    box.put(tip, now=NOW, **more)
    return tip


def take_back(box: Outbox, nonce: bytes = NONCE) -> Withdrawal:
    return withdraw(box, keys().envelope_id, decoy, agencies=AGENCIES, nonce=nonce, now=NOW)


def ids(box: Outbox, table: object = cells) -> set[str]:
    with box.database.read() as connection:
        return set(connection.execute(select(table.c.id)).scalars())


def slots(box: Outbox) -> list[int]:
    with box.database.read() as connection:
        return [len(connection.execute(select(table.c.slot)).all()) for table in (blobs, spares)]


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


@pytest.fixture(params=["folder", pytest.param("redis", marks=pytest.mark.needs("redis"))])
def box(request, outbox, memory_folder) -> Iterator[Outbox]:
    """An outbox with a stock of decoys of two agencies, on each database and with each memory store."""
    if request.param == "folder":
        outbox.memory = SqliteMemoryStore(memory_folder)
    else:
        url = request.getfixturevalue("redis")
        Redis.from_url(url).flushall()
        outbox.memory = RedisMemoryStore(url)
    for agency in AGENCIES:
        for _ in range(STOCK):
            outbox.put_decoy(decoy(agency))
    yield outbox
    outbox.memory.close()


@pytest.mark.parametrize("agency", ["intake", "second"])
@pytest.mark.parametrize("parts", [0, 3, 19])
def test_a_tip_that_has_not_left_is_destroyed_and_decoys_of_its_agency_take_its_places(box, parts, agency):
    """Nothing of the tip is in any table, each agency has as many envelopes as before, and all of them are decoys."""
    before = {name: set(box.memory.kinds(name)) for name in AGENCIES}
    tip = put(box, parts, agency=agency)
    assert take_back(box) == Withdrawal(words=True, parts=parts, whole=True)
    for table in (cells, labels):
        assert not ids(box, table).intersection(each.id for each in tip)
        assert len(ids(box, table)) == 2 * STOCK
    assert slots(box) == [2 * STOCK, 2 * STOCK]
    for name in AGENCIES:
        kinds = box.memory.kinds(name)
        assert set(kinds.values()) == {DECOY}
        assert len(kinds) == STOCK
        assert box.memory.count_words() == 0
    gone = {name: len(before[name] - ids(box)) for name in AGENCIES}
    # In a second transaction, a decoy of the first one may be among those that are replaced.
    assert gone[agency] == parts + 1
    assert min(parts + 1, 16) <= min(gone.values()), "so many are new for each agency: nobody sees whose tip it was"


def test_a_code_without_anything_changes_nothing(box):
    """Under another code nothing is destroyed, and nothing else moves."""
    put(box, 2)
    before = ids(box)
    assert withdraw(box, other_keys().envelope_id, decoy, agencies=AGENCIES, nonce=NONCE, now=NOW) == NOTHING
    assert ids(box) == before


def test_pressing_twice_says_the_same(box):
    """The second press of one button hears that the tip was destroyed; a later form hears that nothing is here."""
    put(box, 2)
    assert take_back(box).words
    assert take_back(box).words
    assert take_back(box, OTHER) == NOTHING


def test_a_form_that_was_withdrawn_is_not_sent_again(box):
    """The page that sent the tip, sent again after the withdrawal, sends nothing."""
    tip = put(box, 1, nonce=b"f" * 16)
    take_back(box)
    with pytest.raises(places.AlreadySentError):
        box.put(tip, nonce=b"f" * 16, now=NOW)


def test_what_was_tried_counts_as_left_and_the_rest_is_destroyed(box):
    """Of a tip whose words are in hand, the parts that wait are destroyed; the words stay where they are."""
    tip = put(box, 3)
    leases = Leases(box.database)
    owner = leases.acquire_lease(NOW, seconds=100)
    assert leases.begin(owner, tip[0].id)
    assert take_back(box) == Withdrawal(words=False, parts=3, whole=False)
    assert {each.id for each in tip} & ids(box) == {tip[0].id}
    leases.record_failure("intake", "timeout", now=NOW, tip=tip[0].id)
    assert take_back(box, OTHER) == NOTHING, "what was tried once, and failed, counts as left"


def test_words_whose_parts_have_left_are_destroyed_and_that_is_said(box):
    """Where a part has left before the words, the words are destroyed, and not all is said to be here."""
    tip = put(box, 3)
    box.settle(tip[2].id)
    assert take_back(box) == Withdrawal(words=True, parts=2, whole=False)
    assert not {each.id for each in tip} & ids(box)


@pytest.mark.parametrize("parts", [0, 2])
def test_without_its_memory_the_site_does_not_claim_that_nothing_has_left(outbox, parts):
    """With no memory store, a tip is destroyed all the same; how many parts it had is not known."""
    put(outbox, parts)
    assert take_back(outbox) == Withdrawal(words=True, parts=parts, whole=False)
    assert len(ids(outbox)) == parts + 1


@pytest.mark.parametrize("at", [1, 2])
def test_a_site_that_is_killed_at_a_withdrawal_has_done_all_or_nothing_of_each_step(box, monkeypatch, at):
    """Killed in either of two transactions, the site has replaced what was committed; the next press ends the work."""
    tip, done = put(box, 19), [0]
    insert = places.insert_envelope

    def insert_or_die(*arguments: object) -> None:
        insert(*arguments)
        done[0] += 1
        if done[0] == 32 * at - 29:  # with as many covers for the other agency
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(places, "insert_envelope", insert_or_die)
        with pytest.raises(Killed):
            take_back(box)
    left = {each.id for each in tip} & ids(box)
    assert len(left) == 20 - 16 * (at - 1)
    assert (tip[0].id in left) == (at == 1), "the words go first"
    assert len(ids(box)) == 2 * STOCK
    assert take_back(box, OTHER).parts == len(left - {tip[0].id})
    assert not {each.id for each in tip} & ids(box)
    assert len(ids(box)) == 2 * STOCK
    assert slots(box) == [2 * STOCK, 2 * STOCK]


def test_killed_after_the_commit_the_site_takes_the_decoys_for_tips_and_loses_none(box, monkeypatch):
    """A decoy that the memory store does not know leaves as words do: nothing is lost, and the tip is gone."""
    tip = put(box)
    monkeypatch.setattr(box, "_list_decoy", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        take_back(box)
    assert tip[0].id not in ids(box)
    assert len(ids(box)) == 2 * STOCK
    assert len(box.memory.kinds("intake")) == STOCK - 1
    assert take_back(box).words, "pressed again, the same button says that the tip was destroyed"


def test_a_withdrawal_and_the_forwarder_never_both_have_an_envelope(box, url):
    """Raced a dozen times, each envelope either leaves or is destroyed, and never both."""
    owner = Leases(box.database).acquire_lease(NOW, seconds=1000)
    with opened(url) as forwarder_box, ThreadPoolExecutor(2) as pool:
        for round_number in range(12):
            numbered = quick_keys()
            tip = [Envelope(numbered.envelope_id(each), "intake", os.urandom(1000)) for each in range(5)]
            box.put(tip, now=NOW)
            start = threading.Barrier(2)

            def leave(tip=tip, start=start) -> set[str]:
                start.wait()
                return {each.id for each in tip if Leases(forwarder_box.database).begin(owner, each.id)}

            def destroy(numbered=numbered, start=start, number=round_number) -> Withdrawal:
                start.wait()
                return withdraw(box, numbered.envelope_id, decoy, agencies=AGENCIES, nonce=b"%16d" % number, now=NOW)

            left, withdrawn = pool.submit(leave), pool.submit(destroy)
            there, result = left.result(), withdrawn.result()
            assert result.parts + result.words + len(there) == 5
            assert {each.id for each in tip} & ids(box) == there
            assert result.words == (tip[0].id not in there)
            assert not result.whole or not there


def test_two_presses_at_once_both_hear_that_the_tip_was_destroyed(box, url):
    """Two requests of one button, in two processes' outboxes at once, say the same, and one decoy takes the place."""
    with opened(url) as second, ThreadPoolExecutor(2) as pool:
        second.memory = box.memory
        for number in range(8):
            numbered, nonce = quick_keys(), b"%16d" % number
            box.put([Envelope(numbered.envelope_id(0), "intake", os.urandom(1000))], now=NOW)
            start = threading.Barrier(2)

            def press(one, numbered=numbered, start=start, nonce=nonce) -> Withdrawal:
                start.wait()
                return withdraw(one, numbered.envelope_id, decoy, agencies=AGENCIES, nonce=nonce, now=NOW)

            assert all(result.words for result in pool.map(press, [box, second]))
            assert len(ids(box)) == 2 * STOCK


def test_nothing_of_a_withdrawn_envelope_is_left_in_the_files_of_the_database(sqlite, file, memory_folder):
    """After the withdrawal no piece of the envelopes, and none of their ids, is in SQLite's file, log or index."""
    sqlite.memory = SqliteMemoryStore(memory_folder)
    for _ in range(STOCK):
        sqlite.put_decoy(decoy("intake"))
    tip = [Envelope(keys().envelope_id(number), "intake", os.urandom(137_418)) for number in range(4)]
    sqlite.put(tip, now=NOW)
    pieces = [each.data[at : at + 32] for each in tip for at in range(0, 137_000, 997)] + [
        each.id.encode() for each in tip
    ]
    assert all(_is_on_disk(file, piece) for piece in pieces[-4:])
    assert take_back(sqlite).whole
    assert not [piece for piece in pieces if _is_on_disk(file, piece)]
    wait_for(lambda: not any(_is_kept(memory_folder, each.id) for each in tip))
    sqlite.memory.close()


def _is_kept(folder, tip: str) -> bool:
    return any(tip.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _is_on_disk(file, piece: bytes) -> bool:
    return any(piece in path.read_bytes() for path in file.parent.iterdir())
