"""The three transports, each against a real server on loopback, willing and unwilling."""

import email
import email.policy
import os
import socket
import stat
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.core.errors import ConfigError, DeliveryError
from app.delivery.destinations import Destination, open_transport
from app.delivery.outbox import Envelope
from app.delivery.smtp import SmtpTransport
from app.delivery.transports import BoundedTransport, FolderTransport, Transport
from app.vault.tip import new_tip_id
from tests.support import servers
from tests.support.ports import free_port

NOW = datetime(2026, 11, 22, 5, 43, 21, tzinfo=UTC).timestamp()  # 18:43 in New Zealand
MIDNIGHT = datetime(2026, 11, 21, 11, 0, 0, tzinfo=UTC).timestamp()


@pytest.fixture
def envelope() -> Envelope:
    return Envelope(new_tip_id(), "intake", os.urandom(140_000))


def transport(url: str, certificates: servers.Certificates, **more: object) -> Transport:
    return open_transport(Destination("intake", url, ca=certificates.ca, **more), base=Path("/"))


def failure(way: Transport, envelope: Envelope, seconds: float = 20) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        way.deliver(envelope, seconds=seconds)
    assert caught.value.__cause__ is None
    return caught.value


# drop:


def test_drop_leaves_one_dated_file(tmp_path, envelope):
    """A dropped envelope is one file named by its id, its bytes whole, its times the day's beginning."""
    FolderTransport(tmp_path, clock=lambda: NOW).deliver(envelope, seconds=5)
    (file,) = tmp_path.iterdir()
    assert file.name == f"{envelope.id}.age"
    assert (file.stat().st_mtime, file.stat().st_atime) == (MIDNIGHT, MIDNIGHT)
    assert file.read_bytes() == envelope.data
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_drop_twice_is_one(tmp_path, envelope):
    """An envelope dropped twice, or after a delivery that was killed, is one whole file."""
    (tmp_path / f".{envelope.id}.age.0123456789abcdef.part").write_bytes(b"half" * 100_000)
    way = FolderTransport(tmp_path)
    way.deliver(envelope, seconds=5)
    way.deliver(envelope, seconds=5)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [envelope.data]


def test_drop_refuses_a_missing_folder(tmp_path, envelope):
    """A folder that is not there is a failure, and is not made."""
    folder = tmp_path / "not-mounted"
    assert failure(FolderTransport(folder), envelope).code == "disk"
    assert not folder.exists()
    with pytest.raises(DeliveryError, match="disk"):
        FolderTransport(folder).probe(seconds=1)
    assert FolderTransport(tmp_path).probe(seconds=1) is None


def test_drop_leaves_nothing_half_written(tmp_path, envelope):
    """Where the file cannot take its name, the temporary one goes too."""
    (tmp_path / f"{envelope.id}.age").mkdir()
    assert failure(FolderTransport(tmp_path), envelope).code == "disk"
    assert [file.name for file in tmp_path.iterdir()] == [f"{envelope.id}.age"]


def test_drop_does_not_follow_a_link(tmp_path, envelope, monkeypatch):
    """A link planted under the temporary name is not written through."""
    target = tmp_path / "target"
    target.write_bytes(b"mine")
    folder = tmp_path / "inbox"
    folder.mkdir()
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    (folder / f".{envelope.id}.age.guessed.part").symlink_to(target)
    assert failure(FolderTransport(folder), envelope).code == "disk"
    assert target.read_bytes() == b"mine"


def test_no_two_attempts_write_one_temporary_file(tmp_path, envelope, monkeypatch):
    """Each attempt to drop an envelope writes a temporary file of its own, and one whole file is left."""
    names = []
    rename = Path.rename

    def noted(self: Path, target: Path) -> Path:
        names.append(self.name)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", noted)
    for _ in range(4):
        FolderTransport(tmp_path).deliver(envelope, seconds=5)
    assert len(set(names)) == 4
    assert [file.name for file in tmp_path.iterdir()] == [f"{envelope.id}.age"]


# A delivery that hangs


class Hanging:
    """A transport on a disk that hangs until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.taken: list[str] = []

    def deliver(self, envelope: Envelope, *, seconds: float) -> None:  # noqa: ARG002  # a disk keeps no time
        self.let_go.wait(30)
        self.taken.append(envelope.id)

    def probe(self, *, seconds: float) -> int | None:  # noqa: ARG002
        return 7


def test_a_delivery_that_hangs_ends_in_time(envelope, monkeypatch):
    """A delivery that does not return fails by time, no second one begins beside it, and a late success is known."""
    monkeypatch.setattr("app.delivery.transports._GRACE_SECONDS", 0.1)
    hanging = Hanging()
    bounded = BoundedTransport(hanging)
    assert bounded.probe(seconds=1) == 7
    begun = time.monotonic()
    assert failure(bounded, envelope, seconds=0.1).code == "timeout"
    assert time.monotonic() - begun < 5
    assert bounded.hangs
    assert failure(bounded, envelope).code == "timeout"
    assert bounded.late == set()
    hanging.let_go.set()
    while bounded.hangs:
        time.sleep(0.01)
    assert bounded.late == {envelope.id}
    bounded.deliver(envelope, seconds=5)
    assert hanging.taken == [envelope.id] * 2


def test_a_bounded_transport_passes_failures_on(tmp_path, envelope):
    """A failure of the transport is raised as it is, and nothing is late."""
    bounded = BoundedTransport(FolderTransport(tmp_path / "not-mounted"))
    assert failure(bounded, envelope).code == "disk"
    assert (bounded.hangs, bounded.late) == (False, set())


# https:


def test_https_posts_the_envelope(certificates, envelope):
    """An envelope is POSTed with its id as the key, the token as the bearer's, and nothing of ours beside."""
    with servers.https(certificates) as (port, endpoint):
        transport(f"https://localhost:{port}/in?x=1", certificates, token="secret").deliver(envelope, seconds=20)
    (request,) = endpoint.requests
    assert (request.path, request.body) == ("/in?x=1", envelope.data)
    assert request.headers == {
        "Host": f"localhost:{port}",
        "Accept-Encoding": "identity",
        "Content-Length": str(len(envelope.data)),
        "Content-Type": "application/age",
        "Idempotency-Key": envelope.id,
        "Authorization": "Bearer secret",
    }


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299, 409])
def test_https_settles(certificates, envelope, status):
    """Any 2xx, and 409 (it had the envelope already), is a delivery."""
    with servers.https(certificates) as (port, endpoint):
        endpoint.statuses = [status]
        transport(f"https://127.0.0.1:{port}/", certificates).deliver(envelope, seconds=20)
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "permanent"),
    [
        (301, "redirect", False),
        (307, "redirect", False),
        (401, "auth", False),
        (403, "auth", False),
        (404, "refused", False),
        (413, "too-large", True),
        (422, "rejected", True),
        (429, "refused", False),
        (500, "refused", False),
        (503, "refused", False),
        (507, "receiver-full", False),
    ],
)
def test_https_refusals(certificates, envelope, status, code, permanent):
    """Every other answer is a failure with its code, and a redirect is not followed."""
    with servers.https(certificates) as (port, endpoint):
        endpoint.statuses = [status]
        fault = failure(transport(f"https://127.0.0.1:{port}/", certificates), envelope)
    assert (fault.code, fault.permanent) == (code, permanent)
    assert len(endpoint.requests) == 1


def test_https_hears_a_refusal_before_the_end(certificates):
    """A server that answers 413 and closes without reading is understood, if its answer arrives."""
    large = Envelope(new_tip_id(), "intake", bytes(30_000_000))
    with servers.https(certificates) as (port, endpoint):
        endpoint.statuses, endpoint.read_body = [413], False
        assert failure(transport(f"https://127.0.0.1:{port}/", certificates), large).code in {"too-large", "closed"}


def test_https_does_not_settle_what_it_could_not_send(certificates):
    """A 2xx from a server that did not read the whole envelope is no delivery."""
    large = Envelope(new_tip_id(), "intake", bytes(30_000_000))

    def answer_early(peer: socket.socket) -> None:
        peer.recv(1000)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with servers.misbehaving(answer_early, certificates.context()) as port:
        assert failure(transport(f"https://127.0.0.1:{port}/", certificates), large).code == "closed"


def test_https_client_certificate(certificates, envelope):
    """A server that asks for a certificate takes ours, and refuses us without it."""
    with servers.https(certificates, ask_client=True) as (port, endpoint):
        url = f"https://127.0.0.1:{port}/"
        assert failure(transport(url, certificates), envelope).code in {"tls", "closed"}
        assert endpoint.requests == []
        with_one = transport(url, certificates, client_cert=certificates.client, client_key=certificates.client_key)
        with_one.deliver(envelope, seconds=20)
        assert with_one.probe(seconds=20) is None
    assert len(endpoint.requests) == 1


# smtp


@pytest.mark.parametrize("immediate", [False, True], ids=["starttls", "smtps"])
def test_smtp_sends_one_mail(certificates, envelope, immediate):
    """An envelope is one mail: fixed subject, id, no time of the day, the envelope as the one attachment."""
    scheme = "smtps" if immediate else "smtp+starttls"
    with servers.smtp(certificates, immediate=immediate) as (port, mailbox):
        url = f"{scheme}://site%40example.org@localhost:{port}/?to=intake%40agency.example"
        way = transport(url, certificates, password="open sesame")
        way.deliver(envelope, seconds=20)
    (raw,) = mailbox.mails
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert mail["Subject"] == "Report"
    assert mail["Message-ID"] == f"<{envelope.id}@example.org>"
    assert mail["Date"].datetime.timetz().isoformat() in {"00:00:00+13:00", "00:00:00+12:00"}
    assert {name.lower() for name in mail} <= {
        *("subject", "from", "to", "date", "message-id", "mime-version", "content-type"),
        *("x-peer", "x-mailfrom", "x-rcptto"),  # the test server's own
    }
    (attachment,) = mail.iter_attachments()
    assert attachment.get_filename() == f"{envelope.id}.age"
    assert attachment.get_content() == envelope.data
    assert set(mailbox.greetings) == {"example.org"}
    assert mailbox.senders == ["site@example.org"]
    assert mailbox.logins


def test_smtp_mail_is_the_same_twice(certificates, envelope):
    """The same envelope on the same day is the same mail, byte for byte."""
    url = "smtps://127.0.0.1/?to=a%40b.example"
    way = transport(url, certificates)
    assert isinstance(way, SmtpTransport)
    assert way.mail(envelope) == way.mail(envelope)


def test_smtp_refuses_to_go_without_tls(certificates, envelope):
    """A server that offers no STARTTLS gets neither password nor envelope."""
    with servers.smtp(certificates, tls=False) as (port, mailbox):
        url = f"smtp+starttls://site@localhost:{port}/?to=a%40b.example"
        assert failure(transport(url, certificates, password="open sesame"), envelope).code == "tls"
    assert mailbox.mails == mailbox.logins == []


def test_smtp_password_refused(certificates, envelope):
    """A wrong password is named as such."""
    with servers.smtp(certificates) as (port, mailbox):
        url = f"smtp+starttls://site@localhost:{port}/?to=a%40b.example"
        assert failure(transport(url, certificates, password="wrong"), envelope).code == "auth"
    assert mailbox.mails == []


@pytest.mark.parametrize(
    ("stage", "answer", "expected"),
    [
        ("rcpt", "550 No such mailbox", ("refused", False)),
        ("rcpt", "452 Mailbox full", ("refused", False)),
        ("data", "550 Looks bad", ("rejected", True)),
        ("data", "451 Later", ("refused", False)),
        ("data", "552 Too much", ("too-large", True)),
        ("data", "421 Going down", ("refused", False)),
    ],
)
def test_smtp_refusals(certificates, envelope, stage, answer, expected):
    """Only a lasting answer to the message itself concerns this envelope alone."""
    with servers.smtp(certificates) as (port, mailbox):
        setattr(mailbox, stage, answer)
        fault = failure(transport(f"smtp+starttls://127.0.0.1:{port}/?to=a%40b.example", certificates), envelope)
    assert (fault.code, fault.permanent) == expected


def test_smtp_size_is_asked_first(certificates, envelope):
    """A mail beyond the server's SIZE is not sent, and the probe tells what would fit."""
    with servers.smtp(certificates, size=150_000) as (port, mailbox):
        way = transport(f"smtp+starttls://127.0.0.1:{port}/?to=a%40b.example", certificates)
        fault = failure(way, envelope)
        room = way.probe(seconds=20)
        assert room is not None
        way.deliver(Envelope(new_tip_id(), "intake", os.urandom(room)), seconds=20)
    assert (fault.code, fault.permanent) == ("too-large", True)
    assert 100_000 < room < 112_500
    assert len(mailbox.mails) == 1


def test_smtp_farewell_changes_nothing(certificates, envelope):
    """A mail that was taken stays taken when the connection breaks before the farewell."""
    taken = threading.Event()

    def serve(peer: socket.socket) -> None:
        with peer.makefile("rb") as lines:
            peer.sendall(b"220 ready\r\n")
            for line in lines:
                if line.upper().startswith(b"EHLO"):
                    peer.sendall(b"250 fine\r\n")
                elif line.upper().startswith(b"DATA"):
                    peer.sendall(b"354 go\r\n")
                    while lines.readline() != b".\r\n":
                        pass
                    taken.set()
                    peer.sendall(b"250 taken\r\n")
                    return
                else:
                    peer.sendall(b"250 fine\r\n")

    with servers.misbehaving(serve, certificates.context()) as port:
        transport(f"smtps://127.0.0.1:{port}/?to=a%40b.example", certificates).deliver(envelope, seconds=20)
    assert taken.is_set()


# All that speak TLS

URLS = ["https://127.0.0.1:{}/", "smtps://127.0.0.1:{}/?to=a%40b.example"]


@pytest.mark.parametrize("url", [*URLS, "smtp+starttls://127.0.0.1:{}/?to=a%40b.example"])
def test_nobody_there(certificates, envelope, url):
    """A port that nobody listens on is `unreachable`."""
    assert failure(transport(url.format(free_port()), certificates), envelope).code == "unreachable"


@pytest.mark.parametrize("url", ["https://localhost:{}/", "smtps://localhost:{}/?to=a%40b.example"])
def test_certificate_of_another(certificates, envelope, url, tmp_path):
    """A certificate for another name, or from an authority that we do not know, is refused before anything is said."""
    other = servers.Certificates(tmp_path, names=("elsewhere.example",))
    server = servers.https if url.startswith("https") else lambda c: servers.smtp(c, immediate=True)
    with server(other) as (port, kept):
        assert failure(transport(url.format(port), other), envelope).code == "tls"
        assert failure(transport(url.format(port), certificates), envelope).code == "tls"
    assert not getattr(kept, "mails", None)
    assert not getattr(kept, "requests", None)


def test_starttls_certificate_of_another(certificates, envelope, tmp_path):
    """After STARTTLS the certificate is verified too."""
    other = servers.Certificates(tmp_path, names=("elsewhere.example",))
    with servers.smtp(other) as (port, mailbox):
        url = f"smtp+starttls://site@localhost:{port}/?to=a%40b.example"
        assert failure(transport(url, other, password="open sesame"), envelope).code == "tls"
    assert mailbox.mails == mailbox.logins == []


def _silent(peer: socket.socket) -> None:
    while peer.recv(65536):
        pass


def _drip(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"2")
        time.sleep(0.02)


def _half_closed(peer: socket.socket) -> None:
    peer.shutdown(socket.SHUT_WR)
    _silent(peer)


@pytest.mark.parametrize("url", [*URLS, "smtp+starttls://127.0.0.1:{}/?to=a%40b.example"])
@pytest.mark.parametrize("behave", [_silent, _drip], ids=["silent", "drip"])
@pytest.mark.parametrize("secured", [False, True], ids=["before TLS", "inside TLS"])
def test_bounded_as_a_whole(certificates, envelope, url, behave, secured):
    """A server that says nothing, or a byte at a time, is left at the deadline, in the handshake or after it."""
    context = certificates.context() if secured and "starttls" not in url else None
    with servers.misbehaving(behave, context) as port:
        code = failure(transport(url.format(port), certificates), envelope, seconds=0.5).code
    assert code in ({"timeout"} if behave is _silent or context else {"timeout", "tls"})


@pytest.mark.parametrize("url", URLS)
def test_half_closed(certificates, envelope, url):
    """A server that closes its half is no delivery."""
    with servers.misbehaving(_half_closed, certificates.context()) as port:
        assert failure(transport(url.format(port), certificates), envelope).code == "closed"


def test_secrets_are_not_shown(certificates):
    """Neither a destination nor a transport shows its secrets when printed."""
    for url in ("https://a.example/", "smtps://u@a.example/?to=a%40b.example"):
        destination = Destination("intake", url, password="hush-1" if "smtps" in url else "", token="hush-2")
        assert "hush" not in repr(destination) + repr(open_transport(destination, base=Path("/")))


@pytest.mark.parametrize(
    ("url", "more", "word"),
    [
        ("drop:", {}, "folder"),
        ("http://a.example/", {}, "https://"),
        ("smtp://a.example/?to=a%40b.example", {}, "smtp+starttls://"),
        ("https://", {}, "host"),
        ("https://a.example:99999/", {}, "not an address"),
        ("https://a.example:0/", {}, "port 0"),
        ("https://u:p@a.example/", {}, "user"),
        ("https://a.example/#x", {}, "#"),
        ("https://a.example/a b", {}, "encode"),
        ("https://a.example/", {"token": "a\r\nb"}, "token"),
        ("smtps://a.example/", {}, "mailbox"),
        ("smtps://a.example/?to=a%0d%0a%40b.example", {}, "mailbox"),
        ("smtps://a.example/?to=a%40b.example&cc=c", {}, "options"),
        ("smtps://u:p@a.example/?to=a%40b.example", {}, "password_file"),
        ("smtps://u@a.example/?to=a%40b.example", {}, "password"),
        ("smtps://a.example/?to=a%40b.example&from=x", {}, "sender"),
        ("https://a.example/", {"ca": Path("/nowhere.pem")}, "ca"),
        ("https://a.example/", {"client_cert": Path("/nowhere.pem")}, "client_cert"),
    ],
)
def test_faulty_destinations(url, more, word):
    """A faulty address is refused, with the agency's name and what to mend."""
    with pytest.raises(ConfigError) as caught:
        open_transport(Destination("intake", url, **more), base=Path("/"))
    assert word in str(caught.value)
    assert all(fault.startswith("[[agency]] intake: deliver ") for fault in caught.value.faults)


def test_relative_drop_starts_at_the_base(tmp_path):
    """A relative folder starts where the configuration lies."""
    assert open_transport(Destination("intake", "drop:in/box"), base=tmp_path) == FolderTransport(tmp_path / "in/box")
