"""Disks and databases that fail: the form says the truth, `status` what to do, what is acknowledged comes through."""

import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.delivery.forwarder import Forwarder, ForwardRules
from app.delivery.outbox import Envelope, Outbox
from app.delivery.pace import Pace
from app.delivery.sqlite_database import PAGE_BYTES
from app.delivery.transports import FolderTransport
from app.vault.tip import new_tip_id
from tests.support import databases
from tests.support.damage import damaged_copies, pages_by_kind
from tests.support.faults import LONG, Clock, Deployment, deployment, report, scale, until, up
from tests.support.ports import free_port
from tests.support.senders import Ledger, Sender, send_all, words

NOT_SENT = "We could not keep your report safe, so your report was not sent."


@contextmanager
def running(folder: Path, url: str) -> Iterator[tuple[Deployment, int, Ledger, Sender]]:
    """A deployment with one site, and somebody who sends."""
    with deployment(folder, HAUMARU_OUTBOX_URL=url) as here:
        port, ledger = free_port(), Ledger()
        site = here.site(port)
        up(port, site)
        with closing(Sender([port], ledger)) as sender:
            yield here, port, ledger, sender


def told(sender: Sender, what: str) -> tuple[int, str]:
    """What the page says after the last step."""
    return sender.page({"what": what, "step": "send", "csrf_token": sender.token(what)})


def acts(here: Deployment) -> str:
    """What `status` tells an operator to do; it must end with 1."""
    done = here.run("status")
    assert done.returncode == 1, done.stdout
    return done.stdout


def send_some(sender: Sender, ledger: Ledger, number: int) -> None:
    before = len(ledger.acknowledged)
    for what in words(number):
        assert sender.once(what) == 200
    assert len(ledger.acknowledged) == before + number


# No room


@pytest.mark.slow
def test_a_full_disk(tmp_path):
    """Where no file can grow the form says "not sent"; with room again it sends, and all of it is delivered."""
    with running(tmp_path, f"sqlite:///{tmp_path}/outbox/outbox.db") as (here, _, ledger, sender):
        send_some(sender, ledger, 5)
        here.programs[0].limit_files(64 * 1024)
        for what in words(5):
            status, page = told(sender, what)
            assert (status, NOT_SENT in page) == (503, True)
            ledger.refused += 1
        here.programs[0].limit_files(-1)
        send_some(sender, ledger, 5)
        here.drain()
        ledger.settle("disk full (no file may grow)", here.delivered())


class SmallDisk:
    """An ext4 file system in a file, of which all but a few megabytes are taken."""

    def __init__(self, folder: Path) -> None:
        self._image, self.place = folder / "small.img", folder / "small"
        self.place.mkdir()
        with self._image.open("wb") as image:
            image.truncate(128 * 1024**2)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", self._image], check=True)
        self.mount()
        self._taken = self.place / "taken"
        with self._taken.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 80 * 1024**2)

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop,errors=remount-ro", self._image, self.place], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", self.place], check=True)

    def free(self) -> None:
        """Make room."""
        self._taken.unlink()

    def fail(self) -> None:
        """Let the kernel find an error, upon which it makes the file system read only under whoever has it open."""
        device = subprocess.run(["findmnt", "-no", "SOURCE", self.place], capture_output=True, text=True, check=True)
        Path(f"/sys/fs/ext4/{Path(device.stdout.strip()).name}/trigger_fs_error").write_text("1")

    def repair(self) -> None:
        """Do what an operator does then; ends with 1 where something was mended."""
        self.unmount()
        assert subprocess.run(["e2fsck", "-fy", self._image], capture_output=True, check=False).returncode < 4
        self.mount()


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(folder)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk.place], check=True)


if LONG:  # it needs the right to mount, which a container seldom has

    def test_a_small_disk(tmp_path):
        """On a disk that is full, then made read only by the kernel, the same, and `status` says which."""
        with (
            small_disk(tmp_path) as disk,
            running(tmp_path, f"sqlite:///{disk.place}/outbox/outbox.db") as (here, port, ledger, sender),
        ):
            assert "free space" in acts(here)
            statuses = [sender.once(what) for what in words(300)]
            assert statuses[-1] == 503
            assert sorted(statuses) == statuses, "none is taken after the first that was refused"
            assert NOT_SENT in told(sender, "no room")[1]
            assert "(disk-full)" in acts(here)
            disk.free()
            here.drain()
            send_some(sender, ledger, 10)
            disk.fail()
            assert NOT_SENT in told(sender, "read only")[1]
            assert "read-only" in (said := acts(here)) or "cannot-open" in said or "(disk)" in said
            (site,) = here.programs
            site.stop()
            disk.repair()
            site.start()
            up(port, site)
            sender.close()
            send_some(sender, ledger, 10)
            here.drain()
            ledger.settle("disk full and read only (a real one)", here.delivered())


# Away


@pytest.mark.needs("postgres")
@pytest.mark.slow
def test_a_site_that_starts_while_its_database_is_away(tmp_path):
    """It serves pages and says "not sent"; once the database is there it sends, without a restart. So do forwarders."""
    with databases.postgres() as server:
        url = server.database()
        server.stop()
        with running(tmp_path, url) as (here, _, ledger, sender):
            forwarder = here.forwarder()
            assert NOT_SENT in told(sender, "away")[1]
            assert "(database-away)" in (said := acts(here))
            assert "start the database" in said
            server.start()
            send_some(sender, ledger, 5)
            here.wait_for(ledger.acknowledged)
            assert forwarder.runs
            ledger.settle("away at start (PostgreSQL)", here.delivered())


@pytest.mark.slow
@pytest.mark.needs("postgres")
def test_a_database_that_goes_away_and_comes_back(tmp_path):
    """Cut off again and again, and once for a minute, while tips arrive: whoever was told "sent" is delivered."""
    with databases.postgres() as server, running(tmp_path, server.database()) as (here, port, *_):
        here.forwarder()
        tips, cuts = scale(60, 1_000), scale(2, 20)
        ledger, done = send_all([port], words(tips))
        for number in range(cuts):
            until(lambda: done() or len(ledger.acknowledged) >= number * tips // cuts, "the next tips")  # noqa: B023
            server.stop()
            time.sleep(scale(2, 60) if number == 0 else random.uniform(0, 2))
            server.start()
        until(done, "the last tips")
        here.programs[1].stop()
        here.drain()
        ledger.settle("database cut off (PostgreSQL)", here.delivered(), cuts=cuts, longest_seconds=scale(2, 60))


# Damage


@pytest.mark.slow
def test_a_damaged_page(tmp_path):
    """Whichever page is damaged, and however: each acknowledged tip leaves whole, by itself or with `--once`."""
    source = tmp_path / "source" / "outbox.db"
    box = Outbox(f"sqlite:///{source}")
    tips = [[Envelope(new_tip_id(), "intake", os.urandom(60_000)) for _ in range(2)] for _ in range(10)]
    for tip in tips:
        box.put(tip)
    box.database.close()
    assert len(pages_by_kind(source)) >= 16
    envelopes = {each.id: each.data for tip in tips for each in tip}
    damaged = by_itself = 0
    for what, spoiled in damaged_copies(source, scale(1, 40)):
        damaged, by_itself = damaged + 1, by_itself + _comes_through(tmp_path / "spoiled", spoiled, envelopes, what)
    report(
        "damaged pages (SQLite)",
        acknowledged=damaged * len(tips),
        delivered=damaged * len(tips),
        lost=0,
        pages=damaged,
        without_an_operator=by_itself,
    )


def _comes_through(place: Path, spoiled: bytes, tips: dict[str, bytes], what: str) -> bool:
    """Deliver from a spoiled file; returns whether the next window alone was enough."""
    (place / "inbox").mkdir(parents=True)
    (place / "outbox.db").write_bytes(spoiled)
    box = Outbox(f"sqlite:///{place}/outbox.db")
    rules = ForwardRules(window=600, paces={"intake": Pace(cells=2 * len(tips))})
    clock, stop = Clock(), threading.Event()
    forwarder = Forwarder(box, {"intake": FolderTransport(place / "inbox")}, rules, clock=clock)
    end = clock() + rules.window

    def wait(seconds: float) -> None:
        clock.wait(seconds)
        if clock() >= end:
            stop.set()

    forwarder.run_agency("intake", stop, wait)
    left = {file.stem: file.read_bytes() for file in (place / "inbox").glob("*.age")}
    assert left.items() <= tips.items(), f"what leaves is whole: {what}"
    by_itself = left == tips
    if not by_itself:
        forwarder.run_once()
        assert {file.stem: file.read_bytes() for file in (place / "inbox").glob("*.age")} == tips, what
    box.database.close()
    shutil.rmtree(place)
    return by_itself


@pytest.mark.slow
@pytest.mark.parametrize(
    "table", ["sqlite_schema", "cells", *(["labels", "windows", "owners", "version"] if LONG else [])]
)
def test_a_site_on_a_damaged_database(tmp_path, table):
    """The form says the truth, `status` says what to do, and doing that brings every acknowledged tip to its agency."""
    file = tmp_path / "outbox" / "outbox.db"
    with running(tmp_path, f"sqlite:///{file}") as (here, port, ledger, sender):
        send_some(sender, ledger, 8)
        sender.close()
        here.programs[0].stop()
        number = next(pages[0] for (name, _), pages in pages_by_kind(file).items() if name == table)
        with file.open("r+b") as database:
            database.seek((number - 1) * PAGE_BYTES)
            database.write(random.randbytes(PAGE_BYTES))
        here.programs[0].start()
        up(port, here.programs[0])
        what = "sent to a damaged database"
        status, page = told(sender, what)
        assert (status, NOT_SENT in page) in {(503, True), (200, False)}
        ledger.acknowledged |= {what} if status == 200 else set()
        assert "(corrupt)" in (said := acts(here))
        assert "haumaru forward --once" in said
        sender.close()
        here.programs[0].stop()
        assert here.run("forward", "--once").returncode == 0
        file.rename(tmp_path / "aside.db")
        file.with_name("outbox.db-wal").unlink(missing_ok=True)
        here.programs[0].start()
        up(port, here.programs[0])
        send_some(sender, ledger, 2)
        here.drain()
        ledger.settle(f"damaged page of {table}, mended as status says", here.delivered(), answered=status)
