"""What a translator at this desk reads and writes: the redacted words of tips that wait for a translation.

A translator gets what a translator elsewhere would get in an envelope: the words that a handler has left in, searched
for everything that was taken out, and no file. A tip that no handler has redacted shows nothing. Nor does a tip whose
sender asked the desk not to pass it on. A translation that somebody else has written is not shown either: nobody has
redacted it.
"""

from collections.abc import Mapping
from dataclasses import replace

from app.desk.case import Case
from app.desk.case_fields import REDACTABLE_STATES
from app.desk.cases import Cases
from app.desk.dispatch import ReferralContext, build_referral
from app.desk.errors import RefusedError
from app.desk.journal import JournalEntry
from app.desk.redaction import TRANSLATION
from app.desk.release import without_files
from app.desk.windows import require_mark, translation_mark
from app.desk.withdrawal_request import is_asked_back


def tips_to_translate(cases: Cases, who: str) -> list[Case]:
    """Return the tips that a translator may see, the oldest first."""
    return sorted((one for one in cases.all() if _waits_for(one, cases, who)), key=lambda one: (one.received, one.id))


def tip_to_translate(cases: Cases, untrusted_id: str, who: str) -> Case:
    """Return one of those tips, and journal that a translator opened it; raises RefusedError `gone` for any other."""
    case = _required(cases.get(untrusted_id), cases, who)
    cases.journal.write(JournalEntry(who, "opened-to-translate", case.id))
    return case


def text_to_translate(case: Case, context: ReferralContext) -> Mapping[str, str]:
    """Return the redacted words of a tip, by field; raises RefusedError, as sending them to a translator would."""
    bare = without_files(case)
    referral = build_referral(bare, context.redaction(bare), "-", context, purpose="translation")
    return {name: text for name, text in referral.fields.items() if name != TRANSLATION}


def save_translation(
    cases: Cases, untrusted_id: str, who: str, text: str, *, finished: bool, untrusted_mark: str
) -> Case:
    """Keep a translation, which the handler redacts with the tip; a finished one ends that the tip waits for one.

    Raises RefusedError `no-words`, `saved-meanwhile` where another window saved a translation, and `gone` where the tip
    waits for no translation by `who` any more.
    """
    if not text:
        raise RefusedError("no-words")

    def translate(now: Case) -> Case:
        waiting = _required(now, cases, who)
        require_mark(untrusted_mark, translation_mark(waiting))
        return replace(waiting, translation=text, translated_by=who, translator=not finished)

    return cases.change(_required(cases.get(untrusted_id), cases, who).id, who, "translated", translate)


def _required(case: Case, cases: Cases, who: str) -> Case:
    """Return a tip that waits for a translation by `who`; any other tip is as one that is not here."""
    if not _waits_for(case, cases, who):
        raise RefusedError("gone")
    return case


def _waits_for(case: Case, cases: Cases, who: str) -> bool:
    waits = case.translator and case.draft.looked and case.state in REDACTABLE_STATES and not case.leaving
    is_own = not case.translation or case.translated_by == who
    return waits and is_own and not is_asked_back(case, cases)
