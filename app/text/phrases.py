"""Loads and matches the phrases by which people name themselves, in all languages at once.

The phrases are data (`content/<lang>/identity.toml`), words and nothing else, so that a translator can change them.
Every language is searched, whatever the page's language is. A text is split into words, each Chinese character being
one, and matched against a trie of phrases. From each word the search goes at most as deep as the longest phrase, so
the time is linear in the text. In a phrase, # stands for a number. A word typed without its accents matches the phrase
with them; a word typed with other accents does not. Refuses files with anything but words, and reports every fault of
every file at once.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from app.core import i18n
from app.core.errors import ConfigError
from app.text.words import GLOTTAL_MARKS, WORD_PATTERN, Word, fold_word, without_accents

MAX_PHRASE_WORDS = 12
"""The most words in a phrase."""

MAX_APART = 6
"""How many words may stand between the two parts of a frame that does not say."""

WARNED_SECTIONS = ("name", "named", "intro", "signoff", "self", "relation", "role", "only", "time", "date")
"""Sections whose phrases are findings; the section `never` holds longer phrases that are not."""

WORD_LISTS = ("stops", "given", "numbers")
"""Lists at the top of a file: words that end a name, given names, and numbers in words."""

PLACED_LISTS = {"named": "alone", "self": "opening"}
"""Lists of a section whose phrases count at one place of a clause only: alone after a name, or opening the clause."""

CLAUSE_LISTS = ("me", "with", "harmless", "telling", "ends")
"""Lists of the section `clause` (`app/text/clauses.py`)."""

CUE_LISTS = frozenset(
    "phone ird nhi bank passport licence number street me app clock-before clock-after clock-between clock-part".split()
)
"""Lists of cue words, which give a number or a name beside them its meaning."""

MIN_PLAIN_NAME = 4
"""The fewest letters of a given name that is also found where its accents are not written."""

ANY_NUMBER = "#"
"""Stands in a phrase for a number; several words of one number count as one."""

_PHRASE_WORD = re.compile(f"{ANY_NUMBER}|{WORD_PATTERN.pattern}")
_BETWEEN_WORDS = re.compile(rf"[ \-{GLOTTAL_MARKS}]")


class Finding(NamedTuple):
    """Characters `start` to `end` of a text that may identify its writer; `kind` is a key of `find.FINDING_REASONS`."""

    start: int
    end: int
    kind: str


class PhraseRule(NamedTuple):
    """What a matched phrase means; in kind `named`, `opener` is the word that must stand before the name."""

    kind: str
    opener: str = ""


_NEVER = PhraseRule("never")


class Frame(NamedTuple):
    """The kind of what a frame finds, and the most words between its two parts (`app/text/clauses.py`)."""

    kind: str
    apart: int


class PhraseEntry(NamedTuple):
    """A phrase from a file: its rule, its folded words, and whether it matches only with its accents."""

    rule: PhraseRule
    words: tuple[str, ...]
    accented: bool


class PhraseMatch(NamedTuple):
    """A phrase found in a text: the indexes of its first and last word there, and its rule."""

    first: int
    last: int
    rule: PhraseRule


MatchesByKind = Mapping[str, Sequence[PhraseMatch]]
"""All phrases found in a text, by the kind of their rule, each kind in the order of the text."""


def cues_of(words: Sequence[Word], matches: MatchesByKind) -> dict[str, list[Finding]]:
    """Return the places of cue words, by the kind of number or name to which they give its meaning."""
    return {
        kind.removeprefix("near-"): [Finding(words[first].start, words[last].end, kind) for first, last, _ in found]
        for kind, found in matches.items()
        if kind == "own" or kind.startswith("near-")
    }


@dataclass(frozen=True)
class PhraseTrie:
    """Every language's phrases in one trie: `edges` lead from a node and a word to nodes, `rules` belong to nodes.

    A node from which no edge leads is not in `edges`.
    """

    edges: Mapping[int, Mapping[str, tuple[int, ...]]]
    rules: Mapping[int, frozenset[PhraseRule]]
    stop_words: frozenset[str]
    given_names: frozenset[str]
    number_words: frozenset[str]
    frames: Mapping[str, Frame]

    def matches(self, words: Sequence[Word]) -> MatchesByKind:
        """Return every phrase in the words: from each start the longest, and none that starts within a `never` phrase.

        Cue words (`own`, `near-…`) and the words of frames are found even within longer phrases.
        """
        matches: dict[str, list[PhraseMatch]] = {}
        after_never = 0
        forms = [(*word.forms, ANY_NUMBER) if self._is_number(word) else word.forms for word in words]
        for first in range(len(words)):
            found = self._rules_from(words, forms, first) if first >= after_never else []
            if found and _NEVER in found[-1][1]:
                after_never = found[-1][0] + 1
                found = [(found[-1][0], {_NEVER})]
            for last, rules in found:
                is_longest = last == found[-1][0]
                for rule in rules:
                    if is_longest or rule.kind not in WARNED_SECTIONS:
                        matches.setdefault(rule.kind, []).append(PhraseMatch(first, last, rule))
        return matches

    def _rules_from(
        self, words: Sequence[Word], forms: Sequence[tuple[str, ...]], first: int
    ) -> list[tuple[int, set[PhraseRule]]]:
        edges, rules = self.edges, self.rules
        tables = [edges[0]]  # the edges of the nodes that the words so far lead to
        found: list[tuple[int, set[PhraseRule]]] = []
        for place in range(first, min(first + MAX_PHRASE_WORDS, len(words))):
            if not tables or (place > first and not words[place].joined):
                break
            here: set[PhraseRule] = set()
            after: list[Mapping[str, tuple[int, ...]]] = []
            for table in tables:
                for form in forms[place]:
                    for node in table.get(form, ()):
                        here.update(rules.get(node, ()))
                        if node in edges:
                            after.append(edges[node])
            if here:
                found.append((place, here))
            tables = after
        return found

    def _is_number(self, word: Word) -> bool:
        return word.forms[0].isdigit() or word.forms[0] in self.number_words


def load_phrases(root: Path) -> PhraseTrie:
    """Return the phrases of `<root>/<lang>/identity.toml` of every language; `root` is the folder `content`.

    Raises ConfigError with every fault of every file.
    """
    faults: list[str] = []
    fold = cache(fold_word)  # for this call alone: most words stand in many phrases
    entries: list[PhraseEntry] = []
    frames: dict[str, Frame] = {}
    lists: dict[str, set[str]] = {key: set() for key in WORD_LISTS}
    for code in i18n.known_languages(root):
        if code not in i18n.LANGUAGES and not (root / code / "identity.toml").exists():
            continue  # a further language may have a part of the files
        file = _IdentityFile(f"{code}/identity.toml", faults, fold)
        table = file.read_table(root / code / "identity.toml")
        for key, words in lists.items():
            words.update(fold(word) for word in file.strings(table, key))
        entries.extend(file.entries(table, code))
        entries.extend(file.frame_entries(table, code, frames))
    if faults:
        raise ConfigError(tuple(faults))
    plain = {key: {without_accents(word) for word in words} for key, words in lists.items()}
    # Short names without their accents are words of other languages: "Mỹ" is no "my".
    plain["given"] = {word for word in plain["given"] if len(word) >= MIN_PLAIN_NAME}
    stops, names, numbers = (frozenset(words | plain[key]) for key, words in lists.items())
    edges, rules = _build_trie(entries)
    return PhraseTrie(MappingProxyType(edges), MappingProxyType(rules), stops, names, numbers, MappingProxyType(frames))


def _build_trie(
    entries: Sequence[PhraseEntry],
) -> tuple[dict[int, dict[str, tuple[int, ...]]], dict[int, frozenset[PhraseRule]]]:
    """Build the trie: each word is an edge under its own spelling and one without accents, both to the same node."""
    plain = cache(without_accents)  # for this call alone
    edges: dict[int, dict[str, tuple[int, ...]]] = {0: {}}
    node_of: dict[tuple[int, str, bool], int] = {}
    rules: dict[int, frozenset[PhraseRule]] = {}
    for rule, words, accented in entries:
        node = 0
        for word in words:
            parent, node = node, node_of.setdefault((node, word, accented), len(node_of) + 1)
            for form in {word} if accented else {word, plain(word)}:
                children = edges.setdefault(parent, {}).get(form, ())
                edges[parent][form] = children if node in children else (*children, node)
            if word == ANY_NUMBER:
                again = edges.setdefault(node, {})
                again[word] = tuple({*again.get(word, ()), node})
        rules[node] = rules.get(node, frozenset()) | {rule}
    return edges, rules


def _is_frame(frame: Mapping[str, object]) -> bool:
    """Return whether a frame has its two lists, and beside them only what a frame may have."""
    has_lists = isinstance(frame.get("first"), list) and isinstance(frame.get("then"), list)
    is_known = frame.keys() <= {"first", "then", "never", "kind", "apart"}
    return has_lists and is_known and frame.get("kind", "self") in WARNED_SECTIONS and _is_apart(frame.get("apart", 0))


def _is_apart(number: object) -> bool:
    return isinstance(number, int) and 0 <= number <= MAX_PHRASE_WORDS


class _IdentityFile:
    """Reads one language's file, and collects every fault with the file's name and what to do."""

    def __init__(self, name: str, faults: list[str], fold: Callable[[str], str]) -> None:
        self._name = name
        self._faults = faults
        self._fold = fold

    def _add_fault(self, what: str) -> None:
        self._faults.append(f"{self._name}: {what}")

    def read_table(self, path: Path) -> dict[str, object]:
        """Return the file's TOML table; empty, with a fault, if the file cannot be read."""
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            self._add_fault(f"cannot be read ({type(error).__name__}); correct the file")
            return {}

    def strings(self, table: Mapping[str, object], key: str) -> tuple[str, ...]:
        """Return the list of words under a key; empty if there is none, and with a fault if it is no list of words."""
        value = table.get(key, [])
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self._add_fault(f'{key} is not a list of words; write {key} = ["…", "…"]')
        return ()

    def entries(self, table: Mapping[str, object], code: str) -> Iterator[PhraseEntry]:
        """Yield the phrases of every section; a fault for each unknown section, list or phrase."""
        for key, section in table.items():
            if key in (*WORD_LISTS, "frames"):
                continue
            if key not in (*WARNED_SECTIONS, "never", "own", "near", "clause") or not isinstance(section, dict):
                self._add_fault(f"[{key}] is not a section; remove it")
            elif key == "near":
                yield from self._near(section)
            elif key == "clause":
                yield from self._clause(section, code)
            else:
                yield from self._section(key, section)

    def frame_entries(self, table: Mapping[str, object], code: str, frames: dict[str, Frame]) -> Iterator[PhraseEntry]:
        """Yield the words of the frames of a language, and put each frame into `frames`; a fault for each wrong one.

        The lists `first`, `then` and `never` of the table itself count in every frame without lists of its own.
        """
        section = table.get("frames", {})
        if not isinstance(section, dict):
            self._add_fault("[frames] is not a section; write [frames.name]")
            return
        shared = {key: section[key] for key in ("first", "then", "never") if key in section}
        for name, frame in section.items():
            if name in shared:
                continue
            if not isinstance(frame, dict) or not _is_frame(shared | frame):
                self._add_fault(f"[frames.{name}] is not a frame; write lists first and then, and a number apart")
                continue
            lists = shared | frame
            frames[f"{code} {name}"] = Frame(frame.get("kind", "self"), frame.get("apart", MAX_APART))
            for step in ("first", "never", "then"):
                for phrase in self.strings(lists, step):
                    yield from self._entry(f"frame-{step}", phrase, opener=f"{code} {name}")

    def _near(self, section: Mapping[str, object]) -> Iterator[PhraseEntry]:
        for kind in section:
            if kind not in CUE_LISTS:
                self._add_fault(f"[near] {kind} is not a list; remove it")
                continue
            for phrase in self.strings(section, kind):
                yield from self._entry(f"near-{kind}", phrase)

    def _clause(self, section: Mapping[str, object], code: str) -> Iterator[PhraseEntry]:
        for key in section:
            if key not in CLAUSE_LISTS:
                self._add_fault(f"[clause] {key} is not a list; remove it")
                continue
            for phrase in self.strings(section, key):
                yield from self._entry(f"clause-{key}", phrase, opener=code)

    def _section(self, kind: str, section: Mapping[str, object]) -> Iterator[PhraseEntry]:
        placed = PLACED_LISTS.get(kind, "")
        for key in section.keys() - {"phrases", "accented", "before", "words", "after", placed}:
            self._add_fault(f"[{kind}] {key} is not a list; remove it")
        for phrase in self.strings(section, placed):
            yield from self._entry(f"{kind}-{placed}", phrase)
        before, words, after = (self.strings(section, key) for key in ("before", "words", "after"))
        if (before or after) and not words:
            self._add_fault(f"[{kind}] has words before or after but none between; write words")
        made = [f"{left} {word}" for left, word in product(before, words)]
        made += [f"{word} {right}" for word, right in product(words, after)]
        for phrase in (*self.strings(section, "phrases"), *made):
            yield from self._entry(kind, phrase)
        for phrase in self.strings(section, "accented"):
            yield from self._entry(kind, phrase, accented=True)

    def _entry(self, kind: str, phrase: str, *, accented: bool = False, opener: str = "") -> Iterator[PhraseEntry]:
        before, _, closing = phrase.rpartition("…") if kind == "named" else (opener, "", phrase)
        words = tuple(self._fold(word) for word in _PHRASE_WORD.findall(closing))
        if _BETWEEN_WORDS.sub("", _PHRASE_WORD.sub("", closing)) or not 0 < len(words) <= MAX_PHRASE_WORDS:
            self._add_fault(f"[{kind}] {phrase!r} is not 1 to {MAX_PHRASE_WORDS} words; write words only")
        else:
            yield PhraseEntry(PhraseRule(kind, opener or self._fold(before.strip())), words, accented)
