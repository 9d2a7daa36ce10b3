"""What a terminal gets to see of strangers' words: nothing that it would obey."""

import json

from hypothesis import given
from hypothesis import strategies as st

from app.desk.terminal import escape_json, escape_line, escape_text
from tests.support.hostile import obeyed


@given(st.text(st.characters(), max_size=80))
def test_escaped_json_is_the_same_value_without_what_a_terminal_obeys(text):
    """Whatever a text holds, the escaped line reads back as the same text and holds nothing hidden."""
    line = escape_json(json.dumps({"what": text}, ensure_ascii=False))
    assert json.loads(line) == {"what": text}
    assert not obeyed(line)
    assert not obeyed(escape_text(text).replace("\t", ""))
    assert "\n" not in escape_line(text)


def test_what_people_write_stays_as_it_is():
    """Macrons, Hindi with its joiners, Chinese and emoji are not touched."""
    text = "Tāmaki, क्\u200dष, 香港, 😀"
    assert escape_json(text) == escape_text(text) == escape_line(text) == text
