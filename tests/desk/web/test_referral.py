"""The pages that lead to a referral: words and files redacted, looked at, sent by one or released by a second."""

import io
import re

import pytest
from PIL import Image

from app.desk.case_fields import State
from app.desk.dispatch import build_referral
from app.vault.tip import TipFile
from tests.support.desk import Browser, Office, jpeg, picture, receive, tip


@pytest.fixture
def two_people(tmp_path):
    """An open desk with two-person release, the browsers of Ana and Ben, and a tip with a picture that Ana claimed."""
    office = Office(tmp_path, release=2)
    tip_id = office.drop(tip(files=(jpeg(),)))
    with office.desk() as desk:
        receive(desk)
        ana, ben = Browser(desk, "Ana"), Browser(desk, "Ben")
        ana.post(f"/tips/{tip_id}/claim")
        yield desk, ana, ben, tip_id


def test_the_way_from_a_new_tip_to_a_sent_referral(office, desk, browser, one):
    """Claim, redact, look, send: four presses; the authority gets a sealed, signed referral and the tip says so."""
    assert browser.post(f"/tips/{one}/claim").location == browser.path(f"/tips/{one}")
    page = browser.get(f"/tips/{one}/redact").text
    marks = re.findall(r'name="m" value="([^"]+)" checked', page)
    assert len(marks) >= 2, "the suggestions are marked already"
    assert re.search(r'value="mbie" checked', page), "work speaks for the labour inspectorate"
    browser.post(
        f"/tips/{one}/redact",
        m=marks,
        keep=["what", "where", "people"],
        summary="Seven men are held.",
        authority=["police"],
        go="look",
    )
    look = browser.get(f"/tips/{one}/refer").text
    after = look.partition('id="after"')[2]
    assert "My sister" not in after
    assert "[removed]" in after
    version = re.search(r'name="version" value="(\d+)"', look)[1]
    refused = browser.post(f"/tips/{one}/refer", version=version)
    assert "by voice" in refused.text, "a key that nobody confirmed is not used"
    _keeps_the_page(refused, one)
    browser.post(f"/tips/{one}/refer", version=version, confirmed=["police"])
    case = desk.cases.get(one)
    assert case.state is State.REFERRED
    assert case.referrals[0].authority == "police"
    assert desk.waiting_deliveries() == {"police": (1, "")}
    assert "referred" in browser.get("/?view=referred").text


def _keeps_the_page(refused, one):
    """The refused page is the one before, with the reason beside the box and without the ticks that were taken away."""
    assert refused.status_code == 409
    form = refused.text.partition(f'action="{refused.request.path}"')[2]
    assert refused.request.path.endswith(f"/tips/{one}/refer")
    assert form.index("This key is new.") > form.index('name="confirmed"')
    assert 'aria-invalid="true" aria-describedby="refusal"' in form
    assert re.search(r'name="tell" value="yes">', form), "the tick was taken away, and stays away"


def test_a_refusal_without_a_page_before_it_is_a_page_of_its_own(two_people):
    """Given another person's tip, when somebody sends a made-up form, the refusal shows none of the tip's words."""
    desk, _, ben, tip_id = two_people
    refused = ben.post(f"/tips/{tip_id}/refer", version=desk.cases.get(tip_id).version)
    assert refused.status_code == 409
    assert "Another person is working" in refused.text
    assert "packhouse" not in refused.text


def test_a_draft_that_somebody_changed_is_not_sent(browser, desk, one):
    """What was looked at is what is sent: after any change it must be looked at again."""
    browser.post(f"/tips/{one}/claim")
    browser.post(f"/tips/{one}/redact", keep=["what"], summary="x", authority=["police"])
    version = desk.cases.get(one).version
    browser.post(f"/tips/{one}/note", text="a change")
    assert browser.post(f"/tips/{one}/refer", version=version, confirmed=["police"]).status_code == 409
    assert desk.cases.get(one).referrals == ()


def test_two_person_release(two_people):
    """With release = 2 the first prepares, only a second releases, and both stand in the journal."""
    desk, ana, ben, tip_id = two_people
    ana.post(f"/tips/{tip_id}/redact", keep=["what"], summary="A packhouse.", authority=["police"])
    ana.post(f"/tips/{tip_id}/refer", version=desk.cases.get(tip_id).version)
    assert desk.cases.get(tip_id).state is State.WAITING
    assert desk.waiting_deliveries() == {}
    version = desk.cases.get(tip_id).version
    assert "cannot also release" in ana.post(f"/tips/{tip_id}/refer", version=version, confirmed=["police"]).text
    assert ana.post(f"/tips/{tip_id}/redact", keep=["what"], summary="changed").status_code == 409
    ben.post(f"/tips/{tip_id}/refer", version=version, confirmed=["police"])
    case = desk.cases.get(tip_id)
    assert (case.state, case.referrals[0].by, case.referrals[0].second) == (State.REFERRED, "Ana", "Ben")
    assert ("Ben", "referred") in {(entry.who, entry.did) for entry in desk.journal.entries}


def test_a_prepared_referral_can_go_back(two_people):
    """The second person may send it back to work instead; then it is theirs."""
    desk, ana, ben, tip_id = two_people
    ana.post(f"/tips/{tip_id}/redact", keep=["what"], summary="A packhouse.", authority=["police"])
    ana.post(f"/tips/{tip_id}/refer", version=desk.cases.get(tip_id).version)
    ben.post(f"/tips/{tip_id}/refer/back")
    case = desk.cases.get(tip_id)
    assert (case.state, case.holder, case.draft.by) == (State.WORK, "Ben", "")


def test_a_hand_over_to_a_translator_needs_two_people_too(two_people):
    """With release = 2 no text reaches a translator that one person alone has looked at; both stand in the journal."""
    desk, ana, ben, tip_id = two_people
    ana.post(f"/tips/{tip_id}/redact", m="what:0-5", keep=["what"], file=["files/1.jpg"])
    fields = {"translator": "translator", "confirmed": ["translator"]}
    ana.post(f"/tips/{tip_id}/translator", version=desk.cases.get(tip_id).version, **fields)
    assert desk.waiting_deliveries() == {}
    assert desk.cases.get(tip_id).state is State.WAITING
    version = desk.cases.get(tip_id).version
    assert "cannot also release" in ana.post(f"/tips/{tip_id}/refer", version=version).text
    shown = ben.get(f"/tips/{tip_id}/refer").text
    assert "prepared this for a translator" in shown
    assert "What Example translator will see" in shown
    assert "No file will be sent" in shown
    ben.post(f"/tips/{tip_id}/refer", version=version)
    case = desk.cases.get(tip_id)
    assert desk.waiting_deliveries() == {"translator": (1, "")}
    assert (case.state, case.holder, case.translator, case.draft.by) == (State.WORK, "Ana", True, "")
    assert case.draft.files == ("files/1.jpg",)
    done = [(entry.who, entry.did) for entry in desk.journal.entries]
    assert ("Ana", "prepared") in done
    assert ("Ben", "to-translator") in done


def test_a_prepared_hand_over_can_go_back(two_people):
    """The second person may send it back; it is then to be redacted again, and no longer for a translator."""
    desk, ana, ben, tip_id = two_people
    ana.post(f"/tips/{tip_id}/redact", keep=["what"])
    fields = {"translator": "translator", "confirmed": ["translator"]}
    ana.post(f"/tips/{tip_id}/translator", version=desk.cases.get(tip_id).version, **fields)
    ben.post(f"/tips/{tip_id}/refer/back")
    case = desk.cases.get(tip_id)
    assert (case.state, case.holder, case.draft.by, case.draft.translator) == (State.WORK, "Ben", "", "")


def test_boxes_are_burnt_into_what_they_will_see(browser, desk, office):
    """A box drawn on a picture is black in the file as the authority gets it."""
    tip_id = office.drop(tip(files=(jpeg(1, picture(320, 320, "#ffffff")),)))
    receive(desk)
    browser.post(f"/tips/{tip_id}/claim")
    assert "stage" in browser.get(f"/tips/{tip_id}/boxes/1").text
    assert browser.post(f"/tips/{tip_id}/boxes/1", boxes="1 0 0 200 9").status_code == 409
    browser.post(f"/tips/{tip_id}/boxes/1", boxes="1 0 0 50 100")
    burnt = browser.get(f"/tips/{tip_id}/burnt/1")
    assert burnt.mimetype == "image/jpeg"
    image = Image.open(io.BytesIO(burnt.data)).convert("L")
    assert image.getpixel((40, 160)) < 8
    assert image.getpixel((280, 160)) > 247


def test_a_translator_gets_the_redacted_text_and_no_file(browser, desk, office):
    """The hand-over is sealed, holds what was left and no file; the translation is then redacted and referred too."""
    tip_id = office.drop(tip(files=(jpeg(),)))
    receive(desk)
    browser.post(f"/tips/{tip_id}/claim")
    browser.post(f"/tips/{tip_id}/redact", m="what:0-9", keep=["what"], file=["files/1.jpg"])
    version = desk.cases.get(tip_id).version
    browser.post(f"/tips/{tip_id}/translator", version=version, translator="translator", confirmed=["translator"])
    assert desk.waiting_deliveries() == {"translator": (1, "")}
    assert desk.cases.get(tip_id).translator
    browser.post(f"/tips/{tip_id}/translation", text="Seven men, in English. Seven men again.")
    assert 'value="translation:0-5"' in browser.get(f"/tips/{tip_id}/redact").text


def test_a_translation_that_was_changed_must_be_looked_at_again(browser, desk, office):
    """Marks of a former translation never move to other words: nothing goes until somebody has redacted the new one."""
    one = office.drop(tip({"what": "Itong tao ay nakakulong."}))
    receive(desk)
    browser.post(f"/tips/{one}/claim")
    browser.post(f"/tips/{one}/translation", text="Mele Fifita says that he is locked in.")
    fields = {"keep": ["what", "translation"], "summary": "x", "authority": ["police"]}
    former = re.search(r'name="seen" value="(\w+)"', browser.get(f"/tips/{one}/redact").text)[1]
    browser.post(f"/tips/{one}/redact", m=["translation:0-11"], seen=former, **fields)
    assert "[removed]</ins> says that" in browser.get(f"/tips/{one}/refer").text
    browser.post(f"/tips/{one}/translation", text="He is locked in, says Mele Fifita. Ring me on 021 555 0199.")
    assert browser.get(f"/tips/{one}/refer").location.endswith("/redact")
    version = desk.cases.get(one).version
    assert browser.post(f"/tips/{one}/refer", version=version, confirmed=["police"]).status_code == 409
    case, context = desk.cases.get(one), desk.referral_context
    made = build_referral(case, context.redaction(case), "x", context, purpose="translation")
    assert "translation" not in made.fields
    page = browser.get(f"/tips/{one}/redact").text
    assert "The translation is new or was changed" in page
    marks = [*re.findall(r'name="m" value="([^"]+)" checked', page), "translation:22-33"]
    browser.post(f"/tips/{one}/redact", m=marks, seen=former, **fields)
    assert browser.get(f"/tips/{one}/refer").location.endswith("/redact"), "that form was of the former translation"
    seen = re.search(r'name="seen" value="(\w+)"', page)[1]
    browser.post(f"/tips/{one}/redact", m=marks, seen=seen, **fields)
    after = browser.get(f"/tips/{one}/refer").text.partition('id="after"')[2]
    assert "says <ins>[removed]</ins>. Ring me on <ins>[removed]</ins>." in after


def test_a_prepared_referral_whose_translation_was_changed_does_not_go(two_people):
    """Nobody has redacted the translation of now: the second person cannot release it, and sends it back to work."""
    desk, ana, ben, one = two_people
    ana.post(f"/tips/{one}/redact", keep=["what", "translation"], summary="x", authority=["police"])
    ana.post(f"/tips/{one}/refer", version=desk.cases.get(one).version)
    ana.post(f"/tips/{one}/translation", text="Mele says so.")
    version = desk.cases.get(one).version
    assert ben.post(f"/tips/{one}/refer", version=version, confirmed=["police"]).status_code == 409
    assert ben.get(f"/tips/{one}/refer").location.endswith(one)
    page = ben.get(f"/tips/{one}").text
    assert "The translation is new or was changed" in page
    assert re.search(r'action="[^"]+/refer/back"', page)
    ben.post(f"/tips/{one}/refer/back")
    assert desk.cases.get(one).holder == "Ben"


def test_a_text_file_is_redacted_with_the_rest_and_a_long_one_stays(browser, desk, office):
    """What is marked goes from a text file too; one too long to be marked is not sent, and the page says so."""
    short, long = b"Mele Fifita wrote this list of names.", b"word " * 20_000
    files = (TipFile("files/1.txt", "text/plain", (), short), TipFile("files/2.txt", "text/plain", (), long))
    tip_id = office.drop(tip({"what": "Mele Fifita told me"}, files=files))
    receive(desk)
    browser.post(f"/tips/{tip_id}/claim")
    assert "too long to redact" in browser.get(f"/tips/{tip_id}/redact").text
    sent = ["files/1.txt", "files/2.txt"]
    browser.post(f"/tips/{tip_id}/redact", m="what:0-11", keep=["what"], file=sent, summary="x", authority=["police"])
    case, context = desk.cases.get(tip_id), desk.referral_context
    made = build_referral(case, context.redaction(case), "x", context)
    assert [file.data for file in made.files] == [b"[removed] wrote this list of names."]
    assert "Mele" not in browser.get(f"/tips/{tip_id}/refer").text.partition('id="after"')[2]


def test_names_of_the_list_are_shown_apart_and_go_only_if_ticked(browser, desk, office):
    """A name of the list is not black, has a box of its own and is counted apart; ticked, the name goes everywhere."""
    written = {"what": "Call me on 021 555 0199. Sione hit priya, I saw Xandrine.", "where": "At priya"}
    tip_id = office.drop(tip(written))
    receive(desk)
    browser.post(f"/tips/{tip_id}/claim")
    page = browser.get(f"/tips/{tip_id}/redact").text
    boxes = re.findall(r'name="term" value="([^"]+)"( checked)?', page)
    assert boxes == [("Sione", ""), ("priya", ""), ("Xandrine", "")]
    assert "1 is black. 2 are only underlined, and 2 have a dotted line" in page
    assert "priya (2 places)" in page
    browser.post(f"/tips/{tip_id}/redact", term=["priya"], terms="hit", keep=["what", "where"], authority=["police"])
    page = browser.get(f"/tips/{tip_id}/redact").text
    assert 'value="priya" checked' in page
    assert re.search(r'<textarea id="terms"[^>]*>hit</textarea>', page)
    after = browser.get(f"/tips/{tip_id}/refer").text.partition('id="after"')[2]
    assert "Sione" in after
    assert "priya" not in after


def test_no_word_to_take_out_is_dropped_in_silence(browser, desk, office):
    """More words than the desk takes out everywhere are refused; a full list of names says that there are more."""
    names = [f"Xandrine{letter}{other}" for letter in "abcdefghij" for other in "abcdefghijk"]
    tip_id = office.drop(tip({"what": "I saw " + " and ".join(names)}))
    receive(desk)
    browser.post(f"/tips/{tip_id}/claim")
    page = browser.get(f"/tips/{tip_id}/redact").text
    assert page.count('name="term"') == 100
    assert "This list is full" in page
    many = [f"word{number}" for number in range(201)]
    assert browser.post(f"/tips/{tip_id}/redact", keep=["what"], term=many).status_code == 409
    assert desk.cases.get(tip_id).draft.terms == ()
    browser.post(f"/tips/{tip_id}/redact", keep=["what"], term=many[:200])
    assert len(desk.cases.get(tip_id).draft.terms) == 200
