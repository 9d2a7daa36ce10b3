"""Two people, or two windows, on one tip: each page says so, and says who changed the tip meanwhile."""

import re

from tests.support.desk import Browser, receive, tip


def _page(browser, path):
    """What a page says of others, its window, and what its script asks with."""
    text = browser.get(path).text
    found = re.search(
        r'data-beside="[^"]*(/tips/[^"]+)" data-leave="[^"]*(/tips/[^"]+)" data-window="(\w+)" data-version="(\d+)">'
        r'<p role="status">([^<]*)</p>',
        text,
    )
    return {"ask": f"{found[1]}?window={found[3]}&version={found[4]}", "leave": found[2], "window": found[3]}, found[5]


def test_two_people_on_one_tip_are_told_at_once_until_one_leaves(browser, desk, one):
    """Ben opens what Ana has open: both are told, on every page of the tip, until Ben leaves or is locked."""
    ben = Browser(desk, "Ben")
    asked, others = _page(browser, f"/tips/{one}")
    assert others == ""
    assert browser.get(asked["ask"]).json == {"others": "", "changed": ""}
    his, others = _page(ben, f"/tips/{one}/print")
    assert others == "Ana has this tip open too."
    assert browser.get(asked["ask"]).json["others"] == "Ben has this tip open too."
    browser.post(asked["leave"], window=his["window"])
    assert browser.get(asked["ask"]).json["others"] == "Ben has this tip open too.", "Ana cannot say that Ben left"
    assert ben.post(his["leave"], window=his["window"]).status_code == 204
    assert browser.get(asked["ask"]).json["others"] == ""
    _page(ben, f"/tips/{one}")
    for session in ben.sessions._sessions.values():
        ben.sessions.end(session)
        break
    assert browser.get(asked["ask"]).json["others"] == ""
    for window in desk.presence._windows.values():
        window.seen -= 91
    assert _page(browser, f"/tips/{one}")[1] == "", "a browser that is gone has nothing open"
    asked, others = _page(browser, f"/tips/{one}")
    assert others == "", "the page before this one, in the same window, has not said that it is gone"
    assert browser.get(asked["ask"]).json["others"] == "You have this tip open in another window too."
    assert not [entry for entry in desk.journal.entries if "beside" in entry.did]


def test_a_change_by_somebody_else_is_told_with_the_name(browser, desk, one):
    """A note by Ben and a claim in one's own second window are told; reading and numbers that are none are not."""
    ben = Browser(desk, "Ben")
    browser.get(f"/tips/{one}")
    asked, _ = _page(browser, f"/tips/{one}")
    ben.get(f"/tips/{one}")
    assert browser.get(asked["ask"]).json["changed"] == ""
    ben.post(f"/tips/{one}/note", text="I called them")
    assert browser.get(asked["ask"]).json["changed"] == "This tip was changed by Ben while you had it open."
    browser.post(f"/tips/{one}/claim")
    assert browser.get(asked["ask"]).json["changed"] == "You changed this tip in another window."
    asked, _ = _page(browser, f"/tips/{one}")
    assert browser.get(asked["ask"]).json["changed"] == ""
    for version in ("x", "-1", "9" * 5000, ""):
        assert browser.get(f"/tips/{one}/beside?window=w&version={version}").json["changed"] == ""


def test_a_tip_that_is_gone_or_locked_is_told_to_nobody(browser, desk, one):
    """Given an open page of a tip that somebody locks as objectionable, the script is refused."""
    asked, _ = _page(browser, f"/tips/{one}")
    desk.cases.lock_away(one, "Ben")
    assert browser.get(asked["ask"]).status_code == 409
    assert browser.get("/tips/nothing/beside").status_code == 404


def test_asking_is_no_use_of_the_session_and_many_windows_are_bounded(browser, desk, office, one):
    """Polling keeps no session alive, and of a thousand windows the desk knows five hundred."""
    asked, _ = _page(browser, f"/tips/{one}")
    for session in browser.sessions._sessions.values():
        session.used -= 600
    for number in range(1000):
        desk.presence.note(one, f"w{number}", "Ana", is_over=lambda: False)
    assert len(desk.presence._windows) == 500
    browser.get(asked["ask"])
    assert all(browser.sessions.seconds_left(session) <= 300 for session in browser.sessions._sessions.values())
    other = office.drop(tip({"what": "Another"}))
    receive(desk)
    assert _page(browser, f"/tips/{other}")[1] == ""
