"""The English pages use their own words: no run of eight words is copied from a source, and the words are plain.

The five source documents are not part of the program. `sources.shingles` holds the first five bytes of the SHA-256 of
every run of eight words in them, sorted; `python -m tests.docs.test_own_words FOLDER` makes the file again from the
documents' text. Quotations between curly quotation marks, quoted blocks, and the names below are no copying.
"""

import re
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import polib
import pytest

from tests.support.paths import ROOT

SHINGLES = Path(__file__).parent / "sources.shingles"
RUN, SIZE = 8, 5
PAGES = sorted((ROOT / "content" / "en").glob("*.*"))
WORD = re.compile(r"[a-z0-9]+(?:[’'][a-z]+)?")
QUOTED = re.compile(r"“[^”]*”|^>.*$", re.MULTILINE)
LINK = re.compile(r"\]\([^)]*\)|\{[^}]*\}")
# Titles of laws, agreements, plans and agencies, which have no other words.
NAMES = (
    "Health and Disability Services Eligibility Direction 2011",
    "Protocol to Prevent, Suppress and Punish Trafficking in Persons, Especially Women and Children",
    "Bali Process on People Smuggling, Trafficking and Related Transnational Crime",
    "[Bali Process] on People Smuggling, Trafficking and Related Transnational Crime",
    "Inter-agency Working Group on People Trafficking",
    "Inter-governmental Consultations on Migration, Asylum, and Refugees",
    "Immigration New Zealand’s commitment to combatting trafficking in persons",
    "Plan of Action against forced labour, people trafficking and slavery",
    "Plan of Action to Prevent People Trafficking",
    "[Office of the High Commissioner for Human Rights]",
    "Human Rights Act 1993",
    "Bill of Rights Act 1990",
    "section 98D of the Crimes Act 1961",
)
PLAIN_GRADE = 7.0
LONGEST = 22  # words
UNPLAIN = (
    "[Ee]-mail",
    "[Tt]elephone",
    "just now, ",
    "[Ww]hoever",
    r"\b[Ww]hom\b",
    r"\b[Mm]end\b",
    r"\banew\b",
    "^It ",
    "could say who",
)


def words_of(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def runs(words: list[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1))


def digest(run: tuple[str, ...]) -> bytes:
    return sha256(" ".join(run).encode()).digest()[:SIZE]


def passages(path: Path) -> Iterator[str]:
    """Yield the paragraphs, list items and table cells of a file, without quotations and names."""
    text = QUOTED.sub(" | ", LINK.sub("]", path.read_text(encoding="utf-8"))).replace("**", "").replace("*", "")
    for name in NAMES:
        pattern = re.escape(name).replace(r"\ ", r"\s+")
        text = re.sub(pattern, " | ", text, flags=re.IGNORECASE)
    yield from re.split(r"\n\s*\n|\n\s*(?:-|\d\.|[a-z_-]+ ?[:=])\s|\|", text)


def copied(path: Path, known: frozenset[bytes]) -> list[str]:
    found = (run for passage in passages(path) for run in runs(words_of(passage)))
    return sorted({" ".join(run) for run in found if digest(run) in known})


@pytest.fixture(scope="module")
def known():
    data = SHINGLES.read_bytes()
    found = frozenset(data[start : start + SIZE] for start in range(0, len(data), SIZE))
    assert len(found) > 10_000
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_run_of_eight_words_is_copied_from_a_source(path, known):
    """A page says what a source says in other words; a quotation is marked as one."""
    assert copied(path, known) == []


def test_a_copied_sentence_is_found(known, tmp_path):
    """A sentence of a source is found, and is no fault once it stands between quotation marks."""
    sentence = "a special work visa available for migrants who have been exploited by their employer"
    (tmp_path / "bare.md").write_text(f"There is {sentence}.\n", encoding="utf-8")
    (tmp_path / "quoted.md").write_text(f"There is “{sentence}”.\n", encoding="utf-8")
    assert len(copied(tmp_path / "bare.md", known)) == len(sentence.split()) - RUN + 1 + len("There is".split())
    assert copied(tmp_path / "quoted.md", known) == []


def syllables(word: str) -> int:
    stem = re.sub(r"(?:[^laeiouy]es|[^laeiouy]e|[^td]ed)$", "", word)
    return max(1, len(re.findall(r"[aeiouy]+", stem)))


def reading_grade(text: str) -> float:
    """Return the Flesch-Kincaid grade of a text, years of school; a reader of twelve years is in grade seven."""
    sentences = [words for part in re.split(r"[.!?]\s|\n\s*\n|\n\s*-|\|", text) if (words := words_of(part))]
    words = [word for sentence in sentences for word in sentence]
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


def test_the_pages_together_can_be_read_at_the_age_of_twelve():
    """The pages that a person in need reads have a Flesch-Kincaid grade of seven or less, names among the words."""
    needed = ("home", "help", "visa", "self-check", "signs", "what-is-trafficking", "anonymity", "sheet")
    for name in needed:
        text = (ROOT / "content" / "en" / f"{name}.md").read_text(encoding="utf-8")
        plain = LINK.sub("]", QUOTED.sub("", text))
        assert reading_grade(plain) <= PLAIN_GRADE, f"{name}: {reading_grade(plain):.1f}"


def sentences_of_the_program() -> list[str]:
    """Return every sentence that the form, its answers and the errors say, with a word for each value."""
    template = polib.pofile(str(ROOT / "translations" / "messages.pot"))
    messages = (re.sub(r"%\(\w+\)s", "name", entry.msgid) for entry in template)
    return [part for message in messages for part in re.split(r"(?<=[.!?])\s", message) if words_of(part)]


def test_the_sentences_of_the_form_can_be_read_at_the_age_of_twelve():
    """Together the form and its errors have a grade of seven or less, and no sentence has more than 22 words."""
    said = sentences_of_the_program()
    assert len(said) > 200
    assert reading_grade("\n\n".join(said)) <= PLAIN_GRADE
    assert [sentence for sentence in said if len(words_of(sentence)) > LONGEST] == []


@pytest.mark.parametrize("words", UNPLAIN)
def test_the_form_uses_the_words_of_today(words):
    """The form says email, phone, at the moment and anyone; no sentence begins with an "It" that stands for a thing."""
    assert [sentence for sentence in sentences_of_the_program() if re.search(words, sentence)] == []


if __name__ == "__main__":
    documents = [path.read_text(encoding="utf-8") for path in sorted(Path(sys.argv[1]).glob("*.txt"))]
    digests = {digest(run) for document in documents for run in runs(words_of(document))}
    SHINGLES.write_bytes(b"".join(sorted(digests)))
