"""A seat: one person's place at a desk on a network, with a role, a passphrase, security keys and one-time links.

All values are frozen. A seat's name is never given again, so a name in the journal stands for one seat for good. A seat
is in use once its person has set a passphrase and registered a key; a seat that is not in use opens nothing. A seat
counts as one of two people once two people stand behind it, so that nobody can be two people alone.
"""

import json
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from app.desk.errors import RefusedError

FORMAT = "haumaru-seats/2"
_FORMER = "haumaru-seats/1"  # without who stands behind a seat
MACHINE = "desk"  # who acts where somebody uses the desk's own machine
MAX_NAME = 60  # characters
_MAX_NEWS = 20
_NEEDED_BACKERS = 2


class Role(StrEnum):
    """What the person of a seat may do."""

    HANDLER = "handler"
    SUPERVISOR = "supervisor"
    TRANSLATOR = "translator"
    FIGURES = "figures"


@dataclass(frozen=True)
class PassphraseVerifier:
    """What a passphrase is compared with: 16 random bytes, and 32 bytes that Argon2id derives (RFC 9106)."""

    salt: bytes = field(repr=False)
    derived: bytes = field(repr=False)


@dataclass(frozen=True)
class SecurityKey:
    """One FIDO2 key: its credential's id and public key as WebAuthn encodes them, and its last sign count."""

    credential: bytes = field(repr=False)
    count: int = 0


@dataclass(frozen=True)
class SeatLink:
    """A one-time link: the SHA-256 of its code in hexadecimal, and its end in unix seconds."""

    digest: str = field(repr=False)
    ends: int


@dataclass(frozen=True)
class SeatNews:
    """What the person of a seat must read on the next page: a code of ours, the name of a seat, and who did it."""

    did: str
    seat: str
    by: str


@dataclass(frozen=True)
class SeatBacker:
    """Somebody who stands behind a seat: who gave its link, or who confirmed it later.

    `name` is that of the own seat, or `desk` at the desk's own machine; `day` is in New Zealand (ISO 8601); `counted`
    says whether the own seat counted on that day.
    """

    name: str
    day: str
    counted: bool


@dataclass(frozen=True)
class Seat:
    """One seat; `version` grows with each change of what its person may do, and ends the seat's sessions."""

    id: str
    name: str
    role: Role
    handle: bytes = field(repr=False)  # by which the security key knows its person: random, never the name
    verifier: PassphraseVerifier | None = None
    keys: tuple[SecurityKey, ...] = ()
    link: SeatLink | None = None
    browsers: tuple[str, ...] = ()  # the SHA-256 of the secrets of browsers in which this person signed in before
    disabled: bool = False
    version: int = 0
    news: tuple[SeatNews, ...] = ()
    backers: tuple[SeatBacker, ...] = ()  # since the last link, who gave it first; none in a file of the former format

    @property
    def in_use(self) -> bool:
        """Whether the person of this seat can sign in."""
        return bool(self.verifier and self.keys) and not self.disabled

    @property
    def supervises(self) -> bool:
        """Whether this is the seat of a supervisor who can sign in."""
        return self.in_use and self.role is Role.SUPERVISOR

    @property
    def handles_tips(self) -> bool:
        """Whether this is the seat of somebody who can sign in and works on tips."""
        return self.in_use and self.role in {Role.HANDLER, Role.SUPERVISOR}

    @property
    def counts(self) -> bool:
        """Whether this seat can be one of the two people who release something."""
        is_backed = self.is_backed_by(MACHINE) or sum(one.counted for one in self.backers) >= _NEEDED_BACKERS
        return self.handles_tips and is_backed

    def is_backed_by(self, name: str) -> bool:
        """Return whether the person of a name gave the link of this seat, or confirmed this seat."""
        return any(one.name == name for one in self.backers)

    def with_news(self, news: SeatNews) -> "tuple[SeatNews, ...]":
        """Return the news of this seat with one more; the oldest goes where there are too many."""
        return (*self.news, news)[-_MAX_NEWS:]


def read_seat_name(untrusted_name: str) -> str:
    """Return the name of a new seat in Unicode's form NFC; raises RefusedError `seat-name`."""
    name = " ".join(unicodedata.normalize("NFC", untrusted_name).split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or name_form(name) in {"", "desk"}:
        raise RefusedError("seat-name")
    return name


def name_form(untrusted_name: str) -> str:
    """Return the form in which two names are compared: without accents, spaces, and capital letters (UAX #15)."""
    plain = unicodedata.normalize("NFKD", untrusted_name.casefold())
    return "".join(one for one in plain if one.isalnum())


def too_few_count(seats: Iterable[Seat], release: int) -> bool:
    """Return whether `release` people have seats for tips, and the seats of fewer count, where two must agree."""
    handling = [one for one in seats if one.handles_tips]
    return release > 1 and len(handling) >= release > sum(one.counts for one in handling)


def encode_seats(seats: Mapping[str, Seat], version: int) -> bytes:
    """Return all seats and the number of their changes as JSON in one line."""
    fields = {"format": FORMAT, "version": version, "seats": [asdict(one) for one in seats.values()]}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=_bytes_as_text).encode()


def decode_seats(data: bytes) -> tuple[dict[str, Seat], int]:
    """Return what `encode_seats` wrote; raises ValueError, KeyError or TypeError for anything else."""
    raw: dict[str, Any] = json.loads(data)
    if raw["format"] not in {FORMAT, _FORMER}:
        raise ValueError
    rows = raw["seats"] if raw["format"] == FORMAT else [{**one, "backers": []} for one in raw["seats"]]
    seats = [_decode_seat(one) for one in rows]
    return {one.id: one for one in seats}, int(raw["version"])


def _decode_seat(raw: dict[str, Any]) -> Seat:
    verifier, link = raw["verifier"], raw["link"]
    return Seat(
        **{
            **raw,
            "role": Role(raw["role"]),
            "handle": b64decode(raw["handle"]),
            "verifier": verifier and PassphraseVerifier(b64decode(verifier["salt"]), b64decode(verifier["derived"])),
            "keys": tuple(SecurityKey(b64decode(one["credential"]), one["count"]) for one in raw["keys"]),
            "link": link and SeatLink(**link),
            "browsers": tuple(raw["browsers"]),
            "news": _decode_news(raw["news"]),
            "backers": tuple(SeatBacker(**one) for one in raw["backers"]),
        }
    )


def _decode_news(rows: Sequence[Mapping[str, str]]) -> tuple[SeatNews, ...]:
    return tuple(SeatNews(**one) for one in rows)


def _bytes_as_text(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError
    return b64encode(value).decode()
