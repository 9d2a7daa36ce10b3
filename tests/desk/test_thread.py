"""The thread with a sender is in the order of days and of the sender's own numbers."""

import itertools
from datetime import date, timedelta

from app.desk.thread import ThreadMessage, sorted_thread

DAY = date(2026, 11, 22)


def test_answers_stand_in_the_order_in_which_they_were_written():
    """In whatever order the envelopes of a day arrive, its answers stand by their numbers, and days by their order."""
    answers = [ThreadMessage(DAY, "", f"number {number}", number=number) for number in (1, 2, 3)]
    later = ThreadMessage(DAY + timedelta(1), "", "the next day", number=1)
    for arrived in itertools.permutations([*answers, later]):
        assert sorted_thread(arrived) == (*answers, later)


def test_messages_of_the_desk_keep_their_order():
    """Sorting a sender's answers moves nothing that the desk wrote on that day."""
    first, second = (ThreadMessage(DAY, "Ana", text) for text in ("first", "second"))
    late, early = (ThreadMessage(DAY, "", "answer", number=number) for number in (2, 1))
    assert sorted_thread([first, late, second, early]) == (first, early, second, late)
