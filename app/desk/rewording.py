"""Own words of a handler, which a referral carries in place of one text of the sender.

A way of writing can show who wrote a text, even where no name is left. The sender's text stays at the desk, unchanged.
For each text a handler chooses a way: as it came, with black marks; in own words; or not at all. Own words remember the
texts that the handler had in view, so that the desk can say when one of them has changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from app.desk.case_fields import RedactionDraft, Rewording
from app.desk.later_messages import is_later
from app.desk.leftovers import SENTENCE
from app.desk.redaction import Redaction, is_sent, rewordable, text_digest

MAX_OWN_WORDS = 20_000
"""The most characters of own words in place of one text; a translation may have as many."""


class Way(StrEnum):
    """The way in which a referral carries a text of the sender."""

    BLACK = "black"
    OWN = "own"
    OUT = "out"


@dataclass(frozen=True)
class TypedWords:
    """A handler's choice for one text: the way, the own words as typed, and the marks of places that may go."""

    way: Way
    text: str
    let_stand: frozenset[str] = frozenset()


def chosen_way(name: str, draft: RedactionDraft) -> Way:
    """Return the way in which a referral by a draft carries a field."""
    if not is_sent(name, draft):
        return Way.OUT
    return Way.OWN if name in used_rewordings(draft) else Way.BLACK


def used_rewordings(draft: RedactionDraft) -> dict[str, Rewording]:
    """Return the own words that a referral by a draft carries, by field."""
    return {name: one for name, one in draft.rewordings.items() if one.used and is_sent(name, draft)}


def typed_words(redaction: Redaction) -> dict[str, TypedWords]:
    """Return for each text what the draft holds of it; own words start from the redacted text."""
    draft, typed = redaction.draft, {}
    for name in rewordable(redaction.fields):
        kept = draft.rewordings.get(name, Rewording(redaction.redacted[name]))
        typed[name] = TypedWords(chosen_way(name, draft), kept.text, frozenset(kept.let_stand))
    return typed


def reworded_draft(redaction: Redaction, typed: Mapping[str, TypedWords]) -> RedactionDraft:
    """Return the draft of a redaction with what a handler typed and chose for all of its texts.

    Own words that are the redacted text itself are kept only if a handler chose that way.
    """
    draft, gate = redaction.draft, redaction.gate()
    written_from = digests_of(redaction.fields)
    rewordings: dict[str, Rewording] = {}
    for name, one in typed.items():
        if one.way is Way.OWN or one.text not in ("", redaction.redacted[name]):
            stands = tuple(place.mark for place in gate.find(name, one.text) if place.mark in one.let_stand)
            rewordings[name] = Rewording(one.text, one.way is Way.OWN, stands, written_from)
    out = [name for name, one in typed.items() if one.way is Way.OUT]
    return replace(
        draft,
        rewordings=rewordings,
        left_out=(*(name for name in draft.left_out if name not in typed), *out),
        later=tuple(name for name in typed if is_later(name) and name not in out),
    )


def newly_allowed(before: RedactionDraft, after: RedactionDraft) -> dict[str, int]:
    """Return in how many more places a handler lets words stand, by field, without fields that have no such place."""
    old = {mark for one in before.rewordings.values() for mark in one.let_stand}
    counts = {name: len(set(one.let_stand) - old) for name, one in after.rewordings.items()}
    return {name: count for name, count in counts.items() if count}


def digests_of(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the digest of each text that can be reworded."""
    return {name: text_digest(fields[name]) for name in rewordable(fields)}


def changed_since(rewording: Rewording, fields: Mapping[str, str]) -> tuple[str, ...]:
    """Return the texts that are new, other or gone since own words were written."""
    now, then = digests_of(fields), rewording.written_from
    return tuple(name for name in {**now, **then} if now.get(name) != then.get(name))


def changed_texts(redaction: Redaction) -> tuple[str, ...]:
    """Return the texts that are new, other or gone since any own words of a draft were written."""
    used = used_rewordings(redaction.draft).values()
    return tuple(dict.fromkeys(name for one in used for name in changed_since(one, redaction.fields)))


def allowed_places(redaction: Redaction) -> dict[str, list[str]]:
    """Return the words that a handler lets stand in own words that go, by field, without fields that have none."""
    gate, used = redaction.gate(), used_rewordings(redaction.draft)
    found = {
        name: [one.text[place.start : place.end] for place in gate.find(name, one.text) if place.mark in one.let_stand]
        for name, one in used.items()
    }
    return {name: texts for name, texts in found.items() if texts}


def has_senders_sentence(redaction: Redaction) -> bool:
    """Return whether the summary of a draft holds a sentence as the sender wrote it."""
    return any(one.kind == SENTENCE for one in redaction.gate().find("summary", redaction.draft.summary))


def seen_mark(redaction: Redaction) -> str:
    """Return a digest of the texts, the own words and the ways of a draft: what a form shows, and may have changed."""
    draft = redaction.draft
    parts: Iterable[object] = (
        sorted(digests_of(redaction.fields).items()),
        sorted((name, one.text, one.used, one.let_stand) for name, one in draft.rewordings.items()),
        sorted(draft.left_out),
        sorted(draft.later),
    )
    return text_digest(repr(tuple(parts)))
