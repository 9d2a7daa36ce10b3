"""The ready texts of a reply, in every language of the site."""

import re
from pathlib import Path

import pytest
import yaml

from app.core.i18n import LANGUAGES
from app.desk.errors import RefusedError
from app.desk.ready_texts import load_ready_texts, without_ready_texts
from app.desk.replies import MAX_LENGTH, reply_warnings
from app.vault.ready_replies import READY_REPLIES
from tests.support.paths import ROOT

TEXTS = load_ready_texts(ROOT)
EVERY = [(name, code) for name in READY_REPLIES for code in LANGUAGES]


def test_there_is_about_a_dozen_in_each_language():
    """Every text is there in every language; no two are the same, and each fits a reply many times over."""
    assert 12 <= len(READY_REPLIES) <= 20
    found = [TEXTS.find(name, code) for name, code in EVERY]
    assert {(text.id, text.language.code) for text in found} == set(EVERY), "each has a translation"
    assert len({text.text for text in found}) == len(found)
    assert max(len(text.text) for text in found) < MAX_LENGTH / 10
    assert {text.english for text in found} == {reply.english for reply in READY_REPLIES.values()}


def test_no_text_has_a_link_or_a_number_to_call_and_none_is_warned_of():
    """In each language the only number is 111, nothing looks like a link, and no ready text needs a warning."""
    for name, code in EVERY:
        text = TEXTS.find(name, code)
        assert set(re.findall(r"\d+", text.text)) <= {"111"}, (name, code)
        assert reply_warnings(text.english) == ()
        assert reply_warnings(text.text) == (), (name, code)


def test_words_beside_a_ready_text_are_still_warned_of():
    """A handler's own question after a ready text is warned of; a ready text that was changed counts as own words."""
    ready = READY_REPLIES["no-name"].english
    assert without_ready_texts(f"{ready} Hello") == " Hello"
    assert reply_warnings(f"{ready} What is your name?")
    assert reply_warnings(ready.replace("Do not write", "Please write"))


def test_the_page_that_a_text_names_has_that_title():
    """The text about the page "Get help" names the page as the page names itself, in each language."""
    for code in LANGUAGES:
        head = (ROOT / "content" / code / "help.md").read_text(encoding="utf-8").split("---")[1]
        assert f"“{yaml.safe_load(head)['title']}”" in TEXTS.find("help", code).text, code


def _signed(folder: Path, *, fresh: bool) -> Path:
    """Copy one catalogue, and sign the copy for the English of today, or for other English."""
    for part in ("translations/sm/LC_MESSAGES/messages.po", "translations/messages.pot"):
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        (folder / part).write_bytes((ROOT / part).read_bytes())
    (folder / "content").mkdir()
    path = folder / "translations/sm/LC_MESSAGES/messages.po"
    text = path.read_text(encoding="utf-8").replace("X-Status: unreviewed", "X-Status: reviewed", 1)
    if not fresh:
        text = re.sub("X-Source-Digest: [0-9a-f]+", "X-Source-Digest: 0000000000000000", text)
    path.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("fresh", [True, False])
def test_a_draft_is_marked_until_a_speaker_has_signed_the_words_of_today(tmp_path, fresh):
    """A signed catalogue is no draft, unless the English has changed since; English is never one."""
    assert TEXTS.find("thanks", "sm").is_draft
    assert not TEXTS.find("thanks", "en").is_draft
    assert load_ready_texts(_signed(tmp_path, fresh=fresh)).find("thanks", "sm").is_draft is not fresh


def test_a_language_without_the_sentence_has_the_english(tmp_path):
    """Where a catalogue is missing, or one of two sentences has no translation, the text is in English and says so."""
    texts = load_ready_texts(_signed(tmp_path, fresh=True))
    missing = texts.find("thanks", "vi")
    assert (missing.language.code, missing.text) == ("en", missing.english)
    path = tmp_path / "translations/sm/LC_MESSAGES/messages.po"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        re.sub(r'(msgid "We cannot act on what you wrote\."\nmsgstr) ".*"', r'\1 ""', text), encoding="utf-8"
    )
    assert load_ready_texts(tmp_path).find("cannot", "sm").language.code == "en"


@pytest.mark.parametrize(("name", "code"), [("", "sm"), ("thanks", ""), ("../thanks", "sm"), ("thanks", "../../etc")])
def test_only_texts_of_the_list_are_found(name, code):
    """An id or a language that is not in the list is refused, and no file is read for one."""
    with pytest.raises(RefusedError, match=r"^ready-text$"):
        TEXTS.find(name, code)
