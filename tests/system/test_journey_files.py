"""The way of a tip with files: what was taken out is seen before anything is sent."""

import re
import subprocess
import time
import tomllib
from itertools import count
from pathlib import Path

import pytest

from tests.corpus.search import everywhere
from tests.support.paths import BIN, read_below

STORY = "The passports are in this safe"


def held(visitor, what, files, lang="en", **answers):
    """A report with files, as far as the page that says what was taken out."""
    checked = visitor.check({"what": what, **answers}, lang)
    assert checked.document.one("input", id="files").attrs["name"] == "files"
    return visitor.post_files(f"/{lang}/report", [*checked.form("/report").fields, ("step", "send")], files)


def press(visitor, answer, step, lang="en"):
    return visitor.post(f"/{lang}/report", [*answer.form("/report").fields, ("step", step)])


@pytest.mark.needs("exiftool")
def test_files_are_shown_before_they_are_sent_and_arrive_clean(running, visitor, specimens, tmp_path):
    """Given a photo and a letter full of traces, the page names their kinds, and the agency gets none of them."""
    photo, letter = specimens["photo.jpg"], specimens["letter.pdf"]
    answer = held(visitor, STORY, [("IMG_2026_secret.jpg", photo.data), ("letter.pdf", letter.data)])
    assert (answer.status, answer.heading) == (200, "Not sent yet")
    assert "GPS position" in answer.words
    changes = ["blur:1", "cover:1", "blur:2", "cover:2"]
    assert answer.form("/report").steps == [*changes, "confirm", "extend", "discard", "edit"]
    assert press(visitor, answer, "confirm").heading.startswith("This was a demonstration")
    tip = running.tip(STORY)
    assert [file["path"] for file in tip["files"]] == ["files/1.jpg", "files/2.pdf"]
    assert "GPS position" in tip["files"][0]["removed"]
    folder = unpacked(running, tip["id"], tmp_path)
    arrived = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert {name.rpartition("/")[2] for name in arrived} >= {"tip.json", "tip.txt", "1.jpg", "2.pdf"}
    for name, path in arrived.items():
        hay = everywhere(path.read_bytes())
        marks = [*photo.places.values(), *letter.places.values(), b"IMG_2026_secret"]
        assert [mark for mark in marks if mark in hay] == [], name


def unpacked(running, tip_id, folder, seconds=60):
    """The folder of a tip, once all its parts have arrived and were given in one call."""
    identity = running.folder / "instance" / "demo" / "identity.txt"
    until = time.monotonic() + seconds
    attempt = count()
    while True:
        place = folder / str(next(attempt))
        command = [BIN / "haumaru-desk", "open", *running.inbox.glob("*.age"), "-i", identity, "-o", place]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        if f"{tip_id}: " not in done.stderr:
            return place / tip_id
        assert time.monotonic() < until, done.stderr
        time.sleep(0.5)


def test_while_it_is_held_nothing_is_sent_and_nothing_can_be_read(running, visitor):
    """A held tip lies encrypted in memory: neither its words nor the key to it stand there, nor any of it on a disk."""
    answer = held(visitor, "held and never sent", [("a.txt", b"words in a held file")])
    draft = dict(answer.form("/report").fields)["draft"]
    database = running.folder / "instance" / "demo" / "outbox.db"
    memory = Path(tomllib.loads((database.parent / "haumaru.toml").read_text())["memory"]["folder"])
    in_memory = read_below([memory])
    assert [path for path, data in in_memory.items() if len(data) >= 2 * 128 * 1024], "a tip is held"
    waiting = read_below(database.parent.glob("outbox.db*"))
    kept = b"".join([*waiting.values(), *in_memory.values()])
    for secret in (b"held and never sent", b"words in a held file", draft.encode(), bytes.fromhex(draft)):
        assert secret not in kept
    visitor.send({"what": "a later one without files"})
    running.tip("a later one without files")
    assert "held and never sent" not in [tip["answers"].get("what") for tip in running.delivered()]


def test_a_destroyed_tip_cannot_be_sent(visitor):
    """The button that destroys does so; sending afterwards says that it is gone, and keeps the text."""
    answer = held(visitor, "to be destroyed", [("a.txt", b"x")])
    assert press(visitor, answer, "discard").heading == "We deleted your report. Nothing was sent."
    late = press(visitor, answer, "confirm")
    assert late.status == 410
    assert dict(late.form("/report").fields)["what"] == "to be destroyed"


def test_a_held_tip_sent_twice_is_sent_once(running, visitor):
    """An impatient second press is told that it was already sent."""
    answer = held(visitor, "one of two presses", [("a.txt", b"x")])
    assert (press(visitor, answer, "confirm").status, press(visitor, answer, "confirm").status) == (200, 409)
    running.tip("one of two presses")
    whats = [tip["answers"].get("what") for tip in running.delivered()]
    assert whats.count("one of two presses") == 1


def test_more_time_can_be_had(visitor):
    """The button for 30 minutes more shows the same page again, with the same files, and says that there is time."""
    answer = held(visitor, "not in a hurry", [("a.txt", b"x")])
    again = press(visitor, answer, "extend")
    assert (again.status, again.heading) == (200, "Not sent yet")
    table = re.compile(r'<ul class="files held">.*?</ul>', re.DOTALL)
    assert table.search(again.text)[0] == table.search(answer.text)[0]
    said = [page.words.count("You have 30 minutes from now.") for page in (answer, again)]
    assert said == [0, 1]
    assert press(visitor, again, "confirm").status == 200


def test_a_refused_file_leaves_the_others_and_the_text(running, visitor):
    """A file that cannot be made safe is refused in a sentence about it, and the rest can be sent without it."""
    answer = held(visitor, "one bad, one good", [("bad.jpg", b"\xff\xd8\xff\xe0 cut off"), ("good.txt", b"words")])
    assert "Not added." in answer.words
    assert "Send without the files that we cannot accept" in answer.words or "Try the form" in answer.words
    press(visitor, answer, "confirm")
    assert [file["path"] for file in running.tip("one bad, one good")["files"]] == ["files/2.txt"]


def test_too_much_is_said_before_anything_is_done(visitor):
    """Eleven files, or more than `max_upload` a little or far, are refused, and the text is kept: 4xx."""
    many = held(visitor, "kept", [(f"{n}.txt", b"x") for n in range(11)])
    assert 400 <= many.status < 500
    big = held(visitor, "kept", [("a.bin", b"x" * 13_000_000), ("b.bin", b"x" * 12_500_000)])
    huge = held(visitor, "kept", [("a.bin", b"x" * 30_000_000)])
    assert (big.status, huge.status) == (413, 413)
    assert "smallest files would fit" in big.words
    for answer in (many, big, huge):
        assert dict(answer.form("/report").fields)["what"] == "kept"
        assert answer.document.one("title").text.startswith("Not sent")


def test_made_up_rows_are_not_shown(visitor):
    """The table of files travels signed: what a page claims of them cannot be made up."""
    answer = held(visitor, "signed", [("a.txt", b"x")])
    fields = [(k, v) for k, v in answer.form("/report").fields if k != "shown"]
    forged = visitor.post("/en/report", [*fields, ("shown", "W10.forged"), ("step", "extend")])
    assert "<table" not in forged.text


def test_a_hostile_file_name_is_only_shown(visitor):
    """A name with markup, control characters or a path is text on the page and nothing else."""
    answer = held(visitor, "named", [("../../<b>etc\x07\u202epasswd.txt", b"x")])
    assert answer.status == 200
    assert "<b>etc" not in answer.text


def test_a_receipt_code_outlasts_the_wait(running, visitor):
    """Asked for before the files, the code is shown once the tip is sent, and it is the tip's."""
    answer = held(visitor, "with a code", [("a.txt", b"x")], reply="yes")
    assert 'id="receipt-code"' not in answer.text
    sent = press(visitor, answer, "confirm")
    assert len(sent.document.one("output", id="receipt-code").text.split()) == 8
    assert running.tip("with a code")["reply"]
