"""A form that is sent twice: one tip, and both answers show the same receipt code, or say that they cannot."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from unittest.mock import patch

import pytest

from app.core.errors import BusyError
from app.delivery.outbox import Outbox
from app.delivery.receipt_codes import DerivationQueue, ReceiptCode, derive_keys
from app.vault.age_open import unseal
from app.vault.keys import DEMONSTRATION
from app.vault.tip_bundles import read_words
from tests.support.visit import open_site


class Clock:
    """A clock that a test puts forward."""

    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def site(tmp_path, clock):
    limits = {"LIMITS_PER_ADDRESS": "1000/hour"}
    return open_site(tmp_path, ("en",), clock=clock, REPORT_MIN_FILL="0s", **limits)


def hidden(page):
    return {e.attrs["name"]: e.attrs["value"] for e in page.document.all("input") if e.attrs["type"] == "hidden"}


def first_page(site, **answers):
    """The fields of a form as a person has filled it in."""
    token = site.get("/en/report").document.one("input", name="csrf_token").attrs["value"]
    return {"csrf_token": token, "what": "typed with care", "reply": "yes", **answers}


def look(site, **answers):
    return hidden(site.post("/en/report", {**first_page(site, **answers), "step": "check"}))


def send(site, fields):
    return site.post("/en/report", {**fields, "step": "send"})


def hold(site):
    """The fields of the page that holds a tip with a file."""
    page = site.post("/en/report", {**look(site), "step": "send", "files": (BytesIO(b"a note"), "a.txt")})
    assert page.document.one("h1").text == "Not sent yet"
    return hidden(page)


def code_on(page):
    return page.document.one("output", id="receipt-code").text


def envelopes(site):
    """The ids that were put into the outbox as words of tips, with the words."""
    found = []
    put = Outbox.put

    def noting(self, envelopes, **values):
        put(self, envelopes, **values)
        found.extend(envelopes[:1])

    return found, patch.object(Outbox, "put", noting)


def test_the_second_press_shows_the_same_code(site):
    """One tip is sent, under the code that both answers show, and the second says that nothing was sent again."""
    fields = look(site)
    found, noted = envelopes(site)
    with noted:
        answers = [send(site, fields) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 409, 409]
    code = code_on(answers[0])
    assert [code_on(answer) for answer in answers] == [code] * 3
    (words,) = found
    tip = read_words(unseal(words.data, [DEMONSTRATION])).tip
    assert (tip.reply.locator, tip.id) == (derive_keys(ReceiptCode(code)).locator, words.id)
    assert "Your report was not sent again." in answers[1].text
    assert "We cannot show you the code again" not in answers[1].text


def test_two_presses_at_the_same_moment_show_the_same_code(site):
    """Eight presses at once: one is answered 200, the others 409, and all of them show the one code."""
    fields, start = look(site), threading.Barrier(8)

    def press(_):
        start.wait()
        return send(site, fields)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(press, range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7
    assert len({code_on(answer) for answer in answers}) == 1


def test_a_held_report_shows_the_same_code_at_every_press(site):
    """Confirmed twice, then destroyed: the report was sent, and each answer shows its code."""
    fields = hold(site)
    answers = [site.post("/en/report", {**fields, "step": step}) for step in ("confirm", "confirm", "discard")]
    assert [answer.status for answer in answers] == [200, 409, 409]
    assert len({code_on(answer) for answer in answers}) == 1


def test_a_first_page_that_is_sent_again_leads_to_the_same_code(site):
    """After a press of the phone's Back the first page is sent again: its look before sending has the same code."""
    typed = first_page(site)
    first = send(site, hidden(site.post("/en/report", {**typed, "step": "check"})))
    second = send(site, hidden(site.post("/en/report", {**typed, "step": "check"})))
    assert (first.status, second.status) == (200, 409)
    assert code_on(first) == code_on(second)


def test_a_code_that_was_never_given_is_not_shown(site):
    """A form sent without a code and pressed again with one, or under another secret, shows none: nobody knows it."""
    fields = look(site, reply="")
    assert send(site, {**fields, "reply": ""}).status == 200
    asked_late = send(site, {**fields, "reply": "yes"})
    other = look(site)
    assert send(site, other).status == 200
    elsewhere = send(site, {**other, "code": "0" * 32})
    for answer in (asked_late, elsewhere):
        assert answer.status == 409
        assert 'id="receipt-code"' not in answer.text
        assert "We cannot show you the code again" in answer.text


def test_hours_later_the_same_form_shows_the_same_code(site, clock):
    """While its tip waits nothing is sent again; once the tip has left, the form is sent again, under the same code."""
    fields = look(site)
    found, noted = envelopes(site)
    with noted:
        first = send(site, fields)
        clock.now += 2 * 3600
        waiting = send(site, fields)
        Outbox(site.prerendered.config.outbox_url).settle(found[0].id)
        left = send(site, fields)
    assert [answer.status for answer in (first, waiting, left)] == [200, 409, 200]
    assert len({code_on(answer) for answer in (first, waiting, left)}) == 1
    assert [each.id for each in found] == [found[0].id] * 2


def test_where_nothing_is_known_just_now_no_line_says_not_sent(site):
    """A second press that finds no place for its code: 503, the words stay, and it can be pressed again."""
    fields = look(site)
    first = send(site, fields)
    with patch.object(DerivationQueue, "derive", side_effect=BusyError):
        answer = send(site, fields)
    assert answer.status == 503
    assert hidden(answer)["code"] == fields["code"]
    said = answer.document.html.lower()
    assert not any(words in said for words in ("not sent", "nothing has been sent", "nothing was sent"))
    assert code_on(send(site, fields)) == code_on(first)


def test_over_the_limit_a_second_press_shows_the_code(tmp_path):
    """Whoever pressed twice and has no more places hears that the report was sent, with its code."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s", LIMITS_PER_ADDRESS="1/hour", SERVER_WORKERS="1")
    fields = look(site)
    first, second = send(site, fields), send(site, fields)
    assert (first.status, second.status) == (200, 409)
    assert code_on(first) == code_on(second)


def test_presses_of_a_sent_form_cost_little_and_end_at_a_limit(tmp_path):
    """A sent form that comes again derives at most six codes where one tip an hour is allowed, and cleans no file."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s", LIMITS_PER_ADDRESS="1/hour", SERVER_WORKERS="1")
    fields = look(site)
    assert send(site, fields).status == 200
    with patch.object(DerivationQueue, "derive", side_effect=derive_keys) as derive:
        answers = [send(site, fields) for _ in range(12)]
        with_file = site.post("/en/report", {**fields, "step": "send", "files": (BytesIO(b"a note"), "a.txt")})
    assert derive.call_count <= 6
    assert {answer.status for answer in (*answers, with_file)} <= {409, 429}
    assert not any("not sent" in answer.document.html.lower() for answer in answers if answer.status == 429)
