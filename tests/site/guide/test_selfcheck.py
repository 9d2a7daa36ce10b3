"""The self-check asks and shows, and its answers cannot leave the page."""

import re

import pytest

NEVER = re.compile(r"you are (not )?a victim\b(?! of people trafficking or not)")


@pytest.fixture(scope="module")
def documents(site):
    return {code: site.get(f"/{code}/self-check").document for code in site.languages}


def test_it_asks_the_eight_questions_with_a_yes_and_a_no(documents):
    """In every language the self-check has eight questions with two choices."""
    for document in documents.values():
        form = document.one("form", class_="check")
        radios = [radio for radio in document.all("input", type="radio") if form in radio.around]
        assert [radio.attrs["name"] for radio in radios] == [f"q{n}" for n in range(1, 9) for _ in "yn"]
        assert len([legend for legend in document.all("legend") if form in legend.around]) == 8


def test_an_answer_has_nowhere_to_go(documents):
    """The form has method dialog, no address, no values and no submit button, and nothing is remembered."""
    for document in documents.values():
        form = document.one("form", class_="check")
        assert form.attrs == {"class": "check", "method": "dialog", "autocomplete": "off"}
        assert not [
            radio for radio in document.all("input", type="radio") if "value" in radio.attrs or "checked" in radio.attrs
        ]
        assert [button.attrs["type"] for button in document.all("button") if form in button.around] == ["reset"]


def test_what_is_sent_to_the_page_changes_nothing(site):
    """A query with answers gets the same page, and a POST is refused."""
    assert site.get("/en/self-check?q1=yes").document.text == site.get("/en/self-check").document.text
    assert site.post("/en/self-check", {"q1": "yes"}).status == 405


def test_a_yes_shows_police_mbie_and_crime_stoppers(site, documents):
    """In every language all three contacts are there with numbers to tap."""
    for code, document in documents.items():
        block = document.one("div", class_="if-yes")
        contacts = site.prerendered.library.editions[code].contacts
        shown = {link.attrs["href"] for link in document.all("a") if block in link.around}
        for identifier in ("police-105", "mbie-exploitation", "crime-stoppers"):
            assert contacts[identifier].href in shown


def test_each_yes_leads_to_its_steps(site, documents):
    """Locks, permission and threats lead to danger, pay and debt to work, a passport to both; two lines always show."""
    leads = ["danger work", "danger", "danger", "work", "work", "work", "danger", "work"]
    steps = {"danger": ("police-111", "police-105"), "work": ("mbie-exploitation",)}
    steps["always"] = ("crime-stoppers", "victim-support")
    for code, document in documents.items():
        answers = [radio.attrs["class"] for radio in document.all("input", type="radio") if "class" in radio.attrs]
        assert answers == [f"yes {lead}" for lead in leads]
        contacts = site.prerendered.library.editions[code].contacts
        for step, identifiers in steps.items():
            block = document.one("div", class_=f"if-{step}")
            assert document.one("div", class_="if-yes") in block.around
            shown = {link.attrs["href"] for link in document.all("a") if block in link.around}
            assert {contacts[identifier].href for identifier in identifiers} <= shown
    style = site.get("/en/self-check").document.html.partition("<style>")[2].partition("</style>")[0]
    hidden = style.partition("@supports selector(:has(a))")[2]
    for step in ("danger", "work"):
        assert f".check:not(:has(.{step}:checked)) .if-{step}" in hidden
        assert f".if-{step}" not in style.partition("@supports selector(:has(a))")[0]
    assert ".if-always" not in style
    english = documents["en"].one("div", class_="if-work").text
    assert "Migrant Exploitation Protection Work Visa" in english
    assert "whatever your visa is" in english


def test_danger_now_comes_before_the_questions(documents):
    """111 stands in the page before the first question."""
    for document in documents.values():
        places = {id(element): place for place, element in enumerate(document.elements)}
        form = document.one("form", class_="check")
        danger = [link for link in document.all("a", href="tel:111") if link.within("main")]
        assert places[id(danger[0])] < places[id(form)]


def test_everything_it_could_say_is_there_without_a_style(documents):
    """The words for a yes and for all no are in the page from the start, in a status region."""
    for document in documents.values():
        region = document.one("div", role="status")
        for name in ("if-yes", "if-none"):
            block = document.one("div", class_=name)
            assert region in block.around
            assert block.text


def test_no_page_promises_that_nobody_is_watching(site, documents):
    """No site can know who looks at the screen; the self-check says what is true: the site cannot see the answers."""
    assert "This site cannot see your answers." in documents["en"].text
    for path, page in site.prerendered.pages.items():
        if path.startswith("/en/"):
            assert b"Nobody is watching" not in page.identity


def test_it_never_says_that_someone_is_or_is_not_a_victim(documents):
    """The English gives no verdict: all no “does not mean that nothing is wrong”."""
    text = documents["en"].text
    assert not NEVER.search(text)
    assert "This does not mean that nothing is wrong" in documents["en"].one("div", class_="if-none").text
    assert "It is not your fault" in documents["en"].one("div", class_="if-yes").text
