"""A bundle: named members in a stored zip, padded with zeros to exactly 128 KiB.

Any unzip program opens a bundle. The same members in the same order always give the same bytes, without times and
attributes. Reading accepts only the exact bytes that writing would make, which excludes compression, zip bombs,
duplicates, hidden members and names that leave a folder. Every fault raises BundleError.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from struct import Struct

from app.core.errors import BundleError

BUNDLE_BYTES = 128 * 1024
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
_MAX_ZIP_BYTES = 1 << 32


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return the members as a bundle; raises BundleError `too-large` if they do not fit."""
    return b"".join(_pieces(_padded(members)))


def unpack(bundle: bytes, names: re.Pattern[str]) -> dict[str, bytes]:
    """Return the members, all of whose names match `names`, without the padding.

    Raises BundleError: `length`, `member` (a name that is not expected), `zip` (anything else).
    """
    if len(bundle) != BUNDLE_BYTES:
        raise BundleError("length")
    members = _read_members(bundle, names)
    _check_same(bundle, _padded(members))
    return members


def pack_files(files: Mapping[str, bytes]) -> Iterator[bytes]:
    """Yield the files as a stored zip without padding, piece by piece: the bytes of a file are not copied.

    Raises BundleError `too-large` for 4 GiB or more, which a plain zip cannot hold.
    """
    if files_length({name: len(data) for name, data in files.items()}) >= _MAX_ZIP_BYTES:
        raise BundleError("too-large")
    yield from _pieces(files)


def unpack_files(data: bytes, names: re.Pattern[str]) -> dict[str, bytes]:
    """Return the files of a zip that `pack_files` made, all of whose names match `names`.

    Raises BundleError: `member` (a name that is not expected), `zip` (anything else).
    """
    files = _read_members(data, names)
    _check_same(data, files)
    return files


def files_length(sizes: Mapping[str, int]) -> int:
    """Return how many bytes `pack_files` makes of files with these names and sizes."""
    return _END.size + sum(_LOCAL.size + _CENTRAL.size + 2 * len(name) + size for name, size in sizes.items())


def first_member(bundle: bytes) -> str:
    """Return the name of a bundle's first member, which says what kind of bundle it claims to be, or an empty text."""
    if len(bundle) < _LOCAL.size or not bundle.startswith(_LOCAL_MARK):
        return ""
    length = _LOCAL.unpack_from(bundle)[-2]
    return bundle[_LOCAL.size : _LOCAL.size + length].decode("latin-1")


def _read_members(data: bytes, names: re.Pattern[str]) -> dict[str, bytes]:
    """Return the members up to the padding, as the local headers have them; `_check_same` has yet to prove them."""
    members: dict[str, bytes] = {}
    at = 0
    while at + _LOCAL.size <= len(data):
        mark, *_, size, name_length, _extra = _LOCAL.unpack_from(data, at)
        start = at + _LOCAL.size + name_length
        raw = data[at + _LOCAL.size : start]
        if mark != _LOCAL_MARK or raw == PADDING.encode():
            break
        name = raw.decode("latin-1")
        if not name.isascii() or not names.fullmatch(name) or name in members:
            raise BundleError("member")
        members[name] = data[start : start + size]
        at = start + size
    return members


def _check_same(data: bytes, members: Mapping[str, bytes]) -> None:
    """Raise BundleError `zip` unless the data is, to the last byte, the zip that we make of these members."""
    at = 0
    for piece in _pieces(members):
        if not data.startswith(piece, at):
            raise BundleError("zip")
        at += len(piece)
    if at != len(data):
        raise BundleError("zip")


def _padded(members: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the members and the padding that fills the bundle; raises BundleError `too-large`."""
    room = BUNDLE_BYTES - files_length({name: len(data) for name, data in members.items()} | {PADDING: 0})
    if room < 0:
        raise BundleError("too-large")
    return {**members, PADDING: bytes(room)}


def _pieces(members: Mapping[str, bytes]) -> Iterator[bytes]:
    directory = []
    at = 0
    for name, data in members.items():
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
    yield _END.pack(_END_MARK, 0, 0, len(members), len(members), length, at, 0)
