"""Replies: what may be written to a sender, and that it waits sealed."""

import subprocess
import sys

import pytest

from app.core.errors import ConfigError
from app.desk.config import REPLY_SITE_ID, load_desk_config
from app.desk.errors import RefusedError
from app.desk.replies import ReplyQueue, reply_warnings
from app.vault.keys import new_identity
from app.vault.tip import ReplyTo
from tests.support.desk import NOON, Browser, jpeg, receive, reply_to, tip
from tests.support.paths import ROOT


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
    fields = {"text": "What is your name?", "typed": "reply", "window": "one", "number": "1"}
    first = browser.post(f"/tips/{case.id}/reply", **fields)
    assert first.status_code == 422
    assert "What is your name?" in first.text, "what was written is still there"
    assert desk.cases.get(case.id).thread == ()
    browser.post(f"/tips/{case.id}/reply", **fields, sure="yes")
    assert len(desk.cases.get(case.id).thread) == 1


def test_the_store_shows_nothing_of_a_reply_that_waits(desk, case, office):
    """Neither the words nor the locator of a waiting reply stand on the disk in plain text."""
    desk.replies.write(case, "Ana", "Is anyone hurt?")
    for path in office.store.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"hurt" not in data
            assert reply_to().locator.encode() not in data


def test_a_reply_that_waits_outlives_the_desk_and_its_identity(office):
    """A reply that the site has not taken waits at the next start too, under the same id, after a change of the key."""
    with office.desk() as desk:
        one = office.drop(tip(reply=reply_to()))
        receive(desk)
        desk.replies.write(desk.cases.claim(one, "Ana"), "Ana", "Thank you")
        before = desk.replies.waiting(NOON)
    new = new_identity()
    (office.folder / "new.txt").write_text(f"{new}\n")
    config = office.config.read_text()
    office.config.write_text(config.replace('["identity.txt"]', '["new.txt", "identity.txt"]'))
    command = [sys.executable, "-m", "app.desk.cli", "rekey", "--config", str(office.config)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    office.config.write_text(config.replace('["identity.txt"]', '["new.txt"]'))
    office.identity = new
    with office.desk() as desk:
        assert desk.replies.waiting(NOON) == before
        assert desk.waiting_deliveries() == {REPLY_SITE_ID: (1, "")}


def test_without_a_way_back_nothing_is_written(desk, office, case):
    """No reply key, a locator of no site, no address, no words, too many words: refused, each with its reason."""
    one = office.drop(tip())
    two = office.drop(tip(reply=ReplyTo(bytes(32), "another-place")))
    receive(desk)
    mute, elsewhere = desk.cases.claim(one, "Ana"), desk.cases.claim(two, "Ana")
    without_site = ReplyQueue(desk.cases, has_site=False)
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
    with pytest.raises(ConfigError, match="means the site"):
        load_desk_config(office.config, {})


def test_the_files_of_an_answer_can_be_reached_from_the_thread(office, desk):
    """The thread, and the page on which the tip is redacted, link each answer with files to those files, once."""
    first = tip(reply=reply_to())
    answers = [
        tip({"what": "A photograph."}, answers_to=first.reply.locator, number=1, files=(jpeg(),)),
        tip({"what": "Only words."}, answers_to=first.reply.locator, number=2),
    ]
    for each in (first, *answers):
        office.drop(each)
    receive(desk)
    desk.cases.claim(first.id, "Ana")
    browser = Browser(desk)
    for page in (f"/tips/{first.id}/reply", f"/tips/{first.id}/redact"):
        shown = browser.get(page).text
        assert shown.count("with this answer") == 1
        assert f'/tips/{answers[0].id}#files">1 file with this answer' in shown
    there = browser.get(f"/tips/{answers[0].id}").text
    assert 'id="files"' in there
    assert f"/tips/{answers[0].id}/files/1" in there


def test_a_locked_answer_is_not_linked_from_the_thread(office, desk):
    """Once an answer is locked as objectionable, the thread does not lead to its files."""
    first = tip(reply=reply_to())
    answer = tip({"what": "A photograph."}, answers_to=first.reply.locator, number=1, files=(jpeg(),))
    for each in (first, answer):
        office.drop(each)
    receive(desk)
    desk.cases.claim(answer.id, "Ana")
    desk.cases.lock_away(answer.id, "Ana")
    assert "with this answer" not in Browser(desk).get(f"/tips/{first.id}/reply").text
