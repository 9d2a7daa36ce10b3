"""Many nodes on one database: two sites and two forwarders on PostgreSQL and Redis, some of them killed."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from app.delivery.forwarder import Forwarder, ForwardRules
from app.delivery.memory_redis import RedisMemoryStore
from app.delivery.outbox import Envelope, Outbox
from app.delivery.pace import Pace
from app.delivery.transports import FolderTransport
from app.vault.tip import new_tip_id
from tests.support.databases import redis_server
from tests.support.faults import Deployment, deployment, report, scale, until, up
from tests.support.ports import free_port
from tests.support.senders import Ledger, Sender, send_all, words
from tests.support.site import Visitor

pytestmark = [pytest.mark.needs("postgres"), pytest.mark.needs("redis")]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c636060606000000005"
    "0001a5f645400000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


@pytest.fixture
def two_sites(tmp_path, postgres, redis) -> Iterator[tuple[Deployment, list[int]]]:
    shared = {"HAUMARU_LIMITS_URL": redis, "HAUMARU_MEMORY_URL": redis, "HAUMARU_MEMORY_FOLDER": ""}
    with deployment(tmp_path, HAUMARU_OUTBOX_URL=postgres.database(), HAUMARU_FORWARD_CELLS="16", **shared) as here:
        ports = [free_port(), free_port()]
        # One after the other, so that both have the key that the first has made.
        for port in ports:
            up(port, here.site(port))
        yield here, ports


@pytest.mark.slow
def test_two_sites_and_two_forwarders(two_sites):
    """Forwarders are killed in the middle: every acknowledged tip is delivered, and the agency sees each id once."""
    here, ports = two_sites
    forwarders = [here.forwarder(), here.forwarder()]
    tips, kills = scale(100, 2_000), scale(6, 50)
    ledger, done = send_all(ports, words(tips))
    for number in range(kills):
        until(lambda: done() or len(ledger.acknowledged) >= number * tips // kills, "the next tips")  # noqa: B023
        time.sleep(random.uniform(0, 0.5))
        victim = random.choice(forwarders)
        victim.kill()
        victim.start()
    until(done, "the last tips")
    here.wait_for(ledger.acknowledged)
    for forwarder in forwarders:
        assert forwarder.stop() == 0, forwarder.log.read_text()
    assert len(ledger.acknowledged) == tips
    ledger.settle("two sites, two forwarders (PostgreSQL, Redis)", here.delivered(), kills=kills)


def test_a_form_begun_on_one_node_ends_on_another(two_sites):
    """Held tips, used forms and codes are known on every node: held on one, confirmed on the other, never twice."""
    here, ports = two_sites
    one, other = (Visitor(f"http://127.0.0.1:{port}") for port in ports)
    checked = one.check({"what": "Held here, confirmed there"})
    fields = [*checked.form("/report").fields, ("step", "send")]
    held = other.post_files("/en/report", fields, [("photo.png", PNG)], Origin=other.base_url)
    assert held.status == 200, held.words
    fields = [*held.form("/report").fields, ("step", "confirm")]
    assert [node.post("/en/report", fields).status for node in (one, other, one)] == [200, 409, 409]
    here.drain()
    assert here.delivered() == Counter({"Held here, confirmed there": 1})


@pytest.mark.slow
def test_limits_count_over_all_nodes(tmp_path, postgres, redis):
    """Whoever has sent as often as they may on one node may not go on at the next."""
    limits = {"HAUMARU_LIMITS_PER_ADDRESS": "6/hour"}
    with deployment(tmp_path, HAUMARU_OUTBOX_URL=postgres.database(), HAUMARU_LIMITS_URL=redis, **limits) as here:
        ports = [free_port(), free_port()]
        for port in ports:
            up(port, here.site(port))
        ledger = Ledger()
        statuses = []
        for number, what in enumerate(words(10)):
            sender = Sender([ports[number % 2]], ledger, source="127.0.0.77")
            statuses.append(sender.once(what))
            sender.close()
    assert statuses == [200] * 6 + [429] * 4


@pytest.mark.slow
def test_one_window_over_all_nodes(postgres, redis, tmp_path):
    """However many forwarders run, what leaves in a window is its cells, never twice as many; and nothing is lost."""
    url, window, start = postgres.database(), 600, 1_795_326_000
    boxes = [Outbox(url, RedisMemoryStore(redis)) for _ in range(3)]
    inbox = tmp_path / "inbox"
    inbox.mkdir()

    def decoy(agency: str = "intake") -> Envelope:
        return Envelope(new_tip_id(), agency, random.randbytes(1000))

    rules, way = ForwardRules(window, {"intake": Pace(4, 16)}), FolderTransport(inbox)
    nodes = [Forwarder(box, {"intake": way}, rules, make_decoy=decoy, clock=lambda: start) for box in boxes]
    windows, tips, leaving = scale(40, 1_000), set(), Counter()
    for number in range(windows):
        # The last windows are quiet, so that what waits can leave.
        for _ in range(random.choice([0, 0, 1, 2, 3, 7]) if number < windows - 20 else 0):
            envelope = decoy()
            random.choice(boxes).put([envelope], now=start)
            tips.add(envelope.id)
        threads = [threading.Thread(target=node.run_window, args=(start + number * window,)) for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        left = list(inbox.iterdir())
        leaving[len(left)] += 1
        tips -= {file.stem for file in left}
        for file in left:
            file.unlink()
    for box in boxes:
        box.database.close()
    report("one window over three nodes", windows=windows, leaving=dict(sorted(leaving.items())), lost=len(tips))
    assert set(leaving) == {4}
    assert not tips
