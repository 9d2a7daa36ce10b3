"""The guidance pages of every language, as the running site serves them."""

import json
import xml.etree.ElementTree as ET

import pytest
from markupsafe import Markup

from app.site.guide.models import SLUGS, page_path
from app.site.guide.prerender import csp_hash
from app.site.web import padding
from app.vault.keys import new_identity, recipient_of
from tests.support.nu import nu_errors
from tests.support.visit import open_site

HTML = "text/html; charset=utf-8"
# An onion service's own address: its header is the longest that a page can get.
ONION = f"http://{'a' * 56}.onion"
REAL = {"SITE_DEMO": "false", "SITE_BASE_URL": "https://example.org", "AGENCY_EXAMPLE_NAME": "An agency"}


@pytest.fixture(scope="module")
def pages(site):
    return {path: page for path, page in site.prerendered.pages.items() if ("Content-Type", HTML) in page.headers}


def test_every_page_of_every_language_passes_the_harness(site, pages):
    """Each prerendered page passes the page checks and has the language of its address."""
    assert len(pages) == len(SLUGS) * len(site.languages) >= 140
    for path in pages:
        assert site.get(path).status == 200


@pytest.mark.slow
@pytest.mark.needs("java")
def test_the_nu_html_checker_finds_no_error_on_any_page(pages, tmp_path):
    """The W3C's checker finds no fault in the HTML and CSS of any page in any language."""
    assert nu_errors({path: page.identity for path, page in pages.items()}, tmp_path) == []


def test_every_link_inside_the_site_leads_somewhere(site, pages):
    """Every link within the site leads to a page and a heading that exist."""
    seen = {}
    for path in pages:
        for link in site.get(path).document.all("a"):
            seen.setdefault(link.attrs["href"], path)
    internal = {href for href in seen if href.startswith("/")}
    assert internal
    for href in internal:
        visit = site.get(href.partition("#")[0])
        assert visit.status == 200, f"{seen[href]} links to {href}: {visit.status}"
        anchor = href.partition("#")[2]
        if anchor:
            ids = {element.attrs.get("id") for element in visit.document.elements}
            assert anchor in ids, f"{seen[href]} links to {href}, which has no such end"
    outside = {href.partition(":")[0] for href in seen if not href.startswith(("/", "#"))}
    assert outside <= {"https", "tel"}


def test_every_page_fits_the_first_round_trip(tmp_path):
    """With every header of https and an onion, each page is 12,000 bytes in brotli and 14,000 in gzip."""
    site = open_site(tmp_path, **REAL, SITE_ONION=ONION, AGENCY_EXAMPLE_RECIPIENTS=recipient_of(new_identity()))
    pages = {path: page for path, page in site.prerendered.pages.items() if ("Content-Type", HTML) in page.headers}
    assert pages
    for path, page in pages.items():
        for coding, body, size in (("br", page.br, 12_000), ("gzip", page.gzip, 14_000)):
            own = [("content-length", str(len(body))), ("content-encoding", coding)]
            assert padding.head_length("200 OK", [*page.headers, *own]) + len(body) == size, f"{path} in {coding}"


def test_a_ready_page_is_the_page_the_app_would_give(site):
    """A request that Flask answers gets the bytes and headers of the prerendered page."""
    ready, rendered = site.get("/en/help"), site.get("/en/help", Cookie="other=1")
    assert ready.response.data == rendered.response.data
    assert {**ready.headers, "Vary": None} == {**rendered.headers, "Vary": None}


def test_the_root_goes_to_the_language_that_the_browser_asks_for(site):
    """`/` is a 303 by Accept-Language, with Vary: Accept-Language."""
    english = site.get("/", Accept_Language="xx")
    assert (english.status, english.headers["Location"], english.headers["Vary"]) == (303, "/en/", "Accept-Language")
    for code in site.languages:
        assert site.get("/", Accept_Language=f"{code},en;q=0.5").headers["Location"] == f"/{code}/"


def test_an_unknown_language_or_page_is_a_404_in_the_best_language(site):
    """An unknown address gets an error page in the frame, in the browser's language."""
    best = site.languages[-1]
    visit = site.get("/xx/help", Accept_Language=best)
    assert (visit.status, visit.document.one("html").attrs["lang"]) == (404, best)
    assert site.get("/en/nothing").status == 404
    assert site.get("/en/sheet").status == 404


def test_the_error_pages_say_that_nothing_was_sent_and_when_to_try_again(tmp_path):
    """Too big and busy: each page says that nothing was sent, and the busy one when to try again."""
    site = open_site(tmp_path, ("en",), REPORT_MAX_UPLOAD="1MB", SERVER_BODY_MEMORY="500kB")
    big = site.post_files("/en/help", {}, ("a.jpg", b"x" * 3_000_000))
    busy = site.post_files("/en/help", {}, ("a.jpg", b"x" * 600_000))
    assert [(page.status, page.document.one("h1").text) for page in (big, busy)] == [
        (413, "What you sent is too big"),
        (503, "The site is busy"),
    ]
    assert all("Nothing has been sent to anyone." in page.text for page in (big, busy))
    assert "Please try again in a few minutes." in busy.text


def test_every_page_names_itself_in_every_language(site):
    """Each page links to itself in every language with whole addresses."""
    for path in ("/en/", "/en/help", "/en/sheets"):
        links = site.get(path).document.all("link", rel="alternate")
        expected = {code: site.base + path.replace("/en/", f"/{code}/") for code in site.languages}
        assert {link.attrs["hreflang"]: link.attrs["href"] for link in links} == expected


def test_a_shared_link_shows_only_the_name_of_the_site(site, pages):
    """The preview of a link that is sent to somebody names nothing that the page is about, and needs no picture."""
    for path in pages:
        document = site.get(path).document
        for name in ("og:title", "og:description", "og:site_name", "og:type"):
            content = document.one("meta", property=name).attrs["content"]
            assert content == ("website" if name == "og:type" else "Haumaru")
        assert not document.all("meta", property="og:image")


def test_the_title_and_icon_are_neutral(site, pages):
    """The icon is inline, and no title in any language names trafficking."""
    named = {code: site.get(f"/{code}/what-is-trafficking").document.one("h1").text for code in site.languages}
    for path in pages:
        document = site.get(path).document
        assert document.one("link", rel="icon").attrs["href"].startswith("data:image/svg+xml,")
        title = document.one("title").text
        assert title == "Haumaru" or title.endswith(" – Haumaru")
        assert "traffick" not in title.lower()
        assert named[path.split("/")[1]] not in title


def test_the_policy_admits_the_stylesheet_and_nothing_else(site):
    """The hash in the content policy is the hash of the inline style."""
    visit = site.get("/en/")
    inlined = visit.document.html.partition("<style>")[2].partition("</style>")[0]
    assert f"'sha256-{csp_hash(inlined)}'" in visit.headers["Content-Security-Policy"]


def test_an_unreviewed_translation_says_so_and_how_to_help(site):
    """A page that no speaker has signed says so; the English page does not."""
    assert not site.get("/en/help").document.all("p", class_="unchecked")
    for code in site.languages[1:]:
        if not site.prerendered.library.editions[code].pages["help"].review.reviewed:
            note = site.get(f"/{code}/help").document.one("p", class_="unchecked")
            assert [
                link
                for link in site.get(f"/{code}/help").document.all("a", href=f"/{code}/about")
                if note in link.around
            ]


def test_a_page_says_that_its_translation_is_behind_and_links_to_the_english(site):
    """A page has the note exactly where the English has changed since its translation was made."""
    for code in site.languages:
        for slug, page in site.prerendered.library.editions[code].pages.items():
            document = site.get(page_path(code, slug)).document
            notes = document.all("p", class_="behind")
            assert len(notes) == page.review.stale, f"{code}/{slug}"
            links = [link for link in document.all("a", href=page_path("en", slug), lang="en") if link.within("main")]
            assert len(links) == len(notes)


def test_a_page_that_names_an_agency_shows_its_number_hours_and_whether_it_learns_who_calls(site):
    """In every language the numbers of the agencies that a page or its English names stand on it, with their words."""
    editions = site.prerendered.library.editions
    for code in site.languages:
        for slug in ("response", "law", "signs", "help"):
            text = site.get(page_path(code, slug)).document.one("main").text
            links = editions[code].pages[slug].links | editions["en"].pages[slug].links
            named = {link.removeprefix("contact:").partition("#")[0] for link in links if link.startswith("contact:")}
            for key in named:
                contact = editions[code].contacts[key]
                assert contact.number in text
                assert Markup(contact.learns).striptags() in " ".join(text.split())
    english = site.get("/en/help").document.one("main").text
    assert "Open day and night, every day." in english
    assert "We do not know the hours." in english


def test_reviewed_only_hides_what_nobody_signed(site, tmp_path):
    """With `reviewed_only` an unreviewed language is a 404 and is in no list."""
    reviewed = open_site(tmp_path, SITE_REVIEWED_ONLY="true")
    hidden = set(site.languages) - set(reviewed.languages)
    for code in hidden:
        assert reviewed.get(f"/{code}/help").status == 404
        assert f"/{code}/" not in reviewed.get("/en/").document.html
    assert reviewed.get("/", Accept_Language=",".join(hidden) or "en").headers["Location"] == "/en/"


def test_a_demonstration_says_so_on_every_page_and_is_not_indexed(site, pages):
    """The banner of a demonstration comes before the content, and crawlers are kept out."""
    for path in pages:
        document = site.get(path).document
        assert document.one("p", class_="demo").text
        assert document.one("meta", name="robots").attrs["content"] == "noindex"
    assert site.get("/robots.txt").response.text == "User-agent: *\nDisallow: /\n"


def test_the_real_site_is_indexed_and_has_no_banner(tmp_path):
    """Without `demo` there is no banner, and robots.txt names the sitemap."""
    site = open_site(
        tmp_path,
        **REAL,
        AGENCY_EXAMPLE_RECIPIENTS=recipient_of(new_identity()),
    )
    assert not site.get("/en/").document.all("p", class_="demo")
    assert "Sitemap: https://example.org/sitemap.xml" in site.get("/robots.txt").response.text


def test_the_sitemap_lists_every_page_of_every_language(site, pages):
    """The sitemap lists each page and the report form once, with whole addresses."""
    tree = ET.fromstring(site.get("/sitemap.xml").response.text)
    listed = [element.text for element in tree.iter() if element.tag.endswith("loc")]
    expected = {site.base + path for path in pages} | {f"{site.base}/{code}/report" for code in site.languages}
    assert sorted(listed) == sorted(expected)


def test_security_txt_says_whom_to_tell_and_until_when(site):
    """`security.txt` has the four fields of RFC 9116 that we use, and has not expired."""
    fields = dict(line.split(": ", 1) for line in site.get("/.well-known/security.txt").response.text.splitlines())
    assert fields["Contact"].startswith("mailto:")
    assert fields.keys() == {"Contact", "Expires", "Preferred-Languages", "Canonical"}


def test_the_emergency_line_and_a_number_to_tap_are_on_every_page(site, pages):
    """In every language the header says what to do in danger, with 111 as a link."""
    for path in pages:
        line = site.get(path).document.one("p", class_="now")
        assert "111" in line.text
        assert site.get(path).document.all("a", href="tel:111")


def test_the_plan_is_filtered_by_a_plain_get_form(site):
    """Each filter of the plan narrows the list, two narrow it more, and an unknown value finds nothing."""
    numbers = [f'<li value="{n}">' for n in range(1, 29)]

    def shown(query):
        html = site.get(f"/en/plan/actions{query}").document.html
        return [n for n, mark in enumerate(numbers, 1) if mark in html]

    assert shown("") == list(range(1, 29))
    assert shown("?pillar=prosecution") == list(range(23, 29))
    assert shown("?agency=MoH") == [17]
    assert shown("?timetable=ongoing&pillar=prevention") == [6, 7, 8]
    assert shown("?goal=7") == []
    assert shown("?pillar=%3Cscript%3E") == []


def test_the_way_back_to_a_reply_is_in_the_menu_and_the_operators_address_on_contact(site):
    """Who comes back with a code finds the page, and who wants to write to the operator finds the address."""
    for code in site.languages:
        assert site.get(f"/{code}/").document.all("a", href=f"/{code}/reply")
        contact = site.get(f"/{code}/contact").document
        assert site.prerendered.config.site.contact_email in contact.one("main").text


def test_the_united_nations_definition_stands_once_as_a_quotation(site):
    """The definition stands in its own words in one quoted block of one page, beside the plain words."""
    words = "the recruitment, transportation, transfer, harbouring or receipt of persons"
    found = [slug for slug in SLUGS if words in site.get(page_path("en", slug)).document.one("main").text]
    assert found == ["what-is-trafficking"]
    document = site.get("/en/what-is-trafficking").document
    assert words in " ".join(document.one("blockquote").text.split())


def test_the_plan_is_there_as_csv_and_json(site):
    """The CSV and the JSON of the plan hold the 28 actions."""
    assert len(site.get("/plan.csv").response.text.splitlines()) == 29
    assert len(json.loads(site.get("/plan.json").response.text)["actions"]) == 28
