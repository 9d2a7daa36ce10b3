"""Marks and boxes, as a page shows them and its form sends them back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.desk.errors import RefusedError
from app.desk.marks import cut_text, read_boxes, read_marks, write_boxes
from app.desk.redaction import suggest_removals
from tests.support.desk import known_names
from tests.support.phrases import phrases

WORDS = st.text("abcdeéĀēA B漢字Zz09 .-'\n", min_size=1, max_size=60)


@given(WORDS)
def test_pieces_joined_are_the_text(text):
    """Cutting a text into what can be marked loses nothing, and every piece's span is where it stands."""
    found = suggest_removals({"what": text}, phrases(), known_names())["what"]
    cut = cut_text(text, found, ())
    assert "".join(piece.text for piece in cut) == text
    assert all(text[piece.span[0] : piece.span[1]] == piece.text for piece in cut if piece.span)


def test_neighbouring_marks_are_one():
    """Two marked words with a blank between them leave one [removed], which does not tell that there were two."""
    marks = read_marks(["what:0-4", "what:5-11", "what:99-120", "nothing:0-3", "what:x-y"], {"what": "Mele Fifita ran"})
    assert marks == {"what": ((0, 11),)}


def test_boxes_that_are_no_boxes_are_refused():
    """Pages that are not there, sides out of order, words and floods are refused; what is read is written alike."""
    assert read_boxes(write_boxes({0: ((0.1, 0.2, 0.3, 0.4),)}), 1) == {0: ((0.1, 0.2, 0.3, 0.4),)}
    for bad in (
        "2 1 1 2 2",
        "0 1 1 2 2",
        "1 5 5 4 9",
        "1 a b c d",
        "1 1 1 2",
        "1 nan 1 2 3",
        "1 1 1 101 9",
        "1 1 1 2 2\n" * 300,
    ):
        with pytest.raises(RefusedError):
            read_boxes(bad, 1)
