"""A report that its sender takes back, through the running programs: before it leaves, and when the agency has it."""

import pytest
from sqlalchemy import select

from app.delivery.database import Database
from app.delivery.receipt_codes import derive_keys, parse_code
from app.delivery.schema import blobs, cells, spares
from tests.support.desk import first_tip, replying_program, wait_for
from tests.support.faults import LIMITS
from tests.support.paths import read_below
from tests.support.site import Visitor, demonstration

WHAT = "They lock the door of the packhouse at night, and Tavita has our passports."


def _read(visitor, code, lang):
    """The page of somebody who comes back with a code, in a language."""
    asked = visitor.get(f"/{lang}/reply").form("/reply")
    fields = [(name, value) for name, value in asked.fields if name != "code"]
    return visitor.post(f"/{lang}/reply", [*fields, ("code", code), ("step", "read")])


def _take_back(visitor, code, lang="en"):
    """The page after the sender read, asked to take the report back, and pressed the one button."""
    replies = _read(visitor, code, lang)
    fields = [(name, value) for name, value in replies.form("/reply", "withdraw").fields if name != "what"]
    asked = visitor.post(f"/{lang}/reply", [*fields, ("step", "withdraw")])
    return visitor.post(f"/{lang}/reply", [*asked.form("/reply", "withdraw").fields, ("step", "withdraw")])


def _found(folder, pieces):
    """Which pieces lie in any file of a folder."""
    files = [data for path, data in read_below([folder]).items() if path.name != "demo.log"]
    return [piece for piece in pieces if any(piece in data for data in files)]


@pytest.mark.slow
def test_a_report_that_is_taken_back_before_it_leaves_is_on_no_disk_and_never_arrives(tmp_path):
    """Given a report that waits, when its sender takes it back, nothing of it is left and nothing arrives."""
    with demonstration(tmp_path, HAUMARU_FORWARD_WINDOW="12h") as site:
        visitor = Visitor(site.base_url)
        code = visitor.send({"what": WHAT, "reply": "yes"}).receipt_code
        words = derive_keys(parse_code(code)).envelope_id(0)
        database = Database(f"sqlite:///{next(site.folder.rglob('outbox.db'))}")
        data = database.read_blob(words.encode(), blobs, spares)
        pieces = [data[at : at + 24] for at in range(100, len(data) - 24, 991)] + [words.encode()]
        assert len(_found(tmp_path, pieces)) == len(pieces)
        with database.read() as connection:
            before = len(connection.execute(select(cells.c.id)).all())
        done = _take_back(visitor, code)
        assert done.heading == "We destroyed your report. Your report never left this site."
        assert _found(tmp_path, pieces) == []
        with database.read() as connection:
            assert len(connection.execute(select(cells.c.id)).all()) == before
        database.close()
        assert "Tavita" not in site.log.read_text()
    with demonstration(tmp_path, HAUMARU_FORWARD_WINDOW="2s") as site:
        wait_for(lambda: len(list(site.inbox.glob("*.age"))) > before)
        assert site.delivered() == []


@pytest.mark.slow
def test_a_sender_asks_the_desk_not_to_pass_a_report_on_and_reads_the_answer_in_tongan(tmp_path):
    """Given a report at the desk, when its sender takes it back, the handler reads that first and must answer."""
    # Reading again and again until the answer is there takes more than a reader's share.
    with demonstration(tmp_path, **LIMITS) as site:
        visitor = Visitor(site.base_url)
        code = visitor.send({"what": WHAT, "reply": "yes"}).receipt_code
        with replying_program(site, tmp_path) as desk:
            one = first_tip(desk)
            assert "passed" not in _take_back(visitor, code).heading, "the demonstration asks nobody"
            wait_for(lambda: one in desk.get("/?view=withdrawn"))
            assert "The sender asks you not to pass this tip on." in desk.get(f"/tips/{one}")
            desk.post(f"/tips/{one}/claim")
            assert desk.post(f"/tips/{one}/close", reason="nothing")[0] == 409
            assert desk.post(f"/tips/{one}/withdrawal", answer="destroyed")[0] == 303
            wait_for(lambda: "Naʻe tali ʻe he kautahá hoʻo kolé" in _read(visitor, code, "to").words)
            assert "ʻOku fakaʻauha ʻe he kautahá hoʻo lipootí." in _read(visitor, code, "to").words
            assert one not in desk.get("/")
            _, faults = desk.stop()
            assert faults == ""
