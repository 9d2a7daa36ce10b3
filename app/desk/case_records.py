"""The records of the cases: each in memory while the desk is open, and sealed on the disk.

A case is found by a key (the locator of its thread, the id in its words, the id of a reply) in an index, which changes
with the case: nothing looks at every case to find one. Changes are made one at a time under a lock; readers never wait
for the lock, which its holder keeps while the disk writes.
"""

import threading
from typing import TypeVar

from app.desk.case import Case
from app.desk.case_index import CaseIndex, CaseWatcher
from app.desk.case_json import decode_case, encode_case
from app.desk.errors import RefusedError
from app.desk.jobs import Job
from app.desk.store import SealedStore

Watcher = TypeVar("Watcher", bound=CaseWatcher)


class CaseRecords:
    """Every case of one store, and the lock under which each change is made."""

    def __init__(self, store: SealedStore) -> None:
        self.store, self.lock = store, threading.RLock()
        self._cases: dict[str, Case] = {}
        self._watchers: list[CaseWatcher] = []
        self._threads, self._answers = self.watch(CaseIndex(_thread_locator)), self.watch(CaseIndex(_answered_locator))
        self._tips = self.watch(CaseIndex(lambda case: (case.tip_id,)))
        self._replies = self.watch(CaseIndex(_reply_ids))

    def watch(self, watcher: Watcher) -> Watcher:
        """Tell a watcher of every case that is here, and from now on of every change; return the watcher."""
        with self.lock:
            for case in self.all():
                watcher.change(None, case)
            self._watchers.append(watcher)
        return watcher

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

    def find_one(self, case_id: str) -> Case | None:
        """Return one case, or None where there is none."""
        return self._cases.get(case_id)

    def find(self, index: CaseIndex, key: str) -> list[Case]:
        """Return the cases that have a key in an index, in the order in which they got the key."""
        found = [self._cases.get(case_id) for case_id in index.find(key)]
        return [case for case in found if case is not None]

    def thread(self, locator: str) -> Case | None:
        """Return the case whose thread has a locator, or None."""
        return next(iter(self.threads(locator)), None)

    def threads(self, locator: str) -> list[Case]:
        """Return the cases whose thread has a locator: more than one only if their sender sealed them so."""
        return self.find(self._threads, locator)

    def answers_to(self, locator: str) -> list[Case]:
        """Return the cases that answer the thread of a locator."""
        return self.find(self._answers, locator)

    def with_tip_id(self, tip_id: str) -> list[Case]:
        """Return the cases whose words bear an id."""
        return self.find(self._tips, tip_id)

    def with_reply(self, reply_id: str) -> Case | None:
        """Return the case in whose thread the desk wrote a reply, or None."""
        return next(iter(self.find(self._replies, reply_id)), None)

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
            before, self._cases[case.id] = self._cases.get(case.id), case
            self._tell(before, case)

    def forget(self, case: Case) -> None:
        """Let no reader see a case any more whose record is deleted."""
        with self.lock:
            self._tell(self._cases.pop(case.id, None), None)

    def _tell(self, before: Case | None, after: Case | None) -> None:
        for watcher in self._watchers:
            watcher.change(before, after)


def _thread_locator(case: Case) -> tuple[str, ...]:
    return (case.reply.locator,) if case.reply and case.answers_to is None else ()


def _answered_locator(case: Case) -> tuple[str, ...]:
    return () if case.answers_to is None else (case.answers_to,)


def _reply_ids(case: Case) -> tuple[str, ...]:
    return tuple(one.id for one in case.thread if one.who and one.id)
