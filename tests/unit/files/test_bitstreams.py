"""What is left beside picture and sound once a recording is built anew: bits and boxes that no player needs."""

import io
import struct

import av
import pytest

from app.core.errors import FileRefusedError
from app.files.audio import rebuild_mp3
from app.files.av import rebuild_media
from app.files.bitstreams import clean_opus_head
from app.files.encode import encode_media
from app.files.iso_boxes import plain_boxes
from tests.corpus import recordings
from tests.corpus.boxes import body, box, patch

_MARK = b"HIDDEN-MARK-OF-ONE"
_TKHD = [b"moov", b"trak", b"tkhd"]


def _pictures(data):
    with av.open(io.BytesIO(data)) as source:
        return [frame.to_image().tobytes() for frame in source.decode(video=0)]


def _samples(data):
    with av.open(io.BytesIO(data), format="mp3") as source:
        return b"".join(bytes(frame.planes[0]) for frame in source.decode(audio=0))


@pytest.mark.parametrize(("codec", "name", "marks"), [("libx264", "h264", 8), ("libx265", "hevc", 3)])
def test_nothing_is_left_after_a_parameter_set(codec, name, marks):
    """Bytes after the last field of a parameter set are gone, and the pictures are the same."""
    planted = recordings.with_data_after_headers(codec, name, _MARK)
    assert planted.count(_MARK) == marks
    rebuilt = rebuild_media(planted).files[0].data
    assert _MARK not in rebuilt
    assert _pictures(rebuilt) == _pictures(planted)


def test_nothing_is_left_after_a_sequence_header():
    """AV1 with bytes after the last field of a sequence header is not copied: FFmpeg refuses the header."""
    planted = recordings.with_data_after_headers("libsvtav1", "av1", _MARK)
    assert planted.count(_MARK) == 4
    with pytest.raises(FileRefusedError, match="must-encode"):
        rebuild_media(planted)
    rebuilt = encode_media(planted).files[0].data
    assert _MARK not in rebuilt
    assert _pictures(rebuilt)


def test_a_header_that_cannot_be_written_anew_is_never_copied():
    """Where FFmpeg cannot read a parameter set, the pictures are encoded again, or the file is refused."""
    data = recordings.still("libx264")
    sps = data.index(b"\x67", data.index(b"avcC"))
    broken = data[: sps + 4] + b"\0\0\0\0\0\0" + data[sps + 10 :]
    try:
        rebuilt = rebuild_media(broken).files[0].data
    except (FileRefusedError, av.error.FFmpegError):
        return
    assert broken[sps : sps + 12] not in rebuilt


def test_a_matrix_becomes_the_nearest_quarter_turn():
    """Of a track's matrix only the quarter turn is kept: nine numbers are room for a name."""
    data = recordings.turned("libx264")
    matrix = body(data, _TKHD)[40:76]
    marked = b"\0\0\x12\x34" + matrix[4:24] + b"NAME" + matrix[28:32] + b"\x3f\xff\xab\xcd"
    assert body(rebuild_media(patch(data, matrix, marked)).files[0].data, _TKHD)[40:76] == matrix


def test_the_number_of_ticks_a_second_is_ours():
    """A recording's own number of ticks a second, which can be any number, does not reach the agency."""
    data = recordings.still("libx264")
    path = [b"moov", b"trak", b"mdia", b"mdhd"]
    own = body(data, path)
    changed = patch(data, own, own[:12] + struct.pack(">I", 13_107) + own[16:])
    assert body(rebuild_media(changed).files[0].data, path)[12:16] == struct.pack(">I", 90_000)


def test_boxes_that_would_be_copied_are_emptied_or_made_simple():
    """Boxes of displays, stereo and clean aperture become free space; a pixel's shape becomes a ratio of small ones."""
    names = (b"mdcv", b"clli", b"st3d", b"sv3d", b"dvcC", b"clap", b"btrt", b"sinf")
    own = bytes(8) + b"".join(box(name, _MARK) for name in names)
    free = bytes(8) + box(b"free", _MARK) * len(names)
    assert _in_sample_entry(plain_boxes(_with_sample_entry(own)).getvalue()) == free
    for shape, plain in (((4_000_001, 3_000_000), (4, 3)), ((0, 0), (1, 1))):
        own = box(b"pasp", struct.pack(">II", *shape))
        assert _in_sample_entry(plain_boxes(_with_sample_entry(own)).getvalue()) == box(
            b"pasp", struct.pack(">II", *plain)
        )


def _with_sample_entry(content):
    """ISO media with the content in a sample entry, and the same in a box that holds media, where nothing changes."""
    stbl = box(b"stbl", box(b"stsd", bytes(8) + box(b"avc1", content)))
    moov = box(b"moov", box(b"trak", box(b"mdia", box(b"minf", stbl))))
    return box(b"ftyp", b"isom") + box(b"mdat", content) + moov


def _in_sample_entry(data):
    mdat = body(data, [b"mdat"])
    entry = body(data, [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"])[16:]
    assert data == _with_sample_entry(mdat).replace(box(b"avc1", mdat), box(b"avc1", entry))
    return entry


def test_an_opus_head_says_nothing_of_the_original():
    """The sample rate of the original recording, four bytes that no decoder needs, becomes 48 kHz."""
    head = b"OpusHead\1\1\x38\1" + b"NAME" + b"\0\0\0" + _MARK
    assert clean_opus_head(head) == b"OpusHead\1\1\x38\1" + (48_000).to_bytes(4, "little") + b"\0\0\0"


def _frame_starts(data):
    """Where each frame of an MP3 with one header begins."""
    return [at for at in range(len(data) - 4) if data[at : at + 2] == data[:2] and data[at + 3] >> 4 == data[3] >> 4]


@pytest.mark.parametrize("channels", [1, 2])
def test_the_spare_bits_of_an_mp3_are_zero_and_the_sound_is_the_same(channels):
    """Private, copyright, original and emphasis bits spell nothing once rebuilt; what is played is the same."""
    data = bytearray(recordings.music(2.0, channels))
    for number, at in enumerate(_frame_starts(data)):
        data[at + 2] |= number & 1
        data[at + 3] |= number & 0x0C
        data[at + 5] |= 0x7C if channels == 1 else 0x70
    rebuilt = rebuild_mp3(bytes(data)).files[0].data
    starts = _frame_starts(rebuilt)
    assert len(starts) > 60
    assert not any(rebuilt[at + 2] & 1 or rebuilt[at + 3] & 0x0F for at in starts)
    assert not any(rebuilt[at + 5] & (0x7C if channels == 1 else 0x70) for at in starts)
    assert len(rebuilt) == len(data)
    assert _samples(rebuilt) == _samples(bytes(data))


def test_an_mp3_checksum_is_computed_anew():
    """A frame with a checksum gets the checksum of its cleaned bits, so that the checksum spells nothing either."""
    header, silent = b"\xff\xfa\x91\xc4", bytes([0, 0x7C]) + bytes(15)  # private and original bits are set
    frame = header + b"ID" + silent + _MARK
    frame += bytes(417 - len(frame))
    rebuilt = rebuild_mp3(frame * 4).files[0].data
    first = rebuilt[:417]
    assert len(rebuilt) == 4 * 417
    assert first[:4] == b"\xff\xfa\x90\xc0"
    assert first[6:] == bytes(411)
    assert int.from_bytes(first[4:6], "big") == _checksum(first[2:4] + first[6:23])


def _checksum(data):
    """The remainder of a division by x^16 + x^15 + x^2 + 1, bit by bit (ISO 11172-3, 2.4.3.1)."""
    register = 0xFFFF
    for bit in (byte >> place & 1 for byte in data for place in range(7, -1, -1)):
        carry = register >> 15 ^ bit
        register = (register << 1 & 0xFFFF) ^ (0x8005 if carry else 0)
    return register
