"""A whole deployment on loopback: the units of deploy/, its proxy with TLS in front, and a tip sent through them."""

import http.client
import re
import socket
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from app.files.protocol import Task, unpack_result
from app.site.guide.recording_frames import RECORDING_BYTES
from tests.corpus import films
from tests.support import http1, http2
from tests.support.attacker import ask, circuit_line, connect, secured
from tests.support.deployed import configuration
from tests.support.paths import BIN, ROOT
from tests.support.proxies import NAME, ONION, haproxy
from tests.support.site import open_all, wait_until_up
from tests.support.units import Unit

pytestmark = [pytest.mark.needs("systemd", "haproxy", "nginx"), pytest.mark.slow]
SYSTEMD = ROOT / "deploy" / "systemd"


def photograph() -> bytes:
    """A small JPEG."""
    made = BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(made, "JPEG")
    return made.getvalue()


class Deployment:
    """The site, the forwarder and a proxy, until the test ends."""

    def __init__(self, folder: Path, proxy, log: Path, site_port: int) -> None:
        self.folder, self.proxy, self.log, self.site_port = folder, proxy, log, site_port
        self.visitor = proxy.visitor

    def line(self) -> http.client.HTTPConnection:
        """A connection to the proxy, over TLS."""
        line = http.client.HTTPConnection("127.0.0.1")
        line.sock = secured(connect(self.proxy.port), self.proxy.context(), NAME)
        return line

    def site_line(self) -> http.client.HTTPConnection:
        """A connection to the site itself."""
        return http.client.HTTPConnection("127.0.0.1", self.site_port, timeout=30)

    def tip(self, what: str) -> dict:
        """The delivered tip that says this, once it is there."""
        until = time.monotonic() + 60
        while True:
            for tip in open_all(sorted((self.folder / "inbox").glob("*.age")), self.folder / "identity.txt"):
                if tip["answers"].get("what") == what:
                    return tip
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.3)


@contextmanager
def deployed(folder: Path, **limits: str):
    """Everything started, in the order in which systemd would."""
    path, port = configuration(folder, **limits)
    log, place = folder / "units.log", folder / "proxy"
    place.mkdir()
    with ExitStack() as stack:
        site = stack.enter_context(Unit(SYSTEMD / "haumaru.service").started(BIN, path, log))
        stack.enter_context(Unit(SYSTEMD / "haumaru-forward.service").started(BIN, path, log))
        wait_until_up(f"http://127.0.0.1:{port}", site, log)
        yield Deployment(folder, stack.enter_context(haproxy(place, port, path)), log, port)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with deployed(tmp_path_factory.mktemp("deployed")) as running:
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


@pytest.mark.parametrize("forbidden", ["", "setpriority"])
def test_a_recording_is_encoded_anew_under_the_units_rules(forbidden):
    """A recording that only encoding makes safe comes back under the unit's rules, and where a priority is refused."""
    unit = Unit(SYSTEMD / "haumaru.service")
    unit.settings["SystemCallFilter"].append(f"~{forbidden}")
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-m", "app.files.worker", Task.ENCODE],
        input=films.of_kind("voice.aac"),
        env={},
        capture_output=True,
        check=False,
        preexec_fn=unit.rules(),  # the tests have no threads of their own
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert unpack_result(BytesIO(done.stdout)).files


def test_the_largest_body_touches_no_disk(deployment):
    """24 MB go through while the proxy has nowhere to write, and leave no file below its folder."""
    before = set(deployment.proxy.folder.rglob("*"))
    visitor = deployment.visitor()
    checked = visitor.check({"what": "As much as may be sent"})
    fields = [*checked.form("/report").fields, ("step", "send")]
    answer = visitor.post_files("/en/report", fields, [("noise.bin", b"\x01" * 24_000_000)])
    assert answer.status == 200, answer.words
    assert set(deployment.proxy.folder.rglob("*")) == before


def test_words_come_back_with_what_was_too_large(deployment):
    """Files beyond the limit go through the proxy to their end, and the page comes back with the words."""
    visitor = deployment.visitor()
    checked = visitor.check({"what": "Typed with care"})
    fields = [*checked.form("/report").fields, ("step", "send")]
    answer = visitor.post_files("/en/report", fields, [("noise.bin", b"\x01" * 110_000_000)])
    assert answer.status == 413
    assert dict(answer.form("/report").fields)["what"] == "Typed with care"


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


def test_a_certificate_authority_finds_what_the_acme_client_put_there(deployment):
    """What an ACME client writes into its folder is read over plain http, and nothing beside that folder."""
    place = deployment.proxy.folder / "acme" / ".well-known" / "acme-challenge"
    place.mkdir(parents=True)
    (place / "token").write_text("proof")
    for path in ("token", "../../../fullchain.pem", "%2e%2e/%2e%2e/%2e%2e/fullchain.pem.key"):
        line = http.client.HTTPConnection("127.0.0.1", deployment.proxy.http_port, timeout=30)
        line.request("GET", f"/.well-known/acme-challenge/{path}", headers={"Host": NAME})
        answer = line.getresponse()
        text = answer.read()
        line.close()
        assert (answer.status == 200) == (path == "token"), path
        assert b"BEGIN" not in text


def test_the_onion_service_has_the_proxy_in_front(deployment):
    """Tor's visitors come to the proxy's own port and are served under the onion's name."""
    for path in ("/en/", "/en/report"):
        with circuit_line(deployment.proxy.onion_port, 1) as line:
            answer = ask(line, ONION[7:], path)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"</h1>" in answer


@pytest.mark.slow
def test_the_site_hears_of_the_circuit(tmp_path):
    """Each circuit has a share of its own: what one has used up another still has."""
    with deployed(tmp_path, per_address="2/hour") as running:
        onion = running.proxy.onion_visitor
        statuses = [onion(7).send({"what": f"Number {number}"}).status for number in range(3)]
        assert statuses == [200, 200, 429]
        assert onion(8).send({"what": "On another circuit"}).status == 200


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
            with suppress(ConnectionResetError):  # the proxy may reset a connection whose bytes it cannot read
                line.shutdown(socket.SHUT_WR)
                line.recv(4096)
    said = proxy.log.read_text() + deployment.log.read_text()
    assert sign not in said
    assert "127.0.0.77" not in said
    for path in proxy.folder.rglob("*"):
        if path.is_file():
            assert sign.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_a_forged_address_counts_for_nothing(tmp_path):
    """Who writes X-Forwarded-For is still counted by the address the proxy saw; somebody else is counted apart."""
    with deployed(tmp_path, per_address="2/hour") as running:
        statuses = [
            running.visitor(X_Forwarded_For=f"198.51.100.{number}", Forwarded=f"for=198.51.100.{number}")
            .send({"what": f"Number {number}"})
            .status
            for number in range(4)
        ]
        assert statuses == [200, 200, 429, 429]
        assert running.visitor("127.0.0.3").send({"what": "From another address"}).status == 200


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The proxy without the site behind it."""
    folder = tmp_path_factory.mktemp("alone")
    path, port = configuration(folder)
    (folder / "proxy").mkdir()
    with haproxy(folder / "proxy", port, path) as proxy:
        yield proxy


def test_while_the_site_is_away_the_proxy_says_not_sent(alone):
    """Without the site behind it the proxy says that nothing was sent, logs nothing and never a false "sent"."""
    answer = alone.visitor("127.0.0.77").post("/en/report", {"what": "x"})
    assert answer.status in (502, 503)
    assert answer.text.startswith("Not sent. Nothing has been sent to anyone.")
    hindi = alone.visitor("127.0.0.77").post("/hi/report", {"what": "x"}).text
    assert hindi.startswith("नहीं भेजा गया")
    assert "111" in hindi.partition("Not sent.")[0]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"
    assert "127.0.0.77" not in alone.log.read_text()


def test_while_the_site_is_away_every_page_is_there(alone):
    """The guidance does not need the site: every page is read in each coding, and the handouts and the data too."""
    paths = [line.split()[0] for line in (alone.folder / "static/haproxy/plain.map").read_text().splitlines()]
    assert len(paths) > 300
    with secured(connect(alone.port), alone.context(), NAME) as line:
        connection = http.client.HTTPConnection("127.0.0.1")
        connection.sock = line
        for path in paths:
            connection.request("GET", path, headers={"Host": NAME})
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (200, True), path


@pytest.mark.parametrize(
    ("said", "language"),
    [("hi-IN,hi;q=0.9,en;q=0.8", "hi"), ("fil,en;q=0.5", "tl"), ("zh-TW", "zh-Hans"), ("de", "en")],
)
def test_while_the_site_is_away_the_first_page_knows_the_language(alone, said, language):
    """Without the site the bare address leads to the page in the visitor's language, as the site itself would."""
    answer = alone.visitor().get("/", **{"Accept-Language": said})
    assert (answer.status, answer.headers["location"]) == (303, f"/{language}/")


def test_while_the_site_is_away_the_way_out_holds(alone):
    """A visitor who took the way out is led away by the proxy, from a page and from the form, but no desk is."""
    for path in ("/en/help", "/en/report", "/", "/nowhere"):
        answer = alone.visitor(Cookie="a=b; x=1").get(path)
        assert (answer.status, answer.headers["location"]) == (303, "https://www.metservice.com/")
        assert answer.headers["cache-control"] == "no-store"
    assert alone.visitor(Cookie="x=1").post("/en/report", {"what": "x"}).status == 303
    assert alone.visitor(Cookie="x=1").post("/agency/replies", {"a": "b"}).status == 503


def test_the_proxy_knows_every_language_that_is_served(alone):
    """Each language for which there are pages is among those that the proxy looks for."""
    listed = re.search(r"language\(([a-z;-]+),en\)", (alone.folder / "haproxy.cfg").read_text())[1].split(";")
    tags = [line.split()[0] for line in (alone.folder / "static/haproxy/languages.map").read_text().splitlines()]
    assert set(tags) <= set(listed)
    assert {tag for tag in listed if "-" not in tag} == set(tags)


@pytest.mark.parametrize("coding", ["br", "gzip", "identity"])
def test_pages_are_the_programs_own_answers(deployment, coding):
    """What the proxy answers from its files is the site's own answer, header by header and byte by byte."""
    folder = deployment.proxy.folder
    paths = [line.split()[0] for line in (folder / "static/haproxy/plain.map").read_text().splitlines()]
    chosen = [path for path in paths if (path.startswith("/hi/") and "card" not in path) or path.count("/") == 1]
    with ExitStack() as stack:
        lines = [stack.enter_context(closing(line)) for line in (deployment.line(), deployment.site_line())]
        for path in chosen:
            for method in ("GET", "HEAD"):
                ours, theirs = (_raw(line, method, path, coding) for line in lines)
                assert ours == theirs, path
                assert ours[1]["cache-control"] == "no-store"


def _raw(line: http.client.HTTPConnection, method: str, path: str, coding: str):
    """Status, headers but for the date, and body as they came."""
    line.request(method, path, headers={"Host": NAME, "Accept-Encoding": coding})
    answer = line.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    assert headers.pop("date")
    return answer.status, headers, answer.read()


def test_the_way_out_is_the_sites_to_judge(deployment):
    """A page that is asked for with the way out's cookie is answered by the site, not from a file."""
    left = deployment.visitor().post("/go", {})
    cookie = left.headers["set-cookie"].partition(";")[0]
    answer = deployment.visitor(Cookie=cookie).get("/en/help")
    assert (answer.status, answer.headers["location"]) == (303, "https://www.metservice.com/")
    assert deployment.visitor(Cookie="x=1").get("/en/help").status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_tls_session_links_two_visits(deployment, version):
    """The proxy hands out no ticket and no session id, so that a second visit cannot be told from a first."""
    context = deployment.proxy.context()
    context.minimum_version = context.maximum_version = version

    def visit(session=None):
        plain = socket.create_connection(("127.0.0.1", deployment.proxy.port), 30)
        line = context.wrap_socket(plain, server_hostname=NAME, session=session)
        line.sendall(f"HEAD /en/ HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        while line.recv(4096):
            pass
        return line

    with visit() as first:
        assert first.session is None or not first.session.has_ticket
        assert first.session is None or version is ssl.TLSVersion.TLSv1_3 or not first.session.id
        with visit(first.session) as second:
            assert not second.session_reused


@pytest.mark.slow
def test_a_form_that_is_open_outlives_a_restart(tmp_path):
    """An upgrade or a rollback stops the site and starts another: a form opened before is sent after."""
    path, port = configuration(tmp_path)
    log, unit, place = tmp_path / "units.log", Unit(SYSTEMD / "haumaru.service"), tmp_path / "proxy"
    place.mkdir()
    with haproxy(place, port, path) as proxy:
        with unit.started(BIN, path, log) as site:
            wait_until_up(f"http://127.0.0.1:{port}", site, log)
            checked = proxy.visitor().check({"what": "Begun before, sent after"})
        with unit.started(BIN, path, log) as site:
            wait_until_up(f"http://127.0.0.1:{port}", site, log)
            sent = proxy.visitor().post("/en/report", [*checked.form("/report").fields, ("step", "send")])
    assert sent.heading == "Your report was sent"


@pytest.mark.parametrize("version", ["http/1.1", "onion"])
def test_a_player_gets_parts_of_a_recording_through_the_proxy(deployment, version):
    """The proxy answers a range with 206 and its bytes, as the site does, over TLS and for the onion service."""
    if version == "onion":
        line = http.client.HTTPConnection("127.0.0.1")
        line.sock, host = circuit_line(deployment.proxy.onion_port, 7), ONION.removeprefix("http://")
    else:
        line, host = deployment.line(), NAME
    with closing(line), closing(deployment.site_line()) as site:
        for asked in ("bytes=0-1", "bytes=1000-", "bytes=-5", "bytes=0-"):
            answers = []
            for each, name in ((line, host), (site, NAME)):
                each.request("GET", "/en/audio/help.mp3", headers={"Host": name, "Range": asked})
                answer = each.getresponse()
                headers = {key.lower(): value for key, value in answer.getheaders()}
                assert headers.pop("date")
                headers.pop("accept-ranges", "")  # nginx says so with the whole file alone
                answers.append((answer.status, headers, answer.read()))
            assert answers[0] == answers[1]
            status, headers, body = answers[0]
            assert (status, headers["content-range"].rpartition("/")[2]) == (206, str(RECORDING_BYTES))
            assert (len(body), headers["cache-control"]) == (int(headers["content-length"]), "no-store")
            assert not {"set-cookie", "etag", "last-modified", "age"} & headers.keys()
