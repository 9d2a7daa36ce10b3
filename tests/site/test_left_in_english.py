"""Nothing on a page of another language is English without a reason, unless the page marks the words as English."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from app.vault.keys import new_identity, recipient_of
from tests.support.visit import VOID, Visitor, open_site

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
# Attributes that a person hears or reads.
SPOKEN = ("aria-label", "alt", "title", "placeholder", "content")
# A run of so many words that also stand in a row on the English page is a sentence that nobody translated.
LEAST = 3
# Every language but English.
CODES = ("mi", "sm", "to", "fj", "zh-Hans", "ms", "vi", "hi", "tl")
# Names that have no other words in these languages, or that a person has to say in English.
NAMES = (
    "Immigration New Zealand",
    "Employment New Zealand",
    "New Zealand Police",
    "Work and Income",
    "Victims Information Line",
    "International Labour Organization",
    "Migrant Exploitation Protection Work Visa",
    "US Trafficking in Persons Report",
    "Creative Commons Attribution",
    "te reo Māori",
)


class _Texts(HTMLParser):
    """Collects the texts of a page that are in the language of the page, each with the element around it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.code = ""
        self.texts: list[str] = []
        self._langs: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.code = self.code or values.get("lang", "")
        lang = values.get("lang") or (self._langs[-1][1] if self._langs else "")
        described = values.get("name") == "description" or tag != "meta"
        if lang == self.code and values.get("translate") != "no" and described:
            self.texts += [values[name] for name in SPOKEN if values.get(name)]
        if tag not in VOID:
            hidden = tag in ("style", "svg") or values.get("translate") == "no"
            self._langs.append((tag, "-" if hidden else lang))

    def handle_endtag(self, tag):
        while self._langs and self._langs.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if self._langs and self._langs[-1][1] == self.code and data.strip():
            self.texts.append(data)


def _runs(text: str, length: int) -> Iterator[tuple[str, ...]]:
    # A run ends where something else than a space stands between two words.
    for row in re.split(r"[^\w'’ \n]+", text):
        words = [word.lower() for word in WORD.findall(row)]
        yield from (tuple(words[place : place + length]) for place in range(len(words) - length + 1))


def _left_in_english(own: str, english: str) -> list[str]:
    known = {run for text in _Texts(english).texts for run in _runs(text, LEAST)}
    known -= {run for name in NAMES for run in _runs(name, LEAST)}
    found = [text for text in _Texts(own).texts if any(run in known for run in _runs(text, LEAST))]
    return [" ".join(text.split()) for text in found]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Visitor:
    return open_site(tmp_path_factory.mktemp("all"), ("en", *CODES), REPORT_MIN_FILL="0s")


def _journey(site: Visitor, code: str) -> Iterator[tuple[str, str]]:
    """Yield each page of a report from the form to the sent page, and pages that refuse, as name and HTML."""
    form = site.get(f"/{code}/report")
    hidden = {field.attrs["name"]: field.attrs.get("value", "") for field in form.document.all("input", type="hidden")}
    yield "form", form.document.html
    yield "form that is empty", site.post(f"/{code}/report", hidden | {"step": "check"}).document.html
    values = hidden | {"what": "111", "reply": "yes", "step": "check"}
    check = site.post(f"/{code}/report", values)
    yield "check", check.document.html
    hidden = {field.attrs["name"]: field.attrs.get("value", "") for field in check.document.all("input", type="hidden")}
    sent = site.post(f"/{code}/report", values | hidden | {"step": "send"})
    yield "sent", sent.document.html
    yield "reply", site.get(f"/{code}/reply").document.html
    read = site.post(f"/{code}/reply", hidden | {"code": "word", "step": "read"})
    yield "a code that is wrong", read.document.html
    yield "error", site.get(f"/{code}/nothing").document.html


@pytest.mark.parametrize("code", CODES)
def test_no_sentence_of_a_page_is_left_in_english(site, code):
    """No page of the guide has a run of words in common with the English page that is not marked as English."""
    paths = [path for path in site.prerendered.pages if path.startswith(f"/{code}/") and "." not in path]
    assert len(paths) >= 16
    left = {}
    for path in paths:
        english = site.get(path.replace(f"/{code}/", "/en/", 1)).document.html
        found = _left_in_english(site.get(path).document.html, english)
        if found:
            left[path] = found
    assert left == {}


@pytest.fixture(scope="module")
def live(tmp_path_factory) -> Visitor:
    real = {"SITE_DEMO": "false", "SITE_BASE_URL": "https://example.org", "AGENCY_EXAMPLE_NAME": "An agency"}
    recipient = recipient_of(new_identity())
    folder = tmp_path_factory.mktemp("live")
    return open_site(folder, ("en", *CODES), REPORT_MIN_FILL="0s", **real, AGENCY_EXAMPLE_RECIPIENTS=recipient)


@pytest.mark.slow
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("which", ["site", "live"])
def test_no_sentence_of_the_form_is_left_in_english(request, which, code):
    """A report can be made from the first page to the last without a sentence in English, live and demonstration."""
    site = request.getfixturevalue(which)
    left = {}
    for (name, own), (_, english) in zip(_journey(site, code), _journey(site, "en"), strict=True):
        found = _left_in_english(own, english)
        if found:
            left[name] = found
    assert left == {}


def test_the_search_finds_what_is_left():
    """A sentence, a label and a description in English are found; marked words, names and other languages are not."""
    head = '<meta name="description" content="Call us when safe"><body><p aria-label="Close this page">'
    sentence = "Nobody reads your report"
    english = f'<html lang="en">{head}{sentence}. Call 111 now please</p></body></html>'
    marked = f'<p lang="en">{sentence}</p><p translate="no">{sentence}</p><p>ʻO le reads your</p>'
    own = f'<html lang="sm">{head}Leai. {sentence}</p>{marked}</body></html>'
    assert _left_in_english(own, english) == ["Call us when safe", "Close this page", f"Leai. {sentence}"]
