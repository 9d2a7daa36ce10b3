"""What comes in: words become cases and find their threads, parts find their words, and the journal keeps the day.

What an envelope held is in the store before the envelope leaves the inbox. The desk knows what it had by the SHA-256 of
an envelope: an id is no proof, so two tips of one id are two cases. What a stop of the machine cut short is done at the
next start.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from secrets import SystemRandom

from app.desk.arrival import case_of_arrival, with_arrived_answers
from app.desk.case import Case
from app.desk.case_records import CaseRecords
from app.desk.early_answers import EarlyAnswers
from app.desk.journal import DESK, Journal, JournalEntry
from app.desk.parts import PartStore
from app.desk.store import as_refused_errors
from app.vault.part import Part
from app.vault.tip import new_tip_id
from app.vault.tip_bundles import Words


class Arrivals:
    """The way of what comes in, from an opened envelope to the cases."""

    def __init__(
        self,
        records: CaseRecords,
        journal: Journal,
        parts: PartStore,
        early_answers: EarlyAnswers,
        today: Callable[[], date],
    ) -> None:
        self._records, self._journal, self._today = records, journal, today
        self._parts, self._early_answers = parts, early_answers
        received = [entry for entry in journal.entries if entry.did == "received"]
        self._case_ids = {entry.tip for entry in received}  # of cases that were destroyed, too
        self._hashes = {entry.what.split(" ")[1] for entry in received}  # of the envelopes that brought words
        self.ids: list[str] = []  # of the cases and questions that came in since the desk was opened, in that order
        self.question_ids: set[str] = set()  # those of them that are questions of authorities

    def receive_words(self, words: Words, envelope: bytes, digest: str) -> None:
        """Make a case of the words of a tip, unless this very envelope came before, and find what waits for them.

        `digest` is the SHA-256 of the envelope that came, `envelope` the same bundle, sealed to the desk's own key. An
        answer whose thread is not here waits itself. On a return the words are in the store. Raises RefusedError
        for a fault of the disk or journal.
        """
        with self._records.lock:
            locator = words.tip.answers_to
            if digest in self._hashes:
                return
            ended = locator is not None and self._early_answers.is_ended(locator)
            if locator is not None and not ended and not self._records.thread(locator):
                self._early_answers.add(locator, envelope, digest)
                return
            case_id = words.tip.id if words.tip.id not in self._case_ids else new_tip_id()
            case = case_of_arrival(words, case_id, self._today(), by=DESK, thread_ended=ended)
            case = replace(case, envelope=digest)
            if case.reply and case.answers_to is None:
                # Earlier versions made a case of an answer that came before what it answers.
                case = with_arrived_answers(case, self._records.answers_to(case.reply.locator))
            self._records.store.put_sealed(f"envelopes/{case.id}.age", envelope)
            self._records.write(case)
            self._note_received({digest: case})
            self._records.publish(case)
            self.ids.append(case.id)
            self._join_thread(case)
            if case.part_count and self._parts.prove_waiting(case):
                self._note_files(case)
            self._early_answers.take(case, self.receive_words)

    def note_question(self, question_id: str) -> None:
        """Note that an authority's question came in, for the notice on the pages."""
        with self._records.lock:
            self.question_ids.add(question_id)
            self.ids.append(question_id)

    def receive_part(self, part: Part, envelope: bytes, digest: str) -> None:
        """Keep a part with the case that proves it, or until its words come, as `receive_words` does.

        Raises RefusedError.
        """
        with self._records.lock:
            case = self._parts.receive(part, envelope, digest, self._records.with_tip_id(part.tip))
            if case is not None:
                self._note_files(case)

    def finish(self) -> None:
        """Do what follows the arrival of words, where the desk was killed before it was done; raises RefusedError."""
        missed = [case for case in self._records.all() if case.id not in self._case_ids]
        with as_refused_errors():
            folder = self._records.store.folder
            # Earlier versions kept each envelope as it came, and no digest of an envelope.
            digests = [case.envelope or _digest(folder / f"envelopes/{case.id}.age") for case in missed]
        self._note_received(dict(zip(digests, missed, strict=True)))
        for case in self._records.all():
            self._join_thread(case)
            self._early_answers.take(case, self.receive_words)
            if not self._parts.is_complete(case) and self._parts.prove_waiting(case):
                self._note_files(case)
        self._journal.save_arrivals()

    def settle(self) -> None:
        """Once a day is over, write the files of what came in on it anew, in no order, and journal it.

        Birth and change times of files cannot be set, and would show when, and in which order, the tips came. Raises
        RefusedError.
        """
        over = self._journal.unsettled()
        here: dict[str, Case] = {case.id: case for case in self._records.all()}
        tips = {entry.tip for entry in over}.intersection(here)
        names = [f"{folder}/{tip}.age" for tip in tips for folder in ("tips", "envelopes")]
        names += [name for tip in tips for name in self._parts.names(here[tip])]
        SystemRandom().shuffle(names)
        for name in names:
            with self._records.lock:
                self._records.store.renew(name)
        self._journal.settle(over)

    def _join_thread(self, answer: Case) -> None:
        parent = None if answer.answers_to is None else self._records.thread(answer.answers_to)
        joined = with_arrived_answers(parent, [answer]) if parent else None
        if joined is not None and joined is not parent:
            self._records.put(joined)

    def _note_received(self, cases: Mapping[str, Case]) -> None:
        """Journal that cases have come in, each under the SHA-256 of the envelope that brought its words.

        The caller saves the arrivals before the envelopes leave the inbox.
        """
        entries = []
        for digest, case in cases.items():
            parent = None if case.answers_to is None else self._records.thread(case.answers_to)
            answers = f" answers {parent.id}" if parent else ""
            answers += " withdraws" if case.withdraw else ""
            entries.append(JournalEntry(DESK, "received", case.id, f"envelope {digest}{answers}"))
        self._journal.add_arrivals(*entries)
        self._case_ids.update(case.id for case in cases.values())
        self._hashes.update(cases)

    def _note_files(self, case: Case) -> None:
        if self._parts.is_complete(case):
            self._journal.add_arrivals(JournalEntry(DESK, "files-complete", case.id))


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
