"""Finds out from a file's first bytes which of FFmpeg's demuxers reads it, from a closed list.

No demuxer that opens further files or addresses (playlists, numbered pictures, `concat`) is on the list, and FFmpeg is
never left to guess. Sources: the formats' own specifications; for tags before sound, ID3v2.4.0, 3.1.
"""

import re

_MOST_START = 4096
_MOST_ZEROS = 65_536  # some recorders write so many before an MP3
_MOV_BOXES = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_LAYER_3 = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
_LAYER_2 = re.compile(rb"\xff[\xe4\xe5\xf4\xf5\xfc\xfd]")
# Each begins with the bytes; the order does not matter.
_STARTS = {
    "aac": rb"\xff[\xf0\xf1\xf8\xf9]",
    "ac3": rb"\x0b\x77",
    "aiff": rb"FORM....AIF[FC]",
    "amr": rb"#!AMR",
    "ape": rb"MAC \x96",
    "asf": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    "au": rb"\.snd\x00",
    "avi": rb"RIFF....AVI[ X]",
    "caf": rb"caff\x00\x01",
    "dhav": rb"DHAV",
    "dts": rb"\x7f\xfe\x80\x01",
    "dv": rb"\x1f\x07\x00",
    "flac": rb"fLaC",
    "flv": rb"FLV\x01",
    "ivf": rb"DKIF\x00\x00",
    "matroska": rb"\x1a\x45\xdf\xa3",
    "mpeg": rb"\x00\x00\x01\xba",
    "mpegvideo": rb"\x00\x00\x01\xb3",
    "mxf": rb"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01",
    "ogg": rb"OggS",
    "qcp": rb"RIFF....QLCM",
    "rm": rb"\.(?:RMF\x00|ra\xfd)",
    "tta": rb"TTA1",
    "voc": rb"Creative Voice File\x1a",
    "w64": rb"riff\x2e\x91\xcf\x11",
    "wav": rb"(?:RIFF|RF64)....WAVE",
    "wtv": rb"\xb7\xd8\x00\x20\x37\x49\xda\x11",
    "wv": rb"wvpk",
    # Five packets of a transport stream begin with the sync byte (ISO 13818-1, 2.4.3); on discs and cards four bytes
    # come before each packet.
    "mpegts": rb"(?:G.{187}){4}G|(?:.{4}G.{187}){4}.{4}G",
}
_RECORDINGS = {name: re.compile(start, re.DOTALL) for name, start in _STARTS.items()}


def recording_format(data: bytes) -> str | None:
    """Return FFmpeg's name of a recording's demuxer, or None if the data is no recording that we take."""
    if is_iso_media(data):
        return "mov"
    start = id3_length(data)
    head = data[start : start + _MOST_START]
    found = next((name for name, pattern in _RECORDINGS.items() if pattern.match(head)), None)
    if found:
        return found
    return "mp3" if start or is_layer_3(data) or _LAYER_2.match(head) else None


def is_iso_media(data: bytes) -> bool:
    """Return whether the data begins with a box of MP4, MOV, M4A or 3GP."""
    # A text may have a box's name as its second four letters; its first four, read as a length, exceed any file's.
    return data[4:8] == b"ftyp" or (data[4:8] in _MOV_BOXES and int.from_bytes(data[:4], "big") <= len(data))


def is_layer_3(data: bytes) -> bool:
    """Return whether the data begins, after a tag or zeros, with a frame of MPEG layer III (ISO 11172-3, 2.4.1.3)."""
    start = id3_length(data)
    return bool(_LAYER_3.match(data[start : start + _MOST_ZEROS].lstrip(b"\0")))


def id3_length(data: bytes) -> int:
    """Return the length of an ID3v2 tag at the start, its footer included (four bytes of 7 bits each), or 0."""
    if data[:3] != b"ID3":
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if data[5:6] and data[5] & 0x10 else 0)
