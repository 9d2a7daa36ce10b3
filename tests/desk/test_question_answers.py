"""What goes back to an authority that asked: a redacted answer for it alone, or a refusal of one sentence."""

import json
import re
import subprocess

import pytest

from app.core.errors import OutboxError
from app.desk.authority_questions import put_to_sender, question_state
from app.desk.case_fields import QuestionState, RedactionDraft, State
from app.desk.envelopes import open_envelope_file
from app.desk.errors import RefusedError
from app.desk.question_answers import REFUSAL, begin_answer, decline_question, drop_refusal, send_refusal
from app.desk.release import decide_interrupted, prepare_referral, release_referral, send_referrals
from app.desk.seat import Role
from tests.support.desk import Browser, Office, receive, reply_to, tip
from tests.support.paths import BIN
from tests.support.questions import ask, referred
from tests.support.seats import SeatedDesk


def _answered(office, desk):
    """A question that was put to the sender, and the sender's answer, which Ana begins to redact."""
    case = referred(office, desk)
    asked = ask(office, desk, case)
    put_to_sender(desk.cases, desk.replies, desk.cases.get(case.id), "Ana", asked.id, untrusted_text="When?", ids=())
    later = office.drop(tip({"what": "Ray comes on Mondays, my sister said."}, answers_to=reply_to().locator))
    receive(desk)
    begun = begin_answer(desk.referral_context, case.id, "Ana", asked.id, later)
    return case, asked, begun


def _redacted(desk, begun, **changes):
    draft = RedactionDraft(
        terms=begun.draft.terms,
        summary="On Mondays.",
        question=begun.draft.question,
        looked=True,
        **{"authorities": begun.draft.authorities, **changes},
    )
    return desk.cases.redact(begun.id, "Ana", draft)


def _opened(office, authority="police"):
    return [
        open_envelope_file(path.name, path.read_bytes(), [office.police]).referral
        for path in office.referred(authority)
    ]


def test_an_answer_goes_redacted_to_the_authority_that_asked_and_says_to_which_question(office, desk):
    """What was taken out of the tip is taken out of the answer, and the signed answer names question and referral."""
    case, asked, begun = _answered(office, desk)
    assert (begun.draft.authorities, begun.draft.question) == (("police",), asked.id)
    assert "My sister" in begun.draft.terms
    police = desk.config.authorities["police"]
    send_referrals(_redacted(desk, begun), [police], desk.referral_context, "Ana")
    sent = desk.cases.get(begun.id).referrals[0]
    line = json.loads(sent.text)
    assert line["answers"] == {"reference": asked.reference, "question": asked.id}
    assert (line["purpose"], line["to"]) == ("answer", "Example Police")
    assert line["fields"]["what"] == "Ray comes on Mondays, [removed] said."
    assert desk.waiting_deliveries()["police"][0] == 2
    now = desk.cases.get(case.id)
    assert question_state(desk.cases, now, now.questions[0]) is QuestionState.ANSWERED
    assert desk.cases.get(begun.id).draft.question == ""


def test_an_answer_goes_to_nobody_else(office, desk):
    """Whatever authorities a draft names, an answer leaves for the one that asked alone."""
    _, _, begun = _answered(office, desk)
    both = _redacted(desk, begun, authorities=("police", "mbie"))
    parties = [desk.config.authorities[name] for name in ("police", "mbie")]
    for chosen in (parties, parties[1:]):
        with pytest.raises(RefusedError, match="question-other"):
            send_referrals(both, chosen, desk.referral_context, "Ana")
    assert desk.cases.get(begun.id).referrals == ()


def test_a_declined_question_is_not_answered_any_more(office, desk):
    """One handler redacts the answer while another declines the question: the answer is refused, and not sent."""
    case, asked, begun = _answered(office, desk)
    ready = _redacted(desk, begun)
    decline_question(desk.cases, case.id, "Ana", asked.id, "danger", wants_refusal=False)
    with pytest.raises(RefusedError, match="question-decided"):
        send_referrals(ready, [desk.config.authorities["police"]], desk.referral_context, "Ana")
    with pytest.raises(RefusedError, match="question-decided"):
        decline_question(desk.cases, case.id, "Ana", asked.id, "danger", wants_refusal=False)


def test_a_question_that_is_declined_while_its_answer_is_built_gets_no_answer(office, desk, monkeypatch):
    """The last look is under the lock of every change: who declines a moment before the answer leaves is heard."""
    case, asked, begun = _answered(office, desk)
    ready, change = _redacted(desk, begun), desk.cases.change

    def decline_first(tip_id, who, did, transition, **more):
        if did == "referred":
            monkeypatch.setattr(desk.cases, "change", change)
            decline_question(desk.cases, case.id, "Ana", asked.id, "danger", wants_refusal=False)
        return change(tip_id, who, did, transition, **more)

    monkeypatch.setattr(desk.cases, "change", decline_first)
    with pytest.raises(RefusedError, match="question-decided"):
        send_referrals(ready, [desk.config.authorities["police"]], desk.referral_context, "Ana")
    assert desk.cases.get(begun.id).referrals == ()
    assert desk.waiting_deliveries()["police"][0] == 1, "the first referral alone"


def test_only_who_works_on_the_tip_begins_an_answer_and_finds_an_answer_that_another_began(office, desk):
    """Ben does not work on the tip, so he begins nothing; once he has the tip, its page leads to what Ana holds."""
    case, asked, begun = _answered(office, desk)
    for source in (case.id, begun.id):
        with pytest.raises(RefusedError, match="claimed"):
            begin_answer(desk.referral_context, case.id, "Ben", asked.id, source)
    desk.cases.release(case.id, "Ben", force=True)
    desk.cases.claim(case.id, "Ben")
    page = Browser(desk, "Ben").get(f"/tips/{case.id}/asked/{asked.id}").text
    assert "Ana is working on this answer" in page


def test_two_people_release_an_answer_and_a_refusal(tmp_path):
    """With release = 2, nothing goes back to an authority that one person alone has looked at."""
    office = Office(tmp_path)
    with office.desk() as desk:
        case, asked, begun = _answered(office, desk)
        other = ask(office, desk, case)
    office.config.write_text(office.config.read_text().replace("release = 1", "release = 2"))
    with office.desk() as desk:
        context, police = desk.referral_context, desk.config.authorities["police"]
        waiting = prepare_referral(_redacted(desk, begun), context, "Ana")
        assert waiting.state is State.WAITING
        assert begun.id in [row.id for row in desk.queue.order()], "the second person finds the answer"
        with pytest.raises(RefusedError, match="same-person"):
            release_referral(waiting, [police], context, "Ana")
        release_referral(waiting, [police], context, "Ben")
        assert desk.cases.get(begun.id).referrals[0].question == asked.id
        declined = decline_question(desk.cases, case.id, "Ana", other.id, "danger", wants_refusal=True)
        with pytest.raises(RefusedError, match="same-person"):
            send_refusal(declined, police, other.id, context, "Ana", two_persons=True)
        done = send_refusal(desk.cases.get(case.id), police, other.id, context, "Ben", two_persons=True)
        assert (done.leaving, done.questions[1].wants_refusal) == ((), False)
        assert done.questions[1].refusal


def test_a_refusal_names_no_reason_and_is_no_referral_of_the_case(office, desk):
    """The authority reads one fixed sentence, whatever the reason; the case counts no referral more."""
    case = referred(office, desk)
    police, said = desk.config.authorities["police"], []
    for reason in ("no-way", "identity"):
        asked = ask(office, desk, case)
        declined = decline_question(desk.cases, case.id, "Ana", asked.id, reason, wants_refusal=True)
        done = send_refusal(declined, police, asked.id, desk.referral_context, "Ana", two_persons=False)
        said.append(done.questions[-1])
        with pytest.raises(RefusedError, match="question-decided"):
            send_refusal(done, police, asked.id, desk.referral_context, "Ana", two_persons=False)
    assert len(done.referrals) == 1
    desk.forwarder.run_once()
    refusals = [one for one in _opened(office) if one.purpose == "cannot-ask"]
    assert sorted(one.question for one in refusals) == sorted(one.id for one in said)
    assert {(one.summary, one.fields == {}, one.removed) for one in refusals} == {(REFUSAL, True, ())}


def test_a_refusal_that_could_not_leave_can_be_sent_again_or_dropped(office, desk, monkeypatch):
    """A full disk, or a desk killed meanwhile: the refusal counts as not sent, and waits for the handler."""
    case = referred(office, desk)
    asked, police = ask(office, desk, case), desk.config.authorities["police"]
    declined = decline_question(desk.cases, case.id, "Ana", asked.id, "danger", wants_refusal=True)
    put = desk.outbox.put
    for fault in (OutboxError("disk-full"), KeyboardInterrupt()):
        monkeypatch.setattr(desk.outbox, "put", lambda _, fault=fault: (_ for _ in ()).throw(fault))
        with pytest.raises(type(fault)):
            send_refusal(declined, police, asked.id, desk.referral_context, "Ana", two_persons=False)
        decide_interrupted(desk.referral_context)
        now = desk.cases.get(case.id)
        assert (now.leaving, now.questions[0].refusal, now.questions[0].wants_refusal) == ((), "", True)
        assert len(now.referrals) == 1, "the referral itself has left"
    monkeypatch.setattr(desk.outbox, "put", put)
    dropped = drop_refusal(desk.cases, case.id, "Ana", asked.id)
    assert not dropped.questions[0].wants_refusal
    with pytest.raises(RefusedError, match="question-decided"):
        send_refusal(dropped, police, asked.id, desk.referral_context, "Ana", two_persons=False)


def test_the_authority_reads_to_which_question_an_answer_belongs(office, desk, tmp_path):
    """`haumaru-desk open` and `verify` at the authority name the question, under the desk's signature."""
    _, asked, begun = _answered(office, desk)
    send_referrals(_redacted(desk, begun), [desk.config.authorities["police"]], desk.referral_context, "Ana")
    desk.forwarder.run_once()
    command = [BIN / "haumaru-desk", "verify", *office.referred("police"), "-i", tmp_path / "police.txt"]
    shown = subprocess.run([*command, "--signer", office.signer], capture_output=True, text=True, check=True).stdout
    assert f"to your question {asked.id} about {asked.reference}" in shown
    command = [BIN / "haumaru-desk", "open", *office.referred("police"), "-i", tmp_path / "police.txt"]
    subprocess.run([*command, "-o", tmp_path / "out", "--signer", office.signer], check=True)
    texts = [path.read_text() for path in (tmp_path / "out").rglob("referral.txt")]
    assert sum(f"To your question {asked.id} about {asked.reference}" in text for text in texts) == 1


def test_the_page_of_a_question_leads_from_the_question_to_the_answer(office, desk):
    """In the browser: unchanged words and an unconfirmed key are asked about, then put, redacted and sent."""
    browser = Browser(desk)
    case = referred(office, desk)
    asked = ask(office, desk, case, text="Who are you, and which day does the van come?")
    where = f"/tips/{case.id}/asked/{asked.id}"
    assert where in browser.get(f"/tips/{case.id}").text
    page = browser.get(where).text
    assert "This may ask who the sender is." in page
    assert office.question_key in page
    refused = browser.post(f"{where}/put", text=asked.text)
    assert (refused.status_code, "This key is new." in refused.text) == (409, True)
    assert browser.post(f"{where}/confirm", compared="question").status_code == 303
    assert office.question_key not in browser.get(where).text
    again = browser.post(f"{where}/put", text=asked.text)
    assert (again.status_code, "still the words of the authority" in again.text) == (422, True)
    assert browser.post(f"{where}/put", text="Which day does the van come?").status_code == 303
    again = browser.post(f"{where}/put", text="Which day does the van come?")
    assert (again.status_code, "Nothing was sent." in again.text) == (409, False), "the first press sent it"
    assert "Put to the sender" in again.text
    later = office.drop(tip({"what": "On Mondays."}, answers_to=reply_to().locator))
    receive(desk)
    begun = browser.post(f"{where}/answer", source=later)
    assert begun.location == browser.path(f"/tips/{later}/redact")
    draft = browser.get(f"/tips/{later}/redact").text
    assert "goes to Example Police alone" in draft
    fields = {"keep": ["what"], "summary": "Mondays.", "answers": asked.id, "authority": ["mbie"]}
    browser.post(f"/tips/{later}/redact", **fields)
    assert desk.cases.get(later).draft.authorities == ("police",)
    assert f"answers their question about {asked.reference}" in browser.get(f"/tips/{later}/refer").text
    sent = browser.post(f"/tips/{later}/refer", version=desk.cases.get(later).version)
    assert sent.status_code == 303
    assert [one.question for one in desk.cases.get(later).referrals] == [asked.id]
    assert "Answered" in browser.get(where).text


def test_the_page_declines_with_a_reason_and_a_refusal(office, desk):
    """Without a reason nothing is declined; with one, the refusal leaves, and the page says so."""
    browser = Browser(desk)
    case = referred(office, desk, sent=tip())
    asked = ask(office, desk, case)
    where = f"/tips/{case.id}/asked/{asked.id}"
    page = browser.get(where).text
    assert "left no way to write back" in page
    assert f"{where}/put" not in page
    assert browser.post(f"{where}/decline", refusal="yes").status_code == 409
    assert browser.post(f"{where}/decline", reason="no-way", refusal="yes").status_code == 303
    assert "A refusal was sent to Example Police." in browser.get(where).text
    assert browser.get(f"/tips/{case.id}/asked/{'0' * 26}").status_code == 404
    desk.cases.lock_away(case.id, "Ana")
    assert browser.get(where).status_code == 409


def test_the_words_for_the_sender_are_kept_where_they_are_refused(office, desk):
    """What a handler typed for the sender comes back after a refusal and in a new window, and is gone once sent."""
    browser = Browser(desk)
    case = referred(office, desk)
    asked = ask(office, desk, case)
    where = f"/tips/{case.id}/asked/{asked.id}"
    page = browser.get(where).text
    form = page.partition(f'action="{browser.path(where)}/put"')[2].partition("</form>")[0]
    named = dict(re.findall(r'name="(typed|window|continues|number|writer)" value="([^"]*)"', form))
    browser.post(f"{where}/confirm", compared="question")
    typed = {**named, "text": "Which day? See www.example.org"}
    assert browser.post(f"{where}/put", **typed).status_code == 409
    assert "Which day? See www.example.org" in browser.get(where).text
    sent = browser.post(f"{where}/put", **{**typed, "text": "Which day?", "continues": named["window"]})
    assert sent.status_code == 303
    assert desk.typed.of("Ana", case.id, f"asked-{asked.id}") == []


def test_a_supervisor_confirms_the_key_of_an_authority_while_another_person_works_on_the_tip(office, desk):
    """At a desk with seats a handler cannot say that a key was compared; a supervisor can, and the handler goes on."""
    seated = SeatedDesk(desk)
    kaia = seated.person("Kaia")
    ana = seated.person("Ana", Role.HANDLER, kaia.seat)
    case = referred(office, desk)
    asked = ask(office, desk, case)
    where = f"/tips/{case.id}/asked/{asked.id}"
    assert "Only a supervisor can confirm a new key." in ana.get(where).text
    assert ana.post(f"{where}/confirm", compared="question").status_code == 403
    assert ana.post(f"{where}/put", text="Which day?").status_code == 409
    assert kaia.post(f"{where}/confirm", compared="question").status_code == 303
    assert ana.post(f"{where}/put", text="Which day?").status_code == 303
