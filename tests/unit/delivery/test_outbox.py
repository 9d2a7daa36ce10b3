"""The outbox: what is acknowledged is on the disk, once; what is held is sent once, or ends."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from app.core.errors import AlreadySentError, HeldFullError, HeldGoneError, OutboxError
from app.delivery.leases import Leases
from app.delivery.outbox import MAX_HELD_BYTES
from app.delivery.schema import blobs, held, used
from tests.support.databases import opened
from tests.support.envelopes import ENVELOPE, NOW, count, make, waiting

# Put


def test_put_is_seen_by_another(url, outbox):
    """What was put is there, byte for byte, for whoever opens the same database."""
    envelopes = [make(), make(3_000_000)]
    for envelope in envelopes:
        outbox.put(envelope)
    with opened(url) as other:
        assert waiting(other) == {envelope.id: envelope.data for envelope in envelopes}


def test_a_nonce_is_used_once(outbox):
    """A form sent twice is one envelope; another form is another."""
    first = make()
    outbox.put(first, nonce=b"n" * 16, now=NOW)
    with pytest.raises(AlreadySentError):
        outbox.put(make(), nonce=b"n" * 16, now=NOW)
    second = make()
    outbox.put(second, nonce=b"m" * 16, now=NOW)
    assert waiting(outbox).keys() == {first.id, second.id}


def test_nonce_and_envelope_go_together(outbox):
    """Where the envelope cannot be kept, its nonce stays unused."""
    taken = make()
    outbox.put(taken)
    with pytest.raises(OutboxError) as caught:
        outbox.put(make(tip=taken.id), nonce=b"n" * 16)
    assert not isinstance(caught.value, AlreadySentError)
    outbox.put(make(), nonce=b"n" * 16)
    assert waiting(outbox)[taken.id] == taken.data


def test_many_clicks_at_once_are_one(outbox):
    """A form sent by many threads at once is one envelope."""

    def click(_: int) -> str:
        try:
            outbox.put(make(1000), nonce=b"n" * 16)
        except AlreadySentError:
            return "already"
        return "sent"

    with ThreadPoolExecutor(16) as pool:
        answers = sorted(pool.map(click, range(16)))
    assert answers == ["already"] * 15 + ["sent"]
    assert len(waiting(outbox)) == 1


def test_many_threads(outbox):
    """Sixty-four threads put at once, and nothing is lost."""
    envelopes = [make() for _ in range(128)]
    with ThreadPoolExecutor(64) as pool:
        list(pool.map(outbox.put, envelopes))
    assert waiting(outbox) == {envelope.id: envelope.data for envelope in envelopes}


PUTTER = """
import os, sys
from app.delivery.outbox import Envelope, Outbox
from app.vault.tip import new_tip_id
box = Outbox(sys.argv[1])
box.prepare()
for _ in range(int(sys.argv[2])):
    data = os.urandom(140_000)
    tip = new_tip_id()
    box.put(Envelope(tip, "intake", data))
    print(tip, flush=True)
"""


def run_putter(url: str, times: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PUTTER, url, str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes(url):
    """Several processes prepare and fill one database at once, and nothing is lost."""
    running = [run_putter(url, 20) for _ in range(3)]
    acknowledged = {line for process in running for line in process.communicate()[0].split()}
    assert [process.returncode for process in running] == [0, 0, 0]
    with opened(url) as box:
        assert waiting(box).keys() == acknowledged
    assert len(acknowledged) == 60


def test_killed_while_putting(url):
    """What a process acknowledged before it was killed is there, whole."""
    acknowledged = set()
    for lines in (1, 4, 9):
        with run_putter(url, 1000) as process:
            acknowledged |= {process.stdout.readline().strip() for _ in range(lines)}
            process.kill()
            acknowledged |= {line for line in process.stdout.read().split("\n")[:-1] if line}
    with opened(url) as box:
        found = waiting(box)
    assert acknowledged <= found.keys()
    assert len(acknowledged) >= 14
    assert {len(data) for data in found.values()} == {ENVELOPE}


# Held


def test_held_then_confirmed(outbox):
    """A held tip waits for nobody until it is confirmed, and then it is in the outbox, once."""
    envelope = make()
    outbox.hold(envelope, draft=b"d" * 16, nonce=b"n" * 16, now=NOW)
    assert waiting(outbox) == {}
    outbox.confirm(b"d" * 16, now=NOW)
    assert waiting(outbox) == {envelope.id: envelope.data}
    for again in (
        lambda: outbox.confirm(b"d" * 16, now=NOW),
        lambda: outbox.extend(b"d" * 16, now=NOW),
        lambda: outbox.discard(b"d" * 16),
        lambda: outbox.hold(make(), draft=b"d" * 16, now=NOW),
        lambda: outbox.put(make(), nonce=b"n" * 16, now=NOW),
    ):
        with pytest.raises(AlreadySentError):
            again()
    assert waiting(outbox).keys() == {envelope.id}
    assert count(outbox, held) == 0


def test_confirmed_by_many_clicks(outbox):
    """A confirmation clicked many times at once sends one tip, and says to the others that it was sent."""
    outbox.hold(make(), draft=b"d" * 16, now=NOW)

    def click(_: int) -> str:
        try:
            outbox.confirm(b"d" * 16, now=NOW)
        except AlreadySentError:
            return "already"
        return "sent"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(click, range(8))) == ["already"] * 7 + ["sent"]
    assert len(waiting(outbox)) == 1


def test_held_then_discarded(outbox):
    """A discarded tip is gone; discarding again is no fault, sending it is, and its form may be sent anew."""
    outbox.hold(make(), draft=b"d" * 16, nonce=b"n" * 16, now=NOW)
    outbox.discard(b"d" * 16)
    outbox.discard(b"d" * 16)
    assert count(outbox, held) == count(outbox, blobs) == 0
    with pytest.raises(HeldGoneError):
        outbox.confirm(b"d" * 16, now=NOW)
    outbox.put(make(), nonce=b"n" * 16, now=NOW)


def test_held_anew(outbox):
    """A sender who goes back and changes their files holds the last of them alone."""
    outbox.hold(make(), draft=b"d" * 16, nonce=b"n" * 16, now=NOW)
    last = make()
    outbox.hold(last, draft=b"d" * 16, nonce=b"n" * 16, now=NOW)
    assert count(outbox, held) == count(outbox, blobs) == 1
    outbox.confirm(b"d" * 16, now=NOW)
    assert waiting(outbox) == {last.id: last.data}


def test_one_form_held_twice_is_sent_once(outbox):
    """Of two held tips from one form, only the first confirmed is sent."""
    first, second = make(), make()
    outbox.hold(first, draft=b"d" * 16, nonce=b"n" * 16, now=NOW)
    outbox.hold(second, draft=b"e" * 16, nonce=b"n" * 16, now=NOW)
    outbox.confirm(b"e" * 16, now=NOW)
    with pytest.raises(AlreadySentError):
        outbox.confirm(b"d" * 16, now=NOW)
    with pytest.raises(AlreadySentError):
        outbox.hold(make(), draft=b"f" * 16, nonce=b"n" * 16, now=NOW)
    assert waiting(outbox).keys() == {second.id}


@pytest.mark.parametrize("moment", [0, 1, 899, 900, 12_345])
def test_a_held_tip_ends(outbox, moment):
    """A held tip lives 30 to 45 minutes, ends with a quarter-hour, and is then destroyed."""
    now = NOW + moment
    outbox.hold(make(), draft=b"d" * 16, now=now)
    with outbox.database.read() as connection:
        ends = connection.execute(select(held.c.ends)).scalar_one()
    assert ends % 900 == 0
    assert 1800 < ends - now <= 2700
    with pytest.raises(HeldGoneError):
        outbox.confirm(b"d" * 16, now=ends)
    Leases(outbox.database).finish_window(ends - 1)
    assert count(outbox, held) == 1
    outbox.put(make(), now=ends)
    assert count(outbox, held) == 0
    assert count(outbox, blobs) == 1


def test_more_time(outbox):
    """A held tip can be given 30 minutes more, again and again, but not once it has ended."""
    outbox.hold(make(), draft=b"d" * 16, now=NOW)
    for later in (1500, 3000, 4500):
        outbox.extend(b"d" * 16, now=NOW + later)
    with pytest.raises(HeldGoneError):
        outbox.extend(b"d" * 16, now=NOW + 4500 + 2700)
    outbox.confirm(b"d" * 16, now=NOW + 4500 + 1799)
    with pytest.raises(HeldGoneError):
        outbox.extend(b"never", now=NOW)


def test_used_nonces_end_with_the_window(outbox):
    """A used nonce is kept 30 to 45 minutes, as its hash, then destroyed."""
    outbox.put(make(), nonce=b"n" * 16, now=NOW)
    with outbox.database.read() as connection:
        row = connection.execute(select(used)).one()
    assert row.nonce == hashlib.sha256(b"n" * 16).digest()
    assert 1800 < row.ends - NOW <= 2700
    Leases(outbox.database).finish_window(row.ends)
    assert count(outbox, used) == 0


def test_an_end_written_under_a_wrong_clock(outbox):
    """Held tips and nonces from a clock that ran ahead do not stay until it is right again."""
    outbox.hold(make(), draft=b"d" * 16, now=NOW + 1_000_000)
    outbox.put(make(), nonce=b"n", now=NOW + 1_000_000)
    Leases(outbox.database).finish_window(NOW)
    assert (count(outbox, held), count(outbox, used), count(outbox, blobs)) == (0, 0, 1)


def test_held_room(url):
    """Beyond the room for held envelopes nothing more is held, until something goes."""
    part = 64 * 1024
    with opened(url, max_held_bytes=4 * part) as outbox:
        for number in range(4):
            outbox.hold(make(part), draft=bytes([number]), now=NOW)
        with pytest.raises(HeldFullError):
            outbox.hold(make(1), draft=b"one more", now=NOW)
        outbox.hold(make(part), draft=bytes([3]), now=NOW)
        outbox.put(make(), now=NOW)
        outbox.discard(bytes([3]))
        outbox.hold(make(1), draft=b"one more", now=NOW)
        with outbox.database.read() as connection:
            lengths = connection.execute(select(held.c.length)).scalars().all()
        assert sum(lengths) == 3 * part + 1


def test_256_mib_are_held_in_all(tmp_path):
    """The room for held envelopes is 256 MiB unless it is given, so that held tips cannot fill a disk."""
    assert MAX_HELD_BYTES == 256 * 1024 * 1024
    with opened(tmp_path / "outbox.db") as outbox:
        assert outbox._max_held_bytes == MAX_HELD_BYTES
