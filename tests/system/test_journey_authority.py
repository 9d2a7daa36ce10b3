"""An authority asks back, through the running programs: from a report to the answer that the authority verifies."""

import re
import subprocess

import pytest

from app.vault.age_open import write_identity_file
from app.vault.keys import new_identity, recipient_of
from app.vault.signature import encode_public_key, new_signing_key, public_bytes, read_signing_key
from tests.support.desk import first_tip, replying_program, wait_for
from tests.support.paths import BIN
from tests.support.site import Visitor, demonstration


class _Police:
    """The authority: a folder with its keys, and the commands that it runs there."""

    def __init__(self, folder, demo):
        self.folder, self.demo = folder, demo
        folder.mkdir()
        identity = new_identity()
        (folder / "identity.txt").write_bytes(write_identity_file(identity, None))
        pem, public = new_signing_key(None)
        (folder / "question-key.pem").write_bytes(pem)
        self.signer = encode_public_key(public_bytes(read_signing_key((demo / "signing.txt").read_bytes(), None)))
        config = demo / "desk.toml"
        text = config.read_text()
        desk = re.search(r'recipients = \["(age1pq1\w+)"\]', text)[1]
        (folder / "desk.txt").write_text(desk)
        own = f'recipients = ["{recipient_of(identity)}"]\nquestion_key = "{encode_public_key(public)}"'
        config.write_text(text.replace(f'recipients = ["{desk}"]', own, 1))

    def run(self, *arguments):
        """What one command printed."""
        command = [BIN / "haumaru-desk", *arguments, "-i", "identity.txt", "--signer", self.signer]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True, timeout=120).stdout

    def got(self, count):
        """The envelopes that came, once there are so many."""
        wait_for(lambda: len(list((self.demo / "referred/police").glob("*.age"))) == count)
        return sorted((self.demo / "referred/police").glob("*.age"))


def _send(desk, tip_id, **fields):
    """Redact a tip or an answer with these fields, look, and send what is left."""
    desk.post(f"/tips/{tip_id}/redact", summary="A van comes.", go="look", **fields)
    version = re.search(r'name="version" value="(\d+)"', desk.get(f"/tips/{tip_id}/refer"))[1]
    assert desk.post(f"/tips/{tip_id}/refer", version=version, confirmed=["police"])[0] == 303


def _answer(visitor, code, asked, said):
    """Read the desk's question under the code, and answer."""
    form = visitor.get("/en/reply").form("/reply")
    fields = [(name, value) for name, value in form.fields if name != "code"]
    read = visitor.post("/en/reply", [*fields, ("code", code), ("step", "read")])
    assert asked in read.words
    fields = [(name, value) for name, value in read.form("/reply").fields if name != "what"]
    look = visitor.post("/en/reply", [*fields, ("what", said), ("step", "answer")])
    assert visitor.post("/en/reply", [*look.form("/reply").fields, ("step", "send")]).status == 200


@pytest.mark.slow
def test_an_authority_asks_and_reads_the_redacted_answer_of_the_sender(tmp_path):
    """Given a referral, when the police ask, the sender reads a handler's words, and the police the redacted answer."""
    with demonstration(tmp_path) as site:
        visitor, police = Visitor(site.base_url), _Police(tmp_path / "police", tmp_path / "instance/demo")
        code = visitor.send({"what": "A van brings men at night.", "reply": "yes"}).receipt_code
        with replying_program(site, tmp_path, every="1s") as desk:
            one = first_tip(desk)
            desk.post(f"/tips/{one}/claim")
            _send(desk, one, keep=["what"], authority=["police"])
            (police.folder / "question.txt").write_text("Which day does the van come?")
            ask = (
                "ask",
                "--about",
                *police.got(1),
                "--text",
                "question.txt",
                "-k",
                "question-key.pem",
                "-r",
                "desk.txt",
            )
            police.run(*ask, "-o", police.demo / "inbox")
            wait_for(lambda: "asks about this tip" in desk.get(f"/tips/{one}"))
            where = re.search(rf"/tips/{one}/asked/\w+", desk.get(f"/tips/{one}"))[0]
            desk.post(f"{where}/confirm", compared="question")
            assert desk.post(f"{where}/put", text="Do you know the day of the van?")[0] == 303
            wait_for(lambda: "can read this on the site" in desk.get(where))

            _answer(visitor, code, "Do you know the day of the van?", "On Mondays, says my sister Mele Fifita.")
            wait_for(lambda: "On Mondays" in desk.get(where))
            _, answer = re.findall(r'name="source" value="(\w+)"', desk.get(where))  # the tip itself first
            assert desk.post(f"{where}/answer", source=answer) == (303, f"/tips/{answer}/redact")
            question = where.rpartition("/")[2]
            _send(desk, answer, keep=["what"], answers=question, terms="Mele Fifita\nmy sister")
            said = police.run("verify", *police.got(2))
            assert f"to your question {question} about " in said
            opened = police.run("open", *police.got(2))
            assert "On Mondays, says [removed]" in opened
            assert "Fifita" not in opened
            assert "Answered" in desk.get(where)
            _, faults = desk.stop()
            assert faults == ""
