"""Joined tips: one leads, the others follow and can be taken apart; no word of one reaches the sender of another."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app.desk.case_fields import State
from app.desk.case_json import decode_case, encode_case
from app.desk.closing import close_case
from app.desk.errors import RefusedError
from tests.support.desk import Browser, receive, reply_to, tip


@pytest.fixture
def ids(office, desk) -> list[str]:
    """Four tips about one van, of which the last says that someone is in danger."""
    made = [office.drop(tip({"what": f"The van KTR482, tip {number}"})) for number in range(3)]
    made.append(office.drop(tip({"what": "The van KTR482, now", "danger": "yes"})))
    receive(desk)
    return made


def entries(desk, did: str) -> list[tuple[str, str, str]]:
    """Who did something to which tip, and the other tip's id."""
    return [(one.who, one.tip, one.what) for one in desk.journal.entries if one.did == did]


def test_tips_that_belong_together_follow_one_and_are_taken_apart_again(desk, ids):
    """Two groups become one under the tip from which they were joined; each change is journaled with both ids."""
    one, two, three, four = ids
    assert desk.joined.join(one, [two], "Ana") == 1
    assert desk.joined.join(three, [four], "Ben") == 1
    assert desk.joined.join(two, [four], "Ben") == 2
    assert {case.id for case in desk.joined.followers(desk.cases.get(one))} == {two, three, four}
    assert desk.joined.others(desk.cases.get(three))[0].id == one
    assert {what for _, _, what in entries(desk, "joined")[-2:]} == {one}
    desk.joined.take_apart(four, "Ana")
    assert desk.cases.get(four).follows == ""
    assert entries(desk, "taken-apart") == [("Ana", four, one)]
    desk.joined.take_apart(one, "Ana")
    assert desk.joined.others(desk.cases.get(one)) == []
    with pytest.raises(RefusedError, match="not-joined"):
        desk.joined.take_apart(one, "Ana")
    with pytest.raises(RefusedError, match="no-tips"):
        desk.joined.join(one, [one], "Ana")


def test_two_handlers_who_join_at_once_never_make_a_circle(desk, ids):
    """Whatever two press at the same moment, a tip that follows never leads."""
    one, two, three, four = ids

    def press(pair):
        try:
            desk.joined.join(pair[0], [pair[1]], "Ana")
        except RefusedError as error:
            return error.code
        return ""

    with ThreadPoolExecutor(8) as pool:
        codes = set(pool.map(press, [(one, two), (two, one), (two, three), (three, one), (four, one), (one, four)] * 4))
    assert codes <= {"", "joined", "no-tips"}
    cases = desk.cases.all()
    assert not {case.follows for case in cases if case.follows} & {case.id for case in cases if case.follows}


def test_the_tips_that_follow_are_claimed_given_back_and_closed_with_the_one_that_leads(desk, ids):
    """Each by the rules for every tip: what another holds, or where someone is in danger, is left alone, and said."""
    one, two, three, four = ids
    desk.joined.join(one, [two, three, four], "Ana")
    desk.cases.claim(three, "Ben")
    browser = Browser(desk)
    browser.post(f"/tips/{one}/claim")
    assert [desk.cases.get(each).holder for each in ids] == ["Ana", "Ana", "Ben", "Ana"]
    browser.post(f"/tips/{one}/release")
    assert [desk.cases.get(each).holder for each in ids] == ["", "", "Ben", ""]
    browser.post(f"/tips/{one}/give", colleague="Ben")
    assert [desk.cases.get(each).holder for each in ids] == ["Ben"] * 4
    for each in (one, two, four):
        desk.cases.release(each, "Ben")
    browser.post(f"/tips/{one}/close-repeats")
    page = browser.get(f"/tips/{one}").text
    assert "Tips closed: 1." in page
    assert "Left open, because someone is in danger now: 1." in page
    assert "Left open, because another person works on them or something is just leaving: 1." in page
    closed = desk.cases.get(two)
    assert (closed.state, closed.reason, closed.repeats) == (State.CLOSED, "repeat", one)
    assert [case.id for case in desk.joined.repeats(desk.cases.get(one))] == [two]
    assert entries(desk, "closed") == [("Ana", two, f"repeat {one}")]
    assert desk.cases.get(four).open
    browser.post("/close/undo")
    undone = desk.cases.get(two)
    assert (undone.state, undone.holder, undone.repeats, undone.follows) == (State.NEW, "", "", one)


def test_a_repeat_names_which_tip_it_repeats(desk, ids):
    """The page suggests the tip; another can be named by its first letters, but no tip that is not here, nor itself."""
    one, two, three, four = ids
    desk.joined.join(one, [two], "Ana")
    browser = Browser(desk)
    assert (
        f'name="repeats" list="tips-about-the-same" maxlength="26" size="10" value="{one}"'
        in browser.get(f"/tips/{two}").text
    )
    for wrong in (two, "zzzzzz", "0", two[:4]):
        answer = browser.post(f"/tips/{two}/close", reason="repeat", repeats=wrong)
        assert "The tip was not closed" in answer.text
    browser.post(f"/tips/{three}/close", reason="repeat", repeats=one[:20].upper())
    assert desk.cases.get(three).repeats == one
    assert f"tip {one[:6]}</a>" in browser.get(f"/tips/{three}").text
    browser.post(f"/tips/{four}/close", reason="test", repeats=one, **{"danger-over": "yes"})
    assert desk.cases.get(four).repeats == ""
    with pytest.raises(RefusedError, match="repeats"):
        close_case(desk.cases, one, "Ana", "repeat", repeats=three)
    browser.post(f"/tips/{three}/reopen")
    assert desk.cases.get(three).repeats == ""


def test_of_equal_tips_closed_together_each_repeats_the_oldest(office, desk):
    """Closed as repeats at once, equal tips name the oldest of them, which names none."""
    words = {"what": "Buy our watches now, the best price in town, all brands, free delivery to your door"}
    made = sorted(office.drop(tip(words)) for _ in range(3))
    receive(desk)
    browser = Browser(desk)
    browser.post("/close", tip=made, reason="repeat")
    assert [desk.cases.get(one).repeats for one in made] == ["", made[0], made[0]]
    assert {desk.cases.get(one).reason for one in made} == {"repeat"}


@pytest.mark.parametrize("end", ["lock", "destroy"])
def test_a_group_outlives_the_tip_that_led_it(desk, ids, end):
    """Locked or destroyed, the leading tip leaves clear words behind, and the others can be joined anew."""
    one, two, three, _ = ids
    desk.joined.join(one, [two, three], "Ana")
    if end == "lock":
        desk.cases.lock_away(one, "Ana")
    else:
        desk.cases.destroy([desk.cases.get(one)])
    browser = Browser(desk)
    assert "The tip that this tip followed was locked or destroyed." in browser.get(f"/tips/{two}").text
    assert desk.joined.others(desk.cases.get(two)) == []
    desk.joined.join(two, [three], "Ana")
    assert [case.id for case in desk.joined.others(desk.cases.get(three))] == [two]
    assert close_case(desk.cases, three, "Ana", "repeat").repeats == two


def test_an_answer_or_a_locked_tip_joins_nothing(office, desk, ids):
    """An answer belongs to its thread, and a locked tip to nothing: both are refused on the page, in words."""
    first = tip(reply=reply_to())
    answer = tip({"what": "KTR482 again"}, reply=reply_to(), answers_to=reply_to().locator)
    for one in (first, answer):
        office.drop(one)
        receive(desk)
    desk.cases.lock_away(ids[3], "Ana")
    browser = Browser(desk)
    for other in (answer.id, ids[3], "nothing"):
        page = browser.post(f"/tips/{ids[0]}/join", other=other).text
        assert "Nothing was joined." in page
    assert desk.joined.others(desk.cases.get(ids[0])) == []


def test_nothing_of_one_tip_reaches_the_thread_or_the_referral_of_another(office, desk):
    """Joined with a tip that has a code, a tip's words stand in no reply, no status and no draft but its own."""
    first = tip({"what": "I saw KTR482 at the packhouse"}, reply=reply_to())
    other = tip({"what": "My name is Moana and the driver of KTR482 is my uncle"})
    for one in (first, other):
        office.drop(one)
    receive(desk)
    browser = Browser(desk)
    browser.post(f"/tips/{first.id}/join", other=other.id)
    browser.post(f"/tips/{first.id}/claim")
    page = browser.get(f"/tips/{first.id}/reply").text
    assert "Write nothing that you know only from another tip" in page
    assert "Moana" not in page
    assert "Moana" not in browser.get(f"/tips/{first.id}/redact").text
    browser.post(f"/tips/{first.id}/close-repeats", tell="yes")
    assert b"Moana" not in encode_case(desk.cases.get(first.id))
    assert desk.cases.get(other.id).repeats == first.id


def test_a_record_of_an_earlier_version_opens(desk, ids):
    """A case that was written before tips could be joined follows none and repeats none."""
    case = desk.cases.get(ids[0])
    data = encode_case(case).replace(b'"follows":"","repeats":"",', b"")
    assert b"follows" not in data
    assert decode_case(data) == case
    assert decode_case(encode_case(replace(case, follows=ids[1], repeats=ids[2]))).follows == ids[1]
