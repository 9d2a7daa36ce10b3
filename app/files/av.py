"""Sound and video in MP4, MOV, M4A, 3GP and Ogg, written into a new container that holds nothing but them.

The first video and the first sound track are copied packet by packet without tags, titles, times, chapters, covers,
subtitles, sensor tracks or edit lists, and without what encoders sign inside the stream. Encoded again only where
that cannot be had: codecs with hiding places of their own, and recordings cut by an edit list in mid-picture, for
what was cut would still be in the file. A voice, a face or a place can still be recognised.
"""

import importlib
import io
import re
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
from app.files.bitstreams import UNITS_KEPT, aac_config, aac_packet, opus_config, opus_packet, units_head
from app.files.containers import is_cut_off
from app.files.metadata_media import in_recording
from app.files.protocol import Answer, Form, Kind, one

# What the bindings would import only when they first meet it: after the lock that is too late.
for _module in ("subtitles.stream", "subtitles.codeccontext", "filter.graph", "audio.resampler", "sidedata.sidedata"):
    importlib.import_module(f"av.{_module}")

_DEMUXERS = {b"OggS": "ogg", b"RIFF": "wav"}
_MUXERS = {Form.MP4: "mp4", Form.M4A: "ipod", Form.OGG: "ogg"}
_OPTIONS = {"fflags": "+bitexact", "use_editlist": "0", "movflags": "+negative_cts_offsets"}
_COPIED_VIDEO = {*UNITS_KEPT, "vp9"}
_IN_OGG = {"opus", "vorbis"}
_PROFILE_BOX = re.compile(rb"colr(?=(?:.{8})?(?:prof|rICC))", re.DOTALL)
_HEAD = {"aac": aac_config, "opus": opus_config}
_PACKET = {"aac": aac_packet, "opus": opus_packet}
_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_OPUS_RATE = 48_000
_CHANNEL_BITS = 64_000
# One thread: the other cores belong to the other children.
_X264 = {"preset": "ultrafast", "crf": "26", "flags": "+bitexact", "x264-params": "threads=1:sync-lookahead=0"}

if TYPE_CHECKING:
    _Packet = Packet[Stream]
else:
    _Packet = Packet
_Pass = Callable[[_Packet | None], Iterable[_Packet]]


@dataclass(frozen=True)
class _Track:
    """One track on its way: where it comes from, where it goes, what its packets pass through (None: the end)."""

    source: Stream
    target: Stream
    passed: _Pass


def rebuild(data: bytes) -> Answer:
    """The recording as MP4, M4A or (Opus sound) Ogg; FileRefusedError("damaged") or whatever FFmpeg raises."""
    av.logging.set_level(None)
    if data[:4] not in _DEMUXERS and is_cut_off(data):
        raise FileRefusedError("damaged")
    target = io.BytesIO()
    with _open(data) as source:
        kinds = in_recording(data, source)
        video = next((s for s in source.streams.video if not s.disposition & Disposition.attached_pic), None)
        sound = next(iter(source.streams.audio), None)
        cut = video is not None and _is_cut(data, video.index)
        form = _form(video, sound)
        options = _OPTIONS if form is not Form.OGG else {"fflags": "+bitexact"}
        with av.open(target, "w", format=_MUXERS[form], container_options=options) as sink:
            tracks = [_video(sink, video, anew=cut)] if video else []
            tracks += [_sound(sink, sound, form)] if sound else []
            _pump(source, sink, tracks)
    return one(form, target.getvalue(), kinds | ({Kind.CUT} if cut else set()))


def _open(data: bytes) -> InputContainer:
    # FFmpeg carries an embedded colour profile, and so its name, over into the new file: hidden from it here.
    data = _PROFILE_BOX.sub(b"free", data)
    return av.open(io.BytesIO(data), "r", format=_DEMUXERS.get(data[:4], "mov"))


def _codec(stream: Stream) -> str:
    return stream.codec_context.codec.canonical_name


def _base(stream: Stream) -> Fraction:
    if stream.time_base is None:
        raise FileRefusedError("damaged")
    return stream.time_base


def _is_cut(data: bytes, index: int) -> bool:
    """Whether pictures are in the file that an edit list keeps from being shown."""
    with _open(data) as source:
        return any(packet.is_discard for packet in source.demux(source.streams[index]))


def _form(video: Stream | None, sound: Stream | None) -> Form:
    if video:
        return Form.MP4
    if sound is None:
        raise FileRefusedError("damaged")
    return Form.OGG if _codec(sound) in _IN_OGG else Form.M4A


def _pump(source: InputContainer, sink: OutputContainer, tracks: list[_Track]) -> None:
    by_index = {track.source.index: track for track in tracks}
    amount = 0
    for packet in source.demux([track.source for track in tracks]):
        if packet.dts is not None and packet.size:
            track = by_index[packet.stream_index]
            amount += _send(sink, track, packet)
    amount += sum(_send(sink, track, None) for track in tracks)
    if not amount:
        raise FileRefusedError("damaged")


def _send(sink: OutputContainer, track: _Track, packet: _Packet | None) -> int:
    amount = 0
    for made in track.passed(packet):
        made.stream = track.target
        sink.mux(made)
        amount += made.size
    return amount


def _video(sink: OutputContainer, source: VideoStream, *, anew: bool) -> _Track:
    name = _codec(source)
    if anew or name not in _COPIED_VIDEO:
        return _video_anew(sink, source)
    target = sink.add_stream_from_template(source, opaque=True)
    units = BitStreamFilterContext(UNITS_KEPT.get(name, "null"), source, target)
    if name in UNITS_KEPT:
        target.codec_context.extradata = units_head(name, target.codec_context.extradata or b"")

    def passed(packet: _Packet | None) -> Iterable[_Packet]:
        for made in units.filter(packet):
            made.time_base = _base(source)
            yield made

    return _Track(source, target, passed)


def _video_anew(sink: OutputContainer, source: VideoStream) -> _Track:
    width, height = source.width // 2 * 2, source.height // 2 * 2
    source.codec_context.thread_count = 1
    target = sink.add_stream("libx264", source.average_rate or 30, dict(_X264), width=width, height=height)
    assert isinstance(target, VideoStream)
    target.codec_context.time_base = _base(source)
    units = BitStreamFilterContext(UNITS_KEPT["h264"], "h264")
    turned = False

    def passed(packet: _Packet | None) -> Iterable[_Packet]:
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

    return _Track(source, target, passed)


def _sound(sink: OutputContainer, source: AudioStream, form: Form) -> _Track:
    name = _codec(source)
    head = _HEAD[name](source.codec_context.extradata or b"") if name in _HEAD else None
    if head is None:
        return _sound_anew(sink, source, form)
    target = sink.add_stream_from_template(source, opaque=True)
    target.codec_context.extradata = head

    def passed(packet: _Packet | None) -> Iterable[_Packet]:
        if packet is not None and not packet.is_discard:
            made = Packet(_PACKET[name](bytes(packet)))
            made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
            made.time_base, made.is_keyframe = _base(source), True
            yield made

    return _Track(source, target, passed)


def _sound_anew(sink: OutputContainer, source: AudioStream, form: Form) -> _Track:
    rate = next((rate for rate in _RATES if rate >= source.rate), _RATES[-1])
    mono = source.codec_context.channels == 1
    bits = _CHANNEL_BITS if mono else 2 * _CHANNEL_BITS
    name, rate = ("libopus", _OPUS_RATE) if form is Form.OGG else ("aac", rate)
    target = sink.add_stream(name, rate, {"flags": "+bitexact"}, layout="mono" if mono else "stereo", bit_rate=bits)
    assert isinstance(target, AudioStream)
    source.codec_context.thread_count = target.codec_context.thread_count = 1

    def passed(packet: _Packet | None) -> Iterable[_Packet]:
        for frame in source.decode(packet):
            yield from target.encode(frame)
        if packet is None:
            yield from target.encode(None)

    return _Track(source, target, passed)
