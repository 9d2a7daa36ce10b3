"""The memory store on both backends: forms, held tips, and which envelopes are decoys."""

import os
import random
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest
from redis import Redis

from app.core.errors import AlreadySentError, HeldFullError, MemoryStoreError
from app.delivery.memory_redis import RedisMemoryStore
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.memory_store import DECOY, EnvelopeKind, MemoryStore, answer_keys, memory_key
from app.vault.tip import TipId, new_tip_id
from tests.support.databases import redis_server
from tests.support.desk import wait_for

NOW = 1_795_326_000.0
ENDS = int(NOW) + 1800
LIMIT = 1_000_000
KEY, OTHER = memory_key(b"draft"), memory_key(b"another draft")


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


@pytest.fixture(params=["folder", pytest.param("redis", marks=pytest.mark.needs("redis"))])
def stores(request, memory_folder) -> Iterator[tuple[MemoryStore, MemoryStore]]:
    """The same memory store as two processes have it."""
    if request.param == "folder":
        pair = SqliteMemoryStore(memory_folder), SqliteMemoryStore(memory_folder)
    else:
        url = request.getfixturevalue("redis")
        Redis.from_url(url).flushall()
        pair = RedisMemoryStore(url), RedisMemoryStore(url)
    yield pair
    for store in pair:
        store.close()


def ids(number: int) -> list[TipId]:
    return [new_tip_id() for _ in range(number)]


# Forms


def test_a_form_that_was_sent_is_known_to_all(stores):
    """A form is sent once: whoever asks later, in any process, hears that it was sent."""
    one, other = stores
    assert one.use_forms([KEY], new_tip_id(), NOW) == {}
    assert not other.was_sent(KEY, NOW)
    one.mark_sent([KEY], NOW)
    assert other.was_sent(KEY, NOW)
    with pytest.raises(AlreadySentError):
        other.use_forms([KEY], new_tip_id(), NOW)
    assert other.use_forms([OTHER], new_tip_id(), NOW) == {}


def test_an_attempt_that_was_killed_is_known(stores):
    """The next attempt learns which tip the earlier one was sending, again and again."""
    one, other = stores
    first, second, third = ids(3)
    assert one.use_forms([KEY], first, NOW) == {}
    assert other.use_forms([KEY], second, NOW) == {KEY: first}
    assert one.use_forms([KEY], third, NOW) == {KEY: second}


def test_a_form_whose_tip_was_delivered_counts_as_sent(stores):
    """A killed attempt that had put its tip counts as sent once that tip leaves the outbox."""
    one, other = stores
    first, second = ids(2)
    one.use_forms([KEY], first, NOW)
    one.use_forms([OTHER], second, NOW)
    other.forget([first])
    with pytest.raises(AlreadySentError):
        one.use_forms([KEY], new_tip_id(), NOW)
    assert one.use_forms([OTHER], new_tip_id(), NOW) == {OTHER: second}


def test_every_form_of_a_tip_counts_as_sent_once_the_tip_was_delivered(stores):
    """A killed attempt may have noted its tip under several keys; where one was marked before, the others still are."""
    one, other = stores
    (tip,) = ids(1)
    one.use_forms([KEY, OTHER], tip, NOW)
    assert other.use_forms([KEY, OTHER], tip, NOW) == {KEY: tip, OTHER: tip}
    one.mark_sent([KEY], NOW)
    assert not other.was_sent(OTHER, NOW)
    other.forget([tip])
    assert one.was_sent(KEY, NOW)
    assert one.was_sent(OTHER, NOW)


def test_a_tip_that_is_delivered_while_its_form_is_used_again_counts_as_sent(memory_folder):
    """An attempt that has read the earlier one is refused where that tip leaves the outbox at this very moment."""
    one, other = SqliteMemoryStore(memory_folder), SqliteMemoryStore(memory_folder)
    (first,) = ids(1)
    one.use_forms([KEY], first, NOW)

    def deliver(statement: str) -> None:
        if statement.lstrip().startswith("INSERT INTO forms"):
            other.forget([first])

    one._file._current_connection().set_trace_callback(deliver)
    with pytest.raises(AlreadySentError):
        one.use_forms([KEY], new_tip_id(), NOW)
    assert other.was_sent(KEY, NOW)
    one.close()
    other.close()


def test_forms_are_forgotten(stores):
    """A form is known for 30 to 45 minutes."""
    one, _ = stores
    one.mark_sent([KEY], NOW)
    one.use_forms([OTHER], new_tip_id(), NOW)
    assert one.was_sent(KEY, NOW + 1800)
    assert not one.was_sent(KEY, NOW + 2700)
    assert one.use_forms([KEY], new_tip_id(), NOW + 2700) == {}
    assert one.use_forms([OTHER], new_tip_id(), NOW + 2700) == {}


# Answers

DAY = date(2026, 11, 22)


def test_answers_of_a_day_are_numbered_for_each_thread(stores):
    """Any process gives the next number of the thread; a form keeps its number, and another thread begins at 1."""
    one, other = stores
    thread, _ = answer_keys("locator", DAY, b"")
    forms = [answer_keys("locator", DAY, bytes([n]))[1] for n in range(20)]

    def number(form: bytes, *, thread: bytes = thread, now: float = NOW) -> int:
        return random.choice((one, other)).number_answer(thread, form, ends=ENDS, now=now)

    assert [number(form) for form in forms] == list(range(1, 21))
    assert [number(form) for form in reversed(forms)] == list(range(20, 0, -1))
    assert number(forms[7], thread=answer_keys("another", DAY, b"")[0]) == 1
    assert number(forms[7], thread=answer_keys("locator", DAY + timedelta(days=1), b"")[0]) == 1


def test_many_answers_at_once_have_a_number_each(stores):
    """Forty presses in eight threads get the numbers 1 to 40, each once."""
    forms = [os.urandom(32) for _ in range(40)]

    def number(at: int) -> int:
        return stores[at % 2].number_answer(KEY, forms[at], ends=ENDS, now=NOW)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(number, range(40))) == list(range(1, 41))


def test_numbers_of_answers_are_forgotten_at_the_end_of_their_day(memory_folder):
    """Once the day is over no byte of a number's keys stays in the folder, whoever writes next or tidies."""
    for forget in (
        lambda store: store.forget_ended(ENDS),
        lambda store: store.number_answer(OTHER, OTHER, ends=2 * ENDS, now=ENDS),
    ):
        store = SqliteMemoryStore(memory_folder)
        store.number_answer(KEY, KEY, ends=ENDS, now=NOW)
        assert _kept(memory_folder, KEY)
        forget(store)
        wait_for(lambda: not _kept(memory_folder, KEY))
        store.close()


def _kept(folder: Path, key: bytes) -> bool:
    return any(key in path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.needs("redis")
def test_redis_forgets_numbers_of_answers_with_their_day(redis):
    """The numbers of a thread have a lifetime that ends with their day, however many follow."""
    client = Redis.from_url(redis)
    client.flushall()
    store = RedisMemoryStore(redis)
    for form in (KEY, OTHER):
        store.number_answer(KEY, form, ends=ENDS, now=NOW)
    (name,) = client.keys("haumaru:memory:answers:*")
    assert 1700 < client.ttl(name) <= 1800
    store.close()


# Held tips


def test_held_bytes_come_back(stores):
    """What is held comes back byte for byte in another process, until it is dropped."""
    one, other = stores
    data = os.urandom(500_000)
    one.hold(KEY, data, ends=ENDS, limit=LIMIT, now=NOW)
    assert other.held(KEY, NOW) == data
    assert other.held(OTHER, NOW) is None
    assert other.drop_held(KEY)
    assert not other.drop_held(KEY)
    assert one.held(KEY, NOW) is None


def test_held_anew(stores):
    """The last that a key was given is what it holds, and all that counts against the limit."""
    one, _ = stores
    for byte in b"abc":
        one.hold(KEY, bytes([byte]) * 900_000, ends=ENDS, limit=LIMIT, now=NOW)
    assert one.held(KEY, NOW) == b"c" * 900_000


def test_held_bytes_are_replaced_until_the_same_end(stores):
    """What takes the place of held bytes ends when they would have ended; nothing takes the place of nothing."""
    one, other = stores
    assert not one.replace(KEY, b"new", limit=LIMIT, now=NOW)
    one.hold(KEY, b"data", ends=ENDS, limit=LIMIT, now=NOW)
    assert other.replace(KEY, b"longer data", limit=LIMIT, now=NOW)
    assert [one.held(KEY, moment) for moment in (ENDS - 1, ENDS)] == [b"longer data", None]
    assert one.held_size(KEY, NOW) == 11
    with pytest.raises(HeldFullError):
        one.replace(KEY, bytes(LIMIT + 1), limit=LIMIT, now=NOW)
    assert one.held(KEY, NOW) == b"longer data"
    assert not one.replace(KEY, b"late", limit=LIMIT, now=ENDS)
    one.drop_held(KEY)
    assert not other.replace(KEY, b"late", limit=LIMIT, now=NOW)
    assert one.held(KEY, NOW) is None


def test_held_bytes_end(stores):
    """At its end what was held is gone, unless more time was asked for before."""
    one, other = stores
    one.hold(KEY, b"data", ends=ENDS, limit=LIMIT, now=NOW)
    one.hold(OTHER, b"other", ends=ENDS, limit=LIMIT, now=NOW)
    assert other.extend(KEY, ENDS + 1800, NOW)
    assert not other.extend(memory_key(b"never"), ENDS, NOW)
    assert not other.extend(KEY, ENDS + 3600, ENDS + 1800)
    assert one.held(OTHER, ENDS - 1) == b"other"
    assert [other.count_held(moment) for moment in (NOW, ENDS - 1, ENDS, ENDS + 1800)] == [2, 2, 1, 0]
    one.hold(KEY, b"data", ends=ENDS + 1800, limit=LIMIT, now=NOW)
    one.hold(OTHER, b"other", ends=ENDS, limit=LIMIT, now=NOW)
    assert one.held(OTHER, ENDS) is None
    assert one.held(KEY, ENDS) == b"data"
    assert one.held(KEY, ENDS + 1800) is None


def test_held_bytes_have_a_limit(stores):
    """Beyond the limit nothing more is held, and what was held stays; what ended or was dropped counts no longer."""
    one, other = stores
    one.hold(KEY, bytes(600_000), ends=ENDS, limit=LIMIT, now=NOW)
    with pytest.raises(HeldFullError):
        other.hold(OTHER, bytes(600_000), ends=ENDS, limit=LIMIT, now=NOW)
    assert other.held(OTHER, NOW) is None
    assert other.held(KEY, NOW) == bytes(600_000)
    other.hold(OTHER, bytes(600_000), ends=ENDS + 900, limit=LIMIT, now=ENDS)
    other.drop_held(OTHER)
    one.hold(KEY, bytes(LIMIT), ends=ENDS + 900, limit=LIMIT, now=ENDS)


def test_many_hold_at_once(stores):
    """However many hold at once, the limit is kept."""

    def hold(number: int) -> bool:
        try:
            stores[number % 2].hold(memory_key(bytes([number])), bytes(200_000), ends=ENDS, limit=LIMIT, now=NOW)
        except HeldFullError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(hold, range(16))) <= 5


# Decoys and tips


def test_decoys_are_taken_once_and_at_random(stores):
    """However many take decoys at once, each is taken once; those listed again can be taken again."""
    one, other = stores
    decoys = ids(40)
    for each in decoys:
        one.list_decoy("intake", each)
    one.list_decoy("elsewhere", new_tip_id())
    assert other.kinds("intake") == dict.fromkeys(decoys, DECOY)
    with ThreadPoolExecutor(8) as pool:
        taken = [each for some in pool.map(lambda n: stores[n % 2].take_decoys("intake", 3), range(8)) for each in some]
    assert len(taken) == len(set(taken)) == 24
    assert taken != decoys[:24]
    assert other.kinds("intake").keys() == set(decoys) - set(taken)
    one.list_decoy("intake", taken[0])
    assert set(other.take_decoys("intake", 99)) == set(decoys) - set(taken[1:])
    assert other.take_decoys("intake", 1) == []


def test_tips_are_known_by_their_parts(stores):
    """The words and parts of a tip are known with the number of its parts, and are never taken as decoys."""
    one, other = stores
    words, first, second, alone = ids(4)
    one.note_tip("intake", words, [first, second])
    one.note_tip("intake", alone, [])
    assert other.kinds("intake") == {
        words: EnvelopeKind("words", 2),
        first: EnvelopeKind("part", 2),
        second: EnvelopeKind("part", 2),
        alone: EnvelopeKind("words", 0),
    }
    assert other.kinds("elsewhere") == {}
    assert other.take_decoys("intake", 9) == []
    other.list_decoy("intake", new_tip_id())
    assert one.count_words() == 2


def test_what_leaves_is_forgotten(stores):
    """A decoy or a tip that is forgotten is known no longer; forgetting what was never known is no fault."""
    one, other = stores
    decoy, words, part = ids(3)
    one.list_decoy("intake", decoy)
    one.note_tip("intake", words, [part])
    other.forget([decoy, words, new_tip_id()])
    other.forget([])
    assert one.kinds("intake") == {part: EnvelopeKind("part", 1)}
    assert one.take_decoys("intake", 1) == []


def test_the_first_to_ask_at_a_moment_decides_the_level(stores):
    """All agencies fill up to one level at each moment; one that is late does not change it; none is 0."""
    one, other = stores
    assert one.level() == 0
    assert one.agree_level(7, 128) == 128
    assert [other.agree_level(moment, 64) for moment in (7, 6)] == [128, 128]
    assert other.level() == 128
    assert other.agree_level(8, 64) == one.agree_level(8, 256) == one.level() == 64


def test_a_clock_that_is_set_back_does_not_keep_a_level_for_ever(stores):
    """A moment that is far before the agreed one agrees anew."""
    one, other = stores
    one.agree_level(1_000_000, 128)
    assert other.agree_level(1_000, 64) == one.level() == 64


# What it leaves, and faults


def test_the_folder_is_private(memory_folder):
    """Folder and files are this user's alone, and what was dropped leaves no byte behind."""
    folder = memory_folder / "run"
    store = SqliteMemoryStore(folder)
    store.hold(KEY, b"secret" * 1000, ends=ENDS, limit=LIMIT, now=NOW)
    store.mark_sent([OTHER], NOW)
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert set(found.values()) == {0o600, 0o700}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    store.drop_held(KEY)
    store.use_forms([KEY], new_tip_id(), NOW + 9000)
    store.close()
    left = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"secret" not in left
    assert OTHER not in left


def test_a_store_that_is_away_says_so(tmp_path):
    """A memory store that cannot be reached raises its own error, on either backend."""
    (tmp_path / "file").write_text("no folder")
    for store in (SqliteMemoryStore(tmp_path / "file"), RedisMemoryStore("redis://127.0.0.1:1")):
        for ask in (
            lambda store=store: store.kinds("intake"),
            lambda store=store: store.use_forms([KEY], new_tip_id(), NOW),
            lambda store=store: store.hold(KEY, b"data", ends=ENDS, limit=LIMIT, now=NOW),
        ):
            with pytest.raises(MemoryStoreError):
                ask()


def test_a_folder_without_room_holds_no_more(monkeypatch, memory_folder):
    """Where the folder is full the store says that it is full, and leaves no half of a file."""
    store = SqliteMemoryStore(memory_folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(HeldFullError):
        store.hold(KEY, b"data", ends=ENDS, limit=LIMIT, now=NOW)
    assert list((memory_folder / "held").iterdir()) == []


def test_a_folder_that_is_deleted_is_made_anew_for_all(memory_folder):
    """Where the folder is deleted under open files both processes go on with one new store, which is empty."""
    one, other = SqliteMemoryStore(memory_folder), SqliteMemoryStore(memory_folder)
    old, new = ids(2)
    one.list_decoy("intake", old)
    assert other.kinds("intake") == {old: DECOY}
    for count in range(1, 4):
        shutil.rmtree(memory_folder)
        assert one.kinds("intake") == {}
        other.list_decoy("intake", new)
        other.agree_level(count, count)
        assert (one.kinds("intake"), one.level()) == ({new: DECOY}, count)
    one.close()
    other.close()


@pytest.mark.parametrize("last", [("-wal", "-shm"), ("-shm", "-wal"), ("-wal",)])
def test_a_file_that_is_made_anew_while_the_folder_is_being_deleted_is_one_for_all(memory_folder, last):
    """Whoever makes a new file in the middle of the deletion, and loses its log to the deletion, goes on with all."""
    one, other = SqliteMemoryStore(memory_folder), SqliteMemoryStore(memory_folder)
    one.list_decoy("intake", new_tip_id())
    (memory_folder / "memory.db").unlink()
    first, second, third = ids(3)
    other.list_decoy("intake", first)
    for ending in last:
        (memory_folder / f"memory.db{ending}").unlink()
    one.list_decoy("intake", second)
    other.list_decoy("intake", third)
    assert one.kinds("intake") == other.kinds("intake")
    assert {second, third} <= one.kinds("intake").keys()
    one.close()
    other.close()


def _use_every_page(store: SqliteMemoryStore) -> None:
    store.list_decoy("intake", new_tip_id())
    store.kinds("intake")


@pytest.mark.parametrize("damage", [b"no database", bytes(8192)], ids=["header", "pages"])
def test_a_damaged_file_is_replaced(memory_folder, damage):
    """A damaged file fails one call, is deleted, and all processes go on with one new file, which is empty."""
    one, other = SqliteMemoryStore(memory_folder), SqliteMemoryStore(memory_folder)
    for _ in range(400):
        one.list_decoy("intake", new_tip_id())
    assert len(other.kinds("intake")) == 400
    file = memory_folder / "memory.db"
    wait_for(lambda: _log_is_empty(memory_folder))
    whole = file.read_bytes()
    at = 0 if damage[0] else 4096
    file.write_bytes(whole[:at] + damage * 3 + whole[at + 3 * len(damage) :])
    other.close()
    with pytest.raises(MemoryStoreError):
        _use_every_page(other)
    (new,) = ids(1)
    other.list_decoy("intake", new)
    assert (one.kinds("intake"), other.kinds("intake")) == ({new: DECOY}, {new: DECOY})
    one.close()
    other.close()


def _log_is_empty(folder: Path) -> bool:
    return (folder / "memory.db-wal").stat().st_size == 0


def test_the_log_shows_for_no_longer_than_a_moment_what_was_noted_together(memory_folder):
    """After one write, and soon after the last of many, in whichever process, the log of the file is empty."""
    one, other = SqliteMemoryStore(memory_folder), SqliteMemoryStore(memory_folder)
    one.list_decoy("intake", new_tip_id())
    assert _log_is_empty(memory_folder)
    for _ in range(10):
        for store in (one, other):
            store.note_tip("intake", new_tip_id(), ids(3))
    wait_for(lambda: _log_is_empty(memory_folder))
    assert len(one.kinds("intake")) == 81
    one.close()
    other.close()


def test_processes_that_start_at_the_same_moment_share_one_new_file(memory_folder):
    """Whoever opens the folder while others make its file finds the file whole: nobody's note fails or is lost."""
    for _ in range(20):
        stores = [SqliteMemoryStore(memory_folder) for _ in range(8)]
        noted = ids(len(stores))
        with ThreadPoolExecutor(len(stores)) as pool:
            list(pool.map(lambda store, each: store.list_decoy("intake", each), stores, noted))
        assert set(stores[0].kinds("intake")) == set(noted)
        for store in stores:
            store.close()
        shutil.rmtree(memory_folder)


def test_a_decoy_is_chosen_without_a_look_at_the_words_that_wait(memory_folder):
    """Choosing a decoy takes as many steps of SQLite where 5,000 words of tips wait as where none waits."""
    store, counts = SqliteMemoryStore(memory_folder), []
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    for words in (0, 5000):
        for new in ids(words):
            store.note_tip("intake", new, [])
        store.list_decoy("intake", ids(1)[0])
        store._file._current_connection().set_progress_handler(count, 1)
        steps = 0
        assert len(store.take_decoys("intake", 1)) == 1
        store._file._current_connection().set_progress_handler(None, 1)
        counts.append(steps)
    assert counts[1] <= 2 * counts[0], counts
    store.close()
