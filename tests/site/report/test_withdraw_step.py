"""Taking a report back by its code: destroyed before it leaves, asked for afterwards, and a guess learns nothing."""

import time
from unittest.mock import patch

import pytest
from sqlalchemy import select

from app.core.errors import OutboxError
from app.delivery.database import Database
from app.delivery.leases import Leases
from app.delivery.outbox import Outbox
from app.delivery.receipt_codes import DerivationQueue, derive_keys, new_code, parse_code
from app.delivery.schema import blobs, cells, spares
from app.site.agencies import AgencyConfig
from app.vault.age_open import unseal
from app.vault.keys import new_identity, recipient_of
from app.vault.tip_bundles import read_words
from tests.support.two_agencies import FIRST, SECOND, TwoAgencies
from tests.support.visit import KNOWN, open_site

WHAT = "They lock the door of the flat at night."


IDENTITY = new_identity()
REAL = {
    "SITE_DEMO": "false",
    "SITE_BASE_URL": "https://example.org",
    "AGENCY_EXAMPLE_NAME": "An agency",
    "AGENCY_EXAMPLE_RECIPIENTS": recipient_of(IDENTITY),
    "REPORT_MIN_FILL": "0s",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site in this process that is no demonstration, in every language."""
    return open_site(tmp_path_factory.mktemp("site"), tuple(KNOWN), LIMITS_PER_ADDRESS="9999/hour", **REAL)


@pytest.fixture
def database(site):
    found = Database(site.prerendered.config.outbox_url)
    yield found
    found.close()


def send(site, what=WHAT):
    """The code of a report that was sent without files."""
    form = site.get("/en/report")
    look = site.post("/en/report", {**hidden(form), "what": what, "reply": "yes", "step": "check"})
    sent = site.post("/en/report", {**hidden(look), "step": "send"})
    return sent.document.one("output", id="receipt-code").text


def press(site, step, lang="en", **fields):
    """The page after a button of `/reply` was pressed."""
    token = site.get(f"/{lang}/reply").document.one("input", name="csrf_token").attrs["value"]
    return site.post(f"/{lang}/reply", {"csrf_token": token, "step": step, **fields})


def hidden(answer):
    """The hidden fields of the form on a page."""
    fields = [one for one in answer.document.all("input", type="hidden") if one.within("main")]
    return {one.attrs["name"]: one.attrs["value"] for one in fields}


def go_on(site, answer, step, **fields):
    """The page after a button of the form on a page was pressed."""
    return site.post(answer.path, {**hidden(answer), "step": step, **fields})


def take_back(site, code):
    """The page that asks once more, and the page after its button was pressed."""
    asked = press(site, "withdraw", code=code)
    return asked, go_on(site, asked, "withdraw")


def title(answer):
    return answer.document.one("h1").text


def tips(database):
    """What the outbox holds, opened, but for decoys."""
    with database.read() as connection:
        ids = connection.execute(select(cells.c.id)).scalars().all()
    opened = [read_words(unseal(database.read_blob(each.encode(), blobs, spares), [IDENTITY])).tip for each in ids]
    return [tip for tip in opened if not tip.decoy]


def leave(database, tip):
    """A forwarder takes the tip in hand."""
    leases = Leases(database)
    assert leases.begin(leases.acquire_lease(time.time(), seconds=100), tip)


def test_the_page_asks_once_more_and_has_a_way_back(site, database):
    """The first press changes and derives nothing; its page says what follows, and has a way back to the replies."""
    code = send(site)
    before = tips(database)
    with patch.object(DerivationQueue, "derive") as derive:
        asked = press(site, "withdraw", code=code)
    assert (asked.status, title(asked)) == (200, "Take your report back?")
    assert not derive.called
    assert tips(database) == before
    buttons = [each for each in asked.document.all("button") if each.within("main")]
    assert [each.text for each in buttons] == ["Take my report back", "Check for a reply"]
    back = go_on(site, asked, "read")
    assert (back.status, title(back)) == (200, "There is no reply for this code")
    assert tips(database) == before
    assert "we will destroy your report" in asked.text
    assert "must answer" in asked.text


def test_a_report_that_has_not_left_is_destroyed_and_that_is_said(site, database):
    """No envelope of the report is in the outbox any more, none was added, and the page says so."""
    code = send(site, "Destroy this one.")
    before = len(tips(database))
    _, done = take_back(site, code)
    assert (done.status, title(done)) == (200, "We destroyed your report. Your report never left this site.")
    assert len(tips(database)) == before - 1
    assert all(tip.answers.get("what") != "Destroy this one." for tip in tips(database))
    assert "What you sent later with the same code may still reach the agency" in done.text
    assert "Write a new report" in [each.text for each in done.document.all("a", href="/en/report")]


def test_a_report_that_has_left_is_asked_back_by_a_sealed_answer(site, database):
    """The report stays as it is; an answer without words asks the agency, under the locator of the code."""
    code = send(site)
    keys = derive_keys(code)
    leave(database, keys.envelope_id(0))
    before = tips(database)
    _, done = take_back(site, code)
    assert (done.status, title(done)) == (200, "We asked the agency not to pass your report on")
    (request,) = [tip for tip in tips(database) if tip not in before]
    assert (request.withdraw, dict(request.answers), request.answers_to) == (True, {}, keys.locator)
    assert (request.reply.key, request.reply.locator) == (keys.reply_key, keys.locator)
    assert "Come back with your code in some days" in done.text


def test_a_code_that_has_nothing_looks_like_one_whose_report_has_left(site, database):
    """The two pages are the same to the byte but for what is random, and both put one envelope and derive once."""
    left = send(site)
    leave(database, derive_keys(left).envelope_id(0))
    pages, counts = [], []
    for code in (left, new_code()):
        asked = press(site, "withdraw", code=code)
        before = len(tips(database))
        with patch.object(DerivationQueue, "derive", side_effect=derive_keys) as derive:
            done = go_on(site, asked, "withdraw")
        counts.append((derive.call_count, len(tips(database)) - before))
        pages.append((done.status, done.text, len(done.response.get_data())))
    assert pages[0] == pages[1]
    assert counts == [(1, 1), (1, 1)]


def test_a_second_press_says_what_the_first_one_did_and_asks_once(site, database):
    """Pressed twice, one button never says that a destroyed report has left, and never asks the agency twice."""
    code = send(site)
    asked = press(site, "withdraw", code=code)
    before = len(tips(database))
    assert go_on(site, asked, "withdraw").status == 200
    again = go_on(site, asked, "withdraw")
    assert title(again) == "We destroyed the words of your report"
    assert len(tips(database)) == before - 1, "the agency is not asked"
    asked = press(site, "withdraw", code=new_code())
    pages = [go_on(site, asked, "withdraw").text for _ in range(3)]
    assert len(set(pages)) == 1
    assert len(tips(database)) == before


def test_after_an_answer_from_the_same_pages_the_agency_is_asked_all_the_same(site, database):
    """The page that asks has a form token of its own: an answer that was sent before does not count as the request."""
    code = new_code()
    replies = press(site, "read", code=code)
    look = go_on(site, replies, "answer", what="They moved.")
    go_on(site, look, "send")
    before = len(tips(database))
    asked = go_on(site, replies, "withdraw", what="")
    go_on(site, asked, "withdraw")
    assert len(tips(database)) == before + 1


@pytest.mark.parametrize("fault", ["origin", "token", "code"])
def test_nothing_is_destroyed_for_a_page_that_is_not_ours(site, database, fault):
    """Another site, a token that is none, and a code with a wrong word destroy nothing and derive nothing."""
    code = send(site)
    fields = hidden(press(site, "withdraw", code=code)) | {"step": "withdraw"}
    headers = {}
    if fault == "origin":
        headers = {"Origin": "https://example.net", "Sec-Fetch-Site": "cross-site"}
    elif fault == "token":
        fields["csrf_token"] = "x"
    else:
        fields["code"] = "abandon " * 8
    before = tips(database)
    with patch.object(DerivationQueue, "derive") as derive:
        answer = site.post("/en/reply", fields, **headers)
    assert answer.status in {400, 403, 422}
    assert not derive.called
    assert tips(database) == before


@pytest.mark.parametrize("at", ["replace_untried", "put"])
def test_a_fault_of_the_outbox_is_said_and_the_button_comes_again(site, database, at):
    """Where the outbox fails, the page does not say that anything was done, and the next press does it."""
    code = send(site) if at == "replace_untried" else new_code()
    asked = press(site, "withdraw", code=code)
    with patch.object(Outbox, at, side_effect=OutboxError("disk-full")):
        failed = go_on(site, asked, "withdraw")
    assert failed.status == 503
    assert "We could not take your report back. Please try again." in failed.text
    assert "Not sent" not in failed.text
    done = go_on(site, failed, "withdraw")
    assert done.status == 200


def test_a_closed_form_still_destroys_and_does_not_claim_to_have_asked(site, database):
    """With an expired key a report that waits is destroyed; one that has left is not asked back, and that is said."""
    waits, left = send(site), send(site)
    leave(database, derive_keys(left).envelope_id(0))
    before = len(tips(database))
    with patch.object(AgencyConfig, "is_closed", return_value=True):
        assert title(take_back(site, waits)[1]).startswith("We destroyed your report")
        refused = take_back(site, left)[1]
    assert (refused.status, title(refused)) == (503, "Take your report back?")
    assert "This form is closed" in refused.text
    assert len(tips(database)) == before - 1


def test_requests_have_the_limits_of_reports(tmp_path):
    """Beyond the share of an address a request is refused with the time to try again, and nothing is put."""
    site = open_site(tmp_path, ("en",), LIMITS_PER_ADDRESS="3/hour", **REAL)
    database = Database(site.prerendered.config.outbox_url)
    answers = [take_back(site, new_code())[1] for _ in range(8)]
    taken = [answer for answer in answers if answer.status == 200]
    assert len(taken) < 8
    assert len(tips(database)) == len(taken)
    refused = next(answer for answer in answers if answer.status != 200)
    assert refused.status == 429
    database.close()


@pytest.mark.parametrize("lang", KNOWN)
def test_both_pages_are_in_the_language_of_the_reader(site, lang):
    """In every language the page that asks, and the page after, say it in their own words, and each form has a way."""
    replies = press(site, "read", lang, code=send(site))
    asked = go_on(site, replies, "withdraw", what="")
    done = go_on(site, asked, "withdraw")
    titles = [title(asked), title(done)]
    english = ["Take your report back?", "We destroyed your report. Your report never left this site."]
    assert (titles == english) == (lang == "en")
    assert len(asked.response.get_data()) % 65_536 == 0
    assert len(done.response.get_data()) == len(asked.response.get_data())


@pytest.mark.parametrize("left_out", ["", FIRST])
def test_a_report_is_taken_back_from_the_agency_that_has_it_and_no_copy_of_the_disk_shows_which(tmp_path, left_out):
    """Of two agencies the one with the report loses it, or is asked; for both as many envelopes are new each time."""
    two = TwoAgencies(tmp_path)
    gets, other = (SECOND, FIRST) if left_out else (FIRST, SECOND)
    outbox = Outbox(two.site.prerendered.config.outbox_url)

    def ids():
        return {each: set(Leases(outbox.database).waiting(each)) for each in (FIRST, SECOND)}

    def new_since(before):
        return {each: len(now - before[each]) for each, now in ids().items()}

    def sent():
        form = two.site.get("/en/report")
        value = next(
            each.attrs["value"]
            for each in form.document.all("input", type="radio", name="without")
            if each.attrs["value"].rstrip(".") == left_out
        )
        look = two.post("/en/report", form, "check", what=WHAT, reply="yes", without=value)
        return two.post("/en/report", look, "send").document.one("output", id="receipt-code").text

    code = sent()
    assert two.texts(gets) == [WHAT]
    before = ids()
    assert title(take_back(two.site, code)[1]).startswith("We destroyed your report.")
    assert two.texts(gets) == []
    assert new_since(before) == {FIRST: 1, SECOND: 1}
    code = sent()
    leave(outbox.database, derive_keys(parse_code(code)).envelope_id(0))
    before = ids()
    take_back(two.site, code)
    assert [words.tip.withdraw for words in two.waiting(gets) if not words.tip.decoy] == [True]
    assert [words for words in two.waiting(other) if not words.tip.decoy] == []
    assert new_since(before) == {FIRST: 1, SECOND: 1}
    outbox.database.close()
