"""What `haumaru status` says: the backlog of each agency, failures, and the actions that are needed."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from app.delivery.clock import nz_day
from app.delivery.leases import Leases
from app.delivery.outbox import Envelope, Outbox
from app.site import demo, preflight, status
from app.site.config import load_config
from app.site.guide.loader import load_library
from app.vault.tip import new_tip_id
from tests.support.paths import BIN, ROOT

TODAY = nz_day(time.time())
DAY = 86_400


@pytest.fixture
def path(tmp_path):
    return demo.prepare_folder(tmp_path / "demo")


@pytest.fixture
def outbox(path) -> Iterator[Outbox]:
    """The outbox of the demonstration, whose stock is 16 and whose windows have 4 cells."""
    box = Outbox(load_config(path, {}).outbox_url)
    box.prepare()
    yield box
    box.database.close()


def put(outbox: Outbox, number: int, agency: str = "example") -> None:
    for _ in range(number):
        outbox.put([Envelope(new_tip_id(), agency, os.urandom(1000))])


def acts(path, **variables: str) -> list[str]:
    return list(status.read_status(load_config(path, variables)).actions_needed)


@pytest.mark.parametrize(("waiting", "windows"), [(0, 0), (1, 0), (16, 0), (17, 1), (24, 2), (25, 3)])
def test_up_to_the_stock_nothing_waits(path, outbox, waiting, windows):
    """Up to the stock, status does not say whether anything waits; above it, how many windows the backlog takes."""
    put(outbox, waiting)
    (agency,) = status.read_status(load_config(path, {})).agencies
    assert agency.backlog_windows == windows
    assert ("no backlog" in agency.as_text()) == (windows == 0)


def test_all_is_well(path, outbox):
    """Where deliveries do not fail the command needs no action, ends with 0, and prints the same as JSON."""
    put(outbox, 3)
    command = [BIN / "haumaru", "status", "--config", path, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)
    days = found["agencies"][0].pop("key_days")
    assert days > 300
    assert found == {
        "agencies": [{"id": "example", "backlog_windows": 0, "failing": "", "failing_since": None}],
        "act": [],
    }


def test_status_ends_with_1_where_somebody_must_act(path, outbox):
    """A failing agency, an expiring key and an unknown agency each need an action; the first day of failures stays."""
    put(outbox, 1)
    put(outbox, 1, "closed-down")
    leases = Leases(outbox.database)
    leases.record_failure("example", "tls", now=time.time() - 5 * DAY)
    leases.record_failure("example", "closed", now=time.time())
    since = TODAY - timedelta(days=5)
    found = acts(path, HAUMARU_AGENCY_EXAMPLE_EXPIRES=(TODAY + timedelta(days=5)).isoformat())
    assert any(f"deliveries fail (closed) since {since}" in act and "deliver by hand" in act for act in found), found
    assert any("its key expires in 5 days" in act for act in found)
    assert any("closed-down: envelopes wait" in act for act in found)
    done = subprocess.run([BIN / "haumaru", "status", "--config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"example: no backlog, failing since {since}: closed, key for" in done.stdout
    assert f"act: example: deliveries fail (closed) since {since}" in done.stdout


def test_a_new_failure_is_not_yet_delivered_by_hand(path, outbox):
    """On its first day a failure needs a look, and no delivery by hand."""
    Leases(outbox.database).record_failure("example", "auth", now=time.time())
    (act,) = acts(path)
    assert act == f"example: deliveries fail (auth) since {TODAY}; see docs/operator.md"


def test_a_long_backlog_asks_for_more_cells(path, outbox):
    """A backlog of more than twelve hours asks for more cells."""
    put(outbox, 30)
    assert acts(path, HAUMARU_FORWARD_WINDOW="3h") == []
    assert acts(path, HAUMARU_FORWARD_WINDOW="4h") == ["example: its backlog takes 4 windows; raise cells"]


def test_status_says_when_the_forwarder_does_not_run(path, outbox):
    """A forwarder that has taken no window for long must be started."""
    Leases(outbox.database).take_window(int(time.time()) - DAY, seconds=5, lease=60)
    assert acts(path) == ["the forwarder has not run for three windows; start it"]


@pytest.mark.parametrize("store", ["a folder that is not there", "a folder that is a file", "a Redis that is away"])
def test_status_says_when_the_memory_store_cannot_be_used(path, outbox, tmp_path, store):
    """While forwarders run, a memory store that cannot be used needs an action, and status makes none itself."""
    window = int(time.time()) // 5 * 5
    Leases(outbox.database).take_window(window, seconds=5, lease=60)
    folder = load_config(path, {}).memory.folder
    folder.mkdir()
    assert acts(path) == []
    if store == "a Redis that is away":
        variables = {"HAUMARU_MEMORY_FOLDER": "", "HAUMARU_MEMORY_URL": "redis://127.0.0.1:1"}
    else:
        variables = {"HAUMARU_MEMORY_FOLDER": str(tmp_path / "store")}
        if store == "a folder that is a file":
            (tmp_path / "store").write_text("")
    (act,) = acts(path, **variables)
    assert act.startswith("the memory store cannot be used, so the site accepts no files")
    assert not (tmp_path / "store").is_dir()


def test_status_tells_of_a_disk_that_fills_up_before_it_is_full(path, monkeypatch):
    """Less free space than is kept for words needs an action; with no space left the form says "not sent"."""
    usage = status.shutil.disk_usage(path)
    for free, words in ((3 * 10**9, ""), (2 * 10**9 - 1, "the site accepts no files"), (500_000, "(disk-full)")):
        monkeypatch.setattr(status.shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        found = acts(path)
        assert words in " ".join(found)
        assert bool(found) == bool(words)


@pytest.mark.parametrize("version", [1, 4])
def test_a_database_of_another_version_is_told(path, outbox, version):
    """A database that an older or a newer version made needs an action, and nothing is read from it."""
    with outbox.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE version SET number = {version}")
    found = status.read_status(load_config(path, {}))
    assert found.agencies == ()
    (act,) = found.actions_needed
    assert ("schema-older" if version == 1 else "schema-newer") in act


def test_status_and_check_name_a_recording_whose_page_has_changed(path, outbox, tmp_path):
    """Where the operator's own contacts change a number, the recordings that say the old number are named."""
    assert acts(path) == []
    assert outbox.database.path.exists()
    own = tmp_path / "own"
    own.mkdir()
    text = (ROOT / "content" / "contacts.toml").read_text()
    (own / "contacts.toml").write_text(text.replace('"0800 555 111"', '"0800 555 112"'))
    path.write_text(f'{path.read_text()}\n[content]\nfolder = "{own}"\n')
    old = [act for act in acts(path) if "says other words than its page does now" in act]
    names = {act.partition(":")[0] for act in old}
    assert names >= {"content/en/audio/help.mp3", "content/en/audio/self-check.mp3"}
    warned = {finding.text for finding in preflight.check(path, {}) if not finding.fault}
    assert set(old) <= warned


def test_status_tells_of_contacts_that_nobody_has_checked_for_long(path, outbox, monkeypatch):
    """Once a contact was checked over 180 days ago, every contact is asked for, also one whose source has a day."""
    assert acts(path) == []
    assert outbox.database.path.exists()
    later = status.time() + 200 * DAY
    monkeypatch.setattr(status, "time", lambda: later)
    (act,) = [act for act in acts(path) if "crime-stoppers" in act]
    everyone = load_library(ROOT / "content", ("en",)).editions["en"].contacts
    assert [identifier for identifier in everyone if identifier not in act] == []
