"""The proxy of deploy/ on loopback: HAProxy, and nginx behind it.

Both read their own configuration, with nothing changed but names, ports and places.
"""

import http.client
import os
import resource
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support.attacker import circuit_line
from tests.support.paths import BIN, ROOT
from tests.support.ports import free_port
from tests.support.site import Visitor
from tests.support.units import Unit

NAME = "haumaru.test"
ONION = "http://" + "a" * 56 + ".onion"


@dataclass
class Proxy:
    """HAProxy that runs: its ports for TLS, the onion and plain http, where it may write, and all that it has said."""

    port: int
    onion_port: int
    http_port: int
    folder: Path
    log: Path
    ca: trustme.CA
    process: subprocess.Popen

    def context(self) -> ssl.SSLContext:
        """What a browser does that trusts the proxy's authority and no other."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context

    def visitor(self, address: str = "127.0.0.1", **headers: str) -> Visitor:
        """Somebody who comes over TLS from this address of loopback."""
        visitor = Visitor(f"https://{NAME}", **headers)
        context, port = self.context(), self.port

        class Connection(http.client.HTTPSConnection):
            def connect(self) -> None:
                plain = socket.create_connection(("127.0.0.1", port), 120, (address, 0))
                self.sock = context.wrap_socket(plain, server_hostname=NAME)

        class Handler(urllib.request.HTTPSHandler):
            def https_open(self, request):
                return self.do_open(Connection, request)

        visitor._opener = urllib.request.build_opener(Handler(context=context), _NoRedirect)
        return visitor

    def onion_visitor(self, circuit: int) -> Visitor:
        """Somebody who comes on this circuit of Tor; pages name their own address as clearnet has it."""
        visitor, port = Visitor(f"https://{NAME}", Host=ONION.removeprefix("http://")), self.onion_port

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                self.sock = circuit_line(port, circuit)

        class Handler(urllib.request.HTTPSHandler):
            def https_open(self, request):
                return self.do_open(Connection, request)

        visitor._opener = urllib.request.build_opener(Handler, _NoRedirect)
        return visitor


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def rewritten(path: Path, *changes: tuple[str, str]) -> str:
    """A file of deploy/ with its names and places changed; each must be there, so that the test tests this file."""
    text = path.read_text()
    for old, new in changes:
        assert old in text, f"{path.name} no longer says {old!r}"
        text = text.replace(old, new)
    return text


@contextmanager
def haproxy(
    folder: Path, site_port: int, config: Path, *more: tuple[str, str], variables: Mapping[str, str] | None = None
) -> Iterator[Proxy]:
    """Run HAProxy with deploy/haproxy/haproxy.cfg, and nginx behind it with the pages that `haumaru build` makes."""
    ca, ports = _certificate(folder), (free_port(), free_port(), free_port())
    static, socket_path = folder / "static", folder / "nginx.sock"
    build = [BIN / "haumaru", "build", "--static", static, "--config", config]
    subprocess.run(build, check=True, capture_output=True, cwd=folder, env=os.environ | (variables or {}))
    text = rewritten(
        ROOT / "deploy" / "haproxy" / "haproxy.cfg",
        ("    user haproxy\n    group haproxy\n", "    nbthread 2\n"),
        # This machine may let a process open 20,000 files and no more.
        ("    maxconn 10500\n", "    maxconn 7000\n"),
        ("bind [::]:443 ", f"bind [::1]:{ports[0]} "),
        ("    bind [::]:80 v6only\n", ""),
        ("bind 0.0.0.0:443 ", f"bind 127.0.0.1:{ports[0]} "),
        ("bind 0.0.0.0:80\n", f"bind 127.0.0.1:{ports[2]}\n"),
        ("bind 127.0.0.1:8081", f"bind 127.0.0.1:{ports[1]}"),
        ("/etc/ssl/haumaru", str(folder)),
        ("/srv/haumaru/site", str(static)),
        ("/run/haumaru-pages/nginx.sock", str(socket_path)),
        ("127.0.0.1:8000", f"127.0.0.1:{site_port}"),
        *more,
    )
    (folder / "haproxy.cfg").write_text(text)
    command = ["haproxy", "-W", "-f", str(folder / "haproxy.cfg")]
    with nginx(folder, static, socket_path), _running(command, folder, ca, ports) as proxy:
        yield proxy


@contextmanager
def nginx(folder: Path, static: Path, socket_path: Path) -> Iterator[subprocess.Popen]:
    """Run nginx with deploy/nginx/nginx.conf; whatever it would write of a request or an answer fails."""
    spool = [
        f"{kind}_temp_path {folder}/spool-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    ]
    text = rewritten(
        ROOT / "deploy" / "nginx" / "nginx.conf",
        ("user www-data;", "user root;\ndaemon off;" if os.geteuid() == 0 else "daemon off;"),
        ("worker_processes auto;", "worker_processes 2;"),
        ("/run/nginx.pid", f"{folder}/nginx.pid"),
        ("access_log off;", "access_log off;\n    " + "\n    ".join(spool)),
        ("/run/haumaru-pages/nginx.sock", str(socket_path)),
        ("/srv/haumaru/site", str(static)),
        ("/var/lib/haumaru-acme", f"{folder}/acme"),
    )
    (folder / "nginx.conf").write_text(text)
    command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "nginx.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, preexec_fn=_rules())  # noqa: PLW1509  # the tests have no threads
    try:
        until = time.monotonic() + 30
        while not socket_path.exists():
            assert process.poll() is None, (folder / "nginx.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        for place in folder.glob("spool-*"):
            shutil.rmtree(place)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _rules() -> Callable[[], None]:
    """The rules of the drop-in for proxies, under which both run."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return Unit(ROOT / "deploy" / "systemd" / "proxy.conf").rules(files=min(most, 20_000))


def _certificate(folder: Path) -> trustme.CA:
    ca = trustme.CA()
    certificate = ca.issue_cert(NAME)
    certificate.private_key_pem.write_to_path(folder / "fullchain.pem.key")
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    (folder / "fullchain.pem").write_bytes(chain)
    return ca


@contextmanager
def _running(command: list[str], folder: Path, ca: trustme.CA, ports: tuple[int, int, int]) -> Iterator[Proxy]:
    log = folder / "proxy.log"
    (variable,) = Unit(ROOT / "deploy" / "systemd" / "haproxy.conf").settings["Environment"]
    name, _, path = variable.partition("=")
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", name: path.replace("/etc", str(ROOT / "deploy"))}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, env=env, preexec_fn=_rules())  # noqa: PLW1509  # the tests have no threads
    try:
        for port in ports[:2]:
            _wait_for(port, process, log)
        yield Proxy(*ports, folder, log, ca, process)
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 2).close()
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        else:
            return
