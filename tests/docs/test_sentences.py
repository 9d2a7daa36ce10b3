"""Back-translations belong to the words that were translated back, and to nothing else."""

import json

from deploy.sentences import FILES, Sentence, read_back, sentences, store_back, words_digest
from tests.support.paths import ROOT

PAGE = "---\ntitle: {title}\nsteps:\n  work:\n    heading: Galuega\n    contacts: [police-111]\n---\nMuamua.\n\nLua.\n"


def _tree(tmp_path, page):
    for code, text in (("en", PAGE.format(title="Help")), ("sm", page)):
        path = tmp_path / "content" / code / "help.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_every_text_of_a_page_is_a_sentence_with_its_english(tmp_path):
    """The title, each text of the front matter and each paragraph have a key; settings have none."""
    root = _tree(tmp_path, PAGE.format(title="Fesoasoani"))
    assert sentences(root, "sm", "help") == [
        Sentence("help:title", "Help", "Fesoasoani"),
        Sentence("help:steps.work.heading", "Galuega", "Galuega"),
        Sentence("help:0", "Muamua.", "Muamua."),
        Sentence("help:1", "Lua.", "Lua."),
    ]


def test_a_back_translation_stays_with_its_words(tmp_path):
    """A sentence that moves keeps its back-translation, and a sentence that changes loses it."""
    root = _tree(tmp_path, PAGE.format(title="Fesoasoani"))
    words = {one.key: one.translated for one in sentences(root, "sm", "help")}
    assert store_back(root, "sm", {"help:0": "First.", "help:1": "Second."}, words) == [
        "help:title",
        "help:steps.work.heading",
    ]
    assert read_back(root, "sm") == {words_digest("Muamua."): "First.", words_digest("Lua."): "Second."}
    _tree(tmp_path, PAGE.format(title="Fesoasoani").replace("Muamua.\n\nLua.", "Lua.\n\nMuamua lava."))
    assert store_back(root, "sm", {}, {})[-1] == "help:1"
    assert read_back(root, "sm") == {words_digest("Lua."): "Second."}


def test_spaces_and_lines_do_not_change_words():
    """A paragraph that is broken into lines elsewhere, or written with other code points, is the same paragraph."""
    assert words_digest("a\nb  c") == words_digest("a b c") != words_digest("a b d")
    assert words_digest("ma\u0304") == words_digest("m\u0101")


def test_every_translation_has_the_sentences_of_all_files():
    """Each of the nine languages has sentences in each file that it has a review for, every one with its English."""
    for code in ("mi", "zh-Hans", "ms", "vi", "sm", "to", "fj", "hi", "tl"):
        found = {name: sentences(ROOT, code, name) for name in FILES}
        assert all(found.values()), code
        own = {"contacts.toml:police-111.name", "contacts.toml:police-105.name"}
        lacking = [one.key for every in found.values() for one in every if not one.english and one.key not in own]
        assert [key for key in lacking if "i_speak_own" not in key and not key.endswith((".name", ".hours"))] == []


def test_kept_back_translations_are_texts_under_digests():
    """Each kept file is an object of texts, each under a digest."""
    for path in (ROOT / "translations" / "reviews" / "back").glob("*.json"):
        kept = json.loads(path.read_text(encoding="utf-8"))
        assert all(len(key) == 16 and isinstance(told, str) and told for key, told in kept.items())
