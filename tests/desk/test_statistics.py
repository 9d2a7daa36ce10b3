"""Counts that may be published."""

from dataclasses import replace
from datetime import date

from app.desk.case import case_from_words
from app.desk.case_fields import OUTCOMES, Outcome
from app.desk.labels import KIND_LABELS
from app.desk.statistics import statistics_row, statistics_tables, tables_to_csv
from tests.support.desk import tip, words_of


def _cases(count, **answers):
    return [case_from_words(words_of(tip({"what": "x", **answers})), ()) for _ in range(count)]


def test_an_invented_kind_stands_in_no_figure():
    """Neither a tip that anybody sealed nor a row that was kept of one puts a word of its own into the figures."""
    invented = ("work", "=cmd|' /C calc'!A0", "<script>")
    cases = _cases(9, kinds=invented)
    gone = [statistics_row(case) | {"id": str(at), "kinds": list(invented)} for at, case in enumerate(_cases(9))]
    tables = {table.title: dict(table.rows) for table in statistics_tables(cases, gone, {})}
    assert tables["What they are about"] == {KIND_LABELS["work"]: "18"}


def test_small_counts_are_hidden_and_cannot_be_worked_out():
    """Under five is hidden; where one hidden count could be worked out from the others, a second is hidden too."""
    cases = [*_cases(9, kinds=("work",)), *_cases(4, kinds=("organs",), danger="yes")]
    cases = [replace(case, outcome=Outcome.INVESTIGATED) if place < 6 else case for place, case in enumerate(cases)]
    months = [replace(case, received=date(2026, 1 + place % 2, 1)) for place, case in enumerate(cases)]
    tables = {table.title: dict(table.rows) for table in statistics_tables(months, [], {})}
    assert tables["What they are about"] == {KIND_LABELS["work"]: "9", KIND_LABELS["organs"]: "hidden"}
    assert tables["Urgent"] == {"Someone in danger": "hidden"}
    assert tables["Outcomes"] == {OUTCOMES[Outcome.INVESTIGATED]: "6", "Not known yet": "7", "Total": "13"}
    few = [replace(case, outcome=Outcome.VICTIM_SAFE) if place == 0 else case for place, case in enumerate(cases)]
    outcomes = {table.title: dict(table.rows) for table in statistics_tables(few, [], {})}["Outcomes"]
    assert outcomes == {
        OUTCOMES[Outcome.VICTIM_SAFE]: "hidden",
        OUTCOMES[Outcome.INVESTIGATED]: "hidden",
        "Not known yet": "7",
    }
    assert KIND_LABELS["work"] in tables_to_csv(statistics_tables(months, [], {}))
