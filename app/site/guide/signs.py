"""The signs of `/signs` that a reader can tick, and what the ticked signs become in the report form.

A sign has an id that says where the sign stands on the page: `signs-3`, `looks-1-2`, `trades-4`. A tick sends the id
alone, so a request can put no words of its own into the form; an id that the page does not have is ignored. Which
kinds of the report fit a sign is said once, by `kinds` in the front matter of the English page.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.site.guide.models import Page, Run
from app.vault.tip import SCHEMA

_KINDS = frozenset(choice.value for choice in SCHEMA.kinds)


@dataclass(frozen=True)
class Sign:
    """One sign of a page: its id, its words without markup, and the kinds of the report that fit the sign."""

    id: str
    text: str
    kinds: tuple[str, ...] = ()


def read_signs(page: Page, english: Page) -> tuple[Sign, ...]:
    """Return the signs of a page in its order; the kinds are those of the English page."""
    kinds = english.raw.get("kinds", {})
    return tuple(Sign(key, text, tuple(kinds.get(key, ()))) for key, text in _texts(page.runs))


def kinds_problems(page: Page) -> Iterator[str]:
    """Yield what is wrong with `kinds` in the front matter of a page, each with its remedy."""
    kinds = page.raw.get("kinds", {})
    if not isinstance(kinds, Mapping) or not all(isinstance(values, list) for values in kinds.values()):
        yield "kinds does not give a list of kinds for each sign; write such as signs-3: [documents]"
        return
    signs = {key for key, _ in _texts(page.runs)}
    yield from (f"kinds names {key}, which is no sign of this page; correct it" for key in sorted(kinds.keys() - signs))
    unknown = {str(kind) for values in kinds.values() for kind in values} - _KINDS
    yield from (f"kinds has {kind}, which the report does not have; correct it" for kind in sorted(unknown))


def ticked_answers(signs: Sequence[Sign], untrusted_ids: Collection[str], heading: str) -> dict[str, Any]:
    """Return the answers `what` and `kinds` that the ticked signs make; none where no sign of the page is ticked."""
    ticked = [sign for sign in signs if sign.id in untrusted_ids]
    if not ticked:
        return {}
    lines = "\n".join(f"- {sign.text}" for sign in ticked)
    kinds = dict.fromkeys(kind for sign in ticked for kind in sign.kinds)
    return {"what": f"{heading}\n{lines}\n", "kinds": list(kinds)}


def _texts(runs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the id and the words of each sign; a translation that is behind the English may have fewer lists."""
    for number, sign in enumerate(runs.get("signs", ()), 1):
        yield f"signs-{number}", _plain(sign)
    for number, look in enumerate(runs.get("looks", ()), 1):
        yield from ((f"looks-{number}-{place}", _plain(question)) for place, question in enumerate(look["ask"], 1))
    for number, trade in enumerate(runs.get("trades", ()), 1):
        yield f"trades-{number}", f"{_plain(trade['work'])}: {_plain(trade['sign'])}"


def _plain(runs: Sequence[Run]) -> str:
    return "".join(run.text for run in runs)
