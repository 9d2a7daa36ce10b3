"""A sender leaves out the agency that the report is about: who gets it, what the pages say, and what nobody sees."""

from collections import Counter
from io import BytesIO

import pytest
from PIL import Image

from app.core.errors import WordsFullError
from app.delivery import receipt_codes
from app.delivery.outbox import Outbox
from app.delivery.receipt_codes import agency_of_code, parse_code
from app.site import agencies
from app.site.report import report_views, submit
from tests.support.two_agencies import FIRST, NAMES, SECOND, TwoAgencies, hidden
from tests.support.visit import open_site

REPORT, REPLY = "/en/report", "/en/reply"
IDS = (FIRST, SECOND)


def photo():
    target = BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(target, "JPEG")
    return target.getvalue()


@pytest.fixture
def two(tmp_path):
    return TwoAgencies(tmp_path)


def choices(page):
    """The values of the choice, and the one that is chosen."""
    found = page.document.all("input", type="radio", name="without")
    return [each.attrs["value"] for each in found], [each.attrs["value"] for each in found if "checked" in each.attrs]


def look(two, left_out, **fields):
    """The look before sending, after one agency was left out, or none for ""."""
    form = two.site.get(REPORT)
    value = next(value for value in choices(form)[0] if value.rstrip(".") == left_out)
    return two.post(REPORT, form, "check", **{"what": f"without {left_out or 'nobody'}", "without": value, **fields})


def code_of(page):
    return parse_code(page.document.one("output", id="receipt-code").text)


@pytest.mark.parametrize(("left_out", "gets"), [("", FIRST), (FIRST, SECOND), (SECOND, FIRST)])
def test_a_report_goes_to_the_agency_that_is_not_left_out(two, left_out, gets):
    """The look and the sent page name the agency that gets the report, and that agency's key alone opens it."""
    checked = look(two, left_out)
    other = next(each for each in IDS if each != gets)
    assert f"Your report will go to {NAMES[gets]}." in checked.text
    assert NAMES[other] not in checked.text.replace(f"people at {NAMES[other]}", "")
    sent = two.post(REPORT, checked, "send")
    assert f"on its way to {NAMES[gets]}" in sent.text
    assert two.texts(gets) == [f"without {left_out or 'nobody'}"]
    assert two.texts(other) == []
    assert [each.tip.decoy for each in two.waiting(other)] == [True]


@pytest.mark.parametrize("left_out", IDS)
def test_a_held_report_goes_where_its_page_says(two, left_out):
    """With a file, the choice is kept on the page of the held report, through a change, and holds when it is sent."""
    gets = next(each for each in IDS if each != left_out)
    held = two.post(REPORT, look(two, left_out), "send", files=[(BytesIO(photo()), "a.jpg")])
    held = two.post(REPORT, held, "extend")
    sent = two.post(REPORT, held, "confirm")
    assert f"on its way to {NAMES[gets]}" in sent.text
    assert [len(two.texts(each)) for each in (gets, left_out)] == [1, 0]


def test_the_choice_is_kept_on_the_way_back(two):
    """After "go back" and after a change of language the same answer is ticked; at first none is left out."""
    assert choices(two.site.get(REPORT))[1] == ["." * 7]
    checked = look(two, FIRST)
    assert choices(two.post(REPORT, checked, "edit"))[1] == [FIRST]
    assert choices(two.post(REPORT, checked, "edit:without"))[1] == [FIRST]


def test_a_report_that_leaves_everybody_out_is_not_sent(two):
    """A request that leaves every agency out is refused, at each step, and nothing is sealed to anybody."""
    checked = look(two, FIRST)
    for step, page in (("check", checked), ("send", checked), ("confirm", checked)):
        refused = two.post(REPORT, page, step, without=[FIRST, SECOND], draft="0" * 32)
        assert refused.status == 422
        assert "Not sent" in refused.text
    assert [two.waiting(each) for each in IDS] == [[], []]


def test_a_choice_that_was_not_kept_is_asked_again(two):
    """Of a text of 600,000 bytes the end is thrown away, with the choice: no answer is ticked, and none is assumed."""
    form = two.site.get(REPORT)
    refused = two.post(REPORT, form, "check", what="x" * 600_000, without=choices(form)[0][1])
    assert (refused.status, choices(refused)[1]) == (413, [])
    for step in ("check", "send"):
        unchosen = two.post(REPORT, refused, step, what="short")
        assert (unchosen.status, choices(unchosen)[1]) == (422, [])
        assert [each.attrs["href"] for each in unchosen.document.all("a", href="#without")] == ["#without"]
    assert [two.waiting(each) for each in IDS] == [[], []]
    chosen = two.post(REPORT, refused, "check", what="short", without=FIRST)
    assert f"Your report will go to {NAMES[SECOND]}." in chosen.text


def test_a_code_leads_an_answer_to_the_agency_that_got_the_report(two):
    """Whatever was left out, the answer under the code goes where the report went, and is sealed to nobody else."""
    for left_out in ("", FIRST, SECOND) * 3:
        gets = SECOND if left_out == FIRST else FIRST
        before = {each: len(two.texts(each)) for each in IDS}
        code = code_of(two.post(REPORT, look(two, left_out, reply="yes"), "send"))
        assert agency_of_code(code, IDS) == gets
        asked = two.site.get(REPLY)
        checked = two.post(REPLY, asked, "answer", code=code, what="more of it")
        sent = two.post(REPLY, checked, "send")
        assert f"on its way to {NAMES[gets]}" in sent.text
        grown = {each: len(two.texts(each)) - before[each] for each in IDS}
        assert grown == {gets: 2, next(each for each in IDS if each != gets): 0}


def test_an_agency_that_takes_no_reports_any_more_passes_its_answers_to_nobody(two):
    """The sender left the first agency out: once the second takes none, an answer is refused, not sent to the first."""
    code = code_of(two.post(REPORT, look(two, FIRST, reply="yes"), "send"))
    other = code_of(two.post(REPORT, look(two, "", reply="yes"), "send"))
    two.restart(REPORT_AGENCIES=FIRST)
    before = {each: len(two.waiting(each)) for each in IDS}
    for step in ("answer", "send", "confirm"):
        refused = two.post(REPLY, two.site.get(REPLY), step, code=code, what="more of it")
        assert (refused.status, "This form is closed at the moment" in refused.text) == (503, True)
    assert {each: len(two.waiting(each)) for each in IDS} == before
    checked = two.post(REPLY, two.site.get(REPLY), "answer", code=other, what="more of it")
    assert "Your answer was sent" in two.post(REPLY, checked, "send").text


def test_a_report_is_asked_back_from_the_agency_that_got_it(two):
    """Once a report has left, the sealed request not to pass it on goes to the same agency, and to no other."""
    for left_out in ("", FIRST):
        gets, other = (SECOND, FIRST) if left_out == FIRST else (FIRST, SECOND)
        code = code_of(two.post(REPORT, look(two, left_out, reply="yes"), "send"))
        outbox = Outbox(two.site.prerendered.config.outbox_url)
        for each in two.waiting(gets):
            outbox.settle(each.tip.id)
        asked = two.post(REPLY, two.site.get(REPLY), "withdraw", code=code)
        two.post(REPLY, asked, "withdraw")
        requests = {each: [one for one in two.waiting(each) if one.tip.withdraw] for each in IDS}
        assert {each: len(found) for each, found in requests.items()} == {gets: 1, other: 0}
        for each in two.waiting(gets):
            outbox.settle(each.tip.id)


def test_a_form_that_is_sent_twice_with_another_choice_claims_nothing(two):
    """After "sent", the same form with the other agency left out sends nothing, shows no code and names no agency."""
    checked = look(two, "", reply="yes")
    two.post(REPORT, checked, "send")
    again = two.post(REPORT, checked, "send", without=FIRST)
    assert "on its way to" not in again.text
    assert "went to the agency that you chose the first time" in again.text
    assert again.document.all("output", id="receipt-code") == []
    assert [len(two.texts(each)) for each in IDS] == [1, 0]
    same = two.post(REPORT, checked, "send")
    assert f"on its way to {NAMES[FIRST]}" in same.text


def test_the_lengths_of_requests_and_answers_do_not_show_the_choice(two):
    """Each value of the choice is equally long, each page has as many hidden fields, each answer is as long."""
    found = set()
    for left_out in ("", FIRST, SECOND):
        checked = look(two, left_out, what="the same words")
        fields = hidden(checked)
        sent = two.post(REPORT, checked, "send")
        sizes = [len("".join(values)) for name, values in sorted(fields.items()) if name != "csrf_token"]
        found.add((tuple(sorted(fields)), tuple(sizes), *(len(page.response.get_data()) for page in (checked, sent))))
    assert len(found) == 1


def test_the_work_for_a_report_is_the_same_for_each_agency(two, monkeypatch):
    """As many envelopes are sealed, and as many codes drawn from one secret, whichever agency gets the report."""
    counted = Counter()
    for module, name in ((agencies, "seal"), (submit, "seal"), (receipt_codes, "make_code")):
        work = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, work=work: counted.update([work.__name__]) or work(*given))
    monkeypatch.setattr(report_views, "code_secret", lambda _nonce: bytes(16))
    done = []
    for left_out in ("", FIRST, SECOND):
        checked = look(two, left_out, reply="yes")
        counted.clear()
        two.post(REPORT, checked, "send")
        done.append(dict(counted))
    assert done[0]["seal"] == 2
    assert done[0]["make_code"] > 50
    assert done == done[:1] * 3


def test_a_form_is_closed_for_the_agency_whose_key_has_expired(tmp_path):
    """A report for the first is refused after its last day; for the other the form still sends."""
    two = TwoAgencies(tmp_path, {"AGENCY_EXAMPLE_EXPIRES": "2020-01-01"})
    assert look(two, "").status == 503
    sent = two.post(REPORT, look(two, FIRST), "send")
    assert f"on its way to {NAMES[SECOND]}" in sent.text


def test_with_one_agency_the_form_says_what_to_do_instead(tmp_path):
    """There is no choice, but a sentence that leads to other numbers; a form that leaves the agency out is refused."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s")
    form = site.get(REPORT)
    assert choices(form) == ([], [])
    assert "Is your report about people who work at Example agency? Then do not send your report here." in form.text
    fields = {name: values[0] for name, values in hidden(form).items()}
    checked = site.post(REPORT, {**fields, "what": "x", "without": "example", "step": "check"})
    assert (checked.status, "without" in hidden(checked)) == (422, False)


def test_only_what_the_agency_has_agreed_to_is_promised(tmp_path):
    """The promises of the agency that gets the report stand on form, look and sent page; of no other agency's."""
    two = TwoAgencies(tmp_path, {"AGENCY_POLICE_PROMISES": "no-court,no-name"})
    said = ("Nobody will ask you to go to court.", "Nobody will ask who you are.")
    for left_out, expected in (("", [False, False, False]), (FIRST, [True, True, True])):
        checked = look(two, left_out)
        pages = (two.post(REPORT, checked, "edit"), checked, two.post(REPORT, checked, "send"))
        assert [all(each in page.text for each in said) for page in pages] == expected
        assert not any("make a statement" in page.text for page in pages)


def test_the_fingerprint_and_the_onion_address_are_on_the_page(tmp_path):
    """The look shows the fingerprint of the agency that gets the report, the form the onion address if there is one."""
    onion = f"http://{'a' * 56}.onion"
    two = TwoAgencies(tmp_path, {"SITE_ONION": onion})
    assert onion in two.site.get(REPORT).text
    assert onion in two.site.get("/en/anonymity").text
    by_id = {agency.id: agency.fingerprints for agency in two.site.prerendered.config.report_agencies}
    for left_out, gets in (("", FIRST), (FIRST, SECOND)):
        shown = [each.text for each in look(two, left_out).document.all("code", class_="fingerprint")]
        assert tuple(shown) == by_id[gets]


def test_a_full_outbox_refuses_a_report_whichever_agency_it_is_for(two, monkeypatch):
    """Where the room for words is full, both choices are answered alike: nobody learns which one was chosen."""

    def full(*_, **__):
        raise WordsFullError

    monkeypatch.setattr(Outbox, "require_room", full)
    answers = [two.post(REPORT, look(two, left_out), "send") for left_out in ("", FIRST)]
    assert {(each.status, len(each.response.get_data())) for each in answers} == {(429, 64 * 1024)}
