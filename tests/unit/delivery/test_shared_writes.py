"""Tips that come at once share a transaction: each is durable before its sender is told, and none harms another."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event, Thread, current_thread
from threading import enumerate as enumerate_threads

import pytest
from sqlalchemy import event, select

from app.core.errors import AlreadySentError, OutboxError
from app.delivery import database as database_module
from app.delivery import outbox as outbox_module
from app.delivery import sqlite_database
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.memory_store import DECOY
from app.delivery.outbox import Envelope, Outbox
from app.delivery.schema import cells, driver_of
from app.delivery.shared_writes import WriteBurst
from app.vault.tip import TipId, new_tip_id
from tests.support.databases import opened
from tests.support.faults import until

NOW = 1_795_326_000.0
AT_ONCE = 8


def make(tip: TipId | None = None) -> Envelope:
    return Envelope(tip or new_tip_id(), "intake", os.urandom(1000))


def ids(box: Outbox) -> set[str]:
    with box.database.read() as connection:
        return set(connection.execute(select(cells.c.id)).scalars())


def put_all(box: Outbox, tips: list[Envelope], **more: object) -> list[Callable[[], object]]:
    return [lambda tip=tip: box.put([tip], now=NOW, **more) for tip in tips]


def faults(futures: list[Future[object]]) -> list[object]:
    """What each raised: the class for one of our errors of the outbox, None for what returned."""
    return [type(future.exception(60)) if future.exception(60) else None for future in futures]


@contextmanager
def kept_waiting(box: Outbox, *puts: Callable[[], object]) -> Iterator[list[Future[object]]]:
    """Begin these puts while another process writes; let them go on at the end of the block, all in the line."""
    assert box.database.path
    with (
        ThreadPoolExecutor(len(puts)) as pool,
        closing(sqlite3.connect(box.database.path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        futures = []
        for number, put in enumerate(puts):
            futures.append(pool.submit(put))
            while len(box.database._shared._line) <= number:
                time.sleep(0.001)
        try:
            yield futures
        finally:
            other.execute("COMMIT")


def commits(box: Outbox) -> list[object]:
    found: list[object] = []
    event.listen(box.database._engine, "commit", found.append)
    return found


def test_tips_that_wait_at_the_same_time_share_one_transaction(sqlite):
    """Eight tips that wait for the same writer go in with one commit, and afterwards the log is empty."""
    tips, made = [make() for _ in range(AT_ONCE)], commits(sqlite)
    with kept_waiting(sqlite, *put_all(sqlite, tips)) as futures:
        assert not any(future.done() for future in futures)
    assert faults(futures) == [None] * AT_ONCE
    assert len(made) == 1
    assert ids(sqlite) == {tip.id for tip in tips}
    assert sqlite.database.path.with_name("outbox.db-wal").stat().st_size == 0


def test_a_refused_tip_is_no_matter_of_the_others(sqlite):
    """A tip that was sent before is refused, and the others of its transaction are stored by that transaction."""
    there, tips, made = make(), [make() for _ in range(AT_ONCE)], commits(sqlite)
    sqlite.put([there])
    tips[3] = make(there.id)
    with kept_waiting(sqlite, *put_all(sqlite, tips)) as futures:
        pass
    assert faults(futures) == [None] * 3 + [AlreadySentError] + [None] * 4
    assert len(made) == 2
    assert ids(sqlite) == {tip.id for tip in tips}


def test_a_tip_that_is_refused_late_stores_the_others_in_the_places_of_decoys(file, memory_folder):
    """A tip whose id is there already is refused after a decoy's deletion: that decoy stays, the others give way."""
    with opened(file, SqliteMemoryStore(memory_folder)) as box:
        there, tips = make(), [make() for _ in range(AT_ONCE)]
        box.put([there])
        for _ in range(AT_ONCE):
            box.put_decoy(make())
        tips[3] = make(there.id)
        with kept_waiting(box, *put_all(box, tips)) as futures:
            pass
        assert faults(futures) == [None] * 3 + [AlreadySentError] + [None] * 4
        [decoy] = ids(box) - {tip.id for tip in tips}
        assert box.memory.kinds("intake")[decoy] == DECOY


class BrokenError(Exception):
    """A fault of the program, in the middle of one write."""


@pytest.mark.parametrize(
    "fault", [BrokenError, lambda: sqlite3.OperationalError("disk I/O error")], ids=["ours", "SQLite's"]
)
def test_a_fault_in_one_tip_stores_the_others_by_themselves(sqlite, monkeypatch, fault):
    """Where one write breaks its transaction, which SQLite may have ended, the others are stored one by one."""
    tips, insert = [make() for _ in range(AT_ONCE)], outbox_module.insert_all

    def break_one(connection: object, envelopes: list[Envelope], *more: object, **stored: object) -> None:
        insert(connection, envelopes, *more, **stored)
        if envelopes[0] is tips[5]:
            raise fault()

    monkeypatch.setattr(outbox_module, "insert_all", break_one)
    with kept_waiting(sqlite, *put_all(sqlite, tips)) as futures:
        pass
    broken = BrokenError if fault is BrokenError else OutboxError
    assert faults(futures) == [None] * 5 + [broken] + [None] * 2
    assert ids(sqlite) == {tip.id for tip in tips} - {tips[5].id}


def fail(connection: sqlite3.Connection) -> None:
    connection.rollback()
    raise sqlite3.OperationalError("disk I/O error")


def test_nobody_is_told_of_a_tip_whose_commit_failed(sqlite, monkeypatch):
    """Where no commit succeeds every sender is told so, and nothing is stored; afterwards all can be sent again."""
    tips = [make() for _ in range(AT_ONCE)]
    with monkeypatch.context() as patch:
        patch.setattr(sqlite.database._engine.dialect, "do_commit", fail)
        with kept_waiting(sqlite, *put_all(sqlite, tips)) as futures:
            pass
        assert faults(futures) == [OutboxError] * AT_ONCE
    assert ids(sqlite) == set()
    for tip in tips:
        sqlite.put([tip])
    assert ids(sqlite) == {tip.id for tip in tips}


def test_a_writer_that_never_comes_to_its_turn_says_so_to_all_that_wait(sqlite, monkeypatch):
    """Where another process does not end its transaction, all that wait are refused after the first's patience."""
    monkeypatch.setattr(sqlite_database, "BUSY_SECONDS", 1)
    tips = [make() for _ in range(AT_ONCE)]
    with kept_waiting(sqlite, *put_all(sqlite, tips)) as futures:
        assert [future.exception(60).code for future in futures] == ["busy"] * AT_ONCE
    assert ids(sqlite) == set()


def test_a_form_clicked_twice_in_one_transaction_is_one_tip(file, memory_folder):
    """Of one form clicked eight times, one tip is put, and the others hear that the form was sent."""
    with opened(file, SqliteMemoryStore(memory_folder)) as box:
        clicks, made = put_all(box, [make() for _ in range(AT_ONCE)], nonce=b"n" * 16), commits(box)
        with kept_waiting(box, *clicks) as futures:
            pass
        assert faults(futures) == [None] + [AlreadySentError] * 7
        assert len(made) == 1
        assert len(ids(box)) == 1
        assert box.was_sent(b"n" * 16, NOW)


def test_a_form_clicked_twice_whose_commit_failed_is_not_counted_as_sent(file, memory_folder, monkeypatch):
    """Where the commit of both clicks fails, no click says "sent", and the form can be sent afterwards, once."""
    with opened(file, SqliteMemoryStore(memory_folder)) as box:
        with monkeypatch.context() as patch:
            patch.setattr(box.database._engine.dialect, "do_commit", fail)
            with kept_waiting(box, *put_all(box, [make(), make()], nonce=b"n" * 16)) as futures:
                pass
            assert faults(futures) == [OutboxError] * 2
            assert not box.was_sent(b"n" * 16, NOW)
        box.put([make()], nonce=b"n" * 16, now=NOW)
        with pytest.raises(AlreadySentError):
            box.put([make()], nonce=b"n" * 16, now=NOW)


def checkpoints(box: Outbox) -> list[str]:
    """The statements that empty the log, as the outbox runs them from now on."""
    box.put([make()])
    found: list[str] = []
    connection = driver_of(box.database._sqlite._connection)
    connection.set_trace_callback(lambda sql: found.append(sql) if "checkpoint" in sql else None)
    return found


def test_the_log_is_left_to_another_process_that_waits(file, monkeypatch):
    """Of two processes that write one after the other the second alone empties the log, of both."""
    monkeypatch.setattr(database_module, "_QUIET_SECONDS", 0)
    insert, begun, go = outbox_module.insert_all, Event(), Event()

    def wait_once(*arguments: object, **stored: object) -> None:
        insert(*arguments, **stored)
        if not begun.is_set():
            begun.set()
            go.wait(60)

    with opened(file) as one, opened(file) as other, ThreadPoolExecutor(2) as pool:
        emptied = [checkpoints(box) for box in (one, other)]
        monkeypatch.setattr(outbox_module, "insert_all", wait_once)
        first = pool.submit(one.put, [make()])
        begun.wait(60)
        second = pool.submit(other.put, [make()])
        while not other.database._sqlite.waits:
            time.sleep(0.001)
        go.set()
        assert faults([first, second]) == [None, None]
        assert [len(each) for each in emptied] == [0, 1]
        assert [box.database._sqlite.waits for box in (one, other)] == [False, False]
        assert file.with_name("outbox.db-wal").stat().st_size == 0
        one.put([make()])
        assert len(emptied[0]) == 1


class Work:
    """Work that counts how often it was done, and knows which threads did it."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    def __call__(self) -> None:
        self.threads.append(current_thread().name)


def ended(name: str = "write-burst") -> bool:
    return all(thread.name != name for thread in enumerate_threads())


def test_after_a_write_alone_the_work_is_done_at_once():
    """After the first write, and after each that comes long after the last one, the work is done before it returns."""
    work = Work()
    burst = WriteBurst(work, seconds=0.05)
    for number in range(3):
        burst.wrote()
        assert work.threads == [current_thread().name] * (number + 1)
        time.sleep(0.06)
    assert ended()


def test_after_many_writes_the_work_is_done_once():
    """Two hundred writes one upon another do the work once after the first and once in the end; no thread is left."""
    work = Work()
    burst = WriteBurst(work, seconds=2)
    for _ in range(200):
        burst.wrote()
    assert len(work.threads) == 1
    until(ended, "the end of the thread")
    assert work.threads[1:] == ["write-burst"]


def test_work_is_done_at_once_where_no_thread_can_start(monkeypatch):
    """A machine that has no room for one more thread does the work in the thread that asks."""

    def refuse(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    work = Work()
    burst = WriteBurst(work, seconds=60)
    monkeypatch.setattr(Thread, "start", refuse)
    for _ in range(3):
        burst.wrote()
    assert len(work.threads) == 3
