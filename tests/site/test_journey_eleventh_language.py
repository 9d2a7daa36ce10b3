"""An eleventh language is a folder: the site serves it, asks in it and prints it, without a line of code."""

import shutil
from pathlib import Path

import pytest

from app.core import i18n
from deploy import translations
from tests.support.paths import ROOT
from tests.support.visit import Visitor, open_site, site_root

CODE = "qaa"  # a code that no language has (ISO 639-2, reserved for local use)
SENTENCE = "Go back and change my report"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Visitor:
    folder = tmp_path_factory.mktemp("eleven")
    return open_site(folder, REPORT_MIN_FILL="0s", root=with_further_language(site_root(folder, ("en",))))


def with_further_language(root: Path) -> Path:
    """Give a root the folder of a language whose translations are the English words, and its catalogue."""
    own = root / "content" / CODE
    shutil.copytree(ROOT / "content" / "en", own)
    (own / "language.toml").write_text('own_name = "Kiswahili"\nrules_of = "ar"\ndirection = "rtl"\n')
    list(translations.digests(root, CODE, ""))
    (root / "translations").unlink()
    shutil.copytree(ROOT / "translations", root / "translations")
    path = translations.catalogue(root, i18n.known_languages(root / "content")[CODE])
    translations.create(path, i18n.known_languages(root / "content")[CODE], root / translations.TEMPLATE)
    untranslated, translated = (f'msgid "{SENTENCE}"\nmsgstr "{words}"' for words in ("", "Rudi"))
    path.write_text(path.read_text(encoding="utf-8").replace(untranslated, translated), encoding="utf-8")
    return root


def test_every_page_is_there_in_its_own_direction(site):
    """Each English page has its twin under the new code, with the code and the direction in its head."""
    english = [path for path in site.prerendered.pages if path.startswith("/en/") and path.count("/") == 2]
    assert len(english) >= 14
    for path in english:
        html = site.get(path.replace("/en/", f"/{CODE}/")).document.one("html")
        assert (html.attrs["lang"], html.attrs["dir"]) == (CODE, "rtl")


def test_the_other_languages_pages_lead_to_it(site):
    """The list of languages names it by its own name, and so does the sitemap."""
    links = {link.attrs["href"]: link.text for link in site.get("/en/help").document.all("a", hreflang=CODE)}
    assert links == {f"/{CODE}/help": "Kiswahili"}
    assert f"/{CODE}/help" in site.get("/sitemap.xml").response.get_data(as_text=True)


def test_a_browser_that_asks_for_it_gets_it(site):
    """The root address sends a browser to the new language."""
    assert site.get("/", Accept_Language=f"{CODE},en;q=0.5").headers["Location"] == f"/{CODE}/"


def test_the_form_speaks_it(site):
    """The program's own sentences come from the new catalogue."""
    page = site.get(f"/{CODE}/report")
    token = page.document.one("input", name="csrf_token").attrs["value"]
    shown = site.post(f"/{CODE}/report", {"csrf_token": token, "what": "words", "step": "check"})
    assert "Rudi" in {button.text for button in shown.document.all("button")}


def test_it_has_its_handouts(site):
    """Sheet, cards, poster and pictures are made in the new language."""
    for name in (f"{CODE}.pdf", f"{CODE}-card.pdf", f"{CODE}-poster.pdf", f"{CODE}-pictures.pdf"):
        assert site.get(f"/{CODE}/sheets/{name}").response.data.startswith(b"%PDF-")
