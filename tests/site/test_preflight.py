"""What the commands `check` and `status` print for an operator."""

import os
import re
import shutil
import sqlite3
import subprocess
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from app.core.errors import FileRefusedError
from app.delivery.clock import nz_day
from app.site import demo, preflight
from app.site.config import load_config
from app.vault.keys import new_identity, recipient_of
from tests.support.databases import redis_server
from tests.support.paths import BIN, ROOT
from tests.support.servers import Certificates, smtp
from tests.support.visit import site_root

TODAY = nz_day(time.time())


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The demonstration's configuration; of the content, English alone is checked, which is quicker."""
    monkeypatch.setattr(preflight, "ROOT", site_root(tmp_path / "english", ("en",)))
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
    assert any("deliver: the agency's server does not accept envelopes (disk)" in line for line in faults(path))
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
    """A SIZE below the mail of one envelope is a fault; the SIZE that the remedy names is enough."""
    certificates = Certificates(tmp_path)
    for size, found in ((180_000, ["fault: [[agency]] example deliver: the mail server accepts only"]), (200_000, [])):
        with smtp(certificates, size=size) as (port, _):
            delivery = {
                "HAUMARU_AGENCY_EXAMPLE_DELIVER": f"smtp+starttls://localhost:{port}/?to=desk@example.org",
                "HAUMARU_AGENCY_EXAMPLE_CA": str(certificates.ca),
                "HAUMARU_FORWARD_WINDOW": "1h",
            }
            assert [line.partition(" only")[0] + " only" for line in faults(path, **delivery)] == found


def test_more_mails_a_day_than_a_server_takes_are_a_fault(path, tmp_path):
    """Over 500 mails a day are refused, unless `mail_limit` allows them; a folder takes any number."""
    certificates = Certificates(tmp_path)
    with smtp(certificates) as (port, _):
        env = {
            "HAUMARU_AGENCY_EXAMPLE_DELIVER": f"smtp+starttls://localhost:{port}/?to=desk@example.org",
            "HAUMARU_AGENCY_EXAMPLE_CA": str(certificates.ca),
            "HAUMARU_FORWARD_WINDOW": "10min",
        }
        assert any("mail_limit: 576 mails would leave each day" in line for line in faults(path, **env))
        assert faults(path, **env, HAUMARU_AGENCY_EXAMPLE_MAIL_LIMIT="576") == []
    assert faults(path, HAUMARU_FORWARD_CELLS="64") == []


def test_a_pace_that_is_too_quick_for_the_agency_s_end_is_a_warning(path, monkeypatch):
    """A delivery that takes more than half the time until the next one is a warning with both times."""
    monkeypatch.setattr(preflight, "monotonic", iter((0.0, 0.7)).__next__)
    told = words(path)
    assert any(line.startswith("warning: [forward] window: to reach [[agency]] example took 0.7 s") for line in told)
    monkeypatch.setattr(preflight, "monotonic", iter((0.0, 0.6)).__next__)
    assert not any("[forward]" in line for line in words(path))


def test_a_memory_store_on_a_disk_is_a_fault(path, tmp_path):
    """A folder on a disk is refused, but only warned of in a demonstration; a folder in a tmpfs is not."""
    on_disk = {"HAUMARU_MEMORY_FOLDER": str(tmp_path / "not" / "there")}
    assert preflight.is_in_memory(Path("/dev/shm"))
    assert not preflight.is_in_memory(tmp_path)
    assert any(line.startswith("warning: [memory] folder: is on a disk") for line in words(path, **on_disk))
    real = {
        "HAUMARU_SITE_DEMO": "false",
        "HAUMARU_AGENCY_EXAMPLE_NAME": "Intake",
        "HAUMARU_AGENCY_EXAMPLE_RECIPIENTS": recipient_of(new_identity()),
    }
    assert any("[memory] folder: is on a disk" in line for line in faults(path, **on_disk, **real))
    assert not any("[memory]" in line for line in words(path))


def test_a_memory_store_that_cannot_be_used_is_a_fault(path):
    """A file in place of the folder, and a Redis that is away, are faults."""
    place = Path("/dev/shm") / f"haumaru-test-{os.getpid()}"
    place.touch()
    try:
        assert any("[memory] folder: cannot be used" in line for line in faults(path, HAUMARU_MEMORY_FOLDER=str(place)))
    finally:
        place.unlink()
    text = path.read_text().replace("[memory]\nfolder = ", '[memory]\nurl = "redis://127.0.0.1:1"\n#')
    path.write_text(text)
    assert any("[memory] url: Redis cannot be reached" in line for line in faults(path))


@pytest.mark.parametrize("persistence", ["save", "appendonly"])
def test_a_redis_that_writes_to_a_disk_is_a_fault(path, persistence):
    """Snapshots and the append-only file are refused, for limits as for the memory store."""
    path.write_text(path.read_text().replace("[memory]\nfolder = ", "[memory]\n#"))
    with redis_server() as server:
        env = {"HAUMARU_MEMORY_URL": server.url, "HAUMARU_LIMITS_URL": server.url}
        assert faults(path, **env) == []
        Redis.from_url(server.url).config_set(persistence, {"save": "60 1", "appendonly": "yes"}[persistence])
        found = faults(path, **env)
    assert [line.partition(";")[0] for line in found] == [
        "fault: [memory] url: Redis writes to a disk",
        "fault: [limits] url: Redis writes to a disk",
    ]


def test_a_database_of_another_version_is_a_fault_and_no_site_starts_on_it(path):
    """`check`, `serve` and `demo` name the version's remedy instead of serving a form that cannot send."""
    database = sqlite3.connect(path.parent / "outbox.db")
    with database:
        database.execute("CREATE TABLE envelopes (id TEXT)")
    database.close()
    assert any("(schema-older); an earlier version made this database" in line for line in faults(path))
    done = subprocess.run(
        [BIN / "haumaru", "serve", "--config", path], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "an earlier version made this database" in done.stderr


def test_limits_out_of_reach_are_a_fault(path):
    """A Redis that cannot be reached is a fault."""
    assert any(
        "[limits] url: Redis cannot be reached" in line
        for line in faults(path, HAUMARU_LIMITS_URL="redis://127.0.0.1:1")
    )


def test_a_secret_that_others_may_read_is_a_fault(path):
    """A file of form secrets that other users can read is a fault."""
    assert faults(path) == []
    (path.parent / "secret").chmod(0o644)
    assert any("secret_file: other users can read the file" in line for line in faults(path))


def test_an_outbox_whose_folder_others_may_list_is_told(path):
    """A database folder that others may list is a warning, because its times show when a tip came in."""
    path.parent.chmod(0o700)
    assert not any("[outbox]" in line for line in words(path))
    path.parent.chmod(0o755)
    assert any(line.startswith("warning: [outbox] url: other users can see when") for line in words(path))
    (path.parent / "outbox.db").chmod(0o644)
    words(path)
    assert (path.parent / "outbox.db").stat().st_mode & 0o077 == 0


def test_an_expired_key_is_a_fault_and_one_about_to_is_a_warning(path):
    """A key past its day is a fault; some weeks before, `status` and `check` warn."""
    past, soon = TODAY - timedelta(days=2), TODAY + timedelta(days=9)
    assert any(
        "expires: the key has expired" in line for line in faults(path, HAUMARU_AGENCY_EXAMPLE_EXPIRES=past.isoformat())
    )
    told = words(path, HAUMARU_AGENCY_EXAMPLE_EXPIRES=soon.isoformat())
    assert any(line.startswith("warning: ") and "the form closes" in line for line in told)


def test_what_the_site_cannot_correct_is_a_warning(path, monkeypatch):
    """Unencrypted swap, piped core dumps, a forgeable proxy header and a missing sandbox are warnings."""
    files = {"/proc/swaps": ["Filename Type", "/swapfile file"], "/proc/sys/kernel/core_pattern": ["|/usr/bin/apport"]}
    monkeypatch.setattr(preflight, "_read_lines", lambda name: files.get(name, []))

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


def test_build_makes_every_sheet_and_page(tmp_path):
    """`haumaru build` writes the PDFs into the given folder and prints the size of the largest page."""
    done = subprocess.run(
        [BIN / "haumaru", "build", "-o", tmp_path / "sheets"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sheets" / "en.pdf").read_bytes().startswith(b"%PDF-")
    assert "pages; the largest" in done.stdout
    assert Path(tmp_path / "sheets" / "sheets.zip").exists()


def test_less_memory_than_every_limit_takes_together_is_a_warning(path, tmp_path, monkeypatch):
    """Where the unit or the machine has less than workers, bodies and files may take, `check` names both figures."""
    monkeypatch.setattr(preflight, "_MEMORY_LIMITS", (str(tmp_path / "memory.max"),))
    (tmp_path / "memory.max").write_text("500000000\n")
    assert any("[server] body_memory: the site may need" in line and "has 500 MB" in line for line in words(path))
    (tmp_path / "memory.max").write_text("max\n")
    plenty = {"HAUMARU_SERVER_BODY_MEMORY": "1MB", "HAUMARU_SERVER_WORKERS": "1"}
    assert not any("body_memory" in line for line in words(path, **plenty))


def test_the_unit_has_memory_for_every_limit_at_once(path, monkeypatch):
    """With two workers, two processors and the keys as they are shipped, MemoryMax of the unit is enough."""
    monkeypatch.setattr(preflight, "cores", lambda: 2)
    settings = load_config(path, {})
    unit = (ROOT / "deploy" / "systemd" / "haumaru.service").read_text()
    most = preflight.most_memory(replace(settings, server=replace(settings.server, workers=2)))
    assert most <= int(re.search(r"^MemoryMax=(\d+)G$", unit, re.MULTILINE)[1]) * 2**30


def test_languages_that_nobody_signed_are_named(path, monkeypatch):
    """With `reviewed_only` the languages that are hidden are one warning, which says how they are signed."""
    monkeypatch.setattr(preflight, "ROOT", ROOT)
    real = {
        "HAUMARU_SITE_DEMO": "false",
        "HAUMARU_SITE_BASE_URL": "https://example.org",
        "HAUMARU_SITE_REVIEWED_ONLY": "true",
        "HAUMARU_AGENCY_EXAMPLE_NAME": "An agency",
        "HAUMARU_AGENCY_EXAMPLE_RECIPIENTS": recipient_of(new_identity()),
    }
    hidden = [line for line in words(path, **real) if "[site] reviewed_only" in line]
    assert len(hidden) == 1
    assert hidden[0].endswith("not shown; have a speaker sign what make review CODE=… prints")
    assert "warning: " in hidden[0]


def test_a_faulty_catalogue_is_a_fault_with_its_line(path, tmp_path, monkeypatch):
    """What would stop the start is found before the start, and nothing is written."""
    root = site_root(tmp_path, ("en", "sm"))
    (root / "translations").unlink()
    shutil.copytree(ROOT / "translations", root / "translations", ignore=shutil.ignore_patterns("*.mo"))
    monkeypatch.setattr(preflight, "ROOT", root)
    assert not [line for line in faults(path) if "messages.po" in line]
    catalogue = root / "translations" / "sm" / "LC_MESSAGES" / "messages.po"
    text = catalogue.read_text(encoding="utf-8")
    catalogue.write_text(text.replace('msgstr "%(size)s MB"', 'msgstr "%(siz)s MB"', 1), encoding="utf-8")
    found = [line for line in faults(path) if "messages.po" in line]
    assert len(found) == 1
    assert re.search(r"translations/sm/LC_MESSAGES/messages.po:\d+: places %\(siz\)s", found[0])
    assert not list(root.rglob("*.mo"))
