"""The cases of one store: in memory while the desk is open, sealed on the disk.

Each change is journaled first, then written, then published to readers; a change that fails leaves the case as it
was, with at most one more line in the journal. What an envelope held is in the store before the envelope leaves the
inbox. The desk knows what it had by the SHA-256 of an envelope: an id is no proof, so two tips of one id are two cases.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from secrets import SystemRandom

from app.core.errors import HaumaruError
from app.delivery.clock import days_left, nz_day
from app.desk.arrival import case_of_arrival, with_arrived_answers
from app.desk.case import Case
from app.desk.case_fields import CaseNote, Outcome, RedactionDraft, State
from app.desk.case_json import decode_case, encode_case
from app.desk.early_answers import EARLY_FOLDER, EarlyAnswers
from app.desk.envelopes import open_envelope
from app.desk.errors import RefusedError
from app.desk.jobs import Job
from app.desk.journal import Journal, JournalEntry
from app.desk.parts import PartStore
from app.desk.store import SealedStore, as_refused_errors
from app.desk.withdrawn import is_told, require_answered, require_not_promised
from app.vault.keys import Identity
from app.vault.part import Part
from app.vault.tip import Tip, new_tip_id
from app.vault.tip_bundles import Words, from_bundles

DESK = "desk"

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
        self._cases: dict[str, Case] = {}
        received = [entry for entry in journal.entries if entry.did == "received"]
        self._case_ids = {entry.tip for entry in received}  # of cases that were destroyed, too
        self._hashes = {entry.what.split(" ")[1] for entry in received}  # of the envelopes that brought words
        self.parts = PartStore(store, identities, self.today)
        self.early_answers = EarlyAnswers(store, journal, identities, self.today)
        self._lock = threading.RLock()
        self.arrived: list[str] = []  # the ids of what came in since the desk was opened, in that order
        self.changes = 0  # counts up, so that what is computed from all cases knows when it is stale

    def today(self) -> date:
        """Return the day in New Zealand."""
        return nz_day(self._clock())

    def days_left(self, last_day: date) -> int:
        """Return the whole days from today to a last day; negative once that day is past."""
        return days_left(last_day, self._clock())

    def load(self, job: Job) -> None:
        """Open every record, until done or stopped; raises RefusedError `store-key` or `store-damaged`."""
        names = self.store.list_names("tips")
        job.total += len(names)
        missed = []
        for name in names:
            if job.stopped:
                return
            try:
                case = decode_case(self.store.read(f"tips/{name}"))
            except (ValueError, KeyError, TypeError):
                raise RefusedError("store-damaged") from None
            self._cases[case.id] = case
            if case.id not in self._case_ids:
                missed.append(case)
            job.advance()
        with as_refused_errors():
            envelopes = [(self.store.folder / f"envelopes/{case.id}.age").read_bytes() for case in missed]
        self._note_received({sha256(one).hexdigest(): case for one, case in zip(envelopes, missed, strict=True)})
        self._finish_arrivals()
        self.journal.save_arrivals()
        self.changes += 1

    def all(self) -> tuple[Case, ...]:
        """Return every case, in no order."""
        return tuple(self._cases.values())

    def get(self, untrusted_id: str) -> Case:
        """Return one case; raises RefusedError `gone`."""
        case = self._cases.get(untrusted_id)
        if case is None:
            raise RefusedError("gone")
        return case

    # Arrivals.

    def receive_words(self, words: Words, envelope: bytes) -> None:
        """Make a case of the words of a tip, unless this very envelope came before, and find what waits for them.

        An answer whose thread is not here waits itself. On a return the words are in the store. Raises RefusedError
        for a fault of the disk or journal.
        """
        with self._lock:
            digest, locator = sha256(envelope).hexdigest(), words.tip.answers_to
            if digest in self._hashes:
                return
            ended = locator is not None and self.early_answers.is_ended(locator)
            if locator is not None and not ended and not self._thread(locator):
                self.early_answers.add(locator, envelope)
                return
            case_id = words.tip.id if words.tip.id not in self._case_ids else new_tip_id()
            case = case_of_arrival(words, case_id, self.today(), by=DESK, thread_ended=ended)
            early = [one for one in self._cases.values() if case.reply and one.answers_to == case.reply.locator]
            if early and case.answers_to is None:
                # Earlier versions made a case of an answer that came before what it answers.
                case = with_arrived_answers(case, early)
            self.store.put_sealed(f"envelopes/{case.id}.age", envelope)
            self._write(case)
            self._note_received({digest: case})
            self._publish(case)
            self.arrived.append(case.id)
            self._join_thread(case)
            if case.part_count and self.parts.prove_waiting(case):
                self._note_files(case)
            self.early_answers.take(case, self.receive_words)

    def _finish_arrivals(self) -> None:
        """Do what follows the arrival of words, where the desk was killed before it was done."""
        for case in self.all():
            self._join_thread(case)
            self.early_answers.take(case, self.receive_words)
            if not self.parts.is_complete(case) and self.parts.prove_waiting(case):
                self._note_files(case)

    def _join_thread(self, answer: Case) -> None:
        parent = self.parent(answer)
        joined = with_arrived_answers(parent, [answer]) if parent else None
        if joined is not None and joined is not parent:
            self._put(joined)

    def receive_part(self, part: Part, envelope: bytes) -> None:
        """Keep a part with the case that proves it, or until its words come; raises RefusedError."""
        with self._lock:
            case = self.parts.receive(part, envelope, [one for one in self.all() if one.tip_id == part.tip])
            if case is not None:
                self._note_files(case)

    def _note_received(self, cases: Mapping[str, Case]) -> None:
        """Journal that cases have come in, each under the SHA-256 of the envelope that brought its words.

        The caller saves the arrivals before the envelopes leave the inbox.
        """
        entries = []
        for digest, case in cases.items():
            parent = self.parent(case)
            answers = f" answers {parent.id}" if parent else ""
            answers += " withdraws" if case.withdraw else ""
            entries.append(JournalEntry(DESK, "received", case.id, f"envelope {digest}{answers}"))
        self.journal.add_arrivals(*entries)
        self._case_ids.update(case.id for case in cases.values())
        self._hashes.update(cases)

    def settle_arrivals(self) -> None:
        """Once a day is over, write the files of what came in on it anew, in no order, and journal it.

        Birth and change times of files cannot be set, and would show when, and in which order, the tips came. Raises
        RefusedError.
        """
        over = self.journal.unsettled()
        tips = {entry.tip for entry in over}.intersection(self._cases)
        names = [f"{folder}/{tip}.age" for tip in tips for folder in ("tips", "envelopes")]
        names += [name for tip in tips for name in self.parts.names(self._cases[tip])]
        SystemRandom().shuffle(names)
        for name in names:
            with self._lock:
                self.store.renew(name)
        self.journal.settle(over)

    def _note_files(self, case: Case) -> None:
        if self.parts.is_complete(case):
            self.journal.add_arrivals(JournalEntry(DESK, "files-complete", case.id))
        self.changes += 1

    def parent(self, case: Case) -> Case | None:
        """Return the case to whose thread this answer belongs, if it is still here.

        Nobody can name the locator of another sender's thread: it derives from the receipt code.
        """
        return None if case.answers_to is None else self._thread(case.answers_to)

    def _thread(self, locator: str) -> Case | None:
        threads = (one for one in self._cases.values() if one.reply and one.answers_to is None)
        return next((one for one in threads if one.reply and one.reply.locator == locator), None)

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
            return self._put(changed)

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

    def close(self, tip: str, who: str, reason: str, outcome: Outcome = Outcome.UNKNOWN) -> Case:
        """End the work on a tip, one's own or nobody's."""
        return self.change(
            tip, who, "closed", lambda now: require_answered(now).ended(who, self.today(), reason, outcome), what=reason
        )

    def reopen(self, tip: str, who: str) -> Case:
        """Work on a closed tip again."""
        return self.change(tip, who, "reopened", lambda now: require_not_promised(now).reopened(who))

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
            for case in self.all():
                if any(one.who and one.id == reply_id for one in case.thread):
                    self.change(case.id, DESK, "reply-posted", lambda now: now.with_posted(reply_id))
                    return

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
                self._cases.pop(case.id, None)
                self.changes += 1

    def overdue(self, retain_days: int) -> list[Case]:
        """Return the cases closed `retain_days` ago, or withdrawn, and their threads' answers; never a locked one."""
        limit = self.today() - timedelta(days=retain_days)
        closed = [case for case in self.all() if case.state is State.CLOSED and case.closed]
        over = [case for case in closed if (case.closed and case.closed <= limit) or is_told(case)]
        threads = {message.id for case in over for message in case.thread if not message.who}
        return [*over, *(case for case in self.all() if case.id in threads and case not in over)]

    def reseal(self, job: Job) -> None:
        """Seal everything anew to the store's first identity; raises RefusedError."""
        count = self.store.reseal(("tips", "envelopes", "parts", "waiting", EARLY_FOLDER), job)
        if count is not None:
            self.journal.reseal()
            self.journal.write(JournalEntry(DESK, "rekeyed", "", str(count)))

    def _put(self, case: Case) -> Case:
        with self._lock:
            self._write(case)
            self._publish(case)
            return case

    def _publish(self, case: Case) -> None:
        self._cases[case.id] = case
        self.changes += 1

    def _write(self, case: Case) -> None:
        self.store.write(f"tips/{case.id}.age", encode_case(case))
