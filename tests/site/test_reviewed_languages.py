"""`reviewed_only`: a language is served with the files that a speaker signed, and in English for the rest."""

import shutil

import pytest

from app.site.guide.models import REQUIRED_PAGES
from deploy import translations
from tests.support.paths import ROOT
from tests.support.visit import Visitor, open_site, site_root

CODE = "sm"
NOTE = "E leʻi iai lenei itulau i lenei gagana. ʻO loʻo i le gagana Peretānia."
SIGNED = {
    ".md": ("status: unreviewed", "status: reviewed\nreviewed_by: A Speaker\nreviewed_on: 2026-11-22"),
    ".toml": ('status = "unreviewed"', 'status = "reviewed"\nreviewed_by = "A Speaker"\nreviewed_on = 2026-11-22'),
    ".po": (
        '"X-Status: unreviewed\\n"',
        '"X-Status: reviewed\\n"\n"X-Reviewed-By: A Speaker\\n"\n"X-Reviewed-On: 2026-11-22\\n"',
    ),
}
FILES = (
    f"translations/{CODE}/LC_MESSAGES/messages.po",
    f"content/{CODE}/safety.toml",
    f"content/{CODE}/contacts.toml",
    *(f"content/{CODE}/{slug}.md" for slug in REQUIRED_PAGES),
)


def _site(folder, signed) -> Visitor:
    """Open a site that shows only signed translations, where these files of one language are signed.

    The pages are copies of the English ones, so that the test holds while translations are behind.
    """
    root = site_root(folder, ("en",))
    shutil.rmtree(root / "content" / CODE)
    shutil.copytree(ROOT / "content" / "en", root / "content" / CODE)
    (root / "translations").unlink()
    shutil.copytree(ROOT / "translations", root / "translations")
    list(translations.digests(root, CODE, ""))
    for name in signed:
        path = root / name
        old, new = SIGNED[path.suffix]
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")
    return open_site(folder, SITE_REVIEWED_ONLY="true", root=root)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Visitor:
    return _site(tmp_path_factory.mktemp("signed"), FILES)


def test_what_is_signed_is_in_the_language(site):
    """The signed pages and the form are in the language, and no page says that nobody checked its words."""
    assert site.languages == ("en", CODE)
    for name in ("help", "self-check", "signs", "sheets", "report"):
        page = site.get(f"/{CODE}/{name}")
        assert page.document.one("html").attrs["lang"] == CODE
        assert NOTE not in page.text
        assert not page.document.all("p", class_="unchecked")
    assert site.get(f"/{CODE}/sheets/{CODE}.pdf").response.data.startswith(b"%PDF-")


def test_what_is_not_signed_is_english_and_says_so_in_the_language(site):
    """Each other page says in the language that it is English, is marked as English, and leads within the language."""
    for name in ("", "law", "visa", "plan/actions", "about", "privacy"):
        page = site.get(f"/{CODE}/{name}")
        main = page.document.one("main")
        note = page.document.one("p", class_="behind")
        assert (note.text, note.within("div").attrs["lang"], main.attrs["lang"]) == (NOTE, CODE, "en")
        english = site.get(f"/en/{name}").document.one("main").text
        assert main.text.replace(NOTE, "").strip() == english
        assert not [link for link in page.document.all("a", hreflang="") if link.attrs["href"].startswith("/en/")]


def test_a_title_in_english_is_marked_in_the_menu(site):
    """The menu of a page has the titles of signed pages in the language, and marks those of English pages."""
    footer = [link for link in site.get(f"/{CODE}/help").document.all("a") if link.within("footer")]
    langs = {link.attrs["href"]: link.attrs.get("lang") for link in footer if link.within("nav")}
    assert (langs[f"/{CODE}/law"], langs[f"/{CODE}/signs"], langs[f"/{CODE}/report"]) == ("en", None, None)


@pytest.mark.parametrize("left", FILES)
def test_each_file_that_protects_must_be_signed(tmp_path, left):
    """Where one of them is unsigned, the language is not served at all."""
    assert _site(tmp_path, [name for name in FILES if name != left]).languages == ("en",)
