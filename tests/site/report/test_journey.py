"""An answer under a receipt code goes through the steps of a report: look, files, changes, send, confirm, discard."""

import re
from base64 import b64decode
from io import BytesIO
from unittest.mock import patch

import pytest
from PIL import Image

from app.delivery.leases import Leases
from app.delivery.outbox import Outbox
from app.delivery.receipt_codes import DerivationQueue, derive_keys, new_code
from app.site.report.journey import ANSWER
from app.site.report.responses import COVER_BYTES, WITH_FILES_BYTES
from app.vault.age_open import unseal
from app.vault.keys import DEMONSTRATION
from app.vault.part import read_part
from app.vault.tip_bundles import from_bundles, read_words
from tests.support.paths import ROOT
from tests.support.visit import open_site

NOTE = b"Call me on 021 555 0199."
WORDS = "They moved to a farm."
FEW = {"LIMITS_PER_ADDRESS": "2/hour", "SERVER_WORKERS": "1"}


def hidden(page):
    """The hidden fields of the form on a page, with all values of each name."""
    fields = {}
    for each in page.document.all("input", type="hidden"):
        fields.setdefault(each.attrs["name"], []).append(each.attrs["value"])
    return fields


def begin(site, what=WORDS, code=None, path="/en/reply", step="answer", **more):
    """The look before sending, of an answer, or of a report."""
    fields = {"csrf_token": hidden(site.get(path))["csrf_token"], "what": what, "step": step, **more}
    return site.post(path, fields if path == "/en/report" else {**fields, "code": code or new_code()})


def go_on(site, page, step, path="/en/reply", **fields):
    """The page after a button of the form on a page was pressed."""
    return site.post(path, {**hidden(page), "step": step, **fields})


def hold(site, page, *files, path="/en/reply"):
    """The page of a held tip with these files, each a name and its bytes."""
    return site.post(path, {**hidden(page), "step": "send", "files": [(BytesIO(data), name) for name, data in files]})


def photo():
    target = BytesIO()
    Image.new("RGB", (640, 480), (200, 30, 30)).save(target, "JPEG")
    return target.getvalue()


def length(page):
    return len(page.response.get_data())


def answers_in_outbox(site):
    """Every tip of the outbox that is an answer, with its files."""
    config = site.prerendered.config
    leases = Leases(Outbox(config.outbox_url).database)
    bundles = [unseal(leases.load(one), [DEMONSTRATION]) for one in leases.waiting(config.intake.id)]
    words = [read_words(each) for each in bundles if b"tip.json" in each[:60]]
    parts = [read_part(each) for each in bundles if b"part.json" in each[:60]]
    answers = [each for each in words if each.tip.answers_to]
    return [from_bundles(each, [part for part in parts if part.tip == each.tip.id]) for each in answers]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return open_site(tmp_path_factory.mktemp("site"), ("en",), REPORT_MIN_FILL="0s", LIMITS_PER_ADDRESS="1000/hour")


def test_an_answer_with_files_is_looked_at_changed_and_sent(tmp_path):
    """A photograph and a text are held; boxes are painted, words taken out, time added; one derivation in all."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s", LIMITS_PER_ADDRESS="1000/hour")
    code = new_code()
    with patch.object(DerivationQueue, "derive", autospec=True, side_effect=DerivationQueue.derive) as derive:
        held = hold(site, begin(site, code=code, seen="a" * 64), ("a.jpg", photo()), ("n.txt", NOTE))
        assert (held.status, held.document.one("h1").text) == (200, "Not sent yet")
        assert answers_in_outbox(site) == []
        cover = go_on(site, held, "cover:1")
        painted = go_on(site, cover, "paint:1:0", box=["0-0", "0-1"])
        box = painted.document.one("input", name="cut").attrs["value"]
        cut = go_on(site, painted, "cut", cut=box)
        extended = go_on(site, cut, "extend")
        sent = go_on(site, extended, "confirm")
        assert derive.call_count == 1
    assert [length(page) for page in (held, painted, cut, extended, sent)] == [WITH_FILES_BYTES] * 5
    assert length(cover) == COVER_BYTES
    assert (sent.status, hidden(sent)["code"], hidden(sent)["seen"]) == (200, [code], ["a" * 64])
    (tip,) = answers_in_outbox(site)
    assert (tip.answers_to, tip.reply.locator, tip.number) == (*[derive_keys(code).locator] * 2, 1)
    assert dict(tip.answers) == {"what": WORDS}
    picture, note = tip.files
    assert max(Image.open(BytesIO(picture.data)).getpixel((5, 5))) < 30
    assert b"0199" not in note.data
    thumbnail = painted.document.one("img").attrs["src"].removeprefix("data:image/jpeg;base64,")
    assert max(Image.open(BytesIO(b64decode(thumbnail))).getpixel((2, 2))) < 60
    assert go_on(site, held, "confirm").status == 409


def test_a_held_answer_is_destroyed_or_changed_as_a_report_is(site):
    """The button that deletes sends nothing, ever; the one that goes back shows the words and the code."""
    code = new_code()
    held = hold(site, begin(site, code=code), ("n.txt", NOTE))
    again = go_on(site, held, "edit")
    assert (again.document.one("textarea", name="what").text, hidden(again)["code"]) == (WORDS, [code])
    with patch.object(Outbox, "put") as put:
        assert go_on(site, held, "discard").document.one("h1").text == "We deleted your answer. Nothing was sent."
        late = go_on(site, held, "confirm")
    assert not put.called
    assert (late.status, hidden(late)["what"], hidden(late)["code"]) == (410, [WORDS], [code])
    assert "Your answer and its files have been deleted" in late.text


def test_each_step_of_a_held_answer_asks_for_origin_and_token(site):
    """Without a token of ours, or from elsewhere, nothing happens to the answer, and its page comes again."""
    held = hold(site, begin(site), ("n.txt", NOTE))
    for step in ("confirm", "discard", "extend", "look", "cut"):
        forged = go_on(site, held, step, csrf_token="forged")
        foreign = site.post("/en/reply", {**hidden(held), "step": step}, Sec_Fetch_Site="cross-site")
        trapped = go_on(site, held, step, website="x")
        assert [page.status for page in (forged, foreign, trapped)] == [400, 403, 400]
        assert {page.document.one("h1").text for page in (forged, foreign, trapped)} == {"Not sent yet"}
        assert {length(page) for page in (forged, foreign, trapped)} == {WITH_FILES_BYTES}
    assert go_on(site, held, "confirm").status == 200


def test_no_length_says_whether_a_report_or_an_answer_is_sent(site):
    """Each step of an answer, with and without files, is answered with as many bytes as the same step of a report."""
    lengths = {}
    for path, step in (("/en/reply", "answer"), ("/en/report", "check")):
        look = begin(site, path=path, step=step)
        pages = [
            look,
            go_on(site, look, "edit", path),
            go_on(site, look, "send", path),
            go_on(site, look, "send", path),
        ]
        look = begin(site, path=path, step=step)
        held = hold(site, look, ("a.jpg", photo()), ("n.txt", NOTE), path=path)
        pages += [look, held]
        steps = ("look", "cover:1", "blur:1", "extend", "cut", "edit", "discard", "confirm")
        pages += [go_on(site, held, each, path) for each in steps]
        pages += [hold(site, begin(site, path=path, step=step), ("bad.bin", bytes(10)), path=path)]
        lengths[path] = [(page.status, length(page)) for page in pages]
    assert lengths["/en/reply"] == lengths["/en/report"]
    assert {each for _, each in lengths["/en/reply"]} == {64 * 1024, WITH_FILES_BYTES, COVER_BYTES}


def test_answers_take_of_the_looks_and_tips_of_a_network(tmp_path):
    """Two answers may be sent and no third; its words come back, with when to try again; reading has its own share."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s", **FEW)
    looks = [begin(site) for _ in range(3)]
    assert [go_on(site, look, "send").status for look in looks] == [200, 200, 429]
    over = go_on(site, looks[2], "send")
    assert (over.status, over.document.one("textarea", name="what").text) == (429, WORDS)
    assert 1 <= int(over.headers["Retry-After"]) <= 3600
    assert begin(site, path="/en/report", step="send").status == 429
    assert begin(site, step="read").status == 200
    statuses = [begin(site).status for _ in range(15)]
    assert {200, 429} == set(statuses)


def test_past_the_agency_s_day_no_answer_is_looked_at_or_sent(tmp_path):
    """503, nothing was sent, and the words and the code are still there."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s", AGENCY_EXAMPLE_EXPIRES="2020-01-01")
    code = new_code()
    for step in ("answer", "send"):
        page = begin(site, code=code, step=step)
        assert (page.status, page.document.one("textarea", name="what").text) == (503, WORDS)
        assert hidden(page)["code"] == [code]
        assert "nothing was sent" in page.text


def test_every_sentence_that_a_page_asks_a_journey_for_has_one_for_answers():
    """Each sentence in `journey.say` of a template stands in the list of the answer's sentences, and speaks of one."""
    asked = set()
    for path in (ROOT / "app/site/templates").rglob("*.html"):
        asked |= set(re.findall(r"journey\.say\('([^']+)'\)", path.read_text()))
    assert len(asked) > 8
    assert asked <= ANSWER.sentences.keys()
    for report, answer in ANSWER.sentences.items():
        assert "report" in report
        assert "report" not in answer
        assert answer == report.replace("report", "answer")


def test_no_page_of_an_answer_calls_the_answer_a_report(site):
    """The look, the held tip and its ends have no sentence of a report in place of the sentence of an answer."""
    look = begin(site)
    held = hold(site, look, ("a.jpg", photo()), ("n.txt", NOTE))
    pages = [look, held, *(go_on(site, held, each) for each in ("cover:1", "extend", "edit", "discard", "confirm"))]
    pages += [go_on(site, look, "send"), go_on(site, look, "send")]
    said = "".join(page.text for page in pages)
    assert [report for report in ANSWER.sentences if report.partition("%")[0] in said] == []
    assert sum(answer.partition("%")[0] in said for answer in ANSWER.sentences.values()) >= 8
