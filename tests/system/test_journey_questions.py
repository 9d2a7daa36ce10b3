"""Questions that need no translator, through the running programs: asked by id, read in Tongan, answered by a tick."""

import re

import pytest

from tests.support.desk import first_tip, replying_program, wait_for
from tests.support.site import Visitor, demonstration

WORDS = "Ko e lea faka-Tonga pē"


def _typed(form, **values):
    """The fields of a form, with some of them ticked or written."""
    left = [(name, value) for name, value in form.fields if name not in values]
    return [*left, *((name, value) for name, value in values.items())]


@pytest.mark.slow
def test_a_question_goes_round_in_the_language_of_the_sender(tmp_path):
    """Given a sender who reads Tongan, when the desk asks by id, ticks come back in English and words as written."""
    with demonstration(tmp_path) as site:
        visitor = Visitor(site.base_url)
        sent = visitor.send({"what": "ʻOku lokaʻi ʻa e matapā.", "reply": "yes"})
        code = sent.receipt_code
        with replying_program(site, tmp_path, every="1s") as desk:
            one = first_tip(desk)
            desk.post(f"/tips/{one}/claim")
            asked = ["locked-in", "safe-time", "languages"]
            for _ in range(2):  # pressed twice, asked once
                assert desk.post(f"/tips/{one}/questions", question=asked)[0] == 303
            wait_for(lambda: desk.get(f"/tips/{one}/reply").count("can read this on the site") == len(asked))

            start = visitor.get("/to/reply").form("/reply")
            read = visitor.post("/to/reply", [*_typed(start, code=code), ("step", "read")])
            for words in ("ʻOku lokaʻi ha taha ʻi loto?", "ʻOku ʻi ai ha taimi malu", "Ko e hā e ngaahi lea"):
                assert read.words.count(words) == 1
            ticked = _typed(
                read.form("/reply", "answer"), **{"q-locked-in": "yes", "q-safe-time": "never", "q-languages": WORDS}
            )
            look = visitor.post("/to/reply", [*ticked, ("step", "answer")])
            assert WORDS in look.words
            answered = visitor.post("/to/reply", [*look.form("/reply").fields, ("step", "send")])
            assert answered.status == 200, answered.words

            wait_for(lambda: "Yes</dd>" in desk.get(f"/tips/{one}/reply"))
            thread = desk.get(f"/tips/{one}/reply")
            for question, said in (
                ("Is anyone locked in?", "Yes"),
                ("Is there a safe time for officers to go there?", "No time is safe"),
                ("What languages do the people speak?", WORDS),
            ):
                assert f'<dt>{question}</dt><dd dir="auto">{said}</dd>' in thread
            assert WORDS in re.sub(r"<[^>]*>", "", desk.get(f"/tips/{one}/redact"))
            _, faults = desk.stop()
            assert faults == ""
