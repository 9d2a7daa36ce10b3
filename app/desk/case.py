"""A tip as the desk knows it, in frozen values, and every change of its state: which is allowed, and by whom.

A change is a method that returns a new Case or raises RefusedError, and does nothing else: `cases` journals the new
value and keeps it. The right to act is asked by `Case.require_holder` alone. Answers and file paths come from anyone
who sealed a tip: they are shown escaped and are not trusted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from app.desk.case_fields import (
    OPEN_STATES,
    REASONS,
    REDACTABLE_STATES,
    CaseFile,
    CaseNote,
    CaseQuestion,
    Outcome,
    RedactionDraft,
    SentReferral,
    State,
)
from app.desk.errors import RefusedError
from app.desk.thread import ThreadMessage, sorted_thread
from app.vault.part import Part, is_proven
from app.vault.tip import SCHEMA, ReplyTo, TipId
from app.vault.tip_bundles import Words


@dataclass(frozen=True)
class Case:
    """One tip on the desk: what came, its state, who works on it, and what the desk has done.

    `tip_id` is the id in the words of the tip, which anyone may have put there: of several tips that bear one id, all
    but the first have another `id` here. `part_key` (32 bytes) proves the parts that bring the files. Only an answer
    has `replies`, `withdraw` and `number`, as its tip does.
    """

    id: TipId
    received: date
    answers: Mapping[str, str | tuple[str, ...]]
    tip_id: str = ""
    files: tuple[CaseFile, ...] = ()
    part_count: int = 0
    part_key: bytes = field(default=b"", repr=False)
    reply: ReplyTo | None = None
    answers_to: str | None = None
    replies: Mapping[str, str] = field(default_factory=dict)
    withdraw: bool = False
    number: int = 0
    state: State = State.NEW
    holder: str = ""
    translator: bool = False
    translation: str = ""
    translated_by: str = ""
    notes: tuple[CaseNote, ...] = ()
    draft: RedactionDraft = field(default_factory=RedactionDraft)
    referrals: tuple[SentReferral, ...] = ()
    leaving: tuple[str, ...] = ()  # the ids of referrals and hand-overs that are being put into the outbox
    thread: tuple[ThreadMessage, ...] = ()
    answered_requests: tuple[str, ...] = ()  # the ids of the sender's requests not to pass the tip on
    silent: bool = False  # the desk does not say to the sender what became of the tip
    unread: bool = False  # the sender has answered since a handler read the thread
    outcome: Outcome = Outcome.UNKNOWN
    reason: str = ""
    closed: date | None = None
    given: tuple[str, ...] = ()  # the colleague to whom the tip was given, and the giver
    due: date | None = None  # the day by which it is due, where a handler set one
    sketch: tuple[int, ...] = ()
    follows: str = ""  # the id of the tip that leads the tips that belong together
    repeats: str = ""  # the id of the tip that a tip closed as a repeat says again
    envelope: str = ""  # the SHA-256, in hexadecimal digits, of the envelope that brought the words
    version: int = 0
    questions: tuple[CaseQuestion, ...] = ()  # of authorities, about referrals of this case and of its thread

    def text(self, name: str) -> str:
        """Return an answer as text, "" where there is none."""
        value = self.answers.get(name, "")
        return value if isinstance(value, str) else ", ".join(value)

    @property
    def danger(self) -> bool:
        """Whether the sender says that someone is in danger now."""
        return self.text("danger") == "yes"

    @property
    def children(self) -> bool:
        """Whether the sender says that a child is involved; older forms asked this by a kind, too."""
        return self.text("children") == "yes" or "child" in self.text("kinds").split(", ")

    def ticked(self, name: str) -> tuple[str, ...]:
        """Return the values of the schema that the sender ticked, in its order; anybody may seal a tip with others."""
        answer = self.answers.get(name, ())
        values = answer if isinstance(answer, tuple) else (answer,)
        return tuple(choice.value for choice in SCHEMA.field(name).choices if choice.value in values)

    @property
    def known_kinds(self) -> tuple[str, ...]:
        """The kinds that the sender ticked."""
        return self.ticked("kinds")

    @property
    def open(self) -> bool:
        """Whether there is still something to do."""
        return self.state in OPEN_STATES

    @property
    def undecided(self) -> tuple[CaseQuestion, ...]:
        """The questions of authorities about which a handler has not decided."""
        if self.state is State.OBJECTIONABLE:
            return ()
        answered = {sent.question for sent in self.referrals}
        return tuple(one for one in self.questions if not (one.put or one.declined or one.id in answered))

    @property
    def waits(self) -> bool:
        """Whether something waits for a handler: words of the sender that nobody has read, or a question."""
        return self.unread or bool(self.undecided)

    def proves(self, part: Part) -> bool:
        """Return whether a part belongs to this tip: the key in the words proves it."""
        return bool(self.part_count) and is_proven(
            part, tip=TipId(self.tip_id), key=self.part_key, count=self.part_count
        )

    def require_open(self) -> None:
        """Raise RefusedError unless there is still something to do, and nothing is just leaving.

        The codes: `objectionable`, `not-open`, `busy`.
        """
        self.require_shown()
        if not self.open:
            raise RefusedError("not-open")
        if self.leaving:
            raise RefusedError("busy")

    def require_shown(self) -> None:
        """Raise RefusedError `objectionable` if the tip is locked away."""
        if self.state is State.OBJECTIONABLE:
            raise RefusedError("objectionable")

    def require_holder(self, who: str, *, states: frozenset[State] = OPEN_STATES) -> None:
        """Raise RefusedError unless `who` works on this tip, and it is in one of the states.

        The codes: `objectionable`, `not-open`, `busy`, `state`, `claimed` (somebody else works on it), `not-claimed`.
        """
        self.require_open()
        if self.state not in states:
            raise RefusedError("state")
        if self.holder != who:
            raise RefusedError("claimed" if self.holder else "not-claimed")

    def require_redactor(self, who: str) -> None:
        """Raise as `require_holder` does, and `state` while a prepared referral waits for a second person."""
        self.require_holder(who, states=REDACTABLE_STATES)

    def claimed(self, who: str) -> "Case":
        """Return the tip with `who` working on it; raises RefusedError `claimed` or `not-open`."""
        self.require_open()
        if self.holder:
            raise RefusedError("claimed")
        return replace(self, holder=who, state=State.WORK if self.state is State.NEW else self.state)

    def released(self, who: str, *, force: bool = False) -> "Case":
        """Return the tip with nobody working on it; `force` takes the tip from another handler."""
        self.require_open() if force else self.require_holder(who)
        untouched = self.state is State.WORK and not self.draft.by
        return replace(self, holder="", given=(), state=State.NEW if untouched else self.state)

    def with_note(self, note: CaseNote) -> "Case":
        """Return the tip with one more note; anybody may add one."""
        return replace(self, notes=(*self.notes, note))

    def with_draft(self, who: str, draft: RedactionDraft) -> "Case":
        """Return the tip with another draft of its referral."""
        self.require_redactor(who)
        return replace(self, draft=draft)

    def with_translation(self, who: str, text: str, *, needs_translator: bool) -> "Case":
        """Return the tip with a translation, which is redacted and referred beside the text."""
        self.require_holder(who)
        return replace(self, translation=text, translated_by=who, translator=needs_translator and not text)

    def prepared(self, who: str, *, translator: str = "") -> "Case":
        """Return the tip with a finished draft that waits for a second person, for the authorities or a translator."""
        self.require_redactor(who)
        return replace(self, state=State.WAITING, draft=replace(self.draft, by=who, translator=translator))

    def sent_back(self, who: str) -> "Case":
        """Return a prepared tip to work, with `who` working on it; raises RefusedError `state`."""
        if self.state is not State.WAITING:
            raise RefusedError("state")
        return replace(self, state=State.WORK, holder=who, draft=replace(self.draft, by="", translator=""))

    def require_second(self, who: str) -> None:
        """Raise RefusedError `state` or `same-person` unless `who` may release what another person prepared."""
        if self.state is not State.WAITING:
            raise RefusedError("state")
        if who == self.draft.by:
            raise RefusedError("same-person")

    def referred(self, sent: tuple[SentReferral, ...], *, holder: str) -> "Case":
        """Return the tip as referred, its referrals on their way into the outbox; who may do that was asked before."""
        leaving = tuple(one.id for one in sent)
        return replace(self, state=State.REFERRED, referrals=(*self.referrals, *sent), holder=holder, leaving=leaving)

    def handed_over(self, who: str, hand_over: TipId, *, second: str = "") -> "Case":
        """Return the tip with its redacted text on its way to a translator; `second` releases what `who` prepared."""
        self.require_second(second) if second else self.require_redactor(who)
        state = State.REFERRED if self.referrals else State.WORK
        draft = replace(self.draft, by="", translator="")
        return replace(self, state=state, translator=True, holder=who, draft=draft, leaving=(hand_over,))

    def with_reply(self, who: str, message: ThreadMessage) -> "Case":
        """Return the tip with a reply in its thread."""
        self.require_holder(who)
        return replace(self, thread=(*self.thread, message))

    def with_posted(self, reply_id: str) -> "Case":
        """Return the tip with one of its replies noted as at the site."""
        thread = tuple(replace(one, posted=True) if one.id == reply_id else one for one in self.thread)
        return replace(self, thread=thread)

    def with_answers(self, *answers: ThreadMessage) -> "Case":
        """Return the tip with the sender's answers in its thread, unread unless they are bare requests."""
        unread = self.unread or any(one.text or one.replies or not one.withdraw for one in answers)
        return replace(self, thread=sorted_thread((*self.thread, *answers)), unread=unread)

    def read(self) -> "Case":
        """Return the tip with its thread read."""
        return replace(self, unread=False)

    def with_outcome(self, outcome: Outcome) -> "Case":
        """Return the tip with what came of it; anybody may note that."""
        return replace(self, outcome=outcome)

    def ended(self, who: str, day: date, reason: str, outcome: Outcome) -> "Case":
        """Return the tip closed, one's own or nobody's; raises RefusedError `no-reason` without one of ours."""
        if reason not in REASONS:
            raise RefusedError("no-reason")
        self.require_open()
        if self.holder not in ("", who):
            raise RefusedError("claimed")
        outcome, closed = outcome or self.outcome, max(day, self.received)  # a clock that is behind shortens no time
        return replace(self, state=State.CLOSED, reason=reason, outcome=outcome, closed=closed, holder="")

    def reopened(self, who: str) -> "Case":
        """Return a closed tip to work, with `who` working on it; raises RefusedError `state`."""
        if self.state is not State.CLOSED:
            raise RefusedError("state")
        state = State.REFERRED if self.referrals else State.WORK
        return replace(self, state=state, holder=who, reason="", repeats="", closed=None)

    def locked_away(self) -> "Case":
        """Return the tip as objectionable, for good, without its words, notes, draft or thread.

        The key of the parts stays, so that parts that come later are kept as evidence too.
        """
        return Case(
            id=self.id,
            received=self.received,
            answers={},
            tip_id=self.tip_id,
            part_count=self.part_count,
            part_key=self.part_key,
            state=State.OBJECTIONABLE,
            referrals=self.referrals,
        )


def case_from_words(words: Words, sketch: tuple[int, ...], *, case_id: TipId | None = None) -> Case:
    """Return the new case of a tip whose words have come in, under the tip's own id or `case_id`."""
    tip = words.tip
    return Case(
        id=case_id or tip.id,
        received=tip.received,
        answers=dict(tip.answers),
        tip_id=tip.id,
        files=tuple(CaseFile(file.path, file.type, file.removed, file.size) for file in words.files),
        part_count=words.part_count,
        part_key=words.key,
        reply=tip.reply,
        answers_to=tip.answers_to,
        replies=dict(tip.replies),
        withdraw=tip.withdraw,
        number=tip.number,
        sketch=sketch,
    )
