"""Decodes pictures and sound, gives them times on the recording's own clock, and sends them through FFmpeg's filters.

A recording may change the size of its pictures or the number of its channels on the way: a browser's does when the
telephone is turned. A graph of filters is made for one kind of frame, so each change makes a new graph, after the old
one has given all. A meter reckons from what is done how long the rest will take.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from app.core.errors import FileRefusedError
from app.files.recordings import Overview, RecordingPacket

SECONDS_OF_WORK = 60.0
"""How long encoding a recording may take, in seconds of a processor."""

# An estimate is made after so many seconds of work; later estimates may be higher by this factor.
_SECONDS_TO_TRY, _LATER = 2.0, 1.3
# One packet in so many may be damaged.
_DAMAGED_SHARE = 10

Frame = VideoFrame | AudioFrame
Filters = Sequence[tuple[str, str]]
"""The names and arguments of filters, in order."""


class FrameFilter:
    """A chain of filters, chosen for each kind of frame by `choose`, which returns no filters to let frames pass."""

    def __init__(self, choose: Callable[[Frame], Filters]) -> None:
        self._choose = choose
        self._kind: tuple[object, ...] | None = None
        self._graph: Graph | None = None

    def filter(self, frame: Frame | None) -> Iterator[Frame]:
        """Yield what the filters make of a frame; None, at the end, makes the filters give what they still hold."""
        kind = _kind_of(frame) if frame else None
        if kind != self._kind:
            yield from self._drain()
            filters = self._choose(frame) if frame else ()
            self._kind, self._graph = kind, _graph(frame, filters) if frame and filters else None
        if frame is None:
            return
        if self._graph is None:
            yield frame
            return
        self._graph.push(frame)
        yield from _pulled(self._graph)

    def _drain(self) -> Iterator[Frame]:
        if self._graph is not None:
            self._graph.push(None)
            yield from _pulled(self._graph)


def _kind_of(frame: Frame) -> tuple[object, ...]:
    """Return what makes two frames need two filter graphs if it differs."""
    if isinstance(frame, VideoFrame):
        return (frame.width, frame.height, frame.format.name, frame.interlaced_frame, frame.time_base)
    return (frame.sample_rate, frame.layout.name, frame.format.name, frame.time_base)


def _graph(frame: Frame, filters: Filters) -> Graph:
    graph = Graph()
    graph.threads = 1  # a thread for each processor would not fit into the memory
    if isinstance(frame, VideoFrame):
        source = graph.add(
            "buffer",
            video_size=f"{frame.width}x{frame.height}",
            pix_fmt=frame.format.name,
            time_base=str(frame.time_base),
            pixel_aspect="1/1",
        )
        sink = graph.add("buffersink")
    else:
        source = graph.add(
            "abuffer",
            sample_rate=str(frame.sample_rate),
            sample_fmt=frame.format.name,
            channel_layout=frame.layout.name,
            time_base=str(frame.time_base),
        )
        sink = graph.add("abuffersink")
    graph.link_nodes(source, *(graph.add(name, arguments or None) for name, arguments in filters), sink)
    graph.configure()
    return graph


def _pulled(graph: Graph) -> Iterator[Frame]:
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


class FrameDecoder:
    """Decodes a track and counts `damaged` packets, which it leaves out; FileRefusedError("damaged") beyond a tenth."""

    def __init__(self, source: VideoStream | AudioStream) -> None:
        source.codec_context.thread_count = 1
        self._source, self._packets, self.damaged = source, 0, 0

    def decode(self, packet: RecordingPacket | None) -> Iterator[Frame]:
        """Yield the frames of a packet; None, at the end, yields those that are still held."""
        self._packets += 1
        try:
            for frame in self._source.decode(packet):
                if not frame.time_base and self._source.time_base:
                    frame.time_base = self._source.time_base  # the last frames come without one
                yield frame
        except av.error.InvalidDataError:
            self.damaged += 1
        if packet is None and self.damaged * _DAMAGED_SHARE > self._packets:
            raise FileRefusedError("damaged")


class FrameClock:
    """Gives each frame its time, in ticks of `base`, later than that of the frame before it.

    Where a recording's own clock goes back by more than half a second (two recordings in one file), the time runs on.
    """

    def __init__(self, start: Fraction, base: Fraction) -> None:
        self._start, self._base, self._next = start, base, 0
        self._half_second = round(1 / (2 * base))

    def tick(self, frame: Frame, length: Fraction) -> int:
        """Return the time of a frame of so many seconds; one without a time of its own follows the one before."""
        moment, step = self._next, max(1, round(length / self._base))
        if frame.pts is not None and frame.time_base:
            own = round((frame.pts * frame.time_base - self._start) / self._base)
            if own < moment - self._half_second:
                self._start -= (moment - own) * self._base
            moment = max(moment, own)
        is_picture = isinstance(frame, VideoFrame)
        self._next = moment + (1 if is_picture and frame.pts is not None else step)
        return moment


class TooLongError(Exception):
    """The recording would take longer than it may; `whole` is for how long, in seconds of a processor."""

    def __init__(self, whole: float) -> None:
        super().__init__(whole)
        self.whole = whole


class WorkMeter:
    """Reckons from what is done how long the whole will take, and raises TooLongError if that is too long."""

    def __init__(self, overview: Overview) -> None:
        self._overview, self._began, self._pictures = overview, time.process_time(), 0
        self.damaged = 0

    def picture_done(self) -> None:
        """Count one picture."""
        self._pictures += 1
        self._check(self._pictures / max(1, self._overview.pictures))

    def sound_done(self, moment: Fraction) -> None:
        """Note that the sound is done up to a moment, in seconds; where there are pictures, these count."""
        if not self._pictures and self._overview.seconds:
            self._check(float(moment / self._overview.seconds))

    def _check(self, share: float) -> None:
        spent = time.process_time() - self._began
        if spent < _SECONDS_TO_TRY or share <= 0:
            return
        whole = spent / min(share, 1.0)
        if whole > SECONDS_OF_WORK * (1 if spent < 2 * _SECONDS_TO_TRY else _LATER):
            raise TooLongError(whole)
