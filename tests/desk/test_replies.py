"""Replies: what may be written to a sender, and that the site takes exactly what the desk signs."""

import json
from base64 import b64decode, b64encode
from datetime import date

import pytest

from app.core.errors import DeliveryError, ReplyKnownError
from app.delivery.outbox import Outbox
from app.delivery.reply_store import ReplyStore, read_reply_post
from app.desk import replies
from app.desk.config import ReplySite
from app.desk.errors import RefusedError
from app.desk.replies import reply_warnings, write_reply
from app.vault.reply import open_reply
from tests.support.desk import NOON, Browser, receive, reply_to, tip
from tests.support.servers import Certificates, https

SITE = ReplySite("https://example.org/agency/replies", "intake")


@pytest.fixture
def case(office, desk):
    one = office.drop(tip(reply=reply_to()))
    receive(desk)
    return desk.cases.claim(one, "Ana")


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
        write_reply(desk.cases, case, "Ana", text, SITE)
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
    after = write_reply(desk.cases, case, "Ana", "Thank you.\n\nIs anyone hurt?", SITE)
    body = after.thread[-1].body.encode()
    assert set(json.loads(body)) == {"agency", "reply_id", "locator", "expires", "message"}
    assert b"hurt" not in body
    assert case.id.encode() not in body
    signature = b64encode(office.key.sign(replies.CONTEXT + body)).decode()
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


def test_a_reply_is_posted_until_the_site_has_it(desk, case, tmp_path):
    """A refusal or an error keeps the very same bytes waiting; 204 settles them, and so does 409."""
    certificates = Certificates(tmp_path)
    with https(certificates) as (port, endpoint):
        site = ReplySite(f"https://127.0.0.1:{port}/agency/replies", "intake", certificates.ca)
        write_reply(desk.cases, case, "Ana", "One", site)
        endpoint.statuses = [503, 403, 204]
        assert replies.post_waiting(desk.cases, desk.key, site) == "refused"
        assert replies.post_waiting(desk.cases, desk.key, site) == "auth"
        assert replies.post_waiting(desk.cases, desk.key, site) == ""
        assert replies.post_waiting(desk.cases, desk.key, site) == ""
        assert len(endpoint.requests) == 3
        assert len({request.body for request in endpoint.requests}) == 1
        assert endpoint.requests[0].path == "/agency/replies"
        write_reply(desk.cases, desk.cases.get(case.id), "Ana", "Two", site)
        endpoint.statuses = [409]
        assert replies.post_waiting(desk.cases, desk.key, site) == ""
        assert [message.body for message in desk.cases.get(case.id).thread] == ["", ""]
        with pytest.raises(DeliveryError):
            replies.post(b"{}", desk.key, ReplySite(site.replies, "intake"))


def test_a_reply_that_waits_outlives_the_desk(desk, case, office):
    """What the site has not taken yet is kept sealed, to the byte, over a restart."""
    body = write_reply(desk.cases, case, "Ana", "Thank you", SITE).thread[-1].body
    assert body.encode()[:40] not in (office.store / f"tips/{case.id}.age").read_bytes()
    assert json.loads(desk.store.read(f"tips/{case.id}.age"))["thread"][-1]["body"] == body


def test_without_a_way_back_nothing_is_written(desk, office, case):
    """No reply key, no address of the site, no words, too many words: refused, each with its reason."""
    one = office.drop(tip())
    receive(desk)
    mute = desk.cases.claim(one, "Ana")
    for about, text, site, code in (
        (mute, "x", SITE, "no-reply"),
        (case, "x", None, "no-site"),
        (case, "  ", SITE, "no-words"),
        (case, "x" * 5001, SITE, "too-long"),
    ):
        with pytest.raises(RefusedError, match=code):
            write_reply(desk.cases, about, "Ana", text, site)
    with pytest.raises(RefusedError, match="claimed"):
        write_reply(desk.cases, case, "Ben", "x", SITE)
