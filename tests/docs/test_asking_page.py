"""docs/asking.md: an authority without our program asks as the page says, with tools that are not ours."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from app.vault.age import ENVELOPE_BYTES
from app.vault.keys import recipient_of
from tests.support.desk import Office, receive
from tests.support.paths import ROOT
from tests.support.questions import TEXT, referred

PAGE = (ROOT / "docs" / "asking.md").read_text(encoding="utf-8")
(RECIPE,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
# `age` as the page calls it, from npm's age-encryption, which shares no code with ours.
AGE = """#!{python}
import sys
sys.path.insert(0, {root!r})
from tests.support.age_tools import run
encrypt, *recipients, o, target, source = sys.argv[1:]
assert (encrypt, o, recipients[::2]) == ("--encrypt", "-o", ["-r"] * 4)
run.node("age.mjs", "seal", source, target, *recipients[1::2])
"""


@pytest.mark.needs("node", "openssl")
def test_a_question_made_with_openssl_and_an_age_tool_arrives_in_the_case(tmp_path):
    """The program of the page, as it stands there, makes an envelope of the usual length that the desk takes."""
    office, tools = Office(tmp_path), tmp_path / "tools"
    tools.mkdir()
    (tools / "age").write_text(AGE.format(python=sys.executable, root=str(ROOT)))
    (tools / "age").chmod(0o700)
    authority = tmp_path / "authority"
    authority.mkdir()
    shutil.copy(tmp_path / "police.pem", authority / "question-key.pem")
    (authority / "desk-recipient.txt").write_text(recipient_of(office.identity) + "\n")
    (authority / "question.txt").write_text(f'{TEXT} "Kia ora", kōrero\n', encoding="utf-8")
    with office.desk(clock=time.time) as desk:
        case = referred(office, desk)
        reference = f"{case.referrals[0].id[:4]}-{case.referrals[0].id[4:8]}".upper()
        _, _, *lines = RECIPE.splitlines()
        text = "\n".join([f"reference={reference}", f"desk={office.signer}", *lines])
        path = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run(["sh", "-eu"], input=text, cwd=authority, env=path, text=True, check=True)
        (envelope,) = authority.glob("*.age")
        assert envelope.stat().st_size == ENVELOPE_BYTES
        envelope.rename(office.inbox / envelope.name)
        receive(desk)
        assert desk.inbox.set_aside() == []
        assert [one.text for one in desk.cases.get(case.id).questions] == [f'{TEXT} "Kia ora", kōrero']


def test_the_page_and_the_program_begin_with_the_same_two_lines():
    """The lines in which an authority writes its values are the first two, and hold a reference and a key."""
    first, second, *_ = RECIPE.splitlines()
    assert re.fullmatch(r"reference=[0-9A-Z]{4}-[0-9A-Z]{4}", first)
    assert re.fullmatch(r"desk=[A-Za-z0-9+/]{43}=", second)
