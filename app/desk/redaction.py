"""Take words out of a tip so that they are nowhere in what goes on: not where they were marked, nor anywhere else.

What a handler marks is removed wherever it stands, whatever its case, in every answer; a number also where it is
written with other spaces or hyphens. Each removed piece becomes the same `[removed]`, so its length tells nothing.
`left_in` is the last gate before a seal.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from app.core.unicode import clean_text
from app.desk.case import Case, RedactionDraft, Span
from app.text.find import REMOVED, Finding, Phrases, find, remove
from app.vault.tip import SCHEMA

# Choices for which referral.json has keys of their own: shown and sent as such, never searched.
SEPARATE = frozenset({"danger", "children", "kinds"})
TRANSLATION = "translation"

_EDGES = " \t\n.,;:!?()[]{}\"'«»-–—/\\，。、；：！？（）「」"
_NUMBER = re.compile(r"\+?\d(?:[\s().\-/]*\d){5,}")
_BETWEEN = r"[\s().\-/]*"
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_FEW_DIGITS = 3
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")


def texts(case: Case) -> dict[str, str]:
    """A tip's free text by field, in the order of reading; a translation stands among them."""
    answers = {name: clean_text(case.text(name)) for name in case.answers if name not in SEPARATE}
    if case.translation:
        answers[TRANSLATION] = case.translation
    first, *others = (field.name for field in SCHEMA.fields if field.name not in SEPARATE)
    order = dict.fromkeys([first, TRANSLATION, *others, *answers])
    return {name: answers[name] for name in order if answers.get(name)}


def left_out_at_first(fields: Iterable[str]) -> tuple[str, ...]:
    """Return the fields that a referral carries only if a handler says so: unknown ones, and those not `referred`."""
    carried = {TRANSLATION, *(field.name for field in SCHEMA.fields if field.referred)}
    return tuple(name for name in fields if name not in carried and not name.startswith("files/"))


def suggestions(fields: Mapping[str, str], phrases: Phrases) -> dict[str, tuple[Finding, ...]]:
    """What may name the sender, by field: the form's own finder."""
    mild = {field.name for field in SCHEMA.fields if field.about_suspects}
    return {name: find(text, phrases=phrases, mild=name in mild) for name, text in fields.items()}


def marked(fields: Mapping[str, str], draft: RedactionDraft) -> tuple[str, ...]:
    """Every piece of text that was taken out, each once, without the blanks and stops around it."""
    pieces = [
        fields[name][start:end]
        for name, spans in draft.marks.items()
        if name in fields
        for start, end in _whole_words(fields[name], spans)
    ]
    whole = [piece for piece in map(_bare, (*pieces, *draft.terms)) if piece]
    small = {word for text in fields.values() for word in _WORD.findall(text) if word[0].islower()}
    return tuple(dict.fromkeys([*whole, *(part for piece in whole for part in _names_in(piece, small))]))


def _names_in(piece: str, small: set[str]) -> list[str]:
    """The words of a piece that are names or numbers: two capitals, one that stands nowhere in small letters, digits.

    "Mele Fifita" takes out "mele" elsewhere too, while "My sister" does not take out every "my".
    """
    words = [word for word in _WORD.findall(piece) if len(word) > 1] if len(piece.split()) > 1 else []
    capitals = [word for word in words if word[0].isupper()]
    names = [word for word in capitals if len(capitals) > 1 or word.lower() not in small]
    return [*names, *(word for word in words if sum(map(str.isdigit, word)) > _FEW_DIGITS)]


def redacted(fields: Mapping[str, str], draft: RedactionDraft) -> dict[str, str]:
    """What is left: the fields that are kept, each with what was marked taken out, wherever it stands."""
    out = taken_out(fields, draft)
    return {name: remove(text, out[name]) for name, text in fields.items() if name not in draft.left_out}


def taken_out(fields: Mapping[str, str], draft: RedactionDraft) -> dict[str, list[Span]]:
    """What goes, by field: the marks, grown to whole words, and wherever else the same stands."""
    elsewhere = also(fields, draft)
    return {
        name: merged([*_whole_words(text, draft.marks.get(name, ())), *elsewhere[name]])
        for name, text in fields.items()
    }


def also(fields: Mapping[str, str], draft: RedactionDraft) -> dict[str, tuple[Span, ...]]:
    """Where else, by field, something that was marked stands and will be taken out too."""
    everywhere = [pattern(piece) for piece in marked(fields, draft)]
    return {
        name: tuple(match.span() for one in everywhere for match in one.finditer(text)) for name, text in fields.items()
    }


def left_in(sent: Iterable[str], pieces: Sequence[str]) -> tuple[str, ...]:
    """Which of the removed pieces still stand in some text that is about to be sent; it must be none."""
    plain = [unicodedata.normalize("NFC", text.replace(REMOVED, "\0")) for text in sent]
    return tuple(piece for piece in pieces if any(pattern(piece).search(text) for text in plain))


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in order; those that touch or overlap as one."""
    out: list[Span] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        elif start < end:
            out.append((start, end))
    return out


def _whole_words(text: str, spans: Iterable[Span]) -> list[Span]:
    """Spans grown to whole words: half a word that is left tells the other half."""
    grown = []
    for start, end in spans:
        while 0 < start < len(text) and _joins(text[start]) and _joins(text[start - 1]):
            start -= 1  # noqa: PLW2901
        while 0 < end < len(text) and _joins(text[end - 1]) and _joins(text[end]):
            end += 1  # noqa: PLW2901
        grown.append((max(0, start), min(end, len(text))))
    return merged(grown)


def pattern(piece: str) -> re.Pattern[str]:
    """Finds a removed piece as whole words, whatever its case and blanks; a number however it is grouped."""
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


def _bare(piece: str) -> str:
    return unicodedata.normalize("NFC", piece).strip(_EDGES)
