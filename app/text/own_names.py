"""Finds names: what follows "I am", what stands under a letter, given names of a list, and capital letters.

Introductions, closing words and given names are data (`content/<lang>/identity.toml`). A name is judged by its capital
letter, by the list, and by what ends it: "I am Not Going" names nobody. Each word is looked at a bounded number of
times, so the time is linear in the text.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from app.text.phrases import Finding, PhraseTrie
from app.text.words import Word

MAX_NAME_WORDS: Final = 4
"""The most words, or Chinese characters, of a name."""

MIN_LETTERS: Final = 2
"""The fewest letters of a word that is taken for a name for its capital letter."""

_END: Final = re.compile(r"[.!?।。！？\n–—~]|\s-")
_AROUND: Final = 4  # characters between two words that are looked at
_KISSES: Final = frozenset({"x", "xx", "xxx", "xo", "xoxo"})
_MAX_LAST_WORDS: Final = 3
_MAX_SIGNED_WORDS: Final = 9
_MAX_TITLE: Final = 4  # letters
_OPEN_ENDS: Final = frozenset("aeiou")  # no shortened title ends with a vowel
_DASHES: Final = frozenset("-–—~")


def introduced_name(words: Sequence[Word], last: int, trie: PhraseTrie) -> int:
    """Return the index of the last word of the name after an introduction such as "I am"; `last` if there is none."""
    end = last
    while end + 1 < len(words) and words[end + 1].joined and end - last < MAX_NAME_WORDS:
        if not _may_be_name(words[end + 1], trie, inside=end > last):
            break
        end += 1
    if end == last:
        return last
    first = words[last + 1]
    is_listed = bool(trie.given_names.intersection(first.forms))
    is_short = end - last < MAX_NAME_WORDS
    ends = end + 1 == len(words) or not words[end + 1].joined
    return end if is_listed or (first.capital and ends and is_short) else last


def _may_be_name(word: Word, trie: PhraseTrie, *, inside: bool) -> bool:
    if not trie.stop_words.isdisjoint(word.forms) and not (inside and word.capital):
        return False
    return word.capital or (inside and word.han) or not trie.given_names.isdisjoint(word.forms)


def closing_names(
    text: str, words: Sequence[Word], signoffs: Sequence[tuple[int, int]], trie: PhraseTrie
) -> list[Finding]:
    """Return the name under the text: after closing words (`signoffs`, first and last word of each), or alone."""
    stop = len(words)
    while stop and not trie.given_names.intersection(words[stop - 1].forms) and words[stop - 1].forms[0] in _KISSES:
        stop -= 1
    ends = {last for _, last in signoffs}
    signoffs = [each for each in signoffs if _begins(text, words, each[0], ends)]
    closing = {place for start, last in signoffs for place in range(start, last + 1)}
    after = max((last + 1 for _, last in signoffs if last + 1 < stop), default=0)
    if after and closing.isdisjoint(range(after, stop)):
        end = _signed_to(text, words, after, stop, trie)
        if end > after:
            return [Finding(words[after].start, words[end - 1].end, "name")]
    if stop > 1 and _is_dashed_name(text, words, stop - 1, trie):
        return [Finding(words[stop - 1].start, words[stop - 1].end, "name")]
    stop = _without_place(text, words, stop, trie)
    for first in range(stop - 1, max(-1, stop - 1 - MAX_NAME_WORDS), -1):
        if not _is_name_word(words[first], trie) or first in closing:
            break
        if _is_after_end(text, words, first) and (stop - first <= _MAX_LAST_WORDS or words[first].han):
            return [Finding(words[first].start, words[stop - 1].end, "name")]
    return [] if stop - 1 in closing else _listed_last(words, stop, trie) or _after_greeting(text, words, stop, trie)


def _is_dashed_name(text: str, words: Sequence[Word], place: int, trie: PhraseTrie) -> bool:
    """Return whether one word stands under the text after a dash, in small letters too: "Please help. -ana"."""
    between = text[words[place - 1].end : words[place].start]
    parts = between.rstrip(" ").rstrip("-–—~")
    is_dashed = parts != between.rstrip(" ") and _END.search(parts) is not None
    return is_dashed and trie.stop_words.isdisjoint(words[place].forms)


def _without_place(text: str, words: Sequence[Word], stop: int, trie: PhraseTrie) -> int:
    """Return where a name may end before the place that follows it under a text: "Ana Tupou, Palmerston North"."""
    first = stop
    while first and stop - first < _MAX_LAST_WORDS and words[first - 1].capital:
        first -= 1
        if not words[first].joined:
            break
    is_place = 0 < first < stop and text[words[first - 1].end : words[first].start].strip() == ","
    return first if is_place and _is_name_word(words[first - 1], trie) else stop


def _listed_last(words: Sequence[Word], stop: int, trie: PhraseTrie) -> list[Finding]:
    """Return the name after the last comma, in small letters too, if half of its words or more are of the list."""
    first = stop - 1
    while first > 0 and words[first].joined:
        first -= 1
        if stop - first > MAX_NAME_WORDS:
            return []
    some = words[max(first, 0) : stop]
    listed = sum(not trie.given_names.isdisjoint(word.forms) for word in some)
    if first <= 0 or 2 * listed < len(some) or any(not trie.stop_words.isdisjoint(word.forms) for word in some):
        return []
    return [Finding(some[0].start, some[-1].end, "name")] if listed > 1 else []


def _after_greeting(text: str, words: Sequence[Word], stop: int, trie: PhraseTrie) -> list[Finding]:
    """Return the capital letters after a comma and a few small ones, as of a greeting that no list has, at the end."""
    first = stop
    while first > max(0, stop - MAX_NAME_WORDS) and _is_name_word(words[first - 1], trie) and words[first - 1].capital:
        first -= 1
        if not words[first].joined:
            break
    if not 0 < first < stop or words[first].joined or "," not in text[words[first - 1].end : words[first].start]:
        return []
    start = first - 1
    while start > max(0, first - _MAX_LAST_WORDS) and words[start].joined:
        start -= 1
    is_greeting = (start == 0 or not words[start].joined) and not words[first - 1].capital
    return [Finding(words[first].start, words[stop - 1].end, "person")] if is_greeting else []


def named_alone(words: Sequence[Word], first: int, last: int, trie: PhraseTrie) -> int:
    """Return the index of the first word of a name that begins a clause, before words such as "here" that end it.

    Returns `first`, the index of the first of those words, if no name stands there.
    """
    start = first
    while start > max(0, first - MAX_NAME_WORDS) and words[start].joined and _is_name_word(words[start - 1], trie):
        start -= 1
    begins = start == 0 or not words[start].joined
    # "Ana here" ends its clause; "Ana here from the mill" goes on.
    ends = last > first or last + 1 == len(words) or not words[last + 1].joined
    return start if begins and ends else first


def _begins(text: str, words: Sequence[Word], first: int, ends: set[int]) -> bool:
    """Return whether closing words begin a sentence or a line, or follow other closing words."""
    return (
        first == 0
        or not words[first].joined
        or "\n" in text[words[first - 1].end : words[first].start]
        or first - 1 in ends
    )


def _signed_to(text: str, words: Sequence[Word], after: int, stop: int, trie: PhraseTrie) -> int:
    """Return the index behind the name after closing words: "Thanks, Deb", "Love, nana Pat", "Cheers, Dave from work".

    Returns `after` if no name stands there.
    """
    between = text[words[after - 1].end : words[after].start]
    is_apart = between.strip() != "" or "\n" in between
    end = after
    while end < stop and _is_name_word(words[end], trie):
        end += 1
    some = words[after:stop]
    if end == stop and len(some) <= MAX_NAME_WORDS:
        is_name = is_apart or some[0].capital or not trie.given_names.isdisjoint(some[0].forms)
        return stop if is_name else after
    if not is_apart or len(some) > _MAX_SIGNED_WORDS:
        return after
    if end > after and some[0].capital and end - after < MAX_NAME_WORDS:
        # A place or a role follows the name.
        goes_on = trie.stop_words.isdisjoint(words[end].forms) and words[end].joined
        return after if goes_on else end
    if between.strip() in _DASHES and len(some) <= MAX_NAME_WORDS:
        return stop
    is_lone = len(some) == 1 or (len(some) <= _MAX_LAST_WORDS and some[-1].capital)
    return stop if is_lone and trie.stop_words.isdisjoint(some[0].forms) else after


def _is_name_word(word: Word, trie: PhraseTrie) -> bool:
    if not trie.stop_words.isdisjoint(word.forms) and not (word.capital and word.joined):
        return False
    return word.capital or word.han or word.forms[0] >= "\u0900" or not trie.given_names.isdisjoint(word.forms)


def likely_names(text: str, words: Sequence[Word], trie: PhraseTrie) -> Iterator[Finding]:
    """Yield what may be a name, as a finding of kind `person`: given names of the list, and capital letters.

    Capital letters count within a sentence, not in the first word of one.
    """
    place = 0
    while place < len(words):
        first = place
        place += 1
        if not is_written_as_name(words[first]):
            continue
        if not (is_listed_name(words[first], trie) or _is_capital_within(text, words, first, trie)):
            continue
        while place < len(words) and words[place].joined and words[place].capital:
            place += 1
        if place - first <= MAX_NAME_WORDS or is_listed_name(words[first], trie):
            yield Finding(words[first].start, words[place - 1].end, "person")


def is_written_as_name(word: Word) -> bool:
    """Return whether a word has a capital letter, or is of a script without capital letters."""
    return word.capital or word.forms[0] >= "\u0900"


def is_listed_name(word: Word, trie: PhraseTrie) -> bool:
    """Return whether a word, other than a Chinese character, is a given name of a list."""
    return not word.han and not trie.given_names.isdisjoint(word.forms)


def _is_capital_within(text: str, words: Sequence[Word], place: int, trie: PhraseTrie) -> bool:
    word = words[place]
    is_acronym = text[word.start : word.end].isupper()
    is_too_short = word.end - word.start < MIN_LETTERS
    if not place or not word.capital or is_acronym or is_too_short or not trie.stop_words.isdisjoint(word.forms):
        return False
    return not _is_after_end(text, words, place) or _is_after_initial(text, words[place - 1], word)


def _is_after_initial(text: str, before: Word, word: Word) -> bool:
    return before.capital and before.end - before.start == 1 and text[before.end : word.start] == ". "


def _is_after_end(text: str, words: Sequence[Word], place: int) -> bool:
    """Return whether a sentence or a line ends before a word: not at the stop of a title such as "Mr." or "Engr."."""
    if not place:
        return _END.search(" " + text[: min(words[0].start, _AROUND)]) is not None
    before = words[place - 1]
    between = text[before.end : min(words[place].start, before.end + _AROUND)]
    title = text[before.start : before.end]
    is_title = between == ". " and 1 < len(title) <= _MAX_TITLE and title.istitle() and title[-1] not in _OPEN_ENDS
    return not is_title and _END.search(between) is not None
