"""Closing a tip, and taking that back: a wrong key press neither ends a tip nor hides danger.

A tip is "referred and finished" only if the tip was referred. A tip whose sender says that someone is in danger now is
closed only by a handler who confirms that 111 was called or that nobody is in danger. Whatever was closed can be
undone: the tip is then as before, new or with the handler who worked on it, and keeps the outcome that was saved.
"""

from dataclasses import replace

from app.desk.arrival_notice import find_shown
from app.desk.case import Case
from app.desk.case_fields import Outcome
from app.desk.cases import Cases
from app.desk.errors import RefusedError
from app.desk.withdrawn import require_answered, require_not_promised

FINISHED = "finished"  # the reason of a tip that was referred
REPEAT = "repeat"  # the reason of a tip that says what another says


def close_case(
    cases: Cases,
    tip: str,
    who: str,
    reason: str,
    outcome: Outcome = Outcome.UNKNOWN,
    *,
    danger_over: bool = False,
    repeats: str = "",
) -> Case:
    """End the work on a tip, one's own or nobody's; `danger_over`: the handler confirms that nobody is left in danger.

    `repeats` is the id of the tip that a repeat says again; without one it is the tip that this one follows. Raises
    RefusedError: `not-referred`, `danger`, `request`, `repeats`, and the codes of `Case.ended`.
    """
    if reason != REPEAT:
        repeats = ""
    elif not repeats and find_shown(cases, cases.get(tip).follows):
        repeats = cases.get(tip).follows

    def close(now: Case) -> Case:
        ended = require_answered(now).ended(who, cases.today(), reason, outcome)
        if reason == FINISHED and not now.referrals:
            raise RefusedError("not-referred")
        if now.danger and not danger_over:
            raise RefusedError("danger")
        _require_original(cases, now, repeats)
        return replace(ended, repeats=repeats)

    return cases.change(tip, who, "closed", close, what=f"{reason} {repeats}".strip())


def _require_original(cases: Cases, case: Case, repeats: str) -> None:
    """Raise RefusedError `repeats` unless a case may be called a repeat of another."""
    original = find_shown(cases, repeats) if repeats else None
    if repeats and (original is None or case.id in (original.id, original.repeats)):
        raise RefusedError("repeats")


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
