"""What a sender chose and must not lose from page to page: the words ticked to take out, and that there were files.

A browser gives files once. Where files came and the page comes again, a later page says at the field of the files that
they must be chosen again, and the form is not sent without files unless its sender ticks that. Ticked words travel back
to the form as words, and forward as the places of these words in the changed text.
"""

from collections.abc import Mapping, Sequence

from flask import request

from app.site.report.forms import TipForm, spans_by_field
from app.site.report.ticked import (
    TickedWords,
    read_ticked,
    ticked_spans,
    ticked_words,
    with_ticked,
    write_ticked,
)
from app.text.phrases import Finding
from app.web.http import REFUSED, WORDS_BYTES

_MOST_CHARACTERS = 20_000  # of a text in which ticked words are found; a longer one is refused


def files_came() -> bool:
    """Return whether this request brought files, or the draft of a held tip, or was too long to be words alone."""
    long = (request.content_length or 0) > WORDS_BYTES
    return long or "draft" in request.form or any(file.filename for file in request.files.values())


def files_are_missing() -> bool:
    """Return whether files came with an earlier page or with this one, so that the page after this one lacks them."""
    unread = REFUSED in request.environ  # the beginning alone was kept, which has the words
    with_files = request.mimetype == "multipart/form-data" and (unread or files_came())
    return with_files or "draft" in request.form or "chosen" in request.form


def sends_without_files() -> bool:
    """Return whether the sender ticked that the form is sent without the files that were chosen before."""
    return "without-files" in request.form


def kept_choices(form: TipForm) -> list[tuple[str, str]]:
    """Return the names and values of the hidden fields in which the page that asks the questions keeps the choices."""
    ticked = write_ticked(_ticked(form.texts))
    return [*([("ticked", ticked)] if ticked else []), *([("chosen", "yes")] if files_are_missing() else [])]


def ticked_findings(
    form: TipForm, findings: Mapping[str, Sequence[Finding]]
) -> tuple[dict[str, tuple[Finding, ...]], frozenset[str]]:
    """Return the findings with a row for all ticked words that still stand, and the values of the boxes to tick."""
    texts = form.texts
    spans = ticked_spans(texts, _ticked(texts))
    rows = {name: with_ticked(texts.get(name, ""), found, spans.get(name, ())) for name, found in findings.items()}
    return rows, frozenset(f"{name}:{start}-{end}" for name in rows for start, end in spans.get(name, ()))


def _ticked(texts: Mapping[str, str]) -> list[TickedWords]:
    """Return the words whose boxes were ticked in this request, and those that an earlier page had."""
    # A hidden field holds a cleaned text, of which a browser writes the line ends as two characters.
    short = {name: text.replace("\r\n", "\n") for name, text in texts.items() if len(text) <= _MOST_CHARACTERS}
    boxes = ticked_words(short, spans_by_field(request.form.getlist("remove")))
    return [*boxes, *read_ticked(request.form.get("ticked", ""))]
