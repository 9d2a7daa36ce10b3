"""How much the finder of own words finds in sentences of its users' kind.

A line of `tests/text/own_words/<code>.jsonl` is one sentence (`text`) with the words that show its writer (`who`, empty
for a harmless sentence). These sets were written by somebody who had not seen the lists. Nobody who corrects the lists
reads them, nor `<code>.second.jsonl` and `<code>.cold.jsonl`. The lists were made from `<code>.first.jsonl` and
`<code>.dev.jsonl`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from app.core.unicode import clean_text
from app.text.find import find_identifying
from app.text.phrases import Finding, PhraseTrie
from tests.support.paths import ROOT

FOLDER: Final = ROOT / "tests" / "text" / "own_words"
LANGUAGES: Final = tuple(sorted(path.stem for path in FOLDER.glob("*.jsonl") if "." not in path.stem))
MILD: Final = frozenset({"link", "email", "bank", "handle", "phone", "place", "time", "mark", "number", "person"})
"""Kinds whose warning asks whose the words are: evidence about a suspect gets the same warning."""


@dataclass(frozen=True)
class Measure:
    """Counts over one set: identifying sentences, those found, harmless sentences, those warned of and in any way."""

    identifying: int
    found: int
    harmless: int
    falsely_warned: int
    warned_at_all: int

    @property
    def recall(self) -> float:
        return self.found / self.identifying

    @property
    def false_warnings(self) -> float:
        return self.falsely_warned / self.harmless

    def __str__(self) -> str:
        return (
            f"found {self.found} of {self.identifying}; warned of {self.falsely_warned} of {self.harmless} harmless "
            f"sentences ({self.warned_at_all} with mild warnings)"
        )


def sentences(code: str, part: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each cleaned sentence of a set with the words that show its writer.

    `part` is "first", "dev", "second" or "cold", or empty for the measured set.
    """
    path = FOLDER / f"{code}.{part}.jsonl".replace("..", ".")
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        yield clean_text(entry["text"]), tuple(map(clean_text, entry["who"]))


def is_found(text: str, who: tuple[str, ...], findings: tuple[Finding, ...]) -> bool:
    """Return whether a finding meets one of the places of the words that show the writer."""
    spans = [(text.find(words), text.find(words) + len(words)) for words in who]
    return any(one.start < end and start < one.end for one in findings for start, end in spans)


def measure(code: str, phrases: PhraseTrie, part: str = "") -> Measure:
    """Return the counts over one set of a language."""
    identifying = found = harmless = false = at_all = 0
    for text, who in sentences(code, part):
        findings = find_identifying(text, phrases=phrases)
        if who:
            identifying += 1
            found += is_found(text, who, findings)
        else:
            harmless += 1
            false += any(one.kind not in MILD for one in findings)
            at_all += bool(findings)
    return Measure(identifying, found, harmless, false, at_all)
