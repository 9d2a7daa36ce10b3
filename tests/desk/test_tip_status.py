"""Statuses: what became of a tip leaves by itself, late enough to be held back, and says nothing that could harm."""

import json
from base64 import b64decode

import pytest

from app.desk.case_fields import State
from app.desk.case_json import decode_case, encode_case
from app.desk.config import load_desk_config
from app.desk.errors import RefusedError
from app.desk.thread import MessageKind
from app.desk.tip_status import authority_kind
from app.vault.reply import open_reply
from app.vault.tip import ReplyTo
from tests.support.desk import NOON, Browser, Office, receive, reply_to, tip
from tests.support.servers import Certificates, https

HOUR = 3600
REFERRAL = {"keep": ["what"], "summary": "Men are held.", "go": "look"}


@pytest.fixture
def one(office, desk):
    """The id of a tip whose sender can read replies, not opened yet."""
    made = office.drop(tip(reply=reply_to()))
    receive(desk)
    return made


def told(desk, one):
    """The statuses of a thread, each with its details."""
    return [(each.value, each.details) for each in desk.cases.get(one).thread if each.kind is MessageKind.STATUS]


def refer(browser, desk, one, authorities, **boxes):
    """Refer a tip as a handler does, with these boxes of the last page ticked."""
    if not desk.cases.get(one).holder:
        browser.post(f"/tips/{one}/claim")
    browser.post(f"/tips/{one}/redact", authority=authorities, **REFERRAL)
    version = desk.cases.get(one).version
    done = browser.post(f"/tips/{one}/refer", version=version, confirmed=authorities, **boxes)
    assert done.status_code == 303, done.text


def test_the_first_opening_is_told_once(desk, browser, one):
    """The first look of a handler writes one status, dated; later looks and other handlers write none."""
    browser.get(f"/tips/{one}")
    Browser(desk, "Ben").get(f"/tips/{one}")
    browser.get(f"/tips/{one}")
    assert told(desk, one) == [("opened", ())]
    assert desk.cases.get(one).thread[0].day.isoformat() == "2026-11-22"
    assert [entry.what for entry in desk.journal.entries if entry.did == "told"] == ["opened"]


def test_a_referral_says_the_kind_of_authority_and_never_its_name(desk, browser, one):
    """Of two authorities the sender reads two kinds; the names, which are known to the desk, are not in the thread."""
    browser.get(f"/tips/{one}")
    refer(browser, desk, one, ["police", "mbie"], tell="yes", **{"tell-kinds": "yes"})
    assert told(desk, one) == [("opened", ()), ("referred", ("trafficking", "work"))]
    assert "Example" not in str(desk.cases.get(one).thread)


@pytest.mark.parametrize(
    ("boxes", "expected"), [({}, []), ({"tell": "yes"}, [("referred", ())]), ({"tell-kinds": "yes"}, [])]
)
def test_a_handler_can_leave_out_the_kind_or_the_whole_status(desk, browser, one, boxes, expected):
    """With the second box empty only "passed on" is told, with the first box empty nothing."""
    browser.get(f"/tips/{one}")
    refer(browser, desk, one, ["police"], **boxes)
    assert told(desk, one)[1:] == expected


@pytest.mark.parametrize(
    ("reason", "details"), [("nothing", ("nothing",)), ("test", ("nothing",)), ("other", ("other",)), ("repeat", ())]
)
def test_a_reason_is_told_only_where_it_harms_nobody(desk, browser, one, reason, details):
    """No sender reads that the tip looked like nonsense, nor that another person reported the same."""
    browser.get(f"/tips/{one}")
    browser.post(f"/tips/{one}/close", reason=reason, tell="yes")
    assert told(desk, one)[-1] == ("closed", details)


def test_a_refused_close_tells_nothing(desk, browser, one):
    """Without a reason the tip stays open, and the sender is not told that the tip was closed."""
    browser.get(f"/tips/{one}")
    browser.post(f"/tips/{one}/close", reason="", tell="yes")
    assert told(desk, one) == [("opened", ())]


def test_a_referral_that_fails_is_not_told(desk, browser, one, monkeypatch):
    """Where the outbox does not take the envelopes, the sender does not read that the tip was passed on."""
    browser.get(f"/tips/{one}")
    browser.post(f"/tips/{one}/claim")
    browser.post(f"/tips/{one}/redact", authority=["police"], **REFERRAL)
    monkeypatch.setattr(desk.outbox, "put", lambda _: (_ for _ in ()).throw(RefusedError("disk-full")))
    version = desk.cases.get(one).version
    browser.post(f"/tips/{one}/refer", version=version, confirmed=["police"], tell="yes")
    assert told(desk, one) == [("opened", ())]


def test_boxes_are_ticked_by_default(desk, browser, one):
    """The pages that refer and close offer the status ticked, and name the kind of authority."""
    browser.get(f"/tips/{one}")
    browser.post(f"/tips/{one}/claim")
    browser.post(f"/tips/{one}/redact", authority=["mbie"], **REFERRAL)
    page = browser.get(f"/tips/{one}/refer").text
    assert 'name="tell" value="yes" checked' in page
    assert 'name="tell-kinds" value="yes" checked' in page
    assert "an authority that checks how workers are paid and treated" in page
    assert 'name="tell" value="yes" checked' in browser.get(f"/tips/{one}").text


def test_a_status_that_has_not_left_is_held_back(desk, browser, one):
    """The thread's page has a button for each status that waits; a status held back never waits again."""
    browser.get(f"/tips/{one}")
    (status,) = desk.cases.get(one).thread
    assert "Hold this back" in browser.get(f"/tips/{one}/reply").text
    browser.post(f"/tips/{one}/status/hold", status=status.id)
    assert desk.replies.waiting(NOON + 9 * HOUR) == []
    page = browser.get(f"/tips/{one}/reply").text
    assert ("held back: the sender will not see this" in page, "Hold this back" in page) == (True, False)
    browser.get(f"/tips/{one}")
    assert told(desk, one) == [("opened", ())], "and is not written again"


def test_what_has_left_cannot_be_held_back(desk, browser, one):
    """A status that the site has is not called held back."""
    browser.get(f"/tips/{one}")
    (status,) = desk.cases.get(one).thread
    desk.cases.note_posted(status.id)
    with pytest.raises(RefusedError, match="posted"):
        desk.statuses.hold_back(one, "Ana", status.id)
    with pytest.raises(RefusedError, match="gone"):
        desk.statuses.hold_back(one, "Ana", "another")


def test_a_handler_can_tell_the_sender_nothing(desk, browser, one):
    """The button of a case holds back what waits and writes no status from then on, until it is pressed again."""
    browser.get(f"/tips/{one}")
    browser.post(f"/tips/{one}/silent", silent="yes")
    refer(browser, desk, one, ["police"], tell="yes")
    assert told(desk, one) == [("opened", ())]
    assert desk.replies.waiting(NOON + 9 * HOUR) == []
    browser.post(f"/tips/{one}/silent", silent="no")
    browser.post(f"/tips/{one}/close", reason="finished", tell="yes")
    assert told(desk, one)[-1] == ("closed", ())
    assert [message.value for _, message in desk.replies.waiting(NOON + 9 * HOUR)] == ["closed"]


def test_a_desk_that_acknowledges_nothing_writes_no_status(tmp_path):
    """With `acknowledge = false` nothing is written, whatever a form asks for, and no page offers a box."""
    office = Office(tmp_path)
    office.config.write_text(office.config.read_text().replace("release = 1", "release = 1\nacknowledge = false"))
    assert not load_desk_config(office.config, {}).acknowledge
    with office.desk() as desk:
        browser, one = Browser(desk), office.drop(tip(reply=reply_to()))
        receive(desk)
        assert 'name="tell"' not in browser.get(f"/tips/{one}").text
        refer(browser, desk, one, ["police"], tell="yes")
        browser.post(f"/tips/{one}/close", reason="finished", tell="yes")
        assert desk.cases.get(one).thread == ()


def test_who_cannot_read_a_status_gets_none(desk, browser, office):
    """No status is written for a tip without a reply key, and none for an answer, which is no tip of its own."""
    mute = office.drop(tip())
    asked = office.drop(tip(reply=reply_to()))
    answer = office.drop(tip(reply=reply_to(), answers_to=reply_to().locator))
    receive(desk)
    for each in (mute, answer):
        browser.get(f"/tips/{each}")
        browser.post(f"/tips/{each}/close", reason="finished", tell="yes")
    assert told(desk, mute) == told(desk, answer) == told(desk, asked) == []


def test_a_tip_that_is_locked_away_tells_nothing(desk, browser, one):
    """What waits when a tip is locked as objectionable never leaves, and nothing is written after."""
    browser.get(f"/tips/{one}")
    browser.post(f"/tips/{one}/objectionable", sure="yes")
    browser.get(f"/tips/{one}")
    assert desk.cases.get(one).thread == ()
    assert desk.replies.waiting(NOON + 9 * HOUR) == []


def test_two_persons_release_and_the_second_decides_what_is_told(tmp_path):
    """The page of the second person has the boxes; preparing a referral tells nothing."""
    office = Office(tmp_path, release=2)
    with office.desk() as desk:
        one = office.drop(tip(reply=reply_to()))
        receive(desk)
        first, second = Browser(desk), Browser(desk, "Ben")
        first.get(f"/tips/{one}")
        refer(first, desk, one, ["police"], tell="yes")
        assert told(desk, one) == [("opened", ())]
        assert 'name="tell"' in second.get(f"/tips/{one}/refer").text
        assert 'name="tell"' not in first.get(f"/tips/{one}/refer").text
        refer_again = {"version": desk.cases.get(one).version, "confirmed": ["police"], "tell": "yes"}
        second.post(f"/tips/{one}/refer", **refer_again)
        assert told(desk, one) == [("opened", ()), ("referred", ())]


def test_newer_statuses_stand_for_older_ones_that_wait(desk, browser, one):
    """Opened, referred, closed at once: referred and closed leave; that a tip was passed on is never left out."""
    browser.get(f"/tips/{one}")
    refer(browser, desk, one, ["police"], tell="yes")
    browser.post(f"/tips/{one}/close", reason="finished", tell="yes")
    left = []
    while found := desk.replies.waiting(NOON + 9 * HOUR):
        left.append(found[0][1].value)
        desk.cases.note_posted(found[0][1].id)
    assert left == ["referred", "closed"]
    assert "a newer status says more" in browser.get(f"/tips/{one}/reply").text
    browser.post(f"/tips/{one}/reopen")
    browser.post(f"/tips/{one}/close", reason="nothing", tell="yes")
    assert told(desk, one)[-3:] == [("closed", ()), ("opened", ()), ("closed", ("nothing",))]


def test_a_tip_that_is_opened_again_is_not_told_closed(desk, browser, one):
    """Opened again before "closed" has left, the sender reads nothing of it; after, that the tip is opened again."""
    browser.get(f"/tips/{one}")
    browser.post(f"/tips/{one}/close", reason="nothing", tell="yes")
    browser.post(f"/tips/{one}/reopen")
    assert [message.value for _, message in desk.replies.waiting(NOON + 9 * HOUR)] == ["opened"]
    browser.post(f"/tips/{one}/close", reason="nothing", tell="yes")
    desk.cases.note_posted(desk.cases.get(one).thread[-1].id)
    browser.post(f"/tips/{one}/reopen")
    assert [each.value for each in desk.cases.get(one).thread if not each.held] == ["opened", "closed", "opened"]
    assert [message.value for _, message in desk.replies.waiting(NOON + 9 * HOUR)] == ["opened"]


def test_a_status_waits_one_whole_hour_and_for_the_words_of_handlers(desk, browser, office, one):
    """A status leaves neither in its own hour nor in the next, and not while a reply of a handler can leave."""
    other = office.drop(tip(reply=ReplyTo(bytes(32), "f" * 32)))
    receive(desk)
    browser.get(f"/tips/{one}")
    start = NOON // HOUR * HOUR
    assert [bool(desk.replies.waiting(start + after)) for after in (0, HOUR, 2 * HOUR - 1, 2 * HOUR)] == [
        False,
        False,
        False,
        True,
    ]
    written = desk.replies.write(desk.cases.claim(other, "Ana"), "Ana", "Thank you").thread[-1]
    assert [message.id for _, message in desk.replies.waiting(NOON + 9 * HOUR)] == [written.id]
    desk.cases.note_posted(written.id)
    assert [message.value for _, message in desk.replies.waiting(NOON + 9 * HOUR)] == ["opened"]


def test_statuses_keep_the_pace_and_the_length(tmp_path):
    """Nine hours with three statuses: nine posts of one length, three of which open with the reply key."""
    certificates, clock = Certificates(tmp_path), [NOON]
    with https(certificates) as (port, site):
        address = f"https://127.0.0.1:{port}/agency/replies"
        office, site.statuses = Office(tmp_path, replies=address, more=f'ca = "{certificates.ca}"\n'), [204]
        with office.desk(clock=lambda: clock[0]) as desk:
            browser, one = Browser(desk), office.drop(tip(reply=reply_to()))
            receive(desk)
            acts = {
                1: lambda: browser.get(f"/tips/{one}"),
                4: lambda: refer(browser, desk, one, ["police"], tell="yes", **{"tell-kinds": "yes"}),
                5: lambda: browser.post(f"/tips/{one}/close", reason="nothing", tell="yes"),
            }
            desk.reply_poster.post_due()
            for hour in range(9):
                clock[0] += HOUR
                acts.get(hour, lambda: None)()
                desk.reply_poster.post_due()
    bodies = [json.loads(request.body) for request in site.requests]
    mine = [hour for hour, body in enumerate(bodies) if body["locator"] == reply_to().locator]
    said = [open_reply(b64decode(bodies[hour]["message"]), reply_to().key, reply_to().locator) for hour in mine]
    assert (len(bodies), {len(request.body) for request in site.requests}) == (9, {len(site.requests[0].body)})
    assert mine == [3, 6, 7]
    day = {"kind": "status", "day": "2026-11-22"}
    assert said == [
        {**day, "status": "opened", "number": 0, "details": []},
        {**day, "status": "referred", "number": 1, "details": ["trafficking"]},
        {**day, "status": "closed", "number": 2, "details": ["nothing"]},
    ]


def test_many_tips_closed_at_once_are_told_each(desk, browser, office):
    """The queue's page has the box too; a tip without a reply key and one that was closed before are told nothing."""
    tips = [office.drop(tip(reply=ReplyTo(bytes(32), f"{number:032x}"))) for number in range(3)]
    mute = office.drop(tip())
    receive(desk)
    assert 'name="tell" value="yes" checked' in browser.get("/").text
    browser.post("/close", tip=[*tips[:2], mute], reason="repeat", tell="yes")
    browser.post("/close", tip=tips, reason="repeat")
    assert [told(desk, each) for each in (*tips, mute)] == [[("closed", ())], [("closed", ())], [], []]


def test_a_tip_is_referred_and_closed_though_the_sender_cannot_be_told(desk, browser, one, monkeypatch):
    """Where the desk cannot write the status, the page says that the work is done and the sender was not told."""
    browser.get(f"/tips/{one}")
    monkeypatch.setattr(desk.statuses, "_write", lambda *_: (_ for _ in ()).throw(RefusedError("disk-full")))
    refer(browser, desk, one, ["police"], tell="yes")
    page = browser.get(f"/tips/{one}").text
    assert ("Referred." in page, "the desk could not write to the sender" in page) == (True, True)
    browser.post(f"/tips/{one}/close", reason="finished", tell="yes")
    assert desk.cases.get(one).state is State.CLOSED
    assert "The tip is closed. But the desk could not write to the sender" in browser.get("/").text


def test_a_desk_that_gets_behind_says_so(desk, browser, office):
    """With 30 statuses, more than leave in a day, the queue says how late the last will leave; with 20 nothing."""
    tips = [office.drop(tip(reply=ReplyTo(bytes(32), f"{number:032x}"))) for number in range(30)]
    receive(desk)
    for each in tips[:20]:
        desk.statuses.note_opened(desk.cases.get(each))
    assert "wait for the site" not in browser.get("/").text
    for each in tips[20:]:
        desk.statuses.note_opened(desk.cases.get(each))
    assert (
        "30 statuses for senders wait for the site, and the last will leave in 1 day or more" in browser.get("/").text
    )


def test_a_reply_address_that_the_site_refuses_is_told_nothing(desk, browser, office):
    """Under a locator of no site a status would wait for ever: none is written."""
    one = office.drop(tip(reply=ReplyTo(bytes(32), "another-place")))
    receive(desk)
    browser.get(f"/tips/{one}")
    assert desk.cases.get(one).thread == ()


def test_an_export_says_what_the_sender_was_told(desk, browser, one):
    """The JSON of a case names each status and its details."""
    browser.get(f"/tips/{one}")
    browser.post(f"/tips/{one}/close", reason="nothing", tell="yes")
    thread = json.loads(browser.post(f"/tips/{one}/export", **{"as": "json"}).data)["thread"]
    assert [(each["status"], each["details"]) for each in thread] == [("opened", []), ("closed", ["nothing"])]


def test_a_record_of_a_desk_without_statuses_is_still_read(desk, browser, one):
    """A case that an earlier version kept has none of the new fields, and is read as it was."""
    case = desk.replies.write(desk.cases.claim(one, "Ana"), "Ana", "Thank you")
    raw = json.loads(encode_case(case))
    del raw["silent"]
    for message in raw["thread"]:
        for name in ("kind", "value", "details", "earliest", "held", "number", "replies", "withdraw"):
            del message[name]
    assert decode_case(json.dumps(raw).encode()) == case


@pytest.mark.parametrize(
    ("takes", "kind"),
    [
        (["danger", "children", "trafficking"], "trafficking"),
        (["money"], "work"),
        (["child"], "children"),
        (["danger"], "danger"),
        (["movement", "documents"], ""),
        ([], ""),
    ],
)
def test_the_kind_of_an_authority_comes_from_its_topics(office, takes, kind):
    """The first topic that names a kind counts; topics that name none say only that the tip was passed on."""
    text = office.config.read_text().replace('["danger", "children", "trafficking"]', json.dumps(takes))
    office.config.write_text(text)
    assert authority_kind(load_desk_config(office.config, {}).authorities["police"]) == kind
