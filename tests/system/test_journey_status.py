"""What became of a report, through the running programs: a handler works, and the sender reads it in their language."""

import re

import pytest

from tests.support.desk import first_tip, replying_program, wait_for
from tests.support.site import Visitor, demonstration

EVERY = "2s"


def _read(visitor, code, lang):
    """The page of somebody who comes back with a code, in a language."""
    asked = visitor.get(f"/{lang}/reply").form("/reply")
    fields = [(name, value) for name, value in asked.fields if name != "code"]
    return visitor.post(f"/{lang}/reply", [*fields, ("code", code), ("step", "read")])


def _title(page):
    return re.sub(r"<[^>]+>", "", re.search(r"<h1[^>]*>(.*?)</h1>", page.text, re.DOTALL)[1]).strip()


@pytest.mark.slow
def test_a_sender_reads_what_became_of_the_report_in_tongan_and_hindi(tmp_path):
    """Given a sender who keeps the code, when a handler opens, refers and closes, the sender reads each in turn."""
    with demonstration(tmp_path) as site:
        visitor = Visitor(site.base_url)
        sent = visitor.send({"what": "They lock the door of the flat at night.", "reply": "yes"})
        code = sent.receipt_code
        assert _title(_read(visitor, code, "to")) == "ʻOku ʻikai ha tali ki he kouti ko ʻení"
        with replying_program(site, tmp_path, every=EVERY) as desk:
            one = first_tip(desk)

            def wait_until_told(count):
                there = "the sender can read this on the site"
                wait_for(lambda: desk.get(f"/tips/{one}/reply").count(there) == count)

            desk.get(f"/tips/{one}")
            wait_until_told(1)
            assert _title(_read(visitor, code, "to")).startswith("Naʻe fakaava hoʻo lipootí ʻi he ʻaho ")
            assert _title(_read(visitor, code, "hi")).endswith("को खोली गई")

            desk.post(f"/tips/{one}/claim")
            draft = {"keep": ["what"], "summary": "Men are held.", "authority": ["mbie"], "go": "look"}
            desk.post(f"/tips/{one}/redact", **draft)
            version = re.search(r'name="version" value="(\d+)"', desk.get(f"/tips/{one}/refer"))[1]
            boxes = {"tell": "yes", "tell-kinds": "yes"}
            assert desk.post(f"/tips/{one}/refer", version=version, confirmed=["mbie"], **boxes)[0] == 303
            wait_until_told(2)
            read = _read(visitor, code, "hi")
            assert "एक दूसरी संस्था को भेजी गई" in _title(read)
            assert "तनख्वाह कैसे मिलती है" in read.words, "the kind of authority"
            assert "MBIE" not in read.words, "and never its name"

            desk.post(f"/tips/{one}/close", reason="test", tell="yes")
            wait_until_told(3)
            assert _title(_read(visitor, code, "to")).startswith("Naʻe tāpuni hoʻo lipootí ʻi he ʻaho ")
            closed = _read(visitor, code, "en")
            assert "There was too little to act on." in closed.words
            assert "nonsense" not in closed.words
            _, faults = desk.stop()
            assert faults == ""
        fields = [(name, value) for name, value in closed.form("/reply").fields if name != "what"]
        assert "deleted" in _title(visitor.post("/en/reply", [*fields, ("step", "done")]))
        assert _title(_read(visitor, code, "en")) == "There is no reply for this code"
