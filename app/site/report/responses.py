"""The HTML responses of report and reply: the context that the views share, and each page for a step of the form.

Whatever a visitor typed is escaped by the templates and kept nowhere. Rows about files travel in the page, signed, so
that a later step shows what happened to the files and nothing that somebody made up. No response says "sent" but the
two that the views ask for after the outbox has the tip.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from flask import Response, g, request
from flask_babel import gettext as _

from app.core.errors import BusyError
from app.delivery.code_words import has_own_words
from app.delivery.outbox import Outbox
from app.delivery.receipt_codes import ReceiptCode, code_as_numbers, code_as_words
from app.files.protocol import REFUSALS
from app.files.turns import FileTurns
from app.site.agencies import AgencyConfig
from app.site.config import Config
from app.site.guide.prerender import LIVE_FINDINGS
from app.site.guide.signs import Sign
from app.site.report.choices import files_are_missing, kept_choices, sends_without_files, ticked_findings
from app.site.report.file_rows import FileRow, write_shown
from app.site.report.form_token import Token, TokenContext, TokenForm
from app.site.report.forms import ReportForm, TipForm
from app.site.report.held import HeldTipStore
from app.site.report.held_files import FURTHER, HeldFile
from app.site.report.journey import Journey
from app.site.report.submit import CleanFiles, SubmissionContext
from app.site.web.rate_limits import RateLimits
from app.text.find import FINDING_REASONS, find_identifying, find_in_fields
from app.text.phrases import Finding, PhraseTrie
from app.web.network_shares import NetworkShares, share_names
from app.web.networks import NetworkReader

# Bytes of every answer with files, and of every page on which a picture is covered.
WITH_FILES_BYTES, COVER_BYTES = 192 * 1024, 256 * 1024
_Form = TypeVar("_Form", bound=TokenForm)


@dataclass(frozen=True)
class ReportContext:
    """Everything that the views of report and reply need.

    `secret` signs form tokens, `signs` gives the signs that a reader of a language can tick, `clock` unix seconds.
    """

    config: Config
    origins: Sequence[str]
    outbox: Outbox
    held: HeldTipStore
    rates: RateLimits
    secret: bytes
    phrases: PhraseTrie
    clean_files: CleanFiles
    turns: FileTurns
    films: FileTurns
    waiting: NetworkShares
    memory: NetworkShares
    visitors: NetworkReader
    signs: Callable[[str], Sequence[Sign]]
    render: Callable[..., str]
    clock: Callable[[], float]

    def submission_to(self, agency: AgencyConfig | None) -> SubmissionContext:
        """Return what a submission passes through on its way to an agency; PageError where its form has none."""
        if agency is None:
            raise PageError(422, _("Something went wrong with that button. Nothing was sent. Please try again."))
        return SubmissionContext(
            agency=agency,
            outbox=self.outbox,
            held=self.held,
            clean_files=self.clean_files,
            words_room=self.config.limits.words_room,
            waiting=self.waiting,
            memory=self.memory,
            find_words=self.find_words,
            others=[other for other in self.config.report_agencies if other.id != agency.id],
        )

    def busy(self, sentence: str = "") -> "PageError":
        """Return what is said where files of others wait already: within how many minutes to try again, 2, 4, 8 ….

        The time is given as longer by a part that is drawn for each network and hour, so that it counts nobody.
        """
        waits = max(self.turns.expected_seconds(), self.films.expected_seconds())
        seconds = waits * (1 + self.visitors.draw(self.networks[0], "busy"))
        minutes = 2
        while 60 * minutes < seconds:
            minutes *= 2
        words = _("Other people’s files are being cleaned just now. Try again in about %(minutes)s minutes.")
        return PageError(BusyError.status, f"{sentence} {words % {'minutes': minutes}}".strip(), 60 * minutes)

    def find_words(self, text: str) -> Sequence[Finding]:
        """Return what in a text may say who wrote it."""
        return find_identifying(text, phrases=self.phrases)

    @property
    def networks(self) -> tuple[str, ...]:
        """Return the networks of the current request, narrowest first, under hourly names."""
        return share_names(self.visitors.of_environ(request.environ))

    @contextmanager
    def place(self, places: NetworkShares) -> Iterator[None]:
        """Take one of the places that visitors' networks share, for the time of the block; raises BusyError."""
        networks = self.networks
        if not places.take(networks):
            raise BusyError
        try:
            yield
        finally:
            places.give_back(networks)

    def open_form(self, form_class: type[_Form], *, min_fill: int = 0) -> _Form:
        """Return a form with what the request sent; one that came back sooner than `min_fill` seconds is refused."""
        now = self.clock()
        context = TokenContext(secret=self.secret, token=Token.new(now), now=now, min_fill=min_fill)
        return form_class(meta={"csrf_context": context})


class PageError(Exception):
    """Why a page comes again instead of the next one.

    `status` is its HTTP status, `sentence` stands at its top, `errors` are sentences by the id of the field that each
    is about, and `seconds` is when to try again (Retry-After, RFC 9110 section 10.2.3). `unknown` is for a tip that may
    have been sent before: then no line of the page says "not sent".
    """

    def __init__(
        self,
        status: int,
        sentence: str = "",
        seconds: int = 0,
        *,
        errors: Mapping[str, Sequence[str]] | None = None,
        unknown: bool = False,
    ) -> None:
        self.unknown = unknown
        self.status, self.sentence, self.seconds, self.errors = status, sentence, seconds, errors or {}
        super().__init__(status)


def closed_error(*, unknown: bool = False) -> PageError:
    """Return why an agency gets nothing now: its key has expired, or it takes no reports any more."""
    sentence = _("This form is closed at the moment, so nothing was sent. Please call one of the numbers.")
    return PageError(503, sentence, unknown=unknown)


@dataclass(frozen=True)
class HeldTip:
    """What the page of a held tip carries for its sender: the draft, hidden fields, a row for each file.

    `carried` are the names and values of the hidden fields of its journey. `held_until` is the end, in unix seconds, to
    which the tip can be extended.
    """

    draft: bytes
    carried: Sequence[tuple[str, str]]
    rows: Sequence[FileRow]
    held_until: int

    def with_files(self, files: Sequence[HeldFile]) -> "HeldTip":
        """Return it with what is held of each file now."""
        by_number = {file.number: file for file in files}
        return replace(self, rows=[row.with_file(by_number) for row in self.rows])


@dataclass(frozen=True)
class CoverPage:
    """One page of a picture or PDF, from 0, as a JPEG, with a grid of boxes over it."""

    file: HeldFile
    page: int
    picture: bytes
    columns: int
    rows: int


class ReportResponses:
    """Makes the responses of one journey; templates are in `templates/report/`."""

    def __init__(self, context: ReportContext, journey: Journey) -> None:
        self._context, self.journey = context, journey

    def form(
        self,
        form: ReportForm,
        carried: Sequence[tuple[str, str]],
        problem: PageError | None,
        *,
        closed: bool,
        begun: bool = False,
        token: str = "",
    ) -> Response:
        """Return the form, filled with what was typed, or with what was ticked on the page of signs where `begun`.

        `token` is the page's signed token; without one the page has the token of the form.
        """
        token = token or form.current.sign(self._context.secret)
        return self.page(
            "report/form.html",
            problem,
            form=form,
            carried=[*carried, *kept_choices(form)],
            token=token,
            closed=closed,
            begun=begun,
        )

    def check(self, form: TipForm, carried: Sequence[tuple[str, str]], problem: PageError | None) -> Response:
        """Return the look before sending: every answer, what in it may name the writer, and where files are added.

        Where files were chosen before and are gone, an error at their field says so.
        """
        findings, removed = ticked_findings(form, self._findings(form))
        missing = files_are_missing()
        if problem and missing:
            problem.errors = {**problem.errors, "files": [_("Choose your files again. They are no longer here.")]}
        return self.page(
            "report/check.html",
            problem,
            form=form,
            carried=carried,
            token=self.next_token(form.current),
            findings=findings,
            why=FINDING_REASONS,
            removed=removed,
            missing=missing,
            without=sends_without_files(),
            live=LIVE_FINDINGS,
            max_upload=self._context.config.report.max_upload,
        )

    def held(self, form: TipForm, held: HeldTip, problem: PageError | None, *, extended: bool = False) -> Response:
        """Return what will be sent, of each file what was taken out, before the tip is sent or destroyed.

        `extended` says that the tip's 30 minutes have just begun anew.
        Where a long text leaves no room in the length of the page, what is seen of the last files is left out.
        """
        for count in range(len(held.rows), -1, -1):
            response = self._held_page("report/held.html", form, held, problem, detailed=count, extended=extended)
            if len(response.get_data()) <= WITH_FILES_BYTES:
                break
        g.page_bytes = WITH_FILES_BYTES
        return response

    def cover(self, form: TipForm, held: HeldTip, cover: CoverPage) -> Response:
        """Return the page on which one picture is covered."""
        picture = b64encode(cover.picture).decode()
        response = self._held_page("report/cover.html", form, held, None, detailed=0, cover=cover, picture=picture)
        g.page_bytes = COVER_BYTES
        return response

    def _held_page(
        self, template: str, form: TipForm, held: HeldTip, problem: PageError | None, **values: Any
    ) -> Response:
        return self.page(
            template,
            problem,
            form=form,
            token=self.next_token(form.current),
            draft=held.draft.hex(),
            carried=held.carried,
            rows=held.rows,
            shown=write_shown(held.rows, held.held_until, held.draft, self._context.secret),
            refusals=REFUSALS,
            why=FINDING_REASONS,
            further=FURTHER,
            findings={field.name: () for field in form.questions},
            **values,
        )

    def with_code(self, template: str, code: ReceiptCode | None, *, status: int = 200, **values: Any) -> Response:
        """Return a page that shows a receipt code in words and in digits, where there is one.

        `own_words` is the code in the words of the reader's language, "" where BIP-39 has no list in that language.
        """
        own_words = code_as_words(code, g.lang) if code and has_own_words(g.lang) else ""
        values |= {"digits": code_as_numbers(code) if code else "", "own_words": own_words}
        token = Token.new(self._context.clock()).sign(self._context.secret)  # of the button that sends more
        return self.page(template, status=status, code=code or "", token=token, **values)

    def page(self, template: str, problem: PageError | None = None, *, status: int = 200, **values: Any) -> Response:
        """Return any page of report and reply, with the status and the Retry-After of its problem."""
        form = values.get("form")
        agency = (form.agency if isinstance(form, TipForm) else None) or self._context.config.intake
        frame = {"problem": problem, "agency": agency, "journey": self.journey}
        html = self._context.render(template, g.lang, **frame, **values)
        response = Response(html, problem.status if problem else status, mimetype="text/html")
        if problem and problem.seconds:
            response.headers["Retry-After"] = str(problem.seconds)
        return response

    def next_token(self, token: Token) -> str:
        """Return the signed token of the page after the first."""
        return token.next().sign(self._context.secret)

    def _findings(self, form: TipForm) -> dict[str, tuple[Finding, ...]]:
        return find_in_fields(form.texts, phrases=self._context.phrases, suspects=form.suspects)
