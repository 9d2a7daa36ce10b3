"""Content is checked at start: all faults are reported together, and faulty content is never served."""

import re
import shutil
import unicodedata
from datetime import date
from pathlib import Path

import bleach
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ConfigError
from app.site.guide import markdown
from app.site.guide.loader import load_library, split_front_matter
from app.site.guide.markdown import Links, render_line, render_page, render_runs
from app.site.guide.models import HOURS, REQUIRED_PAGES, SLUGS, Contact, Page, source_digest
from tests.support.paths import ROOT
from tests.support.visit import KNOWN

REAL = ROOT / "content"
NUMBER = re.compile(r"(?<![\w.])\d[\d,.]*\d|\d")
# Numbers that a translation may write as a word or in its own way: small ones, and times of the clock.
MAY_BE_WORDS = {str(n) for n in range(13)}


@pytest.fixture(scope="module")
def library():
    return load_library(REAL, KNOWN)


@pytest.fixture
def tree(tmp_path):
    """A copy of the English and one made-up translation, to be spoiled."""
    root = tmp_path / "content"
    shutil.copytree(REAL / "en", root / "en")
    shutil.copytree(REAL / "en", root / "hi")
    for name in ("contacts.toml", "plan.toml"):
        shutil.copy(REAL / name, root / name)
    for path in (root / "hi").glob("*.*"):
        record = f'source_digest: "{source_digest((root / "en" / path.name).read_bytes())}"\nstatus: unreviewed\n'
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".md":
            path.write_text(text.replace("status: source\n", record), encoding="utf-8")
        else:
            path.write_text(record.replace(":", " =").replace("unreviewed", '"unreviewed"') + text, encoding="utf-8")
    return root


def faults_of(root: Path, *codes: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_library(root, codes or ("en", "hi"))
    return str(caught.value)


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_every_language_has_every_page():
    """The content of every language loads without a fault."""
    assert tuple(load_library(REAL, KNOWN).editions) == tuple(KNOWN)


def test_the_made_up_translation_is_sound(tree):
    """The copy that the other tests change has no fault of its own."""
    library = load_library(tree, ("en", "hi"))
    assert library.stale == ()
    assert not library.editions["hi"].reviewed


def test_all_faults_are_told_at_once_with_their_files(tree):
    """A missing file, a link without a target and a missing title are in one error, each with its remedy."""
    (tree / "hi" / "law.md").unlink()
    spoil(tree / "en" / "help.md", "(page:anonymity)", "(page:nowhere)")
    spoil(tree / "en" / "signs.md", "title:", "titel:")
    told = faults_of(tree)
    assert "content/hi/law.md: there is no such file; write it" in told
    assert "content/en/help.md: the link page:nowhere leads nowhere" in told
    assert "content/en/signs.md: title is missing; write it" in told


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("en/help.md", "contact:police-111", "contact:police-999", "contacts.toml has no such id"),
        ("en/help.md", "contact:police-111", "contact:police-111#web", "the contact has no web"),
        ("en/help.md", "safety:not-emergency", "safety:nothing", "safety.toml has no such sentence"),
        ("en/help.md", "(page:anonymity)", "(javascript:alert)", "is not a link; write page:"),
        ("en/help.md", "(page:anonymity)", "(ftp://x.example)", "leads nowhere; write page:"),
        ("en/help.md", "(page:anonymity)", "(page:law#nothing)", "has no end"),
        ("en/help.md", "\n## ", "\n# ", "a heading is #"),
        ("en/help.md", "title: ", "title: [", "is not YAML"),
        ("en/home.md", "  - page: help\n", "  - page: help\n    new: x\n  - page: help\n", "doors must be a list of 4"),
        ("en/safety.toml", "emergency =", "emergencies =", "emergency is missing"),
        ("en/safety.toml", 'emergency = "', "emergency = ", "not TOML"),
        ("en/contacts.toml", "[inz]", "[inzz]", "inz inzz: only here or only in content/contacts.toml"),
        ("contacts.toml", 'tel = "111"', "", "number and tel go together"),
        ("contacts.toml", 'url = "https', 'url = "http', "does not start with https://"),
        ("contacts.toml", "source =", "sauce =", "source is missing"),
        ("contacts.toml", 'as_at = "2026-11-22"', 'as_at = "last week"', "as_at is not a day"),
        ("contacts.toml", "free = true", 'free = "yes"', "free is neither true nor false"),
        ("contacts.toml", 'asks_name = "yes"', 'asks_name = "perhaps"', "asks_name is not right"),
        ("contacts.toml", 'from_overseas = "+64', 'from_overseas = "064', "from_overseas does not start with +"),
        ("contacts.toml", "silent = true", "loud = true", "loud is not known"),
        ("contacts.toml", 'asks_name = "no"', 'anonymous = "yes"', "anonymous has become asks_name"),
        ("contacts.toml", 'id = "police-105"', 'id = "police-111"', "stands twice"),
        ("plan.toml", "number = 28\n", "number = 29\n", "not numbered 1 to 28"),
        ("plan.toml", 'agencies = ["Police", "DoL", "Customs"]', 'agencies = ["FBI"]', "agencies names what the plan"),
        ("hi/help.md", "status: unreviewed", "status: fine", "status is not right"),
        ("hi/help.md", "status: unreviewed", "status: reviewed", "says who and when"),
        ("hi/help.md", "source_digest:", "digest:", "source_digest is missing"),
        (
            "hi/help.md",
            "(contact:victims-information)",
            "(contact:police-105)",
            "stand in one of this file and the English only",
        ),
        ("hi/help.md", "\n## If", "\n### If", "headings (##) beside"),
        ("hi/sheet.md", "fold:", "unfold:", "differs from the English in fold, unfold"),
        ("hi/safety.toml", "not-sent =", "sent =", "not-sent sent: in one language only"),
    ],
)
def test_a_fault_is_reported_with_its_remedy(tree, name, old, new, told):
    """Each kind of fault in the files is found, and the message says what to do."""
    spoil(tree / name, old, new)
    assert told in faults_of(tree)


def test_changed_english_makes_a_translation_stale_and_voids_its_review(tree):
    """A translation that was signed for earlier English is listed as stale and counts as unreviewed."""
    spoil(
        tree / "hi" / "help.md",
        "status: unreviewed",
        "status: reviewed\nreviewed_by: A Speaker\nreviewed_on: 2026-11-22",
    )
    assert load_library(tree, ("en", "hi")).editions["hi"].pages["help"].review.reviewed
    english = tree / "en" / "help.md"
    english.write_text(english.read_text(encoding="utf-8") + "\nOne more sentence.\n", encoding="utf-8")
    library = load_library(tree, ("en", "hi"))
    assert library.stale == ("content/hi/help.md",)
    assert not library.editions["hi"].pages["help"].review.reviewed


def test_a_translation_that_is_behind_keeps_its_own_shape(tree):
    """New parts of the English are no fault of a translation, which is stale until it has them; a lost text is one."""
    spoil(tree / "en" / "help.md", "{#phone}", "## A new part\n\nCall [](contact:inz).\n\n{#phone}")
    spoil(tree / "en" / "signs.md", "child_heading:", "new: A new text\nchild_heading:")
    library = load_library(tree, ("en", "hi"))
    assert library.stale == ("content/hi/help.md", "content/hi/signs.md")
    spoil(tree / "hi" / "signs.md", "child_heading:", "heading:")
    assert "content/hi/signs.md: child_heading is missing; write it" in faults_of(tree)


def test_a_language_is_shown_once_the_words_that_protect_are_signed(tree):
    """Each unsigned file of safety sentences, help, self-check and handouts hides a language; other files do not."""
    signed = {".md": ("status: unreviewed", "status: reviewed\nreviewed_by: A Speaker\nreviewed_on: 2026-11-22")}
    signed[".toml"] = (
        'status = "unreviewed"',
        'status = "reviewed"\nreviewed_by = "A Speaker"\nreviewed_on = 2026-11-22',
    )
    required = ["safety.toml", "contacts.toml", *(f"{slug}.md" for slug in REQUIRED_PAGES)]
    assert len(required) == 6
    for name in required:
        library = load_library(tree, ("en", "hi"), signed_only=True)
        assert tuple(library.only_reviewed().editions) == ("en",), name
        path = tree / "hi" / name
        spoil(path, *signed[path.suffix])
    library = load_library(tree, ("en", "hi"), signed_only=True).only_reviewed()
    assert tuple(library.editions) == ("en", "hi")
    own = {slug for slug, page in library.editions["hi"].pages.items() if page.lang == "hi"}
    assert own == set(REQUIRED_PAGES)
    assert not load_library(tree, ("en", "hi")).editions["hi"].reviewed
    assert {page.lang for page in load_library(tree, ("en", "hi")).editions["hi"].pages.values()} == {"hi"}


def test_what_every_page_shows_is_never_behind(library):
    """In every language the safety sentences and the words about the numbers were made from the English of today."""
    shared = ("/safety.toml", "/contacts.toml")
    remedy = "bring these up to date with the English, then: make digests FILE=safety, with CODE=sm for one language"
    assert [name for name in library.stale if name.endswith(shared)] == [], remedy
    assert not [code for code, edition in library.editions.items() if edition.common.stale], remedy


@given(st.from_regex(markdown._PLAIN, fullmatch=True))
def test_plain_words_are_as_the_cleaner_would_leave_them(words):
    """Words without markup skip the HTML cleaner, which would not change a letter of them."""
    cleaned = bleach.clean(words, tags=markdown._TAGS, attributes=markdown._ATTRIBUTES, protocols=markdown._PROTOCOLS)
    assert markdown._sanitise(words) == cleaned


def test_html_in_a_translators_file_stays_text():
    """HTML, event handlers and script addresses in Markdown are shown as text or removed."""
    html, _ = render_page("<script>x</script> <b onclick=x>y</b> [z](javascript:x)", links([]))
    assert "<script" not in html
    assert "<b" not in html
    assert "href" not in html


def test_an_empty_link_shows_the_number_and_calls_it():
    """`[](contact:x)` becomes the number as a link, `#web` the web address; given words are kept."""
    faults: list[str] = []
    html = render_line("[](contact:x), [](contact:x#web), [us](contact:x)", links(faults))
    assert html == (
        '<a href="tel:+6412" translate="no">1 2</a>, '
        '<a href="https://www.x.example/a" translate="no">x.example</a>, '
        '<a href="tel:+6412">us</a>'
    )
    assert faults == []


def test_words_in_another_language_keep_their_tag():
    """`[words]{lang=mi}` becomes a span with that language on pages, and a run in handouts."""
    assert render_line("[haumaru]{lang=mi}", links([])) == '<span lang="mi" translate="no">haumaru</span>'
    assert [(run.text, run.lang) for run in render_runs("a [b]{lang=mi}", links([]))] == [("a ", ""), ("b", "mi")]


def test_yes_is_a_word():
    """Values of front matter such as yes, no and 1.0 are text."""
    assert split_front_matter("---\nyes: no\nversion: 1.0\n---\n") == ({"yes": "no", "version": "1.0"}, "")


@pytest.mark.parametrize(
    ("text", "front", "source"),
    [
        ("---\ntitle: T\n---\n\nOne.\n\n---\n\nTwo.\n", {"title": "T"}, "One.\n\n---\n\nTwo."),
        ("--- \ntitle: a --- b\n----\nOne.", {"title": "a --- b"}, "One."),
        ("---\n---\nOne.", {}, "One."),
        ("---\n- a list\n---\nOne.", {}, "One."),
        ("One.\n---\nTwo.\n---\n", {}, "One.\n---\nTwo.\n---"),
        ("---\ntitle: T\nOne.", {}, "---\ntitle: T\nOne."),
    ],
)
def test_front_matter_is_what_stands_between_the_first_two_lines_of_dashes(text, front, source):
    """Later lines of dashes are Markdown, and a page that does not begin with front matter has none."""
    assert split_front_matter(text) == (front, source)


def test_the_emergency_sentence_is_not_told_twice(library):
    """The emergency sentence at the start of a body is left out, because the header shows it."""
    for edition in library.editions.values():
        for page in edition.pages.values():
            assert not page.body.startswith(f"<p>{edition.safety['emergency']}</p>")


def test_numbers_names_and_links_equal_the_english(library):
    """A page made from today's English has its phone numbers, amounts and years; one that is behind adds no number."""
    english = library.editions["en"]
    known = set().union(*(numbers(page) for page in english.pages.values())) | MAY_BE_WORDS
    for code, edition in library.editions.items():
        for slug, page in edition.pages.items():
            if page.review.stale:
                assert numbers(page) <= known, f"content/{code}/{slug}.md has {sorted(numbers(page) - known)}"
                continue
            missing = numbers(english.pages[slug]) - numbers(page) - MAY_BE_WORDS
            assert not missing, f"content/{code}/{slug}.md lacks {sorted(missing)}"
            added = numbers(page) - numbers(english.pages[slug]) - MAY_BE_WORDS
            assert not added, f"content/{code}/{slug}.md has {sorted(added)}, which the English has not"


def numbers(page: Page) -> set[str]:
    text = re.sub(r"<[^>]*>", "", page.body + str(page.raw) + page.description)
    return {number.rstrip(".,").replace(",", "") for number in NUMBER.findall(text)}


def test_every_number_and_address_has_a_source_and_a_day(library):
    """Every contact with a number or an address has a source and a day."""
    contacts = library.editions["en"].contacts
    assert len(contacts) >= 5
    for contact in contacts.values():
        assert contact.source
        assert contact.as_at.year >= 2020


def test_every_contact_has_hours_or_the_site_says_that_they_are_not_known(library):
    """Hours are of the program's own list, so each language has words for them, and 111 answers day and night."""
    contacts = library.editions["en"].contacts
    assert all(contact.hours in HOURS for contact in contacts.values())
    assert contacts["police-111"].hours == "always"
    assert contacts["police-111"].silent
    assert contacts["police-111"].free
    assert all(contact.number for contact in contacts.values())


def test_111_and_105_are_never_called_anonymous(library):
    """Only Crime Stoppers is called anonymous."""
    contacts = library.editions["en"].contacts
    assert {key for key, contact in contacts.items() if contact.asks_name == "no"} == {"crime-stoppers"}


def test_text_is_normalised_and_has_one_glottal_mark(library):
    """Translations are NFC and write the glottal stop with U+02BB, never with a quotation mark or a backtick."""
    for code in library.editions:
        for path in (REAL / code).glob("*.*"):
            text = re.sub(r"`[^`\n]*`", "", path.read_text(encoding="utf-8"))
            assert unicodedata.is_normalized("NFC", text), f"{path}: not NFC"
            if code in ("sm", "to", "fj"):
                assert not re.search(r"[`´ʼ‛]|\w‘\w", text), f"{path}: write the glottal stop as ʻ"


def links(faults: list[str]) -> Links:
    contact = Contact("x", "X", "no", "s", date(2026, 11, 22), number="1 2", tel="+6412", url="https://www.x.example/a")
    return Links("en", frozenset(SLUGS), {"x": contact}, {"emergency": "Call."}, faults.append)
