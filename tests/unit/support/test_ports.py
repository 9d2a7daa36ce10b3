"""The ports that tests hand to their servers stay free for them."""

import json
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.ports import free_port

TAKE = """
import json, sys
from tests.support.ports import free_port
print(json.dumps([free_port() for _ in range(300)]), flush=True)
sys.stdin.read()
"""


def test_no_two_processes_get_one_port():
    """Four processes at once take 300 ports each, and no port is taken twice."""
    command = [sys.executable, "-c", TAKE]
    takers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    taken = [port for taker in takers for port in json.loads(taker.stdout.readline())]
    own = [free_port() for _ in range(300)]
    for taker in takers:
        taker.communicate("")
    assert len(taken) == 1200
    assert len({*taken, *own}) == 1500


def test_a_port_is_nobody_s_source_port():
    """No port is in the range from which the kernel takes the ports of outgoing connections."""
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert all(not first <= free_port() <= last for _ in range(100))


def test_a_port_in_use_is_not_handed_out(monkeypatch):
    """A port on which another program listens is passed over."""
    port = free_port()
    monkeypatch.setattr("tests.support.ports._candidates", lambda: range(port, port + 1))
    monkeypatch.setattr("tests.support.ports._given", set())
    with socket.create_server(("127.0.0.1", port)):
        try:
            found = free_port()
        except AssertionError as none_left:
            found = str(none_left)
    assert found == "no port of 127.0.0.1 is left"
    assert free_port() == port


def test_a_port_is_free_again_once_its_process_ended():
    """What a process reserved is handed out to others after its end."""
    code = "from tests.support.ports import free_port; print(free_port())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    from tests.support.ports import _reserve

    assert _reserve(int(done.stdout))
