"""Finds what phrases such as "my name is" and "I am the" say of the writer, with the words that belong to them.

The phrases are data (`content/<lang>/identity.toml`). Each phrase looks at a bounded number of words beside it, so the
time is linear in the text.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from app.text.own_names import introduced_name, named_alone
from app.text.phrases import WARNED_SECTIONS, Finding, MatchesByKind, PhraseMatch, PhraseTrie
from app.text.words import Word

_PHRASE_KINDS: Final = frozenset({*WARNED_SECTIONS, "named-alone", "self-opening"}) - {"signoff", "date"}
# How many words after a phrase may belong to the finding, unless a more certain finding has them.
_MAX_WORDS_AFTER: Final = {"name": 4, "self": 5, "relation": 3, "role": 3}

_MAX_WORDS_TO_PLACE: Final = 10
_SENTENCE_ENDS: Final = frozenset(".!?।。！？")


class Candidate(NamedTuple):
    """A finding, and the place (`core`) up to which it must be kept whole to mean anything."""

    finding: Finding
    core: int


def phrase_candidates(
    text: str, words: Sequence[Word], matches: MatchesByKind, trie: PhraseTrie, *, about_suspects: bool
) -> Iterator[Candidate]:
    """Yield what phrases such as "my name is" say, each with the words that belong to it."""
    for match in chain.from_iterable(matches.get(kind, ()) for kind in _PHRASE_KINDS):
        kind = _kind_there(words, match)
        if not kind or (about_suspects and kind == "time"):
            continue
        if kind in _NAME_SPANS:
            start, end = _NAME_SPANS[kind](words, match, trie)
            if end - start > match.last - match.first:
                yield Candidate(Finding(words[start].start, words[end].end, "name"), words[end].end)
            continue
        end = last_own_word(words, match.last, kind, trie.stop_words)
        # "My name is on the list" names nobody, nor does "I do not give my name."
        if kind != "name" or end > match.last or _goes_on(text, words, end):
            yield Candidate(Finding(words[match.first].start, words[end].end, kind), words[match.last].end)


def _kind_there(words: Sequence[Word], match: PhraseMatch) -> str:
    """Return the kind of a match; "self" for one that opens a clause, and nothing for one that should and does not."""
    if match.rule.kind != "self-opening":
        return match.rule.kind
    return "self" if match.first == 0 or not words[match.first].joined else ""


def _named(words: Sequence[Word], match: PhraseMatch, trie: PhraseTrie) -> tuple[int, int]:
    return _first_word(words, match.first, match.rule.opener, trie.stop_words), match.last


def _introduced(words: Sequence[Word], match: PhraseMatch, trie: PhraseTrie) -> tuple[int, int]:
    return match.first, introduced_name(words, match.last, trie)


def _named_alone(words: Sequence[Word], match: PhraseMatch, trie: PhraseTrie) -> tuple[int, int]:
    return named_alone(words, match.first, match.last, trie), match.last


_NAME_SPANS: Final = {"named": _named, "intro": _introduced, "named-alone": _named_alone}


def _goes_on(text: str, words: Sequence[Word], last: int) -> bool:
    """Return whether a name may follow, apart, in the same sentence: "My name ... Ana"."""
    if last + 1 == len(words) or words[last + 1].joined:
        return False
    return text[words[last].end : words[last + 1].start].strip() not in _SENTENCE_ENDS


def last_own_word(words: Sequence[Word], last: int, kind: str, stop_words: frozenset[str]) -> int:
    """Return the index of the last word that belongs to a phrase: of a name, or of a role after "I am the"."""
    end = last
    for place in range(last + 1, min(last + 1 + _MAX_WORDS_AFTER.get(kind, 0), len(words))):
        word = words[place]
        is_stop_word = word.forms[-1] in stop_words and not word.capital
        if is_stop_word or not word.joined or not _continues_phrase(word, kind, place - last):
            break
        end = place
    return _last_own_place(words, last, end) if kind == "self" else end


def _last_own_place(words: Sequence[Word], last: int, end: int) -> int:
    """Return the last capitalised word near a description: the place in "I work as a cook at the Golden Wok"."""
    for place in range(last + 1, min(last + 1 + _MAX_WORDS_TO_PLACE, len(words))):
        if not words[place].joined:
            break
        end = max(end, place) if words[place].capital else end
    return end


def _continues_phrase(word: Word, kind: str, nth: int) -> bool:
    if word.capital or kind == "self":
        return True
    if kind != "name":
        return False
    # Chinese names have up to three characters, Hindi names two words; elsewhere one lower-case word may be a name.
    return nth <= 3 if word.han else nth == 1 or (nth == 2 and word.forms[0] >= "\u0900")  # noqa: PLR2004


def _first_word(words: Sequence[Word], first: int, opener: str, stop_words: frozenset[str]) -> int:
    """Return the index of the first name before a phrase such as "tōku ingoa"; `first` if there is none."""
    start = first
    while start > max(0, first - 4) and words[start].joined:
        before = words[start - 1]
        is_opener = opener in before.forms
        if is_opener or before.forms[0] in stop_words or not (before.capital or opener):
            break
        start -= 1
    return start if not opener or (start > 0 and opener in words[start - 1].forms) else first
