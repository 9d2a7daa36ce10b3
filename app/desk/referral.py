"""A referral as bundles: its words with a detached Ed25519 signature (RFC 8032), and its files in parts as a tip's.

Recipients are public, so anybody can seal something that looks like a referral: only the signature proves that a desk
made it. The signature covers `referral.json`, which names the SHA-256 of every file, the key that proves the parts, and
the party that it is for, so that nothing can be changed, added, or passed on as if meant for another party. It holds no
internal id, and no time finer than a day.
"""

import json
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import BundleError, KeyTextError, SignatureError
from app.desk.errors import RefusedError
from app.vault.bundle import pack, unpack
from app.vault.part import MAX_PARTS, PART_KEY_BYTES, Part, is_proven
from app.vault.signature import SignatureContext, decode_public_key, sign, verify
from app.vault.tip import MAX_FILES, SCHEMA, TipFile, TipId, parse_tip_id
from app.vault.tip_bundles import Bundle, FileEntry, count_file_parts, join_files, split_files

FORMAT = "haumaru-referral/1"
NOTICE = (
    "The sender is anonymous, and nobody has checked if the words are true. The files are cleaned copies. The people "
    "named here may be victims. Never do anything that could show a suspect who the sender is. Never try to find out "
    "who the sender is."
)

IN_DESKS_WORDS = "in the desk's words"
"""What a referral says of a text that a handler wrote in place of the sender's."""

_NAMES = re.compile(r"referral\.json|referral\.sig|referral\.txt")
_TITLES = {"translation": "For translation", "answer": "Answer", "cannot-ask": "Question declined:"}
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Referral:
    """What one authority gets; `purpose` is `referral`, `translation`, `answer` or `cannot-ask`.

    The last two belong to a question of the authority: its id, and the reference of the referral that it is about.
    `reworded` has the names of the fields whose text is in the desk's words, and not in the sender's.
    """

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
    reworded: tuple[str, ...] = ()
    question: str = ""
    about: str = ""

    @property
    def reference(self) -> str:
        """A short name to say on the telephone, such as `7K2M-PQ4D`."""
        return reference_of(self.id)


@dataclass(frozen=True)
class ReferredFile:
    """What `referral.json` says of one file: its entry, and the SHA-256 of its bytes in hexadecimal digits."""

    entry: FileEntry
    sha256: str


@dataclass(frozen=True)
class ReferralWords:
    """A referral without its files, what it says of each file, and the 32-byte key that proves the parts."""

    referral: Referral
    files: tuple[ReferredFile, ...]
    part_key: bytes

    def __post_init__(self) -> None:
        paths = {file.entry.path for file in self.files}
        if self.referral.files or len(self.part_key) != PART_KEY_BYTES or self.part_count > MAX_PARTS:
            raise BundleError("referral")
        if not len(paths) == len(self.files) <= MAX_FILES or not all(
            _SHA256.fullmatch(one.sha256) for one in self.files
        ):
            raise BundleError("referral")

    @property
    def part_count(self) -> int:
        """How many parts the files take."""
        return count_file_parts([file.entry for file in self.files])

    def proves(self, part: Part) -> bool:
        """Return whether a part belongs to this referral: the key proves it."""
        return is_proven(part, tip=self.referral.id, key=self.part_key, count=self.part_count)


def reference_of(referral_id: str) -> str:
    """Return the reference of the referral of an id: its first eight characters, such as `7K2M-PQ4D`."""
    return f"{referral_id[:4]}-{referral_id[4:8]}".upper()


def referral_words(referral: Referral) -> ReferralWords:
    """Return the words of a referral, with a new key for its parts."""
    files = tuple(
        ReferredFile(FileEntry(file.path, file.type, len(file.data), file.removed), sha256(file.data).hexdigest())
        for file in referral.files
    )
    return ReferralWords(replace(referral, files=()), files, secrets.token_bytes(PART_KEY_BYTES))


def referral_json(words: ReferralWords) -> bytes:
    """Return `referral.json`: one line of UTF-8, in one form only."""
    referral = words.referral
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
        **({"reworded": list(referral.reworded)} if referral.reworded else {}),
        "files": [
            {
                "path": file.entry.path,
                "type": file.entry.type,
                "size": file.entry.size,
                "removed": list(file.entry.removed),
                "sha256": file.sha256,
            }
            for file in words.files
        ],
        "parts": {"count": words.part_count, "key": b64encode(words.part_key).decode("ascii")},
        "removed": list(referral.removed),
        "notice": NOTICE,
        "contact": referral.contact,
        "key": referral.key,
    }
    if referral.question:
        fields["answers"] = {"reference": referral.about, "question": referral.question}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def referral_text(words: ReferralWords) -> str:
    """Return `referral.txt`: the same for a person with any unzip program."""
    referral = words.referral
    lines = [
        f"{_TITLES.get(referral.purpose, 'Referral')} {referral.reference}, for {referral.to}",
        *([f"To your question {referral.question} about {referral.about}"] if referral.question else []),
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
        whose = f" ({IN_DESKS_WORDS})" if name in referral.reworded else ""
        lines += ["", f"{SCHEMA.heading(name)}{whose}:", f"  {_indented(text)}"]
    lines += ["", *(f"File: {file.entry.path} ({file.entry.type}, {file.entry.size} bytes)" for file in words.files)]
    if words.files:
        lines += [f"Envelopes that bring the files: {words.part_count}"]
    lines += [f"Kinds of things taken out before sending: {', '.join(referral.removed) or 'none'}"]
    lines += ["", f"Who sent this on: {referral.contact}", f"Signed with the Ed25519 key {referral.key}"]
    return "\n".join(lines) + "\n"


def referral_bundles(words: ReferralWords, files: Iterable[TipFile], key: Ed25519PrivateKey) -> list[Bundle]:
    """Return the bundles of a referral, each of 128 KiB: its words, signed, then the parts of its files.

    Raises BundleError `too-large` for words beyond one bundle or files beyond 1 GiB.
    """
    referral = words.referral
    parts = split_files(tuple(files), tip=referral.id, key=words.part_key)
    return [Bundle(referral.id, pack_referral(words, key)), *parts]


def pack_referral(words: ReferralWords, key: Ed25519PrivateKey) -> bytes:
    """Return the bundle of a referral's words, signed; raises BundleError `too-large`."""
    text = referral_json(words)
    members = {
        "referral.json": text,
        "referral.sig": sign(SignatureContext.REFERRAL, text, key).encode(),
        "referral.txt": referral_text(words).encode(),
    }
    return pack(members)


def read_referral(bundle: bytes) -> ReferralWords:
    """Return the words of a referral in a bundle, the signature checked by the key that the referral names.

    Whether that key is the expected desk's, `require_signer` checks. Raises BundleError for a bundle that
    `pack_referral` would not have made, and RefusedError `signature`.
    """
    members = unpack(bundle, _NAMES)
    try:
        words = _parse_referral(members["referral.json"])
        signature, public_key = members["referral.sig"], decode_public_key(words.referral.key)
    except (AttributeError, KeyError, KeyTextError, TypeError, ValueError, RecursionError):
        raise BundleError("referral") from None
    same = referral_json(words) == members["referral.json"] and referral_text(words).encode() == members["referral.txt"]
    if not same or list(members) != ["referral.json", "referral.sig", "referral.txt"]:
        raise BundleError("referral")
    try:
        verify(SignatureContext.REFERRAL, members["referral.json"], signature, public_key)
    except SignatureError as error:
        raise (BundleError("referral") if error.code == "signature-form" else RefusedError("signature")) from None
    return words


def join_referral(words: ReferralWords, parts: Iterable[Part]) -> Referral:
    """Return the whole referral, from its words and the candidates for its parts in any order.

    Raises BundleError: `parts-missing`, or another code where the parts do not make the files that the words name.
    """
    entries = [file.entry for file in words.files]
    files = join_files(entries, parts, tip=words.referral.id, key=words.part_key)
    if any(sha256(file.data).hexdigest() != said.sha256 for file, said in zip(files, words.files, strict=True)):
        raise BundleError("referral")
    return replace(words.referral, files=files)


def require_signer(referral: Referral, key: bytes) -> Referral:
    """Return the referral if the key that signed it is `key`, 32 bytes; raises RefusedError `signature`."""
    if decode_public_key(referral.key) != key:
        raise RefusedError("signature")
    return referral


def reworded_fields(referral_line: str) -> tuple[str, ...]:
    """Return the names of the fields that are in the desk's words in the `referral.json` of a referral of this desk."""
    return tuple(json.loads(referral_line).get("reworded", ()))


def _parse_referral(line: bytes) -> ReferralWords:
    fields = json.loads(line)
    texts = {name: fields[name] for name in ("to", "summary", "danger", "children", "contact", "key", "purpose")}
    reworded = tuple(fields.get("reworded", ()))
    answers = fields.get("answers", {"reference": "", "question": ""})
    texts |= {"about": answers["reference"], "question": answers["question"]}
    every = (*texts.values(), *fields["kinds"], *fields["removed"], *fields["fields"].values())
    if not all(isinstance(text, str) for text in every) or not set(reworded) <= set(fields["fields"]):
        raise TypeError
    referral = Referral(
        id=parse_tip_id(fields["id"]),
        day=date.fromisoformat(fields["received"]),
        kinds=tuple(fields["kinds"]),
        fields=fields["fields"],
        files=(),
        removed=tuple(fields["removed"]),
        reworded=reworded,
        **texts,
    )
    files = tuple(
        ReferredFile(FileEntry(file["path"], file["type"], file["size"], tuple(file["removed"])), file["sha256"])
        for file in fields["files"]
    )
    return ReferralWords(referral, files, b64decode(fields["parts"]["key"], validate=True))


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
