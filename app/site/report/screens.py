"""The pages of the report, as they are shown at each step; what they show is escaped, and kept nowhere.

None of them says "sent" but the one that is made after the outbox has the tip.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, g, request

from app.delivery.receipt_codes import ReceiptCode, numbers
from app.files.protocol import REFUSALS
from app.site.config import Config
from app.site.report.file_rows import FileRow, sign_rows
from app.site.report.forms import ReportForm
from app.text.find import WHY, Finding, Phrases, find, remove
from app.vault.tip import SCHEMA

# A box to take words out, as the check page writes it: field, start, end.
_SPAN = re.compile(r"([a-z-]{1,20}):(\d{1,6})-(\d{1,6})", re.ASCII)


@dataclass(frozen=True)
class Problem:
    """Why a page comes again: its HTTP status, a sentence for the top of it, and when to try again in seconds."""

    status: int
    sentence: str
    seconds: int = 0


@dataclass(frozen=True)
class HeldTip:
    """What the page of a held tip carries for its sender: the key to it, the receipt code, its files' rows."""

    draft: bytes
    code: ReceiptCode | None
    rows: Sequence[FileRow]


class ReportScreens:
    """Makes each page; `render(template, lang, **values)` comes from whoever builds the site."""

    def __init__(self, settings: Config, *, secret: bytes, phrases: Phrases, render: Callable[..., str]) -> None:
        self._settings, self._secret, self._phrases, self._render = settings, secret, phrases, render

    def form(self, form: ReportForm, problem: Problem | None, *, closed: bool) -> Response:
        """The form, filled with what was typed."""
        token = form.current.sign(self._secret)
        return self.plain("report/form.html", problem, form=form, token=token, closed=closed)

    def check(self, form: ReportForm, problem: Problem | None) -> Response:
        """The look before sending: every answer, what in it may name the writer, and where files are added."""
        return self.plain(
            "report/check.html",
            problem,
            form=form,
            token=self._next(form),
            findings=self._findings(form),
            why=WHY,
            removed=frozenset(request.form.getlist("remove")),
            max_upload=self._settings.report.max_upload,
        )

    def held(self, form: ReportForm, held: HeldTip, problem: Problem | None) -> Response:
        """What was taken out of each file, before the tip is sent or destroyed."""
        return self.plain(
            "report/held.html",
            problem,
            form=form,
            token=self._next(form),
            draft=held.draft.hex(),
            code=held.code or "",
            rows=held.rows,
            shown=sign_rows(held.rows, self._secret),
            refusals=REFUSALS,
        )

    def with_code(self, template: str, code: ReceiptCode | None, **values: Any) -> Response:
        """A page that shows a receipt code, where there is one."""
        return self.plain(template, None, code=code or "", digits=numbers(code) if code else "", **values)

    def plain(self, template: str, problem: Problem | None, **values: Any) -> Response:
        """Any page of the report, with the status and the waiting time of its problem."""
        page = self._render(template, g.lang, problem=problem, agency=self._settings.intake, **values)
        response = Response(page, problem.status if problem else 200, mimetype="text/html")
        if problem and problem.seconds:
            response.headers["Retry-After"] = str(problem.seconds)
        return response

    def _next(self, form: ReportForm) -> str:
        return form.current.next().sign(self._secret)

    def _findings(self, form: ReportForm) -> dict[str, tuple[Finding, ...]]:
        return {
            name: find(form[name].data or "", phrases=self._phrases, mild=SCHEMA.field(name).about_suspects)
            for name in SCHEMA.text_names
        }


def answers_of(form: ReportForm, untrusted_spans: Iterable[str] = ()) -> Mapping[str, str | tuple[str, ...]]:
    """The answers that a tip holds, without what its sender ticked to take out."""
    answers: dict[str, str | tuple[str, ...]] = {}
    spans = _spans(untrusted_spans)
    for field in SCHEMA.fields:
        data = form[field.name].data
        if data and field.choices:
            answers[field.name] = tuple(data) if isinstance(data, list) else data
        elif data:
            answers[field.name] = remove(data, spans.get(field.name, ()))
    return answers


def _spans(untrusted_values: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
    """The spans to take out of each field; what is not of the page's own form is passed over."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for value in untrusted_values:
        parts = _SPAN.fullmatch(value)
        if parts and parts[1] in SCHEMA.text_names:
            spans.setdefault(parts[1], []).append((int(parts[2]), int(parts[3])))
    return spans
