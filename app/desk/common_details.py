"""Which tips have the same number plate, telephone number, address, account or firm, in whatever language.

The details stand in memory alone, made of the cases that the desk has open: what is locked or destroyed leaves them at
once. Details that no tip is about (help lines, the desk's own contact) join nothing. A common detail is a sign for a
handler to look at, never a proof: the sender of one tip may be the person whom another tip names.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from app.core.unicode import clean_text
from app.desk.case import Case
from app.desk.case_fields import State
from app.desk.case_records import CaseRecords
from app.text.phrases import PhraseTrie
from app.text.same_details import SameDetail, same_details
from app.vault.tip import SCHEMA

MAX_LISTED = 20  # tips that are listed for one detail
MAX_COUNTED = 20  # other tips that the queue counts for one row: a flood of one number must not make the desk slow
_MAX_FOUND = 99  # other tips that a page counts for one detail
_FEW = 20  # tips that a page may wait for
_MAX_TEXT, _MAX_DETAILS = 20_000, 200  # characters and details of one tip that are compared, whatever a stranger sealed
DETAIL_LABELS: Mapping[str, str] = {
    "plate": "number plate",
    "phone": "phone number",
    "address": "address",
    "account": "account number",
    "email": "email address",
    "handle": "name on social media",
    "document": "passport or licence number",
    "firm": "firm",
}


@dataclass(frozen=True)
class CommonDetail:
    """A detail that a tip has in common with others: its kind, its words in this tip, and the other tips."""

    kind: str
    shown: str
    count: int
    cases: tuple[Case, ...]  # at most `MAX_LISTED`, the newest first


class CommonDetails:
    """The details of every open record, each with the cases that have the detail; safe for threads.

    `never` are texts whose details join nothing.
    """

    def __init__(self, records: CaseRecords, phrases: PhraseTrie, *, never: Iterable[str]) -> None:
        self._records, self._phrases = records, phrases
        self._never = {one[:2] for text in never for one in same_details(clean_text(text), phrases)}
        self._lock, self._renewing = threading.Lock(), threading.Lock()
        self._stale: dict[str, None] = {}
        self._details: dict[str, tuple[SameDetail, ...]] = {}  # by case
        self._cases: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)  # by kind and form, ids
        records.watch(self)

    @property
    def complete(self) -> bool:
        """Whether the details of every case are known; after the start, and after a flood of tips, they are not."""
        return len(self._stale) <= _FEW

    def change(self, before: Case | None, after: Case | None) -> None:
        """Note that a case has come, has changed, or has gone."""
        if before and after and before.answers is after.answers:
            return
        with self._lock:
            if before:
                self._forget(before.id)
            if after and after.answers:
                self._stale[after.id] = None

    def renew(self, stop: threading.Event) -> None:
        """Find the details of all cases whose details are not known yet, until done or stopped."""
        while not stop.is_set() and self._renew_some(1):
            stop.wait(0.001)  # a handler's page goes first

    def catch_up(self) -> None:
        """Find the details of the cases that are new since the last look, unless a page would have to wait for long."""
        if self.complete:
            self._renew_some(_FEW)

    def of(self, case: Case) -> list[CommonDetail]:
        """Return what other tips have in common with a case, and with the answers in its thread."""
        self.catch_up()
        self._renew_some(0, first=case.id)
        ids = self._own_ids(case)
        with self._lock:
            details = {one[:2]: one for case_id in ids for one in self._details.get(case_id, ())}
            found = {key: self._others(key, ids, _MAX_FOUND) for key in details}
        common = []
        for key, others in found.items():
            cases = {tip.id: tip for tip in map(self._tip, others) if tip is not None and tip.id != case.id}
            if cases:
                newest = sorted(cases.values(), key=lambda tip: (tip.received, tip.id), reverse=True)[:MAX_LISTED]
                common.append(CommonDetail(key[0], details[key].shown, len(cases), tuple(newest)))
        return common

    def count(self, case: Case) -> int:
        """Return how many other tips have a detail in common with a case, at most `MAX_COUNTED`."""
        ids = self._own_ids(case)
        tips: set[str] = set()
        with self._lock:
            keys = {one[:2] for case_id in ids for one in self._details.get(case_id, ())}
            for key in keys:
                if len(self._cases[key]) > 1:
                    tips.update(tip.id for tip in map(self._tip, self._others(key, ids, MAX_COUNTED)) if tip)
                if len(tips - {case.id}) >= MAX_COUNTED:
                    break
        return min(len(tips - {case.id}), MAX_COUNTED)

    def _own_ids(self, case: Case) -> set[str]:
        return {str(case.id), *(message.id for message in case.thread if not message.who)}

    def _others(self, key: tuple[str, str], ids: set[str], most: int) -> list[str]:
        return list(islice((one for one in self._cases[key] if one not in ids), most))

    def _tip(self, case_id: str) -> Case | None:
        """Return the tip that has a row for a case: the tip itself, or the one whose thread has the answer."""
        case = self._records.find_one(case_id)
        if case is None or case.state is State.OBJECTIONABLE:
            return None
        thread = self._records.thread(case.answers_to) if case.answers_to is not None else None
        return thread if thread and any(message.id == case_id for message in thread.thread) else case

    def _renew_some(self, most: int, *, first: str = "") -> int:
        """Find the details of a few cases that are stale, and of `first` if it is; return how many these are."""
        with self._renewing:
            with self._lock:
                stale = ([first] if first in self._stale else []) + list(islice(self._stale, most))
            for case_id in stale:
                case = self._records.find_one(case_id)
                self._keep(case_id, case, self._find(case) if case else ())
        return len(stale)

    def _keep(self, case_id: str, case: Case | None, found: Iterable[SameDetail]) -> None:
        with self._lock:
            now = self._records.find_one(case_id)
            if now and case and now.answers is not case.answers:
                return  # locked away meanwhile
            self._forget(case_id)
            if now and case:
                self._details[case_id] = tuple(found)
                for one in found:
                    self._cases[one[:2]][case_id] = None

    def _find(self, case: Case) -> tuple[SameDetail, ...]:
        text = clean_text("\n".join(filter(None, map(case.text, SCHEMA.text_names)))[:_MAX_TEXT])
        found = (one for one in same_details(text, self._phrases) if one[:2] not in self._never)
        return tuple(islice(found, _MAX_DETAILS))

    def _forget(self, case_id: str) -> None:
        self._stale.pop(case_id, None)
        for one in self._details.pop(case_id, ()):
            del self._cases[one[:2]][case_id]
            if not self._cases[one[:2]]:
                del self._cases[one[:2]]
