"""The state of a case: which change is allowed, and to whom."""

from dataclasses import replace

import pytest

from app.desk.case import case_from_words
from app.desk.case_fields import Outcome, RedactionDraft, State
from app.desk.errors import RefusedError
from app.desk.thread import ThreadMessage
from app.vault.tip import new_tip_id
from tests.support.desk import DAY, tip, words_of

CHANGES = {
    "claim": lambda case, who: case.claimed(who),
    "release": lambda case, who: case.released(who),
    "redact": lambda case, who: case.with_draft(who, RedactionDraft()),
    "translate": lambda case, who: case.with_translation(who, "x", needs_translator=False),
    "hand-over": lambda case, who: case.handed_over(who, new_tip_id()),
    "prepare": lambda case, who: case.prepared(who),
    "send-back": lambda case, who: case.sent_back(who),
    "reply": lambda case, who: case.with_reply(who, ThreadMessage(DAY, who, "x")),
    "close": lambda case, who: case.ended(who, DAY, "test", Outcome.UNKNOWN),
    "reopen": lambda case, who: case.reopened(who),
}


REDACTING = {"redact", "hand-over", "prepare"}


HOLDING = {"release", "translate", "reply", "close"}


@pytest.mark.parametrize(
    ("state", "holder", "allowed"),
    [
        (State.NEW, "", {"claim", "close"}),
        (State.WORK, "Ana", HOLDING | REDACTING),
        (State.WORK, "Ben", set()),
        (State.WAITING, "Ana", HOLDING | {"send-back"}),
        (State.WAITING, "Ben", {"send-back"}),
        (State.REFERRED, "Ana", HOLDING | REDACTING),
        (State.REFERRED, "", {"claim", "close"}),
        (State.CLOSED, "", {"reopen"}),
        (State.OBJECTIONABLE, "", set()),
    ],
)
def test_each_state_allows_its_changes_and_no_others(state, holder, allowed):
    """What Ana may do to a tip depends on its state and on who works on it; everything else is refused."""
    case = replace(case_from_words(words_of(tip()), ()), state=state, holder=holder)
    passed = set()
    for name, change in CHANGES.items():
        try:
            change(case, "Ana")
        except RefusedError:
            continue
        passed.add(name)
    assert passed == allowed
