"""The tip: the schema of its questions, its value, and its bundle (`tip.json`, `tip.txt` for a person, the files).

A tip without files is always of the smallest size class, so that the length of an envelope does not reveal the length
or the script of the text. Every Tip is well formed; anything else raises BundleError. Readers of a bundle must still
treat words and files as hostile: anyone may seal to a published key.
"""

import base64
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, NewType

from app.core.errors import N_, BundleError
from app.vault.bundle import SMALLEST, pack, unpack

TipId = NewType("TipId", str)

FORMAT = "haumaru-tip/1"
MAX_FILES = 10
REPLY_KEY_BYTES = 32

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_ID = re.compile(f"[{_ALPHABET}]{{26}}")
_PATH = re.compile(r"files/[1-9][0-9]?\.[a-z0-9]{1,8}")
_NAMES = re.compile(rf"tip\.json|tip\.txt|{_PATH.pattern}")
_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]{1,100}")
_FIELD = re.compile(r"[a-z][a-z-]{0,31}")
_LOCATOR = re.compile(r"[!-~]{1,128}")

# Characters that control a terminal or reverse a line; only `tip.json` keeps them.
_CONTROL = {*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)} - {0x09, 0x0A}
_VISIBLE = dict.fromkeys(_CONTROL, "\ufffd") | {0x0A: "\n  "}


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
    or, where it is not `referred`, only if a handler puts it in. `required` is the sentence for an empty field.
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


@dataclass(frozen=True)
class TipSchema:
    """The questions of the report in their order; form, check page, tip.txt, desk and referral derive from it."""

    fields: tuple[TipField, ...]

    def field(self, name: str) -> TipField:
        """Return the field of this name; raises KeyError."""
        return {field.name: field for field in self.fields}[name]

    def heading(self, name: str) -> str:
        """Return the heading of a field in tip.txt, at the desk and in a referral; the name where it is unknown."""
        return next((field.heading for field in self.fields if field.name == name), name)

    @property
    def text_names(self) -> tuple[str, ...]:
        """The names of the fields with free text, which is searched and redacted; all other fields have choices."""
        return tuple(field.name for field in self.fields if not field.choices)

    @property
    def kinds(self) -> tuple[Choice, ...]:
        """The kinds of exploitation that a sender can tick."""
        return self.field("kinds").choices


_KINDS = (
    Choice("work", N_("Forced or badly underpaid work"), topic="work"),
    Choice("sex-work", N_("Sex work against someone’s will")),
    Choice("domestic", N_("Work in a home, such as cleaning or child care"), topic="work"),
    Choice("debt", N_("Working to pay off a debt"), topic="work"),
    Choice("documents", N_("Passport or papers taken away")),
    Choice("threats", N_("Threats or violence")),
    Choice("money", N_("Wages kept back"), topic="work"),
    Choice("movement", N_("Not free to leave or to move about")),
    Choice("marriage", N_("Forced marriage")),
    Choice("crime", N_("Made to commit crimes")),
    Choice("organs", N_("Removal of organs")),
    Choice("child", N_("A child is involved"), topic="children"),
    Choice("other", N_("Something else")),
)
_YES_NO_UNSURE = (Choice("yes", N_("Yes")), Choice("no", N_("No")), Choice("unsure", N_("I am not sure")))
_FIELDS = (
    TipField(
        "danger", FieldType.CHOICE, N_("Is someone in danger now?"), "Is someone in danger now", choices=_YES_NO_UNSURE
    ),
    TipField("children", FieldType.CHOICE, N_("Is a child involved?"), "Are children involved", choices=_YES_NO_UNSURE),
    TipField(
        "what",
        FieldType.LONG,
        N_("What is happening?"),
        "What is happening",
        N_("Write what you saw or heard, in any language. Leave out who you are."),
        10_000,
        required=N_("Write what is happening. A few words are enough."),
    ),
    TipField("kinds", FieldType.CHOICES, N_("What kind of thing is it?"), "What it is about", choices=_KINDS),
    TipField(
        "where",
        FieldType.SHORT,
        N_("Where?"),
        "Where",
        N_("A town, a street, the name of a business or a website."),
        1000,
    ),
    TipField("when", FieldType.SHORT, N_("When?"), "When", N_("For example: since March, or every night."), 1000),
    TipField(
        "people",
        FieldType.SHORT,
        N_("Who is doing it?"),
        "Who is doing it",
        N_("Names, what they look like, cars, telephone numbers, whatever you know."),
        1000,
        about_suspects=True,
    ),
    TipField(
        "victims",
        FieldType.SHORT,
        N_("Who is it happening to?"),
        "To whom it is done",
        N_("How many people, and what you know of them."),
        1000,
    ),
    TipField(
        "how-known",
        FieldType.SHORT,
        N_("How do you know?"),
        "How the sender knows",
        N_("Leave out what only you could know, if you can."),
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
    """What one person sends; `received` is a day, never a finer time."""

    id: TipId
    received: date
    answers: Mapping[str, str | tuple[str, ...]]
    files: tuple[TipFile, ...] = ()
    reply: ReplyTo | None = None
    answers_to: str | None = None
    decoy: bool = False

    def __post_init__(self) -> None:
        parse_tip_id(self.id)
        _check(type(self.received) is date and isinstance(self.decoy, bool))
        _check(self.answers_to is None or _LOCATOR.fullmatch(self.answers_to))
        _check(len({file.path for file in self.files}) == len(self.files) <= MAX_FILES)
        for field, value in self.answers.items():
            _check(_FIELD.fullmatch(field) and (isinstance(value, str) or _are_texts(value)))


def new_tip_id() -> TipId:
    """Return 26 random characters of Crockford's base 32, which hold no time and no order."""
    return TipId("".join(secrets.choice(_ALPHABET) for _ in range(26)))


def parse_tip_id(text: str) -> TipId:
    """Return the id of a tip, checked; raises BundleError `id`."""
    if not _ID.fullmatch(text):
        raise BundleError("id")
    return TipId(text)


def new_decoy() -> Tip:
    """Return a tip of the smallest class that nobody sent, filled with random words."""
    return Tip(new_tip_id(), date(1980, 1, 1), {"what": secrets.token_urlsafe(1500)}, decoy=True)


def tip_to_bundle(tip: Tip) -> bytes:
    """Return a tip as a bundle of exactly 128 KiB, 1 MiB, 8 MiB or 32 MiB.

    Raises BundleError: `too-large` beyond the last class, or beyond the first without files; `tip` for text
    that is not Unicode.
    """
    members = {"tip.json": tip_to_json(tip), "tip.txt": _encode(tip_to_text(tip))}
    members |= {file.path: file.data for file in tip.files}
    return pack(members) if tip.files else pack(members, largest=SMALLEST)


def tip_from_bundle(bundle: bytes) -> Tip:
    """Return the tip in a bundle.

    Raises BundleError for every bundle that `tip_to_bundle` would not make; only the wording of `tip.txt` is not
    checked, so that the wording may change.
    """
    members = unpack(bundle, _NAMES)
    _check(len(members.get("tip.json", b"")) <= SMALLEST)
    try:
        tip = _parse_tip(members)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise BundleError("tip") from None
    _check(tip_to_json(tip) == members["tip.json"])
    _check(list(members) == ["tip.json", "tip.txt", *(file.path for file in tip.files)])
    _check(tip.files or len(bundle) == SMALLEST)
    return tip


def tip_to_json(tip: Tip) -> bytes:
    """Return `tip.json`: one line of UTF-8, in one form only, of at most 128 KiB.

    Raises BundleError `too-large`, or `tip` for text that is not Unicode.
    """
    fields: dict[str, Any] = {
        "format": FORMAT,
        "id": tip.id,
        "received": tip.received.isoformat(),
        "answers": dict(tip.answers),
        "files": [{"path": file.path, "type": file.type, "removed": file.removed} for file in tip.files],
        "reply": tip.reply and {"key": base64.b64encode(tip.reply.key).decode("ascii"), "locator": tip.reply.locator},
        "answers_to": tip.answers_to,
    }
    if tip.decoy:
        fields["decoy"] = True
    line = _encode(json.dumps(fields, ensure_ascii=False, separators=(",", ":")))
    if len(line) > SMALLEST:
        raise BundleError("too-large")
    return line


def tip_to_text(tip: Tip) -> str:
    """Return `tip.txt`, for a person who opens the bundle with any unzip program.

    The lines of an answer are indented, so that no line can pass for a heading. A character takes at most eight bytes
    in `tip.json` and `tip.txt` together, so that the longest report fits the smallest class.
    """
    lines = ["This is a decoy. Nobody sent it."] if tip.decoy else []
    lines += [
        "A report sent through Haumaru",
        "",
        "The sender is anonymous. Nothing in here has been checked: it may be wrong, and those who are",
        "named may be victims themselves. Open files with care, although the site has cleaned them.",
        "",
        f"Report: {tip.id}",
        f"Received: {tip.received.isoformat()}",
    ]
    if tip.answers_to:
        lines.append(f"In answer to your reply: {tip.answers_to}")
    lines.append(f"Can be answered: {'yes' if tip.reply else 'no'}")
    for field, value in tip.answers.items():
        text = value if isinstance(value, str) else ", ".join(value)
        lines += ["", f"{SCHEMA.heading(field)}:", f"  {text.translate(_VISIBLE)}"]
    if tip.files:
        lines += ["", "Files, and what was taken out of each:"]
    for file in tip.files:
        removed = ", ".join(file.removed).translate(_VISIBLE)
        lines.append(f"  {file.path} ({file.type}): {removed or 'nothing was found'}")
    return "\n".join(lines) + "\n"


def _parse_tip(members: Mapping[str, bytes]) -> Tip:
    fields = json.loads(members["tip.json"])
    reply = fields["reply"]
    return Tip(
        id=fields["id"],
        received=date.fromisoformat(fields["received"]),
        answers={
            field: tuple(value) if isinstance(value, list) else value for field, value in fields["answers"].items()
        },
        files=tuple(
            TipFile(file["path"], file["type"], tuple(file["removed"]), members[file["path"]])
            for file in fields["files"]
        ),
        reply=None if reply is None else ReplyTo(base64.b64decode(reply["key"], validate=True), reply["locator"]),
        answers_to=fields["answers_to"],
        decoy=fields.get("decoy", False),
    )


def _check(condition: object) -> None:
    if not condition:
        raise BundleError("tip")


def _are_texts(values: object) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, str) for value in values)


def _encode(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise BundleError("tip") from None
