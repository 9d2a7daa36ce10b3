"""Text as it may be kept: silently made plain, and searched for what may name its writer.

`clean` takes out only what nobody sees and nobody needs; it changes no word. `find` warns, `remove` takes
out what the writer ticked: nothing that can be read is ever removed unasked, for the trafficker's number is
evidence. All of it is linear in the length of the text. No model, no network, no word of the text anywhere
but in what is returned. Refuses nothing: any string is cleaned.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from types import MappingProxyType
from typing import Final, NamedTuple

from app.core.errors import N_
from app.text.patterns import traces
from app.text.phrases import SAID, Finding, Met, Phrases, Word, load_phrases, words_of

__all__ = ["REMOVED", "WHY", "Finding", "Phrases", "find", "load_phrases", "remove"]

REMOVED: Final = "[removed]"

WHY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "link": N_("A link that may have been made for you alone. Whoever made it can see who got it."),
        "email": N_(
            "An e-mail address. If it is yours, take it out. "
            "If it belongs to the person doing this, leave it: it is evidence."
        ),
        "bank": N_(
            "It looks like a bank account. If it is yours, take it out. "
            "If you were told to pay into it, leave it: it is evidence."
        ),
        "nhi": N_("It looks like a health (NHI) number. If it is yours, take it out."),
        "ird": N_("It looks like a tax (IRD) number. If it is yours, take it out."),
        "passport": N_("It looks like a passport number. If it is yours, take it out."),
        "licence": N_("It looks like a driver licence number. If it is yours, take it out."),
        "place": N_("An exact position. It may show where you were or where you live."),
        "handle": N_(
            "A name on a social network. If it is yours, take it out. "
            "If it belongs to the person doing this, leave it: it is evidence."
        ),
        "phone": N_(
            "A phone number. If it is yours, take it out. "
            "If it belongs to the person doing this, leave it: it is evidence."
        ),
        "time": N_(
            "An exact time. It may show who was there. A rough time, such as “in the evening”, is often enough."
        ),
        "relation": N_("This says how you are related to someone. It may show them who wrote."),
        "role": N_("This says how you know someone. It may show them who wrote."),
        "only": N_("This says that few people know. Whoever reads it may guess who wrote."),
        "name": N_("This may be your name. We do not need it."),
        "self": N_("This says who you are. If only one person fits, it names you."),
    }
)
"""Each kind of finding and why it is shown: an English sentence, the key of its translations.

Where two findings meet, the kind that stands earlier here is kept; of relation, role and only the longer.
"""

_EQUALS: Final = ("relation", "role", "only")
_RANK: Final = {kind: list(WHY).index("relation" if kind in _EQUALS else kind) for kind in WHY}
# These run on to the words after a phrase, and give way there to what is more certain.
_RUN_ON: Final = {"name": 4, "self": 5, "relation": 3, "role": 3}


def find(text: str, *, phrases: Phrases, mild: bool = False) -> tuple[Finding, ...]:
    """Find what in a cleaned text may name its writer, in order and without overlap.

    `mild` is for fields about the suspects: there a telephone number, address, account or time is evidence
    and is only shown where words like "call me on" say that it is the writer's; names, relations and links
    that carry a token are shown as everywhere.
    """
    words = words_of(text)
    met = tuple(phrases.met(words))
    cues: dict[str, list[Finding]] = {}
    for first, last, mark in met:
        if mark.kind == "own" or mark.kind.startswith("near-"):
            cue = Finding(words[first].start, words[last].end, mark.kind)
            cues.setdefault(mark.kind.removeprefix("near-"), []).append(cue)
    shapes = (_Candidate(each, each.end) for each in traces(text, cues, mild=mild))
    return _settle(text, [*shapes, *_said(words, met, phrases.stops, mild=mild)])


class _Candidate(NamedTuple):
    """What was found, and up to where it must stand whole to mean anything."""

    finding: Finding
    core: int


def _said(words: Sequence[Word], met: Iterable[Met], stops: frozenset[str], *, mild: bool) -> Iterator[_Candidate]:
    for first, last, (kind, opener) in met:
        if kind not in SAID or (mild and kind == "time"):
            continue
        start, end = words[first].start, words[last].end
        if kind == "named":
            begin = _back(words, first, opener, stops)
            if begin < first:
                yield _Candidate(Finding(words[begin].start, end, "name"), end)
            continue
        onward = _onward(words, last, kind, stops)
        # "my name is on the list" names nobody.
        if kind == "name" and onward == last and last + 1 < len(words) and words[last + 1].joined:
            continue
        yield _Candidate(Finding(start, words[onward].end, kind), end)


def _onward(words: Sequence[Word], last: int, kind: str, stops: frozenset[str]) -> int:
    """Go to the last word that belongs to a phrase: of a name, of a role after "I am the"."""
    end = last
    for place in range(last + 1, min(last + 1 + _RUN_ON.get(kind, 0), len(words))):
        word = words[place]
        stopped = word.forms[-1] in stops and not word.capital
        if stopped or not word.joined or not _belongs(word, kind, place - last):
            break
        end = place
    return end


def _belongs(word: Word, kind: str, nth: int) -> bool:
    if word.capital or kind == "self":
        return True
    if kind != "name":
        return False
    # Chinese names have up to three characters, Hindi ones two words; in small letters one word can be told.
    return nth <= 3 if word.han else nth == 1 or (nth == 2 and word.forms[0] >= "\u0900")  # noqa: PLR2004


def _back(words: Sequence[Word], first: int, opener: str, stops: frozenset[str]) -> int:
    """Go back to the first name that stands before words such as "tōku ingoa"; `first` if there is none."""
    start = first
    while start > max(0, first - 4) and words[start].joined:
        before = words[start - 1]
        if before.forms[0] in stops or not (before.capital or opener):
            break
        start -= 1
    return start if not opener or (start > 0 and opener in words[start - 1].forms) else first


def _settle(text: str, candidates: Iterable[_Candidate]) -> tuple[Finding, ...]:
    """Choose where several findings meet: by rank, then the longest, cut short rather than lost."""
    taken = bytearray(len(text))
    kept: list[Finding] = []
    for (start, end, kind), core in sorted(
        ((astuple(each.finding), each.core) for each in candidates),
        key=lambda each: (_RANK[each[0][2]], each[0][0] - each[0][1], each),
    ):
        met = taken.find(1, start, end)
        if -1 < met < core:
            continue
        stop = end if met < 0 else start + len(text[start:met].rstrip(" -,"))
        taken[start:stop] = b"\x01" * (stop - start)
        kept.append(Finding(start, stop, kind))
    return tuple(sorted(kept, key=lambda each: each.start))


def remove(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Replace every span by `[removed]`; spans that touch or overlap become one.

    What lies outside the text is ignored, for the spans come back from a form.
    """
    kept: list[str] = []
    at = 0
    for start, end in sorted((max(start, 0), min(end, len(text))) for start, end in spans):
        if start >= end:
            continue
        if start > at or not kept:
            kept += [text[at:start], REMOVED]
        at = max(at, end)
    return "".join([*kept, text[at:]])
