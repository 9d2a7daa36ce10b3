"""What is typed and not saved, on the pages: it comes back to its handler alone, whatever ended page or session."""

import errno
import json
import re

import pytest

from tests.support.desk import ORIGIN, Browser, Office, receive, reply_to, tip

WORDS = "half a thought about the foreman"
EVIL = "</textarea><script>alert(1)</script>"


def _form(page, name):
    """The hidden fields of the form of that name, as the page has them."""
    form = next(one for one in re.findall(r"<form.*?</form>", page, re.DOTALL) if f'name="typed" value="{name}"' in one)
    found = dict(re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)"', form))
    return {key: value for key, value in found.items() if key != "token"}


def _keep(browser, one, name, page=None, *, number=1, **fields):
    """Send a form as the script of its page does."""
    sent = _form(page or browser.get(f"/tips/{one}").text, name) | {"number": number}
    return browser.post(f"/tips/{one}/typed", **sent, fields=json.dumps(list(fields.items())))


def _unescaped(page):
    return page.replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"')


def test_a_text_comes_back_to_its_handler_alone_until_it_is_saved(browser, desk, office, one):
    """Kept as it is typed, shown with "Discard" after a restart; neither Ben nor journal nor export ever has it."""
    assert _keep(browser, one, "note", text=WORDS).status_code == 204
    page = browser.get(f"/tips/{one}").text
    assert f">{WORDS}</textarea>" in page
    assert "You wrote this and did not save it" in page
    window = desk.typed.of("Ana", one, "note")[0].window
    ben = Browser(desk, "Ben")
    for path in (f"/tips/{one}", f"/tips/{one}?window={window}", f"/tips/{one}/print"):
        assert WORDS not in ben.get(path).text
    ben.post(f"/tips/{one}/typed/discard", typed="note", window=window)
    forged = {"typed": "note", "window": window, "number": 9, "writer": "Ana", "fields": '[["text", "forged"]]'}
    assert ben.post(f"/tips/{one}/typed", **forged).status_code == 409
    for kind in ("json", "standard"):
        assert WORDS not in browser.post(f"/tips/{one}/export", **{"as": kind}).text
    assert not [entry for entry in desk.journal.entries if WORDS in str(entry) or "typed" in entry.did]
    browser.post(f"/tips/{one}/note", text="Called 111")
    assert f">{WORDS}</textarea>" in browser.get(f"/tips/{one}").text, "another note leaves the text"
    page = browser.get(f"/tips/{one}").text
    browser.post(f"/tips/{one}/note", text=f"{WORDS}, whole", **_form(page, "note"))
    assert desk.cases.get(one).notes[-1].text == f"{WORDS}, whole"
    assert "did not save it" not in browser.get(f"/tips/{one}").text
    assert list((office.store / "typed").glob("*")) == []


def test_a_text_is_thrown_away_without_a_script(browser, desk, one):
    """Given a kept text, its "Discard" ends it and leads back to the page."""
    _keep(browser, one, "note", text=WORDS)
    sent = _form(browser.get(f"/tips/{one}").text.split('id="discard-note"')[1].join(["<form", ""]), "note")
    answer = browser.post(f"/tips/{one}/typed/discard", **sent)
    assert answer.location.endswith(f"/tips/{one}")
    assert WORDS not in browser.get(f"/tips/{one}").text


def test_the_next_person_at_the_same_browser_gets_nothing(browser, desk, one):
    """Ana's page that is still open keeps for Ana after Ben took over the browser; Ben's pages never show it."""
    page = browser.get(f"/tips/{one}").text
    browser.post("/who", who="Ben")
    assert _keep(browser, one, "note", page, text=WORDS).status_code == 204
    assert WORDS not in browser.get(f"/tips/{one}").text
    browser.post("/who", who="Ana")
    assert WORDS in browser.get(f"/tips/{one}").text


def test_what_was_typed_before_the_lock_is_kept_after_it(browser, desk, one):
    """A page whose session was locked shows nothing, but its text is kept, by script or form, and comes back."""
    browser.post(f"/tips/{one}/claim")
    page = browser.get(f"/tips/{one}").text
    note, translation = _form(page, "note"), _form(page, "translation")
    cookie = browser.client.get_cookie(browser.sessions.cookie_name, domain="127.0.0.1", path=browser.sessions.path)
    session = browser.sessions.get(cookie.value)
    browser.sessions.end(session)
    fields = json.dumps([["text", WORDS]])
    for token, origin in (("x", ORIGIN), (session.token, "http://127.0.0.1:9")):
        forged = {"token": token, "origin": origin} | note | {"number": 1}
        assert browser.post(f"/tips/{one}/typed", fields=fields, **forged).status_code == 403
        assert desk.typed.of("Ana", one, "note") == []
    sent = {"token": session.token} | note | {"number": 1}
    assert browser.post(f"/tips/{one}/typed", fields=fields, **sent).status_code == 403
    answer = browser.post(f"/tips/{one}/translation", token=session.token, text="Seven men", **translation)
    assert answer.status_code == 403
    assert "kept what you wrote" in answer.text
    assert "packhouse" not in answer.text
    assert desk.cases.get(one).translation == ""
    browser.enter(browser.links[-1])
    assert browser.post("/who", who="Ana").location.endswith(f"/tips/{one}")
    page = browser.get(f"/tips/{one}").text
    assert f">{WORDS}</textarea>" in page
    assert ">Seven men</textarea>" in page


def test_a_refused_translation_comes_back_with_the_reason(browser, desk, one):
    """Given a tip that Ben took meanwhile, or a text that is too long, nothing typed is lost and the page says why."""
    browser.post(f"/tips/{one}/claim")
    page = browser.get(f"/tips/{one}").text
    long = "word " * 5000
    answer = browser.post(f"/tips/{one}/translation", text=long, **_form(page, "translation"))
    assert (answer.status_code, long in answer.text) == (409, True)
    assert "too long" in answer.text
    desk.cases.release(one, "Ben", force=True)
    desk.cases.claim(one, "Ben")
    answer = browser.post(f"/tips/{one}/translation", text=EVIL, **_form(answer.text, "translation"))
    assert answer.status_code == 409
    assert "Another person is working on this tip" in answer.text
    assert EVIL not in answer.text
    assert EVIL in _unescaped(browser.get(f"/tips/{one}").text)
    answer = browser.post(f"/tips/{one}/note", text="n" * 6000, **_form(answer.text, "note"))
    assert (answer.status_code, "n" * 6000 in answer.text) == (409, True)
    assert desk.cases.get(one).notes == ()


def test_the_second_window_of_one_person_is_told_and_loses_nothing(browser, desk, one):
    """Two windows type a translation: the second save is refused, and shows its text beside what is saved."""
    browser.post(f"/tips/{one}/claim")
    first, second = (_form(browser.get(f"/tips/{one}").text, "translation") for _ in range(2))
    browser.post(f"/tips/{one}/translation", text="the first one", **first)
    answer = browser.post(f"/tips/{one}/translation", text="the second one", **second)
    assert answer.status_code == 409
    assert desk.cases.get(one).translation == "the first one"
    assert re.search(r"saved now:</p><div[^>]*>the first one<", answer.text)
    assert ">the second one</textarea>" in answer.text
    browser.post(f"/tips/{one}/translation", text="both", **_form(answer.text, "translation"))
    assert desk.cases.get(one).translation == "both"
    assert "did not save it" not in browser.get(f"/tips/{one}").text


def test_two_windows_that_type_at_once_both_come_back(browser, desk, one):
    """Given two windows with unsaved notes, the page shows the newest in its field and the other beside it."""
    pages = [browser.get(f"/tips/{one}").text for _ in range(2)]
    for number, page in enumerate(pages):
        _keep(browser, one, "note", page, text=f"window {number}")
    page = browser.get(f"/tips/{one}").text
    assert ">window 1</textarea>" in page
    assert ">window 0</div>" in page
    other = browser.get(f"/tips/{one}" + re.search(r'href="(\?window=\w+)"', page)[1]).text
    assert ">window 0</textarea>" in other


@pytest.mark.parametrize(
    "fields", ["", "{}}", "[1]", '[["a"]]', "[" * 100_000, json.dumps([["text", "x" * 600_000]]), "x" * 5_000_000]
)
def test_what_no_page_of_ours_sends_is_refused(browser, desk, one, fields):
    """Fields that are no list of pairs, too deep, too long, or of 5 MB are refused, and kept nowhere."""
    sent = _form(browser.get(f"/tips/{one}").text, "note") | {"number": 1}
    assert browser.post(f"/tips/{one}/typed", **sent, fields=fields).status_code in {409, 413}
    assert desk.typed.of("Ana", one, "note") == []


def test_a_full_disk_gives_the_text_back_in_the_page(browser, desk, one, monkeypatch):
    """Given a full disk, the script is told, and a form that is refused comes back with its text all the same."""
    page = browser.get(f"/tips/{one}").text

    def full(*_args, **_more):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("app.desk.store.write_atomically", full)
    assert _keep(browser, one, "note", page, text=WORDS).status_code == 409
    answer = browser.post(f"/tips/{one}/note", text=WORDS, **_form(page, "note"))
    assert answer.status_code == 409
    assert f">{WORDS}</textarea>" in answer.text


def test_a_locked_tip_takes_its_texts_along(browser, desk, office, one):
    """Objectionable: what was typed about the tip is destroyed, and no page keeps more."""
    page = browser.get(f"/tips/{one}").text
    _keep(browser, one, "note", page, text=WORDS)
    browser.post(f"/tips/{one}/objectionable", sure="yes")
    assert list((office.store / "typed").glob("*")) == []
    assert _keep(browser, one, "note", page, number=2, text=WORDS).status_code == 409
    assert list((office.store / "typed").glob("*")) == []


def test_a_desk_that_is_killed_in_the_middle_of_a_release_still_has_the_text(tmp_path):
    """Given a referral that is just leaving and a desk that ends, the next start shows what was typed."""
    office = Office(tmp_path)
    with office.desk() as desk:
        made = office.drop(tip(reply=reply_to()))
        receive(desk)
        browser = Browser(desk)
        browser.post(f"/tips/{made}/claim")
        _keep(browser, made, "translation", text=WORDS)
        desk.cases.change(made, "Ana", "referred", lambda now: now.referred((), holder="Ana"))
    with office.desk() as desk:
        assert f">{WORDS}</textarea>" in Browser(desk).get(f"/tips/{made}").text


def _claimed(browser, one):
    browser.post(f"/tips/{one}/claim")
    return browser.get(f"/tips/{one}/redact").text


def test_a_redaction_that_was_not_saved_comes_back_mark_by_mark(browser, desk, one):
    """Marks, ticks, words, summary and authorities come back after a lock; saving them ends what was kept."""
    page = _claimed(browser, one)
    fields = [
        ("m", "what:0-5"),
        ("keep", "what"),
        ("terms", "Ray\nKatikati"),
        ("summary", WORDS),
        ("authority", "mbie"),
    ]
    sent = _form(page, "redaction") | {"number": 1, "fields": json.dumps(fields)}
    assert browser.post(f"/tips/{one}/typed", **sent).status_code == 204
    assert not desk.cases.get(one).draft.looked
    assert "did not save it" in browser.get(f"/tips/{one}").text
    page = browser.get(f"/tips/{one}/redact").text
    assert re.findall(r'name="m" value="([^"]+)" checked', page) == ["what:0-5"]
    assert re.findall(r'name="keep" value="([^"]+)" checked', page) == ["what"]
    assert re.findall(r'name="authority" value="([^"]+)" checked', page) == ["mbie"]
    assert ">Ray\nKatikati</textarea>" in page
    assert f">{WORDS}</textarea>" in page
    assert WORDS not in browser.get(f"/tips/{one}/redact?saved=1").text.split("You also wrote")[0]
    values = {"m": "what:0-5", "keep": ["what"], "summary": WORDS, "authority": ["mbie"]}
    assert browser.post(f"/tips/{one}/redact", **_form(page, "redaction"), **values).status_code == 303
    assert desk.cases.get(one).draft.summary == WORDS
    assert desk.typed.forms("Ana", one) == frozenset()


def test_a_refused_redaction_keeps_its_page(browser, desk, one):
    """Too many words, a long summary, and a redaction saved in another window: nothing typed is lost or cut."""
    page = _claimed(browser, one)
    many = "\n".join(f"word{number}" for number in range(201))
    long = ("sentence " * 300).strip()
    for refused in ({"terms": many}, {"summary": long}):
        answer = browser.post(f"/tips/{one}/redact", keep=["what"], **_form(page, "redaction"), **refused)
        assert answer.status_code == 409
        assert next(iter(refused.values())) in answer.text
        assert 'id="refusal"' in answer.text
    second = browser.get(f"/tips/{one}/redact?saved=1").text
    browser.post(f"/tips/{one}/redact", keep=["what"], summary="the first", **_form(page, "redaction"))
    answer = browser.post(f"/tips/{one}/redact", keep=["what"], summary="the second", **_form(second, "redaction"))
    assert answer.status_code == 409
    assert desk.cases.get(one).draft.summary == "the first"
    assert re.search(r"saved now:</p><div[^>]*>the first<", answer.text)
    assert ">the second</textarea>" in answer.text


def test_a_refused_or_unsent_reply_comes_back(browser, desk, one):
    """A warning, a link, a tip that Ben took and a second window: the reply comes back, and is sent once."""
    browser.post(f"/tips/{one}/claim")
    page = browser.get(f"/tips/{one}/reply").text
    text = "Look at https://example.org please"
    answer = browser.post(f"/tips/{one}/reply", text=text, **_form(page, "reply"))
    assert answer.status_code == 409
    assert f">{text}</textarea>" in answer.text
    assert f">{text}</textarea>" in browser.get(f"/tips/{one}/reply").text
    desk.cases.release(one, "Ben", force=True)
    answer = browser.post(f"/tips/{one}/reply", text="Are you safe?", **_form(answer.text, "reply"))
    assert answer.status_code == 409
    assert "Are you safe?" in answer.text
    assert "Nothing was sent" in answer.text
    browser.post(f"/tips/{one}/claim")
    first, second = browser.get(f"/tips/{one}/reply").text, browser.get(f"/tips/{one}/reply?saved=1").text
    assert browser.post(f"/tips/{one}/reply", text="Are you safe?", **_form(first, "reply")).status_code == 303
    answer = browser.post(f"/tips/{one}/reply", text="Where is it?", **_form(second, "reply"))
    assert answer.status_code == 409
    assert ">Where is it?</textarea>" in answer.text
    assert [message.text for message in desk.cases.get(one).thread if message.kind == "message"] == ["Are you safe?"]


def test_a_reply_that_was_sent_before_the_desk_was_killed_is_offered_no_second_time(browser, desk, one):
    """Given a kept reply whose own id is in the thread, the page shows an empty field and destroys what was kept."""
    browser.post(f"/tips/{one}/claim")
    page = browser.get(f"/tips/{one}/reply").text
    form = _form(page, "reply")
    fields = json.dumps([("text", "Are you safe?"), ("reply_id", form["reply_id"])])
    desk.replies.write(desk.cases.get(one), "Ana", "Are you safe?", reply_id=form["reply_id"])
    browser.post(f"/tips/{one}/typed", **form | {"number": 1, "fields": fields})
    assert ">Are you safe?</textarea>" not in browser.get(f"/tips/{one}/reply").text
    assert desk.typed.of("Ana", one, "reply") == []


def test_closing_and_handing_over_are_refused_beside_their_forms(browser, desk, one):
    """A refusal of either shows the page of the tip again, with the reason and what was chosen."""
    browser.post(f"/tips/{one}/claim")
    answer = browser.post(f"/tips/{one}/close", reason="", outcome="investigated")
    assert (answer.status_code, "The tip was not closed." in answer.text) == (409, True)
    assert '<option value="investigated" selected>' in answer.text
    assert 'name="tell" value="yes">' in answer.text or "Tell the sender that" not in answer.text
    version = desk.cases.get(one).version
    answer = browser.post(f"/tips/{one}/translator", version=version, translator="translator")
    assert (answer.status_code, "Nothing was sent." in answer.text) == (409, True)
    assert "compare the key by voice" in answer.text or "Keep at least one answer" in answer.text
    answer = browser.post(f"/tips/{one}/translator", version=version - 1, translator="translator")
    assert "This tip was changed while you worked" in answer.text
    assert browser.post("/tips/nothing/close", reason="test").status_code == 404


def test_a_redaction_of_a_tip_that_somebody_else_took_is_read_and_thrown_away_on_its_page(browser, desk, one):
    """Given Ben who took the tip meanwhile, Ana reads her summary on the page of the tip, and "Discard" ends it."""
    page = _claimed(browser, one)
    fields = json.dumps([("m", "what:0-5"), ("summary", WORDS)])
    browser.post(f"/tips/{one}/typed", **_form(page, "redaction") | {"number": 1, "fields": fields})
    desk.cases.release(one, "Ben", force=True)
    desk.cases.claim(one, "Ben")
    page = browser.get(f"/tips/{one}").text
    assert f">{WORDS}</div>" in page
    assert WORDS not in Browser(desk, "Ben").get(f"/tips/{one}/redact").text
    answer = browser.post(f"/tips/{one}/typed/discard", **_form(page, "redaction"))
    assert answer.location.endswith(f"/tips/{one}")
    assert WORDS not in browser.get(f"/tips/{one}").text


def test_a_form_that_no_view_has_read_ends_nothing(browser, desk, one):
    """Given a form that meets the page of a store that is still opened, what was kept stays, and nothing is saved."""
    page = browser.get(f"/tips/{one}").text
    _keep(browser, one, "note", page, text=WORDS)
    desk.loading.ended = False
    sent = _form(page, "note") | {"number": 1}
    assert browser.post(f"/tips/{one}/note", text=f"{WORDS}, whole", **sent).status_code == 200
    desk.loading.ended = True
    assert desk.cases.get(one).notes == ()
    assert f">{WORDS}, whole</textarea>" in browser.get(f"/tips/{one}").text
