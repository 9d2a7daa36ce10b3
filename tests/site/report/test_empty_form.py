"""The empty form: rendered once in a language, and no visitor's words or token in it."""

from collections import Counter

import jinja2

from app.site.report import form_token
from tests.support.visit import open_site

CANARY = "canary5e7a"


def html(answer):
    """The page as it was sent."""
    return answer.response.get_data(as_text=True)


def hidden(answer):
    """The hidden fields of a page, by name."""
    return {e.attrs["name"]: e.attrs["value"] for e in answer.document.all("input", type="hidden")}


def test_the_empty_form_is_rendered_once_in_a_language(tmp_path, monkeypatch):
    """Of twenty visitors of each language who open the form, one waits for a page to be rendered."""
    counts, render = Counter(), jinja2.Template.render

    def counted(self, *args, **values):
        counts[self.name] += 1
        return render(self, *args, **values)

    monkeypatch.setattr(jinja2.Template, "render", counted)
    site = open_site(tmp_path, ("en", "to"))
    pages = {lang: {html(site.get(f"/{lang}/report")) for _ in range(20)} for lang in ("en", "to")}
    assert counts["report/form.html"] == 2
    assert {len(each) for each in pages.values()} == {20}  # each has a token of its own


def test_two_empty_forms_differ_in_their_tokens_alone(tmp_path):
    """Two visitors get the same page but for the token, and each token is good for a report of its own."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s")
    first, second = site.get("/en/report"), site.get("/en/report")
    tokens = [hidden(page)["csrf_token"] for page in (first, second)]
    assert tokens[0] != tokens[1]
    assert html(first).replace(tokens[0], "") == html(second).replace(tokens[1], "")
    for page in (first, second):
        fields = {**hidden(page), "what": "typed with care"}
        checked = site.post("/en/report", {**fields, "step": "check"})
        assert site.post("/en/report", {**hidden(checked), "step": "send"}).status == 200


def test_nothing_that_the_first_visitor_typed_is_in_the_next_visitor_s_form(tmp_path):
    """What was sent before the empty form was rendered for the first time, in any step and header, is not in it."""
    site = open_site(tmp_path, ("en", "hi"), REPORT_MIN_FILL="0s")
    headers = {"User_Agent": CANARY, "Referer": CANARY, "Cookie": f"y={CANARY}", "Accept_Language": CANARY}
    for lang in ("en", "hi"):
        for step in ("edit", "check", "send", "begin"):
            fields = {"what": CANARY, "where": CANARY, "sign": CANARY, "csrf_token": CANARY, "step": step}
            site.post(f"/{lang}/report", fields, **headers)
        site.get(f"/{lang}/report?what={CANARY}&step=begin", **headers)
        assert CANARY not in html(site.get(f"/{lang}/report"))


def test_a_closed_form_is_not_the_open_one(tmp_path):
    """The form that was open when it was rendered says that it is closed once the agency's day is over, and 503."""
    now = [1_790_000_000.0]
    site = open_site(tmp_path, ("en",), clock=lambda: now[0], AGENCY_EXAMPLE_EXPIRES="2026-12-31")
    assert site.get("/en/report").status == 200
    now[0] += 200 * 24 * 3600
    closed = site.get("/en/report")
    assert (closed.status, "This form is closed" in closed.text) == (503, True)
    now[0] -= 200 * 24 * 3600
    opened = site.get("/en/report")
    assert (opened.status, "This form is closed" in opened.text) == (200, False)


def test_a_token_is_read_once_for_a_step(tmp_path, monkeypatch):
    """The signature of a form's token is checked once for each button that is pressed."""
    reads, read = [], form_token.read_token

    def counted(*args, **values):
        reads.append(args)
        return read(*args, **values)

    monkeypatch.setattr(form_token, "read_token", counted)
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s")
    page = site.get("/en/report")
    for step in ("check", "send"):
        page = site.post("/en/report", {**hidden(page), "what": "typed with care", "step": step})
        assert page.status == 200
    assert len(reads) == 2
