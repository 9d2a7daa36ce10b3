"""A case as the store keeps it."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.desk.case import (
    Case,
    CaseNote,
    Outcome,
    RedactionDraft,
    SentReferral,
    State,
    ThreadMessage,
    case_from_tip,
)
from app.desk.case_json import decode_case, encode_case
from tests.support.desk import DAY, reply_to, tip

NAMES = st.text(min_size=1, max_size=12)


CASES = st.builds(
    Case,
    id=st.just("0" * 26),
    received=st.dates(),
    answers=st.dictionaries(NAMES, st.text() | st.lists(st.text(), max_size=3).map(tuple), max_size=4),
    reply=st.none() | st.just(reply_to()),
    state=st.sampled_from(State),
    holder=st.text(max_size=5),
    notes=st.lists(st.builds(CaseNote, st.dates(), st.text(), st.text()), max_size=2).map(tuple),
    thread=st.lists(st.builds(ThreadMessage, st.dates(), st.text(), st.text()), max_size=2).map(tuple),
    referrals=st.lists(
        st.builds(SentReferral, st.just("1" * 26), NAMES, NAMES, st.dates(), NAMES, NAMES, NAMES, NAMES), max_size=2
    ).map(tuple),
    draft=st.builds(
        RedactionDraft,
        marks=st.dictionaries(NAMES, st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))).map(tuple), max_size=2),
        boxes=st.dictionaries(
            NAMES,
            st.dictionaries(st.integers(0, 9), st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=2).map(tuple)),
            max_size=2,
        ),
        terms=st.lists(st.text(), max_size=2).map(tuple),
    ),
    outcome=st.sampled_from(Outcome),
    closed=st.none() | st.dates(),
    sketch=st.lists(st.integers(), max_size=3).map(tuple),
)


@given(CASES)
def test_a_record_is_read_as_it_was_written(case):
    """Every record survives its way through JSON."""
    surrogates = repr(case).encode("utf-8", "surrogatepass")
    assert surrogates
    assert decode_case(encode_case(case)) == case


def test_a_record_of_an_earlier_version_queues_its_reply():
    """A record that kept what was to be posted is read: such a reply is one that the site does not have."""
    case = replace(case_from_tip(tip(reply=reply_to()), ()), thread=(ThreadMessage(DAY, "Ana", "One", id="1"),))
    for body, posted in (("{}", False), ("", True)):
        raw = json.loads(encode_case(case))
        del raw["thread"][0]["posted"]
        raw["thread"][0]["body"] = body
        assert decode_case(json.dumps(raw).encode()).thread[0].posted is posted
