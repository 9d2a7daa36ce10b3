"""What has come in since a page was shown: how many tips and answers, and whether someone is in danger.

A page only has to know how many had come in, and how many tips had been given to somebody, before. The order is in
memory alone, and ends with the program.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial

from app.desk.assignment import Assignments
from app.desk.case import Case
from app.desk.cases import Cases
from app.desk.errors import RefusedError


@dataclass(frozen=True)
class ArrivalNotice:
    """A sentence for the handler, "" where nothing came in; `seen` is the number to ask with next."""

    seen: int
    sentence: str = ""
    count: int = 0
    urgent: bool = False


def notice_arrivals(cases: Cases, since: int) -> ArrivalNotice:
    """Return what came in after the first `since` arrivals, locked and destroyed tips left out."""
    seen = len(cases.arrivals.ids)
    ids = cases.arrivals.ids[max(since, 0) : seen]
    arrived = [case for case in map(partial(find_shown, cases), ids) if case]
    asked = sum(one in cases.arrivals.question_ids for one in ids)
    answers = [case for case in arrived if case.answers_to is not None]
    tips = [case for case in arrived if case.answers_to is None]
    in_danger = sum(case.danger for case in arrived)
    asked_back = sum(case.withdraw for case in answers)
    sentences = [
        _counted(len(tips), "new tip came in.", "new tips came in."),
        _counted(len(answers) - asked_back, "sender wrote again.", "senders wrote again."),
        _counted(asked, "authority asks about a tip.", "authorities ask about tips."),
        _counted(asked_back, "sender asks not to pass a tip on.", "senders ask not to pass a tip on."),
        _counted(in_danger, "says that someone is in danger now.", "say that someone is in danger now."),
    ]
    return ArrivalNotice(seen, " ".join(filter(None, sentences)), len(arrived) + asked, bool(in_danger))


def notice_given(assignments: Assignments, cases: Cases, since: int, who: str) -> ArrivalNotice:
    """Return which tips colleagues gave to `who` after the first `since` that were given, and that `who` still has."""
    seen = len(assignments.given)
    given = [(find_shown(cases, tip), giver) for tip, to, giver in assignments.given[max(since, 0) : seen] if to == who]
    mine = {case.id: (case, giver) for case, giver in given if case and case.holder == who}
    counts = Counter(giver for _, giver in mine.values())
    in_danger = sum(case.danger for case, _ in mine.values())
    sentences = [f"{giver} gave you {'a tip' if count == 1 else f'{count} tips'}." for giver, count in counts.items()]
    sentences.append(_counted(in_danger, "says that someone is in danger now.", "say that someone is in danger now."))
    return ArrivalNotice(seen, " ".join(filter(None, sentences)), len(mine), bool(in_danger))


def find_shown(cases: Cases, tip: str) -> Case | None:
    """Return one case, or None where it is locked away or no longer here."""
    try:
        case = cases.get(tip)
        case.require_shown()
    except RefusedError:
        return None
    return case


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}" if count else ""
