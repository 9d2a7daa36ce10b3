"""What the pages of report and reply say of the way: where a code is used, what follows, what stays untranslated."""

import re

import pytest
from werkzeug.test import Client

from app.delivery.receipt_codes import new_code, parse_code
from app.site.web import padding
from app.vault.keys import new_identity, recipient_of
from app.vault.tip import SCHEMA
from tests.support.nu import nu_errors
from tests.support.visit import KNOWN, open_site

REAL = {"SITE_DEMO": "false", "SITE_BASE_URL": "https://example.org", "AGENCY_EXAMPLE_NAME": "An agency"}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A visitor of a site with every language that is no demonstration, so that its pages say what follows."""
    folder = tmp_path_factory.mktemp("real")
    return open_site(
        folder,
        tuple(KNOWN),
        REPORT_MIN_FILL="0s",
        LIMITS_PER_ADDRESS="9999/hour",
        **REAL,
        AGENCY_EXAMPLE_RECIPIENTS=recipient_of(new_identity()),
    )


def send(site, lang="en", step="send", **answers):
    """Send a report without files and return the page that answers."""
    token = site.get(f"/{lang}/report").document.one("input", name="csrf_token").attrs["value"]
    return site.post(f"/{lang}/report", {"csrf_token": token, "what": "typed with care", "step": step, **answers})


def links(answer, address):
    """The links of a page's `main` that lead to an address."""
    return [link for link in answer.document.all("a", href=address) if link.within("main")]


@pytest.mark.parametrize("lang", KNOWN)
def test_whoever_has_a_code_finds_where_to_type_it(real, lang):
    """In every language home, form and sent page link to the place for a code, in the words of that language."""
    pages = [real.get(f"/{lang}/"), real.get(f"/{lang}/report"), send(real, lang, reply="yes")]
    found = [{link.text for link in links(page, f"/{lang}/reply")} for page in pages]
    sentence = found[1]
    assert len(sentence) == 1
    assert all(sentence <= each for each in found), found
    assert (sentence == {"Do you have a code? Read a reply, or tell us more."}) == (lang == "en")


def test_the_sent_page_says_what_follows_and_does_not_contradict_itself(real):
    """With a code: come back with the code; without: nobody can tell. Both lead to the part about the phone."""
    with_code, without = send(real, reply="yes"), send(real)
    assert "Come back with your code after some days" in with_code.text
    assert "Nobody can tell you what happens next" not in with_code.text
    assert "Say that you have written before" not in with_code.text
    assert "Nobody can tell you what happens next" in without.text
    assert "Say that you have written before" in without.text
    for page in (with_code, without):
        assert [h.text for h in page.document.all("h2")].count("What happens next") == 1
        assert len(links(page, "/en/help#phone")) == 1


def test_the_form_says_how_long_it_takes_and_what_follows(real):
    """Before the first question: minutes, photographs, steps; before the button: days, and how a reply is read."""
    text = real.get("/en/report").document.one("main").text
    places = [
        text.index(words)
        for words in (
            "about five minutes",
            "You can add photos",
            "What is happening?",
            "Some days may pass before",
            "Continue to",
        )
    ]
    assert places == sorted(places)


def untranslated(element):
    """Whether a browser's translation leaves an element as it is."""
    return any(one.attrs.get("translate") == "no" for one in (element, *element.around))


@pytest.mark.parametrize("lang", KNOWN)
def test_a_browser_s_translation_leaves_codes_numbers_and_names(real, lang):
    """Codes, phone numbers, names of agencies and of the program, and the line to show, bear `translate="no"`."""
    form, sent = real.get(f"/{lang}/report"), send(real, lang, reply="yes")
    for page in (form, sent, send(real, lang, what=""), *(real.get(f"/{lang}/{slug}") for slug in ("help", "contact"))):
        numbers = [a for a in page.document.all("a") if re.fullmatch(r"[\d +]+", a.text)]
        assert numbers
        assert [a.text for a in numbers if not untranslated(a)] == []
        assert untranslated(page.document.one("a", class_="brand"))
        named = [one.text for one in page.document.all("span", translate="no") if one.within("main")]
        assert page not in (form, sent) or real.prerendered.config.intake.name in named
    output = sent.document.one("output")
    assert (parse_code(output.text), output.attrs["lang"], untranslated(output)) == (output.text, "en", True)
    shown = real.get(f"/{lang}/help").document
    line = next(span for span in shown.all("span", lang="en") if "interpreter" in span.text)
    assert (line.text, untranslated(line)) == ("I need help. Please get an interpreter.", True)
    shown = real.get(f"/{lang}/sheets").document
    (line,) = (one for one in shown.all("strong", lang="en") if one.within("blockquote"))
    assert untranslated(line)


@pytest.mark.parametrize("lang", ["en", "hi"])
def test_each_step_has_its_own_title_and_says_how_many_there_are(real, lang):
    """The tab and the page name the step of a report and of an answer, and neither tab names what the site is about."""
    pages = {
        (1, 3): real.get(f"/{lang}/report"),
        (2, 3): send(real, lang, "check"),
        (1, 4): real.get(f"/{lang}/reply"),
        (2, 4): reply(real, lang, "read"),
        (3, 4): reply(real, lang, "answer", what="typed with care"),
    }
    for (number, count), page in pages.items():
        step = page.document.one("hgroup").text.removesuffix(page.document.one("h1").text).strip()
        assert re.findall(r"\d+", step) == [str(number), str(count)]
        assert page.document.one("title").text.startswith(f"{step} – ")
    titles = [page.document.one("title").text for page in (*pages.values(), send(real, lang))]
    assert len(set(titles)) == len(titles)
    assert titles[-1] == {"en": "Report – Haumaru", "hi": "रिपोर्ट करें – Haumaru"}[lang]  # not that something was sent
    assert [title for title in titles if len(title) > len("Step 1 of 3 – Report – Haumaru") + 12] == []
    assert send(real, lang, "check", what="").document.one("title").text.endswith(titles[0])


def reply(site, lang, step, **fields):
    """Press a button of the reply page with a code that nobody was given."""
    token = site.get(f"/{lang}/reply").document.one("input", name="csrf_token").attrs["value"]
    return site.post(f"/{lang}/reply", {"csrf_token": token, "code": new_code(), "step": step, **fields})


TYPED = {"where": "Katikati", "hazards": ["weapons"], "children": "yes", "reply": "yes"}


@pytest.mark.parametrize("name", ["what", "children", "where", "hazards", "reply"])
def test_each_answer_can_be_changed_from_the_look_page(real, name):
    """A button named for its question brings the form back with every answer, and the browser goes to that question."""
    look = send(real, step="check", **TYPED)
    button = look.document.one("button", value=f"edit:{name}")
    question = "Getting a reply" if name == "reply" else SCHEMA.field(name).label
    assert button.text == f"Change: {question}"
    form = send(real, step=button.attrs["value"], **TYPED)
    (focused,) = (one for one in form.document.elements if "autofocus" in one.attrs)
    assert focused.attrs["name"] == name
    assert "checked" in focused.attrs or focused.text in ("typed with care", "Katikati")
    assert form.document.one("textarea", name="where").text == "Katikati"
    ticked = {(one.attrs["name"], one.attrs["value"]) for one in form.document.all("input") if "checked" in one.attrs}
    assert ticked == {("hazards", "weapons"), ("children", "yes"), ("reply", "yes")}
    assert "open" in form.document.one("details", class_="more").attrs


@pytest.mark.parametrize("name", ["", "hazards", "csrf_token", "<b>", "what:what"])
def test_a_change_of_nothing_is_the_form(real, name):
    """A button that somebody made up, or of a question without an answer, shows the form with what was typed."""
    form = send(real, step=f"edit:{name}")
    assert (form.status, form.document.one("textarea", name="what").text) == (200, "typed with care")
    assert len([one for one in form.document.elements if "autofocus" in one.attrs]) == (name == "hazards")


def test_a_report_that_is_held_has_no_button_that_loses_its_files(real):
    """Where files are held, an answer is changed by the one button that says so."""
    token = real.get("/en/report").document.one("input", name="csrf_token").attrs["value"]
    held = real.post_files("/en/report", {"csrf_token": token, "what": "x", "step": "send"}, ("a.txt", b"The gate."))
    assert held.document.all("button", value="confirm")
    assert [one for one in held.document.all("button") if one.attrs.get("value", "").startswith("edit:")] == []


def test_the_further_questions_are_open_where_one_has_an_answer_or_an_error(real):
    """Closed on an empty form; open with an answer, with ticks that came from the page of signs, and with an error."""

    def is_open(page):
        return "open" in page.document.one("details", class_="more").attrs

    assert not is_open(real.get("/en/report"))
    assert not is_open(send(real, step="edit", children="yes"))
    assert is_open(send(real, step="edit", vehicle="KTR482"))
    assert is_open(send(real, step="check", where="x" * 1001))
    assert is_open(real.post("/en/report", {"step": "begin", "sign": "signs-1"}))
    summaries = {real.get(f"/{lang}/report").document.one("details", class_="more").text[:8] for lang in KNOWN}
    assert len(summaries) == len(KNOWN)


@pytest.mark.needs("java")
@pytest.mark.parametrize("lang", ["en", "hi"])
def test_the_nu_html_checker_finds_no_error_on_any_step(real, tmp_path, lang):
    """Every page from the empty form to the sent answer is valid HTML, but for one attribute that it needs."""
    form = real.get(f"/{lang}/report")
    token = form.document.one("input", name="csrf_token").attrs["value"]
    words = {"csrf_token": token, "what": "My name is Rangi Sample. Call 021 555 0199.", **TYPED}
    sent = send(real, lang, reply="yes")
    code = sent.document.one("output").text
    compared = real.post(f"/{lang}/report", {"step": "kept", "code": code, "typed": "no"})
    held = real.post_files(f"/{lang}/report", {"csrf_token": token, "what": "x", "step": "send"}, ("a.txt", b"A gate."))
    pages = {
        "form": form,
        "begun": real.post(f"/{lang}/report", {"step": "begin", "sign": "signs-1"}),
        "errors": send(real, lang, "check", what="", where="x" * 1001),
        "look": real.post(f"/{lang}/report", words | {"step": "check"}),
        "changed": real.post(f"/{lang}/report", words | {"step": "edit:hazards"}),
        "held": held,
        "sent": sent,
        "compared": compared,
        "code": real.get(f"/{lang}/reply"),
        "wrong code": reply(real, lang, "read", code="nothing"),
        "thread": reply(real, lang, "read"),
        "answer": reply(real, lang, "answer", what=words["what"]),
        "answered": reply(real, lang, "send", what="typed with care"),
    }
    assert [name for name, page in pages.items() if page.status not in (200, 422)] == []
    found = nu_errors({name: page.response.get_data() for name, page in pages.items()}, tmp_path)
    # Boxes and file fields bear the attribute on purpose: without it Firefox ticks boxes again after a reload.
    assert [error for error in found if "Attribute “autocomplete” is only allowed" not in error] == []


def test_a_reply_that_nobody_read_is_not_offered_to_be_deleted(real):
    """After an answer, the button that deletes a reply is there only where a reply was shown."""
    assert reply(real, "en", "send", what="x").document.all("button", value="done") == []
    assert reply(real, "en", "send", what="x", seen="a" * 64).document.all("button", value="done")


@pytest.mark.parametrize("lang", KNOWN)
def test_the_form_comes_in_the_first_round_trip(real, lang):
    """With every question in it, the compressed form and its head are at most 14,000 bytes in every language."""
    client = Client(real.app, use_cookies=False)
    for coding in ("gzip", "br"):
        answer = client.get(f"/{lang}/report", base_url=real.base, headers={"Accept-Encoding": coding})
        assert (answer.status_code, answer.headers["Content-Encoding"]) == (200, coding)
        assert padding.head_length("200 OK", list(answer.headers)) + len(answer.get_data()) <= 14_000


def test_a_short_limit_is_said_beforehand(real):
    """The hint of a text of 200 characters names the limit, and no hint of a longer text does."""
    form = real.get("/en/report").document
    said = {one.attrs["id"] for one in form.all("p", class_="hint") if "characters or fewer" in one.text}
    assert said == {f"{field.name}-hint" for field in SCHEMA.fields if 0 < field.max_length <= 200} == {"vehicle-hint"}
    assert send(real, step="check", vehicle="x" * 200).document.all("button", value="send")
    assert send(real, step="check", vehicle="x" * 201).status == 422


@pytest.mark.parametrize(("name", "value"), [("kinds", "child"), ("children", "maybe"), ("hazards", "<b>")])
def test_a_choice_of_an_older_form_is_asked_for_again(real, name, value):
    """The form comes back with its words, an error at the question in the visitor's language, and nothing is sent."""
    sentences = set()
    for lang in ("en", "hi"):
        again = send(real, lang, **{name: value})
        assert (again.status, again.document.one("textarea", name="what").text) == (422, "typed with care")
        sentences.add(again.document.one("p", id=f"{name}-error").text.partition(":")[2].strip())
        assert again.document.one("div", class_="error-summary").within("main")
    assert "Choose from the answers that are shown here." in sentences
    assert len(sentences) == 2
    assert not any(value in sentence for sentence in sentences)


def test_the_look_says_truly_whether_a_report_can_be_taken_back(real):
    """With a code a report can be taken back, as the page for a code offers; without a code it cannot."""
    with_code, without = (send(real, step="check", **more).text for more in ({"reply": "yes"}, {}))
    assert "With your code you can take your report back" in with_code
    assert "cannot take your report back" not in with_code
    assert "Without a code you cannot take your report back" in without
    assert reply(real, "en", "read").document.all("button", value="withdraw")
