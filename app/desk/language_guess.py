"""Guess in which of the site's languages a text is: by its script, then by the letters that stand beside each other.

The guess learns each language from the pages of the site in that language, so that a further language is known once it
has pages. It is a naive Bayes classifier over runs of one to four letters (Cavnar and Trenkle, 1994; Lui and Baldwin,
2012), which knows Samoan, Tongan and Fijian: no library does. docs/decisions.md has the measurement. A handler who
looks for a translator sees the guess, marked as one. The guess never leaves the desk.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from babel import Locale

from app.desk.case import Case
from app.desk.romanised_hindi import romanise_hindi
from app.vault.tip import SCHEMA

UNKNOWN_LANGUAGE = "unknown"

_SAMPLE = 1200  # characters of a text that are looked at
_LONGEST_RUN = 4  # letters
_UNSEEN = 0.5  # for how often a run counts that the pages of a language do not have
_MIN_LETTERS = 6
_MIN_KNOWN = 0.7  # of a text's runs, that the pages of the language must have
_MIN_LEAD = 3.0  # nats by which the best language must lead the second
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*'?|'[^\W\d_]+")
_APOSTROPHES = str.maketrans(dict.fromkeys("’ʻ‘`ʼ", "'"))  # as the phones of the Pacific write them
_MARKUP = re.compile(r"\]\([^)\n]*\)|https?:\S+|<[^>\n]*>|^---$.*?^---$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class _Script:
    """The languages of one script: the row of each run has the logarithm of its share in each language."""

    codes: tuple[str, ...]
    rows: Mapping[str, tuple[float, ...]]
    unseen: tuple[float, ...]


class LanguageGuess:
    """What tells the languages of some texts apart; made once, and then safe for threads."""

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        """Learn from texts, each with the code of its language; a language may have several, in several scripts."""
        counts: dict[str, dict[str, Counter[str]]] = {}
        for code, text in texts:
            words = _words(text)
            script = _main_script("".join(words))
            counts.setdefault(script, {}).setdefault(code, Counter()).update(_runs(words))
        self._scripts = {script: _learn(of_script) for script, of_script in counts.items()}
        self.choices = (*sorted({code for each in counts.values() for code in each}), UNKNOWN_LANGUAGE)

    def guess(self, text: str) -> str:
        """Return the code of a language, or "" where the text is too short or like none."""
        words = _words(text[:_SAMPLE])
        letters = "".join(words)
        script = self._scripts.get(_main_script(letters))
        runs = list(_runs(words))
        if script is None or not runs or (len(letters) < _MIN_LETTERS and len(script.codes) > 1):
            return ""
        rows = [script.rows.get(run, script.unseen) for run in runs]
        scores = [sum(column) for column in zip(*rows, strict=True)]
        best = max(range(len(scores)), key=scores.__getitem__)
        known = sum(row[best] > script.unseen[best] for row in rows) / len(rows)
        lead = scores[best] - max((score for place, score in enumerate(scores) if place != best), default=-math.inf)
        # Of one script's only language, a word that its pages do not have is no sign of another language.
        clear = len(scores) == 1 or (known >= _MIN_KNOWN and lead >= _MIN_LEAD)
        return script.codes[best] if clear else ""

    def guess_case(self, case: Case) -> str:
        """Return the code of the language in which the sender wrote a tip, or "": the same guess on every page."""
        return self.guess("\n".join(case.text(name) for name in SCHEMA.text_names))


def load_language_guess(content: Path) -> LanguageGuess:
    """Return the guess that has learned from the pages in the folders of `content`, one folder for each language.

    Each language is learned once more without its accents, as people type it, and Hindi in Latin letters too.
    """
    texts: list[tuple[str, str]] = []
    for folder in sorted(path for path in content.iterdir() if path.is_dir()):
        pages = sorted(folder.glob("*.md"))
        text = "\n".join(_MARKUP.sub(" ", page.read_text(encoding="utf-8")) for page in pages)
        accented = " ".join(word for word in _words(text) if _without_accents(word) != word)
        texts += [(folder.name, text), (folder.name, _without_accents(accented))]
        if folder.name == "hi":
            texts.append((folder.name, romanise_hindi(text)))
    return LanguageGuess((code, text) for code, text in texts if _words(text))


def language_name(code: str) -> str:
    """Return the English name of a language, for a handler to read."""
    names: Mapping[str, str] = Locale("en").languages
    return names.get(code.replace("-", "_"), "not known")


def _learn(counts: Mapping[str, Counter[str]]) -> _Script:
    codes = tuple(sorted(counts))
    every = Counter[str]()
    for code in codes:
        every.update(counts[code])
    # A run that stands once in all pages says little, and half of all runs are such.
    runs = [run for run, count in every.items() if count > 1]
    totals = [counts[code].total() + _UNSEEN * len(runs) for code in codes]
    shares: dict[tuple[int, int], float] = {}

    def share(place: int, count: int) -> float:
        key = place, count
        return shares.setdefault(key, math.log((count + _UNSEEN) / totals[place]))

    rows = {run: tuple(share(place, counts[code][run]) for place, code in enumerate(codes)) for run in runs}
    return _Script(codes, rows, tuple(share(place, 0) for place in range(len(codes))))


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold().translate(_APOSTROPHES))


def _runs(words: Iterable[str]) -> Iterable[str]:
    """Yield each run of letters of each word, the edges of a word as blanks."""
    for word in words:
        edged = f" {word} "
        for length in range(1, _LONGEST_RUN + 1):
            for start in range(len(edged) - length + 1):
                run = edged[start : start + length]
                if run != " ":
                    yield run


def _main_script(letters: str) -> str:
    """Return the script of a text, as the first word of its letters' Unicode names says it, such as LATIN or CJK.

    Names of places here have Latin letters in every text, so that another script counts from a sixth of the letters.
    """
    names = (unicodedata.name(letter, "") for letter in letters[:_SAMPLE] if letter.isalpha())
    scripts = Counter(name.partition(" ")[0] for name in names)
    latin = scripts.pop("LATIN", 0)
    other, count = scripts.most_common(1)[0] if scripts else ("", 0)
    return other if count * 5 >= latin else "LATIN"


def _without_accents(text: str) -> str:
    plain = "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))
    return plain.replace("đ", "d").replace("Đ", "D")
