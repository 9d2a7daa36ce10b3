"""The agency's commands, as a person types them: keygen, open, verify, and how each of them fails."""

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import timedelta

import pytest

from app.desk.export import export_json
from app.vault.day_keys import read_batch
from app.vault.keys import parse_recipient, recipient_of
from app.vault.tip import new_decoy, new_tip_id
from app.vault.tip_bundles import to_bundles
from tests.support.desk import big_file, jpeg, receive, tip
from tests.support.hostile import HOSTILE, obeyed
from tests.support.paths import BIN, ROOT

PASSPHRASE = "six words of a passphrase"
# A desk to which a signal comes while it starts to serve, in the middle of a step.
STOPPED_AT_ITS_START = """
import os, signal, sys, threading
from app.desk import cli

start, number = threading.Thread.start, getattr(signal, sys.argv.pop())

def start_and_stop(thread):
    name = thread._target.__name__  # a thread that has ended has no target
    start(thread)
    if name == "serve_forever":
        os.kill(os.getpid(), number)

threading.Thread.start = start_and_stop
cli.main()
"""


def run(*arguments, **env):
    """One command; what it said and how it ended."""
    command = [BIN / "haumaru-desk", *arguments]
    quiet = {name: value for name, value in os.environ.items() if name != "HAUMARU_PASSPHRASE"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=quiet | env, stdin=subprocess.DEVNULL
    )


def test_keygen_writes_a_private_file_and_prints_the_public_half_alone(tmp_path):
    """Mode 0600, under the passphrase; the recipient and nothing else on standard output; never written over."""
    path = tmp_path / "identity.txt"
    made = run("keygen", "-o", path, HAUMARU_PASSPHRASE=PASSPHRASE)
    assert made.returncode == 0, made.stderr
    assert parse_recipient(made.stdout.removesuffix("\n")).startswith("age1pq1")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b"age-encryption.org/v1\n-> scrypt ")
    before = path.read_bytes()
    again = run("keygen", "-o", path, HAUMARU_PASSPHRASE=PASSPHRASE)
    assert (again.returncode, again.stdout) == (2, "")
    assert path.read_bytes() == before
    short = run("keygen", "-o", tmp_path / "short.txt", HAUMARU_PASSPHRASE="short")
    assert short.returncode == 2
    assert "at least 12 characters" in short.stderr
    common = run("keygen", "-o", tmp_path / "short.txt", HAUMARU_PASSPHRASE="123qwe123qwe")
    assert common.returncode == 2
    assert "Many people use this passphrase" in common.stderr
    assert not (tmp_path / "short.txt").exists()


def test_keygen_prints_the_fingerprint_that_the_site_shows_beside_the_recipient(tmp_path):
    """The fingerprint is on standard error: the first 32 digits of SHA-256 of the recipient, in groups of four."""
    made = run("keygen", "-o", tmp_path / "identity.txt", "--no-passphrase")
    digest = hashlib.sha256(made.stdout.strip().encode()).hexdigest()[:32]
    assert made.stderr == f"fingerprint: {' '.join(digest[at : at + 4] for at in range(0, 32, 4))}\n"


def test_keygen_makes_a_signing_key(tmp_path):
    """With --signing it prints 32 bytes in base64, and with --no-passphrase the file needs none."""
    made = run("keygen", "-o", tmp_path / "signing.pem", "--signing", "--no-passphrase")
    assert len(made.stdout.strip()) == 44
    assert b"PRIVATE KEY" in (tmp_path / "signing.pem").read_bytes()
    locked = run("keygen", "-o", tmp_path / "locked.pem", "--signing", HAUMARU_PASSPHRASE=PASSPHRASE)
    assert locked.returncode == 0
    assert b"ENCRYPTED" in (tmp_path / "locked.pem").read_bytes()


def test_open_prints_each_tip_and_names_what_is_bad(tmp_path, office):
    """Good ones are one JSON line each, decoys print nothing, bad ones are named on standard error; exit 1."""
    good, decoy = office.drop(tip()), office.drop(new_decoy())
    wrong = new_tip_id()
    office.drop(tip(), name=f"{wrong}.age")
    (office.inbox / f"{'0' * 26}.age").write_bytes(b"nothing")
    paths = sorted(office.inbox.iterdir())
    done = run("open", *paths, office.inbox / f"{'1' * 26}.age", "-i", tmp_path / "identity.txt")
    assert done.returncode == 1
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [good]
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("haumaru-desk: ") for line in lines)
    assert not any(decoy in line for line in lines)
    assert any(wrong in line and "name" in line for line in lines)
    assert run("open", office.inbox / f"{good}.age", "-i", tmp_path / "identity.txt").returncode == 0


def test_open_unpacks_with_files_marked_as_untrusted(tmp_path, office):
    """With -o each tip gets a folder under its id, private, its files under `untrusted/`; nothing is written over."""
    one = office.drop(tip(files=(jpeg(),)))
    arguments = ("open", *office.inbox.iterdir(), "-i", tmp_path / "identity.txt", "-o", tmp_path / "out")
    assert run(*arguments).returncode == 0
    folder = tmp_path / "out" / one
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "tip.json",
        "tip.txt",
        "untrusted/1.jpg",
    }
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*"))
    again = run(*arguments)
    assert again.returncode == 1
    assert "unpacked into that folder before" in again.stderr


def test_open_shows_a_terminal_nothing_that_it_obeys(tmp_path, office):
    """Printed, unpacked or exported, a hostile report reaches a terminal escaped; so does a hostile file name."""
    one = office.drop(tip({"what": HOSTILE, "where": HOSTILE}))
    hostile_name = office.inbox / "x\x1b[2J\u202e.age"
    hostile_name.write_bytes(b"nothing")
    identity = ("-i", tmp_path / "identity.txt")
    printed = run("open", office.inbox / f"{one}.age", hostile_name, *identity)
    assert json.loads(printed.stdout)["answers"]["what"] == HOSTILE
    assert not obeyed(printed.stdout)
    assert "does not open" in printed.stderr
    assert not obeyed(printed.stderr)
    assert run("open", office.inbox / f"{one}.age", *identity, "-o", tmp_path / "out").returncode == 0
    for path in (tmp_path / "out" / one).iterdir():
        assert not obeyed(path.read_text(encoding="utf-8")), path.name
    hostile_name.unlink()
    with office.desk() as desk:
        receive(desk)
        assert not obeyed(export_json(desk.cases.get(one), desk.cases.parts).decode())


def test_open_joins_the_parts_of_one_call_and_says_how_many_are_missing(tmp_path, office):
    """Words are printed and unpacked without their files while parts are missing; parts without words are counted."""
    sent = tip(files=(big_file(parts=3),))
    words, *parts = (office.drop_bundle(bundle) for bundle in to_bundles(sent))
    identity = ("-i", tmp_path / "identity.txt")
    some = run("open", words, parts[1], *identity, "-o", tmp_path / "some")
    assert some.returncode == 0, some.stderr
    assert f"{sent.id}: 2 of 3 parts of its files are missing" in some.stderr
    assert not (tmp_path / "some" / sent.id / "untrusted").exists()
    whole = run("open", parts[2], words, *parts[:2], *identity, "-o", tmp_path / "whole")
    assert (whole.returncode, whole.stderr) == (0, "")
    assert (tmp_path / "whole" / sent.id / "untrusted/1.txt").read_bytes() == sent.files[0].data
    alone = run("open", *parts, *identity)
    assert (alone.returncode, alone.stdout) == (0, "")
    assert "belong to no tip given here: 3" in alone.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nothing",),
        ("open",),
        ("keygen",),
        ("serve",),
        ("verify", "x.age", "-i", "y"),
        ("open", "x.age", "-i", "y", "--signer", "!"),
    ],
)
def test_a_wrong_call_ends_with_2_or_says_how(arguments):
    """A call that cannot be meant is told in one line with exit 2; alone, the program says what it can do."""
    done = run(*arguments)
    assert "Traceback" not in done.stderr
    assert done.returncode == 2 or "Commands:" in done.stdout + done.stderr
    if done.returncode == 2 and "Commands:" not in done.stderr:
        assert re.fullmatch(r"haumaru-desk: .+; see haumaru-desk --help\n", done.stderr)


def test_a_missing_file_or_wrong_passphrase_is_one_line(tmp_path, office):
    """No configuration, no identity file, a wrong passphrase, a tip where a referral should be: one clear line each."""
    one = office.drop(tip())
    run("keygen", "-o", tmp_path / "locked.txt", HAUMARU_PASSPHRASE=PASSPHRASE)
    envelope = office.inbox / f"{one}.age"
    for done, code, words in (
        (run("serve", "--config", tmp_path / "none.toml"), 1, "there is no such file"),
        (run("receive", "--config", office.config), 1, "[receive] bind"),
        (run("open", envelope, "-i", tmp_path / "none.txt"), 2, "cannot be read"),
        (run("open", envelope, "-i", tmp_path / "locked.txt", HAUMARU_PASSPHRASE="another"), 1, "passphrase is wrong"),
        (run("verify", envelope, "-i", tmp_path / "identity.txt", "--signer", office.signer), 1, "not-a-referral"),
    ):
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert words in done.stderr
        assert done.stderr.startswith("haumaru-desk: ")
        assert done.stderr.count("\n") == 1


def test_day_keys_are_made_while_the_desk_is_closed_and_open_envelopes_by_hand(tmp_path, office):
    """The file for the site is signed, no file is written over; a day's key opens after the desk's own identity."""
    made = run("day-keys", "--config", office.config, "-o", tmp_path / "keys.json", "--days", "3")
    assert made.returncode == 0, made.stderr
    batch = read_batch((tmp_path / "keys.json").read_bytes(), office.public, [recipient_of(office.identity)])
    assert made.stdout == f"Day keys from {batch.first} to {batch.last}. Number of the batch: {batch.number}\n"
    again = run("day-keys", "--config", office.config, "-o", tmp_path / "keys.json")
    assert (again.returncode, "a file of that name exists already" in again.stderr) == (2, True)
    with office.desk():
        busy = run("day-keys", "--config", office.config, "-o", tmp_path / "more.json")
    assert (busy.returncode, "Another desk uses this store" in busy.stderr) == (1, True)
    assert not (tmp_path / "more.json").exists()
    path = office.drop_bundle(to_bundles(tip())[0], recipients=(batch.recipients[1],))
    (key,) = (office.store / "day-keys").glob(f"{batch.first + timedelta(days=1)}.*")
    identity = tmp_path / "identity.txt"
    done = run("open", path, "-i", identity, "-i", key)
    assert (done.returncode, json.loads(done.stdout)["id"]) == (0, path.name[:26])
    wrong = run("open", path, "-i", key, "-i", identity)
    assert (wrong.returncode, "give the desk's identity file first" in wrong.stderr) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_a_desk_that_is_stopped_while_it_starts_ends(office, signal):
    """A signal in the middle of the start closes the desk, whatever step it meets."""
    command = [sys.executable, "-c", STOPPED_AT_ITS_START, "serve", "--config", office.config, signal]
    env = {**os.environ, "DESK_PORT": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nThe desk is closed.\n")
