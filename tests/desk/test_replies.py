"""Replies: what may be written to a sender, and that the site takes exactly what the desk signs."""

import json
import subprocess
import sys
from base64 import b64decode
from datetime import date

import pytest

from app.core.errors import ConfigError, ReplyKnownError
from app.delivery.leases import Leases
from app.delivery.outbox import Outbox
from app.delivery.reply_store import ReplyStore, read_reply_post
from app.desk.config import REPLY_SITE_ID, load_desk_config
from app.desk.errors import RefusedError
from app.desk.replies import ReplyQueue, reply_warnings
from app.vault.keys import new_identity
from app.vault.reply import open_reply
from app.vault.signature import SignatureContext, sign
from app.vault.tip import ReplyTo, TipId
from tests.support.desk import NOON, Browser, Office, receive, reply_to, tip
from tests.support.paths import ROOT
from tests.support.servers import Certificates, https


@pytest.fixture
def case(office, desk):
    one = office.drop(tip(reply=reply_to()))
    receive(desk)
    return desk.cases.claim(one, "Ana")


def _queued(desk, case):
    """The body that waits to be posted."""
    return desk.store.unseal(Leases(desk.outbox.database).load(TipId(case.thread[-1].id)))


@pytest.mark.parametrize(
    "text",
    [
        "See https://example.org",
        "look at www.example.org",
        "example.org/x",
        "write to help@example.org",
        "HTTP://x",
        "bit.ly/2ab",
    ],
)
def test_a_link_never_goes_out(desk, case, text):
    """A link or address in a reply is refused outright: opening it could show who they are."""
    with pytest.raises(RefusedError, match="reply-link"):
        desk.replies.write(case, "Ana", text)
    assert desk.cases.get(case.id).thread == ()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("What is your name?", 1),
        ("Who are you?", 1),
        ("Please call us on 04 555 0100", 1),
        ("Tell us your phone number", 1),
        ("Can we meet in person?", 1),
        ("Where do you live?", 1),
        ("Tell me who you are and come to the station", 2),
        ("Thank you. Is anyone hurt? Do they still lock the gate?", 0),
        ("Are the men still there? What time does the van come?", 0),
    ],
)
def test_what_could_harm_the_reader_is_warned_of(text, count):
    """Asking who they are, or to meet, is warned of; a plain question about the case is not."""
    assert len(reply_warnings(text)) == count


def test_a_warned_reply_goes_only_when_asked_again(desk, case):
    """With a warning nothing is kept until the handler ticks that it was read again."""
    browser = Browser(desk)
    first = browser.post(f"/tips/{case.id}/reply", text="What is your name?")
    assert first.status_code == 422
    assert "What is your name?" in first.text, "what was written is still there"
    assert desk.cases.get(case.id).thread == ()
    browser.post(f"/tips/{case.id}/reply", text="What is your name?", sure="yes")
    assert len(desk.cases.get(case.id).thread) == 1


def test_the_site_takes_what_the_desk_signed_and_the_sender_reads_it(desk, case, office, tmp_path):
    """The post is signed over its exact body, names a locator and a day, and opens with the tip's reply key alone."""
    desk.replies.write(case, "Ana", "Thank you.\n\nIs anyone hurt?")
    body = _queued(desk, desk.cases.get(case.id))
    assert set(json.loads(body)) == {"agency", "reply_id", "locator", "expires", "message"}
    assert b"hurt" not in body
    assert case.id.encode() not in body
    signature = sign(SignatureContext.REPLY_POST, body, office.key)
    post = read_reply_post(body, signature, {"intake": office.public})
    assert (post.locator, post.expires) == (reply_to().locator, date(2027, 2, 20))
    outbox = Outbox(f"sqlite:///{tmp_path}/site.db")
    outbox.prepare()
    box = ReplyStore(outbox.database)
    box.store(post, now=NOON)
    with pytest.raises(ReplyKnownError):
        box.store(post, now=NOON)
    (sealed,) = box.fetch(post.locator, now=NOON)
    assert open_reply(sealed, reply_to().key, post.locator)["text"] == "Thank you.\n\nIs anyone hurt?"
    assert len(b64decode(json.loads(body)["message"])) == 32796
    outbox.database.close()


@pytest.fixture
def endpoint(tmp_path):
    """A site that takes replies over TLS, and the lines of desk.toml that name it."""
    certificates = Certificates(tmp_path)
    with https(certificates) as (port, endpoint):
        yield endpoint, f"https://127.0.0.1:{port}/agency/replies", f'ca = "{certificates.ca}"\n'


def _with_reply(desk, office, *texts):
    one = office.drop(tip(reply=reply_to()))
    receive(desk)
    case = desk.cases.claim(one, "Ana")
    for text in texts:
        case = desk.replies.write(case, "Ana", text)
    return case


def test_a_reply_is_posted_until_the_site_has_it(tmp_path, endpoint):
    """A refusal or an error keeps the very same bytes waiting; 204 settles them, and so does 409."""
    site, address, ca = endpoint
    office, now = Office(tmp_path, replies=address, more=ca), {"is": NOON}
    with office.desk(clock=lambda: now["is"]) as desk:
        case = _with_reply(desk, office, "One")
        for status, code in ((503, "refused"), (403, "auth")):
            site.statuses = [status]
            desk.deliver()
            assert desk.waiting_deliveries() == {REPLY_SITE_ID: (1, code)}
            assert "waiting for the site" in Browser(desk).get(f"/tips/{case.id}/reply").text
            assert f"1 reply waits for the site: the last try failed ({code})" in Browser(desk).get("/").text
            now["is"] += 3600
        site.statuses = [204]
        desk.deliver()
        now["is"] += 3600
        desk.deliver()
        assert desk.waiting_deliveries() == {}
        assert len(site.requests) == 3
        assert len({request.body for request in site.requests}) == 1
        assert site.requests[0].path == "/agency/replies"
        assert [entry.did for entry in desk.journal.entries].count("reply-posted") == 1
        desk.replies.write(desk.cases.get(case.id), "Ana", "Two")
        site.statuses = [409]
        desk.deliver()
        assert [message.posted for message in desk.cases.get(case.id).thread] == [True, True]
        assert "waiting for the site" not in Browser(desk).get(f"/tips/{case.id}/reply").text


def test_a_site_with_another_certificate_gets_no_reply(tmp_path, endpoint):
    """Without the authority that signed the site's certificate nothing is posted."""
    site, address, _ = endpoint
    office = Office(tmp_path, replies=address)
    with office.desk() as desk:
        _with_reply(desk, office, "One")
        desk.deliver()
        assert desk.waiting_deliveries() == {REPLY_SITE_ID: (1, "tls")}
        assert site.requests == []


def test_the_outbox_shows_nothing_of_a_reply(desk, case, office):
    """Neither the words nor the locator of a waiting reply stand on the disk in plain text."""
    desk.replies.write(case, "Ana", "Is anyone hurt?")
    for path in office.store.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"hurt" not in data
            assert reply_to().locator.encode() not in data


def test_a_reply_that_waits_outlives_the_desk_and_its_identity(office):
    """A reply that the site has not taken is queued again at the next start, under the same id and today's key."""
    with office.desk() as desk:
        case = _with_reply(desk, office, "Thank you")
        before = json.loads(_queued(desk, case))
    new = new_identity()
    (office.folder / "new.txt").write_text(f"{new}\n")
    config = office.config.read_text()
    office.config.write_text(config.replace('["identity.txt"]', '["new.txt", "identity.txt"]'))
    command = [sys.executable, "-m", "app.desk.cli", "rekey", "--config", str(office.config)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    office.config.write_text(config.replace('["identity.txt"]', '["new.txt"]'))
    office.identity = new
    with office.desk() as desk:
        after = json.loads(_queued(desk, desk.cases.get(case.id)))
        assert {**after, "message": ""} == {**before, "message": ""}
        assert open_reply(b64decode(after["message"]), reply_to().key, after["locator"])["text"] == "Thank you"
        assert desk.waiting_deliveries() == {REPLY_SITE_ID: (1, "")}


def test_a_reply_whose_days_are_over_is_not_posted(tmp_path, endpoint):
    """After its last day a reply leaves the outbox without a request: the site would refuse it for good."""
    site, address, ca = endpoint
    office, now = Office(tmp_path, replies=address, more=ca), {"is": NOON}
    with office.desk(clock=lambda: now["is"]) as desk:
        case = _with_reply(desk, office, "One")
        now["is"] += 91 * 86400
        desk.deliver()
        assert desk.waiting_deliveries() == {}
        assert site.requests == []
        assert not desk.cases.get(case.id).thread[-1].posted


def test_without_a_way_back_nothing_is_written(desk, office, case):
    """No reply key, a locator of no site, no address, no words, too many words: refused, each with its reason."""
    one = office.drop(tip())
    two = office.drop(tip(reply=ReplyTo(bytes(32), "another-place")))
    receive(desk)
    mute, elsewhere = desk.cases.claim(one, "Ana"), desk.cases.claim(two, "Ana")
    without_site = ReplyQueue(desk.cases, desk.store, desk.outbox, None)
    for about, text, queue, code in (
        (mute, "x", desk.replies, "no-reply"),
        (elsewhere, "x", desk.replies, "no-reply"),
        (case, "x", without_site, "no-site"),
        (case, "  ", desk.replies, "no-words"),
        (case, "x" * 5001, desk.replies, "too-long"),
    ):
        with pytest.raises(RefusedError, match=code):
            queue.write(about, "Ana", text)
    with pytest.raises(RefusedError, match="claimed"):
        desk.replies.write(case, "Ben", "x")
    assert desk.waiting_deliveries() == {}


def test_no_authority_can_stand_in_for_the_site(office):
    """An authority with the id under which replies are delivered is a fault: its referrals would go to the site."""
    office.config.write_text(office.config.read_text().replace('id = "police"', f'id = "{REPLY_SITE_ID}"'))
    with pytest.raises(ConfigError, match="stands for the site"):
        load_desk_config(office.config, {})
