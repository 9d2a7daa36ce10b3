"""The records of the cases: each in memory while the desk is open, and sealed on the disk.

A case is found by a key (the locator of its thread, the id in its words, the id of a reply) in an index, which changes
under the same lock as the case: nothing looks at every case to find one.
"""

import threading
from collections.abc import Callable, Iterable

from app.desk.case import Case
from app.desk.case_json import decode_case, encode_case
from app.desk.errors import RefusedError
from app.desk.jobs import Job
from app.desk.store import SealedStore


class CaseIndex:
    """Which cases have a key, in the order in which they got the key."""

    def __init__(self, keys: Callable[[Case], Iterable[str]]) -> None:
        self._keys = keys
        self._ids: dict[str, dict[str, None]] = {}

    def change(self, before: Case | None, after: Case | None) -> None:
        """Note that a case has come (`before` is None), has changed, or has gone (`after` is None)."""
        former = frozenset(self._keys(before)) if before else frozenset()
        present = frozenset(self._keys(after)) if after else frozenset()
        for key in former - present:
            ids = self._ids[key]
            ids.pop(before.id if before else "")
            if not ids:
                del self._ids[key]
        for key in present - former:
            self._ids.setdefault(key, {})[after.id if after else ""] = None

    def find(self, key: str) -> tuple[str, ...]:
        """Return the ids of the cases that have a key."""
        return tuple(self._ids.get(key, ()))


class CaseRecords:
    """Every case of one store, and the lock under which each change is made."""

    def __init__(self, store: SealedStore) -> None:
        self.store, self.lock = store, threading.RLock()
        self.changes = 0  # counts up, so that what is computed from all cases knows when it is stale
        self._cases: dict[str, Case] = {}
        self._threads, self._answers = CaseIndex(_thread_locator), CaseIndex(_answered_locator)
        self._tips, self._replies = CaseIndex(lambda case: (case.tip_id,)), CaseIndex(_reply_ids)

    def load(self, job: Job) -> None:
        """Open every record, until done or stopped; raises RefusedError `store-key` or `store-damaged`."""
        names = self.store.list_names("tips")
        job.total += len(names)
        for name in names:
            if job.stopped:
                return
            try:
                case = decode_case(self.store.read(f"tips/{name}"))
            except (ValueError, KeyError, TypeError):
                raise RefusedError("store-damaged") from None
            self.publish(case)
            job.advance()

    def all(self) -> tuple[Case, ...]:
        """Return every case, in no order."""
        return tuple(self._cases.values())

    def get(self, untrusted_id: str) -> Case:
        """Return one case; raises RefusedError `gone`."""
        case = self._cases.get(untrusted_id)
        if case is None:
            raise RefusedError("gone")
        return case

    def thread(self, locator: str) -> Case | None:
        """Return the case whose thread has a locator, or None."""
        return next(iter(self._found(self._threads, locator)), None)

    def answers_to(self, locator: str) -> list[Case]:
        """Return the cases that answer the thread of a locator."""
        return self._found(self._answers, locator)

    def with_tip_id(self, tip_id: str) -> list[Case]:
        """Return the cases whose words bear an id."""
        return self._found(self._tips, tip_id)

    def with_reply(self, reply_id: str) -> Case | None:
        """Return the case in whose thread the desk wrote a reply, or None."""
        return next(iter(self._found(self._replies, reply_id)), None)

    def put(self, case: Case) -> Case:
        """Write a case, then let readers see it; raises RefusedError."""
        with self.lock:
            self.write(case)
            self.publish(case)
            return case

    def write(self, case: Case) -> None:
        """Write the record of a case; raises RefusedError."""
        self.store.write(f"tips/{case.id}.age", encode_case(case))

    def publish(self, case: Case) -> None:
        """Let readers see a case whose record is written."""
        with self.lock:
            self._index(self._cases.get(case.id), case)
            self._cases[case.id] = case
            self.changes += 1

    def forget(self, case: Case) -> None:
        """Let no reader see a case any more whose record is deleted."""
        with self.lock:
            self._index(self._cases.pop(case.id, None), None)
            self.changes += 1

    def _index(self, before: Case | None, after: Case | None) -> None:
        for index in (self._threads, self._answers, self._tips, self._replies):
            index.change(before, after)

    def _found(self, index: CaseIndex, key: str) -> list[Case]:
        with self.lock:
            return [self._cases[case_id] for case_id in index.find(key)]


def _thread_locator(case: Case) -> tuple[str, ...]:
    return (case.reply.locator,) if case.reply and case.answers_to is None else ()


def _answered_locator(case: Case) -> tuple[str, ...]:
    return () if case.answers_to is None else (case.answers_to,)


def _reply_ids(case: Case) -> tuple[str, ...]:
    return tuple(one.id for one in case.thread if one.who and one.id)
