"""Held tips: encrypted in the memory store, sent once or destroyed, and never both."""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from app.core.errors import (
    AlreadySentError,
    BusyError,
    HeldDestroyedError,
    HeldFullError,
    HeldGoneError,
    HeldLimitError,
    MemoryStoreError,
    OutboxError,
)
from app.delivery.leases import Leases
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.memory_store import memory_key
from app.delivery.outbox import Envelope, Outbox
from app.site.report import held
from app.site.report.held import ChangedTip, HeldTipStore
from app.vault.tip import Tip, TipFile, new_tip_id
from app.vault.tip_bundles import to_bundles

NOW = 1_800_000_000.0  # the start of a quarter-hour
DRAFT, NONCE = b"d" * 16, b"n" * 16
CANARY = b"a canary in a file"


@pytest.fixture
def memory() -> Iterator[SqliteMemoryStore]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="haumaru-") as folder:
        yield SqliteMemoryStore(Path(folder))


@pytest.fixture
def outbox(memory, tmp_path) -> Outbox:
    return Outbox(f"sqlite:///{tmp_path}/outbox.db", memory)


@pytest.fixture
def store(memory, outbox) -> HeldTipStore:
    return HeldTipStore(memory, outbox)


def bundles(size: int = 300_000):
    """The bundles of a tip with one file."""
    file = TipFile("files/1.txt", "text/plain", (), CANARY + bytes(size))
    return to_bundles(Tip(new_tip_id(), date(2026, 11, 26), {"what": "A canary in the words."}, (file,)))


def opened(store: HeldTipStore, draft: bytes, *, now: float):
    """The bundles of a held tip."""
    with store.opened(draft, now=now) as made:
        return list(made)


def extend(store: HeldTipStore, draft: bytes, *, now: float) -> None:
    store.extend(draft, latest=int(NOW) + 7200, now=now)


def with_file(size: int, notes: bytes = b"new notes"):
    """A change that puts another file of so many bytes in place of the one that a tip has."""

    def change(tip: Tip, _notes: bytes) -> ChangedTip:
        return ChangedTip(replace(tip, files=(TipFile("files/1.jpg", "image/jpeg", (), bytes(size)),)), notes)

    return change


def put(outbox: Outbox, made) -> None:
    envelopes = [Envelope(bundle.id, "intake", os.urandom(1000)) for bundle in made]
    outbox.put(envelopes, nonce=NONCE, draft=DRAFT, now=NOW)


def waiting(outbox: Outbox) -> set[str]:
    return set(Leases(outbox.database).waiting("intake"))


def test_a_held_tip_opens_with_its_draft_alone_and_is_encrypted(store, memory):
    """What is held has no byte of words or files in the clear, and any other draft opens nothing."""
    made = bundles()
    store.hold(DRAFT, made, nonce=NONCE, now=NOW)
    assert opened(store, DRAFT, now=NOW) == made
    data = memory.held(memory_key(DRAFT), NOW)
    assert b"canary" not in data
    assert DRAFT not in data
    assert len(data) == 16 + 4 + 4 * (26 + 128 * 1024 + 16) + 16
    with pytest.raises(HeldGoneError):
        opened(store, b"e" * 16, now=NOW)
    with pytest.raises(HeldGoneError):
        opened(store, b"", now=NOW)


@pytest.mark.parametrize("damage", ["flip", "cut", "swap", "count", "empty", "salt"])
def test_what_was_altered_in_the_memory_store_is_no_longer_there(store, memory, damage):
    """A flipped byte, a missing or swapped bundle, another salt: HeldGoneError, never another tip."""
    store.hold(DRAFT, bundles(), nonce=NONCE, now=NOW)
    data = memory.held(memory_key(DRAFT), NOW)
    piece, head = 26 + 128 * 1024 + 16, 20
    altered = {
        "flip": data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
        "cut": data[:-piece],
        "swap": data[:head] + data[head + piece :][:piece] + data[head:][:piece] + data[head + 2 * piece :],
        "count": data[:16] + (3).to_bytes(4, "big") + data[head:],
        "empty": data[:16],
        "salt": bytes([data[0] ^ 1]) + data[1:],
    }[damage]
    memory.hold(memory_key(DRAFT), altered, ends=int(NOW) + 900, limit=10**9, now=NOW)
    with pytest.raises(HeldGoneError):
        opened(store, DRAFT, now=NOW)


@pytest.mark.parametrize("size", [10, 300_000, 700_000])
def test_a_file_of_a_held_tip_is_changed_and_all_else_stays(store, size):
    """The changed tip has the other file and notes, the words and ids of before, and ends when it would have ended."""
    made = bundles()
    store.hold(DRAFT, made, nonce=NONCE, now=NOW, notes=b"old notes")
    store.change_files(DRAFT, with_file(size), now=NOW + 1800)
    with store.opened(DRAFT, now=NOW + 2699) as held_bundles:
        tip, notes, ids = held_bundles.read_tip()
    assert ([len(file.data) for file in tip.files], notes) == ([size], b"new notes")
    assert tip.answers == {"what": "A canary in the words."}
    same = min(len(ids), len(made))
    assert ids[:same] == [bundle.id for bundle in made[:same]]
    assert len(set(ids)) == len(ids) == 1 + -(-size // (127 * 1024))
    with pytest.raises(HeldGoneError):
        opened(store, DRAFT, now=NOW + 2700)


def test_no_change_brings_back_what_was_sent_or_destroyed(store, memory, outbox):
    """A tip that is sent or destroyed while one of its files is changed stays gone, and its sender is told which."""

    def change_after(draft: bytes, gone: Callable[[], None]) -> None:
        def change(tip: Tip, notes: bytes) -> ChangedTip:
            gone()
            return with_file(10)(tip, notes)

        store.change_files(draft, change, now=NOW)

    made, other = bundles(), b"e" * 16
    store.hold(other, bundles(), nonce=b"m" * 16, now=NOW)
    with pytest.raises(HeldDestroyedError):
        change_after(other, lambda: store.discard(other, now=NOW))
    store.hold(DRAFT, made, nonce=NONCE, now=NOW)
    with pytest.raises(AlreadySentError):
        change_after(DRAFT, lambda: put(outbox, made))
    assert memory.count_held(NOW) == 0


def test_a_change_takes_and_gives_back_room_of_its_network(memory, outbox):
    """A file that grows beyond its network's share is refused and the tip stays; one that shrinks gives room back."""
    size = len(b"".join(bundle.data for bundle in bundles()))
    shared = HeldTipStore(memory, outbox, share=2.6 * size / held.MAX_HELD_BYTES)

    def hold(number):
        shared.hold(bytes([number]) * 16, bundles(), nonce=os.urandom(16), networks=("one", "wide"), now=NOW)

    hold(0)
    hold(1)
    with pytest.raises(HeldFullError):
        shared.change_files(bytes(16), with_file(700_000), now=NOW)
    assert b"".join(bundle.data for bundle in opened(shared, bytes(16), now=NOW)).count(CANARY) == 1
    with pytest.raises(HeldFullError):
        hold(2)
    shared.change_files(bytes(16), with_file(10), now=NOW)
    hold(2)


def test_a_held_tip_ends_by_itself_and_can_be_extended_to_two_hours(store):
    """It ends after 30 to 45 minutes; each extension gives 30 minutes more, none goes beyond two hours."""
    assert store.hold(DRAFT, bundles(), nonce=NONCE, now=NOW + 899) == NOW + 7200
    store.hold(DRAFT, bundles(), nonce=NONCE, now=NOW)
    opened(store, DRAFT, now=NOW + 2699)
    with pytest.raises(HeldGoneError):
        opened(store, DRAFT, now=NOW + 2700)
    for minutes in (30, 60, 90):
        extend(store, DRAFT, now=NOW + 60 * minutes)
        opened(store, DRAFT, now=NOW + 60 * minutes + 1799)
    with pytest.raises(HeldLimitError):
        extend(store, DRAFT, now=NOW + 5401)
    with pytest.raises(HeldGoneError):
        extend(store, DRAFT, now=NOW + 7200)


def test_beyond_all_room_no_further_tip_is_held(store, monkeypatch):
    """HeldFullError where all held tips would take more than the limit, or the memory store is away."""
    monkeypatch.setattr(held, "MAX_HELD_BYTES", 1_000_000)
    store.hold(DRAFT, bundles(), nonce=NONCE, now=NOW)
    with pytest.raises(HeldFullError):
        store.hold(b"e" * 16, bundles(), nonce=b"m" * 16, now=NOW)
    store.drop(DRAFT)
    store.hold(b"e" * 16, bundles(), nonce=b"m" * 16, now=NOW)


def test_one_network_fills_only_its_share_of_the_room(memory, outbox):
    """Beyond its share a network's tip is refused; another's is held, and what was sent or destroyed takes none."""
    size = len(b"".join(bundle.data for bundle in bundles()))
    shared = HeldTipStore(memory, outbox, share=3.5 * size / held.MAX_HELD_BYTES)

    def hold(number, *networks):
        shared.hold(bytes([number]) * 16, bundles(), nonce=os.urandom(16), networks=networks, now=NOW)

    for number in range(3):
        hold(number, "greedy", "wide")
    with pytest.raises(HeldFullError):
        hold(3, "greedy", "wide")
    hold(4, "honest", "elsewhere")
    shared.drop(bytes(16))
    hold(5, "greedy", "wide")
    HeldTipStore(memory, outbox).drop(b"\x01" * 16)
    hold(6, "greedy", "wide")
    with pytest.raises(HeldFullError):
        hold(7, "greedy", "wide")
    for number in range(8, 11):
        hold(number, f"other {number}", "wide")
    with pytest.raises(HeldFullError):
        hold(11, "one more", "wide")


def test_how_much_a_network_may_fill_is_not_the_same_for_each(memory, outbox):
    """The share is smaller by a number that nobody can foresee, so that a refusal does not count what others hold."""
    refused = []
    for number, drawn in enumerate((0.0, 0.9)):
        size = len(b"".join(bundle.data for bundle in bundles()))
        shared = HeldTipStore(memory, outbox, share=4.5 * size / held.MAX_HELD_BYTES, draw=lambda *_, d=drawn: d)
        for attempt in range(5):
            draft = bytes([number, attempt]) * 8
            try:
                shared.hold(draft, bundles(), nonce=os.urandom(16), networks=("one",), now=NOW)
            except HeldFullError:
                refused.append((drawn, attempt))
                break
    assert refused == [(0.0, 4), (0.9, 2)]


def test_without_a_memory_store_no_files_are_taken(tmp_path, outbox):
    """The sender learns that files cannot be taken, not that something failed."""
    (tmp_path / "file").touch()
    store = HeldTipStore(SqliteMemoryStore(tmp_path / "file" / "memory"), outbox)
    with pytest.raises(HeldFullError):
        store.hold(DRAFT, bundles(), nonce=NONCE, now=NOW)
    with pytest.raises(MemoryStoreError):
        opened(store, DRAFT, now=NOW)
    store.drop(DRAFT)


def test_a_form_that_was_sent_holds_nothing(store, outbox):
    """A form whose nonce was used is answered "already sent" before anything is held."""
    put(outbox, bundles())
    with pytest.raises(AlreadySentError):
        store.hold(b"e" * 16, bundles(), nonce=NONCE, now=NOW)


def test_what_was_sent_cannot_be_destroyed(store, outbox):
    """`discard` after the tip was put raises AlreadySentError, whether its bytes are still held or not."""
    made = bundles()
    store.hold(DRAFT, made, nonce=NONCE, now=NOW)
    put(outbox, made)
    for _ in range(2):
        with pytest.raises(AlreadySentError):
            store.discard(DRAFT, now=NOW)
        store.drop(DRAFT)
    assert waiting(outbox) == {bundle.id for bundle in made}


def test_what_was_destroyed_is_never_sent(store, outbox, memory):
    """A confirmation that had read the tip before it was destroyed puts nothing; later ones find nothing."""
    made = bundles()
    store.hold(DRAFT, made, nonce=NONCE, now=NOW)
    read = opened(store, DRAFT, now=NOW)
    store.discard(DRAFT, now=NOW)
    with pytest.raises(AlreadySentError):
        put(outbox, read)
    assert store.was_discarded(DRAFT, now=NOW)
    assert waiting(outbox) == set()
    assert memory.held(memory_key(DRAFT), NOW) is None
    for step in (opened, extend, HeldTipStore.discard):
        with pytest.raises(HeldGoneError):
            step(store, DRAFT, now=NOW)


def test_destroyed_and_sent_at_the_same_moment_are_never_both(store, outbox):
    """In thirty races of confirm and discard, a tip is in the outbox exactly where `discard` said "already sent"."""
    for _ in range(30):
        draft, made = os.urandom(16), bundles(10)
        nonce = os.urandom(16)
        store.hold(draft, made, nonce=nonce, now=NOW)
        said: list[str] = []
        start = threading.Barrier(2)

        def confirm(draft=draft, nonce=nonce, start=start):
            start.wait()
            with suppress(OutboxError):
                envelopes = [Envelope(one.id, "intake", b"sealed") for one in opened(store, draft, now=NOW)]
                outbox.put(envelopes, nonce=nonce, draft=draft, now=NOW)

        def discard(draft=draft, start=start, said=said):
            start.wait()
            try:
                store.discard(draft, now=NOW)
                said.append("destroyed")
            except AlreadySentError:
                said.append("already sent")

        threads = [threading.Thread(target=step) for step in (confirm, discard)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ("already sent" in said) == (made[0].id in waiting(outbox))


def test_few_held_tips_are_open_at_once(store, monkeypatch):
    """An open tip takes memory: beyond four at once others wait, and are told to come back if it takes too long."""
    monkeypatch.setattr(held, "_WAIT_SECONDS", 0.01)
    store.hold(DRAFT, bundles(10), nonce=NONCE, now=NOW)
    with ExitStack() as stack:
        for _ in range(held.MAX_OPEN):
            stack.enter_context(store.opened(DRAFT, now=NOW))
        with pytest.raises(BusyError):
            opened(store, DRAFT, now=NOW)
    assert opened(store, DRAFT, now=NOW)
