"""A bundle: named members in a stored zip, padded with zeros to exactly a size class.

Any unzip program opens a bundle. The same members in the same order always give the same bytes, without times and
attributes. Reading accepts only the exact bytes that writing would make, which excludes compression, zip bombs,
duplicates, hidden members and names that leave a folder. Every fault raises BundleError.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from itertools import chain
from struct import Struct
from types import MappingProxyType

from app.core.errors import BundleError

SIZE_CLASSES: Mapping[str, int] = MappingProxyType(
    {"128KiB": 128 * 1024, "1MiB": 1024**2, "8MiB": 8 * 1024**2, "32MiB": 32 * 1024**2}
)
SMALLEST, LARGEST = min(SIZE_CLASSES.values()), max(SIZE_CLASSES.values())
PADDING = "padding"

# The three records of a zip file (PKWARE's APPNOTE, sections 4.3.7, 4.3.12 and 4.3.16).
_LOCAL, _LOCAL_MARK = Struct("<4s5H3I2H"), b"PK\x03\x04"
_CENTRAL, _CENTRAL_MARK = Struct("<4s6H3I5H2I"), b"PK\x01\x02"
_END, _END_MARK = Struct("<4s4H2IH"), b"PK\x05\x06"
_MADE_BY_UNIX = 3 << 8 | 20
_NEEDS = 10
_STORED = 0
_MIDNIGHT, _1980_01_01 = 0, 1 << 5 | 1
_MODE_0600 = 0o100600 << 16


def pack(members: Mapping[str, bytes], *, largest: int = LARGEST) -> bytes:
    """Return the members as a bundle of the smallest size class that holds them.

    Raises BundleError `too-large` if that would be more than `largest` bytes.
    """
    pieces = list(_pieces(members))
    if sum(map(len, pieces)) > largest:
        raise BundleError("too-large")
    return b"".join(pieces)


def unpack(bundle: bytes, names: re.Pattern[str]) -> dict[str, bytes]:
    """Return the members, all of whose names match `names`, without the padding.

    Raises BundleError: `length`, `member` (a name that is not expected), `zip` (anything else).
    """
    if len(bundle) not in SIZE_CLASSES.values():
        raise BundleError("length")
    members = {}
    for name, data in _members(bundle):
        if not names.fullmatch(name) or name in members:
            raise BundleError("member")
        members[name] = data
    at = 0
    for piece in _pieces(members):
        if not bundle.startswith(piece, at):
            raise BundleError("zip")
        at += len(piece)
    if at != len(bundle):
        raise BundleError("zip")
    return members


def size_class(envelope_length: int) -> str:
    """Return the name of the size class of the bundle in an envelope of `envelope_length` bytes.

    An envelope adds at most 102 kB (64 recipients) and 16 bytes for each 64 KiB, which is less than the difference to
    the next class. Raises BundleError `length` if no class fits.
    """
    for name, size in SIZE_CLASSES.items():
        if size < envelope_length < size * 2:
            return name
    raise BundleError("length")


def _members(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the members before the padding as their local headers describe them; the caller checks the rest."""
    at = 0
    while at + _LOCAL.size <= len(bundle):
        mark, *_, size, name_length, _extra = _LOCAL.unpack_from(bundle, at)
        start = at + _LOCAL.size + name_length
        name = bundle[at + _LOCAL.size : start]
        if mark != _LOCAL_MARK or not name.isascii():
            break
        if name == PADDING.encode():
            return
        yield name.decode("ascii"), bundle[start : start + size]
        at = start + size
    raise BundleError("zip")


def _pieces(members: Mapping[str, bytes]) -> Iterator[bytes]:
    filled = {**members, PADDING: bytes(_room_left(members))}
    directory = []
    at = 0
    for name, data in filled.items():
        common = (
            _NEEDS,
            0,
            _STORED,
            _MIDNIGHT,
            _1980_01_01,
            zlib.crc32(data),
            len(data),
            len(data),
            len(name),
        )
        raw = name.encode("ascii")
        yield _LOCAL.pack(_LOCAL_MARK, *common, 0) + raw
        yield data
        directory.append(_CENTRAL.pack(_CENTRAL_MARK, _MADE_BY_UNIX, *common, 0, 0, 0, 0, _MODE_0600, at) + raw)
        at += _LOCAL.size + len(raw) + len(data)
    yield from directory
    length = sum(map(len, directory))
    yield _END.pack(_END_MARK, 0, 0, len(filled), len(filled), length, at, 0)


def _room_left(members: Mapping[str, bytes]) -> int:
    """Return how many bytes of padding fill the smallest class that holds the members."""
    records = sum(_LOCAL.size + _CENTRAL.size + 2 * len(name) for name in chain(members, [PADDING]))
    used = records + _END.size + sum(map(len, members.values()))
    for size in SIZE_CLASSES.values():
        if used <= size:
            return size - used
    raise BundleError("too-large")
