"""Lays out a recording as MPEG audio of one length, and checks that a file is laid out so and holds nothing else.

All recordings have `RECORDING_BYTES`, so that an observer of the network cannot tell by length which one was played.
A seek table comes first, then the frames of the speech, all of one size, then silent frames that are as large as the
format allows: they fill a megabyte in less than a minute. Each frame is 36 milliseconds. No tag, no name of a program
and no time is in the file. Sources: ISO 13818-3, 2.4 (layer III, low sampling frequency); the Xing seek table as FFmpeg
and LAME write and read it.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate

# Bytes of every recording, for thirteen minutes of speech.
RECORDING_BYTES = 1_650_000
# Bits and samples a second of the speech.
SPEECH_BITS, SPEECH_HERTZ = 16_000, 16_000
# Thousands of bits a second by the index in a header (ISO 13818-3, 2.4.2.3); the first means something else.
_KBITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BYTES_A_KBIT = 72 * 1000 / SPEECH_HERTZ  # of a frame of 576 samples
_SIZES = {index: int(kbits * _BYTES_A_KBIT) for index, kbits in enumerate(_KBITS) if kbits}
_SMALLEST, _SPEECH, _LARGEST, _TABLE = 1, 2, 14, 4
SPEECH_FRAME_BYTES = _SIZES[_SPEECH]
# MPEG-2 layer III without a checksum; 16,000 samples a second; one channel; no flag set.
_SYNC, _RATE, _MONO = b"\xff\xf3", 0b10_00, b"\xc0"
_PAD = 0b10
_HEAD_BYTES, _SIDE_BYTES = 4, 9
_TABLE_NAME, _TABLE_FLAGS = b"Xing", 0b111  # the number of frames, the number of bytes, and a hundred places
_PLACES = 100


def lay_out(speech: bytes) -> bytes:
    """Return frames of speech as a recording; ValueError if the speech is too long or is not of our frames."""
    if not speech or any(size != SPEECH_FRAME_BYTES for size in _frame_sizes(speech)):
        raise ValueError("these are no frames of speech")
    sizes = [SPEECH_FRAME_BYTES] * (len(speech) // SPEECH_FRAME_BYTES)
    silence = list(_silent_frames(RECORDING_BYTES - _SIZES[_TABLE] - len(speech)))
    table = _seek_table([*sizes, *map(len, silence)])
    return table + speech + b"".join(silence)


def recording_problem(data: bytes) -> str:
    """Return why a file is not one of our recordings, or an empty text."""
    if len(data) != RECORDING_BYTES:
        return f"is {len(data)} bytes long and not {RECORDING_BYTES}"
    try:
        sizes = list(_frame_sizes(data))
    except ValueError:
        return "is not MPEG audio of one channel with 16,000 samples a second, or has a tag"
    places = list(accumulate(sizes, initial=0))
    if data[: sizes[0]] != _seek_table(sizes[1:]):
        return "has another seek table than its frames need"
    for at, size in zip(places[1:-1], sizes[1:], strict=True):
        if size != SPEECH_FRAME_BYTES and data[at + _HEAD_BYTES : at + size].strip(b"\0"):
            return "has something in its silence"
    return ""


def _frame_sizes(data: bytes) -> Iterator[int]:
    """Yield the size of each frame; ValueError where the next bytes are no frame of ours."""
    at = 0
    while at < len(data):
        head = data[at : at + _HEAD_BYTES]
        index = head[2] >> 4 if len(head) == _HEAD_BYTES else 0
        if index not in _SIZES or head[:2] != _SYNC or head[2] & ~_PAD & 0b1111 != _RATE or head[3:] != _MONO:
            raise ValueError("no frame")
        size = _SIZES[index] + bool(head[2] & _PAD)
        if at + size > len(data):
            raise ValueError("a frame is cut")
        yield size
        at += size


def _frame(index: int, body: bytes = b"", *, pad: bool = False) -> bytes:
    """Return a frame of a bit rate; without a body it is silent, because its side information is zero."""
    head = _SYNC + bytes([index << 4 | _RATE | (_PAD if pad else 0)]) + _MONO
    return (head + bytes(_SIDE_BYTES) + body).ljust(_SIZES[index] + pad, b"\0")


def _silent_frames(length: int) -> Iterator[bytes]:
    """Yield silent frames of this many bytes together; ValueError if there is no room for them."""
    # As many frames as the length has bytes beyond a multiple of the smallest frame are one byte longer.
    step = _SIZES[_SMALLEST]
    longer = length % step
    if length < step * _SIZES[_LARGEST]:
        raise ValueError("the speech is too long")
    left = length - longer
    while left:
        index = max(index for index, size in _SIZES.items() if size <= left)
        yield _frame(index, pad=longer > 0)
        left -= _SIZES[index]
        longer -= longer > 0


def _seek_table(sizes: Sequence[int]) -> bytes:
    """Return the frame that says how many frames and bytes follow, and where each hundredth of the time begins."""
    places = list(accumulate(sizes, initial=_SIZES[_TABLE]))
    total = places[-1]
    marks = bytes(min(255, places[len(sizes) * place // _PLACES] * 256 // total) for place in range(_PLACES))
    numbers = b"".join(value.to_bytes(4, "big") for value in (_TABLE_FLAGS, len(sizes), total))
    return _frame(_TABLE, _TABLE_NAME + numbers + marks)
