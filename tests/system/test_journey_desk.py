"""The desk's whole days, through the running programs: a tip comes in, is redacted, referred, verified, answered."""

import json
import re
import subprocess

import pytest

from app.desk.referral import read_referral, require_signer
from app.vault.age_open import unseal
from tests.support.desk import Office, big_file, first_tip, jpeg, program, replying_program, tip, wait_for
from tests.support.paths import BIN, ROOT
from tests.support.site import Visitor, demonstration


def run(*arguments, **more):
    """One command of the agency's, as a person would run it."""
    command = [BIN / "haumaru-desk", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **more)


def _refer(desk, one, authority="police", **more):
    desk.post(f"/tips/{one}/claim")
    marks = re.findall(r'name="m" value="([^"]+)" checked', desk.get(f"/tips/{one}/redact"))
    fields = {"keep": ["what", "where", "people"], "summary": "Men are held.", "authority": [authority], "go": "look"}
    desk.post(f"/tips/{one}/redact", m=marks, **fields, **more)
    version = re.search(r'name="version" value="(\d+)"', desk.get(f"/tips/{one}/refer"))[1]
    return desk.post(f"/tips/{one}/refer", version=version, confirmed=[authority])


def test_a_tip_becomes_a_referral_that_verifies(tmp_path):
    """Given a sealed tip, when it is referred, then the authority opens and verifies it with the desk's key alone."""
    office = Office(tmp_path)
    sent = tip(files=(jpeg(),))
    office.drop(sent)
    with program(office.config, env={"DESK_PORT": "0"}) as desk:
        desk.enter("Ana")
        one = first_tip(desk)
        assert one == sent.id
        assert _refer(desk, one, file=["files/1.jpg"]) == (303, f"/tips/{one}")
        wait_for(lambda: len(office.referred("police")) == 2)
        said, faults = desk.stop()
    assert faults == ""
    assert said == "The desk is closed.\n"
    arguments = [*office.referred("police"), "-i", tmp_path / "police.txt"]
    verified = run("verify", *arguments, "--signer", office.signer)
    assert verified.returncode == 0, verified.stderr
    assert "is signed by that desk, for Example Police" in verified.stdout
    opened = run("open", *arguments, "--signer", office.signer)
    fields = json.loads(opened.stdout)
    assert fields["format"] == "haumaru-referral/1"
    assert fields["fields"]["what"].count("[removed]") == 2
    assert "phone number" in fields["removed"]
    assert sent.id not in opened.stdout
    assert run("open", *arguments, "--signer", office.signer, "-o", tmp_path / "out").returncode == 0
    assert (tmp_path / "out" / fields["id"] / "untrusted/1.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    unsure = run("open", *arguments)
    assert "anyone can sign" in unsure.stderr
    (tmp_path / "other").mkdir()
    stranger = Office(tmp_path / "other")
    forged = run("verify", *arguments, "--signer", stranger.signer)
    assert (forged.returncode, forged.stdout) == (1, "")
    assert "signature" in forged.stderr


def test_a_forged_referral_is_found(tmp_path):
    """Given a recipient, which is public, when anyone seals a referral to it, then only the desk's own key verifies."""
    office = Office(tmp_path)
    office.drop(tip())
    with program(office.config, env={"DESK_PORT": "0"}) as desk:
        desk.enter("Ana")
        _refer(desk, first_tip(desk))
        wait_for(lambda: office.referred("police"))
    bundle = unseal(office.referred("police")[0].read_bytes(), [office.police])
    made = read_referral(bundle).referral
    changed = bundle.replace(b"Men are held.", b"Men are free.")
    with pytest.raises(Exception, match=r"referral|zip"):
        read_referral(changed)
    assert require_signer(made, office.public) is made


def _read_fields(visitor, code):
    """The fields of the page that shows the replies under a code."""
    fields = [(name, value) for name, value in visitor.get("/en/reply").form("/reply").fields if name != "code"]
    read = visitor.post("/en/reply", [*fields, ("code", code), ("step", "read")])
    return [(name, value) for name, value in read.form("/reply").fields if name != "what"]


def _send_answer(visitor, fields, what):
    """The page after an answer was looked at and sent."""
    look = visitor.post("/en/reply", [*fields, ("what", what), ("step", "answer")])
    return visitor.post("/en/reply", [*look.form("/reply").fields, ("step", "send")])


def _answer_with_files(visitor, desk, one, fields):
    """Given a phone number and two files, nothing leaves before the second look, and then without what was ticked."""
    what = "Nobody is hurt. My number is 021 555 0199. Two photographs."
    look = visitor.post("/en/reply", [*fields, ("what", what), ("step", "answer")])
    box = look.document.one("input", name="remove").attrs["value"]
    files = [("IMG_1.jpg", jpeg(1).data), ("note.txt", b"My name is Anna Smith.")]
    held = visitor.post_files("/en/reply", [*look.form("/reply").fields, ("remove", box), ("step", "send")], files)
    assert (held.status, held.heading) == (200, "Not sent yet")
    assert "Nobody is hurt" not in desk.get(f"/tips/{one}/reply")
    cut = ("cut", held.document.one("input", name="cut").attrs["value"])
    answered = visitor.post("/en/reply", [*held.form("/reply").fields, cut, ("step", "confirm")])
    assert answered.status == 200, answered.words
    thread = _thread_with(desk, one, "2 files with this answer")
    assert "0199" not in thread
    answer = re.search(r'href="[^"]*/tips/([0-9a-z]{26})#files"', thread)[1]
    wait_for(lambda: "/files/1" in desk.get(f"/tips/{answer}"))
    assert "Anna" not in desk.get(f"/tips/{answer}")


def _thread_with(desk, one, words):
    """The page of a thread once these words stand there."""
    wait_for(lambda: words in desk.get(f"/tips/{one}/reply"))
    return desk.get(f"/tips/{one}/reply")


@pytest.mark.slow
def test_a_reply_goes_round(tmp_path):
    """Given a sender who keeps the code, when the desk replies, they read it and answer, and the desk reads that."""
    with demonstration(tmp_path) as site:
        visitor = Visitor(site.base_url)
        sent = visitor.send({"what": "They lock the door of the flat at night.", "reply": "yes"})
        code = sent.receipt_code
        with replying_program(site, tmp_path) as desk:
            one = first_tip(desk)
            desk.post(f"/tips/{one}/claim")
            warned = desk.request("POST", f"/tips/{one}/reply", f"token={desk.token}&text=What+is+your+name%3F")
            assert warned[0] == 422
            assert desk.post(f"/tips/{one}/reply", text="Thank you. Is anyone hurt?")[0] == 303
            wait_for(lambda: "can read this on the site" in desk.get(f"/tips/{one}/reply"))

            asked = visitor.get("/en/reply").form("/reply")
            fields = [(name, value) for name, value in asked.fields if name != "code"]
            read = visitor.post("/en/reply", [*fields, ("code", code), ("step", "read")])
            assert "Thank you. Is anyone hurt?" in read.words
            form = read.form("/reply")
            fields = [(name, value) for name, value in form.fields if name != "what"]
            _answer_with_files(visitor, desk, one, fields)
            for said in ("A second answer.", "A third answer."):
                assert _send_answer(visitor, fields, said).status == 409, "this form was sent before"
                assert _send_answer(visitor, _read_fields(visitor, code), said).status == 200
            wait_for(lambda: "The sender wrote again" in desk.get("/?view=answered"))
            thread = _thread_with(desk, one, "A third answer.")
            places = [thread.index(said) for said in ("Nobody is hurt", "A second answer", "A third answer")]
            assert places == sorted(places)
            assert "The sender wrote again" not in desk.get("/?view=answered"), "the messages were read"
            gone = visitor.post("/en/reply", [*[(n, v) for n, v in form.fields if n != "what"], ("step", "done")])
            assert gone.status == 200
            again = visitor.get("/en/reply").form("/reply")
            fields = [(name, value) for name, value in again.fields if name != "code"]
            empty = visitor.post("/en/reply", [*fields, ("code", code), ("step", "read")])
            assert "Is anyone hurt?" not in empty.words
            _, faults = desk.stop()
            assert faults == ""


def test_the_commands_verify_the_journal_and_tell_the_status(tmp_path):
    """Given a day's work, the journal is whole; without its last line it is not, and no desk opens on it."""
    office = Office(tmp_path)
    office.drop(tip())
    with program(office.config, env={"DESK_PORT": "0"}) as desk:
        desk.enter("Ana")
        desk.post(f"/tips/{first_tip(desk)}/claim")
    whole = run("journal", "verify", "--config", office.config)
    assert re.fullmatch(r"The journal is unchanged. Lines: \d+. Hash of the last line: [0-9a-f]{64}\n", whole.stdout), (
        whole.stderr
    )
    status = run("status", "--config", office.config)
    assert "Envelopes in the inbox: 0" in status.stdout
    assert status.returncode == 0
    path = office.store / "journal.sealed"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    broken = run("journal", "verify", "--config", office.config)
    assert broken.returncode == 1
    assert "was changed" in broken.stderr
    refused = run("serve", "--config", office.config)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1


@pytest.mark.slow
def test_wrong_keys_end_with_one_clear_line(tmp_path):
    """Given a wrong passphrase, another identity, a second desk or a faulty file, each ends with one clear line."""
    office = Office(tmp_path)
    command = [BIN / "haumaru-desk", "serve", "--config", office.config]
    env = {"HAUMARU_PASSPHRASE": "a wrong passphrase", "PATH": "/usr/bin", "DESK_PORT": "0"}

    def fails(words):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=ROOT, timeout=60)
        assert done.returncode == 1
        assert words in done.stderr
        assert done.stderr.count("\n") == 1

    with program(office.config, env={"DESK_PORT": "0"}):
        fails("Another desk uses this store")
    plain = (tmp_path / "identity.txt").read_bytes()
    subprocess.run(
        [BIN / "haumaru-desk", "keygen", "-o", tmp_path / "locked.txt"],
        env={"HAUMARU_PASSPHRASE": "the right passphrase"},
        check=True,
        capture_output=True,
    )
    (tmp_path / "identity.txt").write_bytes((tmp_path / "locked.txt").read_bytes())
    fails("the passphrase is wrong")
    env["HAUMARU_PASSPHRASE"] = "the right passphrase"
    fails("sealed to another identity")
    (tmp_path / "identity.txt").write_bytes(plain + b"x")
    fails("not an identity file")
    assert ROOT


def test_every_fault_of_the_configuration_is_told_at_once(tmp_path):
    """Given a desk.toml with many faults, all are told in one run, each with its mend, and no secret is repeated."""
    office = Office(tmp_path)
    text = office.config.read_text()
    text = text.replace('bind = "127.0.0.1:8701"', 'bind = "0.0.0.0:8701"').replace(
        "retain_days = 30", "retain_days = 0"
    )
    text = text.replace("release = 1", "release = 3").replace('contact = "Example desk, 04 555 0100"', "colour = 1")
    text = text.replace('deliver = "drop:referred/mbie"', 'deliver = "ftp://secret-password@x"').replace(
        "[[handler]]\nname", "[[handler]]\nnme"
    )
    office.config.write_text(text + '\n[receive]\nbind = "127.0.0.1:8702"\n')
    done = run("status", "--config", office.config)
    assert done.returncode == 1
    for fault in (
        "[desk] bind",
        "retain_days",
        "release",
        "contact",
        "colour",
        "[[authority]] mbie: deliver",
        "[[handler]]",
        "[receive] token",
    ):
        assert fault in done.stderr, fault
    assert "secret-password" not in done.stderr


@pytest.mark.slow
def test_a_desk_that_is_killed_loses_nothing(tmp_path):
    """Given 200 tips, some with files, when the desk is killed again and again, then all are there, once each."""
    office = Office(tmp_path)
    files = (big_file(parts=2),)
    sent = [tip({"what": f"Number {number}"}, files=files if number % 10 == 0 else ()) for number in range(200)]
    ids = {office.drop(one) for one in sent}
    for after in (5, 60, 120):
        with program(office.config, env={"DESK_PORT": "0"}) as desk:
            wait_for(lambda after=after: len(list((office.store / "envelopes").glob("*.age"))) > after)
            desk.process.kill()
            desk.process.communicate(timeout=60)
    with program(office.config, env={"DESK_PORT": "0"}):
        wait_for(lambda: not list(office.inbox.glob("*.age")))
    with office.desk() as desk:
        assert {case.id for case in desk.cases.all()} == ids
        received = [entry.tip for entry in desk.journal.entries if entry.did == "received"]
        assert sorted(received) == sorted(ids)
        assert [desk.cases.original(desk.cases.get(one.id)) for one in sent] == sent
    assert run("journal", "verify", "--config", office.config).returncode == 0
