"""Rebuilds sound and video in MP4, MOV, M4A, 3GP and Ogg as a new container that holds nothing but the two.

The first video and the first audio track are copied packet by packet: without tags, titles, times, chapters, covers,
subtitles, sensor tracks or hidden pictures, and without what encoders write inside the stream. Where copying could not
promise that, FileRefusedError("must-encode") is raised: for codecs with room for hidden data, for a recording cut by an
edit list, because the cut pictures would still be in the file, and for all that FFmpeg cannot copy. A voice, a face or
a place can still be recognised.
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from app.core.errors import FileRefusedError
from app.files.bitstreams import (
    HEADER_FILTERS,
    clean_aac_config,
    clean_aac_packet,
    clean_opus_head,
    clean_opus_packet,
    has_further_layers,
    video_parameter_sets,
)
from app.files.metadata_media import media_metadata_kinds
from app.files.protocol import MUST_ENCODE, OutputFormat, RemovedKind, WorkerResult, single_file_result
from app.files.recording_formats import recording_format
from app.files.recordings import (
    Overview,
    Recording,
    RecordingPacket,
    Track,
    codec_name,
    film_preview,
    first_tracks,
    look,
    open_with,
    time_base,
    write_recording,
)

_COPIED_VIDEO_CODECS = {*HEADER_FILTERS, "vp9"}
_HEADER_CLEANERS = {"aac": clean_aac_config, "opus": clean_opus_head}
_PACKET_CLEANERS = {"aac": clean_aac_packet, "opus": clean_opus_packet}


def rebuild_media(data: bytes) -> WorkerResult:
    """Return the recording as MP4, M4A or Ogg, copied.

    Raises FileRefusedError "damaged", "unknown", or "must-encode" for one that has to be encoded anew.
    """
    av.logging.set_level(None)
    recording = Recording(data)
    kinds = found_kinds(data)
    overview = look(recording)
    if overview.is_cut:
        raise FileRefusedError(MUST_ENCODE)
    with must_encode_on_errors(), recording.open() as source:
        video, sound = first_tracks(source)
        output_format = output_format_of(video, sound)

        def make_tracks(sink: OutputContainer) -> list[Track]:
            tracks = [copied_video_track(sink, video, overview)] if video else []
            return [*tracks, _copied_audio_track(sink, sound, overview)] if sound else tracks

        made = write_recording(source, output_format, make_tracks, edit_list=overview.is_delayed)
        preview = film_preview(made) if video else b""
    return single_file_result(output_format, made, kinds, preview=preview)


def found_kinds(data: bytes) -> set[RemovedKind]:
    """Return the kinds of what the recording holds besides sound and pictures."""
    with open_with(recording_format(data), io.BytesIO(data)) as original:
        return media_metadata_kinds(data, original)


@contextmanager
def must_encode_on_errors(*, active: bool = True) -> Iterator[None]:
    """Turn every error into FileRefusedError("must-encode"): what cannot be copied may still be decoded."""
    try:
        yield
    except (FileRefusedError, av.error.FFmpegError, ValueError):
        if not active:
            raise
        raise FileRefusedError(MUST_ENCODE) from None


def output_format_of(video: VideoStream | None, sound: AudioStream | None) -> OutputFormat:
    """Return the format in which tracks with such codecs are kept."""
    if video:
        return OutputFormat.MP4
    return OutputFormat.OGG if sound and codec_name(sound) in {"opus", "vorbis"} else OutputFormat.M4A


def copied_video_track(sink: OutputContainer, source: VideoStream, overview: Overview) -> Track:
    """Copy the video without the units in which encoders write; FileRefusedError("must-encode") for other codecs."""
    name = codec_name(source)
    if name not in _COPIED_VIDEO_CODECS:
        raise FileRefusedError(MUST_ENCODE)
    target = sink.add_stream_from_template(source, opaque=True, bit_rate=0)
    units = BitStreamFilterContext(HEADER_FILTERS.get(name, "null"), source, target)
    if name in HEADER_FILTERS:
        target.codec_context.extradata = video_parameter_sets(name, target.codec_context.extradata or b"")
    base = time_base(source)

    def filter_packet(packet: RecordingPacket | None) -> Iterable[RecordingPacket]:
        if packet is not None and (packet.dts is None or (name == "hevc" and has_further_layers(bytes(packet)))):
            raise FileRefusedError(MUST_ENCODE)
        for made in units.filter(packet):
            made.time_base = base
            _move_back(made, overview.start)
            yield made

    return Track(source, target, filter_packet)


def _move_back(packet: RecordingPacket, start: Fraction) -> None:
    """Make a packet's times begin with the recording, which may itself begin at any time."""
    ticks = round(start / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts - ticks
    packet.dts = None if packet.dts is None else packet.dts - ticks


def _copied_audio_track(sink: OutputContainer, source: AudioStream, overview: Overview) -> Track:
    """Copy AAC or Opus with a new header and cleaned packets; FileRefusedError("must-encode") for other codecs."""
    name = codec_name(source)
    head = _HEADER_CLEANERS[name](source.codec_context.extradata or b"") if name in _HEADER_CLEANERS else None
    if head is None:
        raise FileRefusedError(MUST_ENCODE)
    target = sink.add_stream_from_template(source, opaque=True, bit_rate=0)
    target.codec_context.extradata = head
    base = time_base(source)

    def filter_packet(packet: RecordingPacket | None) -> Iterable[RecordingPacket]:
        if packet is not None and packet.dts is not None and not packet.is_discard:
            made = Packet(_PACKET_CLEANERS[name](bytes(packet)))
            made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
            made.time_base, made.is_keyframe = base, True
            _move_back(made, overview.start)
            yield made

    return Track(source, target, filter_packet)
