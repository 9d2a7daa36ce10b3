"""What is acknowledged is delivered, whatever is killed and wherever a write is cut."""

import random
import time
from collections import Counter

import pytest

from tests.support.databases import BACKENDS
from tests.support.faults import Program, deployment, scale, until, up
from tests.support.ports import free_port
from tests.support.senders import send_all, send_photographs, words


@pytest.fixture(params=BACKENDS)
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/outbox/outbox.db"
    return request.getfixturevalue("postgres").database()


def kill_at_random(port: int, site: Program, forwarder: Program) -> str:
    """Kill one of the programs as a power cut would, and start it again, as systemd does."""
    victim = random.choice(["site", "worker", "forwarder"])
    if victim == "forwarder":
        forwarder.kill()
        forwarder.start()
        return victim
    if victim == "site":
        site.kill()
    else:
        workers = len(site.workers)
        site.kill_a_worker()
        # A worker that died is replaced; one that died twice within seconds ends the whole site.
        until(lambda: not site.runs or len(site.workers) == workers, "another worker")
    if not site.runs:
        site.start()
        up(port, site)
    return victim


@pytest.mark.slow
def test_what_is_acknowledged_outlives_every_kill(url, tmp_path):
    """Site, workers and forwarder are killed while tips, some of many parts, are sent: all arrive whole, each once."""
    tips, photographs, kills = scale(120, 2_000), scale(6, 100), scale(8, 60)
    with deployment(tmp_path, HAUMARU_OUTBOX_URL=url) as here:
        port = free_port()
        site, forwarder = here.site(port), here.forwarder()
        up(port, site)
        ledger, done = send_all([port], words(tips))
        many_parts, all_sent = send_photographs(port, [f"{what} With a photograph." for what in words(photographs)])
        killed = []
        for number in range(kills):
            until(lambda: done() or len(ledger.acknowledged) >= number * tips // kills, "the next tips")  # noqa: B023
            time.sleep(random.uniform(0, 0.3))
            killed.append(kill_at_random(port, site, forwarder))
        until(done, "the last tips")
        until(all_sent, "the last photographs")
        forwarder.stop()
        here.drain()
        found = here.delivered()
    assert len(ledger.acknowledged) >= tips
    assert len(many_parts.acknowledged) == photographs
    many_parts.settle(
        f"kills, tips of many parts, {url.split(':')[0]}",
        Counter({what: times for what, times in found.items() if what in many_parts.acknowledged}),
    )
    ledger.settle(
        f"kills, {url.split(':')[0]}",
        found,
        kills=len(killed),
        **{f"of_{name}": killed.count(name) for name in ("site", "worker", "forwarder")},
    )
