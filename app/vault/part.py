"""A part: one slice of a tip's files, with an HMAC under the key that stands in the tip's words.

Anyone may seal to a published key and may have seen a tip's id, so a part counts only if its HMAC is right: `join`
takes no slice that was forged, changed, moved to another place or made for another tip. Every slice but the last has
one length, so slices cannot overlap. Anything else raises BundleError.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from app.core.errors import BundleError
from app.vault.bundle import pack, unpack
from app.vault.tip import TipId, parse_tip_id

PART_FORMAT = "haumaru-part/1"
SLICE_BYTES = 127 * 1024  # with part.json and the records of the zip, at most one bundle
MAX_PARTS = 8192  # of one tip: 1 GiB
MAX_CANDIDATES = 4  # that are tried for one number
PART_KEY_BYTES = 32
MAC_BYTES = SHA256_BYTES = 32

_CONTEXT = b"haumaru/part/1"
_NAMES = re.compile(r"part\.json|data")


@dataclass(frozen=True)
class Part:
    """One slice: number `number` (from 1) of `of`, for the tip `tip`; `sha256` is that of all the slices joined.

    A Part that exists is well formed. Only its `mac` proves that the sender of the tip made it.
    """

    id: TipId
    tip: TipId
    number: int
    of: int
    mac: bytes
    sha256: bytes
    data: bytes

    def __post_init__(self) -> None:
        parse_tip_id(self.id)
        parse_tip_id(self.tip)
        _check(type(self.number) is int and type(self.of) is int and 1 <= self.number <= self.of <= MAX_PARTS)
        _check(len(self.mac) == MAC_BYTES and len(self.sha256) == SHA256_BYTES)
        _check(0 < len(self.data) <= SLICE_BYTES and (self.number == self.of or len(self.data) == SLICE_BYTES))


def count_parts(length: int) -> int:
    """Return how many parts `length` bytes need."""
    return -(-length // SLICE_BYTES)


def split(
    pieces: Callable[[], Iterable[bytes]], length: int, *, tip: TipId, key: bytes, ids: Callable[[int], TipId]
) -> Iterator[Part]:
    """Yield the parts of `length` bytes, each with its HMAC under a 32-byte key; `ids` gives the id of each number.

    `pieces` is called twice, and gives the bytes each time: no copy of all of them is made. Raises BundleError
    `too-large` for more than 8,192 parts (1 GiB), `part` for an id that is given twice.
    """
    count = count_parts(length)
    if count > MAX_PARTS:
        raise BundleError("too-large")
    part_ids = [ids(number) for number in range(1, count + 1)]
    _check(len({tip, *part_ids}) == count + 1)
    sha256 = hashlib.sha256()
    for piece in pieces():
        sha256.update(piece)
    for number, data in enumerate(_slices(pieces()), 1):
        part_id = part_ids[number - 1]
        mac = _mac(key, _place(part_id, tip, number, count), data)
        yield Part(part_id, tip, number, count, mac, sha256.digest(), data)


def _slices(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in slices of one length, the last one shorter."""
    waiting = bytearray()
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            taken = rest[: SLICE_BYTES - len(waiting)]
            waiting += taken
            rest = rest[len(taken) :]
            if len(waiting) == SLICE_BYTES:
                yield bytes(waiting)
                waiting.clear()
    if waiting:
        yield bytes(waiting)


def proven_parts(candidates: Iterable[Part], *, tip: TipId, key: bytes, count: int) -> dict[int, Part]:
    """Return the parts that prove under the key to belong to the tip, by number; `count` is what the tip's words say.

    For each number the first candidate that proves itself counts, and at most four are tried. So that forged candidates
    use up no attempt, a caller who has the words passes each candidate through `is_proven` first.
    """
    proven: dict[int, Part] = {}
    tried: dict[int, int] = {}
    for part in candidates:
        if part.tip != tip or part.of != count or part.number in proven:
            continue
        tried[part.number] = tried.get(part.number, 0) + 1
        if tried[part.number] <= MAX_CANDIDATES and is_proven(part, tip=tip, key=key, count=count):
            proven[part.number] = part
    return proven


def is_proven(part: Part, *, tip: TipId, key: bytes, count: int) -> bool:
    """Return whether a part proves under the 32-byte key that it is one of the `count` parts of the tip."""
    mac = _mac(key, _place(part.id, part.tip, part.number, part.of), part.data)
    return (part.tip, part.of) == (tip, count) and hmac.compare_digest(part.mac, mac)


def join(candidates: Iterable[Part], *, tip: TipId, key: bytes, count: int) -> bytes:
    """Return the bytes that `split` cut, from candidates in any order.

    Raises BundleError: `parts-missing` if a number has no candidate that proves itself, `part` if the SHA-256 that a
    part names is not that of all the slices.
    """
    proven = proven_parts(candidates, tip=tip, key=key, count=count)
    if len(proven) != count:
        raise BundleError("parts-missing")
    data = b"".join(proven[number].data for number in range(1, count + 1))
    digest = hashlib.sha256(data).digest()
    _check(all(part.sha256 == digest for part in proven.values()))
    return data


def pack_part(part: Part) -> bytes:
    """Return the bundle of a part: `part.json`, `data`, padding."""
    return pack({"part.json": _part_json(part), "data": part.data})


def read_part(bundle: bytes) -> Part:
    """Return the part in a bundle; raises BundleError for anything that `pack_part` would not have made.

    The part is well formed, not proven: `proven_parts` and `join` do that.
    """
    members = unpack(bundle, _NAMES)
    try:
        fields = json.loads(members["part.json"])
        part = Part(
            id=fields["id"],
            tip=fields["tip"],
            number=fields["part"],
            of=fields["of"],
            mac=bytes.fromhex(fields["mac"]),
            sha256=bytes.fromhex(fields["sha256"]),
            data=members["data"],
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise BundleError("part") from None
    _check(_part_json(part) == members["part.json"] and list(members) == ["part.json", "data"])
    return part


def _part_json(part: Part) -> bytes:
    fields: dict[str, Any] = {
        "format": PART_FORMAT,
        "id": part.id,
        "tip": part.tip,
        "part": part.number,
        "of": part.of,
        "mac": part.mac.hex(),
        "sha256": part.sha256.hex(),
    }
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def _place(part_id: TipId, tip: TipId, number: int, of: int) -> bytes:
    """Return where a slice belongs, as bytes; each field has one length, so no two places look alike."""
    return part_id.encode("ascii") + tip.encode("ascii") + number.to_bytes(4, "big") + of.to_bytes(4, "big")


def _mac(key: bytes, place: bytes, data: bytes) -> bytes:
    _check(len(key) == PART_KEY_BYTES)
    return hmac.digest(key, _CONTEXT + place + data, hashlib.sha256)


def _check(condition: object) -> None:
    if not condition:
        raise BundleError("part")
