"""The forms that close tips: one or many, and the button that undoes it."""

import re

import pytest

from app.desk.case_fields import State
from app.desk.web import context
from tests.support.desk import Browser, receive, tip

DANGER = {"what": "A man with a gun holds them", "danger": "yes"}


def _two(office, desk):
    ids = office.drop(tip(DANGER)), office.drop(tip())
    receive(desk)
    return ids


def test_danger_is_never_closed_with_others(browser, desk, office):
    """Closing many leaves a tip in danger open and says so; its own page closes it only with the box ticked."""
    urgent, other = _two(office, desk)
    browser.post("/close", tip=[urgent, other], reason="test")
    assert [desk.cases.get(one).state for one in (urgent, other)] == [State.NEW, State.CLOSED]
    assert "because someone is in danger now and you must close each on its own page: 1." in browser.get("/").text
    assert browser.post(f"/tips/{urgent}/close", reason="test").status_code == 409
    page = browser.get(f"/tips/{urgent}").text
    assert re.search(r'name="danger-over" value="yes" required', page)
    assert 'value="finished"' not in page, "the tip was not referred"
    browser.post(f"/tips/{urgent}/close", **{"reason": "test", "danger-over": "yes"})
    assert desk.cases.get(urgent).state is State.CLOSED


def test_many_are_undone_together_and_only_once(browser, desk, office):
    """The button opens again all that was closed together, each as it was, and is then gone."""
    ids = [office.drop(tip({"what": f"Number {number}"})) for number in range(3)]
    receive(desk)
    desk.cases.claim(ids[0], "Ana")
    browser.post("/close", tip=ids, reason="test")
    assert "Undo: open the 3 tips that you closed" in browser.get("/journal").text
    browser.post("/close/undo")
    found = [desk.cases.get(one) for one in ids]
    assert [(case.state, case.holder) for case in found] == [
        (State.WORK, "Ana"),
        (State.NEW, ""),
        (State.NEW, ""),
    ]
    assert "Undo" not in browser.get("/").text
    browser.post("/close/undo")
    assert [entry.did for entry in desk.journal.entries].count("undone") == 3


@pytest.mark.parametrize("late", [False, True])
def test_only_who_closed_a_tip_undoes_it_and_only_for_a_while(desk, office, monkeypatch, late):
    """Another handler sees no such button, and after five minutes nobody does; the tip can still be opened again."""
    _, one = _two(office, desk)
    ana, ben = Browser(desk), Browser(desk, who="Ben")
    ana.post(f"/tips/{one}/close", reason="test")
    assert "Undo" in ana.get("/").text
    if late:
        monkeypatch.setattr(context, "UNDO_SECONDS", 0.0)
    else:
        ana.post("/who", who="Ben")
    for browser in (ana, ben):
        assert "Undo" not in browser.get("/").text
        browser.post("/close/undo")
    assert desk.cases.get(one).state is State.CLOSED
    ben.post(f"/tips/{one}/reopen")
    assert desk.cases.get(one).state is State.WORK
