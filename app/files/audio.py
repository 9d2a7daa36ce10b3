"""Rebuilds WAV from its samples and MP3 from its frames, so that nothing remains but sound.

A WAV becomes a new header and the samples. An MP3 becomes its layer III frames alone: no ID3, APE or Lyrics tag, no
Xing, LAME or VBRI frame, nothing between frames, and zeros in what no decoder plays: the ancillary bits (LAME writes
its name there), the private, copyright, original and emphasis bits, and the fields of a silent granule. The checksum of
a frame is computed anew. Sources: RIFF (Multimedia Programming Interface 1.0), ISO 11172-3, 2.4.1, and ISO 13818-3.
"""

# ruff: noqa: PLR2004 - the numbers are constants of the formats

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from app.core.errors import FileRefusedError
from app.files.protocol import MUST_ENCODE, OutputFormat, RemovedKind, WorkerResult, single_file_result
from app.files.recording_formats import id3_length

_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_UNCOMPRESSED = {_PCM, _FLOAT, _A_LAW, _MU_LAW}
_WAV_SOUND_CHUNKS = {b"fmt ", b"data", b"fact", b"JUNK", b"PAD "}
_KIND_OF_WAV_CHUNK = {b"LIST": RemovedKind.COMMENTS, b"bext": RemovedKind.AUTHOR, b"C2PA": RemovedKind.CREDENTIALS}

_KBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG1_HERTZ = (44_100, 48_000, 32_000)
_MPEG1, _JOINT_STEREO, _MONO = 3, 1, 3
_CRC_POLYNOMIAL = 0x8005  # ISO 11172-3, 2.4.3.1
_SEEK_TABLE_NAMES = (b"Xing", b"Info", b"VBRI")
_MIN_FRAMES = 3
_ID3_FRAMES = {
    RemovedKind.COVER: (b"APIC", b"PIC"),
    RemovedKind.COMMENTS: (b"COMM", b"COM"),
    RemovedKind.EMBEDDED: (b"GEOB",),
    RemovedKind.AUTHOR: (b"TPE1", b"TP1", b"TENC"),
    RemovedKind.TITLE: (b"TIT2", b"TT2"),
    RemovedKind.DATE: (b"TDRC", b"TYER", b"TYE"),
    RemovedKind.SOFTWARE: (b"TSSE", b"TSS"),
    RemovedKind.CHAPTERS: (b"CHAP",),
    RemovedKind.NUMBER: (b"UFID",),
    RemovedKind.OTHER: (b"PRIV",),
}
_KIND_OF_ID3_FRAME = {name: kind for kind, names in _ID3_FRAMES.items() for name in names}
_ID3_NAME = re.compile(rb"|".join(sorted(_KIND_OF_ID3_FRAME, reverse=True)))


def rebuild_wav(data: bytes) -> WorkerResult:
    """Return the samples under a new header; FileRefusedError "damaged", or "must-encode" if they are compressed."""
    chunks = dict(reversed(list(_riff_chunks(data))))
    if len(chunks.get(b"fmt ", b"")) < 16 or not chunks.get(b"data"):
        raise FileRefusedError("damaged")
    encoding, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    if encoding == _EXTENSIBLE and len(chunks[b"fmt "]) >= 26:
        encoding = int.from_bytes(chunks[b"fmt "][24:26], "little")
    kinds = {_KIND_OF_WAV_CHUNK.get(name, RemovedKind.OTHER) for name in chunks if name not in _WAV_SOUND_CHUNKS}
    kinds |= {RemovedKind.TRAILING} if len(data) > 8 + int.from_bytes(data[4:8], "little") else set()
    if encoding not in _UNCOMPRESSED:
        raise FileRefusedError(MUST_ENCODE)
    if not channels or not rate or block != channels * (bits // 8) or not block:
        raise FileRefusedError("damaged")
    samples = chunks[b"data"][: len(chunks[b"data"]) // block * block]
    fmt = struct.pack("<HHIIHH", encoding, channels, rate, rate * block, block, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(samples)) + samples
    body += b"\0" * (len(samples) % 2)
    return single_file_result(OutputFormat.WAV, b"RIFF" + struct.pack("<I", len(body)) + body, kinds)


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


@dataclass(frozen=True)
class _Frame:
    """A layer III frame: `head` is its header, CRC and side information, `main` the rest (ISO 11172-3, 2.4.1)."""

    head: bytes  # as it came
    clean_head: bytes
    main: bytes
    back: int  # main_data_begin: how many bytes before `main` this frame's data begins
    bits: int  # the length of this frame's data, without ancillary bits


def rebuild_mp3(data: bytes) -> WorkerResult:
    """Return the sound frames and nothing else.

    Raises FileRefusedError("must-encode") if there are fewer than three and other bytes: they may be no frames at all.
    """
    frames = list(_frames(data))
    length = sum(len(frame.head) + len(frame.main) for frame in frames)
    if not frames or (len(frames) < _MIN_FRAMES and length < len(data) - id3_length(data)):
        raise FileRefusedError(MUST_ENCODE)
    kinds = set(_id3_kinds(data))
    if len(frames) > 1 and any(table in frames[0].head + frames[0].main[:64] for table in _SEEK_TABLE_NAMES):
        frames.pop(0)
        kinds.add(RemovedKind.ENCODER)
    main_data = b"".join(frame.main for frame in frames)
    cleaned = _zero_ancillary_bits(frames, main_data)
    if cleaned != main_data or any(frame.clean_head != frame.head for frame in frames):
        kinds.add(RemovedKind.ENCODER)
    parts, at = [], 0
    for frame in frames:
        parts += [frame.clean_head, cleaned[at : at + len(frame.main)]]
        at += len(frame.main)
    return single_file_result(OutputFormat.MP3, b"".join(parts), kinds)


def _id3_kinds(data: bytes) -> Iterator[RemovedKind]:
    if data.startswith(b"ID3"):
        yield RemovedKind.OTHER
        yield from (_KIND_OF_ID3_FRAME[name] for name in _ID3_NAME.findall(data[: id3_length(data)]))
    if b"APETAGEX" in data or data[-128:-125] == b"TAG" or b"LYRICSBEGIN" in data:
        yield RemovedKind.OTHER


def _frames(data: bytes) -> Iterator[_Frame]:
    """Yield frames that follow one another, up to the end; after a gap, search for the next two that do."""
    at = id3_length(data)
    version_and_rate, joined = None, False
    while (at := data.find(b"\xff", at)) >= 0:
        size = _frame_size(data[at : at + 4])
        end = at + size
        own = data[at + 1 : at + 2] + bytes([data[at + 2] & 0x0C]) if size else None
        # A frame counts if it is adjacent to the previous or the next frame, and has the same version and rate.
        differs = version_and_rate is not None and own != version_and_rate
        is_followed = joined or end == len(data) or _frame_size(data[end : end + 4])
        if not size or end > len(data) or differs or not is_followed:
            at, joined = at + 1, False
            continue
        yield _parse_frame(data[at:end])
        version_and_rate, joined, at = own, True, end


def _frame_size(header: bytes) -> int:
    """Return the length in bytes that a layer III header declares, or 0 if it is no such header."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2 or header[1] >> 3 & 3 == 1:
        return 0
    version, kbits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if kbits in {0, 15} or rate == 3:
        return 0
    hertz = _MPEG1_HERTZ[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bytes_per_bit_rate = 144 if version == _MPEG1 else 72  # samples of a frame, divided by 8 bits a byte
    return bytes_per_bit_rate * _KBITS[version == _MPEG1][kbits] * 1000 // hertz + (header[2] >> 1 & 1)


def _parse_frame(data: bytes) -> _Frame:
    """Split a frame by its side information (ISO 11172-3, 2.4.1.7; ISO 13818-3, 2.4.1.7)."""
    mpeg1, mono = data[1] >> 3 & 3 == _MPEG1, data[3] >> 6 == _MONO
    side_at = 4 if data[1] & 1 else 6
    side_size = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    side = int.from_bytes(data[side_at : side_at + side_size], "big")
    width = side_size * 8
    channels = 1 if mono else 2
    back_bits, private_bits = (9, 5 if mono else 3) if mpeg1 else (8, channels)
    first = back_bits + private_bits + (4 * channels if mpeg1 else 0)
    step, granules = (59, 2) if mpeg1 else (63, 1)
    clean_side = _without_bits(side, width, back_bits, private_bits)
    used = 0
    for at in range(first, first + step * granules * channels, step):
        size = _bits(side, width, at, 12)
        used += size
        clean_side = clean_side if size else _without_bits(clean_side, width, at, step)
    head = data[: side_at + side_size]
    clean_head = _clean_head(data[:4], clean_side.to_bytes(side_size, "big"))
    return _Frame(head, clean_head, data[len(head) :], _bits(side, width, 0, back_bits), used)


def _bits(number: int, width: int, at: int, count: int) -> int:
    return number >> max(0, width - at - count) & (1 << count) - 1


def _without_bits(number: int, width: int, at: int, count: int) -> int:
    return number & ~((1 << count) - 1 << max(0, width - at - count))


def _clean_head(header: bytes, side: bytes) -> bytes:
    """Return a frame's header and side information with zeros in what no decoder plays, under a new checksum."""
    is_joint = header[3] >> 6 == _JOINT_STEREO
    header = header[:2] + bytes([header[2] & 0xFE, header[3] & (0xF0 if is_joint else 0xC0)])
    checksum = b"" if header[1] & 1 else _crc16(header[2:] + side).to_bytes(2, "big")
    return header + checksum + side


def _crc16(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (_CRC_POLYNOMIAL if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def _zero_ancillary_bits(frames: list[_Frame], main: bytes) -> bytes:
    """Return the data of all frames, with every bit zero that belongs to no frame."""
    kept = bytearray(len(main))
    main_at = 0
    for frame in frames:
        begin = max(0, main_at - frame.back)
        whole, odd = divmod(frame.bits, 8)
        end = min(begin + whole, main_at + len(frame.main))
        kept[begin:end] = main[begin:end]
        if odd and end < len(main):
            kept[end] |= main[end] & (0xFF << (8 - odd) & 0xFF)
        main_at += len(frame.main)
    return bytes(kept)
