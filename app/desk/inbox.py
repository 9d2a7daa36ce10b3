"""The inbox: words become cases, parts find their words, authorities' questions their cases; decoys are dropped.

Every other file is set aside.

All envelopes of a batch are read, what they hold is stored, and then all of them are deleted alike, so that nothing
done to a file shows what it held. No file in the inbox stops the others: names, links and bytes come from strangers.
Nothing that was set aside is destroyed unless a handler says so.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from secrets import SystemRandom

from app.core.errors import EnvelopeError, HaumaruError
from app.desk.authority_questions import AuthorityQuestions
from app.desk.cases import Cases
from app.desk.envelopes import id_from_name, read_envelope_file, read_opened, require_name
from app.desk.errors import RefusedError
from app.desk.jobs import Job
from app.desk.journal import DESK, JournalEntry
from app.desk.question_bundle import AuthorityQuestion
from app.desk.referral import ReferralWords
from app.desk.store import SealedStore, as_refused_errors
from app.vault.age_open import unseal
from app.vault.keys import Identity
from app.vault.part import Part
from app.vault.tip import new_tip_id
from app.vault.tip_bundles import Words

BATCH = 256  # envelopes that are in the inbox and in the store at once: 35 MB
ROUND = 4096  # envelopes that one look takes in, chosen at random, so that a flood holds up no envelope for long


class Inbox:
    """The folder into which envelopes come, and what was set aside from it."""

    def __init__(
        self,
        inbox: Path,
        cases: Cases,
        store: SealedStore,
        identities: Callable[[], Sequence[Identity]],
        questions: AuthorityQuestions,
    ) -> None:
        self._inbox, self._cases, self._store, self._questions = inbox, cases, store, questions
        self._identities = identities

    def receive(self, job: Job) -> None:
        """Take in every envelope, until done or stopped; raises RefusedError for a fault of the disk or journal."""
        with as_refused_errors():
            paths = [path for path in self._inbox.glob("*.age") if not path.name.startswith(".")]
        # Neither names, which a stranger chooses, nor the folder's order decide what comes first.
        SystemRandom().shuffle(paths)
        del paths[ROUND:]
        job.total += len(paths)
        for start in range(0, len(paths), BATCH):
            self._receive_batch(paths[start : start + BATCH], job)

    def _receive_batch(self, paths: Sequence[Path], job: Job) -> None:
        taken: list[Path] = []
        try:
            for path in paths:
                if job.stopped:
                    return
                if self._receive_one(path):
                    taken.append(path)
                job.advance()
        finally:
            self._cases.journal.save_arrivals()
            with as_refused_errors():
                for path in taken:
                    path.unlink(missing_ok=True)
            if taken:
                self._store.show_day(self._inbox)

    def _receive_one(self, path: Path) -> bool:
        """Take in one file; return whether it can be deleted, because the store has what it held."""
        data = b""
        try:
            if path.is_symlink() or (path.exists() and not path.is_file()):
                raise EnvelopeError("file")
            data = read_envelope_file(path)
            bundle = unseal(data, self._identities())
            opened = read_opened(bundle)
            require_name(path.name, opened)
            if isinstance(opened, ReferralWords):
                raise EnvelopeError("referral")
        except FileNotFoundError:
            return False
        except PermissionError:
            self._move_aside(path, data, "file")
            return False
        except HaumaruError as error:
            self._move_aside(path, data, error.code)
            return False
        return self._take_in(path, data, bundle, opened)

    def _take_in(self, path: Path, data: bytes, bundle: bytes, opened: Words | Part | AuthorityQuestion) -> bool:
        # The key of the day is destroyed some weeks later, so what the desk keeps is sealed to its own key.
        digest = sha256(data).hexdigest()
        if isinstance(opened, AuthorityQuestion):
            try:
                self._questions.receive(opened)
            except EnvelopeError as error:
                self._move_aside(path, data, error.code)
                return False
        elif isinstance(opened, Part):
            self._cases.arrivals.receive_part(opened, self._store.seal(bundle), digest)
        elif not opened.tip.decoy:
            self._cases.arrivals.receive_words(opened, self._store.seal(bundle), digest)
        return True

    def _move_aside(self, path: Path, data: bytes, code: str) -> None:
        # The hash in the name keeps two envelopes apart that bear one id.
        name = f"{id_from_name(path.name) or new_tip_id()}.{sha256(data).hexdigest()[:16]}"
        self._cases.journal.add_arrivals(JournalEntry(DESK, "set-aside", name[:26], code))
        self._store.move_in(path, f"aside/{name}.{code}")

    def set_aside(self) -> list[tuple[str, str]]:
        """Return what was set aside: the name of each file, without its fault, and the code of the fault."""
        pairs = [name.rpartition(".") for name in self._store.list_names("aside")]
        return [(name, code) for name, _, code in pairs]

    def retry(self, who: str, untrusted_name: str) -> None:
        """Put something that was set aside back into the inbox; raises RefusedError `gone`."""
        name = self._checked(untrusted_name)
        self._cases.journal.write(JournalEntry(who, "tried-again", name[:26]))
        with as_refused_errors():
            (self._store.folder / "aside" / name).rename(self._inbox / f"{name.rpartition('.')[0]}.age")
        for folder in (self._store.folder / "aside", self._inbox):
            self._store.show_day(folder)

    def destroy(self, who: str, untrusted_name: str) -> None:
        """Destroy something that was set aside; raises RefusedError `gone`."""
        name = self._checked(untrusted_name)
        self._cases.journal.write(JournalEntry(who, "destroyed-aside", name[:26]))
        self._store.delete([f"aside/{name}"])

    def destroy_all(self, who: str, code: str) -> int:
        """Destroy everything that was set aside for one reason; return how many there were. Raises RefusedError."""
        names = [name for name in self._store.list_names("aside") if name.rpartition(".")[2] == code]
        if not names:
            raise RefusedError("gone")
        self._cases.journal.write(JournalEntry(who, "destroyed-aside", "", f"{code} {len(names)}"))
        self._store.delete([f"aside/{name}" for name in names])
        return len(names)

    def _checked(self, untrusted_name: str) -> str:
        if untrusted_name not in self._store.list_names("aside"):
            raise RefusedError("gone")
        return untrusted_name
