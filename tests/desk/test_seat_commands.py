"""The commands for seats, and a desk on a network as a program: TLS, signing in, and nothing that leaks."""

import html
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from base64 import b64decode
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest
import trustme

from app.core.errors import ConfigError
from app.desk.config import load_desk_config
from app.desk.seat import Role
from app.desk.store import SealedStore
from tests.support.desk import Office, tip, wait_for
from tests.support.paths import BIN, ROOT, read_below
from tests.support.ports import free_port
from tests.support.seats import PASSPHRASE, SeatedDesk
from tests.support.security_key import SoftwareKey

WORDS = "Forty people sleep behind the cool store"


@pytest.fixture
def place(tmp_path):
    """An office whose desk is for a network, under the name localhost."""
    (tmp_path / "office").mkdir()
    return Place(Office(tmp_path / "office"), tmp_path)


class Place:
    """An office, the environment that puts its desk on a network, and what is said to the desk there."""

    def __init__(self, office, folder):
        authority = trustme.CA()
        made = authority.issue_cert("localhost")
        made.cert_chain_pems[0].write_to_path(folder / "desk.crt")
        made.private_key_pem.write_to_path(folder / "desk.key")
        self.context = ssl.create_default_context()
        authority.configure_trust(self.context)
        self.office, self.port, self.cookies = office, free_port(), SimpleCookie()
        self.origin = f"https://localhost:{self.port}"
        self.env = {
            "HAUMARU_DESK_BIND": f"127.0.0.1:{self.port}",
            "HAUMARU_DESK_HOST": f"localhost:{self.port}",
            "HAUMARU_DESK_TLS_CERT": str(folder / "desk.crt"),
            "HAUMARU_DESK_TLS_KEY": str(folder / "desk.key"),
        }

    def seat(self, *arguments, **more):
        command = [BIN / "haumaru-desk", "seat", *arguments[:1], "--config", self.office.config, *arguments[1:]]
        env = {**os.environ, **self.env, **more}
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)

    @contextmanager
    def serving(self):
        command = [sys.executable, "-m", "app.desk.cli", "serve", "--config", str(self.office.config)]
        env = {**os.environ, **self.env}
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=env) as running:
            try:
                assert running.stdout is not None
                self.first_line = running.stdout.readline()
                yield running
            finally:
                running.terminate()
                self.said = running.communicate(timeout=60)

    def ask(self, method, path, host="", **fields):
        """One request over TLS, with the cookies of this browser."""
        client = http.client.HTTPSConnection("localhost", self.port, timeout=60, context=self.context)
        headers = {"Origin": self.origin, "Content-Type": "application/x-www-form-urlencoded"}
        headers["Cookie"] = "; ".join(f"{name}={one.value}" for name, one in self.cookies.items())
        client.request(method, path, body=urlencode(fields), headers=headers | ({"Host": host} if host else {}))
        answer = client.getresponse()
        body = answer.read().decode()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            self.cookies.load(cookie)
        client.close()
        return answer.status, answer.headers.get("Location", ""), body

    def options(self, path):
        return html.unescape(re.search(r'data-security-key="([^"]+)"', self.ask("GET", path)[2])[1])


def code_of(said):
    return re.search(r"/enrol/([\w-]{43})\n", said)[1]


@pytest.mark.slow
def test_seats_need_a_desk_on_a_network_that_is_closed(place):
    """Without a host, for a wrong role and beside an open desk the command says what to do, and makes nothing."""
    bare = place.seat("add", "--role", "supervisor", "Kaia", HAUMARU_DESK_HOST="", HAUMARU_DESK_TLS_CERT="")
    assert bare.returncode == 1
    assert "tls_" in bare.stderr
    assert place.seat("add", "--role", "owner", "Kaia").returncode == 2
    assert place.seat("recover", "Kaia").stderr == "haumaru-desk: There is no such seat; the code is seat-gone\n"
    made = place.seat("add", "--role", "supervisor", "Kaia")
    assert made.stdout.endswith(f"{place.origin}/enrol/{code_of(made.stdout)}\n")
    again = place.seat("add", "--role", "handler", "kaia")
    assert again.returncode == 1
    assert "A seat has or had this name" in again.stderr
    assert place.seat("list").stdout.startswith("Kaia: Supervisor, has not used the link yet. Somebody at the desk's")
    assert code_of(place.seat("recover", "Kaia").stdout) != code_of(made.stdout)


@pytest.mark.slow
def test_a_desk_on_a_network_from_its_first_seat_to_a_tip(place):
    """The first supervisor enrols and reads a tip; plain HTTP and other hosts get nothing, and nothing leaks."""
    office = place.office
    office.drop(tip({"what": WORDS}))
    code = code_of(place.seat("add", "--role", "supervisor", "Kaia").stdout)
    key = SoftwareKey(place.origin, "localhost")
    with place.serving() as running:
        assert place.first_line == f"People sign in at {place.origin}/\n"
        assert place.ask("GET", "/")[:2] == (303, "/sign-in")
        assert place.ask("POST", f"/enrol/{code}", passphrase=PASSPHRASE, again=PASSPHRASE)[1] == "/enrol"
        assert place.ask("POST", "/enrol", answer=key.register(place.options("/enrol")))[1] == "/"
        wait_for(lambda: WORDS in place.ask("GET", "/")[2])
        assert "seats" in place.ask("GET", "/seats")[2]
        place.cookies.clear()
        assert place.ask("POST", "/sign-in", name="Kaia", passphrase=PASSPHRASE)[1] == "/sign-in/key"
        assert place.ask("POST", "/sign-in/key", answer=key.sign(place.options("/sign-in/key")))[1] == "/"
        assert place.ask("GET", "/", host="127.0.0.1")[0] == 400
        assert place.ask("GET", "/", host=f"evil.example:{place.port}")[0] == 400
        assert place.seat("add", "--role", "handler", "Tui").returncode == 1  # the desk is open
        with socket.create_connection(("127.0.0.1", place.port)) as plain:
            plain.sendall(b"GET /sign-in HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"HTTP" not in heard(plain)
        arguments = Path(f"/proc/{running.pid}/cmdline").read_bytes()
    secrets = secrets_of(place, code)
    assert len(secrets) >= 6
    everywhere = {**read_below([office.folder]), Path("arguments"): arguments, Path("said"): str(place.said).encode()}
    assert not [(name, path) for name, secret in secrets.items() for path, data in everywhere.items() if secret in data]
    assert place.said[1] == ""
    assert list((office.store).glob("seats.age"))


def heard(plain):
    plain.settimeout(10)
    try:
        return plain.recv(100)
    except ConnectionError:
        return b""


def secrets_of(place, code):
    """What a seat is made of, opened with the key of the desk: each of these words must stand nowhere in the clear."""
    data = SealedStore(place.office.store, (place.office.identity,)).read("seats.age")
    (seat,) = json.loads(data.split(b"\n")[0])["seats"]
    texts = [seat["verifier"]["derived"], seat["verifier"]["salt"], seat["keys"][0]["credential"], seat["handle"]]
    found = {f"{number}": text.encode() for number, text in enumerate(texts)}
    found |= {f"raw {number}": b64decode(text) for number, text in enumerate(texts)}
    return found | {"passphrase": PASSPHRASE.encode(), "code": code.encode(), "tip": b"cool store", "name": b"Kaia"}


@pytest.mark.slow
def test_a_start_without_a_supervisor_says_what_to_do(place):
    """A desk on a network that nobody can supervise says how the first seat is made."""
    with place.serving() as running:
        assert "haumaru-desk seat add --role supervisor" in running.stdout.readline()


@pytest.mark.slow
def test_a_seat_is_confirmed_at_the_desk_s_own_machine(tmp_path):
    """Where two must release and one supervisor made all other seats, the start says what to do, and the command helps.

    A seat that nobody uses yet is not confirmed.
    """
    place = Place(Office(tmp_path, release=2), tmp_path)
    with place.office.desk() as desk:
        seated = SeatedDesk(desk)
        kaia = seated.person("Kaia")
        seated.person("Tui", Role.HANDLER, kaia.seat)
        desk.seats.add(kaia.seat, "Rui", Role.HANDLER)
    with place.serving() as running:
        assert "haumaru-desk seat confirm NAME" in running.stdout.readline()
    assert "Tui: Handler, in use, not confirmed yet. Kaia gave the link on 2026-11-22.\n" in place.seat("list").stdout
    assert place.seat("confirm", "Tui").stdout == "The seat of Tui counts as one of two people.\n"
    assert place.seat("confirm", "Rui").returncode == 1
    assert place.seat("confirm", "Nobody").returncode == 1
    line = next(one for one in place.seat("list").stdout.splitlines() if one.startswith("Tui"))
    assert "not confirmed" not in line
    assert "Somebody at the desk's own machine confirmed the seat" in line


@pytest.mark.slow
def test_a_restart_and_two_at_once_keep_the_seats(place):
    """Two commands at once make two seats or one of them is told; a desk that is killed opens again with both."""
    threads = [threading.Thread(target=place.seat, args=("add", "--role", "handler", name)) for name in ("Kaia", "Tui")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    names = place.seat("list").stdout.count("\n")
    assert names in {1, 2}
    with place.serving() as running:
        running.kill()
        running.wait()
    assert place.seat("list").stdout.count("\n") == names


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"HAUMARU_DESK_HOST": "192.0.2.7:8443"}, "[desk] host: is not right; write a name"),
        ({"HAUMARU_DESK_HOST": "[::1]:8443"}, "[desk] host: is not right; write a name"),
        ({"HAUMARU_DESK_HOST": "https://desk.example"}, "[desk] host: is not right; write a name"),
        ({"HAUMARU_DESK_HOST": "désk.example"}, "[desk] host: is not right; write a name"),
        ({"HAUMARU_DESK_TLS_KEY": ""}, "[desk] tls_key: is missing; write host, tls_cert and tls_key"),
        ({"HAUMARU_DESK_TLS_CERT": ""}, "[desk] tls_cert: is missing; write host, tls_cert and tls_key"),
        ({"HAUMARU_DESK_HOST": ""}, "[desk] host: is missing; write host, tls_cert and tls_key"),
    ],
)
def test_a_fault_of_the_three_keys_names_its_remedy(place, changed, fault):
    """A host that is no name, and one or two of the three keys, stop the start and say what to write."""
    with pytest.raises(ConfigError) as caught:
        load_desk_config(place.office.config, place.env | changed)
    assert any(one.startswith(fault) for one in caught.value.faults), caught.value.faults


def test_another_address_than_loopback_needs_all_three(place):
    """Without host, tls_cert and tls_key a desk listens on loopback alone; with them on any address."""
    everywhere = {"HAUMARU_DESK_BIND": "0.0.0.0:8443"}
    with pytest.raises(ConfigError) as caught:
        load_desk_config(place.office.config, everywhere)
    assert "or write host, tls_cert and tls_key too" in str(caught.value)
    config = load_desk_config(place.office.config, place.env | everywhere)
    assert (config.bind.host, config.host.name, config.host.origin) == ("0.0.0.0", "localhost", place.origin)
    assert load_desk_config(place.office.config, place.env | {"HAUMARU_DESK_HOST": "desk.example"}).host.origin == (
        "https://desk.example"
    )
