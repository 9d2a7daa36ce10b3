"""Ready texts on the page of messages."""

from html import unescape

from app.vault.ready_replies import READY_REPLIES
from tests.support.desk import receive, reply_to, tip

TYPED = {"typed": "reply", "window": "0123456789abcdef"}


def test_a_ready_text_is_put_below_what_was_typed_in_the_senders_language(browser, desk, office):
    """The guessed language is chosen; the text comes below the typed one, with its English and the mark of a draft."""
    samoan = "O loo galulue i latou i le po ma e le totogiina e le pule"
    one = office.drop(tip({"what": samoan}, reply=reply_to()))
    receive(desk)
    desk.cases.claim(one, "Ana")
    page = browser.get(f"/tips/{one}/reply").text
    assert '<option value="sm" selected>Samoan</option>' in page
    assert all(f'<option value="{name}">' in page for name in READY_REPLIES)
    before = len(desk.journal.entries)
    page = browser.post(f"/tips/{one}/reply/ready", text="Talofa", ready="danger", language="sm", **TYPED).text
    written = desk.ready_texts.find("danger", "sm").text
    assert f">Talofa\n\n{written}</textarea>" in unescape(page)
    assert READY_REPLIES["danger"].english in page
    assert "no speaker of Samoan has checked it" in page
    assert (desk.cases.get(one).thread, len(desk.journal.entries)) == ((), before), "nothing is sent"
    assert f"Talofa\n\n{written}" in unescape(browser.get(f"/tips/{one}/reply").text), "the longer reply is kept"
    answer = browser.post(f"/tips/{one}/reply/ready", text="Talofa", ready="", language="sm", **TYPED)
    assert (answer.status_code, ">Talofa</textarea>" in answer.text) == (409, True)
    assert "Choose a ready text and a language first." in answer.text


def test_a_ready_text_is_sent_as_the_handler_changed_it(browser, desk, office, one):
    """What is sent is what stands in the box; a ready text that says "your name" is sent without a second question."""
    desk.cases.claim(one, "Ana")
    text = f"{READY_REPLIES['no-name'].english} Thank you."
    assert browser.post(f"/tips/{one}/reply", text=text).status_code == 303
    assert [message.text for message in desk.cases.get(one).thread] == [text]
