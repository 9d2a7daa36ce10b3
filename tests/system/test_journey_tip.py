"""The way of one tip through the running programs, as the people on it would walk it."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request

import pytest

from tests.support.paths import BIN, ROOT
from tests.support.site import Visitor, demonstration

TIP = {
    "what": "Three people sleep in the kitchen of the takeaway.\nTheir passports are in a safe.",
    "kinds": ["work", "documents"],
    "where": "Example Street, Timaru",
    "when": "since March",
    "people": "The owner, a man of about fifty",
    "victims": "three people, one very young",
    "how-known": "I deliver there",
    "danger": "no",
    "children": "unsure",
}


def test_a_tip_arrives_as_it_was_written(running, visitor):
    """What a person writes is what the agency reads, field by field, and nothing else."""
    sent = visitor.send(TIP)
    assert sent.status == 200
    assert sent.heading == "This was a demonstration. Nothing was sent to anyone."
    tip = running.tip(TIP["what"])
    assert tip["answers"] == TIP
    assert set(tip) == {"format", "id", "received", "answers", "files", "parts", "replies", "reply", "answers_to"}
    assert (tip["format"], tip["files"], tip["reply"], tip["answers_to"]) == ("haumaru-tip/2", [], None, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", tip["received"])


def test_every_tip_without_files_is_equally_long(running, visitor):
    """An envelope's length does not say how much was written, nor in which script, nor whether it is a decoy."""
    visitor.send({"what": "x"})
    long = "न" * 9_000
    visitor.send({"what": long, "where": "界" * 900})
    running.tip("x")
    running.tip(long)
    with_files = {tip["id"] for tip in running.delivered() if tip["files"]}
    assert len({path.stat().st_size for path in running.inbox.glob("*.age") if path.stem not in with_files}) == 1


def test_what_the_sender_ticks_is_taken_out(running, visitor):
    """A ticked finding is replaced before sealing; one left unticked stays, for it may be evidence."""
    checked = visitor.check({"what": "My name is Rangi Sample. He calls from 021 555 0199."})
    boxes = [e.attrs["value"] for e in checked.document.all("input", name="remove")]
    assert len(boxes) == 2
    assert "checked" not in checked.document.all("input", name="remove")[0].attrs
    visitor.post("/en/report", [*checked.form("/report").fields, ("remove", boxes[0]), ("step", "send")])
    assert running.tip("[removed]. He calls from 021 555 0199.")


def test_a_form_sent_twice_sends_one_tip(running, visitor):
    """The second press of the button says that it was already sent, and sends nothing."""
    checked = visitor.check({"what": "Sent twice by an impatient thumb"})
    fields = [*checked.form("/report").fields, ("step", "send")]
    first, second = visitor.post("/en/report", fields), visitor.post("/en/report", fields)
    assert (first.status, second.status) == (200, 409)
    assert "Your report was not sent again." in second.text
    visitor.send({"what": "A later one, so that a second one would have left"})
    for what in ("Sent twice by an impatient thumb", "A later one, so that a second one would have left"):
        running.tip(what)  # what waits leaves in no order
    whats = [tip["answers"].get("what") for tip in running.delivered()]
    assert whats.count("Sent twice by an impatient thumb") == 1


def test_danger_now_puts_the_telephone_first(visitor):
    """Who says that someone is in danger is told to call 111 before anything else."""
    checked = visitor.check({"what": "He has a knife", "danger": "yes"})
    first_link = next(a for a in checked.document.all("a") if a.within("main"))
    assert first_link.attrs["href"] == "tel:111"


def test_each_page_of_the_report_says_first_that_it_is_no_emergency_service(visitor):
    """The form, the look before sending and the page after it begin with the same warning."""
    form = visitor.get("/en/report")
    checked = visitor.check({"what": "x"})
    sent = visitor.post("/en/report", [*checked.form("/report").fields, ("step", "send")])
    for answer in (form, checked, sent):
        main = answer.document.one("main").text
        assert main.startswith("This is not an emergency service. Nobody reads your report straight away.")
        assert not re.search(r"help is (coming|on its way)|untraceable|100 ?%", answer.words)


def test_changing_the_language_keeps_what_was_typed(running, visitor):
    """The language buttons on the form send the text along, and it is there in the other language."""
    form = visitor.get("/en/report").form("/report")
    fields = [*form.fields, ("what", "Kept over languages"), ("step", "edit")]
    again = visitor.post("/en/report", [pair for pair in fields if pair != ("what", "")])
    assert again.status == 200
    assert dict(again.form("/report").fields)["what"] == "Kept over languages"


def test_a_receipt_code_is_shown_only_when_asked_for_and_can_be_compared(visitor):
    """The code is on the sent page alone, and typing it back compares it without keeping it."""
    assert 'id="receipt-code"' not in visitor.send({"what": "no code"}).text
    sent = visitor.send({"what": "with a code", "reply": "yes"})
    code = sent.document.one("output", id="receipt-code").text
    assert len(code.split()) == 8
    typed = code.upper().replace(" ", "-")
    right = visitor.post("/en/report", {"code": code, "typed": typed, "step": "kept"})
    wrong = visitor.post("/en/report", {"code": code, "typed": "zoo " * 8, "step": "kept"})
    assert (right.heading, wrong.heading) == ("The code you typed is right", "The code you typed is not the same")
    made_up = visitor.post("/en/report", {"code": "", "typed": "", "step": "kept"})
    assert "sent" not in made_up.heading.lower()


def test_the_agency_opens_what_it_received_with_its_own_command(running, visitor, tmp_path):
    """`open -o` unpacks each tip into a folder of its own, files apart, and a bad envelope stops nothing."""
    visitor.send({"what": "to be unpacked"})
    running.tip("to be unpacked")
    bad = tmp_path / ("0" * 26 + ".age")
    bad.write_bytes(b"age-encryption.org/v1\nnot really")
    renamed = tmp_path / ("1" * 26 + ".age")
    good = sorted(running.inbox.glob("*.age"))
    renamed.write_bytes(good[0].read_bytes())
    identity = running.folder / "instance" / "demo" / "identity.txt"
    command = [BIN / "haumaru-desk", "open", bad, renamed, *good, "-i", identity, "-o", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [line.split(" ")[1] for line in done.stderr.splitlines()] == [bad.name, renamed.name]
    opened = [json.loads((folder / "tip.json").read_text()) for folder in (tmp_path / "out").iterdir()]
    assert "to be unpacked" in [tip["answers"].get("what") for tip in opened]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "out").rglob("*"))


def test_a_new_identity_opens_what_is_sealed_to_it(tmp_path, monkeypatch):
    """`keygen` prints the recipient alone; the file is private, under its passphrase, and not written over."""
    monkeypatch.setenv("HAUMARU_PASSPHRASE", "a long enough passphrase")
    path = tmp_path / "identity.age"
    done = subprocess.run([BIN / "haumaru-desk", "keygen", "-o", path], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"age1pq1[a-z0-9]+\n", done.stdout)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b"age-encryption.org/v1\n-> scrypt ")
    again = subprocess.run([BIN / "haumaru-desk", "keygen", "-o", path], capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert re.fullmatch(r"haumaru-desk: .+; .+\n", again.stderr)


@pytest.mark.slow
def test_the_public_side_runs_without_what_opens_tips(tmp_path):
    """The public image's file set, with neither the desk nor `age_open`, takes a tip and delivers it."""
    copy = tmp_path / "image"
    copy.mkdir()
    for folder in ("app", "content", "translations"):
        shutil.copytree(
            ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("desk", "age_open.py", "__pycache__")
        )
    assert not [*copy.rglob("age_open*"), *copy.rglob("desk")]
    program = tmp_path / "haumaru"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(copy)!r})\nfrom app.site.cli import main\nmain()\n"
    )
    program.chmod(0o755)
    with demonstration(tmp_path, program=program, PYTHONPATH=str(copy)) as image:
        assert Visitor(image.base_url).send({"what": "from the public image"}).status == 200
        assert image.tip("from the public image")
        with urllib.request.urlopen(f"{image.base_url}/healthz") as answer:
            assert answer.read() == b"ok\n"
