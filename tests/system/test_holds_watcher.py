"""Who watches the network learns no more than was said: one length for every page, one picture of what is forwarded."""

import gzip
import random
import socket
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import brotli
import pytest

from app.delivery.forwarder import Forwarder, ForwardRules
from app.delivery.outbox import Envelope, Outbox
from app.site import demo, factory
from app.site.config import load_config
from app.site.web import padding
from app.vault.age import seal
from app.vault.keys import DEMONSTRATION, recipient_of
from app.vault.tip import Tip, new_decoy, new_tip_id, tip_to_bundle
from tests.support.faults import Clock, deployment, report, scale, up
from tests.support.ports import free_port
from tests.support.visit import KNOWN

PAGES = (
    " help self-check signs what-is-trafficking law response plan contact anonymity privacy accessibility about sheets"
    " report reply nowhere"
).split(" ")
FILTERS = ["?pillar=prevention", "?timetable=ongoing", "?goal=1&agency=Police", "?pillar=no-such"]
OPEN = {"br": brotli.decompress, "gzip": gzip.decompress, "": bytes}
WINDOW = 600


@pytest.fixture(scope="module")
def port(tmp_path_factory) -> Iterator[int]:
    with deployment(tmp_path_factory.mktemp("watched")) as here:
        port = free_port()
        up(port, here.site(port))
        yield port


def answer(peer: socket.socket, path: str, coding: str) -> tuple[int, bytes]:
    """How many bytes a whole answer takes on the wire, and its page."""
    host, port = peer.getpeername()
    asked = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept-Encoding: {coding or 'identity'}\r\n\r\n"
    peer.sendall(asked.encode())
    wire = b""
    while b"\r\n\r\n" not in wire:
        wire += peer.recv(65_536)
    head, _, body = wire.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert fields.get(b"content-encoding", b"").decode() == coding
    while len(body) < int(fields[b"content-length"]):
        body += peer.recv(65_536)
    return len(head) + 4 + len(body), OPEN[coding](body)


def paths(languages: tuple[str, ...]) -> list[str]:
    """Every page in these languages, the forms, pages that are not there, and the plan filtered."""
    every = [f"/{lang}/{page}" for lang in languages for page in PAGES]
    return every + [f"/{lang}/plan{query}" for lang in languages for query in FILTERS]


@pytest.mark.parametrize(("coding", "most"), [("br", 12_000), ("gzip", 14_000), ("", 64 * 1024)])
def test_every_page_has_one_length(port, coding, most):
    """Each page in each language, the forms and the error page are equally long on the wire, headers included."""
    with socket.create_connection(("127.0.0.1", port), 60) as peer:
        found = {path: answer(peer, path, coding) for path in paths(tuple(KNOWN))}
    told = Counter(length for length, _ in found.values())
    before = Counter(len(OPEN_BEFORE[coding](page.rstrip(b" "))) for _, page in found.values())
    report(
        f"lengths of answers in {coding or 'plain'}",
        answers=len(found),
        lengths_before=len(before),
        lengths_after=len(told),
        bytes_each=next(iter(told)),
        mean_before=round(sum(length * times for length, times in before.items()) / len(found)),
    )
    assert len(before) > 100
    assert {path: length for path, (length, _) in found.items() if length != max(told)} == {}
    assert max(told) <= most
    assert all(page.rstrip().endswith(b"</html>") for _, page in found.values())


OPEN_BEFORE = {
    "br": lambda page: brotli.compress(page, quality=5),
    "gzip": lambda page: gzip.compress(page, 6, mtime=0),
    "": bytes,
}


def test_the_length_is_the_same_with_every_header_that_a_real_site_sends(tmp_path):
    """With TLS in front, and an onion service whose address in a header is as long as the page's own."""
    variables = {"HAUMARU_SITE_BASE_URL": "https://example.org", "HAUMARU_SITE_ONION": f"http://{'a' * 56}.onion"}
    settings = load_config(demo.prepare_folder(tmp_path / "demo"), variables)
    found = Counter()
    for page in factory.prerender_site(settings).pages.values():
        names = dict(page.headers)
        if names["Content-Type"].startswith("text/html"):
            assert names["Onion-Location"]
            assert names["Strict-Transport-Security"]
            for coding in ("br", "gzip"):
                body = getattr(page, coding)
                sent = [*page.headers, ("Content-Length", str(len(body))), ("Content-Encoding", coding)]
                found[padding.head_length("200 OK", sent) + len(body)] += 1
    assert found == {12_000: found.total() // 2, 14_000: found.total() // 2}
    assert found.total() > 200


def test_the_plan_without_a_filter_has_one_address(port):
    """A filter form sent empty leads to the page that is ready, and in the class."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/en/plan?pillar=&goal=") as answer:
        assert answer.url == f"http://127.0.0.1:{port}/en/plan"


# What leaves


@dataclass
class Agency:
    """An end that notes what a watcher between here and there would see: when a delivery begins, and how long it is."""

    clock: Clock
    seen: list[tuple[float, int]] = field(default_factory=list)
    begun: list[tuple[float, str]] = field(default_factory=list)

    def deliver(self, envelope: Envelope, *, seconds: float) -> None:
        assert seconds > 0
        self.begun.append((time.monotonic(), envelope.id))
        self.seen.append((self.clock(), len(envelope.data)))

    def probe(self, *, seconds: float) -> int | None:  # noqa: ARG002  # a transport's second verb
        return None


def decoy() -> Envelope:
    tip = new_decoy()
    return Envelope(tip.id, "intake", seal(tip_to_bundle(tip), RECIPIENTS))


def real() -> Envelope:
    tip = Tip(id=new_tip_id(), received=datetime.now(UTC).date(), answers={"what": "x" * random.randrange(9_000)})
    return Envelope(tip.id, "intake", seal(tip_to_bundle(tip), RECIPIENTS))


RECIPIENTS = [recipient_of(DEMONSTRATION)]


def days(folder: Path, number: int, arriving) -> tuple[list[list[int]], int]:
    """What leaves in each window of so many days while `arriving()` tips come in each; and how many tips there were."""
    clock, sent = Clock(), 0
    agency = Agency(clock)
    nodes = [Outbox(f"sqlite:///{folder}/outbox.db") for _ in range(2)]
    forwarders = [
        Forwarder(box, {"intake": agency}, ForwardRules(WINDOW, 4, "intake"), make_decoy=decoy, clock=clock)
        for box in nodes
    ]
    windows = []
    for _ in range(number * 86_400 // WINDOW):
        for _ in range(arriving()):
            random.choice(nodes).put(real(), now=clock())
            sent += 1
        agency.seen.clear()
        # Every node tries every window; one of them has it.
        for forwarder in random.sample(forwarders, 2):
            forwarder.run_window(int(clock()))
        assert {moment for moment, _ in agency.seen} == {clock()}
        windows.append([length for _, length in agency.seen])
        clock.wait(WINDOW)
    for box in nodes:
        box.database.close()
    return windows, sent


def test_simulated_days_look_the_same_with_tips_and_without(tmp_path):
    """Over days and two nodes: number, length and time of what leaves are the same with no tips and with some."""
    number = scale(1, 30)
    quiet, none = days(tmp_path / "quiet", number, lambda: 0)
    some, sent = days(tmp_path / "some", number, lambda: min(4, random.choice([0, 0, 0, 1, 1, 2, 4])))
    assert none == 0
    assert sent > len(some) // 2
    assert quiet == some
    assert {len(window) for window in quiet} == {4}
    assert len({length for window in quiet + some for length in window}) == 1
    report("windows that differ, quiet beside some tips", windows=len(quiet), tips=sent, differ=0)


def test_beyond_the_batch_only_the_power_of_two_shows(tmp_path):
    """When more arrive, two windows that took a different number of tips under one power of two are the same."""
    numbers = [5, 6, 7, 8, 9, 12, 15, 16]
    left, _ = days(tmp_path / "busy", 1, lambda: numbers.pop() if numbers else 0)
    assert [len(window) for window in left[:9]] == [16, 16, 16, 16, 8, 8, 8, 8, 4]
    assert len({length for window in left for length in window}) == 1


def gaps(folder: Path, pace: float, turns: int) -> tuple[list[float], list[float]]:
    """Seconds from a delivery's beginning to the next one's: after tips, after decoys; half of what leaves are tips."""
    clock = Clock()
    agency = Agency(clock)
    box = Outbox(f"sqlite:///{folder}/outbox.db")
    forwarder = Forwarder(
        box, {"intake": agency}, ForwardRules(WINDOW, 8, "intake", pace=pace), make_decoy=decoy, clock=clock
    )
    after_tips, after_decoys = [], []
    for _ in range(turns):
        mine = [real() for _ in range(4)]
        for envelope in mine:
            box.put(envelope, now=clock())
        agency.begun.clear()
        forwarder.run_window(int(clock()))
        ids = {envelope.id for envelope in mine}
        for (begun, tip), (following, _) in zip(agency.begun, agency.begun[1:], strict=False):
            (after_tips if tip in ids else after_decoys).append(following - begun)
        clock.wait(WINDOW)
    box.database.close()
    return after_tips, after_decoys


def told_apart(some: list[float], others: list[float]) -> float:
    """How often a watcher is right who guesses by size alone which of two is which: 0.5 is chance, 1 is always."""
    wins = sum((one > other) + (one == other) / 2 for one in some for other in others) / (len(some) * len(others))
    return max(wins, 1 - wins)


@pytest.mark.slow
def test_no_gap_between_deliveries_tells_a_tip_from_a_decoy(tmp_path):
    """Settling a tip takes longer than making a decoy; at a pace nobody sees that, and without one anybody does."""
    turns = scale(12, 60)
    before = told_apart(*gaps(tmp_path / "unpaced", 0.0, turns))
    after = told_apart(*gaps(tmp_path / "paced", scale(1, 3) / 10, turns))
    report("a tip told from a decoy by the gap after it", before=f"{before:.2f}", after=f"{after:.2f}", chance=0.5)
    assert before > 0.75
    assert after < 0.72, "chance and its spread"
