"""Returns the kinds of what a recording holds besides its sound and pictures.

As in `metadata_image`, what is found here does not decide what survives: the tracks are written into a new container
in any case. The container is already open, and its tags are read as FFmpeg decoded them.
"""

import re
from collections.abc import Iterator

from av.container import InputContainer
from av.stream import Disposition

from app.files.containers import container_part_kinds
from app.files.protocol import RemovedKind

# Searched for in the lower-case name of a tag; the first match counts.
_TAG_NAMES = {
    RemovedKind.GPS: ("location", "gps", "xyz"),
    RemovedKind.SERIAL: ("serial",),
    RemovedKind.CAMERA: ("model", "make", "manufacturer", "android"),
    RemovedKind.AUTHOR: ("artist", "author", "composer", "copyright"),
    RemovedKind.DATE: ("date", "time", "year"),
    RemovedKind.COMMENTS: ("comment",),
    RemovedKind.TITLE: ("description", "title", "album", "synopsis"),
    RemovedKind.KEYWORDS: ("keyword", "genre"),
    RemovedKind.SOFTWARE: ("software",),
    RemovedKind.ENCODER: ("encod",),
    RemovedKind.NUMBER: ("identifier", "uid"),
}
_FORMAT_TAGS = {"major_brand", "minor_version", "compatible_brands", "language", "vendor_id"}
_DEFAULT_HANDLERS = {"VideoHandler", "SoundHandler", "Core Media Video", "Core Media Audio"}
_ENCODER_MARKS = re.compile(rb"x264 - core|x265 \(build|Lavc\d|Lavf\d|LAME3|Xiph\.Org lib|libopus \d")
_KIND_OF_BOX = (
    (b"XMP_", RemovedKind.XMP),
    (b"<x:xmpmeta", RemovedKind.XMP),
    (b"jumb", RemovedKind.CREDENTIALS),
    (b"Xtra", RemovedKind.OTHER),
    (b"pssh", RemovedKind.OTHER),
)
_KIND_OF_TRACK = {"data": RemovedKind.SENSORS, "subtitle": RemovedKind.SUBTITLES, "attachment": RemovedKind.EMBEDDED}


def media_metadata_kinds(data: bytes, source: InputContainer) -> set[RemovedKind]:
    """Return the kinds found in the tags, tracks and boxes of a recording; `source` is `data`, opened."""
    kinds = {kind for tags in (source.metadata, *(s.metadata for s in source.streams)) for kind in _tag_kinds(tags)}
    kinds |= set(_track_kinds(source))
    if source.chapters():
        kinds.add(RemovedKind.CHAPTERS)
    if _ENCODER_MARKS.search(data):
        kinds.add(RemovedKind.ENCODER)
    if data[4:8] == b"ftyp":
        kinds |= set(container_part_kinds(data))
        kinds |= {kind for name, kind in _KIND_OF_BOX if name in data}
    return kinds


def _tag_kinds(tags: dict[str, str]) -> Iterator[RemovedKind]:
    for name, value in tags.items():
        if name in _FORMAT_TAGS or (name == "handler_name" and value in _DEFAULT_HANDLERS):
            continue
        lower = name.lower()
        matching = (kind for kind, parts in _TAG_NAMES.items() if any(part in lower for part in parts))
        yield next(matching, RemovedKind.OTHER)


def _track_kinds(source: InputContainer) -> Iterator[RemovedKind]:
    seen = set()
    for stream in source.streams:
        if stream.disposition & Disposition.attached_pic:
            yield RemovedKind.COVER
        elif stream.type in _KIND_OF_TRACK:
            yield _KIND_OF_TRACK[stream.type]
        elif stream.type in seen:
            yield RemovedKind.TRACKS
        seen.add(stream.type)
