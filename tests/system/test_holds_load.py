"""Load and floods: memory stays as it was, slow visitors stop no reader, and a flood leaves others able to send."""

import contextlib
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.support import proxies
from tests.support.attacker import circuit_line, keep_open
from tests.support.faults import Deployment, Program, deployment, report, scale, until, up
from tests.support.load import MADE, PAGES, SLOW, answers, slow, view
from tests.support.ports import free_port
from tests.support.senders import Ledger, Sender, send_all, words

ONION = f"{'haumaru2' * 7}.onion"
MIB = 1024 * 1024
SHARE = scale(5, 20)  # of one address; from ten on, half of it to all of it is drawn
LEAST = scale(5, 10)


@contextlib.contextmanager
def site(folder: Path, **variables: str) -> Iterator[tuple[Deployment, Program, int]]:
    with deployment(folder, **variables) as here:
        port = free_port()
        program = here.site(port)
        up(port, program)
        yield here, program, port


# Growth, of one worker: with two, what one of them had none of at first would count as growth later.

ONE = {"HAUMARU_SERVER_WORKERS": "1"}


@pytest.mark.slow
def test_page_views_leave_memory_as_it_was(tmp_path):
    """However many pages are read, the site's processes hold what they held after the first of them."""
    views = scale(30_000, 1_000_000)
    with site(tmp_path, **ONE) as (_, program, port):
        # The first that are made fill caches, and a heap for each thread that makes one.
        view(port, views // 5, made=0.2)
        before = program.memory()
        view(port, views)
        after = program.memory()
    report("memory of page views", views=views, MiB_before=before // MIB, MiB_after=after // MIB)
    assert after - before < 16 * MIB


@pytest.mark.slow
def test_tips_leave_memory_as_it_was(tmp_path):
    """However many tips are sent, site and forwarder hold what they held after the first of them; all are delivered."""
    tips = scale(150, 10_000)
    # Twenty leave each second, so that the forwarder delivers tips and not only decoys meanwhile.
    pace = {"HAUMARU_FORWARD_WINDOW": "5s", "HAUMARU_FORWARD_CELLS": "100", "HAUMARU_FORWARD_STOCK": "100"}
    with site(tmp_path, **ONE, **pace) as (here, program, port):
        forwarder = here.forwarder()
        ledger, done = send_all([port], first := words(max(400, tips // 5)))
        until(done, "the first tips", seconds=3_600)
        before, before_forwarder = program.memory(), forwarder.memory()
        rest, done = send_all([port], words(tips))
        until(done, "the last tips", seconds=3_600)
        after, after_forwarder = program.memory(), forwarder.memory()
        forwarder.stop()
        here.drain()
        ledger.acknowledged |= rest.acknowledged
        ledger.settle(
            "tips",
            here.delivered(),
            MiB_before=before // MIB,
            MiB_after=after // MIB,
            forwarder_MiB_before=before_forwarder // MIB,
            forwarder_MiB_after=after_forwarder // MIB,
        )
    assert len(ledger.acknowledged) == tips + len(first)
    assert after - before < 16 * MIB
    assert after_forwarder - before_forwarder < 32 * MIB


# Slow visitors


@pytest.fixture
def many_sockets() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * SLOW + 500
    assert most == resource.RLIM_INFINITY or most >= wanted, "raise the limit of open files (ulimit -Hn)"
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


@pytest.mark.usefixtures("many_sockets")
@pytest.mark.slow
def test_slow_visitors_stop_no_reader_of_the_bare_site(tmp_path):
    """With 3,000 slow connections open at once, every page is still read."""
    with site(tmp_path) as (_, _program, port), ExitStack() as stack:
        peers = slow(stack, port, host := f"127.0.0.1:{port}")
        for path in [*PAGES, *MADE]:
            with socket.create_connection(("127.0.0.1", port), 60) as reader:
                assert answers(reader, [path], host) > 11_000
        report("slow, bare", open=len(peers), pages_read=len(PAGES) + len(MADE))


@pytest.mark.needs("haproxy", "nginx")
@pytest.mark.usefixtures("many_sockets")
@pytest.mark.slow
def test_slow_visitors_stop_nobody_behind_the_proxy(tmp_path):
    """Behind HAProxy, with 1,000 slow connections of 125 circuits, pages are read and tips are delivered."""
    variables = {
        "HAUMARU_SITE_BASE_URL": f"https://{proxies.NAME}",
        "HAUMARU_SITE_ONION": f"http://{ONION}",
        "HAUMARU_SERVER_PROXIES": "1",
    }
    (tmp_path / "proxy").mkdir()
    with site(tmp_path, **variables) as (here, _, port), ExitStack() as stack:
        folder = tmp_path / "proxy"
        proxy = stack.enter_context(proxies.haproxy(folder, port, here.config, variables=variables))
        lines = (circuit_line(proxy.onion_port, number % 125) for number in range(1000))
        peers = keep_open(stack, lines, f"GET /en/help HTTP/1.1\r\nHost: {ONION}\r\nX-Slow: ".encode())
        visitor = proxy.visitor()
        for path in [*PAGES[:5], *MADE[:2]]:
            assert visitor.get(path).status == 200
        for number in range(3):
            assert visitor.send({"what": f"Sent past {len(peers)} slow ones, {number}"}).status == 200
        here.drain()
        assert here.delivered().total() == 3
        report("slow, behind HAProxy", open=len(peers), pages_read=7, tips_sent=3)


# Floods


def flood(senders: list[Sender], times: int) -> Counter[int]:
    """Each sends so many times; returns what they were answered."""
    told: Counter[int] = Counter()
    for sender in senders:
        for what in words(times):
            told[sender.once(what)] += 1
        sender.close()
    return told


@pytest.fixture
def guarded(tmp_path) -> Iterator[tuple[Deployment, int]]:
    """A site with limits small enough to be reached; one worker, since each counts its share by itself."""
    limits = {
        "HAUMARU_LIMITS_PER_ADDRESS": f"{SHARE}/hour",
        "HAUMARU_SERVER_WORKERS": "1",
        "HAUMARU_SITE_ONION": f"http://{ONION}",
    }
    with deployment(tmp_path, **limits) as here:
        yield here, free_port()


@pytest.mark.slow
def test_a_flood_from_one_address(guarded):
    """An address that floods is refused after its share; others send."""
    here, port = guarded
    up(port, here.site(port))
    ledger = Ledger()
    told = flood([Sender([port], ledger, source="127.0.0.2")], 3 * SHARE)
    assert LEAST <= told[200] <= SHARE
    assert told[429] == 3 * SHARE - told[200]
    others = [Sender([port], ledger, source=f"127.0.0.{3 + n}") for n in range(5)]
    assert flood(others, 2) == {200: 10}
    here.drain()
    ledger.settle("flood from one address", here.delivered())


@pytest.mark.slow
def test_a_flood_from_many_addresses(guarded):
    """A flood from all over a /24 is refused after the share of the /24; others send, over Tor too."""
    here, port = guarded
    here.variables["HAUMARU_SERVER_PROXIES"] = "1"
    up(port, here.site(port))
    ledger = Ledger()
    many = [Sender([port], ledger, X_Forwarded_For=f"9.9.9.{n}") for n in range(16)]
    told = flood(many, SHARE)
    assert 4 * SHARE <= told[200] <= 8 * SHARE
    assert told[429] == 16 * SHARE - told[200]
    others = [Sender([port], ledger, X_Forwarded_For=f"8.8.{n}.8") for n in range(5)]
    assert flood(others, 1) == {200: 5}
    over_tor = Sender([port], ledger, X_Forwarded_For="127.0.0.1", Host=ONION)
    assert flood([over_tor], 5) == {200: 5}
    here.drain()
    ledger.settle("flood from many addresses", here.delivered(), addresses=len(many))


@pytest.mark.slow
def test_a_flood_through_the_onion_service(guarded):
    """Where Tor names no circuits, a flood over Tor uses up the onion service's share, and others elsewhere send."""
    here, port = guarded
    here.variables |= {"HAUMARU_SERVER_PROXIES": "1", "HAUMARU_LIMITS_PER_ADDRESS": f"{(most := scale(1, 20))}/hour"}
    up(port, here.site(port))
    ledger = Ledger()
    with closing(Sender([port], ledger, X_Forwarded_For="127.0.0.1", Host=ONION)) as flooding:
        told = flood([flooding], 100 * most + 10)
    assert 50 * most <= told[200] <= 100 * most
    elsewhere = [Sender([port], ledger, X_Forwarded_For=f"8.8.8.{n}") for n in range(5)]
    assert flood(elsewhere, 1) == {200: 5}
    here.drain()
    ledger.settle("flood through the onion service", here.delivered())


@pytest.mark.slow
def test_a_flood_from_one_circuit(guarded):
    """Where Tor names circuits, a flood through one leaves all others on the onion able to send."""
    here, port = guarded
    here.variables["HAUMARU_SERVER_PROXIES"] = "1"
    up(port, here.site(port))
    ledger = Ledger()
    circuits = [Sender([port], ledger, X_Forwarded_For=f"fc00:dead:beef:4dad::{n}", Host=ONION) for n in range(5)]
    told = flood(circuits[:1], 3 * SHARE)
    assert LEAST <= told[200] <= SHARE
    assert flood(circuits[1:], 2) == {200: 8}
    here.drain()
    ledger.settle("flood through one circuit", here.delivered())
