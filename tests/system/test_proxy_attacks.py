"""What one address, one network, one /48 or one Tor client sends to the shipped proxy, and what others still get.

The proxy and the program are the real ones, with the configuration of deploy/. Where a test waits for a time limit, the
limit is shortened.
"""

import os
import socket
import ssl
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support import http2
from tests.support.attacker import (
    ask,
    circuit_line,
    connect,
    connect_many,
    drip,
    everything,
    keep_open,
    open_lines,
    secured,
)
from tests.support.deployed import configuration
from tests.support.paths import BIN, ROOT
from tests.support.proxies import NAME, ONION, Proxy, haproxy
from tests.support.site import wait_until_up
from tests.support.units import Unit

pytestmark = [pytest.mark.needs("haproxy", "nginx", "systemd"), pytest.mark.slow]
ATTACKER, OTHER = "127.7.0.1", "127.99.0.1"
SHORTER = ("timeout http-request 20s", "timeout http-request 2s")
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


@contextmanager
def started(folder: Path, *changes: tuple[str, str], **limits: str):
    """The program under its unit's rules, and the proxy in front; yields the proxy and the program's process."""
    path, port = configuration(folder, **limits)
    (folder / "proxy").mkdir()
    log = folder / "site.log"
    with ExitStack() as stack:
        unit = Unit(ROOT / "deploy" / "systemd" / "haumaru.service")
        site = stack.enter_context(unit.started(BIN, path, log))
        wait_until_up(f"http://127.0.0.1:{port}", site, log)
        yield stack.enter_context(haproxy(folder / "proxy", port, path, *changes)), site


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    with started(tmp_path_factory.mktemp("attacked"), SHORTER) as (proxy, _):
        yield proxy


@pytest.fixture
def stack():
    with ExitStack() as opened:
        yield opened
    time.sleep(0.3)  # until the proxy has seen that they are closed


def read_page(proxy: Proxy, address: str = OTHER, path: str = "/en/help") -> bytes:
    """The answer to somebody else, over TLS."""
    with secured(connect(proxy.port, address), proxy.context(), NAME) as line:
        return ask(line, NAME, path)


def post(body: int, begun: str = "", host: str = NAME) -> bytes:
    """The head of a post whose body would be so long, and the body's beginning."""
    return f"POST /en/report HTTP/1.1\r\nHost: {host}\r\n{FORM}Content-Length: {body}\r\n\r\n{begun}".encode()


def test_one_address_holds_few_connections_and_others_read(front, stack):
    """Of 1,500 connections from one address the proxy keeps 256, before it reads one byte, and others get pages."""
    lines = keep_open(stack, connect_many(front.port, [ATTACKER] * 1500))
    assert len(open_lines(lines, 0.5)) <= 256
    assert read_page(front).startswith(b"HTTP/1.1 200")
    assert read_page(front, path="/en/report").startswith(b"HTTP/1.1 200")


def test_a_request_that_drips_ends_in_time(front, stack):
    """Headers that come byte by byte, each byte in time, are cut when the whole request has had its time."""
    begun = f"GET /en/help HTTP/1.1\r\nHost: {NAME}\r\nX-Slow: ".encode()
    tls = [secured(connect(front.port, ATTACKER), front.context(), NAME) for _ in range(20)]
    onion = [circuit_line(front.onion_port, 7) for _ in range(20)]
    lines = keep_open(stack, [*tls, *onion], begun)
    drip(lines, 4)
    assert open_lines(lines, 0.5) == []


def test_a_dripping_frame_of_http2_ends_in_time(front, stack):
    """In HTTP/2 too, headers that come byte by byte are cut when the request has had its time."""
    context = front.context()
    context.set_alpn_protocols(["h2"])
    lines = [context.wrap_socket(connect(front.port, ATTACKER), server_hostname=NAME) for _ in range(10)]
    keep_open(stack, lines, http2.BEGINNING + (4000).to_bytes(3, "big") + bytes([1, 1]) + (1).to_bytes(4, "big"))
    drip(lines, 5)
    assert open_lines(lines, 0.5) == []


def test_a_short_body_that_drips_never_reaches_the_site(front, stack):
    """32 bodies at a few bytes a second are cut in time, and meanwhile the form can be sent from elsewhere."""
    lines = [secured(connect(front.port, ATTACKER), front.context(), NAME) for _ in range(32)]
    keep_open(stack, lines, post(1_000_000, "what=slow"))
    sent = front.visitor(OTHER).check({"what": "While others are slow"})
    assert sent.status == 200
    drip(lines, 3)
    assert open_lines(lines, 0.5) == []


def test_long_bodies_of_one_network_leave_room_for_others(front, stack):
    """Of 64 long bodies from one /24, 8 reach the site; somebody elsewhere sends 2 MB meanwhile."""
    context = front.context()
    lines = [secured(connect(front.port, f"127.7.0.{1 + number % 200}"), context, NAME) for number in range(64)]
    keep_open(stack, lines, post(1_000_000, "what=" + "x" * 40_000))
    time.sleep(0.5)
    visitor = front.visitor(OTHER)
    checked = visitor.check({"what": "A file goes with it"})
    fields = [*checked.form("/report").fields, ("step", "send")]
    answer = visitor.post_files("/en/report", fields, [("noise.bin", b"\x01" * 2_000_000)])
    assert answer.status == 200
    refused = [line for line in lines if _answer_so_far(line).startswith(b"HTTP/1.1 503")]
    assert len(refused) >= 56


def _answer_so_far(line: socket.socket) -> bytes:
    line.settimeout(0.05)
    try:
        return line.recv(65536)
    except (TimeoutError, ssl.SSLWantReadError, OSError):
        return b""


@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
def test_a_body_without_a_length_is_refused(front, stack, method):
    """A body in chunks is answered 411, whatever the method, and the proxies hold none of its 20 MB."""
    before = _memory(front)
    line = secured(connect(front.port, ATTACKER), front.context(), NAME)
    stack.callback(line.close)
    line.sendall(f"{method} /en/report HTTP/1.1\r\nHost: {NAME}\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n".encode())
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = b""
    try:
        for _ in range(320):
            line.sendall(chunk)
    except OSError:
        pass
    answer = everything(line)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 411")
    assert _memory(front) - before < 10_000_000
    line = secured(connect(front.port, ATTACKER), front.context(), NAME)
    stack.callback(line.close)
    line.sendall(
        f"{method} /en/report HTTP/1.1\r\nHost: {NAME}\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode()
    )
    assert line.recv(65536).startswith(b"HTTP/1.1 411")


def test_a_connection_holds_little(front, stack):
    """A connection over TLS that has sent as much as it may before its request is whole takes less than 100 kB."""
    begun = f"GET /en/help HTTP/1.1\r\nHost: {NAME}\r\nX-Slow: {'x' * 14_000}".encode()
    before, context = _memory(front), front.context()
    lines = [secured(connect(front.port, f"127.8.{number}.1"), context, NAME) for number in range(200)]
    keep_open(stack, lines, begun)
    assert _memory(front) - before < 200 * 100_000


def _memory(proxy: Proxy) -> int:
    """The bytes that HAProxy's processes hold (proc(5), statm)."""
    found = subprocess.run(["pgrep", "-P", str(proxy.process.pid)], capture_output=True, text=True, check=True).stdout
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in found.split())
    return pages * os.sysconf("SC_PAGESIZE")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give loopback many addresses")
@pytest.mark.parametrize("width", [48, 56])
def test_a_network_of_ipv6_counts_as_one(front, stack, width):
    """1,500 connections, each from its own /64 of one /48 or /56, share what that network may hold."""
    subprocess.run(["ip", "-6", "route", "replace", "local", "2001:db8::/32", "dev", "lo"], check=True)
    step = 1 << (56 - width)
    addresses = [f"2001:db8:77:{number * 43 * step % (1 << (64 - width)):x}::{number:x}" for number in range(1500)]
    lines = keep_open(stack, connect_many(front.port, addresses, socket.AF_INET6))
    assert len(open_lines(lines, 0.5)) <= (512 if width == 48 else 256)
    with secured(connect(front.port, "2001:db8:99::1", socket.AF_INET6), front.context(), NAME) as line:
        assert ask(line, NAME).startswith(b"HTTP/1.1 200")


@pytest.mark.slow
def test_many_networks_at_once_leave_room_for_a_newcomer(tmp_path, stack):
    """100 networks that hold all they may fill two thirds of the places and no more: a newcomer reads a page."""
    smaller = [
        ("    maxconn 8000\n", "    maxconn 800\n"),
        ("fe_conn gt 4000", "fe_conn gt 400"),
        ("fe_conn gt 6000", "fe_conn gt 600"),
    ]
    with started(tmp_path, *smaller) as (proxy, _):
        networks = [f"127.{number}.0.1" for number in range(100, 200)]
        lines = keep_open(stack, connect_many(proxy.port, networks * 15))
        assert 590 <= len(open_lines(lines, 0.5)) <= 610
        assert read_page(proxy).startswith(b"HTTP/1.1 200")


def test_one_circuit_holds_few_connections_and_other_circuits_read(front, stack):
    """Of 200 connections on one circuit 32 are kept; another circuit reads the page, and so does clearnet."""
    lines = keep_open(stack, (circuit_line(front.onion_port, 7) for _ in range(200)))
    assert len(open_lines(lines, 0.5)) <= 32
    with circuit_line(front.onion_port, 8) as line:
        assert ask(line, ONION[7:]).startswith(b"HTTP/1.1 200")
    assert read_page(front).startswith(b"HTTP/1.1 200")


@pytest.mark.slow
def test_a_full_onion_leaves_clearnet_alone(tmp_path, stack):
    """When circuits have taken every place of the onion service, clearnet is served as before, the form too."""
    with started(tmp_path, ("    maxconn 2000\n", "    maxconn 60\n")) as (proxy, _):
        keep_open(stack, (circuit_line(proxy.onion_port, number) for number in range(100)))
        long_body = post(1_000_000, "what=" + "x" * 40_000, ONION[7:])
        keep_open(stack, (circuit_line(proxy.onion_port, 1000 + number) for number in range(60)), long_body)
        assert read_page(proxy).startswith(b"HTTP/1.1 200")
        assert proxy.visitor(OTHER).check({"what": "Not over Tor"}).status == 200


def test_a_slow_reader_of_long_answers_keeps_no_place_of_the_site(front, stack):
    """40 readers who ask for a handout and never read it leave the pages and the form to others."""
    request = f"GET /sheets.zip HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
    keep_open(stack, (secured(connect(front.port, ATTACKER), front.context(), NAME) for _ in range(40)), request)
    assert read_page(front).startswith(b"HTTP/1.1 200")
    assert read_page(front, path="/en/report").startswith(b"HTTP/1.1 200")


def test_requests_of_one_network_at_the_site_leave_room_for_others(front, stack):
    """While one network asks for the form again and again on 60 connections, others get the form."""
    context, stop = front.context(), threading.Event()

    def again(number: int) -> None:
        while not stop.is_set():
            try:
                with secured(connect(front.port, f"127.7.0.{number}"), context, NAME) as line:
                    ask(line, NAME, "/en/plan?goal=1")
            except OSError:
                continue

    threads = [threading.Thread(target=again, args=(number,)) for number in range(1, 61)]
    for thread in threads:
        thread.start()
    try:
        answers = [read_page(front, path="/en/report")[:12] for _ in range(5)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert answers == [b"HTTP/1.1 200"] * 5


def test_listeners_who_never_read_keep_no_page_from_others(tmp_path, stack):
    """Where nginx has 8 connections for pages, 48 players that never read a recording leave them to others."""
    request = f"GET /en/audio/help.mp3 HTTP/1.1\r\nHost: {NAME}\r\nRange: bytes=0-\r\n\r\n".encode()
    front, _ = stack.enter_context(started(tmp_path, ("nginx.sock maxconn 512", "nginx.sock maxconn 8")))
    for network in range(2):
        lines = (secured(connect(front.port, f"127.8.{network}.1"), front.context(), NAME) for _ in range(24))
        keep_open(stack, lines, request)
    assert read_page(front).startswith(b"HTTP/1.1 200")
    assert read_page(front, path="/en/report").startswith(b"HTTP/1.1 200")
    assert read_page(front, path="/en/audio/help.mp3").startswith(b"HTTP/1.1 200")
