"""Removes from coded sound and video what a copy into a new container would keep.

Encoders write their names into the stream: x264 into an SEI unit, FFmpeg's AAC into a fill element, others into the
padding of Opus packets, and any data may follow a codec's header. Headers are built again from the fields that a
decoder needs. Sources: ISO 14496-10, table 7-1; ISO 23008-2, table 7-1; AV1 Bitstream 6.2.2; ISO 14496-3, 1.6 and
4.4; RFC 6716; RFC 7845.
"""

# ruff: noqa: PLR2004 - the numbers are constants of the formats

import re
from collections.abc import Iterator, Mapping

# Arguments for FFmpeg's filter_units: pictures and their parameter sets pass; SEI, filler, metadata and every unit type
# that the standards leave open are dropped.
UNIT_FILTERS: Mapping[str, str] = {
    "h264": "filter_units=pass_types=1-5|7-8",
    "hevc": "filter_units=pass_types=0-9|16-21|32-34",
    "av1": "filter_units=pass_types=1|3-4|6-7",
}
# The same, and each parameter set and header written anew from its fields, so that nothing is left after the last
# field. A header that FFmpeg cannot read makes the filter fail.
HEADER_FILTERS: Mapping[str, str] = {codec: f"{units},{codec}_metadata" for codec, units in UNIT_FILTERS.items()}

_START_CODE = re.compile(rb"\x00\x00\x00?\x01")
_PARAMETER_SET_UNITS = {"h264": (0x1F, 0, {7, 8}), "hevc": (0x7E, 1, {32, 33, 34})}
_SEQUENCE_HEADER_OBU = 1

_AAC_LC, _SBR, _PS = 2, 5, 29
_ESCAPE_RATE, _MAX_CHANNELS = 13, 7
_DATA_ELEMENT, _FILL_ELEMENT = 4, 6
_OPUS_HEAD_BYTES, _OPUS_HERTZ = 19, 48_000


def video_parameter_sets(codec: str, extradata: bytes) -> bytes:
    """Return only the parameter sets of a stream's header, which filter_units does not filter."""
    if codec == "av1":
        return b"".join(_sequence_headers(extradata))
    mask, shift, kept = _PARAMETER_SET_UNITS[codec]
    units = [unit for unit in _START_CODE.split(extradata) if unit and (unit[0] & mask) >> shift in kept]
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def _sequence_headers(obus: bytes) -> Iterator[bytes]:
    """Yield AV1's sequence header OBUs with their headers (AV1 Bitstream 5.3.2; lengths are leb128, 4.10.5)."""
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
        if obus[start] >> 3 & 15 == _SEQUENCE_HEADER_OBU and size:
            yield obus[start:at]
        if not size:
            return


def has_further_layers(packet: bytes) -> bool:
    """Return whether a packet of HEVC in MP4 holds units of a second layer, as spatial films do (ISO 23008-2, 7.3.1.2).

    A plain decoder shows nothing of such units. Units follow their lengths of four bytes; other lengths read as layers.
    """
    at = 0
    while at + 6 <= len(packet):
        if int.from_bytes(packet[at + 4 : at + 6], "big") >> 3 & 0x3F:
            return True
        at += 4 + int.from_bytes(packet[at : at + 4], "big")
    return at != len(packet)


def clean_aac_config(extradata: bytes) -> bytes | None:
    """Return an AudioSpecificConfig with nothing after it, or None for object types that must be encoded again.

    Source: ISO 14496-3, 1.6.2.1.
    """
    bits = _BitReader(extradata)
    kind, rate, channels = bits.read(5), bits.read(4), bits.read(4)
    if kind not in {_AAC_LC, _SBR, _PS} or rate >= _ESCAPE_RATE or not 1 <= channels <= _MAX_CHANNELS:
        return None
    head = kind << 8 | rate << 4 | channels
    if kind != _AAC_LC:
        outer, core = bits.read(4), bits.read(5)
        if outer >= _ESCAPE_RATE or core != _AAC_LC:
            return None
        head = head << 9 | outer << 5 | core
    if bits.read(3):
        return None
    return (head << 3).to_bytes(2, "big") if kind == _AAC_LC else (head << 10).to_bytes(4, "big")


def clean_aac_packet(packet: bytes) -> bytes:
    """Return the access unit without leading fill and data elements, into which encoders write their names."""
    bits = _BitReader(packet)
    while True:
        start = bits.at
        element = bits.read(3)
        if element == _FILL_ELEMENT:
            count = bits.read(4)
            count += bits.read(8) - 1 if count == 15 else 0
            bits.at += 8 * count
        elif element == _DATA_ELEMENT:
            bits.read(4)
            aligned = bits.read(1)
            count = bits.read(8)
            count += bits.read(8) if count == 255 else 0
            bits.at += -bits.at % 8 * aligned + 8 * count
        else:
            return bits.from_bit(start) if start else packet
        if bits.at > bits.length:
            return packet


def clean_opus_head(extradata: bytes) -> bytes | None:
    """Return an OpusHead with nothing after it, or None if the data is none (RFC 7845, 5.1).

    The sample rate of the original, which no decoder needs, becomes 48 kHz.
    """
    if len(extradata) < _OPUS_HEAD_BYTES or extradata[:8] != b"OpusHead":
        return None
    channels, mapping_family = extradata[9], extradata[18]
    head = extradata[:8] + b"\1" + extradata[9:12] + _OPUS_HERTZ.to_bytes(4, "little")
    return head + extradata[16 : _OPUS_HEAD_BYTES + (2 + channels if mapping_family else 0)]


def clean_opus_packet(packet: bytes) -> bytes:
    """Return the packet with zeros as its padding, which no decoder reads (RFC 6716, 3.2.5)."""
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


class _BitReader:
    """Reads the bits of a byte string from the front; bits past the end are zeros."""

    def __init__(self, data: bytes) -> None:
        self.length = len(data) * 8
        self.at = 0
        self._number = int.from_bytes(data, "big")

    def read(self, width: int) -> int:
        """Return the next `width` bits as a number."""
        self.at += width
        shift = self.length - self.at
        return (self._number >> shift if shift >= 0 else self._number << -shift) & (1 << width) - 1

    def from_bit(self, at: int) -> bytes:
        """Return all bits from position `at` on as bytes, with zeros after the last bit."""
        left = self.length - at
        rest = self._number & (1 << left) - 1
        return (rest << -left % 8).to_bytes((left + 7) // 8, "big")
