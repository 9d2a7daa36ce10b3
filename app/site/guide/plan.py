"""The Government's Plan of Action of 2009 as data: read and checked, filtered, counted, written as CSV and JSON.

The rows keep the plan's own English words. Where the plan's overview words a row otherwise than its section, `overview`
has those words; `agency_note` has the whole of an agency's entry where it says more than a name. The plan marked new
work and business as usual by colours, which the source text lost: no field holds that difference.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app.core.errors import N_

PILLARS = {
    "prevention": N_("Prevention"),
    "protection": N_("Protection"),
    "prosecution": N_("Prosecution"),
}
TIMETABLES = {
    "short": N_("Short"),
    "medium": N_("Medium"),
    "ongoing": N_("Ongoing"),
    "when-a-case-arises": N_("When a case arises"),
}
ACTION_COUNT = 28


@dataclass(frozen=True)
class Goal:
    """One of the ten goals of the plan."""

    number: int
    pillar: str
    text: str


@dataclass(frozen=True)
class Action:
    """One of the 28 actions of the plan; the fields stand in the order of the CSV."""

    number: int
    pillar: str
    objective: str
    action: str
    goals: tuple[int, ...]
    principles: tuple[str, ...]
    agencies: tuple[str, ...]
    timetable: str
    timetable_class: tuple[str, ...]
    measure: str
    overview: str = ""
    agency_note: str = ""


@dataclass(frozen=True)
class Plan:
    """The whole plan: its goals, principles and actions."""

    title: str
    year: int
    objective: str
    note: str
    principles: Mapping[str, str]
    goals: tuple[Goal, ...]
    actions: tuple[Action, ...]
    abbreviations: Mapping[str, str]

    @property
    def agencies(self) -> tuple[str, ...]:
        """Return every agency that an action names, in alphabetical order."""
        return tuple(sorted({agency for action in self.actions for agency in action.agencies}, key=str.lower))


@dataclass(frozen=True)
class PlanFilter:
    """The actions that a reader asked for; an empty text matches everything."""

    pillar: str = ""
    agency: str = ""
    timetable: str = ""
    goal: str = ""

    def __bool__(self) -> bool:
        return any((self.pillar, self.agency, self.timetable, self.goal))


_TEXTS = ("pillar", "objective", "action", "timetable", "measure")
_OPTIONAL = frozenset({"overview", "agency_note"})
_TUPLES = ("goals", "principles", "agencies", "timetable_class")


def read_plan(table: Mapping[str, Any], fault: Callable[[str], None]) -> Plan:
    """Return the plan of `content/plan.toml`; `fault` receives every inconsistency."""
    goals = tuple(Goal(**row) for row in table.get("goal", []) if row.keys() == {"number", "pillar", "text"})
    principles, abbreviations = table.get("principles", {}), table.get("abbreviations", {})
    actions = []
    for row in table.get("action", []):
        missing = {"number", *_TEXTS, *_TUPLES} ^ (row.keys() - _OPTIONAL)
        if missing:
            fault(f"[[action]] {row.get('number', '?')}: {', '.join(sorted(missing))} missing or not known; correct it")
            continue
        fields: dict[str, Any] = {key: tuple(row[key]) if key in _TUPLES else row[key] for key in row}
        actions.append(Action(**fields))
    plan = Plan(
        title=str(table.get("title", "")),
        year=int(table.get("year", 0)),
        objective=str(table.get("objective", "")),
        note=str(table.get("note", "")),
        principles=dict(principles),
        goals=goals,
        actions=tuple(actions),
        abbreviations=dict(abbreviations),
    )
    for problem in _problems(plan):
        fault(problem)
    return plan


def _problems(plan: Plan) -> Iterator[str]:
    if [action.number for action in plan.actions] != list(range(1, ACTION_COUNT + 1)):
        yield f"the actions are not numbered 1 to {ACTION_COUNT}; write each once, in order"
    if [goal.number for goal in plan.goals] != list(range(1, 11)):
        yield "the goals are not numbered 1 to 10; write each once, in order"
    goals = {goal.number for goal in plan.goals}
    for action in plan.actions:
        known = (
            ("pillar", {action.pillar}, set(PILLARS)),
            ("goals", set(action.goals), goals),
            ("principles", set(action.principles), set(plan.principles)),
            ("agencies", set(action.agencies), set(plan.abbreviations)),
            ("timetable_class", set(action.timetable_class), set(TIMETABLES)),
        )
        for key, used, allowed in known:
            if used - allowed:
                yield f"[[action]] {action.number}: {key} names what the plan does not have; correct its spelling"
        if not action.agencies or not action.timetable_class:
            yield f"[[action]] {action.number}: an action has an agency and a timetable_class; write them"


def filter_actions(plan: Plan, wanted: PlanFilter) -> tuple[Action, ...]:
    """Return the actions that match every part of a filter; a value that the plan does not have matches none."""
    return tuple(
        action
        for action in plan.actions
        if wanted.pillar in ("", action.pillar)
        and (not wanted.agency or wanted.agency in action.agencies)
        and (not wanted.timetable or wanted.timetable in action.timetable_class)
        and (not wanted.goal or wanted.goal in map(str, action.goals))
    )


def count_actions(plan: Plan) -> dict[str, dict[str, int]]:
    """Return the number of actions by pillar and timetable class; an action of two classes counts in both."""
    return {
        pillar: {
            timetable: len(filter_actions(plan, PlanFilter(pillar=pillar, timetable=timetable)))
            for timetable in TIMETABLES
        }
        for pillar in PILLARS
    }


def to_csv(plan: Plan) -> str:
    """Return the actions as CSV with a header line (RFC 4180); semicolons separate several values in one field."""
    out = io.StringIO(newline="")
    rows = [asdict(action) for action in plan.actions]
    writer = csv.DictWriter(out, fieldnames=list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow({k: "; ".join(map(str, v)) if isinstance(v, tuple) else v for k, v in row.items()})
    return out.getvalue()


def to_json(plan: Plan) -> str:
    """Return the whole plan as JSON."""
    whole = {
        "title": plan.title,
        "year": plan.year,
        "note": plan.note,
        "objective": plan.objective,
        "principles": dict(plan.principles),
        "goals": [asdict(goal) for goal in plan.goals],
        "abbreviations": dict(plan.abbreviations),
        "actions": [asdict(action) for action in plan.actions],
    }
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
