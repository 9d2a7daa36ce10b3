"""The report's steps where something is wrong: the page says so truly, keeps the text, and gives the numbers."""

import time

import pytest

from app.site.report.form_token import Token, TokenError, TooSoonError, read_token
from tests.support.visit import KNOWN, open_site

SECRET = bytes(range(32))


def fill(site, step="check", lang="en", **answers):
    """A form as a person sends it: opened, filled in, one button pressed."""
    page = site.get(f"/{lang}/report")
    token = page.document.one("input", name="csrf_token").attrs["value"]
    return site.post(f"/{lang}/report", {"csrf_token": token, "what": "typed with care", "step": step, **answers})


def kept(answer):
    """What the text field holds on the page that came back, on the form or as a hidden field."""
    areas = answer.document.all("textarea", name="what")
    return areas[0].text if areas else answer.document.one("input", name="what").attrs["value"]


def numbers(answer):
    return {a.attrs["href"] for a in answer.document.all("a") if a.attrs["href"].startswith("tel:")}


def test_a_form_that_comes_back_too_soon_is_not_sent(tmp_path):
    """Quicker than a person fills it in: 400, the text is kept, and nothing claims that it was sent."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="1h")
    answer = fill(site, "send")
    assert (answer.status, kept(answer)) == (400, "typed with care")
    assert "nothing was sent" in answer.text


def test_over_the_limit_the_page_says_when_to_try_again(tmp_path):
    """429 with Retry-After, minutes in words, and the text kept."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s", LIMITS_PER_ADDRESS="2/hour", SERVER_WORKERS="1")
    assert [fill(site, "send").status for _ in range(2)] == [200, 200]
    answer = fill(site, "send")
    assert (answer.status, kept(answer)) == (429, "typed with care")
    assert 1 <= int(answer.headers["Retry-After"]) <= 3600
    assert "minutes" in answer.text


def test_past_the_agency_s_day_the_form_is_closed(tmp_path):
    """The form says that it is closed and whom to call; a report sent all the same is not sent, and its text kept."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s", AGENCY_EXAMPLE_EXPIRES="2020-01-01")
    page = site.get("/en/report")
    assert page.status == 503
    answer = fill(site, "send")
    assert (answer.status, kept(answer)) == (503, "typed with care")
    for one in (page, answer):
        assert "This form is closed" in one.text
        assert {"tel:111", "tel:105", "tel:+64800555111"} <= numbers(one)


def test_every_language_has_the_whole_form(tmp_path):
    """The form, its errors and the look before sending work in each language, and speak it."""
    site = open_site(tmp_path, REPORT_MIN_FILL="0s", LIMITS_PER_ADDRESS="1000/hour")
    english = {element.text for element in site.get("/en/report").document.all("legend")}
    assert site.languages == tuple(KNOWN)
    for lang in site.languages:
        if lang != "en":
            assert not english & {element.text for element in site.get(f"/{lang}/report").document.all("legend")}
        assert fill(site, "check", lang, what="").status == 422
        assert fill(site, "check", lang).status == 200
        assert fill(site, "send", lang).status == 200


def test_the_form_asks_the_browser_to_remember_nothing(tmp_path):
    """Every form and field is autocomplete=off, free text is neither spell-checked nor suggested."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s")
    pages = [site.get("/en/report"), fill(site), fill(site, "send", reply="yes"), site.get("/en/reply")]
    for page in pages:
        for form in page.document.all("form"):
            assert form.attrs["action"] == "/go" or form.attrs["autocomplete"] == "off"
        for field in page.document.elements:
            typed = field.tag == "textarea" or (field.tag == "input" and field.attrs.get("type") == "text")
            if typed and field.attrs["name"] != "website":
                wanted = ("autocomplete", "spellcheck", "writingsuggestions")
                assert [field.attrs[name] for name in wanted] == ["off", "false", "false"]


def test_a_token_is_good_for_twelve_hours_from_its_own_making():
    """Read back it is what was signed; older, younger than the form asks, or from the future, it is refused."""
    now = time.time()
    token = Token.new(now)
    assert read_token(token.sign(SECRET), secret=SECRET, now=now + 12 * 3600 - 1, min_fill=3) == token
    with pytest.raises(TokenError):
        read_token(token.sign(SECRET), secret=SECRET, now=now + 12 * 3600 + 1, min_fill=3)
    with pytest.raises(TokenError):
        read_token(token.sign(SECRET), secret=SECRET, now=now - 3600, min_fill=3)
    with pytest.raises(TooSoonError):
        read_token(token.sign(SECRET), secret=SECRET, now=now + 1, min_fill=3)
    assert read_token(token.next().sign(SECRET), secret=SECRET, now=now + 1, min_fill=3).nonce == token.nonce
    with pytest.raises(TokenError):
        read_token(token.sign(bytes(32)), secret=SECRET, now=now + 5, min_fill=3)
