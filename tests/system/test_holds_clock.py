"""Days pass and clocks jump: an agency that is away for a day, and clocks put forward and back under everything."""

import os
import random
import re
import threading
from pathlib import Path

import pytest
from werkzeug.test import Client

from app.core.errors import AlreadySentError, HeldGoneError
from app.delivery.forwarder import Forwarder, ForwardRules
from app.delivery.leases import Leases
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.outbox import Envelope, Outbox
from app.delivery.pace import Pace
from app.delivery.transports import FolderTransport
from app.site import demo, factory
from app.site.config import load_config
from app.site.report.held import HeldTipStore
from app.site.status import read_status
from app.vault.bundle import BUNDLE_BYTES
from app.vault.tip import new_tip_id
from app.vault.tip_bundles import Bundle
from tests.support.faults import Clock, delivered, report, scale

WINDOW, DAY = 600, 86_400


def make(agency: str = "example") -> Envelope:
    return Envelope(new_tip_id(), agency, os.urandom(2_000))


def dropped(folder: Path) -> dict[str, bytes]:
    return {file.stem: file.read_bytes() for file in folder.glob("*.age")}


@pytest.mark.slow
def test_an_agency_away_for_a_day(tmp_path, monkeypatch):
    """Windows over midnight without the agency, tips all the while: status says so, and all arrive when it is back."""
    settings = load_config(demo.prepare_folder(tmp_path / "demo"), {"HAUMARU_FORWARD_WINDOW": "10min"})
    inbox, away, clock = tmp_path / "demo" / "inbox", tmp_path / "away", Clock()
    monkeypatch.setattr("app.site.status.time", clock)
    box = Outbox(settings.outbox_url, SqliteMemoryStore(settings.memory.folder))
    rules = ForwardRules(WINDOW, {"example": Pace(settings.forward.cells, settings.forward.stock)})
    forwarder = Forwarder(box, {"example": FolderTransport(inbox, clock=clock)}, rules, make_decoy=make, clock=clock)
    inbox.rename(away)
    tips: dict[str, bytes] = {}

    def window(*, arriving: int) -> None:
        for _ in range(random.randrange(arriving + 1)):
            envelope = make()
            box.put([envelope], now=clock())
            tips[envelope.id] = envelope.data
        forwarder.run_window(int(clock()))
        clock.wait(WINDOW)

    for _ in range(scale(36, DAY // WINDOW)):
        window(arriving=1)
    failing = "example: deliveries fail (disk) since 2026-11-22; see docs/operator.md"
    assert failing in read_status(settings).actions_needed
    away.rename(inbox)
    back = 0
    while not tips.items() <= dropped(inbox).items():
        back += 1
        assert back < scale(60, 300), "all arrive"
        window(arriving=0)
    for _ in range(2):
        window(arriving=0)
    assert read_status(settings).actions_needed == ()
    box.database.close()
    report("agency away for a day", acknowledged=len(tips), delivered=len(tips), lost=0, windows_until_all_arrive=back)


JUMPS = [60, 3_600, DAY, 40 * DAY, 4_000 * DAY]


class Senders:
    """People who send, hold and confirm under a clock, and what they were told of it."""

    def __init__(self, box: Outbox, clock: Clock) -> None:
        self.box, self.clock, self.store = box, clock, HeldTipStore(box.memory, box)
        self.acknowledged: dict[str, bytes] = {}
        self.gone: set[str] = set()
        self.held: dict[bytes, Bundle] = {}

    def send_or_hold(self) -> None:
        envelope, draft = make(), os.urandom(16)
        if random.random() < 0.5:
            self.box.put([envelope], nonce=os.urandom(16), now=self.clock())
            self.acknowledged[envelope.id] = envelope.data
        else:
            self.held[draft] = Bundle(envelope.id, os.urandom(BUNDLE_BYTES))
            self.store.hold(draft, [self.held[draft]], nonce=os.urandom(16), now=self.clock())

    def confirm_one(self) -> None:
        for draft in random.sample(sorted(self.held), min(len(self.held), 1)):
            bundle = self.held.pop(draft)
            try:
                with self.store.opened(draft, now=self.clock()) as (held,):
                    envelope = Envelope(held.id, "example", held.data)
                    self.box.put([envelope], draft=draft, now=self.clock())
            except HeldGoneError:
                self.gone.add(bundle.id)
                continue
            self.store.drop(draft)
            self.acknowledged[bundle.id] = bundle.data
            with pytest.raises(AlreadySentError), self.store.opened(draft, now=self.clock()):
                pass


@pytest.mark.slow
def test_clocks_that_jump_both_ways(tmp_path):
    """Clocks put forward and back by minutes to years, under sites and forwarder: what is acknowledged arrives."""
    clock, inbox, stop = Clock(), tmp_path / "inbox", threading.Event()
    inbox.mkdir()
    box = Outbox(f"sqlite:///{tmp_path}/outbox.db", SqliteMemoryStore(tmp_path / "memory"))
    senders, left = Senders(box, clock), iter(range(scale(400, 10_000), 0, -1))

    def wait(seconds: float) -> None:
        clock.wait(seconds)
        rest = next(left)
        # The last of them are quiet, so that what waits can leave.
        if rest > 150 and random.random() < 0.4:
            clock.wait(random.choice([-1, 1]) * random.choice(JUMPS))
            clock.now = max(clock.now, 86_400.0)
        senders.confirm_one()
        if rest > 150 and random.random() < 0.5:
            senders.send_or_hold()
        if rest == 1:
            stop.set()

    rules = ForwardRules(WINDOW, {"example": Pace(cells=80)})
    way = FolderTransport(inbox, clock=clock)
    Forwarder(box, {"example": way}, rules, clock=clock).run_agency("example", stop, wait)
    arrived, acknowledged = dropped(inbox), senders.acknowledged
    assert acknowledged.items() <= arrived.items()
    assert senders.gone
    assert not senders.gone & arrived.keys(), "what its sender was told is gone was not sent"
    assert not Leases(box.database).status().agencies
    box.database.close()
    report(
        "clock jumps both ways",
        acknowledged=len(acknowledged),
        delivered=len(acknowledged.keys() & arrived),
        lost=0,
        doubled=0,
        told_that_a_held_one_was_destroyed=len(senders.gone),
    )


TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def test_the_form_under_a_clock_that_jumps(tmp_path):
    """A form whose time is wrong comes again with its text and a fresh token; "sent" is said only where it is true."""
    path = demo.prepare_folder(tmp_path / "demo")
    settings, clock = load_config(path, {"HAUMARU_REPORT_MIN_FILL": "3s"}), Clock()
    browser = Client(factory.build_site(factory.prerender_site(settings), clock=clock))

    def post(step: str, token: str) -> tuple[int, str]:
        answer = browser.post(
            "/en/report",
            base_url=settings.site.base_url,
            data={"what": "Kept whatever the clock says", "csrf_token": token, "step": step},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        return answer.status_code, answer.get_data(as_text=True)

    fresh = TOKEN.search(browser.get("/en/report", base_url=settings.site.base_url).get_data(as_text=True))[1]
    sent = 0
    for jump in (-DAY, 13 * 3_600, -400 * DAY, 400 * DAY, 5):
        clock.wait(jump)
        status, page = post("check", fresh)
        assert "Kept whatever the clock says" in page
        assert (status == 200) == (jump == 5)
        fresh = TOKEN.search(page)[1]
    for jump in (-DAY, 13 * 3_600, 5):
        clock.wait(jump)
        status, page = post("send", fresh)
        sent += status == 200
        fresh = TOKEN.search(page)[1] if status != 200 else fresh
        assert (status == 200) == (jump == 5), (status, jump)
    assert post("send", fresh)[0] == 409
    factory.build_forwarder(settings).run_once()
    assert delivered(tmp_path / "demo" / "inbox") == {"Kept whatever the clock says": sent}
