"""The receiver, against the site's own transport."""

import io
import ssl
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from http.client import HTTPSConnection

import pytest
import trustme

from app.core.errors import DeliveryError
from app.delivery.destinations import Destination, open_transport
from app.delivery.outbox import Envelope
from app.desk import envelopes
from app.desk.config import load_desk_config
from app.desk.receiver import EnvelopeReceiver
from app.vault.age import seal
from app.vault.keys import recipient_of
from app.vault.tip_bundles import to_bundles
from tests.support.desk import Office, receive, tip
from tests.support.paths import ROOT
from tests.support.ports import free_port, wait_for_port
from tests.support.servers import Certificates

TOKEN = "correct-horse-battery-staple"


def sealed(office):
    """A tip's envelope for this office."""
    one = tip()
    return Envelope(one.id, "intake", seal(to_bundles(one)[0].data, [recipient_of(office.identity)]))


@contextmanager
def receiving(office, folder, *, token=TOKEN, ask_client=False):
    """Run `haumaru-desk receive` with TLS of its own; yields the site's transport to it, and its port."""
    certificates = Certificates(folder)
    own, key, port = folder / "own.pem", folder / "own.key", free_port()
    context = trustme.CA()
    issued = context.issue_cert("127.0.0.1")
    context.cert_pem.write_to_path(str(folder / "own-ca.pem"))
    own.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    more = f'\n[receive]\nbind = "127.0.0.1:{port}"\ncert = "{own}"\nkey = "{key}"\n'
    more += f'token = "{token}"\n' if token else ""
    more += f'client_ca = "{certificates.ca}"\n' if ask_client else ""
    office.config.write_text(office.config.read_text() + more)
    command = [sys.executable, "-m", "app.desk.cli", "receive", "--config", str(office.config)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE)

    def transport(**more):
        destination = Destination(
            "intake", f"https://127.0.0.1:{port}/take", ca=folder / "own-ca.pem", **{"token": token, **more}
        )
        return open_transport(destination, base=folder)

    try:
        wait_for_port(port, process)
        yield transport, port, certificates
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _ask(port, folder, method="POST", body=b"", **headers):
    client = HTTPSConnection(
        "127.0.0.1", port, context=ssl.create_default_context(cafile=folder / "own-ca.pem"), timeout=30
    )
    with closing(client):
        # Who is refused may be answered, and hung up on, before everything was sent.
        with suppress(OSError):
            client.request(
                method, "/take", body=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
            )
        answer = client.getresponse()
        answer.read()
        return answer.status


def test_what_the_site_posts_lies_in_the_inbox(tmp_path, office):
    """The site's own transport delivers with the token; the same bytes twice are one; the desk opens the envelope."""
    one = sealed(office)
    good = {"Content_Type": "application/age", "Authorization": f"Bearer {TOKEN}"}
    with receiving(office, tmp_path) as (transport, port, _):
        transport().deliver(one, seconds=30)
        (path,) = office.inbox.glob("*.age")
        assert path.read_bytes() == one.data
        assert _ask(port, tmp_path, body=one.data, Idempotency_Key=one.id, **good) == 409
        transport().deliver(one, seconds=30)
        assert len(list(office.inbox.glob("*.age"))) == 1
        with office.desk() as desk:
            receive(desk)
            assert desk.cases.get(one.id)
        assert list(office.inbox.iterdir()) == []
        transport().deliver(one, seconds=30)
        with office.desk() as desk:
            desk.cases.destroy([desk.cases.get(one.id)])
            receive(desk)
            assert desk.cases.all() == (), "what was here once is known for good"


def test_a_forged_envelope_takes_no_place(tmp_path, office):
    """Another envelope under the id of one that lies in the inbox is kept beside it: neither suppresses the other."""
    one, forged = sealed(office), sealed(office)
    good = {"Content_Type": "application/age", "Authorization": f"Bearer {TOKEN}"}
    with receiving(office, tmp_path) as (_, port, _):
        for data in (forged.data, one.data):
            assert _ask(port, tmp_path, body=data, Idempotency_Key=one.id, **good) == 201
    with office.desk() as desk:
        receive(desk)
        assert desk.cases.get(one.id)
        assert [code for _, code in desk.inbox.set_aside()] == ["name"]


def test_whatever_is_not_an_envelope_from_the_site_is_refused(tmp_path, office):
    """No token, a wrong one, another type, a path for a name, other bytes, too many: refused, and nothing kept."""
    one = sealed(office)
    good = {"Content_Type": "application/age", "Authorization": f"Bearer {TOKEN}", "Idempotency_Key": one.id}
    with receiving(office, tmp_path) as (transport, port, _):
        for status, body, headers in (
            (401, one.data, {**good, "Authorization": ""}),
            (401, one.data, {**good, "Authorization": "Bearer wrong"}),
            (401, one.data, {**good, "Authorization": "Bearer \xe9"}),
            (415, one.data, {**good, "Content_Type": "text/plain"}),
            (422, one.data, {**good, "Idempotency_Key": "../../etc/passwd"}),
            (422, b"hello", good),
            (422, one.data[:-4000], good),
            (413, b"", {**good, "Content_Length": "99999999"}),
        ):
            assert _ask(port, tmp_path, body=body, **headers) == status, headers
        assert _ask(port, tmp_path, method="GET") == 405
        with pytest.raises(DeliveryError, match="auth"):
            transport(token="wrong").deliver(one, seconds=30)
    assert list(office.inbox.iterdir()) == []


def test_a_client_certificate_stands_in_for_a_token(tmp_path, office):
    """With client_ca only a client whose certificate it signed gets through."""
    one = sealed(office)
    with receiving(office, tmp_path, token="", ask_client=True) as (transport, _, certificates):
        with pytest.raises(DeliveryError):
            transport().deliver(one, seconds=30)
        assert list(office.inbox.iterdir()) == []
        transport(client_cert=certificates.client, client_key=certificates.client_key).deliver(one, seconds=30)
        assert len(list(office.inbox.glob(f"{one.id}.*.age"))) == 1


def test_it_listens_to_nobody_without_a_secret(tmp_path):
    """A receive table with neither token nor client certificates is a fault: anyone could fill the disk."""
    office = Office(tmp_path, more='\n[receive]\nbind = "127.0.0.1:8702"\n')
    with pytest.raises(Exception, match="anybody could fill the disk"):
        load_desk_config(office.config, {})


def test_a_disk_that_is_nearly_full_takes_no_envelope(office, monkeypatch):
    """With less than the reserve free the receiver answers 507 and writes nothing; with room again, 201."""
    one, answers = sealed(office), []
    receiver = EnvelopeReceiver(office.inbox, token="")

    def post():
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "CONTENT_TYPE": "application/age",
            "CONTENT_LENGTH": str(len(one.data)),
            "HTTP_IDEMPOTENCY_KEY": one.id,
            "HTTP_HOST": "desk",
            "wsgi.input": io.BytesIO(one.data),
        }
        list(receiver(environ, lambda status, _: answers.append(status[:3])))

    monkeypatch.setattr(envelopes, "MIN_FREE_BYTES", 1 << 62)
    post()
    assert list(office.inbox.iterdir()) == []
    monkeypatch.setattr(envelopes, "MIN_FREE_BYTES", 0)
    post()
    post()
    assert answers == ["507", "201", "409"]
