"""What a remux would carry over inside coded sound and video, and how it is taken out.

Encoders sign their work within the stream: x264 in an SEI unit, FFmpeg's AAC in a fill element, Opus packets in
their padding, and every codec's header may be followed by anything. Headers are written anew from the fields that
decoding needs. Sources: ISO 14496-10 table 7-1, 23008-2 table 7-1, AV1 6.2.2, 14496-3 1.6 and 4.4, RFC 6716, 7845.
"""

# ruff: noqa: PLR2004 - the numbers are the formats' own.

import re
from collections.abc import Iterator, Mapping

# FFmpeg's filter_units, told which units may pass: pictures and their parameter sets, never SEI, filler, metadata
# or a type that the standards leave open.
UNITS_KEPT: Mapping[str, str] = {
    "h264": "filter_units=pass_types=1-5|7-8",
    "hevc": "filter_units=pass_types=0-9|16-21|32-34",
    "av1": "filter_units=pass_types=1|3-4|6-7",
}

_START_CODE = re.compile(rb"\x00\x00\x00?\x01")
_PARAMETER_SETS = {"h264": (0x1F, 0, {7, 8}), "hevc": (0x7E, 1, {32, 33, 34})}
_SEQUENCE_HEADER = 1

_AAC_LC, _SBR, _PS = 2, 5, 29
_ESCAPE_RATE, _MOST_CHANNELS = 13, 7
_DATA_ELEMENT, _FILL_ELEMENT = 4, 6
_OPUS_HEAD = 19


def units_head(codec: str, extradata: bytes) -> bytes:
    """The parameter sets alone of a filtered stream's header; filter_units looks at packets only."""
    if codec == "av1":
        return b"".join(_sequence_headers(extradata))
    mask, shift, kept = _PARAMETER_SETS[codec]
    units = [unit for unit in _START_CODE.split(extradata) if unit and (unit[0] & mask) >> shift in kept]
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def _sequence_headers(obus: bytes) -> Iterator[bytes]:
    """AV1's open bitstream units of type 1 among others, each with its length (AV1 5.3.2, leb128 4.10.5)."""
    at = 0
    while at < len(obus):
        start, size, shift = at, 0, 0
        at += 2 if obus[at] & 4 else 1
        while at < len(obus) and obus[start] & 2:
            size |= (obus[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not obus[at - 1] & 0x80:
                break
        at += size
        if obus[start] >> 3 & 15 == _SEQUENCE_HEADER and size:
            yield obus[start:at]
        if not size:
            return


def aac_config(extradata: bytes) -> bytes | None:
    """AudioSpecificConfig with nothing after it, or None for the rare kinds that must be encoded again."""
    bits = _Bits(extradata)
    kind, rate, channels = bits.take(5), bits.take(4), bits.take(4)
    if kind not in {_AAC_LC, _SBR, _PS} or rate >= _ESCAPE_RATE or not 1 <= channels <= _MOST_CHANNELS:
        return None
    head = kind << 8 | rate << 4 | channels
    if kind != _AAC_LC:
        outer, core = bits.take(4), bits.take(5)
        if outer >= _ESCAPE_RATE or core != _AAC_LC:
            return None
        head = head << 9 | outer << 5 | core
    if bits.take(3):
        return None
    return (head << 3).to_bytes(2, "big") if kind == _AAC_LC else (head << 10).to_bytes(4, "big")


def aac_packet(packet: bytes) -> bytes:
    """The access unit without the fill and data elements in front, where encoders write their names."""
    bits = _Bits(packet)
    while True:
        start = bits.at
        element = bits.take(3)
        if element == _FILL_ELEMENT:
            count = bits.take(4)
            bits.at += 8 * (count + bits.take(8) - 1 if count == 15 else count)
        elif element == _DATA_ELEMENT:
            bits.take(4)
            aligned = bits.take(1)
            count = bits.take(8)
            count += bits.take(8) if count == 255 else 0
            bits.at += -bits.at % 8 * aligned + 8 * count
        else:
            return bits.after(start) if start else packet
        if bits.at > bits.length:
            return packet


def opus_config(extradata: bytes) -> bytes | None:
    """OpusHead with nothing after it, or None if it is none (RFC 7845, 5.1)."""
    if len(extradata) < _OPUS_HEAD or extradata[:8] != b"OpusHead":
        return None
    channels, family = extradata[9], extradata[18]
    return extradata[: _OPUS_HEAD + (2 + channels if family else 0)]


def opus_packet(packet: bytes) -> bytes:
    """The packet with its padding, which no decoder reads, zeroed (RFC 6716, 3.2.5)."""
    if len(packet) < 3 or packet[0] & 3 != 3 or not packet[1] & 0x40:
        return packet
    at, padding = 2, 0
    while at < len(packet) and packet[at] == 255:
        padding, at = padding + 254, at + 1
    if at >= len(packet):
        return packet
    padding += packet[at]
    if padding >= len(packet) - at:
        return packet
    return packet[: len(packet) - padding] + b"\0" * padding


class _Bits:
    """Bits of a byte string from the front; past the end they are zeros."""

    def __init__(self, data: bytes) -> None:
        self.length = len(data) * 8
        self.at = 0
        self._number = int.from_bytes(data, "big")

    def take(self, width: int) -> int:
        """The next bits as a number."""
        self.at += width
        shift = self.length - self.at
        return (self._number >> shift if shift >= 0 else self._number << -shift) & (1 << width) - 1

    def after(self, at: int) -> bytes:
        """All bits from a place on, moved to the front and filled up to a byte."""
        left = self.length - at
        rest = self._number & (1 << left) - 1
        return (rest << -left % 8).to_bytes((left + 7) // 8, "big")
