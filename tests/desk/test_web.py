"""The desk in a browser: who may speak to it, what it shows, and that nothing a sender wrote is run."""

import hashlib
import io
import json
import re
import wave
import zipfile
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from app.desk.case import State
from app.desk.dispatch import build_referral
from app.desk.web.session import Sessions
from app.vault.tip import TipFile
from tests.support.desk import ANSWERS, ORIGIN, Browser, Office, jpeg, picture, receive, reply_to, tip, wait_for
from tests.support.paths import ROOT

EVIL = """<script>alert(1)</script>"><img src=x onerror=alert(2)>'</textarea></title><style>*{}</style>{{7*7}}"""


@pytest.fixture
def one(office, desk):
    tip_id = office.drop(tip(files=(jpeg(),), reply=reply_to()))
    receive(desk)
    return tip_id


def test_the_link_works_once(browser):
    """The printed link starts one session; used again, or made up, it starts none."""
    assert browser.enter(browser.links[0]).status_code == 403
    assert browser.enter(f"{ORIGIN}/enter/guess").status_code == 403
    other = browser.app.test_client()
    assert other.get("/", base_url=ORIGIN).status_code == 403


def test_the_cookie_is_strict(desk):
    """HttpOnly, SameSite=Strict, without a lifetime, under a name of this port's own."""
    links = []
    sessions = Sessions(ORIGIN, show_link=links.append)
    client = Browser(desk, who="").app.test_client()
    assert client.get("/", base_url=ORIGIN).status_code == 403
    fresh = Browser(desk, who="")
    fresh.sessions.new_link()
    header = fresh.enter(fresh.links[-1]).headers["Set-Cookie"]
    assert header.startswith("desk-8701=")
    assert "HttpOnly" in header
    assert "SameSite=Strict" in header
    assert "Max-Age" not in header
    assert sessions.cookie_name == "desk-8701"


@pytest.mark.parametrize(
    "host", ["localhost:8701", "127.0.0.1", "127.0.0.1:8702", "evil.example", "127.0.0.1:8701.evil.example"]
)
def test_any_host_but_its_own_is_refused(browser, host):
    """A name that a hostile page could point at loopback gets nothing, not even with the cookie."""
    answer = browser.client.get("/", base_url=ORIGIN, headers={"Host": host})
    assert answer.status_code == 400
    assert "Queue" not in answer.text


@pytest.mark.parametrize(
    "origin",
    ["", "null", "http://127.0.0.1", "http://127.0.0.1:8702", "http://localhost:8701", "https://127.0.0.1:8701"],
)
def test_a_post_from_anywhere_else_does_nothing(browser, one, desk, origin):
    """Without the exact Origin, port and all, a POST with cookie and token changes nothing."""
    assert browser.post(f"/tips/{one}/claim", origin=origin).status_code == 403
    assert desk.cases.get(one).holder == ""


@pytest.mark.parametrize("token", ["", "x", "0" * 43])
def test_the_cookie_alone_changes_nothing(browser, one, desk, token):
    """A POST with cookie and Origin, but without this session's form token, changes nothing."""
    assert browser.post(f"/tips/{one}/claim", token=token).status_code == 403
    assert desk.cases.get(one).holder == ""


def test_another_site_reads_nothing(browser, one):
    """A picture asked for by a page of another site is refused even where the cookie comes along."""
    assert browser.get(f"/tips/{one}/files/1", Sec_Fetch_Site="same-origin").status_code == 200
    for site in ("cross-site", "same-site"):
        assert browser.get(f"/tips/{one}/files/1", Sec_Fetch_Site=site).status_code == 403


def test_every_answer_carries_its_headers_once(browser, one):
    """Nothing may be kept, framed, sniffed, or run but the one script and the one style, by their hashes."""
    for path in ("/", f"/tips/{one}", f"/tips/{one}/files/1", "/nowhere", "/help"):
        answer = browser.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert re.search(r"script-src 'sha256-[^']+';", policy)
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        for name in ("Content-Security-Policy", "Cache-Control", "X-Content-Type-Options", "Referrer-Policy"):
            assert len(answer.headers.getlist(name)) == 1


class _Scripts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.scripts, self.handlers = 0, []

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]


def _every_page(one):
    return [
        "/",
        *(f"/tips/{one}{rest}" for rest in ("", "/redact", "/refer", "/reply", "/print")),
        "/aside",
        "/journal",
        "/figures",
        "/help",
        "/who",
    ]


def test_nothing_a_sender_wrote_is_run(office, desk, browser):
    """HTML and script in every field, in field names' values and in file notes, are words on every screen."""
    names = ("what", "where", "when", "people", "victims", "how-known", "danger", "children", "odd")
    fields = dict.fromkeys(names, EVIL)
    tip_id = office.drop(tip({**fields, "kinds": (EVIL,)}, reply=reply_to(), files=(replace(jpeg(), removed=(EVIL,)),)))
    receive(desk)
    browser.post(f"/tips/{tip_id}/claim")
    browser.post(f"/tips/{tip_id}/note", text=EVIL)
    browser.post(f"/tips/{tip_id}/translation", text=EVIL)
    browser.post(f"/tips/{tip_id}/redact", summary=EVIL, keep=["what", "where"], authority=["police"], terms="zzz")
    for path in _every_page(tip_id):
        answer = browser.get(path)
        assert answer.status_code == 200, path
        parser = _Scripts()
        parser.feed(answer.text)
        assert (parser.scripts, parser.handlers) == (1, []), path
        assert "<img src=x" not in answer.text


def test_templates_and_views_type_no_address():
    """Pages and views ask Flask for each address; only a route's own line writes it."""
    room = ROOT / "app/desk"
    templates = sorted((room / "templates").glob("*"))
    assert len(templates) > 10
    for template in templates:
        assert not re.search(r'(?:href|src|action)="/', template.read_text(encoding="utf-8")), template.name
    for module in sorted((room / "web").glob("*.py")):
        lines = module.read_text(encoding="utf-8").splitlines()
        typed = [line for line in lines if '"/' in line and not line.startswith(("@blueprint.", "_ENTER = "))]
        assert typed == [], module.name


def test_the_way_from_a_new_tip_to_a_sent_referral(office, desk, browser, one):
    """Claim, redact, look, send: four presses; the authority gets a sealed, signed referral and the tip says so."""
    assert browser.post(f"/tips/{one}/claim").location == f"/tips/{one}"
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
    browser.post(f"/tips/{one}/refer", version=version, confirmed=["police"])
    case = desk.cases.get(one)
    assert case.state is State.REFERRED
    assert case.referrals[0].authority == "police"
    assert desk.waiting_deliveries() == {"police": (1, "")}
    assert "referred" in browser.get("/?view=referred").text


def test_a_draft_that_somebody_changed_is_not_sent(browser, desk, one):
    """What was looked at is what is sent: after any change it must be looked at again."""
    browser.post(f"/tips/{one}/claim")
    browser.post(f"/tips/{one}/redact", keep=["what"], summary="x", authority=["police"])
    version = desk.cases.get(one).version
    browser.post(f"/tips/{one}/note", text="a change")
    assert browser.post(f"/tips/{one}/refer", version=version, confirmed=["police"]).status_code == 409
    assert desk.cases.get(one).referrals == ()


def test_two_person_release(tmp_path):
    """With release = 2 the first prepares, only a second releases, and both stand in the journal."""
    (tmp_path / "office").mkdir()
    office = Office(tmp_path / "office", release=2)
    tip_id = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        ana, ben = Browser(desk, "Ana"), Browser(desk, "Ben")
        ana.post(f"/tips/{tip_id}/claim")
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


def test_a_prepared_referral_can_go_back(tmp_path):
    """The second person may send it back to work instead; then it is theirs."""
    office = Office(tmp_path, release=2)
    tip_id = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        ana, ben = Browser(desk, "Ana"), Browser(desk, "Ben")
        ana.post(f"/tips/{tip_id}/claim")
        ana.post(f"/tips/{tip_id}/redact", keep=["what"], summary="A packhouse.", authority=["police"])
        ana.post(f"/tips/{tip_id}/refer", version=desk.cases.get(tip_id).version)
        ben.post(f"/tips/{tip_id}/refer/back")
        case = desk.cases.get(tip_id)
        assert (case.state, case.holder, case.draft.by) == (State.WORK, "Ben", "")


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


def test_many_are_closed_with_one_reason(browser, desk, office):
    """Chosen rows are closed at once; what somebody else works on is left, and both are said."""
    ids = [office.drop(tip()) for _ in range(3)]
    receive(desk)
    desk.cases.claim(ids[0], "Ben")
    browser.post("/close", tip=ids, reason="repeat")
    assert [desk.cases.get(one).state for one in ids] == [State.WORK, State.CLOSED, State.CLOSED]
    assert "2 closed. 1 left" in browser.get("/").text


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


def test_a_translator_gets_the_redacted_text_and_no_file(browser, desk, office):
    """The hand-over is sealed, holds what was left and no file; the translation is then redacted and referred too."""
    tip_id = office.drop(tip(files=(jpeg(),)))
    receive(desk)
    browser.post(f"/tips/{tip_id}/claim")
    browser.post(f"/tips/{tip_id}/redact", m="what:0-9", keep=["what"], file=["files/1.jpg"])
    browser.post(f"/tips/{tip_id}/translator", translator="translator", confirmed=["translator"])
    assert desk.waiting_deliveries() == {"translator": (1, "")}
    assert desk.cases.get(tip_id).translator
    browser.post(f"/tips/{tip_id}/translation", text="Seven men, in English. Seven men again.")
    assert 'value="translation:0-5"' in browser.get(f"/tips/{tip_id}/redact").text


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
    assert page.count("Not shown") >= 2
    assert "larger than 25 megapixels" in page
    shown = browser.get(f"/tips/{tip_id}/files/2")
    assert shown.mimetype == "image/jpeg"
    assert b"script" not in shown.data
    for number in (1, 3, 4, 5, 0):
        answer = browser.get(f"/tips/{tip_id}/files/{number}")
        assert answer.status_code == 404
        assert "svg" not in answer.mimetype


def test_locking_ends_every_session(browser, desk):
    """After Lock no cookie opens anything, and the terminal has a new link."""
    assert "Locked" in browser.post("/lock").text
    assert browser.get("/").status_code == 403
    assert len(browser.links) == 2
    assert browser.enter(browser.links[-1]).status_code == 303


def test_an_unknown_page_method_or_tip_is_an_answer(browser):
    """Nothing that is asked for ends in a traceback."""
    for path in (
        "/tips/nothing",
        "/tips/%00",
        "/progress/none",
        "/tips/" + "x" * 5000,
        "/?page=99999999999",
        "/?view=x&page=-1",
    ):
        assert browser.get(path).status_code in {200, 404}, path
    assert browser.post("/tips/nothing/claim").status_code == 404
    assert browser.client.put("/", base_url=ORIGIN).status_code == 403


def test_the_journal_has_no_word_of_a_tip(browser, desk, office, one):
    """After a whole day's work the journal's file holds none of the tip's words and none of the handlers' notes."""
    browser.post(f"/tips/{one}/claim")
    browser.post(f"/tips/{one}/note", text="noted elsewhere")
    browser.post(f"/tips/{one}/redact", m="what:0-9", keep=["what"], summary="summed up", terms="termed")
    browser.post(f"/tips/{one}/close", reason="finished", outcome="investigated")
    journal = (office.store / "journal.jsonl").read_text().casefold()
    words = [*ANSWERS["what"].split(), "katikati", "noted", "elsewhere", "summed", "termed"]
    assert [word for word in words if len(word) > 4 and f" {word.casefold().strip('.')} " in journal] == []
    assert desk.cases.get(one).outcome == "investigated"


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


def test_a_text_file_is_redacted_with_the_rest_and_a_long_one_stays(browser, desk, office):
    """What is marked goes from a text file too; one too long to be marked is not sent, and the page says so."""
    short, long = b"Mele Fifita wrote this list of names.", b"word " * 20_000
    files = (TipFile("files/1.txt", "text/plain", (), short), TipFile("files/2.txt", "text/plain", (), long))
    tip_id = office.drop(tip({"what": "Mele Fifita told me"}, files=files))
    receive(desk)
    browser.post(f"/tips/{tip_id}/claim")
    assert "Too long to be marked" in browser.get(f"/tips/{tip_id}/redact").text
    sent = ["files/1.txt", "files/2.txt"]
    browser.post(f"/tips/{tip_id}/redact", m="what:0-11", keep=["what"], file=sent, summary="x", authority=["police"])
    case, context = desk.cases.get(tip_id), desk.referral_context
    made = build_referral(case, context.redaction(case), "x", context)
    assert [file.data for file in made.files] == [b"[removed] wrote this list of names."]
    assert "Mele" not in browser.get(f"/tips/{tip_id}/refer").text.partition('id="after"')[2]


def test_more_than_it_takes_is_refused_with_a_page(browser, one):
    """A form beyond every length gets a clear page, and changes nothing."""
    browser.post(f"/tips/{one}/claim")
    answer = browser.post(f"/tips/{one}/note", text="x" * 3_000_000)
    assert answer.status_code == 413
    assert "more than this desk takes" in answer.text


def test_many_are_exported_with_progress(browser, desk, office):
    """The export runs in the background, shows how far it is, and its zip is handed over once; locked tips stay out."""
    ids = [office.drop(tip()) for _ in range(3)]
    receive(desk)
    desk.cases.lock_away(ids[0], "Ana")
    where = browser.post("/export", tip=ids).location
    wait_for(lambda: "finished" in browser.get(where).text)
    assert "2 of 2" in browser.get(where).text
    names = zipfile.ZipFile(io.BytesIO(browser.get(f"{where}/export.zip").data)).namelist()
    assert sorted(names) == sorted([*(f"{one}/tip.json" for one in ids[1:]), "manifest.json"])
    assert browser.get(f"{where}/export.zip").status_code == 404
    assert browser.post(f"{where}/stop").status_code == 404
    assert browser.get(browser.post("/export").location).status_code == 200


def test_opening_is_started_and_stopped_from_the_queue(browser, desk, office):
    """The queue offers what waits in the inbox; the work's page says how far it is, and Stop is heard."""
    for _ in range(3):
        office.drop(tip())
    assert "Open 3 in the inbox" in browser.get("/").text
    browser.post("/take-in")
    wait_for(lambda: "3 of 3: finished" in browser.get("/progress/intake").text)
    browser.post("/progress/intake/stop")
    assert desk.opening.stopped
    assert len(desk.cases.all()) == 3


def test_while_the_store_opens_only_its_progress_is_shown(browser, desk):
    """Until every record is open no page of tips is shown, and stopping is heard."""
    desk.loading.ended = False
    desk.loading.total = 10_000
    for path in ("/", "/journal", "/tips/x"):
        assert "10,000 tips" in browser.get(path).text
    browser.post("/loading/stop")
    assert desk.loading.stopped
    assert "Stopped" in browser.get("/").text


def test_figures_and_journal_are_shown(browser, one):
    """Figures hide small counts, as CSV too; the journal of one tip shows who did what."""
    assert "hidden" in browser.get("/figures").text
    csv = browser.get("/figures.csv")
    assert "attachment" in csv.headers["Content-Disposition"]
    assert '"What they are about","work",hidden' in csv.text
    browser.post(f"/tips/{one}/claim")
    assert "claimed" in browser.get(f"/journal?tip={one}").text


def test_what_was_set_aside_is_listed_and_settled(browser, desk, office):
    """An envelope that does not open is listed with its reason in words, tried again, and destroyed when told."""
    (office.inbox / f"{'0' * 26}.age").write_bytes(b"nothing")
    receive(desk)
    assert "Not an envelope" in browser.get("/aside").text
    assert "set aside" in browser.get("/").text
    (name,) = (f"{one}.{code}" for one, code in desk.inbox.aside())
    browser.post("/aside", name=name, do="again")
    wait_for(lambda: desk.opening.ended and desk.inbox.aside())
    browser.post("/aside", name=name, do="destroy")
    assert desk.inbox.aside() == []
    assert browser.post("/aside", name="../desk.age", do="destroy").status_code == 404


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
