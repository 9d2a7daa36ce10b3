"""From a tip to a referral: mark what must not go on, draw boxes, look at what they will see, send or hand on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from app.core.unicode import clean_text
from app.desk import dispatch, marking, redaction
from app.desk.attachments import burn_boxes, page_images
from app.desk.case import Case, RedactionDraft, Span, State
from app.desk.config import Authority
from app.desk.dispatch import (
    build_referral,
    confirm_key,
    is_key_confirmed,
    key_fingerprint,
    prepare_referral,
    release_referral,
    send_referrals,
    send_to_translator,
    suggest_authorities,
)
from app.desk.errors import RefusedError
from app.desk.referral import NOTICE, pack_referral
from app.desk.service import Desk
from app.desk.web.app import get, go, page, post, who
from app.desk.web.case import picture
from app.text.find import WHY, Finding
from app.vault.bundle import size_class
from app.vault.seal import seal

_SUMMARY = 2000
_TERMS = 50


class ReferringPages:
    """From a tip to a referral: mark what must not go on, draw boxes, look at what they will see, send or hand on."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @get("/tips/<tip>/redact")
    def redact_page(self, tip: str) -> AnyResponse:
        """The words and files of a tip, each to be marked or kept."""
        case = _held(self._desk, tip)
        fields = dispatch.with_texts(case, self._desk.attachments.of(case))
        found = redaction.suggestions(fields, self._desk.phrases)
        draft = case.draft if case.draft.looked else _first_draft(case, found, self._desk)
        also = redaction.also(fields, draft)
        shown = {
            name: marking.pieces(text, found[name], draft.marks.get(name, ()), also[name])
            for name, text in fields.items()
        }
        return page(
            "redact.html",
            case=case,
            draft=draft,
            shown=shown,
            why=WHY,
            files=self._desk.attachments.of(case),
            authorities=self._desk.config.authorities.values(),
        )

    @post("/tips/<tip>/redact")
    def save_draft(self, tip: str) -> AnyResponse:
        """Keep the draft, then go where the button says."""
        case = _held(self._desk, tip)
        fields = dispatch.with_texts(case, self._desk.attachments.of(case))
        draft = _read_draft(case, fields, self._desk)
        self._desk.cases.change(tip, who(), "redacted", lambda now: replace(now, draft=draft))
        where = request.form.get("go", "")
        if where.startswith("boxes-") and where[6:].isdigit():
            return go(f"/tips/{tip}/boxes/{where[6:]}")
        return go(f"/tips/{tip}/refer") if where == "look" else go(f"/tips/{tip}/redact", "Saved.")

    @get("/tips/<tip>/boxes/<int:number>")
    def boxes(self, tip: str, number: int) -> AnyResponse:
        """One picture, or a PDF's pages, to draw boxes on."""
        case = _held(self._desk, tip)
        seen = self._desk.attachments.one(case, number)
        if seen.kind not in {"picture", "pages"}:
            raise RefusedError("file")
        lines = marking.write_boxes(case.draft.boxes.get(seen.path, {}))
        return page("boxes.html", case=case, seen=seen, number=number, lines=lines, pages=len(seen.pages) or 1)

    @post("/tips/<tip>/boxes/<int:number>")
    def save_boxes(self, tip: str, number: int) -> AnyResponse:
        """Keep the boxes of one file; the file is then one to send."""
        case = _held(self._desk, tip)
        seen = self._desk.attachments.one(case, number)
        drawn = marking.read_boxes(request.form.get("boxes", ""), len(seen.pages) or 1)
        every = {**case.draft.boxes, seen.path: drawn}
        sent = tuple(dict.fromkeys([*case.draft.files, seen.path]))
        draft = replace(case.draft, boxes=every, files=sent)
        self._desk.cases.change(tip, who(), "redacted", lambda now: replace(now, draft=draft))
        return go(f"/tips/{tip}/redact", "The boxes are saved. They are burnt in when you look at what they will see.")

    @get("/tips/<tip>/burnt/<int:number>")
    @get("/tips/<tip>/burnt/<int:number>/<int:place>")
    def burnt(self, tip: str, number: int, place: int = 0) -> AnyResponse:
        """A file as the authority would get it."""
        case = self._desk.cases.get(tip)
        if not case.open:
            raise RefusedError("not-open")
        seen = self._desk.attachments.one(case, number)
        made = burn_boxes(seen, case.draft.boxes.get(seen.path, {}))
        if seen.kind == "pages":
            pages = page_images(made)
            if not 1 <= place <= len(pages):
                raise RefusedError("file")
            return picture(pages[place - 1])
        return picture(made)

    @get("/tips/<tip>/refer")
    def look_at_it(self, tip: str) -> AnyResponse:
        """What the authority will see, beside what came."""
        case = self._desk.cases.get(tip)
        if case.state is not State.WAITING:
            case = _held(self._desk, tip)
        seen = self._desk.attachments.of(case)
        fields = dispatch.with_texts(case, seen)
        names = _parties(self._desk, case.draft.authorities)
        made = build_referral(case, case.draft, " and ".join(one.name for one in names), self._desk.referral_context)
        sealed = seal(pack_referral(made, self._desk.key), names[0].recipients) if names else b""
        out = redaction.taken_out(fields, case.draft)
        return page(
            "refer.html",
            case=case,
            made=made,
            notice_text=NOTICE,
            before={
                name: _before(text, out[name], left_out=name in case.draft.left_out) for name, text in fields.items()
            },
            files=[(place, one) for place, one in enumerate(seen, 1) if one.path in case.draft.files],
            size=size_class(len(sealed)) if sealed else "",
            parties=[(one, key_fingerprint(one), is_key_confirmed(self._desk.cases, one)) for one in names],
            two=self._desk.config.release > 1,
        )

    @post("/tips/<tip>/refer")
    def send(self, tip: str) -> AnyResponse:
        """Send it, or hand it to the second person."""
        case = self._desk.cases.get(tip)
        if request.form.get("version") != str(case.version):
            raise RefusedError("changed")
        parties = _parties(self._desk, case.draft.authorities)
        _confirm(self._desk, parties)
        if case.state is State.WAITING:
            release_referral(case, parties, self._desk.referral_context, who())
            return go(f"/tips/{tip}", "Released. It is sealed, signed and on its way.")
        case = _held(self._desk, tip)
        if self._desk.config.release > 1:
            prepare_referral(case, self._desk.referral_context, who())
            return go(f"/tips/{tip}", "Prepared. A second person must release it.")
        send_referrals(case, parties, self._desk.referral_context, who())
        return go(f"/tips/{tip}", "Referred. It is sealed, signed and on its way.")

    @post("/tips/<tip>/refer/back")
    def send_back(self, tip: str) -> AnyResponse:
        """Take a prepared referral back to work."""

        def back(case: Case) -> Case:
            if case.state is not State.WAITING:
                raise RefusedError("state")
            return replace(case, state=State.WORK, holder=who(), draft=replace(case.draft, by=""))

        self._desk.cases.change(tip, who(), "sent-back", back, free=True)
        return go(f"/tips/{tip}/redact", "It is back in work, and yours.")

    @post("/tips/<tip>/translator")
    def hand_over(self, tip: str) -> AnyResponse:
        """Seal the redacted text to a translator."""
        translator = self._desk.config.translators.get(request.form.get("translator", ""))
        if translator is None:
            raise RefusedError("no-authority")
        _confirm(self._desk, [translator])
        send_to_translator(_held(self._desk, tip), translator, self._desk.referral_context, who())
        return go(f"/tips/{tip}", "The redacted text is sealed to the translator and on its way.")


def _held(desk: Desk, tip: str) -> Case:
    """A tip that this handler works on; raises RefusedError."""
    case = desk.cases.get(tip)
    if case.state is State.OBJECTIONABLE:
        raise RefusedError("objectionable")
    if not case.open or case.state is State.WAITING:
        raise RefusedError("state" if case.open else "not-open")
    if case.holder != who():
        raise RefusedError("claimed" if case.holder else "not-claimed")
    return case


def _parties(desk: Desk, names: tuple[str, ...]) -> list[Authority]:
    return [desk.config.authorities[name] for name in names if name in desk.config.authorities]


def _confirm(desk: Desk, parties: list[Authority]) -> None:
    ticked = request.form.getlist("confirmed")
    for party in parties:
        if party.id in ticked and not is_key_confirmed(desk.cases, party):
            confirm_key(desk.cases, party, who())


def _first_draft(case: Case, found: Mapping[str, tuple[Finding, ...]], desk: Desk) -> RedactionDraft:
    """Every suggestion marked, files kept back, the authorities that the answers speak for."""
    marks = {name: tuple((one.start, one.end) for one in of_field) for name, of_field in found.items() if of_field}
    chosen = suggest_authorities(case, desk.config.authorities)
    return replace(case.draft, marks=marks, left_out=redaction.left_out_at_first(found), authorities=chosen)


def _read_draft(case: Case, fields: Mapping[str, str], desk: Desk) -> RedactionDraft:
    form = request.form
    kept = form.getlist("keep")
    paths = {file.path for file in case.files}
    terms = [clean_text(line).strip() for line in form.get("terms", "").splitlines()]
    return replace(
        case.draft,
        marks=marking.read_marks(form.getlist("m"), fields),
        terms=tuple(dict.fromkeys(term for term in terms if term))[:_TERMS],
        left_out=tuple(name for name in fields if name not in kept and not name.startswith("files/")),
        files=tuple(path for path in form.getlist("file") if path in paths),
        summary=clean_text(form.get("summary", ""))[:_SUMMARY],
        authorities=tuple(name for name in desk.config.authorities if name in form.getlist("authority")),
        looked=True,
    )


def _before(text: str, out: Sequence[Span], *, left_out: bool) -> list[tuple[str, bool]]:
    """A text as it came, in runs: each with whether it is taken out."""
    runs: list[tuple[str, bool]] = []
    at = 0
    for start, end in [(0, len(text))] if left_out else out:
        runs += [(text[at:start], False), (text[start:end], True)]
        at = end
    return [run for run in [*runs, (text[at:], False)] if run[0]]
