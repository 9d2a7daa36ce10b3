"""Rebuilds sound and video in MP4, MOV, M4A, 3GP and Ogg as a new container that holds nothing but the two.

The first video and the first audio track are copied packet by packet: without tags, titles, times, chapters, covers,
subtitles, sensor tracks or edit lists, and without what encoders write inside the stream. A track is encoded again
where copying could not promise that: for codecs with room for hidden data, and for a recording cut by an edit list,
because the cut pictures would still be in the file. A voice, a face or a place can still be recognised.
"""

import importlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import PictureType
from av.video.stream import VideoStream

from app.core.errors import FileRefusedError
from app.files.bitstreams import (
    HEADER_FILTERS,
    UNIT_FILTERS,
    clean_aac_config,
    clean_aac_packet,
    clean_opus_head,
    clean_opus_packet,
    video_parameter_sets,
)
from app.files.containers import is_truncated, plain_boxes
from app.files.metadata_media import media_metadata_kinds
from app.files.protocol import OutputFormat, RemovedKind, WorkerResult, single_file_result

# The bindings import these when they first need them; after the lock that is too late.
for _module in ("subtitles.stream", "subtitles.codeccontext", "filter.graph", "audio.resampler", "sidedata.sidedata"):
    importlib.import_module(f"av.{_module}")

_DEMUXERS = {b"OggS": "ogg", b"RIFF": "wav"}
_MUXERS = {OutputFormat.MP4: "mp4", OutputFormat.M4A: "ipod", OutputFormat.OGG: "ogg"}
_MP4_OPTIONS = {
    "fflags": "+bitexact",
    "use_editlist": "0",
    "movflags": "+negative_cts_offsets",
    "video_track_timescale": "90000",  # the source's own could be any number
}
_OGG_OPTIONS = {"fflags": "+bitexact", "avoid_negative_ts": "make_zero"}
_COPIED_VIDEO_CODECS = {*HEADER_FILTERS, "vp9"}
_OGG_CODECS = {"opus", "vorbis"}
_HEADER_CLEANERS = {"aac": clean_aac_config, "opus": clean_opus_head}
_PACKET_CLEANERS = {"aac": clean_aac_packet, "opus": clean_opus_packet}
_AAC_HERTZ = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_OPUS_HERTZ = 48_000
_BITS_PER_SECOND_A_CHANNEL = 64_000
# One thread, because other workers use the other cores.
_X264_OPTIONS = {"preset": "ultrafast", "crf": "26", "flags": "+bitexact", "x264-params": "threads=1:sync-lookahead=0"}

if TYPE_CHECKING:
    _Packet = Packet[Stream]
else:
    _Packet = Packet
_PacketFilter = Callable[[_Packet | None], Iterable[_Packet]]


@dataclass(frozen=True)
class _Track:
    """A track: its source stream, its target stream, and the filter for its packets (None stands for the end)."""

    source: Stream
    target: Stream
    filter_packet: _PacketFilter


def rebuild_media(data: bytes) -> WorkerResult:
    """Return the recording as MP4, M4A or Ogg; FileRefusedError("damaged"), or whatever error FFmpeg raises."""
    av.logging.set_level(None)
    if data[:4] not in _DEMUXERS and is_truncated(data):
        raise FileRefusedError("damaged")
    try:
        return _rebuild(data, reencode=False)
    except av.error.InvalidDataError:
        # A header that cannot be written anew is never copied; the pictures may still be read.
        return _rebuild(data, reencode=True)


def _rebuild(data: bytes, *, reencode: bool) -> WorkerResult:
    target = io.BytesIO()
    with _open_recording(data) as source:
        kinds = media_metadata_kinds(data, source)
        video = next((s for s in source.streams.video if not s.disposition & Disposition.attached_pic), None)
        sound = next(iter(source.streams.audio), None)
        cut = video is not None and _is_cut(data, video.index)
        output_format = _output_format(video, sound)
        options = _MP4_OPTIONS if output_format is not OutputFormat.OGG else _OGG_OPTIONS
        with av.open(target, "w", format=_MUXERS[output_format], container_options=options) as sink:
            tracks = [_video_track(sink, video, reencode=cut or reencode)] if video else []
            tracks += [_audio_track(sink, sound, output_format)] if sound else []
            _remux(source, sink, tracks)
    return single_file_result(output_format, target.getvalue(), kinds | ({RemovedKind.CUT} if cut else set()))


def _open_recording(data: bytes) -> InputContainer:
    if data[:4] in _DEMUXERS:
        return av.open(io.BytesIO(data), "r", format=_DEMUXERS[data[:4]])
    return av.open(io.BytesIO(plain_boxes(data)), "r", format="mov")


def _codec_name(stream: Stream) -> str:
    return stream.codec_context.codec.canonical_name


def _time_base(stream: Stream) -> Fraction:
    if stream.time_base is None:
        raise FileRefusedError("damaged")
    return stream.time_base


def _is_cut(data: bytes, index: int) -> bool:
    """Return whether the file holds pictures that an edit list hides."""
    with _open_recording(data) as source:
        return any(packet.is_discard for packet in source.demux(source.streams[index]))


def _output_format(video: Stream | None, sound: Stream | None) -> OutputFormat:
    if video:
        return OutputFormat.MP4
    if sound is None:
        raise FileRefusedError("damaged")
    return OutputFormat.OGG if _codec_name(sound) in _OGG_CODECS else OutputFormat.M4A


def _remux(source: InputContainer, sink: OutputContainer, tracks: list[_Track]) -> None:
    """Write every packet of the tracks to the sink; FileRefusedError("damaged") if there is none."""
    by_index = {track.source.index: track for track in tracks}
    size_written = 0
    for packet in source.demux([track.source for track in tracks]):
        if packet.dts is not None and packet.size:
            track = by_index[packet.stream_index]
            size_written += _mux_packet(sink, track, packet)
    size_written += sum(_mux_packet(sink, track, None) for track in tracks)
    if not size_written:
        raise FileRefusedError("damaged")


def _mux_packet(sink: OutputContainer, track: _Track, packet: _Packet | None) -> int:
    """Write what the track's filter makes of a packet, and return its size in bytes."""
    size_written = 0
    for made in track.filter_packet(packet):
        made.stream = track.target
        sink.mux(made)
        size_written += made.size
    return size_written


def _video_track(sink: OutputContainer, source: VideoStream, *, reencode: bool) -> _Track:
    """Copy the video without the units in which encoders write, or encode it again where that is not enough."""
    name = _codec_name(source)
    if reencode or name not in _COPIED_VIDEO_CODECS:
        return _reencoded_video_track(sink, source)
    target = sink.add_stream_from_template(source, opaque=True)
    units = BitStreamFilterContext(HEADER_FILTERS.get(name, "null"), source, target)
    if name in HEADER_FILTERS:
        target.codec_context.extradata = video_parameter_sets(name, target.codec_context.extradata or b"")

    def filter_packet(packet: _Packet | None) -> Iterable[_Packet]:
        for made in units.filter(packet):
            made.time_base = _time_base(source)
            yield made

    return _Track(source, target, filter_packet)


def _reencoded_video_track(sink: OutputContainer, source: VideoStream) -> _Track:
    width, height = source.width // 2 * 2, source.height // 2 * 2
    source.codec_context.thread_count = 1
    target = sink.add_stream("libx264", source.average_rate or 30, dict(_X264_OPTIONS), width=width, height=height)
    assert isinstance(target, VideoStream)
    target.codec_context.time_base = _time_base(source)
    units = BitStreamFilterContext(UNIT_FILTERS["h264"], "h264")
    turned = False

    def filter_packet(packet: _Packet | None) -> Iterable[_Packet]:
        nonlocal turned
        for frame in source.decode(packet):
            if not turned and frame.rotation:
                target.set_display_rotation(frame.rotation)
            turned = True
            picture = frame.reformat(width, height, "yuv420p", threads=1)
            picture.pict_type = PictureType.NONE
            yield from encoded(target.encode(picture))
        if packet is None:
            yield from encoded(target.encode(None))

    def encoded(packets: list[_Packet]) -> Iterable[_Packet]:
        for packet in packets:
            base = packet.time_base
            for made in units.filter(packet):
                made.time_base = base
                yield made

    return _Track(source, target, filter_packet)


def _audio_track(sink: OutputContainer, source: AudioStream, output_format: OutputFormat) -> _Track:
    """Copy AAC or Opus with a new header and cleaned packets, or encode the sound again."""
    name = _codec_name(source)
    head = _HEADER_CLEANERS[name](source.codec_context.extradata or b"") if name in _HEADER_CLEANERS else None
    if head is None:
        return _reencoded_audio_track(sink, source, output_format)
    target = sink.add_stream_from_template(source, opaque=True)
    target.codec_context.extradata = head

    def filter_packet(packet: _Packet | None) -> Iterable[_Packet]:
        if packet is not None and not packet.is_discard:
            made = Packet(_PACKET_CLEANERS[name](bytes(packet)))
            made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
            made.time_base, made.is_keyframe = _time_base(source), True
            yield made

    return _Track(source, target, filter_packet)


def _reencoded_audio_track(sink: OutputContainer, source: AudioStream, output_format: OutputFormat) -> _Track:
    rate = next((rate for rate in _AAC_HERTZ if rate >= source.rate), _AAC_HERTZ[-1])
    mono = source.codec_context.channels == 1
    bits = _BITS_PER_SECOND_A_CHANNEL if mono else 2 * _BITS_PER_SECOND_A_CHANNEL
    name, rate = ("libopus", _OPUS_HERTZ) if output_format is OutputFormat.OGG else ("aac", rate)
    target = sink.add_stream(name, rate, {"flags": "+bitexact"}, layout="mono" if mono else "stereo", bit_rate=bits)
    assert isinstance(target, AudioStream)
    source.codec_context.thread_count = target.codec_context.thread_count = 1

    def filter_packet(packet: _Packet | None) -> Iterable[_Packet]:
        for frame in source.decode(packet):
            yield from target.encode(frame)
        if packet is None:
            yield from target.encode(None)

    return _Track(source, target, filter_packet)
