"""Clauses in which writers describe themselves, which no list of phrases has."""

import pytest

from app.core.errors import ConfigError
from app.text.clauses import MAX_CLAUSE_WORDS
from app.text.find import find_identifying
from app.text.phrases import load_phrases
from tests.support.visit import KNOWN

DESCRIBED = [
    ("I used to be his bookkeeper.", "bookkeeper"),
    ("I know the owner because I was best man at his wedding.", "wedding"),
    ("We're tenants of the corner house.", "tenants of the corner house"),
    ("Em nhuộm tóc xanh.", "nhuộm tóc"),
    ("Work nights at the mill, please hurry.", "Work nights"),
    ("I've got the only red caravan at the campsite.", "red caravan"),
    ("我有白癜风，一眼就认得出来。", "白癜风"),
    ("मैं उनका हिसाब लिखता था।", "हिसाब"),
    ("Parole officer niya ako dati.", "officer"),
]
HARMLESS = [
    'He shouted "I am the boss here, I own this restaurant" at them.',
    "Na gonetagane mai Nepal.",
    "I hope the company gets fined.",
    "I walked past and heard someone crying.",
    "我路过听见有人哭。",
    "मुझे डर लग रहा है।",
    "Saya takut.",
    "Saya bekerja 16 jam sehari tanpa rehat.",
    "Saya tidak mahu beri nama saya. Tolong mereka.",
    "I rongo au i te tangi.",
    "He said that they work nights at the mill.",
    "The cook of the lodge has a red caravan at the campsite.",
]


@pytest.mark.parametrize(("text", "words"), DESCRIBED)
def test_a_description_of_the_writer_is_found(kinds, text, words):
    """What writers say of themselves is found, in words that no list of phrases has."""
    found = kinds(text)
    assert any(words in part for _, part in found), found


@pytest.mark.parametrize("text", HARMLESS)
def test_what_most_reports_say_is_not_found(kinds, text):
    """What writers saw, heard, fear or hope, and what they say of others, does not describe them."""
    assert kinds(text) == []


def test_an_account_with_a_low_line_is_found_without_a_network(kinds):
    """A low line within small letters makes an account; an email address with one stays an email address."""
    assert ("handle", "tariq_bakes") in kinds("I'm tariq_bakes there")
    assert [kind for kind, _ in kinds("mrs_ngata@school.example")] == ["email"]


def test_what_follows_a_full_clause_is_judged_by_itself(kinds):
    """A word that is harmless does not hide a description that stands far behind it."""
    text = "I hope " + "rain " * MAX_CLAUSE_WORDS + "my caravan stands at the campsite"
    assert any("campsite" in part for _, part in kinds(text))


def test_a_text_that_is_quoted_as_a_whole_is_the_writers(kinds):
    """Quotation marks around all of a text do not hide what the text says of its writer."""
    assert [kind for kind, _ in kinds('"I work as a cook at the Golden Wok"')] == ["self"]


def test_two_descriptions_that_meet_are_one(kinds):
    """A description that begins within another makes it longer, so that nothing between the two is left standing."""
    found = kinds("Naka-wheelchair kasi ako kaya lagi lang nasa bintana.")
    assert [kind for kind, words in found if "Naka" in words and "bintana" in words] == ["self"]


def test_a_month_or_a_name_after_a_description_does_not_hide_it(kinds):
    """A description stops before the next finding, and is found all the same."""
    found = kinds("Saya bekas pekerja dia yang berhenti bulan Mei.")
    assert [kind for kind, words in found if "bekas pekerja dia" in words] == ["self"]


def _copy(tmp_path, text):
    for each in KNOWN:
        (tmp_path / each).mkdir()
        (tmp_path / each / "identity.toml").write_text(text if each == "en" else "", encoding="utf-8")
    return tmp_path


def test_a_translator_can_add_a_frame(tmp_path):
    """A frame of one file is found at once, as far apart as it says, and not across a word of never."""
    added = '[frames]\nfirst = ["I"]\nnever = ["they"]\n[frames.boat]\nkind = "only"\napart = 2\nthen = ["boat"]\n'
    made = load_phrases(_copy(tmp_path, added))
    found = {text: [each.kind for each in find_identifying(text, phrases=made)] for text in (
        "I paint the boat", "I see they boat", "I paint that big red boat", "I paint. The boat",
    )}  # fmt: skip
    assert found == {
        "I paint the boat": ["only"],
        "I see they boat": [],
        "I paint that big red boat": [],
        "I paint. The boat": [],
    }


@pytest.mark.parametrize(
    "text",
    [
        'frames = ["I"]',
        '[frames.boat]\nthen = ["boat"]',
        '[frames.boat]\nfirst = ["I"]\nthen = ["boat"]\nbetween = ["a"]',
        '[frames.boat]\nfirst = ["I"]\nthen = ["boat"]\napart = 99',
        '[frames.boat]\nfirst = ["I"]\nthen = ["boat"]\nkind = "boat"',
        '[clause]\nus = ["we"]',
    ],
)
def test_a_faulty_frame_or_clause_is_reported(tmp_path, text):
    """A frame without both its lists, an unknown list and a wrong number are faults of the file."""
    with pytest.raises(ConfigError, match=r"en/identity\.toml: \[(frames|clause)"):
        load_phrases(_copy(tmp_path, text))
