"""The agencies of `haumaru.toml`: their keys and their ways, what they promise, and which one a report is sealed to.

A report is sealed to one agency: the first of `[report] agencies` that its sender does not leave out. The site keeps
nothing of that choice: an answer finds its agency by the receipt code (`agency_of_code`). So ids with one tag are a
fault.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType

from app.core.config_reader import Reader
from app.core.errors import N_, KeyTextError
from app.core.i18n import LocalText
from app.delivery.destinations import Destination, read_destination, read_recipients
from app.delivery.outbox import Envelope
from app.delivery.receipt_codes import agency_tag
from app.vault.age import seal
from app.vault.keys import DEMONSTRATION, key_fingerprint, recipient_of
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

_READS_REMEDY = 'write when the agency reads reports, once, or for each language: { en = "…", mi = "…" }'


@dataclass(frozen=True)
class AgencyConfig:
    """One agency: its public keys until `expires`, and how envelopes reach it, at most `mail_limit` mails a day."""

    id: str
    name: str
    reading_hours: LocalText
    recipients: tuple[str, ...]
    expires: date
    reply_key: bytes
    destination: Destination
    mail_limit: int
    promises: tuple[str, ...] = ()  # sentences, keys of translation

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprint of each recipient, to compare with what the agency publishes elsewhere."""
        return tuple(key_fingerprint([recipient]) for recipient in self.recipients)


def choose_agency(agencies: Sequence[AgencyConfig], left_out: Collection[str]) -> AgencyConfig | None:
    """Return the agency that a report is sealed to: the first that is not left out, None where all are."""
    return next((agency for agency in agencies if agency.id not in left_out), None)


def published_keys(agency: AgencyConfig) -> str:
    """Return what `/keys.txt` says of an agency: its name, the last day of its keys, each key and its fingerprint."""
    keys = zip(agency.recipients, agency.fingerprints, strict=True)
    lines = [f"# fingerprint: {fingerprint}\n{recipient}\n" for recipient, fingerprint in keys]
    return f"# {agency.name}, until {agency.expires.isoformat()}\n{''.join(lines)}"


def new_decoy_envelope(agency: AgencyConfig) -> Envelope:
    """Return a new decoy, sealed to an agency."""
    (words,) = to_bundles(new_decoy())
    return Envelope(words.id, agency.id, seal(words.data, agency.recipients))


def read_agency(reader: Reader, folder: Path) -> AgencyConfig:
    """Return the agency of one `[[agency]]`; faults are recorded in its reader."""
    reader.reject_former_key("max_class", "remove it: every envelope has one length")
    identifier = reader.required("id", _identifier, "?", remedy="use small letters, digits and hyphens")
    agency = AgencyConfig(
        id=identifier,
        name=reader.text("name"),
        reading_hours=reader.local_text("reads", "", remedy=_READS_REMEDY),
        recipients=read_recipients(reader),
        expires=reader.day("expires"),
        reply_key=_read_reply_key(reader),
        destination=read_destination(reader, identifier, base=folder),
        mail_limit=reader.integer("mail_limit", 500, 1, 1_000_000),
        promises=_read_promises(reader),
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


def _read_promises(reader: Reader) -> tuple[str, ...]:
    remedy = f"write only what the agency has agreed to, of: {', '.join(PROMISES)}"
    names = reader.texts("promises", (), remedy=remedy)
    if not PROMISES.keys() >= set(names):
        reader.fault("promises", "has a promise that the site does not know", remedy)
    return tuple(sentence for name, sentence in PROMISES.items() if name in names)
