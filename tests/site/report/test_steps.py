"""The report's steps where something is wrong: the page says so truly, keeps the text, and gives the numbers."""

import time
from io import BytesIO

from app.core.unicode import clean_text
from app.site.report import forms
from app.vault.tip import SCHEMA
from tests.support.visit import KNOWN, open_site


def fill(site, step="check", lang="en", **answers):
    """A form as a person sends it: opened, filled in, one button pressed."""
    page = site.get(f"/{lang}/report")
    token = page.document.one("input", name="csrf_token").attrs["value"]
    return site.post(f"/{lang}/report", {"csrf_token": token, "what": "typed with care", "step": step, **answers})


def kept(answer):
    """What the text field holds on the page that came back, on the form or as a hidden field."""
    areas = answer.document.all("textarea", name="what")
    return areas[0].text if areas else answer.document.one("input", name="what").attrs["value"]


def hidden(answer):
    """The hidden fields of a page, by name."""
    return {e.attrs["name"]: e.attrs["value"] for e in answer.document.all("input") if e.attrs["type"] == "hidden"}


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
        assert "You do not have to say who you are." in one.text
        assert "Open day and night, every day." in one.text


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


def test_the_check_page_says_that_words_are_missed_and_what_to_leave_out(tmp_path):
    """In every language the page says the limits of the search; in English the sentences stand as they are."""
    site = open_site(tmp_path, KNOWN, REPORT_MIN_FILL="0s")
    pages = {lang: fill(site, lang=lang) for lang in KNOWN}
    assert "We look for words that could show who you are. We miss some. Read it once more." in pages["en"].text
    assert "Leave out your name, your gender, your ethnicity, your date of birth" in pages["en"].text
    assert [lang for lang in KNOWN if lang != "en" and "We miss some" in pages[lang].text] == []
    assert "We often miss nicknames, and things that only you saw or did." in pages["en"].text
    assert [lang for lang in KNOWN if lang != "en" and "We often miss" in pages[lang].text] == []


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


def test_form_and_check_page_show_every_field_of_the_schema(tmp_path):
    """Each question, hint and choice of the schema is on the form; each answer that was given is on the check page."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s")
    form = site.get("/en/report").text
    answers = {
        field.name: [choice.value for choice in field.choices][:1] or f"all about {field.name}"
        for field in SCHEMA.fields
    }
    checked = fill(site, **answers).text
    for field in SCHEMA.fields:
        shown_on_form = [field.label, field.hint, *(choice.label for choice in field.choices)]
        assert [words for words in shown_on_form if words not in form] == []
        assert field.label in checked
        assert (field.choices[0].label if field.choices else f"all about {field.name}") in checked


def test_a_form_that_lacks_an_answer_links_to_its_field(tmp_path):
    """422, an error summary whose links lead to the fields, and the error beside the field."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s")
    answer = fill(site, what="", where="x" * 1001)
    assert answer.status == 422
    summary = answer.document.one("div", id="errors")
    links = [link for link in answer.document.all("a") if link.within("div") is summary]
    assert [link.attrs["href"] for link in links] == ["#what", "#where"]
    assert "1,000 characters" in answer.document.one("p", id="where-error").text


def test_a_held_tip_is_extended_only_with_a_good_token_and_within_its_time(tmp_path):
    """Without a token of ours the page comes again with a sentence; beyond its time the sender must send or destroy."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s")
    checked = fill(site)
    fields = hidden(checked)
    held = site.post("/en/report", {**fields, "step": "send", "files": (BytesIO(b"a note"), "a.txt")})
    fields = hidden(held)
    assert held.document.one("h1").text == "Not sent yet"
    forged = site.post("/en/report", {**fields, "csrf_token": "forged", "step": "extend"})
    assert (forged.status, forged.document.one("h1").text) == (400, "Not sent yet")
    unsigned = site.post("/en/report", {**fields, "shown": "forged", "step": "extend"})
    assert (unsigned.status, "We cannot keep this report any longer" in unsigned.text) == (409, True)
    assert site.post("/en/report", {**fields, "step": "extend"}).status == 200
    sent = site.post("/en/report", {**fields, "step": "confirm"})
    assert sent.status == 200


class Clock:
    """A clock that a test puts forward."""

    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


def hold(site):
    """The hidden fields of the page that holds a tip with a file."""
    held = site.post("/en/report", {**hidden(fill(site)), "step": "send", "files": (BytesIO(b"a note"), "a.txt")})
    assert held.document.one("h1").text == "Not sent yet"
    return hidden(held)


def claims_not_sent(page):
    """Whether any line of a page, its title and its description among them, says that the report was not sent."""
    said = page.document.html.lower()
    return any(words in said for words in ("not sent", "nothing has been sent", "nothing is sent"))


def test_each_of_the_three_answers_of_destroy_is_true(tmp_path):
    """Destroyed, twice over; already sent; and an hour later "no longer here", on a page that never says "not sent"."""
    clock = Clock()
    site = open_site(tmp_path, ("en",), clock=clock, REPORT_MIN_FILL="0s")
    destroyed, sent = hold(site), hold(site)
    for _ in range(2):
        answer = site.post("/en/report", {**destroyed, "step": "discard"})
        assert (answer.status, answer.document.one("h1").text) == (200, "We deleted your report. Nothing was sent.")
    late = site.post("/en/report", {**destroyed, "step": "confirm"})
    assert (late.status, kept(late)) == (410, "typed with care")
    assert "Your report and its files have been deleted from this site." in late.text
    assert "was sent before" not in late.text
    assert site.post("/en/report", {**sent, "step": "confirm"}).status == 200
    answer = site.post("/en/report", {**sent, "step": "discard"})
    assert (answer.status, answer.document.one("h1").text) == (
        409,
        "This was a demonstration. Nothing was sent to anyone.",
    )
    clock.now += 3600
    for step in ("discard", "confirm", "extend"):
        answer = site.post("/en/report", {**sent, "step": step})
        assert (answer.status, kept(answer)) == (410, "typed with care")
        assert "Your files are no longer here. Your report was sent before, or" in answer.text
        assert answer.document.one("title").text.startswith("There is a problem")
        assert not claims_not_sent(answer)


def test_without_its_memory_the_site_does_not_say_what_became_of_a_held_tip(tmp_path):
    """While the memory store is away, no line says "not sent", and the page can be sent again with the same draft."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s")
    fields = hold(site)
    assert site.post("/en/report", {**fields, "step": "confirm"}).status == 200
    folder = site.prerendered.config.memory.folder
    away = folder.rename(folder.with_name("away"))
    folder.touch()
    answers = [site.post("/en/report", {**fields, "step": step}) for step in ("confirm", "extend", "discard")]
    folder.unlink()
    away.rename(folder)
    for answer in answers:
        assert (answer.status, answer.document.one("h1").text) == (503, "Something went wrong")
        assert not claims_not_sent(answer)
        assert site.post("/en/report", {**hidden(answer), "step": "discard"}).status == 409


MARKS = "a" + "\u0301" * 4_000 + "\u0323" * 4_000


def cleaned_lengths(monkeypatch):
    """The length of each text that is cleaned from now on."""
    lengths = []

    def noted(text):
        lengths.append(len(text))
        return clean_text(text)

    monkeypatch.setattr(forms, "clean_text", noted)
    return lengths


def test_no_word_is_looked_at_before_origin_token_and_rate(tmp_path, monkeypatch):
    """A request from elsewhere, without a token or over the limit costs no cleaning of its text, which is kept."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s", LIMITS_PER_ADDRESS="1/hour", SERVER_WORKERS="1")
    lengths = cleaned_lengths(monkeypatch)
    token = site.get("/en/report").document.one("input", name="csrf_token").attrs["value"]
    form = {"csrf_token": token, "what": MARKS}
    refused = [
        site.post("/en/report", {**form, "step": "send"}, Sec_Fetch_Site="cross-site"),
        site.post("/en/report", {**form, "step": "send", "csrf_token": "forged"}),
        site.post("/en/report", {**form, "step": "nothing"}),
        site.post("/en/report", {**form, "step": "send", "website": "x"}),
    ]
    assert [answer.status for answer in refused] == [403, 400, 400, 400]
    assert fill(site, "send").status == 200
    lengths.clear()
    refused.append(site.post("/en/report", {**form, "step": "send"}))
    assert refused[-1].status == 429
    assert lengths == []
    assert [kept(answer) for answer in refused] == [MARKS] * 5


def test_a_text_far_beyond_its_limit_is_never_cleaned(tmp_path, monkeypatch):
    """A text of more than twice its limit is too long as it came: 422, no cleaning, and nothing of it lost."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s")
    lengths = cleaned_lengths(monkeypatch)
    text = "word " * 4_001
    answer = fill(site, what=text)
    assert (answer.status, kept(answer)) == (422, text.strip())
    assert max(lengths, default=0) < 2_001


def test_confirm_discard_and_extend_ask_for_origin_and_token(tmp_path):
    """Each step on a held tip is refused without a token of ours or from elsewhere, and the tip is still held."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s")
    fields = hidden(fill(site))
    fields = hidden(site.post("/en/report", {**fields, "step": "send", "files": (BytesIO(b"a note"), "a.txt")}))
    for step in ("confirm", "discard", "extend"):
        forged = site.post("/en/report", {**fields, "step": step, "csrf_token": "forged"})
        foreign = site.post("/en/report", {**fields, "step": step}, Sec_Fetch_Site="cross-site")
        assert (forged.status, foreign.status) == (400, 403)
        assert {page.document.one("h1").text for page in (forged, foreign)} == {"Not sent yet"}
    assert site.post("/en/report", {**fields, "step": "confirm"}).status == 200


def test_the_words_come_back_from_a_body_that_is_too_long(tmp_path):
    """Files beyond the limit by far, text beyond all sense: 413, and the page comes again with the words."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s", REPORT_MAX_UPLOAD="1MB")
    fields = hidden(fill(site, where="here"))
    files = site.post_files("/en/report", {**fields, "step": "send"}, ("a.jpg", b"x" * 3_000_000))
    assert (files.status, kept(files)) == (413, "typed with care")
    assert files.document.one("input", name="where").attrs["value"] == "here"
    assert "Your report is too big" in files.text
    one = site.post_files("/en/report", {**fields, "step": "send"}, ("a.jpg", b"x" * 1_050_000))
    assert (one.status, "at most 1 MB" in one.text, "smallest" in one.text) == (413, True, False)
    text = fill(site, what="word " * 110_000)
    assert text.status == 413
    assert kept(text).startswith("word word")
    assert len(kept(text)) > 150_000


def test_the_words_come_back_where_there_is_no_memory_for_files(tmp_path):
    """An upload for which `body_memory` has no room is 503 with the words, and the same tip without files is taken."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s", SERVER_BODY_MEMORY="500kB")
    fields = hidden(fill(site))
    busy = site.post_files("/en/report", {**fields, "step": "send"}, ("a.jpg", b"x" * 600_000))
    assert (busy.status, kept(busy)) == (503, "typed with care")
    assert "We cannot accept files at the moment" in busy.text
    assert "Try again in about 2 minutes." in busy.text
    assert busy.headers["Retry-After"] == "120"
    assert site.post("/en/report", {**fields, "step": "send"}).status == 200
