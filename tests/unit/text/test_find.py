"""What is found in ten languages, what is removed, and that both take linear time."""

import re
import sys
import tomllib
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import unicode
from app.core.errors import ConfigError
from app.core.i18n import LANGUAGES
from app.core.unicode import clean_text
from app.text import find, patterns, phrases
from app.text.find import FINDING_REASONS, REMOVED_PLACEHOLDER, find_identifying, remove_spans
from app.text.phrases import load_phrases
from tests.support.paths import ROOT
from tests.support.visit import KNOWN

SENTENCES = ROOT / "tests" / "identity_sentences"


@pytest.fixture(scope="module")
def all_phrases():
    return load_phrases(ROOT / "content")


@pytest.fixture
def kinds(all_phrases):
    """Return what is found in a text as (kind, words), cleaned first as the form does."""

    def kinds_of(untrusted_text, *, about_suspects=False):
        text = clean_text(untrusted_text)
        found = find_identifying(text, phrases=all_phrases, about_suspects=about_suspects)
        return [(each.kind, text[each.start : each.end]) for each in found]

    return kinds_of


# -- what is found

FOUND = [
    ("call +64 21 555 0123", "phone", "+64 21 555 0123"),
    ("call 021-555-0123 now", "phone", "021-555-0123"),
    ("०२१ ५५५ ०१२३", "phone", "०२१ ५५५ ०१२३"),
    ("０２１５５５０１２３", "phone", "０２１５５５０１２３"),
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


SAID_IN_TEN_LANGUAGES = [
    ("en", "My name is Ana Bell and", "name", "My name is Ana Bell"),
    ("en", "I am the cook of the lodge.", "self", "I am the cook of the lodge"),
    ("en", "my\ncousin Pita", "relation", "my\ncousin Pita"),
    ("mi", "Ko Hēmi toku ingoa", "name", "Hēmi toku ingoa"),
    ("zh-Hans", "我叫李明在果园", "name", "我叫李明"),
    ("zh-Hans", "我老闆不给钱", "role", "我老闆"),
    ("ms", "sepupu saya Din ada", "relation", "sepupu saya Din"),
    ("vi", "em ho toi", "relation", "em ho toi"),
    ("sm", "O LOʻU IGOA O SINA", "name", "O LO'U IGOA O SINA"),
    ("to", "ko eku pule Sione", "role", "eku pule Sione"),
    ("fj", "na tavalequ", "relation", "na tavalequ"),
    ("hi", "मेरा नाम राम है", "name", "मेरा नाम राम"),
    ("hi", "हमारे पडोसी", "role", "हमारे पडोसी"),
    ("tl", "ako lang ang nakakaalam", "only", "ako lang ang nakakaalam"),
]


@pytest.mark.parametrize(("code", "untrusted_text", "kind", "words"), SAID_IN_TEN_LANGUAGES)
def test_phrases_are_found_with_and_without_accents(kinds, code, untrusted_text, kind, words):
    """A phrase in any language is found, with the name that belongs to it, accents or not."""
    assert code in LANGUAGES
    assert kinds(untrusted_text) == [(kind, words)]


def test_every_language_is_among_the_phrases_tried():
    """No language's phrases go untested."""
    assert {code for code, *_ in SAID_IN_TEN_LANGUAGES} == set(LANGUAGES)


@pytest.mark.parametrize(
    "untrusted_text",
    [
        "My name is on the list.",
        "I am. The rest ran.",
        "my mother tongue-tied"[:3] + "motherboard",
        "họ bỏ tôi lại",
        "我叫他停下",
        "amy cousins' shop",
        "",
    ],
)
def test_what_only_looks_like_a_phrase_is_not_found(kinds, untrusted_text):
    """Words that name nobody, that cross a full stop, or that have other accents are not found."""
    assert kinds(untrusted_text) == []


def test_two_findings_never_overlap(kinds, all_phrases):
    """Where findings meet, one is kept whole and the other cut or left out."""
    text = clean_text("I am the cousin of my boss Pita; my friend's e-mail is a@b.example and 021 555 0123.")
    found = find_identifying(text, phrases=all_phrases)
    assert [each.kind for each in found] == ["self", "role", "relation", "email", "phone"]
    assert all(one.end <= next_.start for one, next_ in pairwise(found))


def test_evidence_in_fields_about_suspects_is_not_a_finding(kinds):
    """About suspects a number is found only after words that make it the writer's; relations and tokens are found."""
    suspects = "Her boss, 021 555 0123, boss@b.example, @big_boss, LA123456, comes at 5:40 am."
    assert kinds(suspects, about_suspects=True) == []
    assert [kind for kind, _ in kinds(suspects)] == ["phone", "email", "handle", "time"]
    assert kinds("Text me on 021 555 0123", about_suspects=True) == [("phone", "021 555 0123")]
    assert kinds("It is my cousin", about_suspects=True) == [("relation", "my cousin")]
    assert [kind for kind, _ in kinds("https://a.example/?u=1", about_suspects=True)] == ["link"]


def test_every_kind_has_its_reason(all_phrases):
    """Every kind that can be found has a sentence that says why, and no sentence is left over."""
    in_phrases = {rule.kind for rules in all_phrases.rules.values() for rule in rules}
    shown = {kind for kind in in_phrases if kind in phrases.WARNED_SECTIONS} - {"named"}
    shapes = {kind for _, kind, _ in FOUND if kind}
    assert shown | shapes == set(FINDING_REASONS)


# -- the set of sentences


def _sentences(code):
    path = SENTENCES / f"{code}.toml"
    assert path.exists(), f"write {path.relative_to(ROOT)}: 40 sentences or more, as en.toml beside it has them"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return [(sentence, Counter(wanted)) for sentence, *wanted in table["warn"]] + [
        (sentence, Counter()) for sentence in table["quiet"]
    ]


@pytest.mark.parametrize("code", KNOWN)
def test_the_sentences_are_judged_as_a_person_would(kinds, code):
    """In each language nothing planted is missed, and at most one quiet sentence in fifty is warned about."""
    sentences = _sentences(code)
    found = [(sentence, wanted, Counter(kind for kind, _ in kinds(sentence))) for sentence, wanted in sentences]
    missed = {sentence: (wanted - got) for sentence, wanted, got in found if wanted - got}
    false = {sentence: (got - wanted) for sentence, wanted, got in found if got - wanted}
    planted = sum(wanted.total() for _, wanted in sentences)
    print(f"{code}: {len(sentences)} sentences, {planted} planted, {len(missed)} missed, {len(false)} false")
    assert len(sentences) >= 40
    assert planted >= 40
    assert missed == {}
    assert len(false) <= len(sentences) * 0.02, false


# -- taking out


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(-5, 40), st.integers(-5, 40)), max_size=6))
def test_nothing_of_a_removed_span_is_left(text, spans):
    """What remains is exactly the characters outside the spans, with a sign where each was."""
    gone = {place for start, end in spans for place in range(max(start, 0), min(end, len(text)))}
    expected = []
    for place, character in enumerate(text):
        if place not in gone:
            expected.append(character)
        elif place - 1 not in gone:
            expected.append(REMOVED_PLACEHOLDER)
    assert remove_spans(text, spans) == "".join(expected)


# -- linear time

HOSTILE = [
    *("1", "1 ", "01 ", "+6421", "0211234567 ", "(0", "-1", "1:", "1.234,", "6 pm ", "ird 123 ", "bank 12-"),
    *("a.", "a@", "@", "a/", "a'", "http://", "www.a1b2c3/", "whatsapp: ", "passport 1234567 "),
    *("my ", "ko ", "only i ", "my name is A B ", "tôi ", "我", "我叫", "मेरा "),
    *("क\u094d\u200d", "👩\u200d", "a\u0301", "\u200d"),
]


def _steps(work):
    """Count the lines of Python that some work runs, in every module."""
    count = 0

    def tracer(_frame, event, _argument):
        nonlocal count
        count += event == "line"
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("unit", HOSTILE)
def test_four_times_the_text_takes_at_most_four_times_the_steps(all_phrases, unit):
    """Cleaning and finding take a number of steps that grows no faster than the text."""

    def steps(length):
        untrusted_text = (unit * length)[:length]
        return _steps(lambda: find_identifying(clean_text(untrusted_text), phrases=all_phrases))

    steps(100)  # what a first call imports or caches is not counted
    assert steps(2400) <= 4.4 * steps(600) + 500


PATTERNS = [
    pytest.param(value, id=f"{module.__name__}.{name}")
    for module in (find, patterns, phrases, unicode)
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


# -- the files


def _copy(tmp_path, code="en", text=None):
    for each in KNOWN:
        folder = tmp_path / each
        folder.mkdir()
        (folder / "identity.toml").write_bytes((ROOT / "content" / each / "identity.toml").read_bytes())
    if text is not None:
        (tmp_path / code / "identity.toml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_translator_can_add_a_phrase(tmp_path):
    """A phrase added to one file is found at once."""
    added = '[relation]\nbefore = ["me"]\nwords = ["auld cousin"]\n'
    made = load_phrases(_copy(tmp_path, text=added))
    assert [each.kind for each in find_identifying("with me auld cousin", phrases=made)] == ["relation"]


FAULTS = [
    ("[name", "cannot be read"),
    ('[name]\nphrases = ["my name is [A-Z]+"]', "words only"),
    ('[name]\nphrases = [""]', "words only"),
    ('[name]\nphrases = "my name is"', "not a list"),
    ('[name]\nphrase = ["my name is"]', "phrase is not a list"),
    ('[names]\nphrases = ["my name is"]', "not a section"),
    ('[relation]\nbefore = ["my"]', "none between"),
    ('[near]\nfax = ["fax"]', "fax"),
    ('[only]\nphrases = ["a b c d e f g h i j k l m"]', "1 to 12 words"),
]


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_a_faulty_file_is_reported_with_what_to_do(tmp_path, text, fault):
    """Every fault names the file and what to do."""
    with pytest.raises(ConfigError) as caught:
        load_phrases(_copy(tmp_path, text=text))
    assert all(each.startswith("en/identity.toml: ") for each in caught.value.faults)
    assert fault in str(caught.value)


def test_all_faults_are_reported_at_once(tmp_path):
    """A missing file and a bad one are both in the one error."""
    root = _copy(tmp_path, text='[name]\nphrases = ["(.*)"]\nother = []')
    (root / "fj" / "identity.toml").unlink()
    with pytest.raises(ConfigError) as caught:
        load_phrases(root)
    assert len(caught.value.faults) == 3
