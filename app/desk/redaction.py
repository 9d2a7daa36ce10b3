"""The redaction of a tip: which words are taken out of its text, wherever they stand, and what is left.

What a handler marks is removed wherever it stands, whatever its case, in every field; a number also where it is
written with other blanks or hyphens. Each removed text becomes the same `[removed]`, which does not reveal its length.
`find_removed` is the last check of every text before it is sealed.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.core.unicode import clean_text
from app.desk.attachments import Attachment
from app.desk.case import Case, RedactionDraft, Span
from app.desk.marks import MarkablePiece, cut_text, merge_spans
from app.files.clean import CleanedFile
from app.text.find import REMOVED_PLACEHOLDER, find_identifying, remove_spans
from app.text.phrases import Finding, PhraseTrie
from app.vault.tip import SCHEMA

MAX_TEXT_FILE = 60_000  # bytes of a file whose words can be marked in a browser; a longer one is not sent
# Choices for which referral.json has keys of their own: shown and sent as such, never searched.
SEPARATE = frozenset({"danger", "children", "kinds"})
TRANSLATION = "translation"

_EDGES = " \t\n.,;:!?()[]{}\"'«»-–—/\\，。、；：！？（）「」"
_NUMBER = re.compile(r"\+?\d(?:[\s().\-/]*\d){5,}")
_BETWEEN = r"[\s().\-/]*"
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_MIN_DIGITS = 4  # of a word that is taken out elsewhere as a number
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")


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
        patterns = [_pattern(text) for text in removed]
        repeats = {
            name: tuple(match.span() for pattern in patterns for match in pattern.finditer(text))
            for name, text in fields.items()
        }
        spans = {name: tuple(merge_spans([*marked[name], *repeats[name]])) for name in fields}
        redacted = {name: remove_spans(text, spans[name]) for name, text in fields.items()}
        return cls(fields, draft, suggestions, removed, repeats, spans, redacted)

    def with_draft(self, draft: RedactionDraft) -> "Redaction":
        """Return the redaction of the same fields by another draft."""
        return Redaction.of(self.fields, draft, self.suggestions)

    @property
    def left(self) -> dict[str, str]:
        """The redacted fields that the draft does not leave out; a text file is among them under its path."""
        return {name: text for name, text in self.redacted.items() if name not in self.draft.left_out}

    def pieces(self) -> dict[str, list[MarkablePiece]]:
        """Return each field cut into the pieces that a handler can mark."""
        marks = self.draft.marks
        return {
            name: cut_text(text, self.suggestions.get(name, ()), marks.get(name, ()), self.repeats[name])
            for name, text in self.fields.items()
        }

    def runs(self) -> dict[str, list[tuple[str, bool]]]:
        """Return each field as it came, in runs, each with whether it is taken out."""
        whole = {name: ((0, len(self.fields[name])),) for name in self.draft.left_out if name in self.fields}
        return {name: _runs(text, whole.get(name, self.spans[name])) for name, text in self.fields.items()}


def answer_texts(case: Case) -> dict[str, str]:
    """Return a tip's free text by field, in the order of reading, with its translation after the first."""
    answers = {name: clean_text(case.text(name)) for name in case.answers if name not in SEPARATE}
    if case.translation:
        answers[TRANSLATION] = case.translation
    first, *others = (field.name for field in SCHEMA.fields if field.name not in SEPARATE)
    order = dict.fromkeys([first, TRANSLATION, *others, *answers])
    return {name: answers[name] for name in order if answers.get(name)}


def redactable_texts(case: Case, files: Sequence[Attachment]) -> dict[str, str]:
    """Return the free text by field, and each file that is text under its path, unless it is too long to be marked."""
    fields = answer_texts(case)
    for file in files:
        if file.kind == "text" and isinstance(file.result, CleanedFile) and len(file.result.data) <= MAX_TEXT_FILE:
            fields[file.path] = clean_text(file.result.data.decode("utf-8", "replace"))
    return fields


def is_file(name: str) -> bool:
    """Whether a field is a file's text."""
    return name.startswith("files/")


def left_out_at_first(fields: Iterable[str]) -> tuple[str, ...]:
    """Return the fields that a referral carries only if a handler says so: unknown ones, and those not `referred`."""
    carried = {TRANSLATION, *(field.name for field in SCHEMA.fields if field.referred)}
    return tuple(name for name in fields if name not in carried and not is_file(name))


def suggest_removals(fields: Mapping[str, str], phrases: PhraseTrie) -> dict[str, tuple[Finding, ...]]:
    """Return what may name the sender, by field, as the form's own search finds it."""
    suspects = {field.name for field in SCHEMA.fields if field.about_suspects}
    return {
        name: find_identifying(text, phrases=phrases, about_suspects=name in suspects) for name, text in fields.items()
    }


def find_removed(texts: Iterable[str], removed: Sequence[str]) -> tuple[str, ...]:
    """Return which of the removed texts still stand in some text that is about to be sent; it must be none."""
    normal = [unicodedata.normalize("NFC", text.replace(REMOVED_PLACEHOLDER, "\0")) for text in texts]
    return tuple(piece for piece in removed if any(_pattern(piece).search(text) for text in normal))


def whole_words(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return spans grown to whole words: half a word that is left reveals the other half."""
    grown = []
    for start, end in spans:
        while 0 < start < len(text) and _joins(text[start]) and _joins(text[start - 1]):
            start -= 1  # noqa: PLW2901
        while 0 < end < len(text) and _joins(text[end - 1]) and _joins(text[end]):
            end += 1  # noqa: PLW2901
        grown.append((max(0, start), min(end, len(text))))
    return merge_spans(grown)


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


def _pattern(piece: str) -> re.Pattern[str]:
    """Return what finds a removed text as whole words, whatever its case and blanks; a number however grouped."""
    if _NUMBER.fullmatch(piece):
        digits = [char for char in piece if char.isdigit()]
        return re.compile(r"\+?" + _BETWEEN.join(map(re.escape, digits)))
    body = r"\s+".join(re.escape(part) for part in piece.split())
    before = r"(?<!\w)" if _joins(piece[0]) else ""
    after = r"(?!\w)" if _joins(piece[-1]) else ""
    return re.compile(before + body + after, re.IGNORECASE)


def _joins(character: str) -> bool:
    """Whether a letter would make a longer word of its neighbour; Chinese ones stand alone."""
    return bool(re.match(r"\w", character)) and not _HAN.match(character)


def _trimmed(piece: str) -> str:
    return unicodedata.normalize("NFC", piece).strip(_EDGES)


def _runs(text: str, out: Iterable[Span]) -> list[tuple[str, bool]]:
    runs: list[tuple[str, bool]] = []
    at = 0
    for start, end in out:
        runs += [(text[at:start], False), (text[start:end], True)]
        at = end
    return [run for run in [*runs, (text[at:], False)] if run[0]]
