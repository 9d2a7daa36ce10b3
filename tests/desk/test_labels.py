"""What a handler reads for a code: words for every code of ours, and the code itself where there are none."""

import re

import pytest

from app.desk.case_fields import State
from app.desk.labels import (
    KIND_LABELS,
    STATE_LABELS,
    VIEW_LABELS,
    action_label,
    ago_label,
    answer_label,
    days_label,
    work_label,
)
from app.desk.queue import VIEWS
from app.vault.tip import SCHEMA
from tests.support.desk import receive, tip
from tests.support.paths import ROOT

_JOURNALED = re.compile(r'JournalEntry\([\w()]+, "([a-z-]+)"|\.change\(\s*[^,()]+, [^,]+, "([a-z-]+)"|did = (.+)')
_WORK = re.compile(r'(?:^            |work\[)"([a-z]+)"(?:\]|:) ')


def _codes_of_the_journal():
    found = set()
    for path in (ROOT / "app" / "desk").rglob("*.py"):
        for direct, changed, chosen in _JOURNALED.findall(path.read_text(encoding="utf-8")):
            found |= {direct, changed, *re.findall(r'"([a-z-]+)"', chosen)} - {""}
    return found


def test_every_action_in_the_journal_has_words():
    """A handler reads what was done in words; an action that is not ours stays as it is."""
    codes = _codes_of_the_journal()
    assert len(codes) >= 30
    assert [code for code in sorted(codes) if action_label(code) == code] == []
    assert action_label("of-another-version") == "of-another-version"


def test_every_background_work_has_words():
    """A warning in the queue names the work that failed in words."""
    service = (ROOT / "app" / "desk" / "service.py").read_text(encoding="utf-8").partition("def _start_background")[2]
    names = [name for line in service.splitlines() for name in _WORK.findall(line)]
    assert len(names) >= 7
    assert [name for name in names if work_label(name) == name] == []


def test_every_state_view_and_kind_has_words():
    """No state, tab or kind is shown as a code."""
    assert set(STATE_LABELS) == set(State)
    assert set(VIEW_LABELS) >= set(VIEWS)
    assert list(KIND_LABELS) == [kind.value for kind in SCHEMA.kinds]


@pytest.mark.parametrize(("value", "words"), [("yes", "yes"), ("unsure", "the sender is not sure"), ("<b>", "did not")])
def test_an_answer_is_shown_in_words(value, words):
    """A choice reads as a sentence would; a value that anybody made up counts as no answer."""
    assert words in answer_label(value)


def test_one_day_is_one_day():
    """A number of days is written as a person says it."""
    assert [days_label(count) for count in (0, 1, 2)] == ["0 days", "1 day", "2 days"]
    assert [ago_label(count) for count in (0, 1, 2)] == ["today", "1 day ago", "2 days ago"]


def test_dangers_at_the_place_stand_out(office, desk, browser):
    """A tip's page warns of dangers before anyone goes there, with those that the form asks and no other."""
    one, other = (
        office.drop(tip({"what": "Workers sleep there", **more}))
        for more in ({"hazards": ("dogs", "guards", "<b>")}, {"hazards": ("<b>",)})
    )
    receive(desk)
    page = browser.get(f"/tips/{one}").text
    warning = (
        "<strong>Before anyone goes to the place:</strong> the sender says what is there. Dogs, Cameras or guards."
    )
    assert warning in page
    assert "Dogs, Cameras or guards</dd>" in browser.get(f"/tips/{one}/print").text
    assert "Before anyone goes" not in browser.get(f"/tips/{other}").text


def test_the_pages_of_a_tip_show_kinds_in_words(office, desk, browser):
    """Queue, tip, print, redaction and preview name the kinds that the sender ticked, not their codes."""
    one = office.drop(tip({"what": "Workers sleep there", "kinds": ("sex-work", "movement")}))
    receive(desk)
    browser.post(f"/tips/{one}/claim")
    browser.post(f"/tips/{one}/redact", keep=["what"], summary="x", authority=["police"])
    for path in ("/", f"/tips/{one}", f"/tips/{one}/print", f"/tips/{one}/refer"):
        page = re.sub(r"<(option|script|style)\b.*?</\1>", "", browser.get(path).text, flags=re.DOTALL)
        assert KIND_LABELS["movement"] in page, path
        assert "sex-work" not in page, path
