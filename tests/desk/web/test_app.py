"""Which requests the desk answers, what every answer carries, and that nothing a sender wrote is run."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.support.desk import ORIGIN, jpeg, receive, reply_to, tip
from tests.support.paths import ROOT

EVIL = """<script>alert(1)</script>"><img src=x onerror=alert(2)>'</textarea></title><style>*{}</style>{{7*7}}"""


@pytest.mark.parametrize(
    "host", ["localhost:8701", "127.0.0.1", "127.0.0.1:8702", "evil.example", "127.0.0.1:8701.evil.example"]
)
def test_any_host_but_its_own_is_refused(browser, host):
    """A name that a hostile page could point at loopback gets nothing, not even with the cookie."""
    answer = browser.client.get(browser.path("/"), base_url=ORIGIN, headers={"Host": host})
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
        "/figures/outcomes",
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


def test_a_sender_turns_no_line_of_the_desk_round(office, desk, browser):
    """Words that reverse a line stand in an element of their own on each screen, whose end ends them (UAX #9, HTML)."""
    texts = {"what": "\u202eexe.gnp this is a text of more than eight words that two tips have", "where": "\u202eyawa"}
    ids = [office.drop(tip(texts)) for _ in range(2)]
    receive(desk)
    for path in ("/", f"/tips/{ids[0]}"):
        page = browser.get(path).text
        isolated = re.findall(r'(?:dir="auto"[^<>]*>|<bdi>)\u202e', page)
        assert len(isolated) == page.count("\u202e") >= 1, path


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
    assert browser.client.put(browser.path("/"), base_url=ORIGIN).status_code == 403


def test_more_than_it_takes_is_refused_with_a_page(browser, one):
    """A form beyond every length gets a clear page, and changes nothing."""
    browser.post(f"/tips/{one}/claim")
    answer = browser.post(f"/tips/{one}/note", text="x" * 3_000_000)
    assert answer.status_code == 413
    assert "more than this desk can take" in answer.text


def test_while_the_store_opens_only_its_progress_is_shown(browser, desk):
    """Until every record is open no page of tips is shown, and stopping is heard."""
    desk.loading.ended = False
    desk.loading.total = 10_000
    for path in ("/", "/journal", "/tips/x"):
        assert "10,000 tips" in browser.get(path).text
    browser.post("/loading/stop")
    assert desk.loading.stopped
    assert "You stopped the desk" in browser.get("/").text


ROUTES = """
GET /                                     queue.show
GET /arrivals                             queue.tell_arrivals
GET /aside                                records.show_aside
POST /aside                               records.settle_aside
POST /close                               closing.close_many
POST /close/undo                          closing.undo
GET /enter/<key>                          session.enter
POST /export                              queue.export_chosen
GET /figures                              records.show_figures
GET /figures.csv                          records.save_figures
GET /figures/outcomes                     outcome_counts.show_outcomes
POST /figures/outcomes.json               outcome_counts.save_outcomes
GET /help                                 session.show_help
GET /journal                              records.show_journal
POST /keys                                session.set_shortcuts
GET /left                                 session.tell_left
POST /loading/stop                        session.stop_loading
POST /lock                                session.lock
GET /progress/<name>                      queue.show_progress
GET /progress/<name>/export.zip           queue.save_export
POST /progress/<name>/stop                queue.stop_job
POST /stay                                session.stay
POST /take-in                             queue.open_inbox
GET /tips/<tip>                           case.show
GET /tips/<tip>/asked/<question_id>       asked.show
POST /tips/<tip>/asked/<question_id>/answer asked.answer
POST /tips/<tip>/asked/<question_id>/confirm asked.confirm
POST /tips/<tip>/asked/<question_id>/decline asked.decline
POST /tips/<tip>/asked/<question_id>/put  asked.put
POST /tips/<tip>/asked/<question_id>/refusal asked.settle_refusal
POST /tips/<tip>/apart                    joined_tips.take_apart
GET /tips/<tip>/beside                    presence.tell
GET /tips/<tip>/boxes/<int:number>        referral.show_boxes
POST /tips/<tip>/boxes/<int:number>       referral.save_boxes
GET /tips/<tip>/burnt/<int:number>        referral.show_redacted_file
GET /tips/<tip>/burnt/<int:number>/<int:place> referral.show_redacted_file
POST /tips/<tip>/claim                    queue.claim
POST /tips/<tip>/close-repeats            joined_tips.close_repeats
POST /tips/<tip>/close                    closing.close
POST /tips/<tip>/export                   case.save_export
POST /tips/<tip>/due                      assignment.set_due
GET /tips/<tip>/files/<int:number>        case.show_file
POST /tips/<tip>/give                     assignment.give
GET /tips/<tip>/files/<int:number>/<int:place> case.show_file
POST /tips/<tip>/join                     joined_tips.join
POST /tips/<tip>/leave                    presence.leave
POST /tips/<tip>/note                     case.add_note
POST /tips/<tip>/objectionable            case.lock_objectionable
POST /tips/<tip>/outcome                  case.set_outcome
GET /tips/<tip>/print                     case.show_print
GET /tips/<tip>/redact                    referral.show_draft
POST /tips/<tip>/redact                   referral.save_draft
GET /tips/<tip>/refer                     referral.show_preview
POST /tips/<tip>/refer                    referral.send
POST /tips/<tip>/refer/back               referral.send_back
POST /tips/<tip>/release                  queue.give_back
POST /tips/<tip>/reopen                   closing.reopen
GET /tips/<tip>/reply                     case.show_thread
POST /tips/<tip>/questions                case.ask_questions
POST /tips/<tip>/reply                    case.send_reply
POST /tips/<tip>/reply/ready              thread.put_ready_text
GET /tips/<tip>/reword                    rewording.show
POST /tips/<tip>/reword                   rewording.save
POST /tips/<tip>/reword/watch             rewording.watch
POST /tips/<tip>/silent                   case.set_silent
POST /tips/<tip>/status/hold              case.hold_status
POST /tips/<tip>/translation              case.save_translation
POST /tips/<tip>/withdrawal               case.answer_request
POST /tips/<tip>/typed                    typed.keep
POST /tips/<tip>/typed/discard            typed.discard
POST /tips/<tip>/translator               referral.hand_to_translator
GET /who                                  session.choose_handler
POST /who                                 session.set_handler
"""


def test_the_desk_has_these_addresses_and_no_others(browser):
    """Each address, its method and its view stand in this table, so that none comes or goes unseen."""
    rules = {
        (method, rule.rule, rule.endpoint)
        for rule in browser.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert rules == {tuple(line.split()) for line in ROUTES.strip().splitlines()}


def test_every_address_but_the_link_asks_for_a_session(browser, one):
    """Without the cookie no address shows a page, changes a case or answers anything but a refusal (ASVS 8.2.1)."""
    stranger = browser.app.test_client()
    for line in ROUTES.strip().splitlines():
        method, rule, _ = line.split()
        if rule.startswith("/enter/"):
            continue
        path = re.sub(r"<int:\w+>", "1", rule).replace("<tip>", one).replace("<name>", "intake")
        answer = stranger.open(browser.path(path), method=method, base_url=ORIGIN, headers={"Origin": ORIGIN})
        assert answer.status_code == 403, path
        assert "session has ended" in answer.text
