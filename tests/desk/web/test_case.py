"""The pages of one case: its files made safe, its exports, and a case that is locked or opened again."""

import csv
import hashlib
import io
import json
import re
import wave
import zipfile

from PIL import Image

from app.vault.tip import TipFile
from app.vault.tip_bundles import to_bundles
from tests.support.desk import big_file, jpeg, picture, receive, tip


def test_a_locked_tip_is_shown_nowhere(browser, desk, one):
    """Objectionable: no screen, file, print or export shows it again, and each try is journaled."""
    browser.get(f"/tips/{one}")
    assert browser.post(f"/tips/{one}/objectionable").location.endswith("#objectionable"), "one press is not enough"
    assert desk.cases.get(one).open
    browser.post(f"/tips/{one}/objectionable", sure="yes")
    page = browser.get(f"/tips/{one}").text
    assert "Police" in page
    assert "packhouse" not in page
    for path in ("files/1", "print", "redact", "refer", "reply", "boxes/1", "burnt/1"):
        answer = browser.get(f"/tips/{one}/{path}")
        assert answer.status_code == 409, path
        assert "packhouse" not in answer.text
    assert browser.post(f"/tips/{one}/export", **{"as": "json"}).status_code == 409
    assert browser.post(f"/tips/{one}/translator", translator="translator").status_code == 409
    done = [entry.did for entry in desk.journal.entries if entry.tip == one]
    assert done.count("opened") == 2
    assert done.count("refused") >= 3
    assert "packhouse" not in browser.get("/?view=objectionable").text


def test_danger_has_a_button_that_writes_down_the_call(browser, desk, office):
    """Given danger, one press writes the note "Called 111", the journal has the note, and the line says who called."""
    calm, danger = office.drop(tip({"what": "A calm one"})), office.drop(tip({"what": "A man", "danger": "yes"}))
    receive(desk)
    assert "111" not in browser.get(f"/tips/{calm}").text
    page = browser.get(f"/tips/{danger}").text
    line = re.search(r'<form class="alarm row".*?</form>', page, re.DOTALL)[0]
    assert "Call 111 now, then write down that you called." in line
    assert desk.cases.get(danger).notes == ()
    browser.post(f"/tips/{danger}/note", text=re.search(r'name="text" value="([^"]+)"', line)[1])
    assert [(note.who, note.text) for note in desk.cases.get(danger).notes] == [("Ana", "Called 111")]
    assert [entry.did for entry in desk.journal.entries if entry.tip == danger].count("noted") == 1
    assert "Ana called on" in browser.get(f"/tips/{danger}").text


def test_an_export_says_which_parts_of_the_files_are_missing(browser, desk, office):
    """While parts of its files are on their way, the JSON of a tip names them; when all are there it names none."""
    sent = tip(files=(big_file(parts=3),))
    words, *parts = to_bundles(sent)
    office.drop_bundle(words)
    office.drop_bundle(parts[1])
    receive(desk)
    export = json.loads(browser.post(f"/tips/{sent.id}/export", **{"as": "json"}).data)
    assert export["parts"] == {"count": 3, "missing": [1, 3]}
    office.drop_bundle(parts[0])
    office.drop_bundle(parts[2])
    receive(desk)
    export = json.loads(browser.post(f"/tips/{sent.id}/export", **{"as": "json"}).data)
    assert export["parts"] == {"count": 3, "missing": []}


def test_a_tip_is_exported_with_hashes(browser, desk, one):
    """JSON, and a zip whose manifest holds the SHA-256 of each member; journaled, and to be saved, not shown."""
    answer = browser.post(f"/tips/{one}/export", **{"as": "zip"})
    assert "attachment" in answer.headers["Content-Disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    hashes = json.loads(archive.read("manifest.json"))["sha256"]
    assert set(hashes) == set(archive.namelist()) - {"manifest.json"} == {"tip.json", "files/1.jpg"}
    assert all(hashlib.sha256(archive.read(name)).hexdigest() == known for name, known in hashes.items())
    assert json.loads(browser.post(f"/tips/{one}/export", **{"as": "json"}).data)["answers"]["where"] == "Katikati"
    assert [entry.did for entry in desk.journal.entries].count("exported") == 2
    assert "Katikati" in browser.get(f"/tips/{one}/print").text


def test_rogue_files_are_cleaned_or_refused(browser, desk, office):
    """A script in a picture's clothes, a tail, zeros: shown clean or not at all, whatever the bundle calls it."""
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    with_trailer = picture() + b"<script>alert(1)</script>"
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    files = (jpeg(1, svg), jpeg(2, with_trailer), jpeg(3, b"\x00" * 5000), jpeg(4, bomb.getvalue()))
    tip_id = office.drop(tip(files=files))
    receive(desk)
    page = browser.get(f"/tips/{tip_id}").text
    assert page.count("does not show this file") >= 2
    assert "larger than 200 megapixels" in page
    shown = browser.get(f"/tips/{tip_id}/files/2")
    assert shown.mimetype == "image/jpeg"
    assert b"script" not in shown.data
    for number in (1, 3, 4, 5, 0):
        answer = browser.get(f"/tips/{tip_id}/files/{number}")
        assert answer.status_code == 404
        assert "svg" not in answer.mimetype


def test_a_pdf_is_shown_as_pages_and_sound_is_muted(browser, desk, office):
    """A PDF never reaches the browser as one, only pictures of its pages; a recording plays only when asked, muted."""
    pdf, wav = io.BytesIO(), io.BytesIO()
    pages = [Image.new("RGB", (300, 400), colour) for colour in ("red", "green")]
    pages[0].save(pdf, "PDF", save_all=True, append_images=pages[1:])
    with wave.open(wav, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(8000))
    files = (
        TipFile("files/1.pdf", "application/pdf", (), pdf.getvalue()),
        TipFile("files/2.wav", "audio/wav", (), wav.getvalue()),
    )
    tip_id = office.drop(tip(files=files))
    receive(desk)
    page = browser.get(f"/tips/{tip_id}").text
    assert page.count(f"/tips/{tip_id}/files/1/") == 2
    assert browser.get(f"/tips/{tip_id}/files/1").status_code == 404
    assert browser.get(f"/tips/{tip_id}/files/1/2").mimetype.startswith("image/")
    assert browser.get(f"/tips/{tip_id}/files/1/3").status_code == 404
    assert re.search(r"<audio controls muted preload=.none", page)
    assert browser.get(f"/tips/{tip_id}/files/2").mimetype.startswith("audio/")
    browser.post(f"/tips/{tip_id}/claim")
    browser.post(f"/tips/{tip_id}/boxes/1", boxes="2 0 0 100 100")
    burnt = browser.get(f"/tips/{tip_id}/burnt/1/2")
    assert Image.open(io.BytesIO(burnt.data)).convert("L").getextrema()[1] < 8
    assert Image.open(io.BytesIO(browser.get(f"/tips/{tip_id}/burnt/1/1").data)).convert("L").getextrema()[1] > 8


def test_a_closed_tip_is_opened_again(browser, desk, one):
    """Close, which leads on, then open again: it is the handler's; the outcome can be noted on its own."""
    browser.post(f"/tips/{one}/close", reason="other")
    assert "Not about exploitation" in browser.get(f"/tips/{one}").text
    assert browser.post(f"/tips/{one}/redact").status_code == 409
    browser.post(f"/tips/{one}/reopen")
    assert desk.cases.get(one).holder == "Ana"
    browser.post(f"/tips/{one}/outcome", outcome="victim-safe")
    assert desk.cases.get(one).outcome == "victim-safe"
    browser.post(f"/tips/{one}/release")
    assert desk.cases.get(one).holder == ""


def test_a_handler_saves_a_tip_in_the_fields_of_the_standard(browser, desk, one):
    """The button of a tip's page gives a CSV with one line, and the journal has it."""
    assert "Save as HTCDS" in browser.get(f"/tips/{one}").text
    answer = browser.post(f"/tips/{one}/export", **{"as": "standard"})
    assert answer.mimetype == "text/csv"
    (line,) = csv.DictReader(io.StringIO(answer.text))
    assert (line["id"], line["cas_Status"]) == (one, "Active")
    assert "exported" in [entry.did for entry in desk.journal.entries]
