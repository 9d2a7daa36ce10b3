"""Coming back with a receipt code: an answer goes the way of a first tip, and an error names its field."""

import os
import time
from datetime import timedelta
from unittest.mock import patch

import pytest
from werkzeug.test import Client

from app.core.errors import BusyError, OutboxError, ReplyError
from app.delivery.clock import nz_day
from app.delivery.database import Database
from app.delivery.outbox import Outbox
from app.delivery.receipt_codes import DerivationQueue, derive_keys, new_code, parse_code
from app.delivery.reply_store import ReplyPost, ReplyStore
from app.site.report import forms
from app.vault.age_open import unseal
from app.vault.keys import DEMONSTRATION
from app.vault.reply import SEALED_BYTES, seal_reply
from app.vault.tip_bundles import read_words
from tests.support.visit import open_site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site in this process, shared by tests that send few replies."""
    limits = {"LIMITS_PER_ADDRESS": "1000/hour"}
    return open_site(tmp_path_factory.mktemp("site"), ("en",), REPORT_MIN_FILL="0s", **limits)


def press(site, step, **fields):
    """The page after a button of `/reply` was pressed."""
    token = site.get("/en/reply").document.one("input", name="csrf_token").attrs["value"]
    return site.post("/en/reply", {"csrf_token": token, "step": step, **fields})


def linked(answer):
    """The fields to which the error summary leads."""
    summary = answer.document.one("div", id="errors")
    return [link.attrs["href"] for link in answer.document.all("a") if link.within("div") is summary]


def hidden(answer):
    """The names and values of the hidden fields of the form on a page."""
    return [
        (field.attrs["name"], field.attrs["value"])
        for field in answer.document.all("input", type="hidden")
        if field.within("form").attrs["action"] != "/go"
    ]


def go_on(site, answer, step, **fields):
    """The page after a button of the form on a page was pressed."""
    carried = {}
    for name, value in hidden(answer):
        carried.setdefault(name, []).append(value)
    return site.post("/en/reply", {**carried, "step": step, **fields})


@pytest.mark.parametrize("step", ["read", "answer", "send", "done"])
def test_what_is_no_code_is_asked_for_again(site, step):
    """422, and an error summary that leads to the field of the code."""
    answer = press(site, step, code="not eight words", what="More.")
    assert (answer.status, linked(answer)) == (422, ["#code"])
    title = answer.document.one("title").text
    assert title.startswith("Not sent" if step in ("answer", "send") else "There is a problem")


@pytest.mark.parametrize("step", ["read", "answer", "send", "done"])
def test_a_code_with_a_wrong_word_is_not_answered(site, step):
    """No answer is taken, and nothing derived, under a code of which a word was written down wrongly."""
    words = new_code().split()
    typed = next(
        wrong for at in range(8) if not _is_code(wrong := " ".join([*words[:at], *words[at + 1 :], words[at]]))
    )
    with patch.object(Outbox, "put") as put, patch.object(DerivationQueue, "derive") as derive:
        answer = press(site, step, code=typed, what="More.")
    assert (answer.status, linked(answer)) == (422, ["#code"])
    assert not put.called
    assert not derive.called


def test_a_wrong_word_is_named_at_its_field(site):
    """The page names the word and the one that was meant, escaped, and gives back what was typed."""
    typed = "onlin ability able about above absent absorb <b>bananas"
    with patch.object(DerivationQueue, "derive") as derive:
        answer = press(site, "read", code=typed)
    error = answer.document.one("div", id="code-error").text
    assert (answer.status, linked(answer), derive.called) == (422, ["#code"], False)
    assert "“onlin” is not a word of a receipt code. Did you mean one of these: online" in error
    assert "“bananas” is not a word of a receipt code. Did you mean one of these: banana" in error
    field = answer.document.one("textarea", id="code")
    assert (field.text, field.attrs["aria-describedby"]) == (typed, "code-hint code-error")
    assert "<b>bananas" not in answer.document.html


def test_words_in_the_wrong_order_are_told(site):
    """Eight words of the list that are no code: one is wrong, or two are in the wrong order."""
    answer = press(site, "read", code="ability abandon able about above absent absorb banana")
    assert "two of them are in the wrong order" in answer.document.one("div", id="code-error").text


def _is_code(typed):
    try:
        return bool(parse_code(typed))
    except ReplyError:
        return False


def test_a_guess_looks_like_a_code_without_a_reply(site):
    """A code that nobody was given is answered 200, and the page says that there is no reply."""
    answer = press(site, "read", code=new_code())
    assert answer.status == 200
    assert "There is no reply for this code" in answer.text


def test_an_answer_is_looked_at_before_it_is_sealed_like_a_first_tip(site):
    """The look costs no derivation and puts nothing; Send puts one envelope, whose tip names the locator it answers."""
    code = new_code()
    with patch.object(Outbox, "put") as put, patch.object(DerivationQueue, "derive") as derive:
        look = press(site, "answer", code=code, what="They moved to a farm.")
    assert (look.status, look.document.one("h1").text) == (200, "Check your answer before you send it")
    assert not put.called
    assert not derive.called
    with patch.object(Outbox, "put") as put:
        answer = go_on(site, look, "send")
    (envelope,) = put.call_args.args[0]
    tip = read_words(unseal(envelope.data, [DEMONSTRATION])).tip
    steps = [button.attrs["value"] for button in answer.document.all("button", name="step")]
    assert (answer.status, steps) == (200, ["read"]), "more can be sent, and there is no reply to delete"
    assert answer.document.one("h1").text == "This was a demonstration. Nothing was sent to anyone."
    assert dict(tip.answers) == {"what": "They moved to a farm."}
    assert tip.answers_to == derive_keys(code).locator
    assert tip.reply.locator == tip.answers_to


def test_words_that_may_name_the_sender_of_an_answer_can_be_taken_out(site):
    """The look offers a box for a phone number in an answer; with the box ticked, the tip does not hold the number."""
    look = press(site, "answer", code=new_code(), what="Call me on 021 555 0199 tonight.")
    (box,) = (field.attrs["value"] for field in look.document.all("input", name="remove"))
    with patch.object(Outbox, "put") as put:
        assert go_on(site, look, "send", remove=box).status == 200
    (envelope,) = put.call_args.args[0]
    said = read_words(unseal(envelope.data, [DEMONSTRATION])).tip.answers["what"]
    assert "0199" not in said
    assert "tonight" in said


def test_the_same_answer_is_sent_once(site):
    """A form that comes back a second time is answered 409, and nothing is sent again."""
    look = press(site, "answer", code=new_code(), what="They moved.")
    answers = [go_on(site, look, "send") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 409]
    assert answers[1].document.one("h1").text == "This was a demonstration. Nothing was sent to anyone."


@pytest.mark.parametrize(("what", "status"), [("", 422), ("x" * 10_001, 422)])
def test_an_answer_that_cannot_be_sent_says_so_at_its_field(site, what, status):
    """The page for the answer comes again, its error summary leads to the answer, and the words and code are kept."""
    code = new_code()
    for step in ("answer", "send"):
        answer = press(site, step, code=code, what=what)
        assert (answer.status, linked(answer)) == (status, ["#what"])
        assert answer.document.one("textarea", name="what").text == what
        assert ("code", code) in hidden(answer)


def test_an_answer_is_not_called_sent_without_the_outbox(site):
    """Where the outbox cannot keep the envelope the page is 503, says "not sent", keeps the words, and sends later."""
    look = press(site, "answer", code=new_code(), what="They moved.")
    with patch.object(Outbox, "put", side_effect=OutboxError):
        answer = go_on(site, look, "send")
    assert answer.status == 503
    assert "could not keep your answer safe" in answer.text
    assert ("what", "They moved.") in hidden(answer)
    assert go_on(site, answer, "send").status == 200


def test_an_answer_under_a_code_that_is_being_changed_keeps_its_words(site):
    """The button that goes back shows the words, the code and what may be deleted, for the same form."""
    code = new_code()
    look = press(site, "answer", code=code, what="They moved.", seen="a" * 64)
    again = go_on(site, look, "edit")
    assert (again.status, again.document.one("textarea", name="what").text) == (200, "They moved.")
    assert {("code", code), ("seen", "a" * 64)} <= {*hidden(again)}


def test_an_answer_that_is_being_typed_outlives_another_look_at_the_replies(site):
    """The page of an answer leads back to the replies, with the words; where they cannot be shown the words stay."""
    code = new_code()
    leave(site, derive_keys(code), letter(derive_keys(code), "Kia ora"))
    again = go_on(site, press(site, "answer", code=code, what="They moved."), "edit")
    back = go_on(site, again, "read", what="They moved away.")
    assert (shown(back), back.document.one("textarea", name="what").text) == (["Kia ora"], "They moved away.")
    for away in (
        patch.object(DerivationQueue, "derive", side_effect=BusyError),
        patch.object(ReplyStore, "fetch", side_effect=OutboxError("database-away")),
    ):
        with away:
            page = go_on(site, back, "read", what="They moved far away.")
        assert (page.status, page.document.one("textarea", name="what").text) == (503, "They moved far away.")
        assert ("code", code) in hidden(page)


def test_a_change_of_language_keeps_the_replies_the_code_and_the_words(tmp_path):
    """On the page of the replies each language is a button, which shows them again in that language."""
    site = open_site(tmp_path, ("en", "to"), REPORT_MIN_FILL="0s")
    code = new_code()
    leave(site, derive_keys(code), letter(derive_keys(code), "Kia ora"))
    page = press(site, "read", code=code)
    (button,) = page.document.all("button", lang="to")
    assert (button.attrs["form"], button.attrs["name"], button.attrs["value"]) == ("report", "step", "read")
    form = page.document.one("form", id="report")
    fields = {
        each.attrs["name"]: each.attrs["value"] for each in page.document.all("input") if each.within("form") is form
    }
    other = site.post(button.attrs["formaction"], {**fields, "what": "They moved.", "step": "read"})
    assert (other.status, other.path, shown(other)) == (200, "/to/reply", ["Kia ora"])
    assert other.document.one("textarea", name="what").text == "They moved."


def leave(site, keys, *sealed):
    """Keep sealed replies as a desk's posts are kept, all with one last day."""
    box = ReplyStore(Database(site.prerendered.config.outbox_url))
    now = time.time()
    for each in sealed:
        post = ReplyPost("intake", os.urandom(8).hex(), keys.locator, nz_day(now) + timedelta(90), each)
        box.store(post, now=now)


def letter(keys, text, **fields):
    return seal_reply({"kind": "message", "text": text, **fields}, keys.reply_key, keys.locator)


def digests(answer):
    """What the page that is shown may delete."""
    return {element.attrs["value"] for element in answer.document.all("input", name="seen")}


def shown(answer):
    return [element.text for element in answer.document.all("p", class_="quoted")]


def test_a_reply_that_does_not_open_hides_no_other(site):
    """Two replies are read beside one that does not open, and the page says that one could not be opened."""
    code = new_code()
    keys = derive_keys(code)
    leave(site, keys, letter(keys, "first"), os.urandom(SEALED_BYTES), letter(keys, "second"))
    answer = press(site, "read", code=code)
    assert (answer.status, sorted(shown(answer))) == (200, ["first", "second"])
    assert "could not be opened" in answer.text


def test_a_reply_that_alone_does_not_open_is_not_called_absent(site):
    """Where the only reply does not open, the page does not say that there is none."""
    code = new_code()
    leave(site, derive_keys(code), os.urandom(SEALED_BYTES))
    answer = press(site, "read", code=code)
    assert (answer.status, "There is no reply" in answer.text, "could not be opened" in answer.text) == (
        200,
        False,
        True,
    )


def test_a_damaged_reply_hides_no_other(site):
    """Where both copies of one reply are damaged on the disk, the other is read."""
    code = new_code()
    keys = derive_keys(code)
    leave(site, keys, letter(keys, "whole"), letter(keys, "damaged"))
    read = Database.read_blob
    damaged = []

    def read_damaged(database, name, *tables):
        if not damaged:
            damaged.append(name)
        if name in damaged:
            raise OutboxError("corrupt")
        return read(database, name, *tables)

    with patch.object(Database, "read_blob", read_damaged):
        answer = press(site, "read", code=code)
    assert len(shown(answer)) == 1
    assert "could not be opened" in answer.text


def test_replies_stand_in_the_order_in_which_they_were_written_with_their_days(site):
    """Twelve replies of three days come in the order of the thread, whatever their ids, each under its day."""
    code = new_code()
    keys = derive_keys(code)
    days = ["2026-11-09"] * 4 + ["2026-11-10"] * 4 + ["2026-12-01"] * 4
    letters = [letter(keys, f"number {n}", number=n, day=day) for n, day in enumerate(days)]
    leave(site, keys, *letters)
    answer = press(site, "read", code=code)
    assert shown(answer) == [f"number {n}" for n in range(12)]
    assert [element.attrs["datetime"] for element in answer.document.all("time")] == days
    assert answer.document.all("time")[0].text == "9 November 2026"


@pytest.mark.parametrize("fields", [{"day": "soon"}, {"day": None, "number": "x"}, {"number": True}, {}])
def test_a_reply_without_a_good_day_is_shown_all_the_same(site, fields):
    """What the desk left out, or wrote wrongly, costs the day and not the reply."""
    code = new_code()
    keys = derive_keys(code)
    leave(site, keys, letter(keys, "Kia ora", **fields))
    answer = press(site, "read", code=code)
    assert (shown(answer), answer.document.all("time")) == (["Kia ora"], [])


def test_a_reply_that_came_after_the_page_is_not_deleted_unread(site):
    """The button that deletes takes what its page showed; a reply that came meanwhile is shown then."""
    code = new_code()
    keys = derive_keys(code)
    leave(site, keys, letter(keys, "early"))
    page = press(site, "read", code=code)
    seen = digests(page)
    leave(site, keys, letter(keys, "late"))
    answer = press(site, "done", code=code, seen=[*seen])
    assert (answer.document.one("h1").text, shown(answer)) == ("A reply for you", ["late"])
    assert digests(answer).isdisjoint(seen)
    assert (
        press(site, "done", code=code, seen=[*seen, *digests(answer)]).document.one("h1").text
        == "The reply has been deleted"
    )


def test_an_answer_keeps_what_may_be_deleted(site):
    """The page after an answer deletes the replies that were read before it, and no others."""
    code = new_code()
    keys = derive_keys(code)
    leave(site, keys, letter(keys, "early"))
    seen = digests(press(site, "read", code=code))
    answered = go_on(site, press(site, "answer", code=code, seen=[*seen], what="More."), "send")
    assert digests(answered) == seen


def test_a_database_that_is_away_is_not_called_a_report_that_was_not_sent(site):
    """Where the replies cannot be read, the page asks for the code again, 503, and speaks of no report."""
    with patch.object(ReplyStore, "fetch", side_effect=OutboxError("database-away")):
        answer = press(site, "read", code=new_code())
    assert (answer.status, linked(answer)) == (503, ["#code"])
    assert "Something went wrong" in answer.text
    assert "not sent" not in answer.text


def test_the_log_counts_no_visitor(site, caplog):
    """300 unsigned posts, wrong codes, guesses and double presses leave no line in the log."""
    client = Client(site.app, use_cookies=False)
    statuses = {
        client.post("/agency/replies", base_url=site.base, data=b"{}", headers={"Haumaru-Signature": "x"}).status_code
        for _ in range(300)
    }
    assert statuses == {403}
    token = site.get("/en/reply").document.one("input", name="csrf_token").attrs["value"]
    twice = {"csrf_token": token, "step": "send", "code": new_code(), "what": "They moved."}
    assert [site.post("/en/reply", twice).status for _ in range(2)] == [200, 409]
    assert press(site, "read", code="no code").status == 422
    assert press(site, "nonsense", code="no code").status == 400
    assert site.post("/en/reply", {"step": "read"}, Sec_Fetch_Site="cross-site").status == 403
    assert caplog.records == []


def test_an_answer_comes_back_with_its_words_whatever_was_refused(tmp_path):
    """From elsewhere, without a token, over the limit or under no code: the words stay, and a right code."""
    limits = {"LIMITS_PER_ADDRESS": "1/hour", "SERVER_WORKERS": "1"}
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s", **limits)
    code, words = new_code(), "They moved to a farm."
    token = site.get("/en/reply").document.one("input", name="csrf_token").attrs["value"]
    form = {"csrf_token": token, "step": "send", "code": code, "what": words}
    refused = [
        site.post("/en/reply", form, Sec_Fetch_Site="cross-site"),
        site.post("/en/reply", {**form, "csrf_token": "forged"}),
        site.post("/en/reply", {**form, "code": "no code"}),
        site.post("/en/reply", {**form, "what": words + " " * 600_000}),
    ]
    assert [answer.status for answer in refused] == [403, 400, 422, 413]
    for answer in refused:
        assert answer.document.one("textarea", name="what").text.strip() == words
        wrong = answer.status == 422
        kept = answer.document.one("textarea" if wrong else "input", name="code")
        assert (kept.text.strip() if wrong else kept.attrs["value"]) == ("no code" if wrong else code)
    assert site.post("/en/reply", form).status == 200
    form["csrf_token"] = site.get("/en/reply").document.one("input", name="csrf_token").attrs["value"]
    over = site.post("/en/reply", form)
    assert (over.status, over.document.one("textarea", name="what").text) == (429, words)


def test_no_word_of_an_answer_is_looked_at_before_origin_token_and_rate(site):
    """An answer from elsewhere, without a token or without a code costs no cleaning of its words."""
    with patch.object(forms, "clean_text") as clean:
        assert press(site, "answer", code="no code", what="x").status == 422
        assert site.post("/en/reply", {"step": "answer", "what": "x", "csrf_token": "forged"}).status == 400
    assert not clean.called
