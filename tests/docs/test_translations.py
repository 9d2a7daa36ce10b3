"""`make messages` and `make digests`: changed English reaches each translation, and no review outlives the change."""

import shutil

import polib
import pytest

from app.core import i18n
from app.site.guide.loader import load_library
from app.site.guide.models import source_digest
from deploy import translations
from tests.support.paths import ROOT

SENTENCE = '{{ _("A new sentence, seven words in all.") }}\n'
TEMPLATE_FILE = "app/site/templates/base.html"
REVIEWED = {
    ".md": """\
title: T
status: reviewed
reviewed_by: A. Speaker
reviewed_on: 2026-11-22
source_digest: "0"
x: y
""",
    ".toml": """\
status = "reviewed"
reviewed_by = "A. Speaker"
reviewed_on = 2026-11-22
source_digest = "0"

[a]
status = "x"
""",
    ".po": r"""
"X-Source-Digest: 0\n"
"X-Status: reviewed\n"
"X-Reviewed-By: A. Speaker\n"
"X-Reviewed-On: 2026-11-22\n"

"X"
""",
}


@pytest.fixture
def tree(tmp_path):
    """A small program and site, whose nine translations were all made from the English of today."""
    for path, text in {
        TEMPLATE_FILE: '{{ _("Skip to the content") }} {{ _("Yes") }}\n',
        "content/en/help.md": "---\ntitle: Help\nstatus: source\n---\nCall.\n",
        "content/en/law.md": "---\ntitle: Law\nstatus: source\n---\nThe law.\n",
        "content/en/safety.toml": '# Sentences.\n\nemergency = "Call."\n',
        "translations/messages.pot": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "translations" / "babel.cfg", tmp_path / "translations")
    (tmp_path / "translations" / "messages.pot").write_text(translations.template(tmp_path), encoding="utf-8")
    for code, language in i18n.LANGUAGES.items():
        if code != "en":
            shutil.copytree(tmp_path / "content" / "en", tmp_path / "content" / code)
            path = translations.catalogue(tmp_path, language)
            translations.create(path, language, tmp_path / translations.TEMPLATE)
            head, mark, body = path.read_text(encoding="utf-8").partition("\n\n")
            path.write_text(head + mark + body.replace('msgstr ""', 'msgstr "x"'), encoding="utf-8")
            list(translations.digests(tmp_path, code, ""))
    return tmp_path


def test_the_template_is_the_programs():
    """Every sentence that the program marks stands in messages.pot, and no other."""
    assert translations.check(ROOT) == [], "run: make messages"


def test_a_sentence_that_is_not_collected_yet_is_named(tree):
    """The check names each sentence that was added and each that is gone."""
    page = tree / TEMPLATE_FILE
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("Skip to the content", "Go to the content") + SENTENCE, encoding="utf-8")
    assert translations.check(tree) == [
        "not yet in translations/messages.pot: 'A new sentence, seven words in all.'",
        "not yet in translations/messages.pot: 'Go to the content'",
        "no longer in the program: 'Skip to the content'",
    ]


@pytest.mark.needs("gettext")
def test_a_new_sentence_reaches_every_catalogue_untranslated(tree):
    """The template and all nine catalogues have the sentence afterwards, and what is left to do is said for each."""
    page = tree / TEMPLATE_FILE
    page.write_text(page.read_text(encoding="utf-8") + SENTENCE, encoding="utf-8")
    lines = list(translations.collect(tree))
    assert translations.check(tree) == []
    assert (
        "translations/zh_Hans/LC_MESSAGES/messages.po: 1 sentence to translate, then: make digests CODE=zh-Hans"
        " FILE=messages" in lines
    )
    catalogues = list(tree.glob("translations/*/LC_MESSAGES/messages.po"))
    assert len(catalogues) == len(lines) - 1 == 9
    for path in catalogues:
        catalogue = polib.pofile(str(path))
        assert [entry.msgid for entry in catalogue.untranslated_entries()] == ["A new sentence, seven words in all."]
        assert catalogue.metadata["Plural-Forms"]


@pytest.mark.needs("gettext")
def test_collecting_twice_changes_nothing(tree):
    """Without a new sentence the catalogues keep every byte, and nothing is left to do."""
    before = {path: path.read_bytes() for path in (tree / "translations").rglob("messages.po*")}
    assert list(translations.collect(tree)) == []
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.needs("gettext")
def test_a_new_language_gets_a_catalogue_and_its_records(tree):
    """A copy of the English with a language.toml becomes a translation that loads: records, plural forms, sentences."""
    folder = tree / "content" / "qaa"
    shutil.copytree(tree / "content" / "en", folder)
    (folder / "language.toml").write_text('own_name = "Kiswahili"\nrules_of = "sw"\n')
    assert list(translations.collect(tree)) == [
        "translations/qaa/LC_MESSAGES/messages.po: 2 sentences to translate, then: make digests CODE=qaa FILE=messages"
    ]
    catalogue = polib.pofile(str(tree / "translations" / "qaa" / "LC_MESSAGES" / "messages.po"))
    assert catalogue.metadata["Plural-Forms"] == "nplurals=2; plural=(n != 1);"
    assert [entry.msgid for entry in catalogue.untranslated_entries()] == ["Skip to the content", "Yes"]


def test_a_copy_of_the_english_becomes_a_translation_that_loads(tmp_path):
    """`make digests` writes the records of a new language's files, each where its format wants the record."""
    shutil.copytree(ROOT / "content", tmp_path / "content")
    folder = tmp_path / "content" / "qaa"
    shutil.copytree(ROOT / "content" / "en", folder)
    (folder / "language.toml").write_text('own_name = "Kiswahili"\nrules_of = "sw"\n')
    list(translations.digests(tmp_path, "qaa", ""))
    library = load_library(tmp_path / "content", ("en", "qaa"))
    assert library.stale == ()
    assert not library.editions["qaa"].reviewed


def test_what_was_made_from_other_english_is_listed_with_the_command(tree):
    """After a change of an English page each of its translations is named, and nothing is written."""
    page = tree / "content" / "en" / "help.md"
    page.write_text(page.read_text(encoding="utf-8") + "\nOne more sentence.\n", encoding="utf-8")
    lines = list(translations.digests(tree, "", ""))
    assert len(lines) == 9
    assert lines[0] == (
        "content/mi/help.md: made from another content/en/help.md than today's; bring it up to date, then:"
        " make digests CODE=mi FILE=help"
    )
    assert list(translations.digests(tree, "", "")) == lines


def test_only_what_was_asked_for_is_signed(tree):
    """A language and a file together sign one translation, a file alone signs it in every language."""
    page = tree / "content" / "en" / "help.md"
    page.write_text(page.read_text(encoding="utf-8") + "\nOne more sentence.\n", encoding="utf-8")
    others = {path: path.read_bytes() for path in (tree / "content").rglob("law.md")}
    every = len(list(translations.digests(tree, "", "")))
    assert list(translations.digests(tree, "sm", "help")) == [
        "content/sm/help.md: signed for the content/en/help.md of today, unreviewed"
    ]
    assert len(list(translations.digests(tree, "", ""))) == every - 1
    assert len(list(translations.digests(tree, "", "help"))) == every - 1
    assert list(translations.digests(tree, "", "")) == [
        "every translation that was asked for was made from the English of today"
    ]
    assert {path: path.read_bytes() for path in others} == others


@pytest.mark.parametrize("suffix", REVIEWED)
def test_a_new_digest_ends_a_review(suffix):
    """What a speaker signed was other English: the name, the day and the status go, and everything else stays."""
    text = ("---\n" if suffix == ".md" else "") + REVIEWED[suffix] + ("---\nstatus: x\n" if suffix == ".md" else "")
    made = translations.signed(text, suffix, source_digest(b""))
    assert source_digest(b"") in made
    assert made.count("unreviewed") == 1
    assert not any(word in made for word in ("A. Speaker", "2026", ": reviewed", '"reviewed'))
    assert made.endswith(("---\nstatus: x\n", '[a]\nstatus = "x"\n', '\n\n"X"\n'))
    assert translations.signed(made, suffix, source_digest(b"")) == made
