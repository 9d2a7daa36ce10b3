"""The agencies of `haumaru.toml`: their keys and their ways, what they promise, and which one a report is sealed to.

A report is sealed to one agency: the first of `[report] agencies` that its sender does not leave out. The site keeps
nothing of that choice: an answer finds its agency by the receipt code (`agency_of_code`). So ids with one tag are a
fault.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from app.core.config_reader import Reader
from app.core.errors import N_, HaumaruError, KeyTextError, OutboxError
from app.core.i18n import LocalText
from app.delivery.clock import days_left, nz_day
from app.delivery.destinations import Destination, read_destination, read_recipients
from app.delivery.outbox import Envelope
from app.delivery.receipt_codes import agency_tag
from app.site.day_key_file import DayKeyFile
from app.vault.age import seal
from app.vault.day_keys import KEEP_DAYS
from app.vault.keys import DEMONSTRATION, Recipient, key_fingerprint, recipient_of
from app.vault.signature import decode_public_key
from app.vault.tip import new_decoy
from app.vault.tip_bundles import to_bundles

# What an agency can agree to, by the id in `promises`. The site says a sentence only where the agency has agreed.
PROMISES: Mapping[str, str] = MappingProxyType(
    {
        "no-court": N_("Nobody will ask you to go to court."),
        "no-statement": N_("Nobody will ask you to make a statement."),
        "no-name": N_("Nobody will ask who you are."),
    }
)

NO_DAY_KEY = "there is no day key for today, so the form is closed; get new day keys from the agency"
_DAY_KEY_FAULTS = {
    "day-keys": ("is not a batch of day keys", "ask the agency for the file that haumaru-desk day-keys made"),
    "signature": ("is not signed with reply_key", "compare reply_key by voice, then ask the agency for the file again"),
    "other-agency": ("names a key that is not in recipients", "compare the fingerprint of the agency's key by voice"),
    "older": (
        "is older than a batch that this site has used",
        "put the newest file there; if this is the newest, remove this agency's file day-keys-… beside secret_file",
    ),
}
_READS_REMEDY = 'write when the agency reads reports, once, or for each language: { en = "…", mi = "…" }'


@dataclass(frozen=True)
class AgencyConfig:
    """One agency: its public keys until `expires`, and how envelopes reach it, at most `mail_limit` mails a day."""

    id: str
    name: str
    reading_hours: LocalText
    recipients: tuple[Recipient, ...]
    expires: date
    reply_key: bytes
    destination: Destination
    mail_limit: int
    promises: tuple[str, ...] = ()  # sentences, keys of translation
    day_keys: DayKeyFile | None = None  # with which reports are sealed to the key of the day alone

    @cached_property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprint of each recipient, to compare with what the agency publishes elsewhere."""
        return tuple(key_fingerprint([recipient]) for recipient in self.recipients)

    def is_closed(self, now: float) -> bool:
        """Return whether no report can be sealed at `now` (unix seconds): the key has expired, or the day has none."""
        has_key = self.day_keys is None or self.day_keys.has_key(nz_day(now))
        return days_left(self.expires, now) < 0 or not has_key

    def recipients_at(self, now: float) -> tuple[Recipient, ...]:
        """Return to whom a report is sealed at `now` (unix seconds): with day keys to that of the day alone.

        The agency's own key never stands in for it. Raises OutboxError `no-day-key`.
        """
        if self.day_keys is None:
            return self.recipients
        recipient = self.day_keys.recipient_on(nz_day(now))
        if recipient is None:
            raise OutboxError("no-day-key")
        return (recipient,)


def choose_agency(agencies: Sequence[AgencyConfig], left_out: Collection[str]) -> AgencyConfig | None:
    """Return the agency that a report is sealed to: the first that is not left out, None where all are."""
    return next((agency for agency in agencies if agency.id not in left_out), None)


def published_keys(agency: AgencyConfig, now: float) -> str:
    """Return what `/keys.txt` says of an agency at `now` (unix seconds).

    The agency's name, the last day of its keys, each key and its fingerprint, and the same of the key of the day.
    """
    keys = zip(agency.recipients, agency.fingerprints, strict=True)
    lines = [f"# fingerprint: {fingerprint}\n{recipient}\n" for recipient, fingerprint in keys]
    lines.insert(0, f"# {agency.name}, until {agency.expires.isoformat()}\n")
    if agency.day_keys and not agency.is_closed(now):
        (recipient,) = agency.recipients_at(now)
        lines.append(f"# key of {nz_day(now).isoformat()}, fingerprint: {key_fingerprint([recipient])}\n{recipient}\n")
    return "".join(lines)


def new_decoy_envelope(agency: AgencyConfig, now: float) -> Envelope:
    """Return a new decoy, sealed to an agency as a report would be at `now` (unix seconds)."""
    recipients = (agency.day_keys.nearest_recipient(nz_day(now)),) if agency.day_keys else agency.recipients
    (words,) = to_bundles(new_decoy())
    return Envelope(words.id, agency.id, seal(words.data, recipients))


def new_stock_decoy(agency: AgencyConfig, now: float) -> Envelope:
    """Return a new decoy for the stock; the forwarder, which works at one pace, notes the batch of day keys as used.

    Raises OutboxError `no-day-key` where the desk has destroyed the key of the last day, and would open no decoy.
    """
    if agency.day_keys:
        if days_left(agency.day_keys.last, now) < -KEEP_DAYS:
            raise OutboxError("no-day-key")
        agency.day_keys.note_used(now)
    return new_decoy_envelope(agency, now)


def read_agency(reader: Reader, folder: Path, state: Path) -> AgencyConfig:
    """Return the agency of one `[[agency]]`; faults are recorded in its reader.

    `state` is the folder in which the site keeps the number of the newest batch of day keys that it has used.
    """
    reader.reject_former_key("max_class", "remove it: every envelope has one length")
    identifier = reader.required("id", _identifier, "?", remedy="use small letters, digits and hyphens")
    recipients, reply_key = read_recipients(reader), _read_reply_key(reader)
    agency = AgencyConfig(
        id=identifier,
        name=reader.text("name"),
        reading_hours=reader.local_text("reads", "", remedy=_READS_REMEDY),
        recipients=recipients,
        expires=reader.day("expires"),
        reply_key=reply_key,
        destination=read_destination(reader, identifier, base=folder),
        mail_limit=reader.integer("mail_limit", 500, 1, 1_000_000),
        promises=_read_promises(reader),
        day_keys=_read_day_keys(reader, reply_key, recipients, state / f"day-keys-{identifier}"),
    )
    reader.reject_unknown_keys()
    return agency


def check_agencies(agencies: Sequence[AgencyConfig], chosen: Sequence[str], faults: list[str], *, demo: bool) -> None:
    """Record what is wrong between the agencies, and with the ids in `[report] agencies`."""
    ids = [agency.id for agency in agencies]
    if len(set(ids)) < len(ids):
        faults.append("[[agency]] id: two agencies have the same id; give each agency its own")
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(ids):
        faults.append("[report] agencies: must list ids of [[agency]], each once; name the agencies that open reports")
    if len({agency_tag(each) for each in set(ids)}) < len(set(ids)):
        faults.append(
            "[[agency]] id: from two of these ids the same tag is made, so that a receipt code could not say to "
            "which of the two an answer goes; write another id for one of the two"
        )
    if not demo:
        for agency in agencies:
            _reject_demonstration(agency, faults)


def _reject_demonstration(agency: AgencyConfig, faults: list[str]) -> None:
    if recipient_of(DEMONSTRATION) in agency.recipients:
        faults.append(
            f"[[agency]] {agency.id} recipients: has the demonstration's key, which is public; "
            "make your own with haumaru-desk keygen"
        )
    if agency.name.startswith("Example"):
        faults.append(f"[[agency]] {agency.id} name: is the demonstration's; write the agency's own name")


def _identifier(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,40}", text):
        raise ValueError
    return text


def _read_reply_key(reader: Reader) -> bytes:
    text = reader.text("reply_key", "")
    try:
        return decode_public_key(text) if text else b""
    except KeyTextError:
        reader.fault("reply_key", "is not an Ed25519 public key", "copy what haumaru-desk keygen --signing printed")
        return b""


def _read_day_keys(
    reader: Reader, reply_key: bytes, recipients: tuple[Recipient, ...], number_file: Path
) -> DayKeyFile | None:
    path = reader.path("day_keys")
    if path is None:
        return None
    if not reply_key:
        reader.fault("day_keys", "needs reply_key, with which the desk signs the keys", "write reply_key")
        return None
    try:
        return DayKeyFile(path, reply_key, recipients, number_file)
    except OSError:
        reader.fault(
            "day_keys", "cannot be read", "copy the agency's file there, and give this user the right to read it"
        )
    except HaumaruError as error:
        reader.fault("day_keys", *_DAY_KEY_FAULTS.get(error.code, _DAY_KEY_FAULTS["day-keys"]))
    return None


def _read_promises(reader: Reader) -> tuple[str, ...]:
    remedy = f"write only what the agency has agreed to, of: {', '.join(PROMISES)}"
    names = reader.texts("promises", (), remedy=remedy)
    if not PROMISES.keys() >= set(names):
        reader.fault("promises", "has a promise that the site does not know", remedy)
    return tuple(sentence for name, sentence in PROMISES.items() if name in names)
