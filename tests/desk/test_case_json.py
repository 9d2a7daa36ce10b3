"""A case as the store keeps it."""

from hypothesis import given
from hypothesis import strategies as st

from app.desk.case import Case
from app.desk.case_fields import CaseNote, Outcome, RedactionDraft, SentReferral, State
from app.desk.case_json import decode_case, encode_case
from app.desk.thread import MessageKind, ThreadMessage
from tests.support.desk import reply_to

NAMES = st.text(min_size=1, max_size=12)


CASES = st.builds(
    Case,
    id=st.just("0" * 26),
    received=st.dates(),
    answers=st.dictionaries(NAMES, st.text() | st.lists(st.text(), max_size=3).map(tuple), max_size=4),
    tip_id=st.just("2" * 26),
    part_count=st.integers(0, 9),
    part_key=st.binary(max_size=32),
    reply=st.none() | st.just(reply_to()),
    state=st.sampled_from(State),
    holder=st.text(max_size=5),
    notes=st.lists(st.builds(CaseNote, st.dates(), st.text(), st.text()), max_size=2).map(tuple),
    replies=st.dictionaries(NAMES, st.text(), max_size=2),
    withdraw=st.booleans(),
    number=st.integers(0, 9),
    thread=st.lists(
        st.builds(
            ThreadMessage,
            st.dates(),
            st.text(),
            st.text(),
            kind=st.sampled_from(MessageKind),
            replies=st.dictionaries(NAMES, st.text(), max_size=2),
        ),
        max_size=2,
    ).map(tuple),
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
