"""The redaction of a tip: which words are taken out of its text, wherever they stand, and what is left.

What a handler marks is removed wherever it stands in every field, in other letters, accents or digits too, as
`piece_search` finds it. Each removed text becomes the same `[removed]`, which does not reveal its length.
`find_removed` is the last check of every text before it is sealed. All of it takes time linear in the text.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

from app.core.unicode import clean_text, compose
from app.desk.attachments import Attachment
from app.desk.case import Case
from app.desk.case_fields import RedactionDraft, Span
from app.desk.known_names import LISTED, KnownNames
from app.desk.later_messages import is_later, later_label
from app.desk.leftovers import LeftoverGate
from app.desk.marks import MarkablePiece, cut_text, merge_spans
from app.desk.piece_search import PieceSearch
from app.files.clean import CleanedFile
from app.text.find import REMOVED_PLACEHOLDER, find_in_fields, remove_spans
from app.text.phrases import Finding, PhraseTrie
from app.text.skeleton import skeleton_words
from app.vault.asked_questions import replies_text
from app.vault.tip import SCHEMA

MAX_TEXT_FILE = 60_000  # bytes of a file whose words can be marked in a browser; a longer one is not sent
MAX_MARKABLE = 120_000  # characters of all text of one tip whose words can be marked; a file beyond them is not sent
MAX_TERMS = 200  # words that one draft takes out everywhere
MAX_NAMES = 100  # of one tip that stand in a list of their own to be checked; further ones are underlined only
ONLY_SUGGESTED = frozenset({"person", LISTED})
"""Kinds that the desk underlines and does not make black by itself: such a name may be a suspect's."""
# Choices for which referral.json has keys of their own: shown and sent as such, never searched.
SEPARATE = frozenset({"danger", "children", "kinds"})
TRANSLATION = "translation"
ANSWERED = "answered-questions"  # what a sender said to questions of the desk, as one text

_EDGES = " \t\n.,;:!?()[]{}\"'«»-–—/\\，。、；：！？（）「」"
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_DIGEST_DIGITS = 32
_MIN_DIGITS = 4  # of a word that is taken out elsewhere as a number


class NameToCheck(NamedTuple):
    """A name that the desk suggests, in how many places, and whether the draft takes it out everywhere."""

    name: str
    places: int
    on: bool


@dataclass(frozen=True)
class Redaction:
    """A tip's text under one draft of its referral; compute it once for a page or a referral, with `of`.

    Every mapping is by field: the answers, the translation, and each file that is text under its path.
    """

    fields: Mapping[str, str]
    draft: RedactionDraft
    suggestions: Mapping[str, tuple[Finding, ...]]  # what may name the sender
    removed: tuple[str, ...]  # every text that is taken out, each once
    repeats: Mapping[str, tuple[Span, ...]]  # where a removed text stands, marked there or not
    spans: Mapping[str, tuple[Span, ...]]  # all that is taken out, in order, without overlap
    redacted: Mapping[str, str]  # each field with its spans taken out

    @classmethod
    def of(
        cls, fields: Mapping[str, str], draft: RedactionDraft, suggestions: Mapping[str, tuple[Finding, ...]]
    ) -> "Redaction":
        """Return the redaction of some fields by a draft."""
        marked = {name: whole_words(text, draft.marks.get(name, ())) for name, text in fields.items()}
        pieces = [fields[name][start:end] for name, spans in marked.items() for start, end in spans]
        removed = _removed_texts([*pieces, *draft.terms], fields.values())
        search = PieceSearch(removed)
        repeats = {name: tuple(search.spans(text)) for name, text in fields.items()}
        spans = {name: tuple(merge_spans([*marked[name], *repeats[name]])) for name in fields}
        redacted = {name: remove_spans(text, spans[name]) for name, text in fields.items()}
        return cls(fields, draft, suggestions, removed, repeats, spans, redacted)

    def with_draft(self, draft: RedactionDraft) -> "Redaction":
        """Return the redaction of the same fields by another draft."""
        return Redaction.of(self.fields, draft, self.suggestions)

    @property
    def left(self) -> dict[str, str]:
        """The redacted fields that the draft does not leave out; a text file is among them under its path."""
        return {name: text for name, text in self.redacted.items() if is_sent(name, self.draft)}

    def gate(self) -> LeftoverGate:
        """Return the gate for own words: for what was taken out, and what the sender wrote, so for no translation."""
        own = (text for name, text in self.fields.items() if name not in {TRANSLATION, *SCHEMA.choice_names})
        return LeftoverGate.of(self.removed, own)

    def pieces(self) -> dict[str, list[MarkablePiece]]:
        """Return each field cut into the pieces that a handler can mark."""
        marks = self.draft.marks
        return {
            name: cut_text(text, self.suggestions.get(name, ()), marks.get(name, ()), self.repeats[name])
            for name, text in self.fields.items()
        }

    def names_to_check(self) -> list[NameToCheck]:
        """Return each name that is only suggested, once, in the order of reading, up to `MAX_NAMES`.

        A name that is taken out by a mark, or as a part of another text, is not among them.
        """
        places: dict[str, int] = {}
        for field, found in self.suggestions.items():
            for one in found:
                if one.kind in ONLY_SUGGESTED:
                    name = " ".join(self.fields[field][one.start : one.end].split())
                    places[name] = places.get(name, 0) + 1
        out = set(self.removed) - set(self.draft.terms)
        shown = [NameToCheck(name, count, name in self.draft.terms) for name, count in places.items()]
        return [one for one in shown if one.name not in out][:MAX_NAMES]

    def runs(self) -> dict[str, list[tuple[str, bool]]]:
        """Return each field as it came, in runs, each with whether it is taken out."""
        whole = {name: ((0, len(text)),) for name, text in self.fields.items() if not is_sent(name, self.draft)}
        return {name: _runs(text, whole.get(name, self.spans[name])) for name, text in self.fields.items()}


def answer_texts(case: Case) -> dict[str, str]:
    """Return a tip's free text by field, in the order of reading, with its translation after the first."""
    answers = {
        name: clean_text(SCHEMA.answer_text(name, value))
        for name, value in case.answers.items()
        if name not in SEPARATE
    }
    if case.translation:
        answers[TRANSLATION] = case.translation
    if case.replies:
        answers[ANSWERED] = clean_text(replies_text(case.replies))
    first, *others = (field.name for field in SCHEMA.fields if field.name not in SEPARATE)
    order = dict.fromkeys([first, TRANSLATION, *others, *answers])
    return {name: answers[name] for name in order if answers.get(name)}


def redactable_texts(
    case: Case, files: Sequence[Attachment], later: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return the free text by field, what came later, and each file that is text under its path.

    A file that is too long, alone or after the texts and files before it, is left out.
    """
    fields = {**answer_texts(case), **later}
    left = MAX_MARKABLE - sum(map(len, fields.values()))
    for file in files:
        if file.kind == "text" and isinstance(file.result, CleanedFile) and len(file.result.data) <= MAX_TEXT_FILE:
            text = clean_text(file.result.data.decode("utf-8", "replace"))
            if len(text) <= left:
                fields[file.path] = text
                left -= len(text)
    return fields


def is_our_field(name: str) -> bool:
    """Whether the desk or the form gave a field its name; any other name is the sender's, and may hold words."""
    known = {TRANSLATION, ANSWERED, *(field.name for field in SCHEMA.fields)}
    return name in known or bool(later_label(name))


def text_digest(text: str) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of a text, by which a later change of the text is seen."""
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:_DIGEST_DIGITS]


def is_translation_new(fields: Mapping[str, str], draft: RedactionDraft) -> bool:
    """Whether the fields hold a translation that no handler has looked at where a tip is redacted."""
    return TRANSLATION in fields and draft.seen != text_digest(fields[TRANSLATION])


def with_known_marks(draft: RedactionDraft, fields: Mapping[str, str]) -> RedactionDraft:
    """Return a draft without the marks of a translation that was changed: they would meet other words now."""
    if TRANSLATION not in draft.marks or not is_translation_new(fields, draft):
        return draft
    return replace(draft, marks={name: spans for name, spans in draft.marks.items() if name != TRANSLATION})


def is_sent(name: str, draft: RedactionDraft) -> bool:
    """Whether a referral by a draft carries a field; what came later is carried only if the draft names it."""
    return name not in draft.left_out and (name in draft.later or not is_later(name))


def rewordable(fields: Iterable[str]) -> list[str]:
    """Return the fields that own words can replace: what somebody wrote, and no file."""
    return [name for name in fields if not is_file(name) and name not in SCHEMA.choice_names]


def is_file(name: str) -> bool:
    """Whether a field is a file's text."""
    return name.startswith("files/")


def left_out_at_first(fields: Iterable[str]) -> tuple[str, ...]:
    """Return the fields that a referral carries only if a handler says so: unknown ones, and those not `referred`."""
    carried = {TRANSLATION, *(field.name for field in SCHEMA.fields if field.referred)}
    return tuple(name for name in fields if name not in carried and not is_file(name))


def suggest_removals(
    fields: Mapping[str, str], phrases: PhraseTrie, names: KnownNames
) -> dict[str, tuple[Finding, ...]]:
    """Return what may name the sender, by field: what the form's own search finds, and names of the desk's list.

    Ticked words are ours, and are not searched.
    """
    written = {name: text for name, text in fields.items() if name not in SCHEMA.choice_names}
    suspects = {field.name for field in SCHEMA.fields if field.about_suspects}
    found = find_in_fields(written, phrases=phrases, suspects=suspects)
    return dict.fromkeys(fields, ()) | {name: names.find(fields[name], of_field) for name, of_field in found.items()}


def find_removed(texts: Iterable[str], removed: Sequence[str]) -> tuple[str, ...]:
    """Return what of the removed texts still stands in a text that is about to be sent; it must be nothing."""
    search = PieceSearch(removed)
    checked = [compose(text.replace(REMOVED_PLACEHOLDER, "\0")) for text in texts]
    return tuple(text[start:end] for text in checked for start, end in search.spans(text))


def whole_words(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return spans grown to whole words: half a word that is left reveals the other half."""
    spans = tuple(spans)
    words = tuple(skeleton_words(text)) if spans else ()
    starts, ends = [word.start for word in words], [word.end for word in words]
    grown = []
    for start, end in spans:
        first, last = bisect_right(ends, start), bisect_left(starts, end) - 1
        inside = start < end and first <= last
        grown.append((min(start, starts[first]), max(end, ends[last])) if inside else (max(0, start), end))
    return merge_spans((start, min(end, len(text))) for start, end in grown)


def _removed_texts(pieces: Iterable[str], texts: Iterable[str]) -> tuple[str, ...]:
    """Return the pieces, each once, without the blanks and stops around them, and the names and numbers in them."""
    whole = [piece for piece in map(_trimmed, pieces) if piece]
    lower_case = {word for text in texts for word in _WORD.findall(text) if word[0].islower()}
    return tuple(dict.fromkeys([*whole, *(part for piece in whole for part in _names_in(piece, lower_case))]))


def _names_in(piece: str, lower_case: set[str]) -> list[str]:
    """Return the words of a piece that are names or numbers, which are then taken out elsewhere too.

    A name is one of several capitalised words, or one that stands nowhere in small letters: "Mele Fifita" takes out
    "mele" elsewhere too, while "My sister" does not take out every "my".
    """
    words = [word for word in _WORD.findall(piece) if len(word) > 1] if len(piece.split()) > 1 else []
    capitals = [word for word in words if word[0].isupper()]
    names = [word for word in capitals if len(capitals) > 1 or word.lower() not in lower_case]
    return [*names, *(word for word in words if sum(map(str.isdigit, word)) >= _MIN_DIGITS)]


def _trimmed(piece: str) -> str:
    return compose(piece).strip(_EDGES)


def _runs(text: str, out: Iterable[Span]) -> list[tuple[str, bool]]:
    runs: list[tuple[str, bool]] = []
    at = 0
    for start, end in out:
        runs += [(text[at:start], False), (text[start:end], True)]
        at = end
    return [run for run in [*runs, (text[at:], False)] if run[0]]
