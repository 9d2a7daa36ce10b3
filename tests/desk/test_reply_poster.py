"""The posts to the site: one an hour of one length, whether or not somebody wrote."""

import json
from base64 import b64decode
from collections import Counter
from dataclasses import replace
from datetime import date

import pytest

from app.core.errors import ReplyError, ReplyKnownError
from app.delivery.outbox import Outbox
from app.delivery.reply_store import ReplyStore, read_reply_post
from app.desk.config import REPLY_SITE_ID
from app.desk.labels import fault_label
from app.vault.reply import open_reply
from tests.support.desk import NOON, Browser, Office, receive, reply_to, tip
from tests.support.servers import Certificates, https

HOUR = 3600


@pytest.fixture
def endpoint(tmp_path):
    """A site that takes replies over TLS, and the lines of desk.toml that name it."""
    certificates = Certificates(tmp_path)
    with https(certificates) as (port, endpoint):
        yield endpoint, f"https://127.0.0.1:{port}/agency/replies", f'ca = "{certificates.ca}"\n'


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now

    def next_hour(self, desk):
        """Let an hour pass and do what is due."""
        desk.reply_poster.post_due()
        self.now += HOUR
        desk.reply_poster.post_due()


def _write(desk, office, *texts):
    one = office.drop(tip(reply=reply_to()))
    receive(desk)
    case = desk.cases.claim(one, "Ana")
    for text in texts:
        case = desk.replies.write(case, "Ana", text)
    return case


def test_the_site_takes_what_the_desk_signed_and_the_sender_reads_it(tmp_path, endpoint):
    """The post is signed over its exact body, names a locator and a day, and opens with the tip's reply key alone."""
    site, address, ca = endpoint
    office, clock, site.statuses = Office(tmp_path, replies=address, more=ca), Clock(), [204]
    with office.desk(clock=clock) as desk:
        case = _write(desk, office, "Thank you.\n\nIs anyone hurt?")
        clock.next_hour(desk)
    (request,) = site.requests
    assert set(json.loads(request.body)) == {"agency", "reply_id", "locator", "expires", "message"}
    assert b"hurt" not in request.body
    assert case.id.encode() not in request.body
    post = read_reply_post(request.body, request.headers["Haumaru-Signature"], {"intake": office.public})
    assert (post.locator, post.expires) == (reply_to().locator, date(2027, 2, 20))
    outbox = Outbox(f"sqlite:///{tmp_path}/site.db")
    outbox.prepare()
    box = ReplyStore(outbox.database)
    box.store(post, now=NOON)
    with pytest.raises(ReplyKnownError):
        box.store(post, now=NOON)
    (sealed,) = box.fetch(post.locator, now=NOON)
    message = open_reply(sealed, reply_to().key, post.locator)
    assert (message["kind"], message["text"]) == ("message", "Thank you.\n\nIs anyone hurt?")
    outbox.database.close()


def test_a_watcher_sees_one_post_an_hour_of_one_length_whether_or_not_somebody_wrote(tmp_path, endpoint):
    """Two replies in six hours: six posts of one length, one last day for each day, and each reply once."""
    site, address, ca = endpoint
    office, clock, site.statuses = Office(tmp_path, replies=address, more=ca), Clock(), [204]
    with office.desk(clock=clock) as desk:
        for hour in range(6):
            clock.next_hour(desk)
            if hour == 2:
                case = _write(desk, office, "One", "Two")
    assert len(site.requests) == 6
    assert len({len(request.body) for request in site.requests}) == 1
    bodies = [json.loads(request.body) for request in site.requests]
    assert len({body["reply_id"] for body in bodies}) == 6
    assert [body["locator"] == case.reply.locator for body in bodies] == [False, False, False, True, True, False]
    for body in bodies[:3]:
        with pytest.raises(ReplyError):
            open_reply(b64decode(body["message"]), reply_to().key, body["locator"])


def test_replies_of_one_day_carry_their_order(tmp_path, endpoint):
    """Each post says, sealed, at which place of the thread its reply stands: the site can show them in order."""
    site, address, ca = endpoint
    office, clock, site.statuses = Office(tmp_path, replies=address, more=ca), Clock(), [204]
    with office.desk(clock=clock) as desk:
        _write(desk, office, "One", "Two", "Three")
        for _ in range(3):
            clock.next_hour(desk)
    bodies = [json.loads(request.body) for request in site.requests]
    opened = [open_reply(b64decode(body["message"]), reply_to().key, body["locator"]) for body in bodies]
    assert [message["text"] for message in sorted(opened, key=lambda message: message["number"])] == [
        "One",
        "Two",
        "Three",
    ]
    assert len({message["number"] for message in opened}) == 3


def test_locators_come_again_whether_or_not_somebody_wrote(tmp_path, endpoint):
    """Of posts that say nothing half go under a locator that had one before, after a restart too.

    So a locator with three posts or more, as a tip has that was opened, referred and closed, is nothing rare.
    """
    site, address, ca = endpoint
    office, clock, site.statuses = Office(tmp_path, replies=address, more=ca), Clock(), [204]
    for _ in range(4):
        with office.desk(clock=clock) as desk:
            for _ in range(60):
                clock.next_hour(desk)
    locators = [json.loads(request.body)["locator"] for request in site.requests]
    posts = Counter(locators).values()
    assert len(locators) == 240
    assert 85 <= len(locators) - len(set(locators)) <= 155
    assert set(locators[:120]) & set(locators[120:])
    assert sum(count >= 3 for count in posts) / len(posts) >= 0.115


def test_a_restart_makes_no_post_come_early(tmp_path, endpoint):
    """The hour of the last post outlives the desk: opened first, or again within the hour, it posts nothing."""
    site, address, ca = endpoint
    office, clock, site.statuses = Office(tmp_path, replies=address, more=ca), Clock(), [204]
    for posts in (0, 1):
        for _ in range(3):
            with office.desk(clock=clock) as desk:
                desk.reply_poster.post_due()
        assert len(site.requests) == posts
        clock.now += HOUR


def test_a_reply_is_posted_until_the_site_has_it(tmp_path, endpoint):
    """A refusal or an error keeps the reply waiting under its id for the next hour; 204 settles it, and so does 409."""
    site, address, ca = endpoint
    office, clock = Office(tmp_path, replies=address, more=ca), Clock()
    with office.desk(clock=clock) as desk:
        case = _write(desk, office, "One")
        for status, code in ((503, "refused"), (403, "auth")):
            site.statuses = [status]
            clock.next_hour(desk)
            assert desk.waiting_deliveries() == {REPLY_SITE_ID: (1, code)}
            assert "not on the site yet" in Browser(desk).get(f"/tips/{case.id}/reply").text
            assert (
                f"1 reply waits for the site. The last try failed. {fault_label(code)}." in Browser(desk).get("/").text
            )
        site.statuses = [204]
        clock.next_hour(desk)
        assert desk.waiting_deliveries() == {}
        assert len({json.loads(request.body)["reply_id"] for request in site.requests}) == 1
        assert site.requests[0].path == "/agency/replies"
        assert [entry.did for entry in desk.journal.entries].count("reply-posted") == 1
        desk.replies.write(desk.cases.get(case.id), "Ana", "Two")
        site.statuses = [409]
        clock.next_hour(desk)
        assert [message.posted for message in desk.cases.get(case.id).thread] == [True, True]
        assert "not on the site yet" not in Browser(desk).get(f"/tips/{case.id}/reply").text


def test_a_site_with_another_certificate_gets_no_reply(tmp_path, endpoint):
    """Without the authority that signed the site's certificate nothing is posted."""
    site, address, _ = endpoint
    office, clock = Office(tmp_path, replies=address), Clock()
    with office.desk(clock=clock) as desk:
        _write(desk, office, "One")
        clock.next_hour(desk)
        assert desk.waiting_deliveries() == {REPLY_SITE_ID: (1, "tls")}
        assert site.requests == []


def test_a_reply_whose_days_are_over_is_not_posted(tmp_path, endpoint):
    """After 90 days a reply waits no longer; the post of that hour says nothing."""
    site, address, ca = endpoint
    office, clock, site.statuses = Office(tmp_path, replies=address, more=ca), Clock(), [204]
    with office.desk(clock=clock) as desk:
        case = _write(desk, office, "One")
        clock.now += 91 * 86400
        clock.next_hour(desk)
        assert desk.waiting_deliveries() == {}
        assert json.loads(site.requests[0].body)["locator"] != case.reply.locator
        assert not desk.cases.get(case.id).thread[-1].posted


def test_the_pace_is_set_in_the_configuration(tmp_path):
    """`[site] every` is the time from one post to the next; an hour unless the demonstration says less."""
    office = Office(tmp_path)
    with office.desk() as desk:
        assert desk.config.site.every == HOUR
        assert replace(desk.config.site, every=10).every == 10
