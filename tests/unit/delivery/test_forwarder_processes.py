"""Several forwarders at once, some of them killed: each envelope is delivered, once."""

import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support import servers
from tests.support.forwarding import at_work, kept, make

PROCESS = """
import os, signal, sys, threading
from pathlib import Path
from app.delivery.destinations import Destination, open_transport
from app.delivery.forwarder import Forwarder, ForwardRules
from app.delivery.outbox import Envelope, Outbox
from app.vault.tip import new_tip_id
url, port, ca, window = sys.argv[1:]
box = Outbox(url)
box.prepare()
way = open_transport(Destination("intake", f"https://127.0.0.1:{port}/", ca=Path(ca)), base=Path("/"))
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print("ready", flush=True)
decoy = lambda: Envelope(new_tip_id(), "intake", b"decoy" * 100)
Forwarder(box, {"intake": way}, ForwardRules(window=int(window), batch=4, padded="intake"), make_decoy=decoy).run(stop)
"""


@contextmanager
def processes(url: str, port: int, certificates: servers.Certificates, *, window: int) -> Iterator[list]:
    """Run two forwarders as processes; told to stop on leaving, they must end well."""
    running: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROCESS, url, str(port), str(certificates.ca), str(window)]
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
    for _ in range(600):
        if done():
            return
        time.sleep(0.1)
    pytest.fail(f"never: {what}")


@pytest.mark.slow
def test_two_forwarders_deliver_each_once(url, outbox, certificates):
    """Two forwarders on one database: every envelope arrives exactly once, and windows leave in fours."""
    tips = [make() for _ in range(60)]
    # A window in which a slow machine can deliver them all.
    with servers.https(certificates) as (port, endpoint), processes(url, port, certificates, window=15):
        for envelope in tips:
            outbox.put(envelope)
        # A turn that is told to stop leaves its decoys out.
        until(lambda: kept(outbox) == 0 and not at_work(outbox), "an empty outbox and the end of a turn")
    arrived = Counter(request.headers["Idempotency-Key"] for request in endpoint.requests)
    assert {arrived[envelope.id] for envelope in tips} == {1}
    bodies = {request.headers["Idempotency-Key"]: request.body for request in endpoint.requests}
    assert all(bodies[envelope.id] == envelope.data for envelope in tips)
    assert len(endpoint.requests) % 4 == 0


def test_killed_forwarders_lose_nothing(url, outbox, certificates):
    """Forwarders killed at random, again and again, while tips arrive: every one of them is delivered, whole."""
    tips = [make(20_000) for _ in range(150)]
    kills = 8
    with (
        servers.https(certificates) as (port, endpoint),
        processes(url, port, certificates, window=1) as (start, running),
    ):
        for number, envelope in enumerate(tips):
            outbox.put(envelope)
            if number % (len(tips) // kills) == 0:
                time.sleep(secrets.randbelow(600) / 1000)
                victim = running.pop(0)
                victim.kill()
                victim.wait()
                running.append(start())
        until(lambda: kept(outbox) == 0, "an empty outbox")
    arrived = Counter(request.headers["Idempotency-Key"] for request in endpoint.requests)
    bodies = {request.headers["Idempotency-Key"]: request.body for request in endpoint.requests}
    assert all(bodies[envelope.id] == envelope.data for envelope in tips)
    # Only what was in a killed forwarder's hand can come again, under the same id.
    assert sum(arrived[envelope.id] - 1 for envelope in tips) <= kills + 1
