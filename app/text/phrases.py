"""Words and phrases by which people name themselves, in all ten languages at once.

The phrases are data (`content/<lang>/identity.toml`), words and nothing else, so that a translator can
mend them. Every language is searched whatever the page's language is. Text is cut into words, each Chinese
character being one, and the words are walked down a tree of phrases: every start walks at most as deep as
the longest phrase, so that the time is linear in the text. A word typed without its accents matches the
phrase with them; a word typed with others does not.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from app.core import i18n
from app.core.errors import ConfigError

LONGEST = 12
"""Words in the longest phrase that a file may hold."""

SAID = ("name", "named", "self", "relation", "role", "only", "time")
"""Sections whose phrases are warned about; `never` holds the longer ones that are not."""

NEAR = frozenset("phone ird nhi bank passport licence app clock-before clock-after clock-between clock-part".split())
"""Lists of words that give a number or a name beside them its meaning."""

GLOTTALS = "'’‘ʻʼ`ʹ′"

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_LETTER = rf"(?:[^\W\d_{_HAN}]|[\u0300-\u036f\u0900-\u0963\u0970-\u097f\u200c\u200d])"
# Possessive, and nothing after it that could fail: read once from left to right.
WORD = re.compile(rf"\d++|[{_HAN}]|{_LETTER}++(?:[{GLOTTALS}]{_LETTER}++)*+")
_BETWEEN = re.compile(rf"[ \n\-/:：\"{GLOTTALS}]{{0,4}}")
_DROPPED = str.maketrans("", "", GLOTTALS + "\u200c\u200d")
_NO_MARKS = str.maketrans({chr(code): None for code in range(0x300, 0x370)} | {"đ": "d", "\u093c": None, "ँ": "ं"})


@dataclass(frozen=True)
class Finding:
    """Characters `start` to `end` of a text that may name its writer; `kind` is a key of `text.WHY`."""

    start: int
    end: int
    kind: str


class Mark(NamedTuple):
    """What a phrase says when it is met; `opener` is the word that must open what a closing phrase closes."""

    kind: str
    opener: str = ""


class Word(NamedTuple):
    """One word where it stands: how it may be spelled in the tree, and what is between it and the last."""

    start: int
    end: int
    forms: tuple[str, ...]
    joined: bool
    capital: bool
    han: bool


class Entry(NamedTuple):
    """A phrase from a file: what it says, its folded words, and whether it counts only with its accents."""

    mark: Mark
    words: tuple[str, ...]
    accented: bool


class Met(NamedTuple):
    """A phrase met in a text: which of the text's words it is made of, and what it says."""

    first: int
    last: int
    mark: Mark


@dataclass(frozen=True)
class Phrases:
    """Every language's phrases in one tree: `steps` from node and word to nodes, `ends` with their marks."""

    steps: Mapping[tuple[int, str], tuple[int, ...]]
    ends: Mapping[int, frozenset[Mark]]
    stops: frozenset[str]

    def met(self, words: Sequence[Word]) -> Iterator[Met]:
        """Every phrase in the words, the longest from each start; `never` covers the starts within it.

        Words that give a meaning to what is beside them (`own`, `near-…`) are met even within longer phrases.
        """
        after_never = 0
        for first in range(len(words)):
            ends = list(self._ends_from(words, first)) if first >= after_never else []
            for last, marks in ends:
                longest = last == ends[-1][0]
                if longest and any(mark.kind == "never" for mark in marks):
                    after_never = last + 1
                    break
                yield from (Met(first, last, mark) for mark in marks if longest or mark.kind not in SAID)

    def _ends_from(self, words: Sequence[Word], first: int) -> Iterator[tuple[int, frozenset[Mark]]]:
        nodes: tuple[int, ...] = (0,)
        for place in range(first, min(first + LONGEST, len(words))):
            word = words[place]
            if place > first and not word.joined:
                return
            nodes = tuple(child for node in nodes for form in word.forms for child in self.steps.get((node, form), ()))
            if marks := frozenset(mark for node in nodes for mark in self.ends.get(node, ())):
                yield place, marks
            if not nodes:
                return


def fold(word: str) -> str:
    """Spell a word as it is compared: small letters, composed (NFC), no glottal marks."""
    return unicodedata.normalize("NFC", word.casefold().translate(_DROPPED))


def bare(folded: str) -> str:
    """Spell a folded word as those do who leave accents out; in Hindi the nukta and the chandrabindu."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", folded).translate(_NO_MARKS))


def words_of(text: str) -> tuple[Word, ...]:
    """Cut a text into its words, in order; time is linear in its length."""
    found: list[Word] = []
    end = 0
    for match in WORD.finditer(text):
        between = text[end : min(match.start(), end + 5)]
        joined = bool(found) and _BETWEEN.fullmatch(between) is not None and between.count("\n") < 2  # noqa: PLR2004
        raw = match.group()
        folded = fold(raw)
        # "my cousin's house" holds "my cousin".
        short = (folded[:-1],) if len(raw) > 3 and raw[-1] in "sS" and raw[-2] in GLOTTALS else ()  # noqa: PLR2004
        han = len(raw) == 1 and unicodedata.category(raw) == "Lo" and raw > "\u3400"
        end = match.end()
        found.append(Word(match.start(), end, (folded, *short), joined, raw[0].isupper(), han))
    return tuple(found)


def load_phrases(root: Path) -> Phrases:
    """Read `<root>/<lang>/identity.toml` of every language; ConfigError tells every fault of every file.

    `root` is the folder `content`.
    """
    faults: list[str] = []
    entries: list[Entry] = []
    stops: set[str] = set()
    for code in i18n.known(root):
        file = _File(f"{code}/identity.toml", faults)
        table = file.read(root / code / "identity.toml")
        stops.update(fold(word) for word in file.strings(table, "stops"))
        entries.extend(file.entries(table))
    if faults:
        raise ConfigError(tuple(faults))
    stops |= {bare(word) for word in stops}
    return _tree(entries, frozenset(stops))


def _tree(entries: Sequence[Entry], stops: frozenset[str]) -> Phrases:
    """Every word is an edge under its own spelling and under its bare one, both to the same node."""
    steps: dict[tuple[int, str], tuple[int, ...]] = {}
    exact: dict[tuple[int, str], int] = {}
    ends: dict[int, frozenset[Mark]] = {}
    for mark, words, accented in entries:
        node = 0
        for word in words:
            parent, node = node, exact.setdefault((node, word), len(exact) + 1)
            for form in {word} if accented else {word, bare(word)}:
                known = steps.get((parent, form), ())
                steps[parent, form] = known if node in known else (*known, node)
        ends[node] = ends.get(node, frozenset()) | {mark}
    return Phrases(MappingProxyType(steps), MappingProxyType(ends), stops)


class _File:
    """One language's file while it is read; every fault is kept with the file's name and its mend."""

    def __init__(self, name: str, faults: list[str]) -> None:
        self._name = name
        self._faults = faults

    def _fault(self, what: str) -> None:
        self._faults.append(f"{self._name}: {what}")

    def read(self, path: Path) -> dict[str, object]:
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            self._fault(f"cannot be read ({type(error).__name__}); mend the file")
            return {}

    def strings(self, table: Mapping[str, object], key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self._fault(f'{key} is not a list of words; write {key} = ["…", "…"]')
        return ()

    def entries(self, table: Mapping[str, object]) -> Iterator[Entry]:
        for key, section in table.items():
            if key == "stops":
                continue
            if key not in (*SAID, "never", "own", "near") or not isinstance(section, dict):
                self._fault(f"[{key}] is not a section; take it out")
            elif key == "near":
                yield from self._near(section)
            else:
                yield from self._section(key, section)

    def _near(self, section: Mapping[str, object]) -> Iterator[Entry]:
        for kind in section:
            if kind not in NEAR:
                self._fault(f"[near] {kind} is not a list; take it out")
                continue
            for phrase in self.strings(section, kind):
                yield from self._entry(f"near-{kind}", phrase)

    def _section(self, kind: str, section: Mapping[str, object]) -> Iterator[Entry]:
        for key in section.keys() - {"phrases", "accented", "before", "words", "after"}:
            self._fault(f"[{kind}] {key} is not a list; take it out")
        before, words, after = (self.strings(section, key) for key in ("before", "words", "after"))
        if (before or after) and not words:
            self._fault(f"[{kind}] has words before or after but none between; write words")
        made = [f"{left} {word}" for left, word in product(before, words)]
        made += [f"{word} {right}" for word, right in product(words, after)]
        for phrase in (*self.strings(section, "phrases"), *made):
            yield from self._entry(kind, phrase)
        for phrase in self.strings(section, "accented"):
            yield from self._entry(kind, phrase, accented=True)

    def _entry(self, kind: str, phrase: str, *, accented: bool = False) -> Iterator[Entry]:
        opener, _, closing = phrase.rpartition("…") if kind == "named" else ("", "", phrase)
        words = tuple(fold(word) for word in WORD.findall(closing))
        if re.sub(rf"[ \-{GLOTTALS}]", "", WORD.sub("", closing)) or not 0 < len(words) <= LONGEST:
            self._fault(f"[{kind}] {phrase!r} is not 1 to {LONGEST} words; write words only")
        else:
            yield Entry(Mark(kind, fold(opener.strip())), words, accented)
