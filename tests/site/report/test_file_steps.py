"""What a sender does to the files of a held tip: sees them, covers a part, takes words out; all within the limits."""

import re
import wave
from base64 import b64decode
from io import BytesIO
from math import sin
from time import time
from zipfile import ZipFile

import pytest
from PIL import Image, ImageChops

from app.core.errors import BusyError, FileRefusedError
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.outbox import Outbox
from app.files.clean import CleanedFile
from app.files.turns import FileTurns
from app.site.report import file_steps
from app.site.report.file_steps import grid_rows, require_room
from app.site.report.held import HeldTipStore
from app.site.report.held_files import change_note, held_files, notes_of_files, take_out
from app.site.report.responses import COVER_BYTES, WITH_FILES_BYTES, PageError
from app.text.phrases import Finding
from app.vault.tip import TipFile
from app.vault.tip_bundles import FileEntry
from tests.support.paths import ROOT
from tests.support.visit import open_site

NOTE = "My name is Anna Smith. Call me on 021 555 0199. My name is Anna Smith."


def hidden(page):
    """The hidden fields of a page, by name."""
    return {e.attrs["name"]: e.attrs["value"] for e in page.document.all("input") if e.attrs["type"] == "hidden"}


def photo(size=(640, 480), colour=(200, 30, 30)):
    target = BytesIO()
    Image.new("RGB", size, colour).save(target, "JPEG")
    return target.getvalue()


def hold(site, *files, **answers):
    """The page of a held tip with these files, each a name and its bytes."""
    token = site.get("/en/report").document.one("input", name="csrf_token").attrs["value"]
    remove = {"remove": answers.pop("remove")} if "remove" in answers else {}
    checked = site.post("/en/report", {"csrf_token": token, "what": "typed with care", "step": "check", **answers})
    return site.post_files("/en/report", {**hidden(checked), **remove, "step": "send"}, *files)


def step(site, page, name, **fields):
    return site.post("/en/report", {**hidden(page), "step": name, **fields})


def thumbnails(page):
    """The pictures that a page shows, decoded."""
    found = [b64decode(e.attrs["src"].removeprefix("data:image/jpeg;base64,")) for e in page.document.all("img")]
    return [Image.open(BytesIO(data)) for data in found]


def held_tip(site, page):
    """The tip that a page's draft opens."""
    memory = SqliteMemoryStore(site.prerendered.config.memory.folder)
    store = HeldTipStore(memory, Outbox(site.prerendered.config.outbox_url, memory))
    with store.opened(bytes.fromhex(hidden(page)["draft"]), now=time()) as bundles:
        return bundles.read_tip()[0]


def length(page):
    return len(page.response.get_data())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return open_site(tmp_path_factory.mktemp("held"), ("en",), REPORT_MIN_FILL="0s", LIMITS_PER_ADDRESS="1000/hour")


def test_each_picture_and_page_is_shown_as_it_will_be_sent(site):
    """A thumbnail of at most 160 pixels for each cleaned picture; none for a text or a refused file."""
    page = hold(site, ("a.jpg", photo()), ("n.txt", b"a note"), ("bad.bin", bytes(100)))
    (thumbnail,) = thumbnails(page)
    assert max(thumbnail.size) == 160
    assert thumbnail.convert("RGB").getpixel((80, 60))[0] > 150
    assert [step.attrs["value"] for step in page.document.all("button", name="step") if ":" in step.attrs["value"]] == [
        "blur:1",
        "cover:1",
    ]
    again = step(site, page, "extend")
    assert len(thumbnails(again)) == 1


def test_all_faces_are_blurred_in_what_is_sent(site):
    """The face that is found is gone from the thumbnail and the held file; where none is found, the page says so."""
    portrait = Image.new("RGB", (640, 480), (200, 30, 30))
    portrait.paste(Image.open(ROOT / "tests/corpus/face.jpg"), (250, 100))
    target = BytesIO()
    portrait.save(target, "JPEG")
    page = hold(site, ("a.jpg", target.getvalue()), ("b.jpg", photo()))
    assert "can miss faces" in page.text
    blurred = step(site, page, "blur:1")
    assert "faces (blurred)" in blurred.text
    assert length(blurred) == length(page)
    before, after = (thumbnails(each)[0].convert("L").crop((65, 30, 95, 70)) for each in (page, blurred))
    assert ImageChops.difference(before, after).getextrema()[1] > 30
    tip = held_tip(site, blurred)
    assert tip.files[0].data != target.getvalue()
    none = step(site, blurred, "blur:2")
    assert "No face was found in this picture" in none.text
    assert held_tip(site, none).files == tip.files


def test_the_ticked_boxes_are_black_in_what_is_sent(site):
    """The page to cover has one picture and a grid; what is ticked is black in the thumbnail and in the held file."""
    page = hold(site, ("a.jpg", photo()))
    cover = step(site, page, "cover:1")
    boxes = cover.document.all("input", name="box")
    assert (cover.status, len(boxes)) == (200, 12 * 9)
    assert len({box.attrs["aria-label"] for box in boxes}) == len(boxes)
    assert len(thumbnails(cover)) == 1
    painted = step(site, cover, "paint:1:0", box=["0-0", "8-11", "99-99", "x"])
    (thumbnail,) = thumbnails(painted)
    picture = thumbnail.convert("L")
    assert [picture.getpixel(place) < 40 for place in ((4, 4), (155, 115), (80, 60))] == [True, True, False]
    assert "parts that the sender covered" in painted.text
    kept = Image.open(BytesIO(held_tip(site, painted).files[0].data)).convert("L")
    assert [kept.getpixel(place) < 20 for place in ((10, 10), (630, 470), (320, 240))] == [True, True, False]
    assert step(site, painted, "confirm").status == 200


def test_a_page_of_a_pdf_is_covered_and_no_other(site):
    """Each page of a PDF has its page to cover; a page that is not there is a button that nobody understands."""
    target = BytesIO()
    pages = [Image.new("RGB", (300, 400), "white") for _ in range(2)]
    pages[0].save(target, "PDF", save_all=True, append_images=pages[1:])
    page = hold(site, ("two.pdf", target.getvalue()))
    second = step(site, page, "cover:1:1")
    assert "Page 2 of 2" in second.text
    values = [button.attrs["value"] for button in second.document.all("button", name="step")]
    assert "cover:1:0" in values
    assert "cover:1:2" not in values
    painted = step(site, second, "paint:1:1", box=["0-0"])
    assert painted.status == 200
    assert held_tip(site, painted).files[0].path == "files/1.pdf"
    for name in ("cover:1:2", "cover:2", "cover:0", "cover:", "cover", "cover:1:x", "paint:9:0"):
        assert step(site, painted, name, box=["0-0"], grid="9-12").status == 400


def recording():
    """A second of a low tone, as a phone records it."""
    target = BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(b"".join(int(9000 * sin(at / 12)).to_bytes(2, "little", signed=True) for at in range(16_000)))
    return target.getvalue()


def test_a_voice_is_made_lower_or_a_whisper_before_it_is_sent(site):
    """The buttons stand at sound alone; the changed sound takes the place of the first, and the page is as long."""
    page = hold(site, ("voice.wav", recording()), ("a.jpg", photo()))
    values = [button.attrs["value"] for button in page.document.all("button", name="step")]
    assert {"lower:1", "whisper:1"} <= set(values)
    assert not {"lower:2", "cover:1"} & set(values)
    before = held_tip(site, page).files[0]
    lower = step(site, page, "lower:1")
    whisper = step(site, lower, "whisper:1")
    after = [held_tip(site, whisper).files[0]]
    assert (lower.status, whisper.status, length(lower), length(whisper)) == (200, 200, *[WITH_FILES_BYTES] * 2)
    assert all(file.type == "audio/mp4" and file.path == "files/1.m4a" and file.data != before.data for file in after)
    assert after[0].removed[-1] == "the true sound of the voice (changed by the sender)"
    assert step(site, whisper, "lower:2").status == 400
    assert "files/2.jpg" in [file.path for file in held_tip(site, whisper).files]
    assert step(site, whisper, "confirm").status == 200


def test_a_recorder_stands_beside_the_text(site):
    """The check page has a second field for files, which asks a phone for sound; what comes is cleaned as any file."""
    token = site.get("/en/report").document.one("input", name="csrf_token").attrs["value"]
    page = site.post("/en/report", {"csrf_token": token, "what": "a few words", "step": "check"})
    field = page.document.one("input", id="voice")
    assert [field.attrs[name] for name in ("name", "type", "accept")] == ["files", "file", "audio/*"]
    assert field.attrs["capture"] == "user"


def test_who_comes_while_others_wait_is_told_how_long(site, monkeypatch):
    """Where no file had its turn in time nothing is held: 503 with the words, and in how many minutes to try again."""
    monkeypatch.setattr(FileTurns, "turn", busy_turn)
    page = hold(site, ("a.jpg", photo()))
    assert (page.status, page.headers["Retry-After"]) == (503, "120")
    assert "Try again in about 2 minutes." in page.text
    assert page.document.one("input", name="what").attrs["value"] == "typed with care"
    monkeypatch.setattr(FileTurns, "expected_seconds", lambda _self: 300.0)
    assert hold(site, ("a.jpg", photo())).headers["Retry-After"] in ("480", "960")
    monkeypatch.undo()
    held = hold(site, ("a.jpg", photo()), ("v.wav", recording()))
    monkeypatch.setattr(FileTurns, "turn", busy_turn)
    for name in ("cover:1", "paint:1:0", "lower:2"):
        answer = step(site, held, name, box=["0-0"], grid="9-12")
        assert (answer.status, answer.headers["Retry-After"], length(answer)) == (503, "120", WITH_FILES_BYTES)
        assert len(thumbnails(answer)) == 1


def busy_turn(*_, **__):
    """A turn that never comes."""
    raise BusyError


def test_words_found_in_a_text_file_are_taken_out_by_their_boxes(site):
    """Each finding has one box, however often its words stand there; what is left is searched and shown again."""
    page = hold(site, ("note.txt", NOTE.encode()))
    boxes = [box.attrs["value"] for box in page.document.all("input", name="cut")]
    assert len(boxes) == 2
    assert "Take out “My name is Anna Smith” ×2" in page.text
    cut = step(site, page, "cut", cut=boxes[:1])
    assert held_tip(site, cut).files[0].data == b"[removed]. Call me on 021 555 0199. [removed]."
    assert held_tip(site, cut).files[0].removed == ("words that the sender took out",)
    assert len(cut.document.all("input", name="cut")) == 1
    assert step(site, cut, "cut", cut=["1:7", "1:x", "9:1", "2"]).status in (200, 400)
    assert held_tip(site, cut).files[0].data.count(b"[removed]") == 2


def test_words_that_are_ticked_are_out_of_what_is_sent(site, monkeypatch):
    """Boxes that were ticked count when "Send" is pressed; where the words cannot be taken out nothing is sent."""
    page = hold(site, ("note.txt", NOTE.encode()))
    boxes = [box.attrs["value"] for box in page.document.all("input", name="cut")]

    def refuse(*_):
        raise FileRefusedError("damaged")

    with monkeypatch.context() as patch:
        patch.setattr(file_steps, "take_out", refuse)
        answer = step(site, page, "confirm", cut=boxes)
    assert (answer.status, answer.document.one("h1").text) == (422, "Not sent yet")
    changed = []
    change = HeldTipStore.change_files

    def noted(store, draft, *args, **how):
        change(store, draft, *args, **how)
        changed.append(held_tip(site, answer).files[0].data)

    monkeypatch.setattr(HeldTipStore, "change_files", noted)
    assert step(site, answer, "confirm", cut=boxes).status == 200
    assert changed == [b"[removed]. Call me on [removed]. [removed]."]


def test_the_words_of_the_report_stand_as_they_will_be_sent(site):
    """The page of a held tip shows [removed], and has the words that were taken out nowhere any more."""
    page = hold(site, ("n.txt", b"a note"), what="My name is Anna Smith.", remove="what:0-21")
    assert "[removed]." in page.document.one("dl", class_="answers").text
    assert "Anna" not in page.document.html
    edited = step(site, page, "edit")
    assert edited.document.one("textarea", name="what").text == "[removed]."


def test_a_box_on_the_check_page_has_a_rule_for_its_words(site):
    """Each box and the words that it takes out have classes that the stylesheet joins, so that no script is needed."""
    token = site.get("/en/report").document.one("input", name="csrf_token").attrs["value"]
    page = site.post("/en/report", {"csrf_token": token, "what": NOTE, "step": "check"})
    boxes, marks = page.document.all("input", name="remove"), page.document.all("mark")
    assert [box.attrs["class"] for box in boxes] == ["k0", "k1", "k2"]
    assert [mark.attrs["class"] for mark in marks] == ["t0", "t1", "t2"]
    style = page.document.one("style").text
    assert all(f"dd:has(.k{number}:checked) .t{number}" in style for number in range(40))


@pytest.mark.slow
def test_every_answer_with_files_has_one_length(site):
    """One, ten and refused files, texts, long words, every step on them and every fault of one: 192 KiB, or 256."""
    busy = photo((1200, 900), (1, 2, 3))
    noise = BytesIO()
    Image.effect_noise((900, 900), 90).save(noise, "JPEG")
    pages = [
        hold(site, ("a.jpg", busy)),
        hold(site, *[(f"{'n' * 60}{number}.jpg", noise.getvalue()) for number in range(10)]),
        hold(site, ("a.txt", NOTE.encode() * 2000), ("bad.bin", bytes(9))),
        hold(site, *[("a.jpg", noise.getvalue())] * 10, what='"' * 10_000, where="'" * 1000, people="&" * 1000),
    ]
    assert {page.status for page in pages} == {200}
    assert "no room to show" in pages[-1].text
    for page in tuple(pages[:2]):
        pages += [step(site, page, name) for name in ("look", "extend", "paint:1:0", "cut", "cover:77")]
        pages.append(step(site, page, "look", csrf_token="forged"))
        pages.append(step(site, page, "confirm"))
        pages += [step(site, page, "look"), step(site, page, "discard")]
    token = hidden(site.get("/en/report"))
    pages.append(site.post_files("/en/report", {**token, "step": "send"}, ("a", b"x")))
    assert {length(page) for page in pages} == {WITH_FILES_BYTES} == {192 * 1024}
    covers = [hold(site, ("a.jpg", data)) for data in (busy, noise.getvalue())]
    covers = [step(site, page, "cover:1") for page in covers]
    assert {length(page) for page in covers} == {COVER_BYTES} == {256 * 1024}


def test_the_longest_words_leave_room_for_the_picture_to_cover(site):
    """The longest text, the largest picture and the most boxes still fit the one length."""
    noise = BytesIO()
    Image.effect_noise((400, 4000), 90).save(noise, "JPEG")
    texts = dict.fromkeys(("where", "when", "people", "victims", "how-known"), '"' * 1000)
    cover = step(site, hold(site, ("a.jpg", noise.getvalue()), what='"' * 10_000, **texts), "cover:1")
    assert len(cover.document.all("input", name="box")) == 12 * 48
    assert (cover.status, length(cover)) == (200, COVER_BYTES)


def test_steps_on_files_ask_for_origin_and_token(site):
    """Without a token of ours or from elsewhere no file is opened, and the tip is still held."""
    page = hold(site, ("a.jpg", photo()))
    for name in ("look", "cover:1", "paint:1:0", "cut"):
        assert step(site, page, name, csrf_token="forged").status == 400
        foreign = site.post("/en/report", {**hidden(page), "step": name}, Sec_Fetch_Site="cross-site")
        assert foreign.status == 403
        assert thumbnails(foreign) == []
    assert step(site, page, "confirm").status == 200


def test_steps_on_files_take_of_the_looks_of_a_network(tmp_path):
    """They are counted with the looks before sending, so that nobody keeps the machine busy; the tip is still held."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s", LIMITS_PER_ADDRESS="1/hour", SERVER_WORKERS="1")
    page = hold(site, ("a.jpg", photo()))
    answers = [step(site, page, "look") for _ in range(8)]
    assert {answer.status for answer in answers} == {200, 429}
    assert answers[-1].document.one("h1").text == "Not sent yet"
    assert step(site, page, "confirm").status == 200


def test_a_tip_that_is_gone_has_no_files_to_change(site):
    """After it was sent or destroyed each step says so, and is never an error of ours."""
    sent, destroyed = hold(site, ("a.jpg", photo())), hold(site, ("a.jpg", photo()))
    step(site, sent, "confirm")
    step(site, destroyed, "discard")
    for name in ("look", "cover:1", "paint:1:0", "cut"):
        fields = {"box": ["0-0"], "cut": ["1:0"]}
        assert step(site, sent, name, **fields).status == 409
        assert step(site, destroyed, name, **fields).status == 410


def test_rows_of_a_grid_are_about_square_and_bounded():
    """As many rows as columns for a square, never under 2 nor over 48; what is no JPEG gives a square grid."""
    sizes = {(100, 100): 12, (640, 480): 9, (4000, 100): 2, (100, 4000): 48}
    assert {size: grid_rows(photo(size), 12) for size in sizes} == sizes
    assert grid_rows(b"no JPEG" * 9, 12) == 12
    assert grid_rows(b"", 12) == 12


@pytest.mark.parametrize(
    ("sizes", "words", "chosen"),
    [([100_000_001], "at most 100 MB", "101 MB"), ([60_000_000] * 3, "The 1 smallest file", "180 MB")],
)
def test_the_sentence_says_what_would_fit(sizes, words, chosen):
    """One file too large, three of 60 MB: each sentence names what came and what fits, and what fits is taken."""
    require_room([50, 50], 100)
    with pytest.raises(PageError) as caught:
        require_room(sizes, 100_000_000)
    assert (caught.value.status, words in caught.value.sentence) == (413, True)
    assert f"You chose {chosen}. At most 100 MB fit" in caught.value.sentence


def find(text):
    """Every capital letter A is a finding."""
    return tuple(Finding(match.start(), match.end(), "name") for match in re.finditer("A[a-z]*", text))


def test_findings_beyond_the_room_are_taken_out_by_one_box():
    """Thousands of findings are shown as far as there is room, and the rest goes with one tick."""
    words = ["A" + "".join(chr(97 + int(digit)) for digit in str(number)) for number in range(3000)]
    data = " ".join(words).encode()
    notes = notes_of_files([CleanedFile("files/1.txt", "text/plain", (), data)], find)
    (held,) = held_files([FileEntry("files/1.txt", "text/plain", len(data), ())], notes)
    assert len(held.findings) + held.further == 3000
    assert len(held.findings) > 50
    assert len(notes) < 64_000
    left = take_out(TipFile("files/1.txt", "text/plain", (), data), held, {-1}, find).data.decode().split()
    assert left[: len(held.findings)] == words[: len(held.findings)]
    assert set(left[len(held.findings) :]) == {"[removed]"}
    changed = change_note(notes, "files/1.txt", CleanedFile("files/1.txt", "text/plain", (), b"short"), find)
    assert held_files([FileEntry("files/1.txt", "text/plain", 5, ())], changed)[0].findings == ()


def test_a_text_that_is_too_long_is_searched_in_its_first_part():
    """Beyond 200,000 characters nothing is searched, and the page says so."""
    searched = []
    data = b"x" * 300_000

    def noted(text):
        searched.append(len(text))
        return ()

    notes = notes_of_files([CleanedFile("files/1.txt", "text/plain", (), data)], noted)
    assert searched == [200_000]
    assert held_files([FileEntry("files/1.txt", "text/plain", len(data), ())], notes)[0].partly


def test_a_zip_shows_each_of_its_files_and_counts_the_rest(site):
    """Each file of a ZIP has its row, thumbnail and steps, a chat its findings, and what has no room is counted."""
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("Anna Smith.jpg", photo())
        archive.writestr("_chat.txt", NOTE)
        for number in range(10):
            archive.writestr(f"{number}.jpg", photo(colour=(number, 0, 0)))
    page = hold(site, ("album.zip", packed.getvalue()), ("n.txt", b"a note"))
    rows = [text for e in page.document.all("h3") if "zip" in (text := e.text) or text == "n.txt"]
    assert rows == [*(f"album.zip ({number})" for number in range(1, 11)), "n.txt"]
    assert "Files in this ZIP file that we did not add: 3." in page.text
    assert len(thumbnails(page)) == 8
    assert length(page) == WITH_FILES_BYTES
    boxes = [e.attrs["value"] for e in page.document.all("input", name="cut")]
    assert boxes
    cut = step(site, page, "cut", cut=boxes)
    files = held_tip(site, step(site, cut, "extend")).files
    assert [file.path for file in files] == [f"files/{n}.{'txt' if n in {2, 10} else 'jpg'}" for n in range(1, 11)]
    assert b"Smith" not in b"".join(file.data for file in files)
    assert "Files in this ZIP file that we did not add: 3." in cut.text
