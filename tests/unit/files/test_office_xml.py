"""Office XML that was made to be slow, or to grow, is read in linear time or refused."""

import pytest

from app.core.errors import FileRefusedError
from app.files.office_xml import read_document, read_sheet_rows
from tests.support.growth import MOST_GROWTH, growth


def _sheet(columns, cells):
    hidden = "".join(f'<col min="{first}" max="{last}" hidden="1"/>' for first, last in columns)
    row = "".join(f'<c r="{name}1"><v>{value}</v></c>' for name, value in cells)
    return f"<worksheet><cols>{hidden}</cols><row>{row}</row></worksheet>".encode()


def test_cells_of_hidden_columns_are_left_out():
    """A value in a column that any range hides is not in the text, and the rest is."""
    part = _sheet([(2, 2), (4, 16_384)], [("A", 1), ("B", 2), ("C", 3), ("D", 4), ("XFD", 5)])
    assert read_sheet_rows(part, ()) == (["1\t\t3"], True)


@pytest.mark.parametrize("columns", [[(3, 2)], [(20_000, 30_000)], [(1, 1)] * 16_385])
def test_ranges_of_columns_that_no_sheet_has_are_refused(columns):
    """A range that ends before it begins, one beyond the last column, and more ranges than columns are damage."""
    with pytest.raises(FileRefusedError):
        read_sheet_rows(_sheet(columns, []), ())


def test_many_hidden_ranges_and_many_cells_take_linear_time():
    """Each cell asks one question, however many ranges hide columns."""

    def read(text):
        read_sheet_rows(_sheet([(1, 1)] * len(text), [("A", 1)] * len(text)), ())

    assert growth(read, "x", 500) < MOST_GROWTH or growth(read, "x", 2000) < MOST_GROWTH


@pytest.mark.parametrize("unit", [" ", "\t", " \r", "\n", " \n", "\t "])
def test_blanks_between_words_are_read_once(unit):
    """A long row of blanks without a line's end is not read again from each of its blanks."""

    def read(text):
        read_document(b"<d><body><p>a%sb</p></body></d>" % text.encode())

    assert growth(read, unit, 1000) < MOST_GROWTH or growth(read, unit, 4000) < MOST_GROWTH
