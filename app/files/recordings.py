"""Reads recordings with FFmpeg, from closed lists of containers and codecs, and writes new ones of at most two tracks.

A container is chosen by a file's first bytes (`recording_formats`), never guessed, and no file or address is ever
opened from within one. `look` reads all packets once and decodes none: how many pictures there are, how long both
tracks take, when the first one starts, and whether an edit list hides pictures. A preview is made of the new file, so
that a film in which no picture can be decoded is never sent.
"""

import importlib
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import av
from av.audio.stream import AudioStream
from av.codec.codec import Codec
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from app.core.errors import FileRefusedError
from app.files.iso_boxes import check_written_boxes, is_truncated, plain_boxes, plain_shape
from app.files.previews import preview_of
from app.files.protocol import OutputFormat
from app.files.recording_formats import recording_format

# The bindings import these when they first need them; after the lock that is too late.
for _module in ("subtitles.stream", "subtitles.codeccontext", "filter.graph", "audio.resampler", "sidedata.sidedata"):
    importlib.import_module(f"av.{_module}")
Image.preinit()

# The codecs that telephones, cameras, recorders, browsers and chat programs write, by FFmpeg's names of the codecs.
_FILM_CODECS = frozenset(
    "av1 cinepak dirac dnxhd dvvideo ffv1 ffvhuff flv1 h261 h263 h263i h263p h264 hevc huffyuv indeo3 mjpeg mjpegb"
    " mpeg1video mpeg2video mpeg4 msmpeg4v1 msmpeg4v2 msmpeg4v3 msvideo1 prores qtrle rawvideo rpza rv10 rv20 rv30 rv40"
    " smc svq1 svq3 theora utvideo vc1 vp3 vp5 vp6 vp6a vp6f vp8 vp9 wmv1 wmv2 wmv3".split()
)
_SOUND_CODECS = frozenset(
    "aac aac_latm ac3 adpcm_adx adpcm_g722 adpcm_g726 adpcm_g726le adpcm_ima_qt adpcm_ima_wav adpcm_ms adpcm_swf"
    " adpcm_yamaha alac amr_nb amr_wb ape cook dts eac3 evrc flac g723_1 g729 gsm gsm_ms ilbc mace3 mace6 mp1 mp2 mp3"
    " nellymoser opus qcelp qdm2 ra_144 ra_288 sipr speex tta vorbis wavpack wmalossless wmapro wmav1 wmav2"
    " wmavoice".split()
)
_CODECS = _FILM_CODECS | _SOUND_CODECS
_MUXERS = {OutputFormat.MP4: "mp4", OutputFormat.M4A: "ipod", OutputFormat.OGG: "ogg"}
_MP4_OPTIONS = {
    "fflags": "+bitexact",
    "movflags": "+negative_cts_offsets",
    "avoid_negative_ts": "disabled",  # an edit list may delay a track, and hides nothing
    "video_track_timescale": "90000",  # the source's own could be any number
}
_OGG_OPTIONS = {"fflags": "+bitexact", "avoid_negative_ts": "make_zero"}
_MOST_SECONDS = 24 * 3600
_SECONDS_UNTOLD = 1
_TRIED_PICTURES, _DARKEST, _PREVIEW_WIDTH = 20, 24, 320
_QUARTER = 90

if TYPE_CHECKING:
    RecordingPacket = Packet[Stream]
else:
    RecordingPacket = Packet
PacketFilter = Callable[[RecordingPacket | None], Iterable[RecordingPacket]]


def _is_allowed(codec: str) -> bool:
    return codec in _CODECS or (codec.startswith("pcm_") and codec != "pcm_sga")


def _decoders() -> Iterator[str]:
    for name in av.codecs_available:
        with suppress(ValueError):
            if _is_allowed(Codec(name, "r").canonical_name):
                yield name


_DECODERS = ",".join(sorted(_decoders()))


@dataclass(frozen=True)
class Track:
    """A track: its source stream, its target stream, and the filter for its packets (None stands for the end)."""

    source: Stream
    target: Stream
    filter_packet: PacketFilter


@dataclass(frozen=True)
class Picture:
    """How the pictures of a film are to be shown: size, turn in degrees, the shape of a pixel, and colours."""

    width: int
    height: int
    turn: int
    shape: Fraction
    primaries: int
    transfer: int
    matrix: int
    is_interlaced: bool


@dataclass(frozen=True)
class Overview:
    """What a recording holds: how many pictures, how many seconds, and where it starts.

    `is_cut` says whether an edit list hides pictures, `is_delayed` whether one track starts later than the
    other, and `is_shorter` whether the file itself says that the recording is longer.
    """

    pictures: int
    seconds: Fraction
    start: Fraction
    is_cut: bool
    is_delayed: bool
    is_shorter: bool = False


class Recording:
    """A recording of `length` bytes with plain boxes, which each `open` reads from the start.

    Raises FileRefusedError("damaged").
    """

    def __init__(self, data: bytes) -> None:
        self._demuxer = recording_format(data)
        if not self._demuxer or (self._demuxer == "mov" and is_truncated(data)):
            raise FileRefusedError("damaged")
        self.length = len(data)
        self._file = plain_boxes(data) if self._demuxer == "mov" else io.BytesIO(data)

    @property
    def is_iso_media(self) -> bool:
        """Whether the recording is MP4, MOV, M4A or 3GP, whose film may be copied."""
        return self._demuxer == "mov"

    @property
    def tells_its_length(self) -> bool:
        """Whether containers of this kind say how long the recording is."""
        return self._demuxer in {"matroska", "avi", "asf", "flv"}

    def open(self) -> InputContainer:
        """Return the recording, opened; close it before it is opened again."""
        self._file.seek(0)
        return open_with(self._demuxer, self._file)


def open_with(demuxer: str | None, file: io.BytesIO) -> InputContainer:
    """Return a file opened with one demuxer, which may use only the listed decoders, and open nothing else."""
    options = {"codec_whitelist": _DECODERS, "format_whitelist": demuxer or "", "protocol_whitelist": "none"}
    return av.open(file, "r", format=demuxer, options=options)


def first_tracks(source: InputContainer) -> tuple[VideoStream | None, AudioStream | None]:
    """Return the first film and the first sound of a recording; FileRefusedError where neither can be read."""
    films = [s for s in source.streams.video if not s.disposition & Disposition.attached_pic]
    known = [s for s in [*films, *source.streams.audio] if s.codec_context and _is_allowed(codec_name(s))]
    film = next((s for s in known if isinstance(s, VideoStream)), None)
    sound = next((s for s in known if isinstance(s, AudioStream)), None)
    if film is None and (sound is None or films):
        raise FileRefusedError("unknown" if films or source.streams.audio else "damaged")
    return film, sound


def codec_name(stream: Stream) -> str:
    """Return FFmpeg's name of the codec of a track."""
    return stream.codec_context.codec.canonical_name


def look(recording: Recording) -> Overview:
    """Return what a recording holds; FileRefusedError("damaged") if that is nothing, or more than a day."""
    with recording.open() as source:
        film, sound = first_tracks(source)
        tracks: list[Stream] = [track for track in (film, sound) if track]
        told = Fraction(source.duration or 0, av.time_base)
        pictures, is_cut = 0, False
        first, last = dict[int, Fraction](), Fraction(0)
        for packet in source.demux(tracks):
            is_film = film is not None and packet.stream_index == film.index
            pictures += is_film and bool(packet.size)
            is_cut = is_cut or (is_film and packet.is_discard)
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None or packet.is_discard:
                continue
            moment = stamp * time_base(packet.stream)
            first[packet.stream_index] = min(moment, first.get(packet.stream_index, moment))
            last = max(last, moment)
    start = min(first.values(), default=Fraction(0))
    if last - start > _MOST_SECONDS:
        raise FileRefusedError("damaged")
    is_delayed = len(set(first.values())) > 1
    is_shorter = recording.tells_its_length and told > last - start + _SECONDS_UNTOLD
    return Overview(pictures, last - start, start, is_cut, is_delayed, is_shorter)


def first_picture(open_film: Callable[[], InputContainer]) -> tuple[Picture, bytes]:
    """Return how pictures are shown, and a preview of the first that is not black (or else of the first).

    Raises FileRefusedError("damaged") if there is no picture.
    """
    skipped: tuple[Literal["NONKEY", "DEFAULT"], ...] = ("NONKEY", "DEFAULT")  # the first is quicker
    for skip in skipped:
        picture, preview = None, b""
        with open_film() as source:
            for tried, (frame, film) in enumerate(_decoded(source, skip)):
                picture = picture or _picture_of(frame, film)
                image = _small_image(frame, picture)
                is_dark = max(image.convert("L").tobytes()) < _DARKEST
                if not preview or not is_dark:
                    preview = preview_of(image)
                if not is_dark or tried == _TRIED_PICTURES:
                    break
        if picture:
            return picture, preview
    raise FileRefusedError("damaged")


def _decoded(source: InputContainer, skip: Literal["NONKEY", "DEFAULT"]) -> Iterator[tuple[VideoFrame, VideoStream]]:
    film, _ = first_tracks(source)
    if film is None:
        raise FileRefusedError("damaged")
    film.codec_context.thread_count = 1
    film.codec_context.skip_frame = skip
    for packet in source.demux(film):
        with suppress(av.error.InvalidDataError):
            yield from ((frame, film) for frame in film.decode(packet))


def _picture_of(frame: VideoFrame, film: VideoStream) -> Picture:
    return Picture(
        frame.width,
        frame.height,
        round(frame.rotation / _QUARTER) * _QUARTER,
        plain_shape(film.sample_aspect_ratio),
        int(frame.color_primaries),
        int(frame.color_trc),
        int(frame.colorspace),
        frame.interlaced_frame,
    )


def _small_image(frame: VideoFrame, picture: Picture) -> Image.Image:
    width = min(_PREVIEW_WIDTH, frame.width)
    height = max(1, round(width * frame.height / frame.width / picture.shape))
    small = frame.reformat(width, min(height, 4 * _PREVIEW_WIDTH), "rgb24", threads=1)
    image: Image.Image = small.to_image()  # type: ignore[no-untyped-call]
    return image.rotate(picture.turn, expand=True) if picture.turn else image


def time_base(stream: Stream) -> Fraction:
    """Return the seconds of one tick of a track; FileRefusedError("damaged") if the track has none."""
    if not stream.time_base:
        raise FileRefusedError("damaged")
    return stream.time_base


def write_recording(
    source: InputContainer,
    output_format: OutputFormat,
    make_tracks: Callable[[OutputContainer], list[Track]],
    *,
    edit_list: bool = True,
) -> bytes:
    """Return a new recording of the tracks that `make_tracks` adds to it; FileRefusedError("damaged") if it is empty.

    An edit list is needed where one track starts later than the other. Raises FileRefusedError("must-encode") if the
    new file holds more than sound and pictures need.
    """
    target = io.BytesIO()
    options = (
        _OGG_OPTIONS if output_format is OutputFormat.OGG else {**_MP4_OPTIONS, "use_editlist": str(int(edit_list))}
    )
    with av.open(target, "w", format=_MUXERS[output_format], container_options=options) as sink:
        _write_tracks(source, sink, make_tracks(sink))
    data = target.getvalue()
    if output_format is not OutputFormat.OGG:
        check_written_boxes(data)
    return data


def film_preview(data: bytes) -> bytes:
    """Return the preview of a film that was written; FileRefusedError("damaged") if no picture in it decodes."""
    _, preview = first_picture(lambda: open_with("mov", io.BytesIO(data)))
    return preview


def _write_tracks(source: InputContainer, sink: OutputContainer, tracks: list[Track]) -> None:
    by_index = {track.source.index: track for track in tracks}
    size_written = 0
    for packet in source.demux([track.source for track in tracks]):
        if packet.size:
            track = by_index[packet.stream_index]
            size_written += _mux_packet(sink, track, packet)
    size_written += sum(_mux_packet(sink, track, None) for track in tracks)
    if not size_written:
        raise FileRefusedError("damaged")


def _mux_packet(sink: OutputContainer, track: Track, packet: RecordingPacket | None) -> int:
    """Write what the track's filter makes of a packet, and return its size in bytes."""
    size_written = 0
    for made in track.filter_packet(packet):
        made.stream = track.target
        sink.mux(made)
        size_written += made.size
    return size_written
