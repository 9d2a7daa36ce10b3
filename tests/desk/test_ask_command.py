"""`haumaru-desk ask`, as a person at an authority types it: from a referral or its reference to an envelope."""

import os
import subprocess
import time

import pytest

from app.desk.envelopes import id_from_name
from app.vault.age import ENVELOPE_BYTES
from app.vault.keys import recipient_of
from tests.support.desk import receive
from tests.support.paths import BIN
from tests.support.questions import TEXT, referred


def _ask(folder, *arguments, text=""):
    """One call; what it said and how it ended."""
    env = {name: value for name, value in os.environ.items() if name != "HAUMARU_PASSPHRASE"}
    command = [BIN / "haumaru-desk", "ask", *arguments]
    return subprocess.run(
        command, cwd=folder, env=env, input=text, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def desk(office):
    """The open desk, by the clock of this machine: the command names the day of its own."""
    with office.desk(clock=time.time) as made:
        yield made


@pytest.fixture
def arguments(office, tmp_path):
    """What every question needs: the desk's key, the authority's key, the desk's recipient in a file."""
    (tmp_path / "desk.txt").write_text(recipient_of(office.identity) + "\n")
    return ("--signer", office.signer, "-k", "police.pem", "-r", "desk.txt", "-o", "inbox")


def test_a_question_made_from_the_referral_s_envelope_arrives_in_the_case(office, desk, tmp_path, arguments):
    """The authority names the envelope that it got; the question is one envelope of the usual length, ready to send."""
    case = referred(office, desk)
    desk.forwarder.run_once()
    (envelope,) = office.referred("police")
    (tmp_path / "question.txt").write_text(TEXT)
    done = _ask(tmp_path, "--about", envelope, "-i", "police.txt", "--text", "question.txt", *arguments)
    assert done.returncode == 0, done.stderr
    path = tmp_path / done.stdout.strip()
    assert id_from_name(path.name)
    assert path.stat().st_size == ENVELOPE_BYTES
    receive(desk)
    assert [one.text for one in desk.cases.get(case.id).questions] == [TEXT]


def test_a_question_made_from_a_reference_and_the_catalogue(office, desk, tmp_path, arguments):
    """The reference alone is enough; words come from standard input, and questions by their ids."""
    case = referred(office, desk)
    reference = case.referrals[0].id[:8]
    asked = ("--about", reference, "--question", "dogs", "--question", "safe-time", "--text", "-")
    assert _ask(tmp_path, *asked, *arguments, text="And when?\n").returncode == 0
    receive(desk)
    (one,) = desk.cases.get(case.id).questions
    assert (one.text, one.asked) == ("And when?", ("dogs", "safe-time"))


@pytest.mark.parametrize(
    ("more", "text", "said"),
    [
        (("--text", "-"), "x" * 2001, "at most 2,000 characters"),
        (("--question", "who-are-you"), "", "at most five questions of the catalogue"),
        ((), "", "write a question into a file"),
        (("--about", "nothing.age", "--text", "-"), "x", "no reference, and no envelope"),
        (("-r", "age1abc", "--text", "-"), "x", "not a recipient of the desk"),
        (("--signer", "x", "--text", "-"), "x", "copy all 44 characters"),
        (("-k", "desk.txt", "--text", "-"), "x", "not a signing key"),
    ],
)
def test_a_question_that_cannot_be_asked_is_said_in_one_line(office, tmp_path, arguments, *, more, text, said):
    """Too long, unknown, empty, about nothing, to nobody, with a wrong key: one line, no envelope, no traceback."""
    done = _ask(tmp_path, "--about", "7K2M-PQ4D", *arguments, *more, text=text)
    assert done.returncode in {1, 2}
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(office.inbox.iterdir())


def test_a_referral_of_another_desk_is_not_asked_about(office, desk, tmp_path, arguments):
    """Where --signer is not the desk that signed the referral, no question is made."""
    referred(office, desk)
    desk.forwarder.run_once()
    (envelope,) = office.referred("police")
    other = ("--signer", office.question_key)
    done = _ask(tmp_path, "--about", envelope, "-i", "police.txt", "--question", "dogs", *arguments, *other)
    assert done.returncode == 1
    assert "did not make the signature" in done.stderr
