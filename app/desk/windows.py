"""Two windows of one tip: what was saved meanwhile in the other one is never overwritten unseen.

Each form carries a mark of the value that its page showed. A save whose mark is not the mark of the value that is saved
now is refused with `saved-meanwhile`, under the lock of every change; the page then shows both texts. A form without a
mark is not checked.
"""

import json
from dataclasses import asdict
from hashlib import sha256

from app.desk.case import Case
from app.desk.cases import Cases
from app.desk.errors import RefusedError

_MARK_CHARACTERS = 16


def translation_mark(case: Case) -> str:
    """Return the mark of the translation that is saved."""
    return _mark([case.translation, case.translator])


def draft_mark(case: Case) -> str:
    """Return the mark of the redaction that is saved."""
    return _mark(asdict(case.draft))


def thread_mark(case: Case) -> str:
    """Return the mark of what the desk has written to the sender."""
    return _mark([message.id for message in case.thread if message.who and message.kind == "message"])


def require_mark(untrusted_mark: str, mark: str) -> None:
    """Raise RefusedError `saved-meanwhile` unless a form was made for what is saved now."""
    if untrusted_mark not in ("", mark):
        raise RefusedError("saved-meanwhile")


def keep_translation(
    cases: Cases, tip: str, who: str, text: str, *, needs_translator: bool, untrusted_mark: str
) -> Case:
    """Keep a translation, or that the tip needs a translator, unless another window saved one; raises RefusedError."""

    def translate(now: Case) -> Case:
        now.require_holder(who)
        require_mark(untrusted_mark, translation_mark(now))
        return now.with_translation(who, text, needs_translator=needs_translator)

    return cases.change(tip, who, "translated" if text else "needs-translator", translate)


def _mark(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:_MARK_CHARACTERS]
