"""Coming back with a receipt code: an answer goes the way of a first tip, and an error names its field."""

from unittest.mock import patch

import pytest

from app.core.errors import OutboxError
from app.delivery.outbox import Outbox
from app.delivery.receipt_codes import new_code
from app.vault.age_open import unseal
from app.vault.keys import DEMONSTRATION
from app.vault.tip_bundles import read_words
from tests.support.visit import open_site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site in this process, shared by tests that send few replies."""
    limits = {"LIMITS_PER_ADDRESS": "1000/hour", "LIMITS_TOTAL": "1000/hour"}
    return open_site(tmp_path_factory.mktemp("site"), ("en",), REPORT_MIN_FILL="0s", **limits)


def press(site, step, **fields):
    """The page after a button of `/reply` was pressed."""
    token = site.get("/en/reply").document.one("input", name="csrf_token").attrs["value"]
    return site.post("/en/reply", {"csrf_token": token, "step": step, **fields})


def linked(answer):
    """The fields to which the error summary leads."""
    summary = answer.document.one("div", id="errors")
    return [link.attrs["href"] for link in answer.document.all("a") if link.within("div") is summary]


@pytest.mark.parametrize("step", ["read", "answer", "done"])
def test_what_is_no_code_is_asked_for_again(site, step):
    """422, and an error summary that leads to the field of the code."""
    answer = press(site, step, code="not eight words", what="More.")
    assert (answer.status, linked(answer)) == (422, ["#code"])
    assert answer.document.one("title").text.startswith("There is a problem")


def test_a_guess_looks_like_a_code_without_a_reply(site):
    """Any eight words are answered 200, and the page says that there is no reply."""
    answer = press(site, "read", code=new_code())
    assert answer.status == 200
    assert "There is no reply for this code" in answer.text


def test_an_answer_is_sealed_like_a_first_tip(site):
    """The outbox gets one envelope, whose tip names the locator that it answers, and can be answered there again."""
    with patch.object(Outbox, "put") as put:
        answer = press(site, "answer", code=new_code(), what="They moved to a farm.")
    (envelope,) = put.call_args.args[0]
    tip = read_words(unseal(envelope.data, [DEMONSTRATION])).tip
    assert answer.status == 200
    assert dict(tip.answers) == {"what": "They moved to a farm."}
    assert tip.answers_to
    assert tip.reply.locator == tip.answers_to


def test_the_same_answer_is_sent_once(site):
    """A form that comes back a second time is answered 409, and nothing is sent again."""
    token = site.get("/en/reply").document.one("input", name="csrf_token").attrs["value"]
    form = {"csrf_token": token, "step": "answer", "code": new_code(), "what": "They moved."}
    assert [site.post("/en/reply", form).status for _ in range(2)] == [200, 409]


@pytest.mark.parametrize(("what", "status"), [("", 422), ("x" * 10_001, 422)])
def test_an_answer_that_cannot_be_sent_says_so_at_its_field(site, what, status):
    """The page with the replies comes again, its error summary leads to the answer, and what was typed is kept."""
    answer = press(site, "answer", code=new_code(), what=what)
    assert (answer.status, linked(answer)) == (status, ["#what"])
    assert answer.document.one("textarea", name="what").text == what


def test_an_answer_is_not_called_sent_without_the_outbox(site):
    """Where the outbox cannot keep the envelope the page is 503, says "not sent", and keeps the words."""
    with patch.object(Outbox, "put", side_effect=OutboxError):
        answer = press(site, "answer", code=new_code(), what="They moved.")
    assert (answer.status, linked(answer)) == (503, ["#what"])
    assert answer.document.one("textarea", name="what").text == "They moved."
