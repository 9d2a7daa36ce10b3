"""The network that tests run in: loopback alone, shared with no other run."""

import os
import socket
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

CODE = """
import socket, sys
from tests.support.network import use_own_network
assert use_own_network()
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    socket.create_connection(server.getsockname()).close()
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\\0haumaru-test-of-networks")
try:
    socket.create_connection(("192.0.2.1", 9), timeout=5)
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a network")
def test_runs_on_one_machine_do_not_meet():
    """A port and an abstract name that one process holds are free in another process's network, which is cut off."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0haumaru-test-of-networks")
        command = [sys.executable, "-c", CODE, str(server.getsockname()[1])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Network is unreachable\n"), done.stderr
