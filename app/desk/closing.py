"""Closing a tip, and taking that back: a wrong key press neither ends a tip nor hides danger.

A tip is "referred and finished" only if the tip was referred. A tip whose sender says that someone is in danger now is
closed only by a handler who confirms that 111 was called or that nobody is in danger. Whatever was closed can be
undone: the tip is then as before, new or with the handler who worked on it, and keeps the outcome that was saved.
"""

from app.desk.case import Case
from app.desk.case_fields import Outcome
from app.desk.cases import Cases
from app.desk.errors import RefusedError
from app.desk.withdrawn import require_answered, require_not_promised

FINISHED = "finished"  # the reason of a tip that was referred


def close_case(
    cases: Cases, tip: str, who: str, reason: str, outcome: Outcome = Outcome.UNKNOWN, *, danger_over: bool = False
) -> Case:
    """End the work on a tip, one's own or nobody's; `danger_over`: the handler confirms that nobody is left in danger.

    Raises RefusedError: `not-referred`, `danger`, `request`, and the codes of `Case.ended`.
    """

    def close(now: Case) -> Case:
        ended = require_answered(now).ended(who, cases.today(), reason, outcome)
        if reason == FINISHED and not now.referrals:
            raise RefusedError("not-referred")
        if now.danger and not danger_over:
            raise RefusedError("danger")
        return ended

    return cases.change(tip, who, "closed", close, what=reason)


def reopen_case(cases: Cases, tip: str, who: str) -> Case:
    """Work on a closed tip again, as its handler; raises RefusedError `state`, and `promised`."""
    return cases.change(tip, who, "reopened", lambda now: require_not_promised(now).reopened(who))


def undo_closing(cases: Cases, tip: str, who: str, *, was_held: bool) -> Case:
    """Open a tip again as if nobody had closed the tip; `was_held`: `who` worked on the tip before.

    Raises RefusedError `state` where the tip is no longer closed, and `promised`.
    """

    def undo(now: Case) -> Case:
        opened = require_not_promised(now).reopened(who)
        return opened if was_held else opened.released(who)

    return cases.change(tip, who, "undone", undo)
