"""Makes raw photos: a TIFF that begins with a thumbnail; the values of a sensor and other pictures stand inside."""

import struct

_LONG, _SHORT = 4, 3


def raw_photo(
    *, thumbnail: tuple[int, int] = (32, 24), sensor: tuple[int, int] = (240, 180), plain: bool = False,
    jpeg: bytes = b"", orientation: int = 1,
) -> bytes:  # fmt: skip
    """A DNG: its thumbnail is red, its sensor values are noise or, if `plain`, a green picture; `jpeg` lies beside."""
    pixels = bytes((255, 0, 0)) * (thumbnail[0] * thumbnail[1])
    values = (
        bytes((0, 255, 0)) * (sensor[0] * sensor[1]) if plain else bytes(range(256)) * (sensor[0] * sensor[1] // 256)
    )
    body = pixels + values + jpeg
    first = 8 + len(body)
    inner = first + 2 + 12 * 12 + 4
    page = [
        (254, _LONG, 1), (256, _LONG, thumbnail[0]), (257, _LONG, thumbnail[1]), (258, _SHORT, 8), (259, _SHORT, 1),
        (262, _SHORT, 2), (273, _LONG, 8), (274, _SHORT, orientation), (277, _SHORT, 3), (278, _LONG, thumbnail[1]),
        (279, _LONG, len(pixels)), (330, _LONG, inner),
    ]  # fmt: skip
    below = [
        (254, _LONG, 0), (256, _LONG, sensor[0]), (257, _LONG, sensor[1]), (258, _SHORT, 8), (259, _SHORT, 1),
        (262, _SHORT, 2 if plain else 32803), (273, _LONG, 8 + len(pixels)), (277, _SHORT, 3 if plain else 1),
        (278, _LONG, sensor[1]), (279, _LONG, len(values)),
    ]  # fmt: skip
    return b"II*\0" + struct.pack("<I", first) + body + _directory(page) + _directory(below)


def _directory(entries: list[tuple[int, int, int]]) -> bytes:
    packed = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return struct.pack("<H", len(entries)) + packed + bytes(4)
