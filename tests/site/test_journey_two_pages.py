"""A language with two pages is served: its own pages, and English for the rest, marked as English."""

import re
import shutil
from pathlib import Path

import pytest

from app.core import i18n
from deploy import translations
from tests.support.paths import ROOT
from tests.support.visit import Visitor, open_site, site_root

CODE = "tpi"  # Tok Pisin, which Babel does not know
PAGES = ("help", "law")
NOTE = "This page is not yet in this language, so it is in English."
# Letters of the Latin, Cyrillic and Ethiopic scripts, and a combining accent that no composed letter has.
LETTERS = "Helpim: ɓ ŋ ọ̀ ʔ я ሀ"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Visitor:
    folder = tmp_path_factory.mktemp("two")
    return open_site(folder, REPORT_MIN_FILL="0s", root=with_two_pages(site_root(folder, ("en",))))


def with_two_pages(root: Path) -> Path:
    """Give a root the folder of a language that has two pages and nothing else."""
    own = root / "content" / CODE
    own.mkdir()
    (own / "language.toml").write_text('own_name = "Tok Pisin"\nrules_of = "en_NZ"\n')
    for name in PAGES:
        text = (ROOT / "content" / "en" / f"{name}.md").read_text(encoding="utf-8")
        (own / f"{name}.md").write_text(f"{text}\n{LETTERS}\n", encoding="utf-8")
    list(translations.digests(root, CODE, ""))
    return root


def test_its_own_pages_are_in_its_language(site):
    """The two pages show their own words, in any letters, and no note that they are English."""
    for name in PAGES:
        page = site.get(f"/{CODE}/{name}")
        assert LETTERS in page.text
        assert NOTE not in page.text
        assert "lang" not in page.document.one("main").attrs


def test_every_other_page_is_english_in_the_frame_of_the_language(site):
    """Each other page says that it is English, is marked as English, and leads to pages of the language alone."""
    others = [
        path
        for path in site.prerendered.pages
        if path.startswith(f"/{CODE}/") and path.removeprefix(f"/{CODE}/") not in PAGES and "/sheets/" not in path
    ]
    assert len(others) == 15
    for path in others:
        page = site.get(path)
        main = page.document.one("main")
        assert (page.document.one("html").attrs["lang"], main.attrs["lang"], main.attrs["dir"]) == (CODE, "en", "ltr")
        assert NOTE in main.text
        away = [
            link.attrs["href"]
            for link in page.document.all("a")
            if link.attrs["href"].startswith("/en/") and "hreflang" not in link.attrs
        ]
        assert away == [], path


def test_a_page_is_the_same_as_in_english_but_for_its_frame(site):
    """The English words of a page are those of the English page, every link among them leading within the language."""
    for name in ("self-check", "plan/actions", "visa"):
        english, shown = (site.get(f"/{code}/{name}").document.one("main").text for code in ("en", CODE))
        assert shown.replace(NOTE, "").strip() == english, name


def test_an_english_page_is_heard_in_english(site):
    """The player of an English page plays the English recording, which is there."""
    for name in ("self-check", "signs"):
        sources = [player.attrs["src"] for player in site.get(f"/{CODE}/{name}").document.all("audio")]
        assert sources == [player.attrs["src"] for player in site.get(f"/en/{name}").document.all("audio")]
        assert [site.get(source).status for source in sources] == [200] * len(sources)


def test_the_safety_sentences_are_english_and_say_so(site):
    """A sentence that the language does not have is the English one, marked so, on every page."""
    for path in (f"/{CODE}/help", f"/{CODE}/report", f"/{CODE}/"):
        now = site.get(path).document.one("p", class_="now")
        assert now.text.startswith("If someone is in danger now, call 111")
    spans = [span for span in site.get(f"/{CODE}/help").document.all("span", lang="en") if span.within("header")]
    assert any(span.text.startswith("If someone is in danger now") for span in spans)


def test_sentences_without_a_translation_are_marked_as_english(site):
    """In frame and form each English sentence says that it is English, and no mark is left in what a person reads."""
    for path in (f"/{CODE}/help", f"/{CODE}/report", f"/{CODE}/reply", f"/{CODE}/", f"/{CODE}/nothing"):
        page = site.get(path)
        leave = page.document.all("button")[0]
        assert leave.text == "Leave this site now"
        spans = [span for span in page.document.all("span", lang="en", dir="ltr") if span.within("button") is leave]
        assert [span.text for span in spans] == ["Leave this site now"]
        assert not re.search("[\ue000-\uf8ff]", page.document.html)
        assert page.document.one("form", action="/go").attrs["aria-label"] == "Leave this site now"


def test_a_catalogue_of_one_sentence_marks_the_others_alone(tmp_path):
    """A sentence that the catalogue has is in the language, without a mark, and all others are English."""
    root = with_two_pages(site_root(tmp_path, ("en",)))
    (root / "translations").unlink()
    shutil.copytree(ROOT / "translations", root / "translations")
    path = translations.catalogue(root, i18n.known_languages(root / "content")[CODE])
    translations.create(path, i18n.known_languages(root / "content")[CODE], root / translations.TEMPLATE)
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace('msgid "Languages"\nmsgstr ""', 'msgid "Languages"\nmsgstr "Ol tokples"'), encoding="utf-8"
    )
    document = open_site(tmp_path, root=root).get(f"/{CODE}/help").document
    summary = next(one for one in document.all("summary") if one.text == "Ol tokples")
    assert not [span for span in document.all("span", lang="en") if span.within("summary") is summary]
    assert [span for span in document.all("span", lang="en") if span.text == "Skip to the content"]


def test_what_a_visitor_types_cannot_look_like_a_mark(site):
    """Private-use characters of a visitor are gone before a page shows the words."""
    token = site.get(f"/{CODE}/report").document.one("input", name="csrf_token").attrs["value"]
    shown = site.post(f"/{CODE}/report", {"csrf_token": token, "what": "a\ue000<b>x</b>\ue001b", "step": "check"})
    assert "a<b>x</b>b" in shown.text
    assert not re.search("[\ue000-\uf8ff]", shown.document.html)


def test_the_form_takes_a_report(site):
    """The form works from the first page to the last in a language that has no catalogue."""
    token = site.get(f"/{CODE}/report").document.one("input", name="csrf_token").attrs["value"]
    shown = site.post(f"/{CODE}/report", {"csrf_token": token, "what": LETTERS, "step": "check"})
    assert shown.status == 200
    assert LETTERS in shown.text, shown.text


def test_its_sheets_page_offers_the_english_sheet(site):
    """No handout is made of pages that the language does not have, and no link to a handout leads nowhere."""
    page = site.get(f"/{CODE}/sheets")
    files = [link.attrs["href"] for link in page.document.all("a") if ".pdf" in link.attrs["href"]]
    assert f"/{CODE}/sheets/en.pdf" in files
    assert not [name for name in files if name.endswith(f"/{CODE}.pdf")]
    for name in files:
        assert site.get(name).response.data.startswith(b"%PDF-")


def test_it_is_in_every_list_of_languages(site):
    """The menu of languages, the sitemap and the choice for a browser know it."""
    links = {link.attrs["href"]: link.text for link in site.get("/en/help").document.all("a", hreflang=CODE)}
    assert links == {f"/{CODE}/help": "Tok Pisin"}
    assert f"/{CODE}/help" in site.get("/sitemap.xml").response.get_data(as_text=True)
    assert site.get("/", Accept_Language=f"{CODE},en;q=0.5").headers["Location"] == f"/{CODE}/"


def test_reviewed_only_hides_it(tmp_path):
    """A language without signed safety sentences is not served where only signed translations are shown."""
    root = with_two_pages(site_root(tmp_path, ("en",)))
    visitor = open_site(tmp_path, SITE_REVIEWED_ONLY="true", root=root)
    assert visitor.languages == ("en",)
    assert CODE in i18n.known_languages(root / "content")
    assert not (root / "content" / CODE / "identity.toml").exists()
    shutil.rmtree(root / "content" / CODE)
