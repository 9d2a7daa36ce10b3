"""The pages of the queue: many cases closed or exported at once, and the inbox opened."""

import io
import re
import zipfile
from dataclasses import replace

import pytest

from app.desk.case_fields import State
from tests.support.desk import receive, reply_to, tip, wait_for


def test_many_are_closed_with_one_reason(browser, desk, office):
    """Chosen rows are closed at once; what somebody else works on is left, and both are said."""
    ids = [office.drop(tip()) for _ in range(3)]
    receive(desk)
    desk.cases.claim(ids[0], "Ben")
    browser.post("/close", tip=ids, reason="repeat")
    assert [desk.cases.get(one).state for one in ids] == [State.WORK, State.CLOSED, State.CLOSED]
    page = browser.get("/").text
    assert "Tips closed: 2." in page
    assert re.search(r"Tips not closed, because [^:]+: 1\.", page)


@pytest.mark.parametrize("path", ["/close", "/tips/{}/close"])
def test_no_tip_is_closed_before_a_handler_chooses_a_reason(browser, desk, office, path):
    """One key press closes no tip: no reason is chosen beforehand, in the queue or on the page of the tip."""
    one = office.drop(tip({"what": "A man with a gun holds them", "danger": "yes"}))
    receive(desk)
    for page in ("/", f"/tips/{one}"):
        reasons = r'<select id="reason" name="reason"(?: required)?><option value="([^"]*)"'
        chosen = re.search(reasons, browser.get(page).text)[1]
        assert chosen == ""
    answer = browser.post(path.format(one), tip=[one], reason=chosen)
    assert (answer.status_code, "Choose a reason" in answer.text) == (409, True)
    assert desk.cases.get(one).state is State.NEW


def test_many_are_exported_with_progress(browser, desk, office):
    """The export runs in the background, shows how far it is, and its zip is handed over once; locked tips stay out."""
    ids = [office.drop(tip()) for _ in range(3)]
    receive(desk)
    desk.cases.lock_away(ids[0], "Ana")
    where = browser.post("/export", tip=ids).location
    wait_for(lambda: "finished" in browser.get(where).text)
    assert "2 of 2" in browser.get(where).text
    names = zipfile.ZipFile(io.BytesIO(browser.get(f"{where}/export.zip").data)).namelist()
    assert sorted(names) == sorted([*(f"{one}/tip.json" for one in ids[1:]), "htcds.csv", "manifest.json"])
    assert browser.get(f"{where}/export.zip").status_code == 404
    assert browser.post(f"{where}/stop").status_code == 404
    assert browser.get(browser.post("/export").location).status_code == 200


def test_opening_is_started_and_stopped_from_the_queue(browser, desk, office):
    """The queue offers what waits in the inbox; the work's page says how far it is, and Stop is heard."""
    for _ in range(3):
        office.drop(tip())
    assert "Open 3 in the inbox" in browser.get("/").text
    browser.post("/take-in")
    wait_for(lambda: "3 of 3: finished" in browser.get("/progress/intake").text)
    browser.post("/progress/intake/stop")
    assert desk.opening.stopped
    assert len(desk.cases.all()) == 3


@pytest.mark.parametrize("seen", ["", "-1", "x", "9" * 30])
def test_a_page_that_asks_for_arrivals_from_nowhere_is_told_of_all(browser, desk, office, seen):
    """A number that is none counts as nothing seen."""
    office.drop(tip())
    receive(desk)
    assert browser.get(f"/arrivals?seen={seen}").json["count"] == 1


@pytest.mark.parametrize("state", [State.REFERRED, State.CLOSED])
def test_an_answer_brings_a_finished_tip_back_until_the_messages_are_read(browser, desk, office, one, state):
    """Given a referred or closed tip, when its sender answers, the tip is in "To do" until the thread is opened."""
    desk.cases.change(one, "Ana", "test", lambda now: replace(now, state=state, closed=now.received))
    assert one not in browser.get("/").text
    office.drop(tip({"what": "They moved the girls last night"}, answers_to=reply_to().locator))
    receive(desk)
    assert one in browser.get("/").text
    for _ in range(2):
        page = browser.get(f"/tips/{one}").text
        assert "The sender has answered" in page, "to open the tip shows no answer, so the answer is not read"
    assert one in browser.get("/").text
    assert "They moved the girls" in browser.get(f"/tips/{one}/reply").text
    assert one not in browser.get("/").text
    assert "The sender has answered" not in browser.get(f"/tips/{one}").text
    assert [entry.did for entry in desk.journal.entries].count("read-answer") == 1
