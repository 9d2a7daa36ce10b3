"""The open desk: its store, its tips, and what goes on in the background while handlers work.

In the background the desk looks into the inbox and the mailbox, delivers referrals through the outbox and posts replies
at their paces, and destroys what was closed long enough ago. Each failure is kept as a code that the screens show; none
ends the desk.
`open_desk` makes the whole desk or raises: there is no desk that is half built, and no second one on a store.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import HaumaruError
from app.core.resources import ROOT
from app.delivery.forwarder import Forwarder, ForwardRules
from app.delivery.leases import Leases
from app.delivery.outbox import Envelope, Outbox
from app.delivery.transports import FolderTransport
from app.desk.asking import QuestionQueue
from app.desk.assignment import Assignments
from app.desk.attachments import Attachments
from app.desk.authority_questions import AuthorityQuestions
from app.desk.cases import Cases
from app.desk.common_details import CommonDetails
from app.desk.config import REPLY_SITE_ID, DeskConfig
from app.desk.day_key_store import DayKeyStore
from app.desk.dispatch import ReferralContext
from app.desk.health import expiring_keys, party_pace, waiting_deliveries
from app.desk.imap import fetch_envelopes
from app.desk.inbox import Inbox
from app.desk.jobs import Job, start_job
from app.desk.joined_tips import JoinedTips
from app.desk.journal import DESK, Journal
from app.desk.language_guess import LanguageGuess
from app.desk.outcome_counts import OutcomeCounts
from app.desk.overdue import OverdueLooks, boot_seconds
from app.desk.presence import Presence
from app.desk.queue import Queue
from app.desk.ready_texts import load_ready_texts
from app.desk.release import decide_interrupted
from app.desk.replies import ReplyQueue
from app.desk.reply_poster import ReplyPoster
from app.desk.seats import Seats
from app.desk.statistics import keep_rows
from app.desk.store import SealedStore
from app.desk.tip_status import StatusQueue
from app.desk.typed import TypedTexts
from app.desk.withdrawal_request import WithdrawalRequests
from app.text.phrases import PhraseTrie
from app.vault.age import seal
from app.vault.keys import Identity
from app.vault.signature import public_bytes
from app.vault.tip import new_decoy
from app.vault.tip_bundles import to_bundles

_LOOK_SECONDS = 1.0  # between looks into the inbox and at the clock
_DESTROY_SECONDS = 3600.0
_SETTLE_SECONDS = 60.0
_MAX_PAUSE = 600.0  # seconds, after many failures
_CLOSE_SECONDS = 10.0  # for what the background has begun

_log = logging.getLogger("haumaru")


class Desk:
    """Everything of one open desk, but for its records, which `load` opens; made by `open_desk` alone."""

    def __init__(
        self,
        config: DeskConfig,
        store: SealedStore,
        identities: Sequence[Identity],
        key: Ed25519PrivateKey,
        phrases: PhraseTrie,
        *,
        languages: LanguageGuess,
        never: Sequence[str],
        clock: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        self.config, self.store, self.key, self.phrases, self.clock = config, store, key, phrases, clock
        self.journal = Journal(store, key, clock=clock)
        self.seats = Seats(store, self.journal, key, clock=clock)
        self.cases = Cases(store, self.journal, identities, clock=clock)
        self.looks = OverdueLooks(store, clock=clock, steady=steady)
        self.typed, self.presence = TypedTexts(self.cases), Presence()
        self.day_keys = DayKeyStore(store, self.journal, identities, self.cases.today)
        self.authority_questions = AuthorityQuestions(self.cases, config.authorities, public_bytes(key))
        self.inbox = Inbox(config.inbox, self.cases, store, self.day_keys.identities, self.authority_questions)
        self.common = CommonDetails(self.cases.records, phrases, never=never)
        self.queue = Queue(self.cases.records, languages, self.common, today=self.cases.today)
        self.outbox = self._open_outbox()
        self.attachments = Attachments(self.cases)
        self.referral_context = ReferralContext(self.cases, self.attachments, self.outbox, key, phrases, config.contact)
        self.replies = ReplyQueue(self.cases, has_site=config.site is not None)
        self.requests = WithdrawalRequests(self.cases)
        self.assignments, self.joined = Assignments(self.cases), JoinedTips(self.cases)
        self.questions, self.ready_texts = QuestionQueue(self.cases, self.replies), load_ready_texts(ROOT)
        self.outcome_counts = OutcomeCounts(self.cases, key, config.site.agency) if config.site else None
        self.statuses = self._new_statuses()
        self.reply_poster = self._new_reply_poster()
        self.forwarder = self._new_forwarder()
        self.failures: dict[str, str] = {}  # by the name of the background work that fails, its code
        self.loading = Job("Opening the tips of this desk")
        self.opening = Job("Opening new tips", ended=True)
        self.jobs: dict[str, Job] = {}
        self._stop, self._threads = threading.Event(), list[threading.Thread]()

    def _new_statuses(self) -> StatusQueue:
        tells, site = self.config.acknowledge and self.config.site is not None, self.config.site
        return StatusQueue(self.cases, tells=tells, every=site.every if site else 1, clock=self.clock)

    def _open_outbox(self) -> Outbox:
        outbox = Outbox(f"sqlite:///{self.config.store / 'outbox.db'}")
        outbox.prepare()
        return outbox

    def _new_reply_poster(self) -> ReplyPoster | None:
        site, leases = self.config.site, Leases(self.outbox.database)
        return ReplyPoster(self.replies, self.store, leases, site, self.key, clock=self.clock) if site else None

    def _new_forwarder(self) -> Forwarder:
        parties = {**self.config.authorities, **self.config.translators}

        def make_decoy(name: str) -> Envelope:
            bundle = to_bundles(new_decoy())[0]
            return Envelope(bundle.id, name, seal(bundle.data, parties[name].recipients))

        rules = ForwardRules(self.config.window, {name: party_pace(party) for name, party in parties.items()})
        transports = {name: party.transport for name, party in parties.items()}
        return Forwarder(self.outbox, transports, rules, make_decoy=make_decoy, clock=self.clock)

    # What handlers ask for.

    def open_inbox(self) -> Job:
        """Start to open the envelopes in the inbox, unless that goes on already."""
        if self.opening.ended:
            self.opening = Job("Opening new tips")
            start_job(self.opening, self.inbox.receive)
        return self.opening

    def waiting_deliveries(self) -> dict[str, tuple[int, str]]:
        """Return how many envelopes wait for each party, or for the site, and the last failure's code."""
        queues = waiting_deliveries(self.outbox, self.config)
        deliveries = {name: (queue.waiting, queue.code) for name, queue in queues.items()}
        _, code = deliveries.get(REPLY_SITE_ID, (0, ""))
        deliveries[REPLY_SITE_ID] = (self.replies.count_waiting(), code)
        return {name: (count, code) for name, (count, code) in deliveries.items() if count or code}

    def expiring(self) -> list[tuple[str, int]]:
        """Return whose keys expire within six weeks, or have expired: a name and the days that are left."""
        return expiring_keys(self.config, self.clock())

    # What goes on in the background.

    def destroy_overdue(self) -> None:
        """Destroy what was closed `retain_days` ago, whose counts stay, what has waited for long, and old day keys.

        Nothing is destroyed before two looks a day apart agree.
        """
        over, parts = self.cases.overdue(self.config.retain_days), self.cases.parts.overdue()
        answers, typed, day_keys = self.cases.early_answers.overdue(), self.typed.overdue(), self.day_keys.overdue()
        confirmed = self.looks.confirm([*(case.id for case in over), *parts, *answers, *typed, *day_keys])
        over = [case for case in over if case.id in confirmed]
        if over:
            keep_rows(self.store, [case for case in over if case.answers_to is None])
            self.authority_questions.note_ended(over)
            self.cases.destroy(over)
        self.typed.drop_ended()
        self.typed.destroy(confirmed.intersection(typed))
        self.cases.parts.delete_waiting(confirmed.intersection(parts))
        self.cases.early_answers.destroy(confirmed.intersection(answers), by=DESK)
        waits = any(self.config.inbox.glob("*.age"))
        self.day_keys.destroy(confirmed.intersection(day_keys), envelopes_wait=waits)

    def start(self) -> threading.Thread:
        """Open every record in the background, then begin its other work; `loading` says how far it is."""

        def load(job: Job) -> None:
            self.cases.load(job)
            if not (job.stopped or self._stop.is_set()):
                self.typed.load()
                decide_interrupted(self.referral_context)
                self._start_background()
                self.queue.guess_languages()

        return start_job(self.loading, load)

    def close(self) -> None:
        """Ask the background to end, wait ten seconds for what has begun, and close the outbox.

        A thread that takes longer, with a server that does not answer, ends with the process; the outbox stays open for
        it. What such a thread did not finish is done at the next start.
        """
        self._stop.set()
        self.loading.stop()
        end = time.monotonic() + _CLOSE_SECONDS
        for thread in self._background():
            self.opening.stop()  # a look into the inbox may just have begun another one
            thread.join(max(0.0, end - time.monotonic()))
        if not any(thread.is_alive() for thread in self._background()):
            with suppress(HaumaruError):
                self.outbox.database.close()

    def _background(self) -> Iterator[threading.Thread]:
        """Return the threads of the background as they begin: loading starts most of them, and these the opening."""
        if self.loading.thread is not None:
            yield self.loading.thread
        yield from self._threads
        if self.opening.thread is not None:
            yield self.opening.thread

    def _start_background(self) -> None:
        work: dict[str, tuple[float, Callable[[], None]]] = {
            "delivery": (_LOOK_SECONDS, lambda: self.forwarder.run(self._stop)),
            "inbox": (_LOOK_SECONDS, self._look_into_inbox),
            "destroying": (_DESTROY_SECONDS, self.destroy_overdue),
            "sending": (_SETTLE_SECONDS, lambda: decide_interrupted(self.referral_context)),
            "overdue": (_SETTLE_SECONDS, lambda: self.assignments.note_overdue(self.store)),
            "journal": (_SETTLE_SECONDS, self.cases.arrivals.settle),
            "common": (_LOOK_SECONDS, lambda: self.common.renew(self._stop)),
        }
        if self.reply_poster:
            work["replies"] = (_LOOK_SECONDS, self.reply_poster.post_due)
        if self.config.imap:
            work["mailbox"] = (float(self.config.imap.every), self._fetch_mail)
        for name, (every, job) in work.items():
            thread = threading.Thread(target=self._repeat, args=(name, every, job), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _look_into_inbox(self) -> None:
        if self.opening.ended and not self.opening.stopped and any(self.config.inbox.glob("*.age")):
            self.open_inbox()
        if self.opening.code:
            code, self.opening.code = self.opening.code, ""
            raise HaumaruError(code)

    def _fetch_mail(self) -> None:
        assert self.config.imap is not None
        fetch_envelopes(self.config.imap, self.config.inbox)

    def _repeat(self, name: str, every: float, job: Callable[[], None]) -> None:
        pause = every
        while not self._stop.is_set():
            try:
                job()
            except Exception as error:  # noqa: BLE001  # whatever it is, the desk goes on and shows a code
                code = error.code if isinstance(error, HaumaruError) else type(error).__name__
                if self.failures.get(name) != code:
                    _log.error("background of=%s code=%s", name, code)
                self.failures[name] = code
                pause = min(pause * 2, _MAX_PAUSE)
            else:
                self.failures.pop(name, None)
                pause = every
            self._stop.wait(pause)


@contextmanager
def open_desk(
    config: DeskConfig,
    identities: Sequence[Identity],
    key: Ed25519PrivateKey,
    phrases: PhraseTrie,
    *,
    languages: LanguageGuess,
    help_lines: Sequence[str] = (),
    clock: Callable[[], float] = time.time,
    steady: Callable[[], float] = boot_seconds,
) -> Iterator[Desk]:
    """Open the store for this process alone and build the desk on it; close both at the end.

    `help_lines`: texts with numbers that belong to no tip. Makes the folders that are missing. Raises OutboxError,
    and RefusedError (`store-in-use`, `store-key`, `journal`, …).
    """
    store = SealedStore(config.store, identities, clock=clock)
    with store.locked():
        _make_folders(config)
        never = (config.contact, *help_lines)
        desk = Desk(
            config, store, identities, key, phrases, languages=languages, never=never, clock=clock, steady=steady
        )
        try:
            yield desk
        finally:
            desk.close()


def _make_folders(config: DeskConfig) -> None:
    config.inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    for party in (*config.authorities.values(), *config.translators.values()):
        if isinstance(party.transport, FolderTransport) and _is_beside_store(party.transport.folder, config):
            party.transport.folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _is_beside_store(folder: Path, config: DeskConfig) -> bool:
    """Whether a folder lies beside the store: one elsewhere may be a mount, and must be there."""
    return folder.absolute().is_relative_to(config.store.absolute().parent)
