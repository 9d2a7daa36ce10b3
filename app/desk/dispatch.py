"""From a case and its redaction to referrals: what is left, under a new id, signed, sealed, and in the outbox.

Nothing is sealed before every text that goes out was searched for everything that was taken out, and to no key that
has expired or was never confirmed by voice. Each authority gets a referral of its own. With two-person release the
first handler prepares a referral and a second seals and sends it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import BundleError
from app.delivery.outbox import Envelope, Outbox
from app.desk.attachments import Attachment, Attachments, burn_boxes
from app.desk.case import Case, RedactionDraft, SentReferral
from app.desk.cases import Cases
from app.desk.config import Authority
from app.desk.errors import RefusedError
from app.desk.journal import JournalEntry
from app.desk.redaction import (
    Redaction,
    find_removed,
    is_file,
    left_out_at_first,
    redactable_texts,
    suggest_removals,
)
from app.desk.referral import Referral, ReferralWords, referral_bundles, referral_json, referral_words
from app.files.clean import CleanedFile
from app.text.phrases import Finding, PhraseTrie
from app.vault.age import seal
from app.vault.signature import SignatureContext, encode_public_key, public_bytes, sign
from app.vault.tip import SCHEMA, TipFile, new_tip_id

# By the kind of a suggestion, what an authority reads of a removed text: its kind, and nothing of the text itself.
REMOVED_KINDS: Mapping[str, str] = {
    "link": "link",
    "email": "e-mail address",
    "bank": "bank account",
    "nhi": "health number",
    "ird": "tax number",
    "passport": "passport number",
    "licence": "driver licence number",
    "place": "exact position",
    "handle": "name on a social network",
    "phone": "telephone number",
    "time": "exact time",
    "relation": "relationship",
    "role": "relationship",
    "only": "what few people know",
    "name": "name",
    "self": "what says who the sender is",
}
_BY_HAND = "words marked by a handler"
_BOXES = "parts of pictures"
_LEFT_OUT = "whole answers"
_FILES_OUT = "whole files"


@dataclass(frozen=True)
class ReferralContext:
    """What a referral needs beside its case: where cases, files and envelopes are, the desk's key and contact."""

    cases: Cases
    attachments: Attachments
    outbox: Outbox
    key: Ed25519PrivateKey
    phrases: PhraseTrie
    contact: str

    def redaction(self, case: Case) -> Redaction:
        """Return the redaction of a tip by its own draft; raises RefusedError, or BusyError, for its files."""
        fields = redactable_texts(case, self.attachments.of(case))
        return Redaction.of(fields, case.draft, suggest_removals(fields, self.phrases))


def first_draft(
    case: Case, suggestions: Mapping[str, Sequence[Finding]], authorities: Mapping[str, Authority]
) -> RedactionDraft:
    """Return a draft with every suggestion marked, files kept back, the authorities that the answers speak for."""
    marks = {
        name: tuple((one.start, one.end) for one in of_field) for name, of_field in suggestions.items() if of_field
    }
    chosen = suggest_authorities(case, authorities)
    return replace(case.draft, marks=marks, left_out=left_out_at_first(suggestions), authorities=chosen)


def suggest_authorities(case: Case, authorities: Mapping[str, Authority]) -> tuple[str, ...]:
    """Return the ids of the authorities that take what a tip is about, in the configuration's order."""
    topics = {"trafficking", *case.kinds, *(kind.topic for kind in SCHEMA.kinds if kind.value in case.kinds)}
    topics |= {"danger"} if case.danger else set()
    topics |= {"children", "child"} if case.children else set()
    return tuple(one.id for one in authorities.values() if topics.intersection(one.takes))


def key_fingerprint(authority: Authority) -> str:
    """Return a fingerprint of an authority's keys to compare by voice: 128 bits of SHA-256, in eight groups."""
    digest = sha256("\n".join(authority.recipients).encode()).hexdigest()[:32]
    return " ".join(digest[at : at + 4] for at in range(0, 32, 4))


def is_key_confirmed(cases: Cases, authority: Authority) -> bool:
    """Whether the journal says that these very keys were compared by voice."""
    what = _key_mark(authority)
    return any(entry.did == "confirmed-key" and entry.what == what for entry in cases.journal.entries)


def confirm_key(cases: Cases, authority: Authority, who: str) -> None:
    """Journal that an authority's keys were compared by voice."""
    cases.journal.write(JournalEntry(who, "confirmed-key", "", _key_mark(authority)))


def _key_mark(authority: Authority) -> str:
    return f"{authority.id} {key_fingerprint(authority).replace(' ', '')}"


def build_referral(
    case: Case, redaction: Redaction, to: str, context: ReferralContext, *, purpose: str = "referral"
) -> Referral:
    """Return what an authority would get, before it is signed.

    Raises RefusedError: `nothing-left`, `file`, `still-there` (what was taken out stands elsewhere, as in the summary).
    """
    left = {name: text for name, text in redaction.left.items() if not is_file(name)}
    kept = _kept_files(case, redaction, context.attachments)
    if not left and not kept:
        raise RefusedError("nothing-left")
    made = Referral(
        id=new_tip_id(),
        to=to,
        day=case.received,
        summary=redaction.draft.summary,
        danger=_choice(case, "danger"),
        children=_choice(case, "children"),
        kinds=case.known_kinds,
        fields=left,
        files=kept,
        removed=_removed_kinds(redaction, all_files=len(kept) == len(case.files)),
        contact=context.contact,
        key=encode_public_key(public_bytes(context.key)),
        purpose=purpose,
    )
    _require_nothing_removed(made, redaction.removed)
    return made


def _require_nothing_removed(made: Referral, removed: Sequence[str]) -> None:
    """Raise RefusedError `still-there` if a removed text stands in what the sender wrote or a handler added."""
    texts = [made.summary, *made.fields.values(), *made.fields, *(file.path for file in made.files)]
    texts += [file.data.decode("utf-8", "replace") for file in made.files if file.type == "text/plain"]
    if find_removed(texts, removed):
        raise RefusedError("still-there")


def send_referrals(
    case: Case, parties: Sequence[Authority], context: ReferralContext, who: str, *, second: str = ""
) -> Case:
    """Seal one referral for each party, put them in the outbox, and note them in the case.

    `second` is the person who releases what `who` prepared. Raises RefusedError and OutboxError. A case that was
    changed since it was read is refused (`changed`), so that only what was looked at is sent.
    """
    _require_complete(case, parties)
    for party in parties:
        _require_usable_key(party, context)
    redaction = context.redaction(case)
    made = [(party, build_referral(case, redaction, party.name, context)) for party in parties]
    words = [referral_words(referral) for _, referral in made]
    sent = tuple(_record(one, party, context, who, second) for (party, _), one in zip(made, words, strict=True))
    sealed: list[Envelope] = []
    for (party, referral), one in zip(made, words, strict=True):
        sealed += _seal(one, referral, party, context)

    def refer(now: Case) -> Case:
        if second:
            now.require_second(second)
        else:
            now.require_redactor(who)
        _require_unchanged(now, case)
        context.outbox.put(sealed)  # all or none: after a failure the case says that nothing was sent
        return now.referred(sent, holder="" if second else now.holder)

    what = "to " + " ".join(party.id for party in parties)
    return context.cases.change(case.id, second or who, "referred", refer, what=what)


def prepare_referral(case: Case, context: ReferralContext, who: str) -> Case:
    """Hand a finished draft to a second person; raises as `send_referrals` would for the same draft."""
    _require_complete(case, case.draft.authorities)
    build_referral(case, context.redaction(case), "-", context)

    def prepare(now: Case) -> Case:
        _require_unchanged(now, case)
        return now.prepared(who)

    return context.cases.change(case.id, who, "prepared", prepare)


def release_referral(case: Case, parties: Sequence[Authority], context: ReferralContext, who: str) -> Case:
    """Send what another person prepared; raises RefusedError `same-person` or `state`, and as `send_referrals` does."""
    case.require_second(who)
    return send_referrals(case, parties, context, case.draft.by, second=who)


def send_to_translator(case: Case, translator: Authority, context: ReferralContext, who: str) -> Case:
    """Seal the redacted text, without files, to a translator, and note that; raises RefusedError, OutboxError."""
    _require_usable_key(translator, context)
    redaction = context.redaction(case)
    redaction = redaction.with_draft(replace(redaction.draft, files=()))
    made = build_referral(case, redaction, translator.name, context, purpose="translation")
    envelopes = _seal(referral_words(made), made, translator, context)

    def hand_over(now: Case) -> Case:
        _require_unchanged(now, case)
        sent = now.sent_to_translator(who)
        context.outbox.put(envelopes)
        return sent

    return context.cases.change(case.id, who, "to-translator", hand_over, what=translator.id)


def _require_complete(case: Case, chosen: Sequence[object]) -> None:
    if not chosen:
        raise RefusedError("no-authority")
    if not case.draft.summary:
        raise RefusedError("no-summary")


def _require_unchanged(now: Case, case: Case) -> None:
    """Raise RefusedError `changed` if the case is another than the one from which a referral was built."""
    if now.version != case.version:
        raise RefusedError("changed")


def _require_usable_key(party: Authority, context: ReferralContext) -> None:
    if party.expires < context.cases.today():
        raise RefusedError("expired")
    if not is_key_confirmed(context.cases, party):
        raise RefusedError("unconfirmed")


def _seal(words: ReferralWords, made: Referral, party: Authority, context: ReferralContext) -> list[Envelope]:
    """Return the envelopes of a referral, its words first; raises RefusedError `referral-too-long`."""
    try:
        bundles = referral_bundles(words, made.files, context.key)
    except BundleError as error:
        raise (RefusedError("referral-too-long") if error.code == "too-large" else error) from None
    return [Envelope(bundle.id, party.id, seal(bundle.data, party.recipients)) for bundle in bundles]


def _record(words: ReferralWords, party: Authority, context: ReferralContext, who: str, second: str) -> SentReferral:
    text, made = referral_json(words), words.referral
    signature = sign(SignatureContext.REFERRAL, text, context.key)
    return SentReferral(made.id, party.id, party.name, context.cases.today(), who, second, text.decode(), signature)


def _kept_files(case: Case, redaction: Redaction, attachments: Attachments) -> tuple[TipFile, ...]:
    kept: list[TipFile] = []
    for attachment in attachments.of(case) if redaction.draft.files else ():
        unmarked = attachment.kind == "text" and attachment.path not in redaction.fields
        if attachment.path not in redaction.draft.files or unmarked or not isinstance(attachment.result, CleanedFile):
            continue
        cleaned = _redacted_file(attachment, attachment.result, redaction)
        # Numbered anew: a gap would reveal that there was another file.
        path = f"files/{len(kept) + 1}.{cleaned.path.rpartition('.')[2]}"
        kept.append(TipFile(path, cleaned.type, (), cleaned.data))
    return tuple(kept)


def _redacted_file(attachment: Attachment, cleaned: CleanedFile, redaction: Redaction) -> CleanedFile:
    if attachment.kind == "text":
        return replace(cleaned, data=redaction.redacted[attachment.path].encode())
    if attachment.kind in {"picture", "pages"}:
        return burn_boxes(attachment, redaction.draft.boxes.get(attachment.path, {}))
    return cleaned


def _choice(case: Case, name: str) -> str:
    value = case.text(name)
    return value if value in {choice.value for choice in SCHEMA.field(name).choices} else ""


def _removed_kinds(redaction: Redaction, *, all_files: bool) -> tuple[str, ...]:
    """Return the kinds of things that were taken out, each once; a mark that meets a suggestion is of its kind."""
    draft = redaction.draft
    names: dict[str, None] = {}
    for name, spans in draft.marks.items():
        for start, end in spans:
            names[_kind_of(start, end, redaction.suggestions.get(name, ()))] = None
    if draft.terms:
        names[_BY_HAND] = None
    if any(name in draft.left_out for name in redaction.fields):
        names[_LEFT_OUT] = None
    if any(boxes for path in draft.files for boxes in draft.boxes.get(path, {}).values()):
        names[_BOXES] = None
    if not all_files:
        names[_FILES_OUT] = None
    return tuple(names)


def _kind_of(start: int, end: int, found: Sequence[Finding]) -> str:
    met = next((one.kind for one in found if one.start < end and start < one.end), "")
    return REMOVED_KINDS.get(met, _BY_HAND)
