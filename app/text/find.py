"""Finds what in a text may identify its writer, and removes the parts that the writer chose.

`find_identifying` only points out, and `remove_spans` removes what the writer ticked: no visible word is removed
unasked, because a trafficker's number is evidence. Both take time linear in the text. No model, no network, and no
word of the text leaves these functions but in what they return. Both refuse nothing.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from types import MappingProxyType
from typing import Final, NamedTuple

from app.core.errors import N_
from app.text.clauses import OwnClauses, find_framed
from app.text.details import OwnSentences, find_details
from app.text.hidden_marks import find_hidden_marks
from app.text.own_names import closing_names, likely_names
from app.text.own_phrases import Candidate, last_own_word, phrase_candidates
from app.text.patterns import PhoneLookups, find_patterns, follows_own_cue, to_ascii_form
from app.text.phrases import Finding, MatchesByKind, PhraseTrie, cues_of
from app.text.repeated_names import OwnNames, names_in_findings, with_repeated
from app.text.words import WORD_PATTERN, Word, split_words

REMOVED_PLACEHOLDER: Final = "[removed]"

FINDING_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "link": N_("This link may have been made only for you. The person who made the link can see who got the link."),
        "email": N_(
            "This is an email address. If the address is yours, take it out. "
            "If the address belongs to the person doing this, leave it in. The address is evidence."
        ),
        "bank": N_(
            "This looks like a bank account. If the account is yours, take it out. "
            "If someone told you to pay into the account, leave it in. The account is evidence."
        ),
        "nhi": N_("This looks like a health (NHI) number. If the number is yours, take it out."),
        "ird": N_("This looks like a tax (IRD) number. If the number is yours, take it out."),
        "passport": N_("This looks like a passport number. If the number is yours, take it out."),
        "licence": N_("This looks like a driver licence number. If the number is yours, take it out."),
        "place": N_("These words give an exact place. The place may show where you were or where you live."),
        "handle": N_(
            "This is a name on social media. If the name is yours, take it out. "
            "If the name belongs to the person doing this, leave it in. The name is evidence."
        ),
        "phone": N_(
            "This is a phone number. If the number is yours, take it out. "
            "If the number belongs to the person doing this, leave it in. The number is evidence."
        ),
        "time": N_(
            "These words give an exact time. The time may show who was there. "
            "A rough time, such as “in the evening”, is often enough."
        ),
        "relation": N_(
            "These words say how you are related to someone. The words may show that person who wrote the report."
        ),
        "role": N_("These words say how you know someone. The words may show that person who wrote the report."),
        "only": N_(
            "These words say that only a few people know. Someone who reads the words may guess who wrote the report."
        ),
        "name": N_("This may be your name. We do not need your name."),
        "self": N_("These words say who you are. If the words fit only one person, people will know it is you."),
        "number": N_(
            "This number may belong to one person, car or room. If the number is yours, take it out. "
            "If the number belongs to the person doing this, leave it in. The number is evidence."
        ),
        "person": N_(
            "This may be a name. If the name is yours, take it out. "
            "If the name belongs to the person doing this, leave it in. The name is evidence."
        ),
        "mark": N_(
            "These are unusual letters or signs. They can be a hidden mark that shows who a text was copied from. "
            "If you did not type them, take them out."
        ),
    }
)
"""Each kind of finding and the reason that is shown: an English sentence, the key of its translations.

Where two findings overlap, the kind that stands earlier here is kept; of `relation`, `role` and `only` the longer.
"""

_EQUAL_KINDS: Final = ("relation", "role", "only")
_RANK: Final = {
    kind: list(FINDING_REASONS).index("relation" if kind in _EQUAL_KINDS else kind) for kind in FINDING_REASONS
}
_LEAST_LONGER: Final = 2  # words
_DESCRIPTIONS: Final = frozenset({"self", "only", "relation", "role"})
_MOST_QUOTED: Final = 0.8
_QUOTATION: Final = re.compile(r"[\"“”„«「][^\"“”«»「」\n]{1,300}[\"“”»」]")
_LENGTHENED: Final = frozenset({"self", "only", "relation", "role"})


def find_in_fields(
    texts: Mapping[str, str], *, phrases: PhraseTrie, suspects: Collection[str]
) -> dict[str, tuple[Finding, ...]]:
    """Return what `find_identifying` finds in each field of one tip; the fields `suspects` are about the suspects.

    The fields share one allowance of telephone lookups, the costliest work, so that many fields cost no more than one.
    """
    lookups, searched = PhoneLookups(), {}
    for name, text in texts.items():
        searched[name] = _search(text, phrases, lookups, about_suspects=name in suspects) if text else _Searched()
    names = reduce(OwnNames.with_others, (each.names for each in searched.values()), OwnNames())
    return {name: with_repeated(texts[name], words, found, names) for name, (words, found, _) in searched.items()}


def find_identifying(text: str, *, phrases: PhraseTrie, about_suspects: bool = False) -> tuple[Finding, ...]:
    """Return what in a cleaned text (`clean_text`) may identify its writer, in order and without overlap.

    `about_suspects` is for fields about the suspects. A telephone number, address, account or time there is evidence,
    and is only found where words like "call me on" say that it is the writer's. Names, relations and links with a token
    are found as everywhere.
    """
    searched = _search(text, phrases, PhoneLookups(), about_suspects=about_suspects)
    return with_repeated(text, searched.words, searched.found, searched.names)


class _Searched(NamedTuple):
    """The words of a text, what was found in them, and the writer's names among what was found."""

    words: Sequence[Word] = ()
    found: tuple[Finding, ...] = ()
    names: OwnNames = OwnNames()


def _search(text: str, phrases: PhraseTrie, lookups: PhoneLookups, *, about_suspects: bool) -> _Searched:
    words = split_words(text)
    matches = phrases.matches(words)
    cues = cues_of(words, matches)
    ascii_text = to_ascii_form(text)
    shapes = [*find_patterns(ascii_text, cues, lookups, about_suspects=about_suspects)]
    dates = [Finding(words[first].start, words[last].end, "time") for first, last, _ in matches.get("date", ())]
    details = [*find_details(text, ascii_text, cues), *likely_names(text, words, phrases), *_whole_dates(dates)]
    clauses = OwnClauses(words, matches)
    if details:
        own = OwnSentences(
            text, [*(cue.end for cue in cues.get("me", ())), *(words[at].end for at in clauses.own_words())]
        )
        shapes += [each for each in details if own.holds(each) and (not about_suspects or follows_own_cue(cues, each))]
    signoffs = [(first, last) for first, last, _ in matches.get("signoff", ())]
    shapes += closing_names(text, words, signoffs, phrases)
    in_phrases = phrase_candidates(text, words, matches, phrases, about_suspects=about_suspects)
    shapes += find_hidden_marks(text)
    quoted = _quoted(text)
    said = [each for each in in_phrases if not _is_speech(quoted, each.finding)]
    found = _resolve_overlaps(text, [*(Candidate(each, each.end) for each in shapes), *said])
    described = _described(words, matches, phrases, clauses)
    whole = _with_described(text, found, [each for each in described if not _is_speech(quoted, each.finding)])
    return _Searched(words, whole, names_in_findings(text, words, matches, whole, phrases))


def remove_spans(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return the text with `[removed]` for every span of characters; spans that touch or overlap become one.

    Parts of a span outside the text are ignored, because the spans come back from a form.
    """
    kept: list[str] = []
    at = 0
    for start, end in sorted((max(start, 0), min(end, len(text))) for start, end in spans):
        if start >= end:
            continue
        if start > at or not kept:
            kept += [text[at:start], REMOVED_PLACEHOLDER]
        at = max(at, end)
    return "".join([*kept, text[at:]])


def _whole_dates(parts: Iterable[Finding]) -> list[Finding]:
    """Return the parts of dates joined where they meet: "3 April" and "April 1999" are one date."""
    whole: list[Finding] = []
    for part in sorted(parts, key=lambda each: each.start):
        if whole and part.start <= whole[-1].end + 1:
            before = whole.pop()
            whole.append(Finding(before.start, max(before.end, part.end), "time"))
        else:
            whole.append(part)
    return whole


def _quoted(text: str) -> bytearray:
    """Return a mark (1) for each character between two quotation marks of one line: what others say.

    A text that stands between quotation marks as a whole is the writer's.
    """
    marks = bytearray(len(text))
    for match in _QUOTATION.finditer(text):
        marks[match.start() : match.end()] = b"\x01" * (match.end() - match.start())
    return marks if marks.count(1) <= _MOST_QUOTED * len(text) else bytearray(len(text))


def _is_speech(quoted: bytearray, finding: Finding) -> bool:
    """Return whether most of a description of oneself stands between quotation marks: "I am the boss here", he said."""
    length = finding.end - finding.start
    return finding.kind in _DESCRIPTIONS and 2 * quoted.count(1, finding.start, finding.end) > length


def _described(words: Sequence[Word], matches: MatchesByKind, trie: PhraseTrie, clauses: OwnClauses) -> list[Candidate]:
    """Return what frames find, and the clauses in which writers describe themselves; they may overlap."""
    framed = [
        Candidate(
            Finding(words[first].start, words[last_own_word(words, last, kind, trie.stop_words)].end, kind),
            words[last].end,
        )
        for first, last, kind in find_framed(matches, trie.frames, clauses)
    ]
    whole = (Finding(words[first].start, words[last].end, "self") for first, last in clauses.find())
    return framed + [Candidate(each, each.end) for each in whole]


def _with_described(text: str, found: Sequence[Finding], described: Iterable[Candidate]) -> tuple[Finding, ...]:
    """Return the findings, those that writers' descriptions meet made longer, and the descriptions that meet none.

    A description stops before the next finding. Names, numbers and other shapes are not made longer.
    """
    taken = bytearray(len(text))
    ends = {each.end: place for place, each in enumerate(found)}
    for each in found:
        taken[each.start : each.end] = b"\x01" * (each.end - each.start)
    kept = list(found)
    begins: set[int] = set()
    for (start, end, kind), core in sorted(described, key=lambda each: (each.finding.start - each.finding.end, each)):
        overlap = taken.find(1, start, end)
        if overlap < 0 or overlap >= core or (kind == "self" and overlap > start and overlap in begins):
            stop = end if overlap < 0 else start + len(text[start:overlap].rstrip(" -,"))
            taken[start:stop] = b"\x01" * (stop - start)
            kept.append(Finding(start, stop, kind))
            begins.add(start)
            continue
        after = taken.find(0, overlap, end)
        if after in ends and found[ends[after]].kind in _LENGTHENED:
            before_next = taken.find(1, after, end)
            stop = end if before_next < 0 else after + len(text[after:before_next].rstrip(" -,"))
            if len(WORD_PATTERN.findall(text, after, stop)) < _LEAST_LONGER:
                continue
            place = ends[after]
            taken[after:stop] = b"\x01" * (stop - after)
            kept[place] = Finding(found[place].start, stop, found[place].kind)
    return _joined(text, sorted(kept, key=lambda each: each.start))


def _joined(text: str, found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings in order, with descriptions between which only blanks stand as one."""
    joined = list(found[:1])
    for each in found[1:]:
        last = joined[-1]
        if last.kind == each.kind == "self" and not text[last.end : each.start].strip():
            joined[-1] = Finding(last.start, each.end, "self")
        else:
            joined.append(each)
    return tuple(joined)


def _resolve_overlaps(text: str, candidates: Iterable[Candidate]) -> tuple[Finding, ...]:
    """Return findings without overlap: by rank, then by length; a finding is shortened rather than dropped."""
    taken = bytearray(len(text))
    kept: list[Finding] = []
    for (start, end, kind), core in sorted(
        candidates, key=lambda each: (_RANK[each.finding.kind], each.finding.start - each.finding.end, each)
    ):
        overlap = taken.find(1, start, end)
        if -1 < overlap < core:
            continue
        stop = end if overlap < 0 else start + len(text[start:overlap].rstrip(" -,"))
        taken[start:stop] = b"\x01" * (stop - start)
        kept.append(Finding(start, stop, kind))
    return tuple(sorted(kept, key=lambda each: each.start))
