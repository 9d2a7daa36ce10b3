"""The forms that give a tip away and set a due day, and what the colleague reads."""

from datetime import timedelta

from tests.support.desk import DAY, Browser, receive, tip


def test_a_colleague_is_told_and_reads_who_gave_the_tip(desk, office):
    """Ana gives a tip with danger to Ben: his open page is told once, and the queue and the tip name Ana."""
    one = office.drop(tip({"what": "He has a gun", "danger": "yes"}))
    receive(desk)
    ana, ben = Browser(desk), Browser(desk, who="Ben")
    seen = ben.get("/arrivals?seen=0-0").json["seen"]
    assert seen == "1-0"
    assert 'data-seen="1-0"' in ben.get("/").text
    assert "Choose a colleague" in ana.get(f"/tips/{one}").text
    ana.post(f"/tips/{one}/give", colleague="Ben")
    told = ben.get(f"/arrivals?seen={seen}").json
    assert told == {
        "seen": "1-1",
        "sentence": "Ana gave you a tip. 1 says that someone is in danger now.",
        "count": 1,
        "urgent": True,
    }
    assert ben.get("/arrivals?seen=1-1").json["count"] == 0
    assert ana.get(f"/arrivals?seen={seen}").json["count"] == 0
    for page in ("/?mine=1", f"/tips/{one}"):
        assert "Given to you by Ana" in ben.get(page).text
    assert "Given by Ana" in ana.get("/").text
    assert "Ben" in ana.get(f"/journal?tip={one}").text


def test_due_days_are_shown_and_refused_in_words(browser, desk, office):
    """The queue says for how many days a tip is overdue; a day that is none is refused, an empty one takes it away."""
    one = office.drop(tip({"what": "He has a gun", "danger": "yes"}, received=DAY - timedelta(days=2)))
    receive(desk)
    assert "Overdue for 2 days" in browser.get("/?due=1&sort=due").text
    browser.post(f"/tips/{one}/due", day=(DAY + timedelta(days=1)).isoformat())
    assert "Due on 2026-11-23" in browser.get(f"/tips/{one}").text
    assert "Overdue" not in browser.get("/").text
    for day in ("tomorrow", "2026-11-21", "2226-11-21"):
        answer = browser.post(f"/tips/{one}/due", day=day)
        assert (answer.status_code, "Choose a day from today on" in answer.text) == (409, True)
    browser.post(f"/tips/{one}/due", day="")
    assert "Overdue for 2 days" in browser.get("/").text
