"""A small writer and editor of ISO boxes (14496-12), to plant what no encoder would write."""

import struct


def box(name: bytes, body: bytes = b"") -> bytes:
    """One box."""
    return struct.pack(">I4s", 8 + len(body), name) + body


def full(name: bytes, body: bytes = b"", version: int = 0, flags: int = 0) -> bytes:
    """One box with a version and flags."""
    return box(name, struct.pack(">I", version << 24 | flags) + body)


# How many bytes of its own come before a box's children.
_OWN = {b"stsd": 8, b"avc1": 78, b"hvc1": 78, b"mp4a": 28, b"meta": 4}


def find(data: bytes, path: list[bytes], start: int = 0, end: int | None = None) -> list[int]:
    """Where each box of a path begins, outermost first; the first of each name."""
    end = len(data) if end is None else end
    at = start
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        if name == path[0]:
            if len(path) == 1:
                return [at]
            inner = at + 8 + _OWN.get(name, 0)
            return [at, *find(data, path[1:], inner, at + size)]
        at += size
    raise LookupError(path)


def insert(data: bytes, path: list[bytes], child: bytes) -> bytes:
    """The file with a child appended to the box at a path; `mdat` must come before it, or offsets break."""
    places = find(data, path)
    size = struct.unpack_from(">I", data, places[-1])[0]
    end = places[-1] + size
    changed = bytearray(data[:end] + child + data[end:])
    for place in places:
        old = struct.unpack_from(">I", changed, place)[0]
        struct.pack_into(">I", changed, place, old + len(child))
    return bytes(changed)


def body(data: bytes, path: list[bytes]) -> bytes:
    """What the box at a path holds."""
    place = find(data, path)[-1]
    return data[place + 8 : place + struct.unpack_from(">I", data, place)[0]]


def patch(data: bytes, old: bytes, new: bytes) -> bytes:
    """The file with one string replaced by another of the same length, everywhere; it must be there."""
    assert len(old) == len(new)
    assert old in data
    return data.replace(old, new)
