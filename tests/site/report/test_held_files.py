"""What the page of a held tip says of a text file, and what a tick takes out of it."""

import json

from app.files.clean import CleanedFile
from app.site.report.held_files import FURTHER, MAX_SEARCHED, held_files, notes_of_files, take_out
from app.text.phrases import Finding
from app.vault.tip import TipFile
from app.vault.tip_bundles import FileEntry

CHAT = """\
[20/11/26] Sione Tuipulotu: my number is 021 555 0199
[20/11/26] Boss: I know where SIONE TUIPULOTU lives. Sione, run and you lose 021 555 0199.
[20/11/26] Siones Tuipulotu, राजेश, राजेशी and 李小明 too; राजेश! 李小明。
"""


def found(text, words, kind="person", at=0):
    """The one finding of these words, at the first place or at another."""
    start = text.index(words, at)
    return Finding(start, start + len(words), kind)


def shown(text, find):
    """The text as a file of a tip, and what the page shows of it."""
    cleaned = CleanedFile("files/1.txt", "text/plain", (), text.encode())
    notes = notes_of_files([cleaned], find)
    (held,) = held_files([FileEntry(cleaned.path, cleaned.type, len(cleaned.data), ())], notes)
    assert len(json.loads(notes)) == 1
    return TipFile(cleaned.path, cleaned.type, (), cleaned.data), held


def without(text, find, *starts):
    """The text after the boxes of these findings were ticked."""
    file, held = shown(text, find)
    return take_out(file, held, starts, find).data.decode()


def test_a_name_is_taken_out_wherever_it_stands():
    """The sender does not see the file: words that were found once are counted and taken out in every place."""

    def find(text):
        return [found(text, "Sione Tuipulotu"), found(text, "021 555 0199", "phone")]

    _, held = shown(CHAT, find)
    assert [(each.words, each.times) for each in held.findings] == [("Sione Tuipulotu", 2), ("021 555 0199", 2)]
    left = without(CHAT, find, held.findings[0].start)
    assert left.count("[removed]") == 2
    assert "TUIPULOTU" not in left
    assert "Sione, run and you lose 021 555 0199." in left
    assert "Siones Tuipulotu" in left
    assert "0199" not in without(CHAT, find, held.findings[1].start)


def test_a_name_in_another_script_is_taken_out_as_a_whole_word():
    """Vowel signs belong to a Hindi word, and Chinese names stand without spaces."""

    def find(text):
        return [found(text, "राजेश"), found(text, "李小明")]

    left = without(CHAT, find, *(each.start for each in find(CHAT)))
    assert left.endswith("Siones Tuipulotu, [removed], राजेशी and [removed] too; [removed]! [removed]。\n")


def test_what_has_no_box_of_its_own_is_taken_out_everywhere_too():
    """The one box for the findings without room takes out every place where their words stand."""

    def find(text):
        return [found(text, "Ana")]

    text = "Ana went, Ana stayed."
    file, held = shown(text, find)
    assert take_out(file, held, {held.findings[0].start}, find).data == b"[removed] went, [removed] stayed."
    (unshown,) = held_files([FileEntry(file.path, file.type, 1, ())], b"{}")
    assert take_out(file, unshown, {FURTHER}, find).data == b"[removed] went, [removed] stayed."


def test_a_finding_that_stands_in_another_is_taken_out_there():
    """A name is also taken out of the longer words that were found around it, and the longer words stay but for it."""

    def find(text):
        return [found(text, "My name is Ana", "name"), found(text, "Ana", at=20)]

    text = "My name is Ana. Ask for Ana."
    assert without(text, find, 24) == "My name is [removed]. Ask for [removed]."
    assert without(text, find, 0) == "[removed]. Ask for Ana."


def test_the_places_are_looked_for_in_the_first_part_only():
    """Beyond 200,000 characters nothing is searched, as the page says."""

    def find(text):
        return [found(text, "Ana")]

    text = "Ana " + "x " * (MAX_SEARCHED // 2) + "Ana"
    _, held = shown(text, find)
    assert (held.partly, held.findings[0].times) == (True, 1)
