"""Encodes the pictures of a film anew as H.264: nothing of the old stream is left but what can be seen.

Pictures keep their turn, the shape of their pixels and the meaning of their colours (ITU-T H.273); interlaced ones are
made whole; one of another size on the way is fitted into the size of the first.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from app.files.bitstreams import UNIT_FILTERS
from app.files.frames import Filters, Frame, FrameClock, FrameDecoder, FrameFilter, WorkMeter
from app.files.recordings import Picture, RecordingPacket, Track

_BASE = Fraction(1, 90_000)
_USUAL_RATE, _HIGHEST_RATE = Fraction(30), 240
# One thread, because other workers use the other cores.
_X264_OPTIONS = {"preset": "ultrafast", "crf": "26", "flags": "+bitexact", "x264-params": "threads=1:sync-lookahead=0"}
_UNSPECIFIED, _RGB, _BT709 = 2, 0, 1
_PRIMARIES = {1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22}
_TRANSFERS = {1, *range(4, 19)}
_MATRICES = {1, *range(4, 15)}
_LIMITED_RANGE = "MPEG"


@dataclass(frozen=True)
class FilmSize:
    """How a film is to be shown, into how many parts its width and height are divided, and its bits a second."""

    picture: Picture
    divisor: int
    bits: int


def encoded_film_track(
    sink: OutputContainer, source: VideoStream, size: FilmSize, start: Fraction, meter: WorkMeter
) -> Track:
    """Return a track in which every picture is encoded anew; `start` is when the recording starts, in seconds."""
    encoder = _FilmEncoder(sink, source, size, start)
    return Track(source, encoder.target, partial(encoder.packets, meter))


class _FilmEncoder:
    """One film on its way from the old packets to the new ones."""

    def __init__(self, sink: OutputContainer, source: VideoStream, size: FilmSize, start: Fraction) -> None:
        self._picture = size.picture
        self._width, self._height = (
            max(2, side // size.divisor // 2 * 2) for side in (size.picture.width, size.picture.height)
        )
        rate = source.average_rate or source.guessed_rate or _USUAL_RATE
        rate = rate if 1 <= rate <= _HIGHEST_RATE else _USUAL_RATE
        self.target = _film_stream(sink, rate, size, (self._width, self._height))
        self._seconds_a_picture = 1 / rate
        self._units = BitStreamFilterContext(UNIT_FILTERS["h264"], "h264")
        self._decoder, self._clock = FrameDecoder(source), FrameClock(start, _BASE)
        self._deinterlacer, self._fitter = FrameFilter(_deinterlacing), FrameFilter(self._padding)

    def packets(self, meter: WorkMeter, packet: RecordingPacket | None) -> Iterable[RecordingPacket]:
        """Yield what comes of one packet, or for None, at the end, of all that is still held."""
        for frame in self._decoder.decode(packet):
            yield from self._encoded(meter, frame)
        if packet is None:
            meter.damaged += self._decoder.damaged
            yield from self._encoded(meter, None)
            yield from self._without_marks(self.target.encode(None))

    def _encoded(self, meter: WorkMeter, frame: Frame | None) -> Iterator[RecordingPacket]:
        for made in self._fitted(frame):
            moment = self._clock.tick(made, self._seconds_a_picture)
            made.pts, made.time_base, made.pict_type = moment, _BASE, PictureType.NONE
            meter.picture_done()
            yield from self._without_marks(self.target.encode(made))

    def _fitted(self, frame: Frame | None) -> Iterator[VideoFrame]:
        for whole in self._deinterlacer.filter(frame):
            assert isinstance(whole, VideoFrame)
            yield from _pictures(self._fitter.filter(self._scaled(whole)))
        if frame is None:
            yield from _pictures(self._fitter.filter(None))

    def _without_marks(self, packets: Iterable[RecordingPacket]) -> Iterator[RecordingPacket]:
        for packet in packets:
            base = packet.time_base
            for made in self._units.filter(packet):
                made.time_base = base
                yield made

    def _scaled(self, frame: VideoFrame) -> VideoFrame:
        """Return the frame in a size that fits into the film's, in the same proportions."""
        size = self._width, self._height
        if (frame.width, frame.height) != (self._picture.width, self._picture.height):
            scale = min(Fraction(self._width, frame.width), Fraction(self._height, frame.height))
            size = max(2, int(frame.width * scale) // 2 * 2), max(2, int(frame.height * scale) // 2 * 2)
        matrix = "ITU709" if self._picture.matrix == _RGB else None
        return frame.reformat(*size, "yuv420p", dst_colorspace=matrix, dst_color_range=_LIMITED_RANGE, threads=1)

    def _padding(self, frame: Frame) -> Filters:
        assert isinstance(frame, VideoFrame)
        is_whole = (frame.width, frame.height) == (self._width, self._height)
        return () if is_whole else (("pad", f"{self._width}:{self._height}:-1:-1"),)


def _pictures(frames: Iterable[Frame]) -> Iterator[VideoFrame]:
    for frame in frames:
        assert isinstance(frame, VideoFrame)
        yield frame


def _deinterlacing(frame: Frame) -> Filters:
    return (("yadif", "deint=interlaced"),) if isinstance(frame, VideoFrame) and frame.interlaced_frame else ()


def _film_stream(sink: OutputContainer, rate: Fraction, size: FilmSize, sides: tuple[int, int]) -> VideoStream:
    """Return a new stream that says how its pictures are to be shown, in values that the standards name."""
    picture, bits = size.picture, str(size.bits)
    options = {**_X264_OPTIONS, "maxrate": bits, "bufsize": bits}
    target = sink.add_stream("libx264", rate, options, width=sides[0], height=sides[1])
    assert isinstance(target, VideoStream)
    context = target.codec_context
    context.time_base, context.sample_aspect_ratio = _BASE, picture.shape
    matrix = _BT709 if picture.matrix == _RGB else picture.matrix
    context.color_primaries = picture.primaries if picture.primaries in _PRIMARIES else _UNSPECIFIED
    context.color_trc = picture.transfer if picture.transfer in _TRANSFERS else _UNSPECIFIED
    context.colorspace = matrix if matrix in _MATRICES else _UNSPECIFIED
    if picture.turn:
        target.set_display_rotation(picture.turn)
    return target
