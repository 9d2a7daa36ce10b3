"""The cases of one store: in memory while the desk is open, sealed on the disk.

Each change is journaled first, then written, then published to readers; a change that fails leaves the case as it
was, with at most one more line in the journal. `case_records` keeps the cases, `arrivals` makes them of what comes in.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta

from app.core.errors import HaumaruError
from app.delivery.clock import days_left, nz_day
from app.desk.arrivals import Arrivals
from app.desk.case import Case
from app.desk.case_fields import CaseNote, Outcome, RedactionDraft, State
from app.desk.case_records import CaseRecords
from app.desk.day_key_store import DAY_KEYS_FOLDER
from app.desk.early_answers import EARLY_FOLDER, EarlyAnswers
from app.desk.envelopes import open_envelope
from app.desk.errors import RefusedError
from app.desk.jobs import Job
from app.desk.journal import DESK, Journal, JournalEntry
from app.desk.parts import PartStore
from app.desk.store import SealedStore
from app.desk.withdrawn import is_told
from app.vault.keys import Identity
from app.vault.tip import Tip
from app.vault.tip_bundles import Words, from_bundles

Transition = Callable[[Case], Case]


class Cases:
    """Every case of one store; hold the store's lock while you use it."""

    def __init__(
        self,
        store: SealedStore,
        journal: Journal,
        identities: Sequence[Identity],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store, self.journal, self._clock = store, journal, clock
        self._identities = tuple(identities)
        self.records = CaseRecords(store)
        self._lock = self.records.lock
        self.parts = PartStore(store, identities, self.today)
        self.early_answers = EarlyAnswers(store, journal, identities, self.today)
        self.arrivals = Arrivals(self.records, journal, self.parts, self.early_answers, self.today)

    def today(self) -> date:
        """Return the day in New Zealand."""
        return nz_day(self._clock())

    def days_left(self, last_day: date) -> int:
        """Return the whole days from today to a last day; negative once that day is past."""
        return days_left(last_day, self._clock())

    def load(self, job: Job) -> None:
        """Open every record, until done or stopped; raises RefusedError `store-key` or `store-damaged`."""
        self.records.load(job)
        if not job.stopped:
            self.arrivals.finish()

    def all(self) -> tuple[Case, ...]:
        """Return every case, in no order."""
        return self.records.all()

    def get(self, untrusted_id: str) -> Case:
        """Return one case; raises RefusedError `gone`."""
        return self.records.get(untrusted_id)

    def parent(self, case: Case) -> Case | None:
        """Return the case to whose thread this answer belongs, if it is still here.

        Nobody can name the locator of another sender's thread: it derives from the receipt code.
        """
        return None if case.answers_to is None else self.records.thread(case.answers_to)

    def with_reply(self, reply_id: str) -> Case | None:
        """Return the case in whose thread the desk wrote a reply, or None."""
        return self.records.with_reply(reply_id)

    # Changes.

    def change(self, tip: str, who: str, did: str, transition: Transition, *, what: str = "") -> Case:
        """Journal, keep and publish one change by `who`, or none of these; raises RefusedError.

        `transition` asks whether the change is allowed, under the lock of every change; what it raises is raised. A
        tip that is locked away is never changed.
        """
        with self._lock:
            case = self.get(tip)
            case.require_shown()
            changed = replace(transition(case), version=case.version + 1)
            self.journal.write(JournalEntry(who, did, case.id, what))
            return self.records.put(changed)

    def claim(self, tip: str, who: str) -> Case:
        """Give a tip to `who` to work on; one's own stays as it is."""
        case = self.get(tip)
        if case.holder == who:
            return case
        return self.change(tip, who, "claimed", lambda now: now.claimed(who))

    def release(self, tip: str, who: str, *, force: bool = False) -> Case:
        """Give a tip back, one's own or, with `force` and journaled as such, somebody else's."""
        did = "took-away" if force else "gave-back"
        return self.change(tip, who, did, lambda now: now.released(who, force=force))

    def note(self, tip: str, who: str, text: str) -> Case:
        """Add a note, which never leaves the desk; raises RefusedError `no-words`."""
        if not text:
            raise RefusedError("no-words")
        note = CaseNote(self.today(), who, text)
        return self.change(tip, who, "noted", lambda now: now.with_note(note))

    def redact(self, tip: str, who: str, draft: RedactionDraft) -> Case:
        """Keep a draft of the tip's referral."""
        return self.change(tip, who, "redacted", lambda now: now.with_draft(who, draft))

    def translate(self, tip: str, who: str, text: str, *, needs_translator: bool) -> Case:
        """Keep a translation, or that the tip needs a translator."""
        did = "translated" if text else "needs-translator"
        return self.change(
            tip, who, did, lambda now: now.with_translation(who, text, needs_translator=needs_translator)
        )

    def send_back(self, tip: str, who: str) -> Case:
        """Take a prepared referral back to job."""
        return self.change(tip, who, "sent-back", lambda now: now.sent_back(who))

    def set_outcome(self, tip: str, who: str, outcome: Outcome) -> Case:
        """Note what came of a tip."""
        return self.change(tip, who, "outcome", lambda now: now.with_outcome(outcome), what=outcome)

    def lock_away(self, tip: str, who: str) -> Case:
        """Mark a tip as objectionable, for good: its words leave the record, the sealed envelope stays."""
        what = self.early_answers.end_thread(self.get(tip))
        return self.change(tip, who, "objectionable", lambda now: now.locked_away(), what=what)

    def note_posted(self, reply_id: str) -> None:
        """Note that the site has a reply; the tip may have been destroyed or locked away meanwhile."""
        with self._lock:
            case = self.with_reply(reply_id)
            if case is not None:
                self.change(case.id, DESK, "reply-posted", lambda now: now.with_posted(reply_id))

    def view(self, tip: str, who: str) -> Case:
        """Return a tip for reading; journal that it was opened, a locked one too."""
        case = self.get(tip)
        self.journal.write(JournalEntry(who, "opened", case.id, case.state))
        return case

    def read_thread(self, tip: str, who: str) -> Case:
        """Return a tip whose thread is shown to `who`: the sender's answers count as read from then on."""
        case = self.get(tip)
        return self.change(tip, who, "read-answer", lambda now: now.read()) if case.unread else case

    # Envelopes, and the end of a case.

    def original(self, case: Case) -> Tip:
        """Return the tip as it came, opened anew.

        Raises RefusedError `objectionable`, `parts-missing`, `store-damaged`, and BundleError where the parts do not
        make the files that the words name.
        """
        case.require_shown()
        if not self.parts.is_complete(case):
            raise RefusedError("parts-missing")
        try:
            words = open_envelope((self.store.folder / f"envelopes/{case.id}.age").read_bytes(), self._identities)
        except (OSError, HaumaruError):
            words = None
        if not isinstance(words, Words):
            raise RefusedError("store-damaged")
        return from_bundles(words, self.parts.read(case))

    def destroy(self, cases: Iterable[Case]) -> None:
        """Destroy records and envelopes for good; journaled."""
        for case in cases:
            with self._lock:
                self.journal.write(JournalEntry(DESK, "destroyed", case.id, self.early_answers.end_thread(case)))
                self.store.delete([f"envelopes/{case.id}.age", f"tips/{case.id}.age"])
                self.parts.delete(case)
                self.records.forget(case)

    def overdue(self, retain_days: int) -> list[Case]:
        """Return the cases closed `retain_days` ago, or withdrawn, and their threads' answers; never a locked one.

        A case in which something waits for a handler stays: words that nobody has read, or a question.
        """
        limit = self.today() - timedelta(days=retain_days)
        closed = [case for case in self.all() if case.state is State.CLOSED and case.closed]
        over = [case for case in closed if (case.closed and case.closed <= limit and not case.waits) or is_told(case)]
        threads = {message.id for case in over for message in case.thread if not message.who}
        return [*over, *(case for case in self.all() if case.id in threads and case not in over)]

    def reseal(self, job: Job) -> None:
        """Seal everything anew to the store's first identity; raises RefusedError."""
        folders = ("tips", "envelopes", "parts", "waiting", "typed", EARLY_FOLDER, DAY_KEYS_FOLDER)
        count = self.store.reseal(folders, job)
        if count is not None:
            self.journal.reseal()
            self.journal.write(JournalEntry(DESK, "rekeyed", "", str(count)))
