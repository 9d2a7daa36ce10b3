"""What was ticked and chosen comes back on every way between the pages, and no file is left out unseen."""

import time
from io import BytesIO
from unittest.mock import patch

import pytest

from app.core.errors import BusyError
from app.delivery.outbox import Outbox
from app.delivery.receipt_codes import derive_keys, new_code, parse_code
from app.site.report import steps
from app.vault.age_open import unseal
from app.vault.keys import DEMONSTRATION
from app.vault.tip_bundles import read_words
from tests.support.visit import open_site

TEXT = "My name is Rangi Sample. Call me on 021 555 0199. He calls from 021 555 0123."
MINE, PHONE = "Rangi Sample", "021 555 0199"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    limits = {"LIMITS_PER_ADDRESS": "1000/hour", "REPORT_MAX_UPLOAD": "1MB"}
    return open_site(tmp_path_factory.mktemp("site"), ("en", "hi"), REPORT_MIN_FILL="0s", **limits)


def fields(page):
    """What a browser would send of a page's form, without its buttons and files: a list of names and values."""
    found = []
    for field in page.document.elements:
        form = field.within("form")
        if form is None or form.attrs.get("id") != "report" or field.attrs.get("name") in (None, "website"):
            continue
        boxed = field.attrs.get("type") in ("checkbox", "radio")
        if field.tag == "textarea":
            found.append((field.attrs["name"], field.text))
        elif field.tag == "input" and field.attrs.get("type") != "file" and (not boxed or "checked" in field.attrs):
            found.append((field.attrs["name"], field.attrs.get("value", "on")))
    return found


def press(site, page, step, *more, lang="en", path="report", **changed):
    """The page after a button was pressed; `changed` are texts that were edited before."""
    data = {}
    for name, value in [*((n, v) for n, v in fields(page) if n not in changed), *changed.items(), *more]:
        data.setdefault(name, []).append(value)
    return site.post(f"/{lang}/{path}", {**data, "step": step})


def look(site, what=TEXT):
    return press(site, site.get("/en/report"), "check", what=what)


def boxes(page):
    """The boxes of the words to take out: the words of each, and whether its box is ticked."""
    found = {}
    for box in page.document.all("input", name="remove"):
        words = box.within("label").text.partition("Take out “")[2].partition("”")[0]
        found[words] = "checked" in box.attrs
    return found


def tick(page, *words):
    """The boxes of these words, as a browser sends them."""
    values = [box.attrs["value"] for box in page.document.all("input", name="remove")]
    named = dict(zip(boxes(page), values, strict=True))
    return [("remove", named[next(each for each in named if word in each)]) for word in words]


def test_going_back_keeps_every_tick(site):
    """What was ticked is ticked again after the text was changed before and behind it, and is not in the tip."""
    looked = look(site)
    assert len(boxes(looked)) >= 2
    back = press(site, looked, "edit", *tick(looked, MINE, PHONE))
    assert back.document.one("textarea", name="what").text == TEXT
    again = press(site, back, "check", what=f"Kia ora! {TEXT} More words.", where="Otara")
    ticked = [words for words, on in boxes(again).items() if on]
    assert len(ticked) == 2
    assert any(MINE in each for each in ticked)
    assert any(PHONE in each for each in ticked)
    with patch.object(Outbox, "put") as put:
        assert press(site, again, "send").status == 200
    said = read_words(unseal(put.call_args.args[0][0].data, [DEMONSTRATION])).tip.answers["what"]
    assert MINE not in said
    assert PHONE not in said
    assert "021 555 0123" in said


def test_ticks_survive_a_change_of_language_and_an_error(site):
    """The form in another language, and one with a fault in it, keep the ticks for the look that follows."""
    looked = look(site)
    back = press(site, looked, "edit", *tick(looked, PHONE))
    hindi = press(site, back, "edit", lang="hi")
    wrong = press(site, hindi, "check", where="x" * 1001)
    assert wrong.status == 422
    again = press(site, wrong, "check", where="Otara")
    assert [words for words, on in boxes(again).items() if on] == [words for words in boxes(again) if PHONE in words]


def test_words_that_the_finder_no_longer_finds_stay_ticked(site):
    """A tick comes back where the words that gave them away were deleted, and no other words are ticked."""
    looked = look(site, "My name is Rangi Sample.")
    (found,) = boxes(looked)
    words = found.removeprefix("My name is ")
    back = press(site, looked, "edit", ("remove", f"what:{looked_at(looked, words)}"))
    again = press(site, back, "check", what=f"Yesterday {words} and Rangitoto Sampleton went out.")
    assert {each for each, on in boxes(again).items() if on} == {words}


def looked_at(page, words):
    start = dict(fields(page))["what"].index(words)
    return f"{start}-{start + len(words)}"


def test_a_busy_site_loses_no_file_unseen(site):
    """After "busy" Send without files is refused at the field of the files; with the tick or new files it is taken."""
    looked = look(site)
    with patch.object(steps, "submit", side_effect=BusyError):
        busy = press(site, looked, "send", *tick(looked, PHONE), ("files", (BytesIO(b"a note"), "a.txt")))
    assert busy.status == 503
    assert [words for words, on in boxes(busy).items() if on] == [words for words in boxes(busy) if PHONE in words]
    with patch.object(Outbox, "put") as put:
        refused = press(site, busy, "send")
        assert (refused.status, put.called) == (422, False)
        assert "Choose your files again" in refused.document.one("p", id="files-error").text
        summary = refused.document.one("div", id="errors")
        assert [a.attrs["href"] for a in refused.document.all("a") if a.within("div") is summary] == ["#files"]
        assert press(site, refused, "send", ("without-files", "yes")).status == 200
        assert put.called
    held = press(site, look(site), "send", ("chosen", "yes"), ("files", (BytesIO(b"a note"), "a.txt")))
    assert held.document.one("h1").text == "Not sent yet"


@pytest.mark.parametrize("size", [1_000_001, 3_000_000])
def test_files_that_are_too_big_are_told_at_their_field(site, size):
    """Refused after or before it was read, a file that is too big brings the look again, with every tick.

    A browser sends the button after the files, so that nobody knows the button of a body that was not read.
    """
    looked = look(site)
    sent = dict([*fields(looked), *tick(looked, PHONE), *([("step", "send")] if size < 2_000_000 else [])])
    answer = site.post_files("/en/report", sent, ("a.mp4", bytes(size)))
    assert answer.status == 413
    assert f"You chose {max(2, size // 1_000_000)} MB. At most 1 MB fit in one report." in answer.text
    assert dict(fields(answer))["what"] == TEXT
    assert [words for words, on in boxes(answer).items() if on] == [words for words in boxes(answer) if PHONE in words]
    assert "Choose your files again" in answer.document.one("p", id="files-error").text
    with patch.object(Outbox, "put") as put:
        assert press(site, answer, "send").status == 422
    assert not put.called


def test_how_much_fits_is_told_before_anything_is_sent(site):
    """The look says at the field of the files how many megabytes fit, how long a video that is, and what to do."""
    looked = look(site)
    hint = looked.document.one("p", id="size-hint").text
    assert hint.startswith("1 MB are about 1 seconds of video from a phone, or 1 minutes of sound.")
    assert "size-hint" in looked.document.one("input", id="files").attrs["aria-describedby"].split()
    assert "send a long recording in parts" in hint


def test_more_can_be_sent_under_a_code(site):
    """A button of the sent page opens the answer under the code, which goes with a file through the same steps."""
    sent = press(site, press(site, site.get("/en/report"), "check", what="Part one.", reply="yes"), "send")
    code = sent.document.one("output", id="receipt-code").text
    button = sent.document.one("button", value="read")
    assert (button.text, button.within("form").attrs["action"]) == ("Send more under this code", "/en/reply")
    values = [e for e in sent.document.all("input") if e.within("form") is button.within("form")]
    opened = site.post("/en/reply", {**{e.attrs["name"]: e.attrs["value"] for e in values}, "step": "read"})
    assert opened.status == 200
    (area,) = opened.document.all("textarea", name="what")
    fields_of_answer = {
        e.attrs["name"]: e.attrs["value"]
        for e in opened.document.all("input")
        if e.within("form") is area.within("form") and e.attrs["type"] == "hidden"
    }
    assert fields_of_answer["code"] == code
    looked = site.post("/en/reply", {**fields_of_answer, "what": "Part two.", "step": "answer"})
    held = press(site, looked, "send", ("files", (BytesIO(b"a note"), "a.txt")), path="reply")
    with patch.object(Outbox, "put") as put:
        answered = press(site, held, "confirm", path="reply")
    tip = read_words(unseal(put.call_args.args[0][0].data, [DEMONSTRATION])).tip
    assert tip.answers_to == derive_keys(parse_code(code)).locator
    assert answered.document.one("button", value="read").text == "Send more under this code"


def test_files_of_a_held_report_are_asked_for_again(site):
    """From the page of a held report back to the form: the words stay out, and Send asks for the files."""
    looked = look(site)
    held = press(site, looked, "send", *tick(looked, PHONE), ("files", (BytesIO(b"a note"), "a.txt")))
    assert "you must choose your files again" in held.text
    back = press(site, held, "edit")
    assert PHONE not in back.text
    again = press(site, back, "check")
    assert "Choose your files again" in again.document.one("p", id="files-error").text
    assert press(site, again, "send").status == 422


def test_an_answer_keeps_its_ticks_and_its_files(site):
    """The steps of an answer under a code keep what was chosen, as those of a report do."""
    code, text = new_code(), f"Hello. {TEXT}"
    token = site.get("/en/reply").document.one("input", name="csrf_token").attrs["value"]
    looked = site.post("/en/reply", {"csrf_token": token, "step": "answer", "code": code, "what": text})
    back = press(site, looked, "edit", *tick(looked, PHONE), ("files", (BytesIO(b"x"), "a.txt")), path="reply")
    again = press(site, back, "answer", path="reply", what=f"{text} More.")
    assert [words for words, on in boxes(again).items() if on] == [words for words in boxes(again) if PHONE in words]
    assert press(site, again, "send", path="reply").status == 422


def test_each_page_with_something_typed_warns_of_the_phones_own_back(site):
    """Form, look and held page say above their buttons that the phone's Back can delete what was typed."""
    form = site.get("/en/report")
    looked = press(site, form, "check", what="They keep our wages.")
    held = press(site, looked, "send", ("files", (BytesIO(b"a note"), "a.txt")))
    for page in (form, looked, held):
        assert "Do not use your phone’s Back button" in page.text


def test_what_was_typed_and_ticked_outlives_every_clock(tmp_path):
    """After 12 hours, or after the time of a held report, the words are there, and Send asks for the files again."""
    now = [time.time()]
    site = open_site(tmp_path, ("en",), clock=lambda: now[0], REPORT_MIN_FILL="0s")
    looked = look(site)
    held = press(site, looked, "send", *tick(looked, MINE), ("files", (BytesIO(b"a note"), "a.txt")))
    now[0] += 3 * 3600
    gone = press(site, held, "confirm")
    assert (gone.status, PHONE in dict(fields(gone))["what"]) == (410, True)
    assert "Choose your files again" in gone.document.one("p", id="files-error").text
    with patch.object(Outbox, "put") as put:
        assert press(site, gone, "send").status == 422
    assert not put.called
    now[0] += 12 * 3600
    old = press(site, looked, "send", *tick(looked, PHONE))
    assert (old.status, old.document.one("textarea", name="what").text) == (400, TEXT)
    again = press(site, old, "check")
    assert [words for words, on in boxes(again).items() if on] == [words for words in boxes(again) if PHONE in words]
