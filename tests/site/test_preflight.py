"""What the commands `check` and `status` print for an operator."""

import json
import os
import subprocess
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from app.core.errors import FileRefusedError
from app.delivery.clock import nz_day
from app.delivery.leases import Leases
from app.delivery.outbox import Envelope, Outbox
from app.site import demo, preflight, status
from app.site.config import load_config
from app.vault.tip import new_tip_id
from tests.support.paths import BIN
from tests.support.servers import Certificates, smtp

TODAY = nz_day(time.time())


@pytest.fixture
def path(tmp_path):
    return demo.prepare_folder(tmp_path / "demo")


def words(path, **env):
    return [str(finding) for finding in preflight.check(path, env)]


def faults(path, **env):
    return [line for line in words(path, **env) if line.startswith("fault: ")]


def test_a_good_machine_has_no_fault(path):
    """The configuration of the demonstration has no fault, and the command ends with 0."""
    assert faults(path) == []
    done = subprocess.run([BIN / "haumaru", "check", "--config", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1][:8]) == (0, "0 faults")


def test_a_folder_that_is_not_there_is_a_fault(path):
    """An agency's server that takes no envelope is a fault with its code, and the command ends with 1."""
    (path.parent / "inbox").rmdir()
    assert any("deliver: its end does not take envelopes (disk)" in line for line in faults(path))
    done = subprocess.run([BIN / "haumaru", "check", "--config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 1


def test_a_database_that_cannot_be_used_is_a_fault(path):
    """A database that is away, or a file that is no database, is a fault with a code and without an address."""
    url = "postgresql+psycopg://nobody:hush@127.0.0.1:1/none"
    found = faults(path, HAUMARU_OUTBOX_URL=url)
    assert any("the database cannot be used (database-away)" in line for line in found)
    assert not any("hush" in line for line in found)
    (path.parent / "outbox.db").write_bytes(b"this is no database" * 1000)
    assert any("(corrupt)" in line for line in faults(path))


def test_a_mail_server_that_takes_too_little_is_a_fault(path, tmp_path):
    """A `max_class` above the SIZE that the mail server announces is a fault."""
    certificates = Certificates(tmp_path)
    with smtp(certificates, size=2_000_000) as (port, _):
        delivery = {
            "HAUMARU_AGENCY_EXAMPLE_DELIVER": f"smtp+starttls://localhost:{port}/?to=desk@example.org",
            "HAUMARU_AGENCY_EXAMPLE_CA": str(certificates.ca),
        }
        assert any("max_class: the server takes only" in line for line in faults(path, **delivery))
        assert faults(path, **delivery, HAUMARU_AGENCY_EXAMPLE_MAX_CLASS="1MiB") == []


def test_limits_out_of_reach_are_a_fault(path):
    """A Redis that cannot be reached is a fault."""
    assert any(
        "[limits] url: cannot be reached" in line for line in faults(path, HAUMARU_LIMITS_URL="redis://127.0.0.1:1")
    )


def test_a_secret_that_others_may_read_is_a_fault(path):
    """A file of form secrets that other users can read is a fault."""
    assert faults(path) == []
    (path.parent / "secret").chmod(0o644)
    assert any("secret_file: others may read it" in line for line in faults(path))


def test_an_outbox_whose_folder_others_may_list_is_told(path):
    """A database folder that others may list is a warning, because its times show when a tip came in."""
    path.parent.chmod(0o700)
    assert not any("[outbox]" in line for line in words(path))
    path.parent.chmod(0o755)
    assert any(line.startswith("warning: [outbox] url: others may see when") for line in words(path))
    (path.parent / "outbox.db").chmod(0o644)
    words(path)
    assert (path.parent / "outbox.db").stat().st_mode & 0o077 == 0


def test_an_expired_key_is_a_fault_and_one_about_to_is_a_warning(path):
    """A key past its day is a fault; some weeks before, `status` and `check` warn."""
    past, soon = TODAY - timedelta(days=2), TODAY + timedelta(days=9)
    assert any("expires: is past" in line for line in faults(path, HAUMARU_AGENCY_EXAMPLE_EXPIRES=past.isoformat()))
    told = words(path, HAUMARU_AGENCY_EXAMPLE_EXPIRES=soon.isoformat())
    assert any(line.startswith("warning: ") and "the form closes" in line for line in told)


def test_what_the_site_cannot_correct_is_a_warning(path, monkeypatch):
    """Unencrypted swap, piped core dumps, a forgeable proxy header and a missing sandbox are warnings."""
    files = {"/proc/swaps": ["Filename Type", "/swapfile file"], "/proc/sys/kernel/core_pattern": ["|/usr/bin/apport"]}
    monkeypatch.setattr(preflight, "_read_lines", lambda name: files[name])

    def no_sandbox():
        raise FileRefusedError("no-sandbox")

    monkeypatch.setattr(preflight, "probe_sandbox", no_sandbox)
    told = words(path, HAUMARU_SERVER_BIND="0.0.0.0:8000", HAUMARU_SERVER_PROXIES="1")
    for name in ("swap", "core dumps", "proxies", "sandbox"):
        assert any(line.startswith("warning: ") and name in line for line in told), name
    files["/proc/swaps"] = ["Filename Type", "/dev/dm-1 partition", "/dev/zram0 partition"]
    assert not any("swap" in line for line in words(path))


def test_start_up_gives_the_same_warnings(path):
    """The warnings of `check` about the host are also logged at the start of the site."""
    settings = load_config(path, {})
    soon = replace(settings.agencies[0], expires=TODAY + timedelta(days=3))
    assert any("expires" in words for words in preflight.host_warnings(replace(settings, agencies=(soon,))))


def envelope(agency="example"):
    return Envelope(id=new_tip_id(), agency=agency, data=os.urandom(140_000))


def test_status_counts_what_waits_and_ends_with_0_when_all_is_well(path):
    """An empty outbox and a fresh envelope need no action, and the envelope is counted."""
    settings = load_config(path, {})
    outbox = Outbox(settings.outbox_url)
    outbox.prepare()
    outbox.put(envelope())
    done = subprocess.run(
        [BIN / "haumaru", "status", "--config", path, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)
    assert found["agencies"][0] | {"key_days": 0} == {
        "id": "example", "waiting": 1, "oldest_days": 0, "failing": "", "key_days": 0
    }  # fmt: skip
    assert found["act"] == []


def test_status_ends_with_1_where_somebody_must_act(path, monkeypatch):
    """A failing agency, an old envelope, an expiring key and an unknown agency each need an action."""
    soon = (TODAY + timedelta(days=5)).isoformat()
    settings = load_config(path, {"HAUMARU_AGENCY_EXAMPLE_EXPIRES": soon})
    outbox = Outbox(settings.outbox_url)
    outbox.prepare()
    outbox.put(envelope())
    outbox.put(envelope("closed-down"))
    leases = Leases(outbox.database)
    now = status.time()
    leases.record_outcome("example", code="tls", backoff=True, at=int(now), seconds=600)
    leases.finish_window(now - 5 * 86400)
    acts = status.read_status(settings).actions_needed
    for name in ("deliveries fail (tls)", "has waited", "its key ends in 5 days", "closed-down: envelopes wait"):
        assert any(name in act for act in acts), (name, acts)
    done = subprocess.run([BIN / "haumaru", "status", "--config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "act: example: deliveries fail (tls)" in done.stdout


def test_status_tells_of_a_disk_that_fills_up_before_it_is_full(path, monkeypatch):
    """Less than a gigabyte of free space needs an action; with no space left the form says "not sent"."""
    settings = load_config(path, {})
    usage = status.shutil.disk_usage(path)
    for free, words in ((2 * 1024**3, ""), (1024**3 - 1, "before reports have to be"), (500_000, "(disk-full)")):
        monkeypatch.setattr(status.shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        acts = status.read_status(settings).actions_needed
        assert words in " ".join(acts)
        assert bool(acts) == bool(words)


def test_status_tells_of_contacts_that_nobody_has_checked_for_long(path, monkeypatch):
    """A telephone number that was last checked over 180 days ago needs an action."""
    settings = load_config(path, {})
    Outbox(settings.outbox_url).prepare()
    assert status.read_status(settings).actions_needed == ()
    later = status.time() + 200 * 86400
    monkeypatch.setattr(status, "time", lambda: later)
    assert any("crime-stoppers" in act for act in status.read_status(settings).actions_needed)


def test_build_makes_every_sheet_and_page(tmp_path):
    """`haumaru build` writes the PDFs into the given folder and prints the size of the largest page."""
    done = subprocess.run(
        [BIN / "haumaru", "build", "-o", tmp_path / "sheets"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sheets" / "en.pdf").read_bytes().startswith(b"%PDF-")
    assert "pages; the largest" in done.stdout
    assert Path(tmp_path / "sheets" / "sheets.zip").exists()
