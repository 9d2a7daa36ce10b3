"""The inbox: each envelope becomes a case, is deleted as a decoy, or is set aside with the code of its fault.

No file in the inbox stops the others: names, links and bytes come from strangers, and each fault costs only its own
file. Nothing that was set aside is destroyed unless a handler says so.
"""

from collections.abc import Sequence
from pathlib import Path

from app.core.errors import HaumaruError
from app.desk.cases import DESK, Cases
from app.desk.envelopes import id_from_name, open_tip
from app.desk.errors import RefusedError
from app.desk.jobs import Job
from app.desk.journal import JournalEntry
from app.desk.store import SealedStore, as_refused_errors
from app.vault.keys import Identity
from app.vault.tip import new_tip_id


class Inbox:
    """The folder into which envelopes come, and what was set aside from it."""

    def __init__(self, inbox: Path, cases: Cases, store: SealedStore, identities: Sequence[Identity]) -> None:
        self._inbox, self._cases, self._store = inbox, cases, store
        self._identities = tuple(identities)

    def receive(self, job: Job) -> None:
        """Take in every envelope, until done or stopped; raises RefusedError for a fault of the disk or journal."""
        with as_refused_errors():
            paths = sorted(path for path in self._inbox.glob("*.age") if not path.name.startswith("."))
        job.total += len(paths)
        for path in paths:
            if job.stopped:
                return
            self._receive_one(path)
            job.advance()

    def _receive_one(self, path: Path) -> None:
        try:
            if path.is_symlink() or not path.is_file():
                raise RefusedError("file")
            opened = open_tip(path, self._identities)
        except FileNotFoundError:
            return
        except HaumaruError as error:
            self._move_aside(path, error.code)
            return
        if opened.decoy:
            with as_refused_errors():
                path.unlink(missing_ok=True)
            return
        self._cases.add(path, opened)

    def _move_aside(self, path: Path, code: str) -> None:
        tip = id_from_name(path.name) or new_tip_id()
        self._cases.journal.write(JournalEntry(DESK, "set-aside", tip, code))
        self._store.move_in(path, f"aside/{tip}.{code}")

    def set_aside(self) -> list[tuple[str, str]]:
        """Return what was set aside: the id of each file's name, or one made for it, and the code of its fault."""
        pairs = [name.split(".", 1) for name in self._store.list_names("aside")]
        return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]  # noqa: PLR2004

    def retry(self, who: str, untrusted_name: str) -> None:
        """Put something that was set aside back into the inbox; raises RefusedError `gone`."""
        name, tip = self._checked(untrusted_name)
        self._cases.journal.write(JournalEntry(who, "tried-again", tip))
        with as_refused_errors():
            (self._store.folder / "aside" / name).rename(self._inbox / f"{tip}.age")

    def destroy(self, who: str, untrusted_name: str) -> None:
        """Destroy something that was set aside; raises RefusedError `gone`."""
        name, tip = self._checked(untrusted_name)
        self._cases.journal.write(JournalEntry(who, "destroyed-aside", tip))
        self._store.delete([f"aside/{name}"])

    def _checked(self, untrusted_name: str) -> tuple[str, str]:
        if untrusted_name not in self._store.list_names("aside"):
            raise RefusedError("gone")
        return untrusted_name, untrusted_name.partition(".")[0]
