"""Names the kinds of what a recording carries besides its sound and pictures.

Looking only, like `traces`: the tracks are written anew whatever is found here, and nothing here raises.
"""

import re
from collections.abc import Iterator

from av.container import InputContainer
from av.stream import Disposition

from app.files.containers import parts_of
from app.files.protocol import Kind

# Found in the lower-cased name of a tag; the first that fits counts.
_TAG_NAMES = (
    ("location", Kind.GPS), ("gps", Kind.GPS), ("xyz", Kind.GPS), ("serial", Kind.SERIAL),
    ("model", Kind.CAMERA), ("make", Kind.CAMERA), ("manufacturer", Kind.CAMERA), ("android", Kind.CAMERA),
    ("artist", Kind.AUTHOR), ("author", Kind.AUTHOR), ("composer", Kind.AUTHOR), ("copyright", Kind.AUTHOR),
    ("date", Kind.DATE), ("time", Kind.DATE), ("year", Kind.DATE), ("comment", Kind.COMMENTS),
    ("description", Kind.TITLE), ("title", Kind.TITLE), ("album", Kind.TITLE), ("synopsis", Kind.TITLE),
    ("keyword", Kind.KEYWORDS), ("genre", Kind.KEYWORDS), ("software", Kind.SOFTWARE), ("encod", Kind.ENCODER),
    ("identifier", Kind.NUMBER), ("uid", Kind.NUMBER),
)  # fmt: skip
_SAID_BY_THE_FORMAT = {"major_brand", "minor_version", "compatible_brands", "language", "vendor_id"}
_DEFAULT_HANDLERS = {"VideoHandler", "SoundHandler", "Core Media Video", "Core Media Audio"}
_ENCODER_MARKS = re.compile(rb"x264 - core|x265 \(build|Lavc\d|Lavf\d|LAME3|Xiph\.Org lib|libopus \d")
_BOXES = ((b"XMP_", Kind.XMP), (b"<x:xmpmeta", Kind.XMP), (b"jumb", Kind.CREDENTIALS), (b"Xtra", Kind.OTHER))
_OF_FURTHER_TRACK = {"data": Kind.SENSORS, "subtitle": Kind.SUBTITLES, "attachment": Kind.EMBEDDED}


def in_recording(data: bytes, source: InputContainer) -> set[Kind]:
    """The kinds found in the tags, tracks and boxes."""
    kinds = {kind for tags in (source.metadata, *(s.metadata for s in source.streams)) for kind in _in_tags(tags)}
    kinds |= set(_in_tracks(source))
    if source.chapters():
        kinds.add(Kind.CHAPTERS)
    if _ENCODER_MARKS.search(data):
        kinds.add(Kind.ENCODER)
    if data[4:8] == b"ftyp":
        kinds |= set(parts_of(data))
        kinds |= {kind for name, kind in _BOXES if name in data}
    return kinds


def _in_tags(tags: dict[str, str]) -> Iterator[Kind]:
    for name, value in tags.items():
        if name in _SAID_BY_THE_FORMAT or (name == "handler_name" and value in _DEFAULT_HANDLERS):
            continue
        yield next((kind for part, kind in _TAG_NAMES if part in name.lower()), Kind.OTHER)


def _in_tracks(source: InputContainer) -> Iterator[Kind]:
    seen = set()
    for stream in source.streams:
        if stream.disposition & Disposition.attached_pic:
            yield Kind.COVER
        elif stream.type in _OF_FURTHER_TRACK:
            yield _OF_FURTHER_TRACK[stream.type]
        elif stream.type in seen:
            yield Kind.TRACKS
        seen.add(stream.type)
