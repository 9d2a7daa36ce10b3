"""The desk as it runs: its store, its tips, and what goes on in the background while handlers work.

In the background it looks into the inbox and the mailbox, delivers referrals through the outbox, posts replies, and
destroys what is closed for long enough. Each failure is kept as a code that the screens show; none ends the desk.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import HaumaruError
from app.delivery.forwarder import Forwarder, ForwardRules
from app.delivery.outbox import Outbox
from app.delivery.transports import FolderTransport
from app.desk import replies
from app.desk.attachments import Attachments
from app.desk.cases import Cases
from app.desk.config import Authority, DeskConfig
from app.desk.dispatch import ReferralContext
from app.desk.health import expiring_keys, waiting_deliveries
from app.desk.imap import fetch_envelopes
from app.desk.inbox import Inbox
from app.desk.jobs import Job, start_job
from app.desk.journal import Journal
from app.desk.queue import Queue
from app.desk.statistics import keep_rows
from app.desk.store import SealedStore
from app.text.phrases import PhraseTrie
from app.vault.keys import Identity

_WINDOW = 5  # seconds between deliveries
_LOOK = 1.0
_LONGEST_REST = 600.0

_log = logging.getLogger("haumaru")


class Desk:
    """Everything of one open desk; make it with `opened`, which holds the store's lock."""

    def __init__(
        self,
        config: DeskConfig,
        identities: Sequence[Identity],
        key: Ed25519PrivateKey,
        phrases: PhraseTrie,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config, self.clock, self.key = config, clock, key
        self.store = SealedStore(config.store, identities)
        self.outbox = Outbox(f"sqlite:///{config.store / 'outbox.db'}")
        self._identities, self.phrases = tuple(identities), phrases
        self.troubles: dict[str, str] = {}  # what fails in the background, by what it is: a code each
        self.loading = Job("Opening the store")
        self.opening = Job("Opening new tips", ended=True)
        self.jobs: dict[str, Job] = {}
        self._stop = threading.Event()

    def prepare(self) -> None:
        """Read the journal and make what is missing; call it under the store's lock."""
        self.journal = Journal(self.config.store, self.key, clock=self.clock)
        self.cases = Cases(self.store, self.journal, self._identities, clock=self.clock)
        self.inbox = Inbox(self.config.inbox, self.cases, self.store, self._identities)
        self.queue, self.attachments = Queue(self.cases), Attachments(self.cases)
        self.outbox.prepare()
        transports = {name: party.transport for name, party in self._parties().items()}
        self._forwarder = Forwarder(self.outbox, transports, ForwardRules(window=_WINDOW, batch=1), clock=self.clock)
        self.config.inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
        for party in self._parties().values():
            if isinstance(party.transport, FolderTransport) and _ours(party.transport.folder, self.config):
                party.transport.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.referral_context = ReferralContext(
            self.cases, self.attachments, self.outbox, self.key, self.phrases, self.config.contact
        )

    def _parties(self) -> Mapping[str, Authority]:
        return {**self.config.authorities, **self.config.translators}

    # What handlers ask for.

    def take_in(self) -> Job:
        """Start to open what lies in the inbox, unless that goes on already."""
        if self.opening.ended:
            self.opening = Job("Opening new tips")
            start_job(self.opening, self.inbox.receive)
        return self.opening

    def waiting_posts(self) -> dict[str, tuple[int, str]]:
        """How many referrals wait for each authority, and the last failure's code."""
        deliveries = waiting_deliveries(self.outbox, self.clock())
        return {name: (count, code) for name, (count, code) in deliveries.items() if count or code}

    def expiring(self) -> list[tuple[str, int]]:
        """Whose keys expire within six weeks, or have: a name and the days that are left."""
        return expiring_keys(self.config, self.cases.today())

    # What goes on in the background.

    def deliver(self) -> None:
        """Deliver what waits, with the forwarder's own rests for who cannot be reached; one turn a window at most."""
        if any(waiting for waiting, _ in self.waiting_posts().values()):
            self._forwarder.run_window(int(self.clock()) // _WINDOW * _WINDOW)

    def destroy_overdue(self) -> None:
        """Destroy what was closed `retain_days` ago; its counts stay."""
        over = self.cases.overdue(self.config.retain_days)
        if over:
            keep_rows(self.store, [case for case in over if case.answers_to is None])
            self.cases.destroy(over)

    def start(self) -> threading.Thread:
        """Open every record in the background, then begin its other work; `loading` says how far it is."""

        def load(loading: Job) -> None:
            self.cases.load(loading)
            if not (loading.stopped or self._stop.is_set()):
                self.run()

        return start_job(self.loading, load)

    def run(self) -> list[threading.Thread]:
        """Start the background; `stop` ends it."""
        threads = [
            threading.Thread(target=self._repeat, args=("delivery", _LOOK, self.deliver), daemon=True),
            threading.Thread(target=self._repeat, args=("inbox", _LOOK, self._look), daemon=True),
            threading.Thread(target=self._repeat, args=("destroying", 3600.0, self.destroy_overdue), daemon=True),
        ]
        imap, site = self.config.imap, self.config.site
        if imap:
            job = self._fetch
            threads.append(threading.Thread(target=self._repeat, args=("mailbox", float(imap.every), job), daemon=True))
        if site:
            threads.append(threading.Thread(target=self._repeat, args=("replies", 3.0, self._post), daemon=True))
        for thread in threads:
            thread.start()
        return threads

    def stop(self) -> None:
        """Ask the background to end."""
        self._stop.set()
        self.opening.stop()

    def _look(self) -> None:
        if self.opening.ended and not self.opening.stopped and any(self.config.inbox.glob("*.age")):
            self.take_in()
        if self.opening.code:
            code, self.opening.code = self.opening.code, ""
            raise HaumaruError(code)

    def _fetch(self) -> None:
        assert self.config.imap is not None
        fetch_envelopes(self.config.imap, self.config.inbox)

    def _post(self) -> None:
        assert self.config.site is not None
        code = replies.post_waiting(self.cases, self.key, self.config.site)
        if code:
            raise HaumaruError(code)

    def _repeat(self, name: str, every: float, job: Callable[[], None]) -> None:
        pause = every
        while not self._stop.is_set():
            try:
                job()
            except Exception as error:  # noqa: BLE001  # whatever it is, the desk goes on and shows a code
                code = error.code if isinstance(error, HaumaruError) else type(error).__name__
                if self.troubles.get(name) != code:
                    _log.error("background of=%s code=%s", name, code)
                self.troubles[name] = code
                pause = min(pause * 2, _LONGEST_REST)
            else:
                self.troubles.pop(name, None)
                pause = every
            self._stop.wait(pause)


@contextmanager
def open_desk(desk: Desk) -> Iterator[Desk]:
    """Hold the store's lock, and have the desk ready but for its records; raises RefusedError."""
    with desk.store.locked():
        desk.prepare()
        try:
            yield desk
        finally:
            desk.stop()
            with suppress(HaumaruError):
                desk.outbox.database.close()


def _ours(folder: Path, config: DeskConfig) -> bool:
    """Whether a folder lies beside the store: one elsewhere may be a mount, and must be there."""
    return folder.absolute().is_relative_to(config.store.absolute().parent)
