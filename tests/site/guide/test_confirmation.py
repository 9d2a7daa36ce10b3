"""An operator's own folder lies over the program's content, and `haumaru contacts` writes into it alone."""

from datetime import date

import pytest
from click.testing import CliRunner

from app.core.errors import ConfigError
from app.site import demo
from app.site.cli import cli
from app.site.guide.confirmation import confirm_contacts
from app.site.guide.loader import load_library
from app.site.guide.models import GuideFolders
from tests.support.paths import ROOT

CONTENT = ROOT / "content"
TODAY = date(2026, 12, 24)
OWN_ROW = """\
# Ours.
[[contact]]
id = "police-105"
name = "The Police here"
number = "105"
tel = "105"
url = "https://105.police.govt.nz/"
asks_name = "yes"
source = "our own call"
as_at = "2026-12-01"
dated = true
"""


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


def contacts_of(own):
    return load_library(CONTENT, ("en", "hi"), own).editions["en"].contacts


def test_an_own_contact_takes_the_place_of_the_programs_row_and_the_others_stay(own):
    """One row in the operator's folder changes that contact in every language, and no other."""
    (own / "contacts.toml").write_text(OWN_ROW, encoding="utf-8")
    program, laid = contacts_of(None), contacts_of(own)
    assert list(laid) == list(program)
    assert laid["police-105"].name == "The Police here"
    assert [key for key in program if laid[key] != program[key]] == ["police-105"]


def test_an_own_page_takes_the_place_of_the_programs_and_leaves_its_translations_behind(own):
    """The operator's English page is served, and its translations say that the English is newer."""
    (own / "en").mkdir()
    page = (CONTENT / "en" / "law.md").read_text(encoding="utf-8")
    (own / "en" / "law.md").write_text(page.replace("title: What the law says", "title: Our law"), encoding="utf-8")
    library = load_library(CONTENT, ("en", "hi"), own)
    assert library.editions["en"].pages["law"].title == "Our law"
    assert library.editions["en"].pages["help"] == load_library(CONTENT, ("en",)).editions["en"].pages["help"]
    assert library.editions["hi"].pages["law"].review.stale


def test_own_words_take_the_place_of_the_programs_key_by_key(own):
    """An own sentence changes that sentence alone; a faulty own file is reported."""
    (own / "en").mkdir()
    words = own / "en" / "contacts.toml"
    words.write_text('[inz]\nfor = "Ask us."\nlearns = "We ask for your name."\n', encoding="utf-8")
    laid = contacts_of(own)
    assert (laid["inz"].use, laid["police-111"].use) == ("Ask us.", contacts_of(None)["police-111"].use)
    words.write_text("[inz\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="not TOML"):
        contacts_of(own)


def test_a_folder_that_is_not_there_is_a_fault(tmp_path):
    """A misspelt folder does not go unnoticed."""
    with pytest.raises(ConfigError, match="is not a folder; make it, or leave the key out"):
        contacts_of(tmp_path / "nothing")


def test_what_holds_gets_the_day_and_what_does_not_is_named(own):
    """A contact that holds is in the own file with today's day; one that does not is returned and not written."""
    (own / "contacts.toml").write_text(OWN_ROW, encoding="utf-8")
    before = contacts_of(own)
    asked = []

    def holds(words):
        asked.append(words)
        return "Crime Stoppers" not in words.partition(":")[0]

    assert confirm_contacts(before.values(), GuideFolders(CONTENT, own), TODAY, holds) == ["crime-stoppers"]
    after = contacts_of(own)
    assert len(asked) == len(before) == len(after)
    for key, contact in after.items():
        assert contact.as_at == (before[key].as_at if key == "crime-stoppers" else TODAY)
        assert contact.number == before[key].number
    assert not after["police-105"].dated
    text = (own / "contacts.toml").read_text(encoding="utf-8")
    assert text.startswith("# Ours.\n")
    assert text.count("[[contact]]") == len(before) - 1
    assert "crime-stoppers" not in text


def test_without_a_folder_the_walk_says_what_to_do():
    """Nothing is written into the program's own files."""
    with pytest.raises(ConfigError, match="make a folder for your own contacts"):
        confirm_contacts((), GuideFolders(CONTENT, None), TODAY, lambda _: True)


def test_the_command_asks_about_each_contact(tmp_path, own, monkeypatch):
    """`haumaru contacts` asks about every contact, exits 0 where all hold, and 1 where one does not."""
    runner = CliRunner()
    path = demo.prepare_folder(tmp_path / "demo")
    monkeypatch.setenv("HAUMARU_CONTENT_FOLDER", str(own))
    count = len(contacts_of(None))
    done = runner.invoke(cli, ["contacts", "--config", str(path)], input="y\n" * count)
    assert done.exit_code == 0, done.output
    assert done.output.count("Is all of this still right?") == count
    done = runner.invoke(cli, ["contacts", "--config", str(path)], input="y\n" * (count - 1) + "n\n")
    assert done.exit_code == 1
    assert "Correct mbie-2020 in" in done.output


def test_an_operator_is_asked_about_everything_that_the_site_says_of_a_contact(own):
    """Number, address, hours, name, charge, silent callers, texts, interpreters and the number from overseas."""
    asked = []
    confirm_contacts(
        contacts_of(None).values(), GuideFolders(CONTENT, own), TODAY, lambda words: asked.append(words) or False
    )
    police, crime_stoppers, victim_support = (
        next(words for words in asked if words.startswith(name))
        for name in ("New Zealand Police (emergency)", "Crime Stoppers", "Victim Support")
    )
    for fact in ("- 111", "day and night", "may ask for a name", "call is free", "cannot speak", "are deaf"):
        assert fact in police
    assert "They do not ask for a name" in crime_stoppers
    assert "from another country: +64 9 927 3971" in crime_stoppers
    assert "An interpreter can join the call" in victim_support
