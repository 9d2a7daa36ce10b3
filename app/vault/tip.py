"""A tip as a value: its id, its day, its answers, its files, and the schema of the questions that are asked.

Every Tip is well formed: it holds no time finer than the day, no path that leaves its folder, no id of another form.
Anything else raises BundleError. The schema is the one list of the report's questions, with their limits; `tip_bundles`
makes the bundles of a tip.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import NewType

from app.core.errors import N_, BundleError

TipId = NewType("TipId", str)

MAX_FILES = 10
MAX_REPLIES = 20
MAX_REPLY_LENGTH = 200  # characters
MAX_NUMBER = 9999
REPLY_KEY_BYTES = 32
TIP_ID_BYTES = 26  # random bytes that make the id of an envelope

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_ID = re.compile(f"[{_ALPHABET}]{{26}}")
_PATH = re.compile(r"files/[1-9][0-9]?\.[a-z0-9]{1,8}")
_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]{1,100}")
_FIELD = re.compile(r"[a-z][a-z-]{0,31}")
_LOCATOR = re.compile(r"[!-~]{1,128}")


class FieldType(StrEnum):
    """How a field is asked: two sizes of free text, one choice, or several."""

    LONG = "long text"
    SHORT = "short text"
    CHOICE = "choice"
    CHOICES = "choices"


@dataclass(frozen=True)
class Choice:
    """One value of a choice field, its label, and the `takes` topic of the authorities that it concerns."""

    value: str
    label: str
    topic: str = ""


@dataclass(frozen=True)
class TipField:
    """One question of the report: its label and hint on the form, its heading in tip.txt, desk and referral.

    `max_length` is in characters. A field is about the writer unless it is `about_suspects`; names of suspects are
    evidence, so the finder searches such a field mildly. A referral carries a field unless a handler leaves it out,
    or, where it is not `referred`, only if a handler puts it in. `required` is the sentence for an empty field. A field
    that is not asked `first` stands under "More, if you know it" on the form.
    """

    name: str
    type: FieldType
    label: str
    heading: str
    hint: str = ""
    max_length: int = 0
    choices: tuple[Choice, ...] = ()
    about_suspects: bool = False
    referred: bool = True
    required: str = ""
    first: bool = False


@dataclass(frozen=True)
class TipSchema:
    """The questions of the report in their order; form, check page, tip.txt, desk and referral derive from it."""

    fields: tuple[TipField, ...]

    def field(self, name: str) -> TipField:
        """Return the field of this name; raises KeyError."""
        return {each.name: each for each in self.fields}[name]

    def heading(self, name: str) -> str:
        """Return the heading of a field in tip.txt, at the desk and in a referral; the name where it is unknown."""
        return next((each.heading for each in self.fields if each.name == name), name)

    def answer_text(self, name: str, value: str | tuple[str, ...]) -> str:
        """Return an answer as a person reads it: choices of ours by their labels, everything else as it came."""
        labels = {choice.value: choice.label for field in self.fields if field.name == name for choice in field.choices}
        return ", ".join(labels.get(one, one) for one in ((value,) if isinstance(value, str) else value))

    @property
    def text_names(self) -> tuple[str, ...]:
        """The names of the fields with free text, which is searched and redacted; all other fields have choices."""
        return tuple(each.name for each in self.fields if not each.choices)

    @property
    def choice_names(self) -> tuple[str, ...]:
        """The names of the fields whose answers are ticked."""
        return tuple(field.name for field in self.fields if field.choices)

    @property
    def kinds(self) -> tuple[Choice, ...]:
        """The kinds of exploitation that a sender can tick."""
        return self.field("kinds").choices


_KINDS = (
    Choice("work", N_("Forced to work, or paid far too little"), topic="work"),
    Choice("sex-work", N_("Sex work against someone’s will")),
    Choice("domestic", N_("Work in a home, such as cleaning or child care"), topic="work"),
    Choice("debt", N_("Working to pay off a debt"), topic="work"),
    Choice("documents", N_("Passport or papers taken away")),
    Choice("threats", N_("Threats or violence")),
    Choice("money", N_("Wages not paid"), topic="work"),
    Choice("movement", N_("Not free to leave or move around")),
    Choice("marriage", N_("Forced marriage")),
    Choice("crime", N_("Forced to commit crimes")),
    Choice("organs", N_("Removal of organs")),
    Choice("other", N_("Something else")),
)
_HAZARDS = (
    Choice("dogs", N_("Dogs")),
    Choice("weapons", N_("Weapons")),
    Choice("guards", N_("Cameras or guards")),
    Choice("other", N_("Something else")),
)
_PAID = (
    Choice("job-paid-for", N_("Someone paid to get the job"), topic="work"),
    Choice("wages-back", N_("Wages must be given back"), topic="work"),
)
_YES_NO_UNSURE = (Choice("yes", N_("Yes")), Choice("no", N_("No")), Choice("unsure", N_("I am not sure")))
_FIELDS = (
    TipField(
        "what",
        FieldType.LONG,
        N_("What is happening?"),
        "What is happening",
        N_("Write what you saw or heard, in any language. Do not write your name or anything that shows who you are."),
        10_000,
        required=N_("Write what is happening. A few words are enough."),
        first=True,
    ),
    TipField(
        "danger",
        FieldType.CHOICE,
        N_("Is someone in danger now?"),
        "Is someone in danger now",
        choices=_YES_NO_UNSURE,
        first=True,
    ),
    TipField(
        "children",
        FieldType.CHOICE,
        N_("Is a child involved?"),
        "Are children involved",
        choices=_YES_NO_UNSURE,
        first=True,
    ),
    TipField(
        "where",
        FieldType.SHORT,
        N_("Where?"),
        "Where",
        N_("A town, a street, the name of a business or a website."),
        1000,
    ),
    TipField(
        "hazards",
        FieldType.CHOICES,
        N_("Is there something dangerous at the place?"),
        "Dangers at the place",
        choices=_HAZARDS,
    ),
    TipField("when", FieldType.SHORT, N_("When?"), "When", N_("For example: since March, or every night."), 1000),
    TipField(
        "people",
        FieldType.SHORT,
        N_("Who is doing it?"),
        "Who is doing it",
        N_("Names, what they look like, cars, phone numbers, anything you know."),
        1000,
        about_suspects=True,
    ),
    TipField(
        "vehicle",
        FieldType.SHORT,
        N_("A car, or an account online?"),
        "Vehicle, or account online",
        N_("The number plate, make and colour. Or the name of the account, page or app."),
        200,
        about_suspects=True,
    ),
    TipField(
        "victims",
        FieldType.SHORT,
        N_("Who is it happening to?"),
        "To whom it is done",
        N_("How many people, and what you know about them."),
        1000,
    ),
    TipField("kinds", FieldType.CHOICES, N_("What is your report about?"), "What it is about", choices=_KINDS),
    TipField(
        "paid", FieldType.CHOICES, N_("Do workers have to pay for the job?"), "Payment for the job", choices=_PAID
    ),
    TipField(
        "how-known",
        FieldType.SHORT,
        N_("How do you know about this?"),
        "How the sender knows",
        N_("If you can, do not write things that only you could know."),
        1000,
    ),
)
SCHEMA = TipSchema(_FIELDS)


@dataclass(frozen=True)
class TipFile:
    """A cleaned file: its path (`files/1.jpg`), media type, the kinds of things removed from it, and its bytes."""

    path: str
    type: str
    removed: tuple[str, ...]
    data: bytes

    def __post_init__(self) -> None:
        _check(_PATH.fullmatch(self.path) and _TYPE.fullmatch(self.type) and _are_texts(self.removed))


@dataclass(frozen=True)
class ReplyTo:
    """The reply key, 32 bytes, and the locator under which a reply is posted."""

    key: bytes
    locator: str

    def __post_init__(self) -> None:
        _check(len(self.key) == REPLY_KEY_BYTES and _LOCATOR.fullmatch(self.locator))


@dataclass(frozen=True)
class Tip:
    """What one person sends; `received` is a day, never a finer time.

    A later answer names in `answers_to` the locator of the thread that it belongs to. Only an answer has `replies`,
    from the id of a question of the desk to what its sender says, `withdraw`, which asks the desk not to pass the
    report on, and `number`, its place among its sender's answers of that day (0 where that is not known).
    """

    id: TipId
    received: date
    answers: Mapping[str, str | tuple[str, ...]]
    files: tuple[TipFile, ...] = ()
    reply: ReplyTo | None = None
    answers_to: str | None = None
    replies: Mapping[str, str] = field(default_factory=dict)
    withdraw: bool = False
    number: int = 0
    decoy: bool = False

    def __post_init__(self) -> None:
        parse_tip_id(self.id)
        _check(type(self.received) is date and isinstance(self.decoy, bool))
        _check(self.answers_to is None or _LOCATOR.fullmatch(self.answers_to))
        _check(len({file.path for file in self.files}) == len(self.files) <= MAX_FILES)
        for name, value in self.answers.items():
            _check(_FIELD.fullmatch(name) and (isinstance(value, str) or _are_texts(value)))
        self._check_answer()

    def _check_answer(self) -> None:
        _check(isinstance(self.withdraw, bool) and type(self.number) is int and 0 <= self.number <= MAX_NUMBER)
        _check(self.answers_to is not None or not (self.replies or self.withdraw or self.number))
        _check(len(self.replies) <= MAX_REPLIES)
        for question, said in self.replies.items():
            _check(_FIELD.fullmatch(question) and isinstance(said, str) and len(said) <= MAX_REPLY_LENGTH)


def new_tip_id() -> TipId:
    """Return 26 random characters of Crockford's base 32, which hold no time and no order."""
    return make_tip_id(secrets.token_bytes(TIP_ID_BYTES))


def make_tip_id(random_bytes: bytes) -> TipId:
    """Return the id that 26 random bytes make: each byte one character."""
    return TipId("".join(_ALPHABET[byte % len(_ALPHABET)] for byte in random_bytes))


def parse_tip_id(text: str) -> TipId:
    """Return the id of a tip, checked; raises BundleError `id`."""
    if not _ID.fullmatch(text):
        raise BundleError("id")
    return TipId(text)


def new_decoy() -> Tip:
    """Return a tip that nobody sent, with random words."""
    return Tip(new_tip_id(), date(1980, 1, 1), {"what": secrets.token_urlsafe(1500)}, decoy=True)


def _check(condition: object) -> None:
    if not condition:
        raise BundleError("tip")


def _are_texts(values: object) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, str) for value in values)
