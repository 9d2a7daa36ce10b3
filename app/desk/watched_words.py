"""Own words as a handler watches them: the text in runs, the places that stop a referral, and the words to check.

The finder of the form and the desk's list of names only point out; the leftover gate stops. Where a place is of several
kinds, the kind that stops comes first. The time is linear in the text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.desk.leftovers import SENTENCE, TAKEN_OUT, Leftover
from app.text.phrases import Finding

MAX_LISTED = 50
"""The most places, and the most words to check, that a list shows; the text shows all of them."""

_AROUND = 40  # characters that a list shows before and after a place
_RANK: Mapping[str, int] = {TAKEN_OUT: 0, SENTENCE: 1}


@dataclass(frozen=True)
class WatchedRun:
    """A run of a text: `kind` is that of a leftover, of a finding, or "" for words that nobody needs to look at."""

    text: str
    kind: str = ""
    stops: bool = False


@dataclass(frozen=True)
class StandingPlace:
    """A place that stops a referral unless a handler lets it stand, with some words around it."""

    mark: str
    kind: str
    before: str
    text: str
    after: str
    stands: bool


@dataclass(frozen=True)
class WatchedText:
    """One text of own words under the gate and the finder."""

    runs: tuple[WatchedRun, ...]
    places: tuple[StandingPlace, ...]
    to_check: tuple[tuple[str, str], ...]  # words and their kind, each once

    @classmethod
    def of(
        cls, text: str, leftovers: Sequence[Leftover], findings: Sequence[Finding], let_stand: Iterable[str]
    ) -> "WatchedText":
        """Return a text as a page shows it."""
        allowed = frozenset(let_stand)
        places = tuple(
            StandingPlace(
                one.mark,
                one.kind,
                text[max(0, one.start - _AROUND) : one.start],
                text[one.start : one.end],
                text[one.end : one.end + _AROUND],
                one.mark in allowed,
            )
            for one in leftovers
        )
        to_check = dict.fromkeys((text[one.start : one.end], one.kind) for one in findings)
        return cls(tuple(_runs(text, leftovers, findings, allowed)), places, tuple(to_check))

    @property
    def stopping(self) -> int:
        """How many places stop a referral."""
        return sum(not place.stands for place in self.places)

    @property
    def listed_places(self) -> tuple[StandingPlace, ...]:
        """The first places, those that stop a referral before those that a handler let stand."""
        return tuple(sorted(self.places, key=lambda place: place.stands))[:MAX_LISTED]

    @property
    def unlisted_marks(self) -> tuple[str, ...]:
        """The marks of places that a handler let stand and that the list does not show."""
        listed = {place.mark for place in self.listed_places}
        return tuple(place.mark for place in self.places if place.stands and place.mark not in listed)


def _runs(
    text: str, leftovers: Sequence[Leftover], findings: Sequence[Finding], allowed: frozenset[str]
) -> list[WatchedRun]:
    """Return a text cut where a place begins or ends; of places that overlap, the first in rank counts."""
    at = bytearray(len(text))  # for each character the number of its kind, 0 for none
    kinds: list[tuple[str, bool]] = [("", False)]
    # Painted in reverse, so that what stops lies over the rest.
    layers = [(one.start, one.end, one.kind, False) for one in findings]
    by_rank = sorted(leftovers, key=lambda one: (one.mark not in allowed, -_RANK[one.kind]))
    layers += [(one.start, one.end, one.kind, one.mark not in allowed) for one in by_rank]
    for start, end, kind, stops in layers:
        if (kind, stops) not in kinds:
            kinds.append((kind, stops))
        at[start:end] = bytes([kinds.index((kind, stops))]) * (end - start)
    cuts = sorted({0, len(text), *(place for start, end, _, _ in layers for place in (start, end))})
    return [WatchedRun(text[start:end], *kinds[at[start]]) for start, end in pairwise(cuts)]
