"""The filter of the queue in addresses: from the queue to a tip, through its forms, and back."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.desk import receive, tip

_FILTER = "view=new&words=vineyard&danger=1&language=en"


@pytest.fixture
def vineyards(office, desk):
    """The ids of three tips that the filter finds, in the order of the queue, beside one that it does not find."""
    for number in range(3):
        office.drop(tip({"what": f"They are at the vineyard and the boss has a gun, night {number}", "danger": "yes"}))
    office.drop(tip({"what": "A van at the packhouse", "danger": "yes"}))
    receive(desk)
    return [case.id for case in desk.queue.order() if "vineyard" in case.text("what")]


def _links(page):
    """The address of each link and form of a page, by the letter that presses it."""
    found = re.findall(r'<a [^>]*href="([^"]*)"[^>]*data-key="(.)"', page)
    return {key: unescape(href) for href, key in found}


def _asked(address):
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items() if name != "page"}


def _local(address):
    return "/" + address.split("/", 2)[2]


def test_next_previous_and_back_stay_within_the_filter(browser, vineyards):
    """Given a filtered queue, the tips opened from it lead to each other in its order, and back to the same filter."""
    asked = _asked(f"/?{_FILTER}")
    opened = _links(browser.get(f"/?{_FILTER}").text)
    assert _asked(opened["o"]) == asked
    page = browser.get(f"/tips/{vineyards[0]}?{_FILTER}").text
    walked = []
    for _ in range(2):
        links = _links(page)
        walked.append(urlsplit(links["j"]).path[-26:])
        assert _asked(links["j"]) == _asked(links["q"]) == asked
        page = browser.get(_local(links["j"])).text
    assert walked == vineyards[1:]
    links = _links(page)
    assert "j" not in links, "the last of the list"
    assert urlsplit(links["k"]).path[-26:] == vineyards[1]


def test_the_filter_survives_the_forms_of_a_tip(browser, vineyards):
    """Claim, note and give back lead to the tip or the queue with the same filter and page."""
    one, query = vineyards[0], f"{_FILTER}&page=2"
    page = browser.get(f"/tips/{one}?{query}").text
    forms = [unescape(address) for address in re.findall(rf'action="([^"]*/tips/{one}/[^"]*)"', page)]
    assert forms
    assert all(_asked(form) == _asked(f"/?{_FILTER}") for form in forms)
    for path, fields in (("claim", {}), ("note", {"text": "x"}), ("release", {})):
        back = browser.post(f"/tips/{one}/{path}?{query}", **fields).location
        assert parse_qs(urlsplit(back).query) == parse_qs(query), path
    assert urlsplit(back).path.count("/tips/") == 0
    assert parse_qs(urlsplit(browser.post(f"/close?{query}", tip=[one], reason="test").location).query) == parse_qs(
        query
    )


@pytest.mark.parametrize(
    "untrusted",
    [
        "next=https://evil.example/&back=//evil.example&q=https:evil.example",
        "_external=1&_scheme=https&_anchor=evil.example&_method=POST&endpoint=records.show_journal&tip=evil.example",
        "view=//evil.example&kind=https://evil.example&language=evil.example&sort=evil.example&page=-1",
        "view=&page=99999999999999999999&danger=evil.example&files=2",
    ],
)
def test_no_address_leads_elsewhere_whatever_the_filter_says(browser, vineyards, untrusted):
    """Anything but a filter that the queue knows is left out of every address, and no redirection leaves the desk."""
    one = vineyards[0]
    answer = browser.get(f"/tips/{one}?{untrusted}")
    assert answer.status_code == 200
    assert "evil.example" not in answer.text
    back = browser.post(f"/tips/{one}/claim?{untrusted}").location
    assert back == browser.path(f"/tips/{one}")
    assert browser.post(f"/tips/{one}/release?{untrusted}").location == browser.path("/")
    hostile = browser.get(f"/tips/{one}?words=//evil.example").text
    assert "evil.example" in hostile
    assert not re.search(r'(?:href|action)="(?:https?:)?//', hostile)
    assert {urlsplit(address).netloc for address in _links(hostile).values()} == {""}


def test_the_tabs_and_the_links_of_the_queue_are_those_of_the_filter(browser, vineyards):
    """The tab of all keeps the words; to clear the search keeps the tab and no words."""
    page = browser.get(f"/?{_FILTER}").text
    tabs = {_asked(unescape(href)).get("view"): unescape(href) for href in re.findall(r'<li><a href="([^"]*)"', page)}
    assert _asked(tabs["all"]) == _asked(f"/?{_FILTER}") | {"view": "all"}
    clear = re.search(r'<a href="([^"]*)">Clear the search', page)[1]
    assert set(_asked(unescape(clear))) <= {"view", "sort"}
    assert len(re.findall("<tr data-row>", page)) == len(vineyards)


def test_the_language_of_a_tip_is_the_same_on_every_page(browser, desk, office):
    """A tip whose first answer alone is too short for a guess has one language in the queue and on its page."""
    one = office.drop(tip({"what": "KTR482", "where": "It is the house with the red door at the end of the road"}))
    receive(desk)
    assert re.search(r'<span class="soft">English', browser.get("/").text)
    assert "Language: English" in browser.get(f"/tips/{one}").text
