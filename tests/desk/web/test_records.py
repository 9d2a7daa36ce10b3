"""The pages of the desk's records: figures, journal, and envelopes that did not open."""

from app.desk.journal_file import JournalFile
from app.desk.labels import KIND_LABELS
from tests.support.desk import ANSWERS, receive, wait_for


def test_the_journal_has_no_word_of_a_tip(browser, desk, office, one):
    """After a whole day's work the journal's file holds none of the tip's words and none of the handlers' notes."""
    browser.post(f"/tips/{one}/claim")
    browser.post(f"/tips/{one}/note", text="noted elsewhere")
    browser.post(f"/tips/{one}/redact", m="what:0-9", keep=["what"], summary="summed up", terms="termed")
    browser.post(f"/tips/{one}/close", reason="nothing", outcome="investigated")
    journal = b"".join(JournalFile(desk.store).read()).decode().casefold()
    assert "noted" in journal, "the journal is not empty"
    words = [*ANSWERS["what"].split(), "katikati", "noted", "elsewhere", "summed", "termed"]
    assert [word for word in words if len(word) > 4 and f" {word.casefold().strip('.')} " in journal] == []
    assert desk.cases.get(one).outcome == "investigated"


def test_figures_and_journal_are_shown(browser, one):
    """Figures hide small counts, as CSV too; the journal of one tip shows who did what."""
    assert "hidden" in browser.get("/figures").text
    csv = browser.get("/figures.csv")
    assert "attachment" in csv.headers["Content-Disposition"]
    assert f'"What they are about","{KIND_LABELS["work"]}",hidden' in csv.text
    browser.post(f"/tips/{one}/claim")
    assert "claimed the tip" in browser.get(f"/journal?tip={one}").text


def test_a_flood_of_envelopes_that_do_not_open_is_listed_in_part_and_destroyed_at_once(browser, desk, office):
    """Of three hundred pieces two hundred are listed; one press, with a tick, destroys those of one reason."""
    for number in range(300):
        (office.inbox / f"{number:026}.age").write_bytes(b"nothing %d" % number)
    (office.inbox / "link.age").symlink_to("/etc/passwd")
    receive(desk)
    page = browser.get("/aside").text
    assert page.count(">Try again<") == 200
    assert "301 envelopes were set aside" in page
    browser.post("/aside", do="destroy-all", code="armor")
    assert len(desk.inbox.set_aside()) == 301, "one press is not enough"
    browser.post("/aside", do="destroy-all", code="armor", sure="yes")
    assert [code for _, code in desk.inbox.set_aside()] == ["file"]
    assert (desk.journal.entries[-1].did, desk.journal.entries[-1].what) == ("destroyed-aside", "armor 300")
    assert browser.post("/aside", do="destroy-all", code="armor", sure="yes").status_code == 404


def test_what_was_set_aside_is_listed_and_settled(browser, desk, office):
    """An envelope that does not open is listed with its reason in words, tried again, and destroyed when told."""
    (office.inbox / f"{'0' * 26}.age").write_bytes(b"nothing")
    receive(desk)
    assert "This is not an envelope" in browser.get("/aside").text
    assert "set aside" in browser.get("/").text
    (name,) = (f"{one}.{code}" for one, code in desk.inbox.set_aside())
    browser.post("/aside", name=name, do="again")
    wait_for(lambda: desk.opening.ended and desk.inbox.set_aside())
    browser.post("/aside", name=name, do="destroy")
    assert desk.inbox.set_aside() == []
    assert browser.post("/aside", name="../desk.age", do="destroy").status_code == 404
