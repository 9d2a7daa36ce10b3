"""docs/key-ceremony.md: a tip with two photographs is opened as the page says, by tools that are not ours."""

import io
import os
import re
import subprocess
import sys
from datetime import date

import pytest
from PIL import Image

from app.vault import keys
from app.vault.age import seal
from app.vault.tip import Tip, TipFile, TipId, new_decoy, new_tip_id
from app.vault.tip_bundles import to_bundles
from tests.support.paths import ROOT

TEXT = (ROOT / "docs" / "key-ceremony.md").read_text(encoding="utf-8")
_, _, SECTION = TEXT.partition("## Opening a tip with any age tool")
OPEN, JOIN = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
# `age` as the page calls it, from npm's age-encryption, which shares no code with ours.
AGE = """#!{python}
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.support.age_tools import run
decrypt, i, identities, o, target, envelope = sys.argv[1:]
assert (decrypt, i, o) == ("--decrypt", "-i", "-o")
lines = Path(identities).read_text().splitlines()
keys = [line for line in lines if line.startswith("AGE-SECRET-KEY-")]
run.node("age.mjs", "open", envelope, target, *keys)
"""
IDENTITY = keys.new_identity()
RECIPIENTS = [keys.recipient_of(IDENTITY), keys.recipient_of(keys.new_identity())]


def photograph():
    """Return a photograph as a JPEG that takes more than one slice."""
    target = io.BytesIO()
    Image.frombytes("RGB", (450, 320), os.urandom(450 * 320 * 3)).save(target, "JPEG", quality=95)
    assert 130_100 < len(target.getvalue()) < 195_000
    return target.getvalue()


def tip(tip_id, words):
    """Return a tip with two photographs."""
    files = (
        TipFile("files/1.jpg", "image/jpeg", ("GPS position",), photograph()),
        TipFile("files/2.jpg", "image/jpeg", (), photograph()),
    )
    return Tip(tip_id, date(2026, 11, 22), {"what": words}, files)


@pytest.mark.needs("node")
@pytest.mark.needs("unzip")
def test_a_tip_with_two_photographs_opens_with_an_age_tool_unzip_and_cat(tmp_path):
    """The two programs of the page, as they stand there, give back words and photographs from an inbox with others."""
    (identifier,) = re.findall(r"^tip=(\S+)$", JOIN, re.MULTILINE)
    sent, other = tip(TipId(identifier), "They hold his passport."), tip(new_tip_id(), "Another report.")
    bundles = to_bundles(sent) + to_bundles(other) + to_bundles(new_decoy())
    assert len(bundles) == 3 + 2 * 3
    inbox, tools = tmp_path / "inbox", tmp_path / "tools"
    inbox.mkdir()
    tools.mkdir()
    for bundle in bundles:
        (inbox / f"{bundle.id}.age").write_bytes(seal(bundle.data, RECIPIENTS))
    (inbox / "identity.txt").write_text(f"# public key: {RECIPIENTS[0]}\n{IDENTITY}\n")
    (tools / "age").write_text(AGE.format(python=sys.executable, root=str(ROOT)))
    (tools / "age").chmod(0o700)
    path = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    shown = subprocess.run(["sh", "-eu"], input=OPEN, cwd=inbox, env=path, text=True, check=True, capture_output=True)
    assert "They hold his passport." in shown.stdout
    assert shown.stdout.count("This is a decoy. Nobody sent it.") == 1
    assert f"Report: {identifier}" in shown.stdout
    assert "Envelopes that bring the files: 3." in shown.stdout
    subprocess.run(["sh", "-eu"], input=JOIN, cwd=inbox, text=True, check=True)
    for file in sent.files:
        assert (inbox / file.path).read_bytes() == file.data


def test_the_page_uses_no_tool_that_it_does_not_name():
    """The two programs call an age tool, unzip, cat and what every shell has, and nothing else."""
    words = re.findall(r"(?:^|; do|\$\(|\)|;)\s*([a-z]+)(?= )", f"{OPEN}{JOIN}", re.MULTILINE)
    assert set(words) <= {"age", "unzip", "cat", "for", "mkdir", "case", "printf"}
    assert {"age", "unzip", "cat"} <= set(words)
