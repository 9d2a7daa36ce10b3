"""Own words as a handler watches them: runs, places and words to check."""

from hypothesis import given
from hypothesis import strategies as st

from app.desk.leftovers import LeftoverGate
from app.desk.watched_words import MAX_LISTED, WatchedText
from app.text.phrases import Finding

WORDS = st.lists(st.sampled_from("Mele Fifita a river and the packhouse [removed] 漢 .".split()), max_size=40)


@given(WORDS, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=3), st.booleans())
def test_the_runs_of_a_text_are_the_text(words, pairs, allowed):
    """Cut into runs, a text is whole; each place that stops lies in runs that stop, whatever the finder found there."""
    text = " ".join(words)
    leftovers = LeftoverGate.of(
        ("Mele", "Fifita"), ("the packhouse and the river and a river and the packhouse",)
    ).find("what", text)
    findings = [Finding(*sorted(pair), "name") for pair in pairs if max(pair) <= len(text) and pair[0] != pair[1]]
    let_stand = [one.mark for one in leftovers] if allowed else []
    shown = WatchedText.of(text, leftovers, findings, let_stand)
    assert "".join(run.text for run in shown.runs) == text
    stops = "".join(run.text for run in shown.runs if run.stops)
    assert shown.stopping == (0 if allowed else len(leftovers))
    assert stops.count("Mele") == (0 if allowed else text.count("Mele"))


def test_a_long_list_loses_no_place_that_stands():
    """Of more places than the list shows, those that stop come first, and the marks of all that stand are kept."""
    text = " ".join(f"Mele{number} Mele," for number in range(70))
    leftovers = LeftoverGate.of(("Mele",), ()).find("what", text)
    assert len(leftovers) == 70
    shown = WatchedText.of(text, leftovers, (), [one.mark for one in leftovers[:60]])
    assert [place.stands for place in shown.listed_places] == [False] * 10 + [True] * (MAX_LISTED - 10)
    kept = {place.mark for place in shown.listed_places if place.stands} | set(shown.unlisted_marks)
    assert kept == {one.mark for one in leftovers[:60]}
