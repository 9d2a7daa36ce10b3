"""WAV and MP3 rebuilt from their samples and frames by hand: what is not sound has no place to stay.

A WAV is a new header and the samples. An MP3 is its layer III frames alone: no ID3, APE or Lyrics tag, no
Xing/LAME/VBRI frame, nothing between frames, and the ancillary bits that no decoder plays are zeroed (LAME writes
its name there). Sources: RIFF MCI 1.0; ISO 11172-3, 2.4.1 and 13818-3.
"""

# ruff: noqa: PLR2004 - the numbers are the formats' own.

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from app.core.errors import FileRefusedError
from app.files.av import rebuild as rebuild_media
from app.files.protocol import Answer, Form, Kind, one

_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_PLAYED_AS_IS = {_PCM, _FLOAT, _A_LAW, _MU_LAW}
_WAV_PLAIN = {b"fmt ", b"data", b"fact", b"JUNK", b"PAD "}
_WAV_KINDS = {b"LIST": Kind.COMMENTS, b"bext": Kind.AUTHOR, b"C2PA": Kind.CREDENTIALS}

_KBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)
_MPEG1, _MONO = 3, 3
_SEEK_TABLES = (b"Xing", b"Info", b"VBRI")
_LEAST_FRAMES = 3
_ID3_KINDS = {
    b"APIC": Kind.COVER, b"PIC": Kind.COVER, b"COMM": Kind.COMMENTS, b"COM": Kind.COMMENTS,
    b"GEOB": Kind.EMBEDDED, b"TPE1": Kind.AUTHOR, b"TP1": Kind.AUTHOR, b"TIT2": Kind.TITLE, b"TT2": Kind.TITLE,
    b"TDRC": Kind.DATE, b"TYER": Kind.DATE, b"TYE": Kind.DATE, b"TSSE": Kind.SOFTWARE, b"TSS": Kind.SOFTWARE,
    b"TENC": Kind.AUTHOR, b"CHAP": Kind.CHAPTERS, b"UFID": Kind.NUMBER, b"PRIV": Kind.OTHER,
}  # fmt: skip
_ID3_NAME = re.compile(rb"|".join(sorted(_ID3_KINDS, reverse=True)))


def rebuild_wav(data: bytes) -> Answer:
    """The samples under a new header, or, if they are compressed, as AAC; FileRefusedError("damaged")."""
    chunks = dict(reversed(list(_riff_chunks(data))))
    if len(chunks.get(b"fmt ", b"")) < 16 or not chunks.get(b"data"):
        raise FileRefusedError("damaged")
    form, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    if form == _EXTENSIBLE and len(chunks[b"fmt "]) >= 26:
        form = int.from_bytes(chunks[b"fmt "][24:26], "little")
    kinds = {_WAV_KINDS.get(name, Kind.OTHER) for name in chunks if name not in _WAV_PLAIN}
    kinds |= {Kind.TRAILING} if len(data) > 8 + int.from_bytes(data[4:8], "little") else set()
    if form not in _PLAYED_AS_IS:
        return rebuild_media(data)
    if not channels or not rate or block != channels * (bits // 8) or not block:
        raise FileRefusedError("damaged")
    samples = chunks[b"data"][: len(chunks[b"data"]) // block * block]
    fmt = struct.pack("<HHIIHH", form, channels, rate, rate * block, block, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(samples)) + samples
    body += b"\0" * (len(samples) % 2)
    return one(Form.WAV, b"RIFF" + struct.pack("<I", len(body)) + body, kinds)


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


@dataclass(frozen=True)
class _Frame:
    """One layer III frame: `head` is its header, CRC and side information, `main` the bytes after them."""

    head: bytes
    main: bytes
    back: int  # how many bytes before its own `main` its data begins
    bits: int  # how many bits of data it has


def rebuild_mp3(data: bytes) -> Answer:
    """The frames of the sound and nothing else; FileRefusedError("damaged") if there are none."""
    frames = list(_frames(data))
    if len(frames) < _LEAST_FRAMES:
        raise FileRefusedError("damaged")
    kinds = set(_id3_kinds(data))
    if any(table in frames[0].head + frames[0].main[:64] for table in _SEEK_TABLES):
        frames.pop(0)
        kinds.add(Kind.ENCODER)
    before = b"".join(frame.main for frame in frames)
    after = _without_ancillary(frames, before)
    if after != before:
        kinds.add(Kind.ENCODER)
    parts, at = [], 0
    for frame in frames:
        parts += [frame.head, after[at : at + len(frame.main)]]
        at += len(frame.main)
    return one(Form.MP3, b"".join(parts), kinds)


def _id3_kinds(data: bytes) -> Iterator[Kind]:
    if data.startswith(b"ID3"):
        yield Kind.OTHER
        yield from (_ID3_KINDS[name] for name in _ID3_NAME.findall(data[: _after_id3(data)]))
    if b"APETAGEX" in data or data[-128:-125] == b"TAG" or b"LYRICSBEGIN" in data:
        yield Kind.OTHER


def _after_id3(data: bytes) -> int:
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if data[5:6] and data[5] & 0x10 else 0)


def _frames(data: bytes) -> Iterator[_Frame]:
    """Frames that follow one another; where one does not, the next two that do are looked for."""
    at = _after_id3(data) if data.startswith(b"ID3") else 0
    kind, joined = None, False
    while (at := data.find(b"\xff", at)) >= 0:
        size = _frame_size(data[at : at + 4])
        end = at + size
        same = data[at + 1 : at + 2] + bytes([data[at + 2] & 0x0C]) if size else None
        # A frame counts if it joins the one before it or the one after it, and is of the same version and rate.
        if not size or end > len(data) or (kind and same != kind) or not (joined or _frame_size(data[end : end + 4])):
            at, joined = at + 1, False
            continue
        yield _frame(data[at:end])
        kind, joined, at = same, True, end


def _frame_size(header: bytes) -> int:
    """The length in bytes that a layer III header announces, or 0 if it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2 or header[1] >> 3 & 3 == 1:
        return 0
    version, kbits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if kbits in {0, 15} or rate == 3:
        return 0
    hertz = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    samples_by_8 = 144 if version == _MPEG1 else 72
    return samples_by_8 * _KBITS[version == _MPEG1][kbits] * 1000 // hertz + (header[2] >> 1 & 1)


def _frame(data: bytes) -> _Frame:
    mpeg1, mono = data[1] >> 3 & 3 == _MPEG1, data[3] >> 6 == _MONO
    side_at = 4 if data[1] & 1 else 6
    side_size = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    side = data[side_at : side_at + side_size]
    bits = int.from_bytes(side, "big")
    length = len(side) * 8

    def field(at: int, width: int) -> int:
        return bits >> max(0, length - at - width) & (1 << width) - 1

    channels = 1 if mono else 2
    if mpeg1:
        back, first, granules, step = field(0, 9), 9 + (5 if mono else 3) + 4 * channels, 2, 59
    else:
        back, first, granules, step = field(0, 8), 8 + channels, 1, 63
    used = sum(field(first + step * place, 12) for place in range(granules * channels))
    return _Frame(data[: side_at + side_size], data[side_at + side_size :], back, used)


def _without_ancillary(frames: list[_Frame], main: bytes) -> bytes:
    """The frames' data with every bit zeroed that belongs to no frame."""
    kept = bytearray(len(main))
    own = 0
    for frame in frames:
        begin = max(0, own - frame.back)
        whole, odd = divmod(frame.bits, 8)
        end = min(begin + whole, own + len(frame.main))
        kept[begin:end] = main[begin:end]
        if odd and end < len(main):
            kept[end] |= main[end] & (0xFF << (8 - odd) & 0xFF)
        own += len(frame.main)
    return bytes(kept)
