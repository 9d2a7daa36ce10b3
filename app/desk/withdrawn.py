"""Whether the sender of a case asked the desk not to pass the tip on, and whether a handler has answered that.

The requests stand in the thread of the case, or are the case itself where an answer has no thread here. Answered are
those whose ids the case names: a request that arrives later is open, whatever its day.
"""

from datetime import date

from app.desk.case import Case
from app.desk.case_fields import State
from app.desk.errors import RefusedError
from app.desk.thread import unposted_messages

WITHDRAWN = "withdrawn"  # the reason with which a tip is closed that the desk destroys because its sender asked it to


def was_asked_back(case: Case) -> bool:
    """Return whether the sender ever asked the desk not to pass the tip on."""
    return bool(_requests(case))


def open_requests(case: Case) -> list[str]:
    """Return the ids of the sender's requests that no handler has answered."""
    return [each for each in _requests(case) if each not in case.answered_requests]


def require_answered(case: Case) -> Case:
    """Return a case whose sender waits for no answer to a request; raises RefusedError `request`."""
    if open_requests(case):
        raise RefusedError("request")
    return case


def is_promised(case: Case) -> bool:
    """Return whether the desk destroys a tip because its sender asked it to."""
    return case.state is State.CLOSED and case.reason == WITHDRAWN and was_asked_back(case)


def is_told(case: Case) -> bool:
    """Return whether a tip can be destroyed that the desk has promised to destroy: the site has every reply."""
    return is_promised(case) and not unposted_messages(case.thread, date.min)


def require_not_promised(case: Case) -> Case:
    """Return a case that may be worked on again; raises RefusedError `promised`."""
    if is_promised(case):
        raise RefusedError("promised")
    return case


def _requests(case: Case) -> list[str]:
    own = [str(case.id)] if case.withdraw else []
    return own + [message.id for message in case.thread if message.withdraw and not message.who]
