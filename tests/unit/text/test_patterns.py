"""What is found by its shape, and that no pattern can take more than linear time."""

import re

import pytest

from app.core import unicode
from app.text import find, hidden_marks, patterns, phrases, skeleton
from app.text.find import FINDING_REASONS

FOUND = [
    ("call +64 21 555 0123", "phone", "+64 21 555 0123"),
    ("call 021-555-0123 now", "phone", "021-555-0123"),
    ("०२१ ५५५ ०१२३", "phone", "०२१ ५५५ ०१२३"),
    ("０２１５５５０１２３", "phone", "0215550123"),
    ("rooms 5 6 7 8 9 10 11 and then 12 13 021 555 0123", "phone", "021 555 0123"),
    ("021 555 0123 and 09 555 0142", "phone", "09 555 0142"),
    ("021 555 0123 09 555 0142", "phone", "09 555 0142"),
    ("ph 23456", "phone", "23456"),
    ("Ana.B+x@mail.example.org.", "email", "Ana.B+x@mail.example.org"),
    ("ana [at] example [dot] org", "email", "ana [at] example [dot] org"),
    ("ana at example dot org", "email", "ana at example dot org"),
    ("see https://a.example/p?u=7).", "link", "https://a.example/p?u=7"),
    ("see https://a.example/d/1aB9xK27q", "link", "https://a.example/d/1aB9xK27q"),
    ("see https://me:secret@a.example/", "link", "https://me:secret@a.example/"),
    ("see a.example/x#t=83", "link", "a.example/x#t=83"),
    ("by @some_one", "handle", "@some_one"),
    ("t.me/someone_12", "handle", "t.me/someone_12"),
    ("WeChat ID: wxid_a1", "handle", "wxid_a1"),
    ("IG saya si_comel_nz", "handle", "si_comel_nz"),
    ("微信搜lan_0703就是我", "handle", "lan_0703"),
    ("my Instagram is private, li.jun88", "handle", "li.jun88"),
    ("lat -36.84846, lon", None, None),
    ("-36.84846 / 174.76333", "place", "-36.84846 / 174.76333"),
    ("41°17'11\"S 174°46'34\"E", "place", "41°17'11\"S"),
    ("plus code 4VCP+QP7", "place", "4VCP+QP7"),
    ("plus code 4VCPPQGP+QP", "place", "4VCPPQGP+QP"),
    ("2026-10-03T21:15:07+13:00", "time", "2026-10-03T21:15:07+13:00"),
    ("at 21:15 sharp", "time", "21:15 sharp"),
    ("at 9.15pm there", "time", "9.15pm"),
    ("from 0540 hrs on", "time", "0540 hrs"),
    ("IRD 49091850", "ird", "49091850"),
    ("the number 49091850", None, None),
    ("ZBN77VL", "nhi", "ZBN77VL"),
    ("ZVB97XQ", "nhi", "ZVB97XQ"),
    ("ABC12DS", "nhi", "ABC12DS"),
    ("ZZZ0016", "nhi", "ZZZ0016"),
    ("ZZZ0017", None, None),
    ("her NHI is ZZZ0017", "nhi", "ZZZ0017"),
    ("01-902-0068389-00", "bank", "01-902-0068389-00"),
    ("0109020068389000", "bank", "0109020068389000"),
    ("06-0123-0123456-00", "bank", "06-0123-0123456-00"),
    ("account no 1234567890123", "bank", "1234567890123"),
    ("passport LA123456", "passport", "LA123456"),
    ("plate LA123456", None, None),
    ("driver's licence AB123456", "licence", "AB123456"),
    ("0800 20 00 88 or 111", None, None),
    ("paid 12 500 in 2026-10-03, 03.10.2026", None, None),
]


@pytest.mark.parametrize(("untrusted_text", "kind", "words"), FOUND)
def test_each_shape_is_found_where_it_stands(kinds, untrusted_text, kind, words):
    """A number, address or time is found with exactly its own characters, or not at all."""
    found = kinds(untrusted_text)
    if kind is None:
        assert found == []
    else:
        assert (kind, words) in found


def test_every_kind_has_its_reason(all_phrases):
    """Every kind that can be found has a sentence that says why, and no sentence is left over."""
    in_phrases = {rule.kind for rules in all_phrases.rules.values() for rule in rules}
    shown = {kind for kind in in_phrases if kind in phrases.WARNED_SECTIONS} - {"named", "intro", "signoff", "date"}
    shapes = {kind for _, kind, _ in FOUND if kind}
    assert shown | shapes | {"mark", "number", "person"} == set(FINDING_REASONS)


PATTERNS = [
    pytest.param(value, id=f"{module.__name__}.{name}")
    for module in (find, hidden_marks, patterns, phrases, skeleton, unicode)
    for name, value in vars(module).items()
    if isinstance(value, re.Pattern)
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_pattern_can_go_back_without_bound(pattern):
    """Repeats are bounded, or possessive with nothing after them that could fail."""
    parser = re._parser
    _check_repeats(parser.parse(pattern.pattern, pattern.flags), can_fail_after=False)


def test_the_check_of_patterns_can_fail():
    """The check above has patterns to check, and finds a bad one."""
    assert len(PATTERNS) > 15
    for bad in ("a+", "(?:a*)b", "a++b", "(?:a++b)*+"):
        with pytest.raises(AssertionError):
            _check_repeats(re._parser.parse(bad), can_fail_after=False)


def _check_repeats(sequence, *, can_fail_after):
    items = list(sequence)
    for place, (operator, argument) in enumerate(items):
        fails = can_fail_after or any(not _is_optional(item) for item in items[place + 1 :])
        name = str(operator)
        if name.endswith("_REPEAT"):
            _least, most, inner = argument
            if most == re._parser.MAXREPEAT:
                assert name == "POSSESSIVE_REPEAT", "unbounded and may go back"
                assert not fails, "unbounded, and what follows may fail"
            _check_repeats(inner, can_fail_after=fails)
        elif name == "BRANCH":
            for branch in argument[1]:
                _check_repeats(branch, can_fail_after=fails)
        elif name == "SUBPATTERN":
            _check_repeats(argument[3], can_fail_after=fails)
        elif name in {"ASSERT", "ASSERT_NOT"}:
            _check_repeats(argument[1], can_fail_after=True)


def _is_optional(item):
    operator, argument = item
    return str(operator).endswith("_REPEAT") and argument[0] == 0
