"""A mailbox, against a real dovecot."""

import imaplib
import os
import shutil
import ssl
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import DeliveryError
from app.delivery.outbox import Envelope
from app.delivery.smtp import SmtpTransport
from app.desk.config import ImapConfig
from app.desk.imap import _attached, fetch_envelopes
from app.vault.age import seal
from app.vault.keys import recipient_of
from app.vault.tip import new_tip_id
from app.vault.tip_bundles import to_bundles
from tests.support.desk import Office, receive, tip
from tests.support.ports import free_port, wait_for_port


def sealed(office):
    """A tip's envelope for this office."""
    one = tip()
    return Envelope(one.id, "intake", seal(to_bundles(one)[0].data, [recipient_of(office.identity)]))


DOVECOT = """
base_dir = {run}
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


@pytest.fixture
def server():
    """A folder that dovecot's own user may enter: pytest closes the folder above `tmp_path` to other users."""
    with tempfile.TemporaryDirectory(prefix="mailbox-", dir="/tmp") as folder:
        yield Path(folder)


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
    # The paths of dovecot's sockets must be short (unix(7): 108 bytes).
    run = tempfile.mkdtemp(prefix="imap-", dir="/tmp")
    config.write_text(DOVECOT.format(folder=folder, run=run, port=port, user="dovecot", password="open-sesame"))
    for path in (folder, *folder.parents):
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    for path in (folder / "mail", *(folder / "mail").iterdir()):
        shutil.chown(path, "dovecot", "dovecot")
    process = subprocess.Popen(["dovecot", "-F", "-c", config], stderr=subprocess.PIPE)
    try:
        wait_for_port(port, process)
        imap = ImapConfig("127.0.0.1", port, "intake", "open-sesame", "INBOX", 60, folder / "ca.pem")
        _wait_for_mailbox(imap)
        yield imap
    finally:
        process.terminate()
        process.communicate(timeout=30)
        shutil.rmtree(run)


def _wait_for_mailbox(imap: ImapConfig) -> None:
    """Return once a login opens the mailbox: dovecot listens before its login and mail processes are up."""
    context, end = ssl.create_default_context(cafile=imap.ca), time.monotonic() + 60
    while True:
        try:
            with imaplib.IMAP4_SSL(imap.host, imap.port, ssl_context=context, timeout=10) as session:
                session.login(imap.user, imap.password)
                if session.select(imap.folder)[0] == "OK":
                    return
        except (OSError, imaplib.IMAP4.error):
            pass
        assert time.monotonic() < end, "dovecot opens no mailbox"
        time.sleep(0.1)


def _mail(folder, name, data):
    path = folder / "mail/new" / name
    path.write_bytes(data)
    shutil.chown(path, "dovecot", "dovecot")


@pytest.mark.needs("dovecot")
def test_envelopes_come_out_of_a_mailbox(tmp_path, server):
    """Mails as the site makes them come in and are deleted; other mail is left alone; a wrong key is refused."""
    (tmp_path / "office").mkdir()
    office = Office(tmp_path / "office")
    maker = SmtpTransport("h", 1, True, "site@example.org", "desk@example.org", "", "", ssl.create_default_context())
    one, two = sealed(office), sealed(office)
    with dovecot(server) as imap:
        _mail(server, "1.a", maker.mail(one))
        _mail(server, "2.b", b"Subject: lunch?\r\nFrom: a@example.org\r\n\r\nToday at twelve?\r\n")
        _mail(server, "3.c", maker.mail(two))
        _mail(server, "4.d", maker.mail(one).replace(b"age-encryption", b"xxx").replace(one.id.encode(), b"../../evil"))
        assert fetch_envelopes(imap, office.inbox) == (2, 2)
        paths = sorted(office.inbox.iterdir())
        assert {path.name[:26] for path in paths} == {one.id, two.id}
        assert {path.read_bytes() for path in paths} == {one.data, two.data}
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
        one = _attached(mail)
        assert one is None or one.data.startswith(b"age-encryption.org/v1")


def _mail_with(*attached):
    """A mail with so many attachments, as bytes; each is a name and its data."""
    mail = EmailMessage()
    mail["Subject"] = "Report"
    mail.set_content("")
    for name, data in attached:
        mail.add_attachment(data, maintype="application", subtype="age", filename=name)
    return mail.as_bytes()


def test_a_mail_brings_one_envelope_or_none(office):
    """Three thousand attachments in one mail, two whole envelopes, or one of another length: none; one: that one."""
    one, two = sealed(office), sealed(office)
    many = [(f"{new_tip_id()}.age", b"age-encryption.org/v1\n") for _ in range(3000)]
    whole = [(f"{envelope.id}.age", envelope.data) for envelope in (one, two)]
    assert _attached(_mail_with(*whole[:1])).data == one.data
    longer = (whole[0][0], one.data + b"x")
    for attached in (many, whole, [longer], [whole[0], many[0]], [many[0], whole[0]]):
        assert _attached(_mail_with(*attached)) is None


@pytest.mark.needs("dovecot")
def test_one_run_takes_a_bounded_number_of_mails(tmp_path, server, monkeypatch):
    """A flooded mailbox is emptied over several runs, so that none of them takes without end."""
    monkeypatch.setattr("app.desk.imap._MAX_MAILS", 3)
    (tmp_path / "office").mkdir()
    office = Office(tmp_path / "office")
    with dovecot(server) as imap:
        for number in range(7):
            one = sealed(office)
            _mail(server, f"{number}.m", _mail_with((f"{one.id}.age", one.data)))
        assert [fetch_envelopes(imap, office.inbox) for _ in range(4)] == [(3, 0), (3, 0), (1, 0), (0, 0)]
        assert len(list(office.inbox.glob("*.age"))) == 7
