"""A referral as bytes: `referral.json` with a detached Ed25519 signature (RFC 8032), in a padded bundle as a tip's.

Recipients are public, so anybody can seal something that looks like a referral: only the signature proves that a desk
made it. The signature covers `referral.json`, which names the SHA-256 of every file and the party that it is for, so
that nothing can be changed, added, or passed on as if meant for another party. It holds no internal id, and no time
finer than a day.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import BundleError, KeyTextError, SignatureError
from app.desk.errors import RefusedError
from app.vault.bundle import pack, unpack
from app.vault.signature import SignatureContext, decode_public_key, sign, verify
from app.vault.tip import SCHEMA, TipFile, TipId, parse_tip_id

FORMAT = "haumaru-referral/1"
NOTICE = (
    "The sender is anonymous and nothing in here has been verified. Files are cleaned copies. Those who are named may "
    "themselves be victims. Do not act in a way that lets anyone infer who told. Do not try to find out who sent it."
)

_NAMES = re.compile(r"referral\.json|referral\.sig|referral\.txt|files/[1-9][0-9]?\.[a-z0-9]{1,8}")


@dataclass(frozen=True)
class Referral:
    """What one authority gets; `purpose` is `referral` or `translation`."""

    id: TipId
    to: str
    day: date
    summary: str
    danger: str
    children: str
    kinds: tuple[str, ...]
    fields: Mapping[str, str]
    files: tuple[TipFile, ...]
    removed: tuple[str, ...]
    contact: str
    key: str  # the desk's public key, base64
    purpose: str = "referral"

    @property
    def reference(self) -> str:
        """A short name to say on the telephone, such as `7K2M-PQ4D`."""
        return f"{self.id[:4]}-{self.id[4:8]}".upper()


def referral_json(referral: Referral) -> bytes:
    """Return `referral.json`: one line of UTF-8, in one form only."""
    fields: dict[str, Any] = {
        "format": FORMAT,
        "id": referral.id,
        "reference": referral.reference,
        "purpose": referral.purpose,
        "to": referral.to,
        "received": referral.day.isoformat(),
        "summary": referral.summary,
        "danger": referral.danger,
        "children": referral.children,
        "kinds": list(referral.kinds),
        "fields": dict(referral.fields),
        "files": [
            {
                "path": file.path,
                "type": file.type,
                "removed": list(file.removed),
                "sha256": sha256(file.data).hexdigest(),
            }
            for file in referral.files
        ],
        "removed": list(referral.removed),
        "notice": NOTICE,
        "contact": referral.contact,
        "key": referral.key,
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def referral_text(referral: Referral) -> str:
    """Return `referral.txt`: the same for a person with any unzip program."""
    title = "For translation" if referral.purpose == "translation" else "Referral"
    lines = [
        f"{title} {referral.reference}, for {referral.to}",
        "",
        NOTICE,
        "",
        f"{SCHEMA.heading('danger')}: {referral.danger or 'not said'}",
        f"{SCHEMA.heading('children')}: {referral.children or 'not said'}",
        f"Summary: {_indented(referral.summary)}",
        f"Received: {referral.day.isoformat()}",
        f"{SCHEMA.heading('kinds')}: {', '.join(referral.kinds) or 'not said'}",
    ]
    for name, text in referral.fields.items():
        lines += ["", f"{SCHEMA.heading(name)}:", f"  {_indented(text)}"]
    lines += ["", *(f"File: {file.path} ({file.type})" for file in referral.files)]
    lines += [f"Kinds of things taken out before sending: {', '.join(referral.removed) or 'none'}"]
    lines += ["", f"Who sent this on: {referral.contact}", f"Signed with the Ed25519 key {referral.key}"]
    return "\n".join(lines) + "\n"


def pack_referral(referral: Referral, key: Ed25519PrivateKey) -> bytes:
    """Return the bundle of a referral, signed; raises BundleError `too-large`."""
    text = referral_json(referral)
    members = {
        "referral.json": text,
        "referral.sig": sign(SignatureContext.REFERRAL, text, key).encode(),
        "referral.txt": referral_text(referral).encode(),
    }
    return pack(members | {file.path: file.data for file in referral.files})


def is_referral(bundle: bytes) -> bool:
    """Whether the first member of a bundle is `referral.json`."""
    return bundle[30:43] == b"referral.json"


def unpack_referral(bundle: bytes) -> Referral:
    """Return the referral in a bundle, its signature checked by the key that the referral names.

    Whether that key is the expected desk's, `require_signer` checks. Raises BundleError for a bundle that
    `pack_referral` would not have made, and RefusedError `signature`.
    """
    members = unpack(bundle, _NAMES)
    try:
        referral = _parse_referral(members)
        signature, public_key = members["referral.sig"], decode_public_key(referral.key)
    except (AttributeError, KeyError, KeyTextError, TypeError, ValueError, RecursionError):
        raise BundleError("referral") from None
    same = (
        referral_json(referral) == members["referral.json"]
        and referral_text(referral).encode() == members["referral.txt"]
    )
    order = ["referral.json", "referral.sig", "referral.txt", *(file.path for file in referral.files)]
    if not same or list(members) != order:
        raise BundleError("referral")
    try:
        verify(SignatureContext.REFERRAL, members["referral.json"], signature, public_key)
    except SignatureError as error:
        raise (BundleError("referral") if error.code == "signature-form" else RefusedError("signature")) from None
    return referral


def require_signer(referral: Referral, key: bytes) -> Referral:
    """Return the referral if the key that signed it is `key`, 32 bytes; raises RefusedError `signature`."""
    if decode_public_key(referral.key) != key:
        raise RefusedError("signature")
    return referral


def _parse_referral(members: Mapping[str, bytes]) -> Referral:
    fields = json.loads(members["referral.json"])
    texts = {name: fields[name] for name in ("to", "summary", "danger", "children", "contact", "key", "purpose")}
    every = (*texts.values(), *fields["kinds"], *fields["removed"], *fields["fields"].values())
    if not all(isinstance(text, str) for text in every):
        raise TypeError
    return Referral(
        id=parse_tip_id(fields["id"]),
        day=date.fromisoformat(fields["received"]),
        kinds=tuple(fields["kinds"]),
        fields=fields["fields"],
        files=tuple(
            TipFile(file["path"], file["type"], tuple(file["removed"]), members[file["path"]])
            for file in fields["files"]
        ),
        removed=tuple(fields["removed"]),
        **texts,
    )


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
