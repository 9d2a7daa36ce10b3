"""The page of own words: what is typed is watched, saved, looked at by a second person, and sent."""

import json
import re

import pytest

from app.desk.case_fields import State
from tests.support.desk import Browser, Office, receive, reply_to, tip

SENT = "My mate Mele Fifita reckons seven blokes kip in the packhouse by the river. Ring 021 555 0199."
MARKS = ["what:8-19", f"what:{SENT.index('021')}-{SENT.index('021') + 12}"]


@pytest.fixture
def two_people(tmp_path):
    """An open desk with two-person release, the browsers of Ana and Ben, and a tip that Ana claimed and redacted."""
    office = Office(tmp_path, release=2)
    one = office.drop(tip({"what": SENT, "where": "Huntly"}, reply=reply_to()))
    with office.desk() as desk:
        receive(desk)
        ana, ben = Browser(desk, "Ana"), Browser(desk, "Ben")
        ana.post(f"/tips/{one}/claim")
        fields = {"m": MARKS, "keep": ["what", "where"], "summary": "Men are held.", "authority": ["police"]}
        answer = ana.post(f"/tips/{one}/redact", go="reword", **fields)
        assert answer.location == ana.path(f"/tips/{one}/reword")
        yield office, desk, ana, ben, one


def _form(page):
    """The fields of the form on the page, as a browser would send them without a script."""
    fields = dict(re.findall(r'<input type="hidden" name="((?:seen|name-\d))" value="([^"]*)"', page))
    fields |= dict(re.findall(r'name="(way-\d)" value="(\w+)" checked', page))
    texts = re.findall(r'<textarea[^>]*name="(text-\d)"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    return {**fields, **dict(texts), "stand": re.findall(r'name="stand" value="(\w+)" checked', page)}


def _save(browser, one, **changed):
    form = _form(browser.get(f"/tips/{one}/reword").text)
    return browser.post(f"/tips/{one}/reword", **{**form, **changed})


def test_an_editor_starts_from_the_redacted_text(two_people):
    """Each text has three ways and a field that holds what is left of it; the page says what a way of writing shows."""
    _, _, ana, _, one = two_people
    page = ana.get(f"/tips/{one}/reword").text
    form = _form(page)
    assert form["text-1"] == "My mate [removed] reckons seven blokes kip in the packhouse by the river. Ring [removed]."
    assert (form["way-1"], form["way-2"], form["text-2"]) == ("black", "black", "Huntly")
    assert "A way of writing can show who wrote a text" in page
    assert "cannot say that a text is safe" in page
    assert "A translator gets the redacted original" in page


def test_own_words_are_saved_looked_at_by_a_second_person_and_sent(two_people):
    """A second person sees the original, its black marks and the new words, and releases exactly these words."""
    _, desk, ana, ben, one = two_people
    own = "Several men sleep at a work place."
    assert _save(ana, one, **{"way-1": "own", "text-1": own, "way-2": "out"}, go="look").location.endswith("/refer")
    version = desk.cases.get(one).version
    ana.post(f"/tips/{one}/refer", version=version)
    assert desk.cases.get(one).state is State.WAITING
    before, _, after = ben.get(f"/tips/{one}/refer").text.partition('id="after"')
    assert "<del>Mele Fifita</del>" in before
    assert "goes in our own words" in before
    assert "seven blokes kip" in before
    assert own in after
    assert "in the desk’s words" in after
    assert "blokes" not in after
    assert "Huntly" not in after
    ben.post(f"/tips/{one}/refer", version=desk.cases.get(one).version, confirmed=["police"])
    (sent,) = desk.cases.get(one).referrals
    assert own in sent.text
    assert '"reworded":["what"]' in sent.text
    assert "In the desk’s words: What is happening" in ana.get(f"/tips/{one}/print").text
    assert [entry.did for entry in desk.journal.entries if entry.did in {"reworded", "let-stand"}] == ["reworded"]


def test_a_place_stops_sending_until_somebody_lets_it_stand_and_the_journal_has_it(two_people):
    """A taken-out word in own words stops the way on; ticked, it goes, is shown, and is journaled without words."""
    _, desk, ana, _, one = two_people
    fields = {"way-1": "own", "text-1": "Ask М\u0435l\u0435 about it."}
    assert _save(ana, one, **fields, go="look").location.endswith("/reword")
    page = ana.get(f"/tips/{one}/reword").text
    assert "1 place stops the referral" in page
    assert ana.get(f"/tips/{one}/refer").location.endswith("/reword")
    version = desk.cases.get(one).version
    assert ana.post(f"/tips/{one}/refer", version=version).status_code == 409
    mark = re.search(r'name="stand" value="(\w+)">', page)[1]
    assert _save(ana, one, stand=[mark], go="look").location.endswith("/refer")
    assert "<bdi>Mele</bdi>" in ana.get(f"/tips/{one}/refer").text
    entry = next(entry for entry in desk.journal.entries if entry.did == "let-stand")
    assert (entry.who, entry.what) == ("Ana", "what 1")
    _save(ana, one, **{"text-1": "Go and ask Mele about it today."})
    assert ana.get(f"/tips/{one}/refer").location.endswith("/reword")


def test_a_text_is_watched_while_it_is_typed(two_people):
    """The answer to a typed text marks what was taken out and what may name the sender, and keeps nothing."""
    _, desk, ana, ben, one = two_people
    version = desk.cases.get(one).version
    typed = "My sister knows Mele. " + "Men work here and nobody pays. " * 300 + "Call 0215550199."
    part = ana.post(f"/tips/{one}/reword/watch", name="what", text=typed).text
    assert "2 places stop the referral" in part
    assert "My sister</bdi> (relationship)" in part
    assert re.findall(r'<mark class="stops">([^<]*)</mark>', part)[:2] == ["Mele", "0215550199"]
    assert desk.cases.get(one).version == version
    assert ana.post(f"/tips/{one}/reword/watch", name="files/1.txt", text="x").status_code == 404
    assert ben.post(f"/tips/{one}/reword/watch", name="what", text="x").status_code == 409
    assert ana.post(f"/tips/{one}/reword/watch", name="what", text="x" * 20_001).status_code == 409


def test_what_was_typed_while_another_window_saved_is_shown_again(two_people):
    """Of two windows, the second saves nothing over the first: it keeps what was typed, and says why."""
    _, desk, ana, _, one = two_people
    form = _form(ana.get(f"/tips/{one}/reword").text)
    ana.post(f"/tips/{one}/reword", **form | {"way-1": "own", "text-1": "One."})
    second = ana.post(f"/tips/{one}/reword", **form | {"way-1": "own", "text-1": "Two."})
    assert second.status_code == 409
    assert "Nothing was saved" in second.text
    assert _form(second.text)["text-1"] == "Two."
    assert desk.cases.get(one).draft.rewordings["what"].text == "One."
    ana.post(f"/tips/{one}/reword", **_form(second.text))
    assert desk.cases.get(one).draft.rewordings["what"].text == "Two."


def test_what_changed_after_own_words_were_saved_is_said(two_people):
    """A new answer and a new translation are named on both pages until somebody saves the own words again."""
    office, desk, ana, _, one = two_people
    _save(ana, one, **{"way-1": "own", "text-1": "Several men sleep at a work place."})
    assert "this has changed" not in ana.get(f"/tips/{one}/reword").text
    office.drop(tip({"what": "Ring me on 027 555 0123."}, answers_to=reply_to().locator, reply=reply_to()))
    receive(desk)
    ana.post(f"/tips/{one}/translation", text="Men are here.")
    assert ana.get(f"/tips/{one}/refer").location.endswith("/redact"), "the translation is to be redacted first"
    page = ana.get(f"/tips/{one}/redact").text
    seen, names = re.search(r'name="seen" value="(\w+)"', page)[1], re.findall(r'name="shown" value="([^"]+)"', page)
    marks = re.findall(r'name="m" value="([^"]+)" checked', page)
    fields = {"m": marks, "keep": ["what", "translation"], "seen": seen, "shown": names, "summary": "Men are held."}
    ana.post(f"/tips/{one}/redact", authority=["police"], **fields)
    for path in ("reword", "refer"):
        page = ana.get(f"/tips/{one}/{path}").text
        assert re.search(r"this has changed:</strong> Translation, What the sender wrote later", page)
        assert "027 555 0123" not in page.partition('id="after"')[2]
    page = ana.get(f"/tips/{one}/reword").text
    assert _form(page)["way-4"] == "out"
    assert "Ring me on [removed]." in page
    _save(ana, one)
    assert "this has changed" not in ana.get(f"/tips/{one}/refer").text


def test_a_message_that_comes_in_while_somebody_redacts_is_black_when_it_is_first_shown(two_people):
    """A form that was made before the message came does not make its suggestions known: they are black afterwards."""
    office, desk, ana, _, one = two_people
    office.drop(tip({"what": "Ring me on 027 555 0123."}, answers_to=reply_to().locator, reply=reply_to()))
    receive(desk)
    ana.post(f"/tips/{one}/redact", m=MARKS, keep=["what"], summary="x", authority=["police"])
    (name,) = re.findall(r'name="shown" value="(later-\w+)"', page := ana.get(f"/tips/{one}/redact").text)
    marks = re.findall(r'name="m" value="([^"]+)" checked', page)
    assert any(mark.startswith(name) for mark in marks)
    ana.post(f"/tips/{one}/redact", m=marks, keep=["what", name], shown=[name], summary="x", authority=["police"])
    after = ana.get(f"/tips/{one}/refer").text.partition('id="after"')[2]
    assert "Ring me on" in after
    assert "027 555 0123" not in after
    ana.post(f"/tips/{one}/redact", keep=["what", name], shown=[name], summary="x", authority=["police"])
    assert "027 555 0123" in ana.get(f"/tips/{one}/refer").text.partition('id="after"')[2], "a handler may keep words"


def test_own_words_can_begin_from_the_translation_or_again_from_the_original(two_people):
    """A button puts what is left of the translation, or of the original, into the field of a text."""
    _, desk, ana, _, one = two_people
    ana.post(f"/tips/{one}/translation", text="Men are here, says Mele.")
    _save(ana, one, go="translation-1")
    assert desk.cases.get(one).draft.rewordings["what"].text == "Men are here, says [removed]."
    _save(ana, one, go="original-1")
    assert desk.cases.get(one).draft.rewordings["what"].text.startswith("My mate [removed]")
    _save(ana, one, go="original-99")


def test_the_redaction_keeps_own_words_and_a_first_look_comes_before_them(two_people):
    """Saving the marks again keeps own words; a tip whose suggestions nobody saw leads to the redaction first."""
    office, desk, ana, _, one = two_people
    _save(ana, one, **{"way-1": "own", "text-1": "Several men sleep at a work place."})
    ana.post(f"/tips/{one}/redact", m=MARKS, keep=["what"], summary="x", authority=["police"], go="look")
    assert desk.cases.get(one).draft.rewordings["what"].used
    assert "The authority gets your own words" in ana.get(f"/tips/{one}/redact").text
    other = office.drop(tip({"what": "Call me on 021 555 0199."}))
    receive(desk)
    ana.post(f"/tips/{other}/claim")
    assert ana.get(f"/tips/{other}/reword").location.endswith("/redact")


def test_own_words_that_were_typed_and_not_saved_come_back(two_people):
    """What a window kept is shown again, with its choices and beside the texts of now, until it is saved."""
    office, _, ana, _, one = two_people
    page = ana.get(f"/tips/{one}/reword").text
    form = _form(page) | {"way-1": "own", "text-1": "Half a sentence about"}
    sent = {name: re.search(rf'name="{name}" value="([^"]*)"', page)[1] for name in ("typed", "window", "writer")}
    pairs = [[name, value] for name, value in form.items() if isinstance(value, str)]
    assert ana.post(f"/tips/{one}/typed", **sent, number="1", fields=json.dumps(pairs)).status_code == 204
    again = ana.get(f"/tips/{one}/reword").text
    assert (_form(again)["way-1"], _form(again)["text-1"]) == ("own", "Half a sentence about")
    assert "changed this tip while you typed" not in again
    office.drop(tip({"what": "They moved."}, answers_to=reply_to().locator, reply=reply_to()))
    receive(two_people[1])
    again = ana.get(f"/tips/{one}/reword").text
    assert "changed this tip while you typed" in again
    kept = dict(re.findall(r'name="(typed|window|continues|writer)" value="([^"]*)"', again.partition("</h1>")[2]))
    assert ana.post(f"/tips/{one}/reword", **_form(again), **kept).status_code == 303
    assert "You wrote this and did not save it" not in ana.get(f"/tips/{one}/reword").text
