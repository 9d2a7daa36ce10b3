"""Who watches the network learns no more than was said: one length for every page, one picture of what is forwarded."""

import gzip
import itertools
import random
import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import brotli
import pytest

from app.core.errors import DeliveryError
from app.delivery.forwarder import Forwarder, ForwardRules
from app.delivery.leases import Leases
from app.delivery.outbox import Envelope, Outbox
from app.delivery.pace import Pace
from app.site import demo, factory
from app.site.config import load_config
from app.site.web import padding
from app.vault.age import ENVELOPE_BYTES
from tests.support.envelopes import decoy, nodes, real
from tests.support.faults import Clock, deployment, report, scale, up
from tests.support.ports import free_port
from tests.support.visit import KNOWN
from tests.support.watched import told_apart_in

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
    return every + [f"/{lang}/plan/actions{query}" for lang in languages for query in FILTERS]


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
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/en/plan/actions?pillar=&goal=") as answer:
        assert answer.url == f"http://127.0.0.1:{port}/en/plan/actions"


# What leaves

PACE = Pace(cells=4, stock=16)


@dataclass
class Line:
    """The line to an agency: what a watcher sees of each delivery, who may refuse it."""

    clock: Callable[[], float]
    refuses: Callable[[str], bool] = lambda _: False
    seen: list[tuple[float, int]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)

    def deliver(self, envelope: Envelope, *, seconds: float) -> None:
        assert seconds > 0
        self.seen.append((self.clock(), len(envelope.data)))
        self.ids.append(envelope.id)
        if self.refuses(envelope.id):
            raise DeliveryError("refused")
        self.passed.add(envelope.id)

    def probe(self, *, seconds: float) -> int | None:  # noqa: ARG002  # a transport's second verb
        return None


def forwarder(box: Outbox, line: Line, pace: Pace = PACE) -> Forwarder:
    return Forwarder(box, {"intake": line}, ForwardRules(WINDOW, {"intake": pace}), make_decoy=decoy, clock=line.clock)


def days(number: int, arriving: Callable[[], Sequence[bool]]) -> tuple[list[list[tuple[float, int]]], set[str]]:
    """What leaves in each of so many windows while tips arrive, with a photograph or without; and the tips' ids."""
    line, tips, windows = Line(Clock()), set(), []
    with nodes(2) as boxes:
        forwarders = [forwarder(box, line) for box in boxes]
        for _ in range(number):
            for photograph in arriving():
                envelopes = real(photograph=photograph)
                random.choice(boxes).put(envelopes, now=line.clock())
                tips.update(envelope.id for envelope in envelopes)
            line.seen.clear()
            # Every node tries every window; one of them has it.
            for one in random.sample(forwarders, 2):
                one.run_window(int(line.clock()))
            windows.append(list(line.seen))
            line.clock.wait(WINDOW)
        for number_ in range(40):
            if tips <= line.passed:
                break
            forwarders[number_ % 2].run_window(int(line.clock()))
            line.clock.wait(WINDOW)
    assert tips <= line.passed
    return windows, tips


def test_simulated_days_look_the_same_with_tips_and_without():
    """Over many windows and two nodes: number, length and time of what leaves are the same with tips and without."""
    number = scale(24, 3 * 144)
    quiet, none = days(number, list)
    some, tips = days(number, lambda: random.choice([[], [], [False], [False, False], [True]]))
    assert (len(none), len(tips) > number // 2) == (0, True)
    assert quiet == some
    assert {len(window) for window in some} == {PACE.cells}
    lengths = {length for window in quiet + some for _, length in window}
    assert lengths == {ENVELOPE_BYTES}
    report("windows that differ, quiet beside tips", windows=len(quiet), tips=len(tips), differ=0, lengths=1)


@pytest.mark.parametrize("tips", [0, 3, 6, 12])
def test_after_blocked_hours_no_more_leave_at_once(tips):
    """After hours in which nothing passed each window has its cells, however many tips came; and all of them arrive."""
    line = Line(Clock(), refuses=lambda _: True)
    with nodes() as (box,):
        post, mine = forwarder(box, line), set()
        post.run_window(int(line.clock()))
        for number in range(scale(4, 12)):
            envelopes = real() if number < tips else []
            mine.update(envelope.id for envelope in envelopes)
            if envelopes:
                box.put(envelopes, now=line.clock())
            line.clock.wait(WINDOW)
            post.run_window(int(line.clock()))
        line.refuses = lambda _: False
        for _ in range(16):
            line.clock.wait(WINDOW)
            post.run_window(int(line.clock()))
    assert set(Counter(moment for moment, _ in line.seen).values()) == {PACE.cells}
    assert mine <= line.passed


def test_after_a_refused_window_tips_and_decoys_come_back_alike():
    """All ids of a refused window come again, tips and decoys, at most half of the cells in each later window."""
    line = Line(Clock(), refuses=lambda _: True)
    with nodes() as (box,):
        post = forwarder(box, line)
        (envelope,) = real()
        box.put([envelope], now=line.clock())
        post.run_window(int(line.clock()))
        refused, line.refuses = set(line.ids), lambda _: False
        assert (len(refused), envelope.id in refused) == (PACE.cells, True)
        again = []
        for _ in range(2):
            line.clock.wait(WINDOW)
            post.run_window(int(line.clock()))
            again.append(refused & set(line.ids[-PACE.cells :]))
    assert [len(ids) for ids in again] == [2, 2]
    assert again[0] | again[1] == refused


@pytest.mark.slow
def test_no_gap_between_deliveries_tells_a_tip_from_a_decoy():
    """At a real pace, the time from a tip's delivery to the next one is as after a decoy's."""
    line, stop, mine, begun = Line(time.time), threading.Event(), set(), []
    most = scale(60, 600)

    def refuses(_: str) -> bool:
        begun.append(time.monotonic())
        if len(begun) == most:
            stop.set()
        return False

    line.refuses = refuses
    with nodes() as (box,):
        rules = ForwardRules(1, {"intake": Pace(8, 32)})
        running = threading.Thread(target=Forwarder(box, {"intake": line}, rules, make_decoy=decoy).run, args=(stop,))
        running.start()
        while not stop.wait(random.random() / 2):
            (envelope,) = real()
            box.put([envelope])
            mine.add(envelope.id)
        running.join()
    gaps = [later - before for before, later in itertools.pairwise(begun)]
    after = [[gap for gap, one in zip(gaps, line.ids, strict=False) if (one in mine) == is_tip] for is_tip in (1, 0)]
    found, away = told_apart_in([(after[0], after[1])])
    report("a tip told from a decoy by the gap after it", right=f"{found:.2f}", chance=0.5, tips=len(after[0]))
    assert found < 0.5 + away


# To which of two agencies

BOTH = ("intake", "police")
MANY_PARTS = 5_000_000  # bytes: 40 envelopes, where the stock has 16


def rows(box: Outbox) -> dict[str, dict[str, bool]]:
    """What a copy of the disk shows: the ids for each agency, and whether each was tried."""
    return {agency: dict(Leases(box.database).waiting(agency)) for agency in BOTH}


def two_agencies(sizes: Sequence[int], choose: Callable[[], str]) -> tuple[list[str], list[dict[str, tuple]]]:
    """Put a tip in each window and let the window pass; what a watcher of disk and lines finds for each agency."""
    choices, found = [], []
    with nodes() as (box,):
        lines = {agency: Line(Clock()) for agency in BOTH}
        paces = dict.fromkeys(BOTH, PACE)
        post = Forwarder(box, lines, ForwardRules(WINDOW, paces), make_decoy=decoy, clock=lines["intake"].clock)
        post.run_window(int(lines["intake"].clock()))
        for size in sizes:
            chosen = choose()
            choices.append(chosen)
            tip = real(photograph=size > 0, agency=chosen, size=size)
            covers = [decoy(agency) for agency in BOTH if agency != chosen for _ in tip]
            before = rows(box)
            box.put(tip, covers=covers, now=lines["intake"].clock())
            after = rows(box)
            lines["intake"].clock.wait(WINDOW)
            for line in lines.values():
                line.seen.clear()
            post.run_window(int(lines["intake"].clock()))
            end = rows(box)
            found.append(
                {
                    agency: (
                        len(after[agency].keys() - before[agency].keys()),
                        len(before[agency].keys() - after[agency].keys()),
                        len(end[agency]),
                        sum(end[agency].values()),
                        [length for _, length in lines[agency].seen],
                    )
                    for agency in BOTH
                }
            )
    return choices, found


@pytest.mark.slow
def test_nobody_sees_to_which_agency_a_tip_goes():
    """Copies of the disk and both lines look the same for each agency, with words, pictures, or more than a stock."""
    sizes = [0, 0, 200_000, MANY_PARTS, 0, *[0] * scale(8, 40), 200_000, 0]
    choices, found = two_agencies(sizes, lambda: random.choice(BOTH))
    differing = [number for number, one in enumerate(found) if one["intake"] != one["police"]]
    report("windows in which the agencies differ", windows=len(found), chosen=Counter(choices), differ=len(differing))
    assert differing == []
    assert max(one["intake"][2] for one in found) >= 64  # the level rose for both
    assert all(one[agency][4] == [ENVELOPE_BYTES] * PACE.cells for one in found for agency in BOTH)
