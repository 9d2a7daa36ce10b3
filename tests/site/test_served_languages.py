"""Every count and every list of languages is of what is served, on pages, in forms, in handouts and in files."""

import io
import re
import zipfile

import pypdfium2
import pytest

from tests.support.paths import ROOT
from tests.support.visit import KNOWN, Visitor, open_site

# A number of languages in words, in each language that is searched. The sheets of Immigration New Zealand are another
# body's: their number is a fact about them.
COUNTS = {
    "en": r"\b(?:two|three|nine|ten|eleven|several|\d+)\s+(?:other\s+)?languages\b",
    "sm": r"gagana\s+e\s+(?:lua|tolu|iva|sefulu|\d+)\b",
}
OF_ANOTHER_BODY = {
    "en": r"Immigration New Zealand offers its own sheets in ten languages:",
    "sm": r"Immigration New Zealand ana lava pepa faʻamatalaga i gagana e sefulu:",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Visitor:
    return open_site(tmp_path_factory.mktemp("two"), ("en", "sm"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Visitor:
    return open_site(tmp_path_factory.mktemp("one"), ("en",))


def _pages(site: Visitor) -> list[str]:
    found = [path for path in site.prerendered.pages if "." not in path]
    return [*found, *(f"/{code}/{form}" for code in site.languages for form in ("report", "reply"))]


@pytest.mark.parametrize("which", ["site", "alone"])
def test_no_page_counts_languages_that_are_not_served(request, which):
    """No page says a number of languages, because another site serves another number."""
    site = request.getfixturevalue(which)
    paths = _pages(site)
    assert len(paths) > 16 * len(site.languages)
    odd = []
    for path in paths:
        document = site.get(path).document
        text = f"{document.text} {document.one('meta', name='description').attrs['content']}"
        for code in site.languages:
            text = re.sub(OF_ANOTHER_BODY[code], "", text)
            odd += [(path, found) for found in re.findall(COUNTS[code], text)]
    assert odd == []


@pytest.mark.parametrize("which", ["site", "alone"])
def test_no_page_leads_to_a_language_that_is_not_served(request, which):
    """A link with the name, the address or the code of another language is on no page and in no file for machines."""
    site = request.getfixturevalue(which)
    others = {code: language.own_name for code, language in KNOWN.items() if code not in site.languages}
    assert len(others) == len(KNOWN) - len(site.languages)
    files = ("/sitemap.xml", "/robots.txt", "/.well-known/security.txt")
    for path in [*_pages(site), *files]:
        html = site.get(path).response.get_data(as_text=True)
        for code, name in others.items():
            assert f">{name}<" not in html, (path, name)
            assert f'hreflang="{code}"' not in html
            assert f"/{code}/" not in html
    assert f"Preferred-Languages: {', '.join(site.languages)}\n" in site.get(files[-1]).response.get_data(as_text=True)


def test_where_one_language_is_served_nothing_speaks_of_others(alone):
    """There is no menu of languages, no heading for other languages, and no “all languages”."""
    for path in _pages(alone):
        assert not alone.get(path).document.all("details", class_="langs")
    sheets = alone.get("/en/sheets").document
    assert {"In other languages", "All languages"} & {element.text for element in sheets.elements} == set()


@pytest.mark.parametrize("which", ["site", "alone"])
def test_handouts_are_those_of_the_served_languages(request, which):
    """The archive has the handouts of the served languages alone, and none of them counts languages."""
    site = request.getfixturevalue(which)
    data = site.get("/sheets.zip").response.data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        codes = {re.sub(r"(-card|-poster|-pictures)?\.pdf$", "", name) for name in archive.namelist()}
        assert codes == set(site.languages)
        for name in archive.namelist():
            with pypdfium2.PdfDocument(archive.read(name)) as document:
                text = " ".join(one.get_textpage().get_text_range() for one in document)
            assert not any(re.search(pattern, text) for pattern in COUNTS.values()), name


def test_nothing_else_that_a_visitor_reads_counts_languages():
    """The sentences of the program, and the pages of every language, say no number of languages of this site."""
    texts = [(ROOT / "translations" / "messages.pot").read_text(encoding="utf-8")]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "content" / "en").glob("*.md")]
    for text in texts:
        assert not re.search(COUNTS["en"], re.sub(OF_ANOTHER_BODY["en"], "", text))
