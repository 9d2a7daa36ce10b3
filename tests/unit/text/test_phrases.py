"""Phrases by which people name themselves, in every language, and the files that hold them."""

import pytest

from app.core.errors import ConfigError
from app.core.i18n import LANGUAGES
from app.text.find import find_identifying
from app.text.phrases import load_phrases
from tests.support.paths import ROOT
from tests.support.visit import KNOWN

SAID_IN_TEN_LANGUAGES = [
    ("en", "My name is Ana Bell and", "name", "My name is Ana Bell"),
    ("en", "I am the cook of the lodge.", "self", "I am the cook of the lodge"),
    ("en", "my\ncousin Pita", "relation", "my\ncousin Pita"),
    ("mi", "Ko Hēmi toku ingoa", "name", "Hēmi toku ingoa"),
    ("zh-Hans", "我叫李明在果园", "name", "我叫李明"),
    ("zh-Hans", "我老闆不给钱", "role", "我老闆"),
    ("ms", "sepupu saya Din ada", "relation", "sepupu saya Din"),
    ("vi", "em ho toi", "relation", "em ho toi"),
    ("sm", "O LOʻU IGOA O SINA", "name", "O LO'U IGOA O SINA"),
    ("to", "ko eku pule Sione", "role", "eku pule Sione"),
    ("fj", "na tavalequ", "relation", "na tavalequ"),
    ("hi", "मेरा नाम राम है", "name", "मेरा नाम राम"),
    ("hi", "हमारे पडोसी", "role", "हमारे पडोसी"),
    ("tl", "ako lang ang nakakaalam", "only", "ako lang ang nakakaalam"),
]


@pytest.mark.parametrize(("code", "untrusted_text", "kind", "words"), SAID_IN_TEN_LANGUAGES)
def test_phrases_are_found_with_and_without_accents(kinds, code, untrusted_text, kind, words):
    """A phrase in any language is found, with the name that belongs to it, accents or not."""
    assert code in LANGUAGES
    assert kinds(untrusted_text) == [(kind, words)]


def test_every_language_is_among_the_phrases_tried():
    """No language's phrases go untested."""
    assert {code for code, *_ in SAID_IN_TEN_LANGUAGES} == set(LANGUAGES)


@pytest.mark.parametrize(
    "untrusted_text",
    [
        "My name is on the list.",
        "I am. The rest ran.",
        "my mother tongue-tied"[:3] + "motherboard",
        "họ bỏ tôi lại",
        "我叫他停下",
        "amy cousins' shop",
        "",
    ],
)
def test_what_only_looks_like_a_phrase_is_not_found(kinds, untrusted_text):
    """Words that name nobody, that cross a full stop, or that have other accents are not found."""
    assert kinds(untrusted_text) == []


def _copy(tmp_path, code="en", text=None):
    for each in KNOWN:
        folder = tmp_path / each
        folder.mkdir()
        (folder / "identity.toml").write_bytes((ROOT / "content" / each / "identity.toml").read_bytes())
    if text is not None:
        (tmp_path / code / "identity.toml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_translator_can_add_a_phrase(tmp_path):
    """A phrase added to one file is found at once."""
    added = '[relation]\nbefore = ["me"]\nwords = ["auld cousin"]\n'
    made = load_phrases(_copy(tmp_path, text=added))
    assert [each.kind for each in find_identifying("with me auld cousin", phrases=made)] == ["relation"]


FAULTS = [
    ("[name", "cannot be read"),
    ('[name]\nphrases = ["my name is [A-Z]+"]', "words only"),
    ('[name]\nphrases = [""]', "words only"),
    ('[name]\nphrases = "my name is"', "not a list"),
    ('[name]\nphrase = ["my name is"]', "phrase is not a list"),
    ('[names]\nphrases = ["my name is"]', "not a section"),
    ('[relation]\nbefore = ["my"]', "none between"),
    ('[near]\nfax = ["fax"]', "fax"),
    ('[only]\nphrases = ["a b c d e f g h i j k l m"]', "1 to 12 words"),
]


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_a_faulty_file_is_reported_with_what_to_do(tmp_path, text, fault):
    """Every fault names the file and what to do."""
    with pytest.raises(ConfigError) as caught:
        load_phrases(_copy(tmp_path, text=text))
    assert all(each.startswith("en/identity.toml: ") for each in caught.value.faults)
    assert fault in str(caught.value)


def test_all_faults_are_reported_at_once(tmp_path):
    """A missing file and a bad one are both in the one error."""
    root = _copy(tmp_path, text='[name]\nphrases = ["(.*)"]\nother = []')
    (root / "fj" / "identity.toml").unlink()
    with pytest.raises(ConfigError) as caught:
        load_phrases(root)
    assert len(caught.value.faults) == 3
