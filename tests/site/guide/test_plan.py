"""The Plan of Action of 2009 as data: complete, filtered, counted and exported."""

import csv
import io
import json

import pytest

from app.site.guide.loader import load_library
from app.site.guide.plan import PILLARS, PlanFilter, count_actions, filter_actions, to_csv, to_json
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def whole():
    return load_library(ROOT / "content", ("en",)).plan


def test_it_has_28_actions_ten_goals_and_three_principles(whole):
    """All goals and actions of the plan are there."""
    assert (len(whole.actions), len(whole.goals), len(whole.principles)) == (28, 10, 3)
    assert [sum(action.pillar == pillar for action in whole.actions) for pillar in PILLARS] == [12, 10, 6]


def test_no_action_names_goal_7_or_principle_c(whole):
    """Exactly the two agencies that the page says no action names are not named."""
    assert {n for action in whole.actions for n in action.goals} == set(range(1, 11)) - {7}
    assert {p for action in whole.actions for p in action.principles} == {"a", "b"}


def test_every_agency_that_an_action_names_is_explained(whole):
    """Every abbreviation of an agency has a full name."""
    assert set(whole.agencies) <= set(whole.abbreviations)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (PlanFilter(), list(range(1, 29))),
        (PlanFilter(pillar="protection"), list(range(13, 23))),
        (PlanFilter(agency="ACC"), [18, 28]),
        (PlanFilter(timetable="medium"), [1, 4]),
        (PlanFilter(goal="10"), [24, 25, 26, 27]),
        (PlanFilter(goal="1"), [5, 6, 7, 8]),
        (PlanFilter(pillar="prosecution", agency="DoL", goal="6"), [28]),
        (PlanFilter(goal="7"), []),
        (PlanFilter(pillar="x"), []),
    ],
)
def test_a_filter_keeps_what_meets_every_part_of_it(whole, wanted, numbers):
    """An empty filter matches everything, and goal 1 does not match goal 10."""
    assert [action.number for action in filter_actions(whole, wanted)] == numbers


def test_the_overview_counts_each_action_under_each_of_its_times(whole):
    """The counts add up to the actions, and an action with two timetables counts twice."""
    counts = count_actions(whole)
    assert sum(counts["prevention"].values()) == 12 + 2
    assert sum(sum(row.values()) for row in counts.values()) == 28 + 2


def test_seven_rows_hold_the_other_words_of_the_overview_and_row_26_its_whole_agency(whole):
    """Where the plan words a row in two ways, the data have both; row 26 names funded interpreters."""
    assert [action.number for action in whole.actions if action.overview] == [11, 13, 14, 17, 20, 21, 22]
    assert {action.number: action.agency_note for action in whole.actions if action.agency_note} == {
        26: "MoJ – funded interpreters"
    }
    assert "orange" in whole.note
    assert "green" in whole.note
    assert "MoJ – funded interpreters" in to_csv(whole)


def test_csv_and_json_hold_the_same_rows(whole):
    """CSV and JSON hold every field of every action."""
    rows = list(csv.DictReader(io.StringIO(to_csv(whole), newline="")))
    data = json.loads(to_json(whole))
    assert data["year"] == 2009
    assert "colours" in data["note"]
    for row, entry, action in zip(rows, data["actions"], whole.actions, strict=True):
        assert row["action"] == entry["action"] == action.action
        assert row["measure"] == entry["measure"] == action.measure
        assert [int(n) for n in row["goals"].split("; ") if n] == entry["goals"] == list(action.goals)
        assert row["agencies"].split("; ") == entry["agencies"] == list(action.agencies)
