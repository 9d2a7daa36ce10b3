"""The program's own words: collected, translated whole, with the same placeholders, numbers and links."""

import re

import polib
import pytest

from app.core.errors import ConfigError
from app.site.guide.loader import load_catalogue_reviews
from app.site.guide.models import SOURCE_REVIEW, Review, source_digest
from tests.support.paths import ROOT
from tests.support.visit import KNOWN

TEMPLATE = ROOT / "translations" / "messages.pot"
FOLDERS = [language.folder for code, language in KNOWN.items() if code != "en"]
HELD = re.compile(r"%\([a-z]+\)[sd]|\d+(?: \d+)*")


def test_there_is_a_catalogue_for_every_language_but_english():
    """One catalogue for each language of `content/`, and no other."""
    found = {path.parent.parent.name for path in ROOT.glob("translations/*/LC_MESSAGES/messages.po")}
    assert found == set(FOLDERS), "make messages makes the catalogue of a language that has a language.toml"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_catalogue_is_whole(folder):
    """Every message of the template is translated, none is a guess, none is left over."""
    catalogue = polib.pofile(str(ROOT / "translations" / folder / "LC_MESSAGES" / "messages.po"))
    template = polib.pofile(str(TEMPLATE))
    assert {entry.msgid for entry in catalogue} == {entry.msgid for entry in template}, "run: make messages"
    code = folder.replace("_", "-")
    remedy = f"translate them in its messages.po, then: make digests CODE={code} FILE=messages"
    assert [entry.msgid for entry in catalogue if not entry.translated() or entry.fuzzy] == [], remedy
    assert len(catalogue) > 250


@pytest.mark.parametrize("folder", FOLDERS)
def test_placeholders_and_numbers_are_those_of_the_english(folder):
    """What the program fills in, and every number, stands in the translation as in the English."""
    catalogue = polib.pofile(str(ROOT / "translations" / folder / "LC_MESSAGES" / "messages.po"))
    odd = [
        entry.msgid
        for entry in catalogue
        if sorted(HELD.findall(entry.msgid)) != sorted(HELD.findall(entry.msgstr)) or "<" in entry.msgstr
    ]
    assert odd == []


def test_a_catalogue_says_what_it_was_made_from():
    """Each records the template of today, and that no speaker has signed it yet, or who did."""
    found = load_catalogue_reviews(ROOT / "translations", KNOWN)
    stale = [code for code, one in found.items() if one.stale]
    remedy = "look through the catalogues of these languages, then for each: make digests CODE=… FILE=messages"
    assert stale == [], remedy
    assert found["en"] == SOURCE_REVIEW


def test_a_signed_catalogue_is_void_once_the_english_changes(tmp_path):
    """A signature holds for the words that were signed, and no longer."""
    (tmp_path / "messages.pot").write_text("one")
    folder = tmp_path / "sm" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    head = 'msgid ""\nmsgstr ""\n"X-Source-Digest: {}\\n"\n"X-Status: reviewed\\n"\n{}\n\nmsgid "Yes"\nmsgstr "Ioe"\n'
    signed = '"X-Reviewed-By: A. Speaker\\n"\n"X-Reviewed-On: 2026-11-22\\n"'
    (folder / "messages.po").write_text(head.format(source_digest(b"one"), signed))
    assert load_catalogue_reviews(tmp_path, ["sm"])["sm"].reviewed
    (tmp_path / "messages.pot").write_text("two")
    assert load_catalogue_reviews(tmp_path, ["sm"])["sm"] == Review(stale=True, reviewed=False)
    (folder / "messages.po").write_text(head.format(source_digest(b"two"), ""))
    with pytest.raises(ConfigError):
        load_catalogue_reviews(tmp_path, ["sm"])
    assert not load_catalogue_reviews(tmp_path, ["to"])["to"].reviewed
