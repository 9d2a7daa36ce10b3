"""Catalogues are compiled where they are sound; a faulty one stops the start and names its line."""

import os

import pytest

from app.core.catalogues import compile_catalogues
from app.core.errors import ConfigError

HEAD = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

"""


def _catalogue(tmp_path, body):
    path = tmp_path / "sm" / "LC_MESSAGES" / "messages.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + body, encoding="utf-8")
    return path


def _faults(tmp_path, body):
    _catalogue(tmp_path, body)
    with pytest.raises(ConfigError) as raised:
        compile_catalogues(tmp_path)
    return list(raised.value.faults)


def test_catalogues_are_compiled_when_they_are_newer(tmp_path):
    """A changed `messages.po` is compiled once, an unchanged one is left alone."""
    folder = tmp_path / "sm" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    source = folder / "messages.po"
    source.write_text('msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "Yes"\nmsgstr "Ioe"\n')
    assert compile_catalogues(tmp_path) == [folder / "messages.mo"]
    assert compile_catalogues(tmp_path) == []
    later = (folder / "messages.mo").stat().st_mtime + 5
    os.utime(source, (later, later))
    assert len(compile_catalogues(tmp_path)) == 1


@pytest.mark.parametrize(
    ("english", "translated", "fault"),
    [
        ("%(shown)s of 28", "%(show)s o 28", "places %(show)s, where the English has %(shown)s"),
        ("%(shown)s of 28", "%(shown) o 28", "places %(shown) , where the English has %(shown)s"),
        ("%(shown)s of 28", "%(shown o 28", "places %(, where the English has %(shown)s"),
        ("%(shown)s of 28", "28", "places none, where the English has %(shown)s"),
        ("%(shown)s of 28", "%(shown)s %(shown)s 28", "places %(shown)s %(shown)s, where the English has %(shown)s"),
        ("%(shown)s of 28", "%(shown)s o le 50% 28", "places %(shown)s % , where the English has %(shown)s"),
        ("%(shown)s of 28", "%(shown)s o 27", "numbers 27, where the English has 28"),
        ("Call 111.", "Vili 101.", "numbers 101, where the English has 111"),
        ("Call 111.", "Vili.", "numbers none, where the English has 111"),
        ("Yes", "%s", "places %s, where the English has none"),
    ],
)
def test_a_wrong_place_or_number_is_named_with_its_line(tmp_path, english, translated, fault):
    """What the program cannot fill in, and a number that the English does not have, never reach a visitor."""
    body = f'msgid "No"\nmsgstr "Leai"\n\n#, python-format\nmsgid "{english}"\nmsgstr "{translated}"\n'
    line = 10
    assert _faults(tmp_path, body)[0] == (
        f"translations/sm/LC_MESSAGES/messages.po:{line}: {fault}; make them those of the English"
    )


def test_markup_in_a_sentence_is_named(tmp_path):
    """A translator cannot write markup into a page."""
    assert _faults(tmp_path, 'msgid "Yes"\nmsgstr "<b>Ioe</b>"\n') == [
        "translations/sm/LC_MESSAGES/messages.po:6: there is a < in it, which begins markup; write the words alone"
    ]


def test_every_fault_of_every_catalogue_is_named_at_once(tmp_path):
    """Nobody has to start the program once for each fault."""
    body = 'msgid "Call 111"\nmsgstr "Vili 11"\n\nmsgid "Call 105"\nmsgstr "Vili 15"\n'
    other = tmp_path / "to" / "LC_MESSAGES" / "messages.po"
    other.parent.mkdir(parents=True)
    other.write_text(HEAD + body)
    assert len(_faults(tmp_path, body)) == 4
    assert not list(tmp_path.rglob("*.mo"))


def test_a_file_that_is_no_catalogue_is_named(tmp_path):
    """A broken line stops the start too."""
    assert _faults(tmp_path, 'msgid "Yes"\nwords\nmsgstr "Ioe"\n')[0] == (
        "translations/sm/LC_MESSAGES/messages.po:7: not a line of a catalogue; correct it"
    )


def test_bytes_that_are_not_utf_8_are_named(tmp_path):
    """A catalogue in an old encoding is a fault with its remedy, and no traceback."""
    path = _catalogue(tmp_path, "")
    path.write_bytes(path.read_bytes() + b'msgid "Yes"\nmsgstr "\xff\xfe"\n')
    with pytest.raises(ConfigError, match="save it as UTF-8"):
        compile_catalogues(tmp_path)


def test_untranslated_sentences_and_guesses_are_no_faults(tmp_path):
    """A visitor reads the English in their place."""
    body = 'msgid "Call 111"\nmsgstr ""\n\n#, fuzzy\nmsgid "Call 105"\nmsgstr "Vili 15"\n'
    _catalogue(tmp_path, body)
    assert len(compile_catalogues(tmp_path)) == 1


def test_each_plural_form_may_have_the_places_of_either_english_form(tmp_path):
    """“One file” needs no number, and several forms may share one."""
    body = 'msgid "One file"\nmsgid_plural "%(num)s files"\nmsgstr[0] "Faila"\nmsgstr[1] "Faila e %(num)s"\n'
    _catalogue(tmp_path, body)
    assert len(compile_catalogues(tmp_path)) == 1
