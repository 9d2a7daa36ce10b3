"""A whole deployment on loopback: the units of deploy/, its proxies with TLS in front, and a tip sent through them."""

import http.client
import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.support import http1, http2
from tests.support.deployed import ONION, configuration
from tests.support.paths import BIN, ROOT
from tests.support.ports import free_port
from tests.support.proxies import NAME, caddy, nginx
from tests.support.site import open_all, wait_until_up
from tests.support.units import Unit

pytestmark = pytest.mark.needs("systemd")
SYSTEMD = ROOT / "deploy" / "systemd"
PROXIES = [
    pytest.param(nginx, marks=pytest.mark.needs("nginx"), id="nginx"),
    pytest.param(caddy, marks=pytest.mark.needs("caddy"), id="caddy"),
]


def photograph() -> bytes:
    """A small JPEG."""
    made = BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(made, "JPEG")
    return made.getvalue()


class Deployment:
    """The site, the forwarder and a proxy, until the test ends."""

    def __init__(self, folder: Path, proxy, log: Path) -> None:
        self.folder, self.proxy, self.log = folder, proxy, log
        self.visitor = proxy.visitor

    def tip(self, what: str) -> dict:
        """The delivered tip that says this, once it is there."""
        until = time.monotonic() + 60
        while True:
            for tip in open_all(sorted((self.folder / "inbox").glob("*.age")), self.folder / "identity.txt"):
                if tip["answers"]["what"] == what:
                    return tip
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.3)


@contextmanager
def deployed(folder: Path, front, **limits: str):
    """Everything started, in the order in which systemd would."""
    path, port = configuration(folder, **limits)
    log, place = folder / "units.log", folder / "proxy"
    place.mkdir()
    with ExitStack() as stack:
        site = stack.enter_context(Unit(SYSTEMD / "haumaru.service").started(BIN, path, log))
        stack.enter_context(Unit(SYSTEMD / "haumaru-forward.service").started(BIN, path, log))
        wait_until_up(f"http://127.0.0.1:{port}", site, log)
        yield Deployment(folder, stack.enter_context(front(place, port)), log)


@pytest.fixture(scope="module", params=PROXIES)
def deployment(request, tmp_path_factory):
    with deployed(tmp_path_factory.mktemp("deployed"), request.param) as running:
        yield running


def test_a_tip_goes_through_the_whole(deployment):
    """A tip sent over TLS, through the proxy, the site and the forwarder under their units' rules, is delivered."""
    sent = deployment.visitor().send({"what": "Sent through the whole"})
    assert (sent.status, sent.heading) == (200, "Your report was sent")
    assert deployment.tip("Sent through the whole")["files"] == []


def test_a_file_is_cleaned_under_the_units_rules(deployment):
    """The worker that rebuilds files can shut itself in where only the unit's system calls are allowed."""
    visitor = deployment.visitor()
    checked = visitor.check({"what": "A picture goes with it"})
    fields = [*checked.form("/report").fields, ("step", "send")]
    held = visitor.post_files("/en/report", fields, [("photo.jpg", photograph())])
    assert held.status == 200, held.words
    sent = visitor.post("/en/report", [*held.form("/report").fields, ("step", "confirm")])
    assert sent.heading == "Your report was sent"
    assert len(deployment.tip("A picture goes with it")["files"]) == 1


def test_the_largest_body_touches_no_disk(deployment):
    """24 MB go through while the proxy has nowhere to write, and leave no file below its folder."""
    before = set(deployment.proxy.folder.rglob("*"))
    visitor = deployment.visitor()
    checked = visitor.check({"what": "As much as may be sent"})
    fields = [*checked.form("/report").fields, ("step", "send")]
    answer = visitor.post_files("/en/report", fields, [("noise.bin", b"\x01" * 24_000_000)])
    assert answer.status == 200, answer.words
    assert set(deployment.proxy.folder.rglob("*")) == before


def test_what_comes_over_tls_is_marked_so(deployment):
    """Over TLS the way out's cookie is Secure, and every answer asks for TLS from now on."""
    left = deployment.visitor().post("/go", {})
    assert (left.status, left.headers["location"]) == (303, "https://www.metservice.com/")
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= {part.strip() for part in left.headers["set-cookie"].split(";")}
    for path in ("/en/", "/en/report", "/plan.json", "/nowhere"):
        answer = deployment.visitor().get(path)
        assert answer.headers["strict-transport-security"].startswith("max-age=63072000")
        assert answer.headers["server"] == "web"
        assert not {"via", "alt-svc", "x-powered-by"} & set(answer.headers)


PAGES = ("/en/", "/en/help", "/hi/signs", "/zh-Hans/what-is-trafficking", "/en/self-check", "/mi/plan", "/en/sheets")


@pytest.mark.parametrize("coding", ["br", "gzip"])
@pytest.mark.parametrize("version", ["http/1.1", "h2"])
def test_pages_are_equally_long_behind_the_proxy_too(deployment, version, coding):
    """Whoever counts the bytes that leave the proxy cannot tell one page from another, in HTTP/1.1 nor in HTTP/2."""

    def length(path):
        context = deployment.proxy.context()
        context.set_alpn_protocols([version])
        plain = socket.create_connection(("127.0.0.1", deployment.proxy.port), 30)
        with context.wrap_socket(plain, server_hostname=NAME) as line:
            return (http2 if version == "h2" else http1).answer_length(line, path, coding)

    # HTTP/2 writes some seconds of the date shorter than others: rounds that a second ended in are walked again.
    rounds = [{length(path) for path in PAGES} for _ in range(5)]
    assert min(map(len, rounds)) == 1, rounds


def test_plain_http_leads_pages_to_tls_and_desks_nowhere(deployment):
    """A page asked for over plain http is at its https address; a reply posted over plain http is refused."""
    for path, status, place in (("/en/help?x=1", 301, f"https://{NAME}/en/help?x=1"), ("/agency/replies", 403, None)):
        line = http.client.HTTPConnection("127.0.0.1", deployment.proxy.http_port, timeout=30)
        line.request("GET", path, headers={"Host": NAME})
        answer = line.getresponse()
        assert (answer.status, answer.getheader("location")) == (status, place)
        line.close()


def test_the_onion_service_has_the_proxy_in_front(deployment):
    """Tor's visitors come to the proxy's own port and are served under the onion's name."""
    with socket.create_connection(("127.0.0.1", deployment.proxy.onion_port), 30) as line:
        line.sendall(f"GET /en/ HTTP/1.1\r\nHost: {ONION[7:]}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"</h1>" in answer


def test_nothing_is_logged_whatever_visitors_do(deployment):
    """Good and broken requests, from an address that can be found again, leave no line in the proxy nor in the site."""
    proxy, sign = deployment.proxy, "CANARY-7ef1"
    visitor = proxy.visitor("127.0.0.77", User_Agent=sign)
    assert visitor.get(f"/en/?{sign}").status == 200
    assert visitor.get(f"/{sign}").status == 404
    assert visitor.post(f"/en/report?{sign}", {"what": sign}).status < 500
    for broken in (f"{sign}\r\n\r\n".encode(), b"\x16\x03\x01\xff\xff" + sign.encode(), b""):
        with socket.create_connection(("127.0.0.1", proxy.port), 10, ("127.0.0.77", 0)) as line:
            line.sendall(broken)
            line.shutdown(socket.SHUT_WR)
            line.recv(4096)
    said = proxy.log.read_text() + deployment.log.read_text()
    assert sign not in said
    assert "127.0.0.77" not in said
    for path in proxy.folder.rglob("*"):
        if path.is_file():
            assert sign.encode() not in path.read_bytes(), path


@pytest.mark.slow
@pytest.mark.parametrize("front", PROXIES)
def test_a_forged_address_counts_for_nothing(front, tmp_path):
    """Who writes X-Forwarded-For is still counted by the address the proxy saw; somebody else is counted apart."""
    with deployed(tmp_path, front, per_address="2/hour") as running:
        statuses = [
            running.visitor(X_Forwarded_For=f"198.51.100.{number}", Forwarded=f"for=198.51.100.{number}")
            .send({"what": f"Number {number}"})
            .status
            for number in range(4)
        ]
        assert statuses == [200, 200, 429, 429]
        assert running.visitor("127.0.0.3").send({"what": "From another address"}).status == 200


@pytest.mark.parametrize("front", PROXIES)
def test_while_the_site_is_away_the_proxy_says_not_sent(front, tmp_path):
    """Without the site behind it the proxy says that nothing was sent, logs nothing and never a false "sent"."""
    with front(tmp_path, free_port()) as proxy:
        answer = proxy.visitor("127.0.0.77").post("/en/report", {"what": "x"})
        said = proxy.log.read_text()
    assert answer.status in (502, 503)
    assert answer.text.startswith("Not sent.")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"
    assert "127.0.0.77" not in said


@pytest.mark.needs("nginx")
def test_a_form_that_is_open_outlives_a_restart(tmp_path):
    """An upgrade or a rollback stops the site and starts another: a form opened before is sent after."""
    path, port = configuration(tmp_path)
    log, unit, place = tmp_path / "units.log", Unit(SYSTEMD / "haumaru.service"), tmp_path / "proxy"
    place.mkdir()
    with nginx(place, port) as proxy:
        with unit.started(BIN, path, log) as site:
            wait_until_up(f"http://127.0.0.1:{port}", site, log)
            checked = proxy.visitor().check({"what": "Begun before, sent after"})
        with unit.started(BIN, path, log) as site:
            wait_until_up(f"http://127.0.0.1:{port}", site, log)
            sent = proxy.visitor().post("/en/report", [*checked.form("/report").fields, ("step", "send")])
    assert sent.heading == "Your report was sent"


@pytest.mark.needs("caddy")
def test_a_proxy_may_unpack_what_was_filled_up(tmp_path):
    """A proxy that asks for gzip and unpacks it, as one made with Go does by itself, gets the whole page."""
    with deployed(tmp_path, lambda place, port: caddy(place, port, ("compression off", ""))) as running:
        assert running.visitor().get("/en/help").status == 200


@pytest.mark.needs("nginx")
def test_the_proof_of_no_spooling_can_fail(tmp_path):
    """With a buffer smaller than a body nginx would write it to disk, and the same request fails here."""
    spooling = ("client_body_buffer_size 26m", "client_body_buffer_size 16k")
    with deployed(tmp_path, lambda place, port: nginx(place, port, spooling)) as running:
        visitor = running.visitor()
        request = urllib.request.Request(f"https://{NAME}/en/report", data=b"x" * 100_000)
        with pytest.raises(urllib.error.HTTPError, match="500"):
            visitor._opener.open(request, timeout=60)
