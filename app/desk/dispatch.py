"""From a case and its redaction to a referral: what is left, under a new id, and the keys that were compared by voice.

No referral is built before every text that goes out was searched for everything that was taken out. `release` signs,
seals and sends what is built here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.delivery.outbox import Outbox
from app.desk.attachments import Attachment, Attachments, burn_boxes
from app.desk.authority_questions import answered_question
from app.desk.case import Case
from app.desk.case_fields import RedactionDraft, Span
from app.desk.cases import Cases
from app.desk.config import Authority
from app.desk.errors import RefusedError
from app.desk.journal import JournalEntry
from app.desk.known_names import LISTED, KnownNames, load_known_names
from app.desk.later_messages import is_later, later_messages, message_text, referred_names
from app.desk.redaction import (
    ONLY_SUGGESTED,
    TRANSLATION,
    Redaction,
    find_removed,
    is_file,
    is_our_field,
    is_translation_new,
    left_out_at_first,
    redactable_texts,
    suggest_removals,
    with_known_marks,
)
from app.desk.referral import Referral
from app.desk.rewording import used_rewordings
from app.files.clean import CleanedFile
from app.text.phrases import Finding, PhraseTrie
from app.vault.keys import key_fingerprint
from app.vault.signature import encode_public_key, public_bytes
from app.vault.tip import SCHEMA, TipFile, new_tip_id

# By the kind of a suggestion, what an authority reads of a removed text: its kind, and nothing of the text itself.
REMOVED_KINDS: Mapping[str, str] = {
    "link": "link",
    "email": "email address",
    "bank": "bank account",
    "nhi": "health number",
    "ird": "tax number",
    "passport": "passport number",
    "licence": "driver licence number",
    "place": "exact position",
    "handle": "name on a social network",
    "phone": "phone number",
    "time": "exact time",
    "relation": "relationship",
    "role": "relationship",
    "only": "something that few people know",
    "name": "name",
    "self": "words that say who the sender is",
    "number": "number of a person, car or room",
    "person": "name",
    LISTED: "name",
    "mark": "unusual letters or signs",
}
_BY_HAND = "words chosen by a handler"
_BOXES = "parts of pictures"
_LEFT_OUT = "whole answers"
_REWORDED = "the sender's own words, in answers that the desk wrote anew"
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
    names: KnownNames = field(default_factory=load_known_names)
    sending: set[str] = field(default_factory=set)  # the ids of what is being sealed now

    def redaction(self, case: Case) -> Redaction:
        """Return the redaction of a tip by its own draft; raises RefusedError, or BusyError, for its files."""
        fields = self.texts(case)
        draft = with_known_marks(case.draft, fields)
        return Redaction.of(fields, draft, suggest_removals(fields, self.phrases, self.names))

    def find(self, name: str, text: str) -> tuple[Finding, ...]:
        """Return what may show who the sender is in one text that a handler writes in place of a field."""
        return suggest_removals({name: text}, self.phrases, self.names)[name]

    def texts(self, case: Case) -> dict[str, str]:
        """Return the texts of a tip that can be redacted, by field; its files may raise RefusedError or BusyError."""
        later = {name: message_text(one) for name, one in later_messages(case, self.cases).items()}
        return redactable_texts(case, self.attachments.of(case), later)


def first_draft(
    case: Case, suggestions: Mapping[str, Sequence[Finding]], authorities: Mapping[str, Authority]
) -> RedactionDraft:
    """Return a draft with every suggestion marked but those of `ONLY_SUGGESTED`.

    Files are kept back. The authorities are those that the answers speak for.
    """
    marks, chosen = _certain_marks(suggestions), suggest_authorities(case, authorities)
    return replace(case.draft, marks=marks, left_out=left_out_at_first(suggestions), authorities=chosen)


def with_new_texts(redaction: Redaction) -> Redaction:
    """Return a redaction with the certain suggestions marked in what is new: later messages, or another translation."""
    draft = redaction.draft
    new = [name for name in redaction.fields if is_later(name) and name not in (*draft.later, *draft.left_out)]
    new += [TRANSLATION] if is_translation_new(redaction.fields, draft) else []
    marks = _certain_marks({name: redaction.suggestions.get(name, ()) for name in new})
    return redaction.with_draft(replace(draft, marks={**draft.marks, **marks})) if marks else redaction


def _certain_marks(suggestions: Mapping[str, Sequence[Finding]]) -> dict[str, tuple[Span, ...]]:
    """Return a mark for every suggestion but those of `ONLY_SUGGESTED`, by field."""
    certain = {
        name: tuple((one.start, one.end) for one in of_field if one.kind not in ONLY_SUGGESTED)
        for name, of_field in suggestions.items()
    }
    return {name: spans for name, spans in certain.items() if spans}


def suggest_authorities(case: Case, authorities: Mapping[str, Authority]) -> tuple[str, ...]:
    """Return the ids of the authorities that take what a tip is about, in the configuration's order."""
    choices = (choice for field in SCHEMA.fields for choice in field.choices if choice.value in case.ticked(field.name))
    topics = {"trafficking", *case.known_kinds, *(choice.topic for choice in choices)}
    topics |= {"danger"} if case.danger else set()
    topics |= {"children", "child"} if case.children else set()
    return tuple(one.id for one in authorities.values() if topics.intersection(one.takes))


def is_key_confirmed(cases: Cases, authority: Authority) -> bool:
    """Whether the journal says that these very keys were compared by voice."""
    return cases.journal.has("confirmed-key", _key_mark(authority))


def confirm_key(cases: Cases, authority: Authority, who: str) -> None:
    """Journal that an authority's keys were compared by voice."""
    cases.journal.write(JournalEntry(who, "confirmed-key", "", _key_mark(authority)))


def _key_mark(authority: Authority) -> str:
    return f"{authority.id} {key_fingerprint(authority.recipients).replace(' ', '')}"


def build_referral(
    case: Case, redaction: Redaction, to: str, context: ReferralContext, *, purpose: str = "referral"
) -> Referral:
    """Return what an authority or a translator would get, before it is signed.

    A translator gets the redacted original where an authority gets own words, and no translation that nobody has
    redacted. Raises RefusedError: `nothing-left`, `file`, `still-there` (what was taken out stands elsewhere, as in
    the summary), `no-own-words`, `leftover` (what was taken out, or a sentence of the sender, stands in own words, and
    no handler let it stand), and `translation-new` (no handler has redacted the translation of now).
    """
    own = own_words(redaction) if purpose == "referral" else {}
    left = _texts_left(redaction, own, purpose)
    names = referred_names(left)
    kept = _kept_files(case, redaction, context.attachments)
    question = answered_question(context.cases, case) if purpose == "referral" else None
    if not left and not kept and not question:
        raise RefusedError("nothing-left")
    made = Referral(
        id=new_tip_id(),
        to=to,
        day=case.received,
        summary=redaction.draft.summary,
        danger=_choice(case, "danger"),
        children="yes" if case.children else _choice(case, "children"),
        kinds=case.known_kinds,
        fields={names[name]: text for name, text in left.items()},
        files=kept,
        removed=_removed_kinds(redaction, own, all_files=len(kept) == len(case.files)),
        contact=context.contact,
        key=encode_public_key(public_bytes(context.key)),
        purpose="answer" if question else purpose,
        question=question.id if question else "",
        about=question.reference if question else "",
        reworded=tuple(names[name] for name in own),
    )
    _require_nothing_removed(made, _without_allowed(redaction, left, own), redaction.removed)
    return made


def _texts_left(redaction: Redaction, own: Mapping[str, str], purpose: str) -> dict[str, str]:
    """Return what goes of each text, own words in its place; a translation only after somebody has redacted it."""
    left = {name: own.get(name, text) for name, text in redaction.left.items() if not is_file(name)}
    if TRANSLATION in left and TRANSLATION not in own and is_translation_new(redaction.fields, redaction.draft):
        if purpose == "referral":
            raise RefusedError("translation-new")
        del left[TRANSLATION]
    return left


def own_words(redaction: Redaction) -> dict[str, str]:
    """Return the own words that a referral carries, by field; raises RefusedError `no-own-words` or `leftover`."""
    rewordings = {name: one for name, one in used_rewordings(redaction.draft).items() if name in redaction.left}
    if not all(one.text for one in rewordings.values()):
        raise RefusedError("no-own-words")
    if rewordings:
        gate = redaction.gate()
        if any(gate.stopping(name, one.text, one.let_stand) for name, one in rewordings.items()):
            raise RefusedError("leftover")
    return {name: one.text for name, one in rewordings.items()}


def _without_allowed(redaction: Redaction, left: Mapping[str, str], own: Mapping[str, str]) -> list[str]:
    """Return the texts of a referral, without the taken-out words that a handler has let stand in own words."""
    if not own:
        return list(left.values())
    gate, rewordings = redaction.gate(), redaction.draft.rewordings
    allowed = {name: gate.without_allowed(name, text, rewordings[name].let_stand) for name, text in own.items()}
    return [allowed.get(name, text) for name, text in left.items()]


def _require_nothing_removed(made: Referral, texts_of_fields: Sequence[str], removed: Sequence[str]) -> None:
    """Raise RefusedError `still-there` if a removed text stands in what the sender wrote or a handler added."""
    # The name of a field that our form does not have is the sender's; our own names say nothing about the sender.
    names = [name for name in made.fields if not is_our_field(name)]
    texts = [made.summary, *texts_of_fields, *names, *(file.path for file in made.files)]
    texts += [file.data.decode("utf-8", "replace") for file in made.files if file.type == "text/plain"]
    if find_removed(texts, removed):
        raise RefusedError("still-there")


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


def _removed_kinds(redaction: Redaction, own: Mapping[str, str], *, all_files: bool) -> tuple[str, ...]:
    """Return the kinds of things that were taken out, each once; a mark that meets a suggestion is of its kind."""
    draft = redaction.draft
    names: dict[str, None] = {}
    for name, spans in draft.marks.items():
        for start, end in spans:
            names[_kind_of(start, end, redaction.suggestions.get(name, ()))] = None
    if draft.terms:
        names[_BY_HAND] = None
    if any(name in draft.left_out for name in redaction.fields if not is_later(name)):
        names[_LEFT_OUT] = None
    if own:
        names[_REWORDED] = None
    if any(boxes for path in draft.files for boxes in draft.boxes.get(path, {}).values()):
        names[_BOXES] = None
    if not all_files:
        names[_FILES_OUT] = None
    return tuple(names)


def _kind_of(start: int, end: int, found: Sequence[Finding]) -> str:
    met = next((one.kind for one in found if one.start < end and start < one.end), "")
    return REMOVED_KINDS.get(met, _BY_HAND)
