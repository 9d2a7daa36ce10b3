"""Encodes sound anew as AAC, or as Opus in Ogg, in its place beside the pictures, and masks a voice if asked to.

A lower voice and a whisper are ordinary filters. They make it harder for listeners to recognise the speaker; somebody
with the right tools may still find out who the speaker is.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import partial

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer

from app.files.frames import Filters, Frame, FrameClock, FrameDecoder, FrameFilter, WorkMeter
from app.files.protocol import Voice
from app.files.recordings import RecordingPacket, Track

_AAC_HERTZ = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_OPUS_HERTZ, _VOICE_HERTZ = 48_000, 16_000
_BITS_PER_SECOND_A_CHANNEL = 64_000


def encoded_sound_track(
    sink: OutputContainer, source: AudioStream, start: Fraction, meter: WorkMeter, voice: Voice | None = None
) -> Track:
    """Return a track in which all sound is encoded anew, with a masked voice if one is named.

    `start` is when the recording starts, in seconds.
    """
    encoder = _SoundEncoder(sink, source, start, voice)
    return Track(source, encoder.target, partial(encoder.packets, meter))


class _SoundEncoder:
    """One track of sound on its way from the old packets to the new ones."""

    def __init__(self, sink: OutputContainer, source: AudioStream, start: Fraction, voice: Voice | None) -> None:
        self.target, self._rate = _sound_stream(sink, source, is_voice=voice is not None)
        self._base = Fraction(1, source.rate or self._rate)
        self._decoder, self._clock = FrameDecoder(source), FrameClock(start, self._base)
        # Gaps are filled, also the one before the first sound, so that sound and pictures stay together.
        filters = [("aresample", f"{self._rate}:async=1:min_hard_comp=0.05:first_pts=0")]
        filters += _VOICE_FILTERS[voice](self._rate) if voice else ()
        context = self.target.codec_context
        filters += [("aformat", f"sample_fmts={context.format.name}:channel_layouts={context.layout.name}")]
        self._filter = FrameFilter(lambda _: filters)

    def packets(self, meter: WorkMeter, packet: RecordingPacket | None) -> Iterable[RecordingPacket]:
        """Yield what comes of one packet, or for None, at the end, of all that is still held."""
        for frame in self._decoder.decode(packet):
            assert isinstance(frame, AudioFrame)
            length = Fraction(frame.samples, frame.sample_rate)
            frame.pts, frame.time_base = self._clock.tick(frame, length), self._base
            yield from self._encoded(meter, frame)
        if packet is None:
            meter.damaged += self._decoder.damaged
            yield from self._encoded(meter, None)
            yield from self.target.encode(None)

    def _encoded(self, meter: WorkMeter, frame: Frame | None) -> Iterator[RecordingPacket]:
        for made in self._filter.filter(frame):
            assert isinstance(made, AudioFrame)
            meter.sound_done(Fraction(made.pts or 0, self._rate))
            yield from self.target.encode(made)


def _sound_stream(sink: OutputContainer, source: AudioStream, *, is_voice: bool) -> tuple[AudioStream, int]:
    """Return a new stream with its samples a second: AAC in MP4 or M4A, Opus in Ogg."""
    rate = next((rate for rate in _AAC_HERTZ if rate >= source.rate), _AAC_HERTZ[-1])
    name, rate = ("libopus", _OPUS_HERTZ) if sink.format.name == "ogg" else ("aac", _VOICE_HERTZ if is_voice else rate)
    layout, channels = ("mono", 1) if is_voice or source.codec_context.channels == 1 else ("stereo", 2)
    bits = channels * _BITS_PER_SECOND_A_CHANNEL
    target = sink.add_stream(name, rate, {"flags": "+bitexact"}, layout=layout, bit_rate=bits)
    assert isinstance(target, AudioStream)
    target.codec_context.thread_count = 1
    return target, rate


def _lower_voice(rate: int) -> Filters:
    """Lower the voice to about three quarters of its pitch, each time to another one, in the same time."""
    ratio = 0.70 + secrets.randbelow(100) / 1000
    return (("asetrate", f"{round(rate * ratio)}"), ("aresample", str(rate)), ("atempo", f"{1 / ratio:.4f}"))


def _whispering_voice(_: int) -> Filters:
    """Give each part of the spectrum a random phase, which leaves a voice no pitch (FFmpeg's manual, afftfilt)."""
    real = "hypot(re,im)*cos((random(0)*2-1)*2*3.14)"
    imaginary = "hypot(re,im)*sin((random(1)*2-1)*2*3.14)"
    return (("afftfilt", f"real='{real}':imag='{imaginary}':win_size=128:overlap=0.8"),)


_VOICE_FILTERS: Mapping[Voice, Callable[[int], Filters]] = {
    Voice.LOWER: _lower_voice,
    Voice.WHISPER: _whispering_voice,
}
