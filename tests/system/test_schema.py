"""The questions of the report stand once: what is added to the schema alone is asked, shown, sealed and referred."""

import json
import subprocess
import sys

import pytest

from app.vault.bundle import BUNDLE_BYTES
from app.vault.tip import SCHEMA
from tests.support.one_more_field import FIELD, KIND, WORDS
from tests.support.paths import ROOT

COPIES = 2  # each answer stands in tip.json and in tip.txt
BYTES_A_CHARACTER = 4  # the most that UTF-8 takes
FOR_THE_REST = 8 * 1024  # ids, labels, choices, the notice at the head of tip.txt


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What each place shows of a tip with a further field and a further kind."""
    command = [sys.executable, "-m", "tests.support.one_more_field", tmp_path_factory.mktemp("schema")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("form", (FIELD.label, FIELD.hint, KIND.label)),
        ("check page", (FIELD.label, WORDS, KIND.label)),
        ("tip.txt", (f"{FIELD.heading}:\n  {WORDS}", f"What it is about:\n  {KIND.value}")),
        ("desk", (FIELD.heading, WORDS, KIND.label)),
        ("queue", (f'<option value="{KIND.value}" selected>{KIND.label}</option>',)),
        ("figures", (f">{KIND.label}</th>",)),
        ("referral", (WORDS, f'"kinds":["{KIND.value}"]', f'"{FIELD.name}":')),
    ],
)
def test_what_is_added_to_the_schema_alone_is_everywhere(shown, place, expected):
    """A field and a kind that only the schema names are found at each place that shows a tip."""
    assert [words for words in expected if words not in shown[place]] == []


def test_the_longest_answers_fit_one_bundle():
    """Two copies of every limit at four bytes a character, and 8 KiB, are no more than the bundle of a tip's words."""
    longest = sum(field.max_length for field in SCHEMA.fields)
    assert COPIES * BYTES_A_CHARACTER * longest + FOR_THE_REST <= BUNDLE_BYTES


def test_each_field_of_free_text_has_a_limit():
    """A field without choices says how many characters it takes, and one with choices takes no free text."""
    assert [field.name for field in SCHEMA.fields if (field.max_length > 0) == bool(field.choices)] == []
