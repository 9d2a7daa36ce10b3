"""The far end of the `https:` transport, against the site's own transport; and a mailbox, against a real dovecot."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from http.client import HTTPSConnection
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import DeliveryError
from app.delivery.destinations import Destination, open_transport
from app.delivery.outbox import Envelope
from app.delivery.smtp import SmtpTransport
from app.desk.config import ImapConfig, load_desk_config
from app.desk.imap import _attached, fetch_envelopes
from app.desk.receiver import ReceivedIds
from app.vault.age import seal
from app.vault.keys import recipient_of
from app.vault.tip import tip_to_bundle
from tests.support.desk import Office, receive, tip
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.servers import Certificates

TOKEN = "correct-horse-battery-staple"


def sealed(office):
    """A tip's envelope for this office."""
    one = tip()
    return Envelope(one.id, "intake", seal(tip_to_bundle(one), [recipient_of(office.identity)]))


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
        _wait(port, process)
        yield transport, port, certificates
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _wait(port, process):
    for _ in range(600):
        assert process.poll() is None, process.communicate()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("it never listened")


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
    """The site's own transport delivers with the token; twice is one; the desk opens it; then it is still known."""
    one = sealed(office)
    good = {"Content_Type": "application/age", "Authorization": f"Bearer {TOKEN}"}
    with receiving(office, tmp_path) as (transport, port, _):
        transport().deliver(one, seconds=30)
        assert (office.inbox / f"{one.id}.age").read_bytes() == one.data
        transport().deliver(one, seconds=30)
        assert len(list(office.inbox.glob("*.age"))) == 1
        with office.desk() as desk:
            receive(desk)
            assert desk.cases.get(one.id)
        assert _ask(port, tmp_path, body=one.data, Idempotency_Key=one.id, **good) == 409
        assert list(office.inbox.iterdir()) == []
        with office.desk() as desk:
            desk.cases.destroy([desk.cases.get(one.id)])
        assert _ask(port, tmp_path, body=one.data, Idempotency_Key=one.id, **good) == 409, "known for good"


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
        assert (office.inbox / f"{one.id}.age").exists()


def test_it_listens_to_nobody_without_a_secret(tmp_path):
    """A receive table with neither token nor client certificates is a fault: anyone could fill the disk."""
    office = Office(tmp_path, more='\n[receive]\nbind = "127.0.0.1:8702"\n')
    with pytest.raises(Exception, match="anybody could fill the disk"):
        load_desk_config(office.config, {})


def test_a_growing_journal_is_followed(office):
    """Ids become known as the desk journals them, however the journal grows."""
    known = ReceivedIds(office.inbox, office.store)
    one = sealed(office)
    assert one.id not in known
    (office.inbox / f"{one.id}.age").write_bytes(one.data)
    assert one.id in known
    with office.desk() as desk:
        receive(desk)
        desk.cases.destroy([desk.cases.get(one.id)])
    assert one.id in known


DOVECOT = """
base_dir = {folder}/run
log_path = {folder}/log
ssl = required
ssl_cert = <{folder}/imap.pem
ssl_key = <{folder}/imap.key
protocols = imap
listen = 127.0.0.1
default_login_user = dovenull
default_internal_user = dovecot
mail_location = maildir:{folder}/mail
mail_uid = {user}
mail_gid = {user}
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={user} home={folder}
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
  }}
}}
"""


@contextmanager
def dovecot(folder: Path):
    """A real IMAP server with TLS on loopback, and one mailbox."""
    authority = trustme.CA()
    issued, port = authority.issue_cert("127.0.0.1"), free_port()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    (folder / "imap.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(folder / "imap.key"))
    (folder / "mail/new").mkdir(parents=True)
    (folder / "mail/cur").mkdir()
    (folder / "mail/tmp").mkdir()
    config = folder / "dovecot.conf"
    config.write_text(DOVECOT.format(folder=folder, port=port, user="dovecot", password="open-sesame"))
    for path in (folder, *folder.parents):
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    for path in (folder / "mail", *(folder / "mail").iterdir()):
        shutil.chown(path, "dovecot", "dovecot")
    process = subprocess.Popen(["dovecot", "-F", "-c", config], stderr=subprocess.PIPE)
    try:
        _wait(port, process)
        yield ImapConfig("127.0.0.1", port, "intake", "open-sesame", "INBOX", 60, folder / "ca.pem")
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _mail(folder, name, data):
    path = folder / "mail/new" / name
    path.write_bytes(data)
    shutil.chown(path, "dovecot", "dovecot")


@pytest.mark.needs("dovecot")
def test_envelopes_come_out_of_a_mailbox(tmp_path):
    """Mails as the site makes them come in and are deleted; other mail is left alone; a wrong key is refused."""
    (tmp_path / "office").mkdir()
    office, server = Office(tmp_path / "office"), tmp_path / "server"
    server.mkdir()
    maker = SmtpTransport("h", 1, True, "site@example.org", "desk@example.org", "", "", ssl.create_default_context())
    one, two = sealed(office), sealed(office)
    with dovecot(server) as imap:
        _mail(server, "1.a", maker.mail(one))
        _mail(server, "2.b", b"Subject: lunch?\r\nFrom: a@example.org\r\n\r\nToday at twelve?\r\n")
        _mail(server, "3.c", maker.mail(two))
        _mail(server, "4.d", maker.mail(one).replace(b"age-encryption", b"xxx").replace(one.id.encode(), b"../../evil"))
        assert fetch_envelopes(imap, office.inbox) == (2, 2)
        assert {path.name for path in office.inbox.iterdir()} == {f"{one.id}.age", f"{two.id}.age"}
        assert (office.inbox / f"{one.id}.age").read_bytes() == one.data
        assert fetch_envelopes(imap, office.inbox) == (0, 0), "what was left alone is not looked at again"
        _mail(server, "5.e", maker.mail(one))
        office.inbox.rename(tmp_path / "away")
        with pytest.raises(DeliveryError, match="disk"):
            fetch_envelopes(imap, office.inbox)
        (tmp_path / "away").rename(office.inbox)
        assert fetch_envelopes(imap, office.inbox) == (1, 0), "a mail whose envelope was not kept is still there"
        with pytest.raises(DeliveryError, match="auth"):
            fetch_envelopes(replace(imap, password="wrong"), office.inbox)
        with pytest.raises(DeliveryError, match="tls"):
            fetch_envelopes(replace(imap, ca=None), office.inbox)
        with office.desk() as desk:
            receive(desk)
            assert {case.id for case in desk.cases.all()} == {one.id, two.id}
    with pytest.raises(DeliveryError, match="unreachable"):
        fetch_envelopes(imap, office.inbox)


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_no_mail_stops_the_mailbox(data):
    """Whatever bytes a mail is made of, it holds envelopes or none, and never ends in an error."""
    for mail in (data, b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + data + b"\r\n--x--"):
        assert all(one.data.startswith(b"age-encryption.org/v1") for one in _attached(mail))
