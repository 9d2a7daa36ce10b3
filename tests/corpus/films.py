"""Recordings of every kind that telephones, recorders, browsers and programs write, made as those make them."""

import io
import struct
from collections.abc import Sequence
from fractions import Fraction

import av
from PIL import Image

from tests.corpus.pictures import scene

TAG = "Aroha Ngata of 14 Tui Street"
_RATE = 16_000

# The form of the container, the film's codec, the sound's codec, and the samples a second.
KINDS: dict[str, tuple[str, str | None, str | None, int]] = {
    "browser.webm": ("webm", "libvpx", "libopus", 48_000),
    "browser-vp9.webm": ("webm", "libvpx-vp9", "libopus", 48_000),
    "screen.mkv": ("matroska", "libx264", "aac", 44_100),
    "camera.avi": ("avi", "mpeg4", "libmp3lame", 44_100),
    "camera-mjpeg.avi": ("avi", "mjpeg", "pcm_s16le", 44_100),
    "camcorder.mts": ("mpegts", "libx264", "ac3", 48_000),
    "television.ts": ("mpegts", "mpeg2video", "mp2", 48_000),
    "disc.mpg": ("vob", "mpeg2video", "ac3", 48_000),
    "windows.wmv": ("asf", "wmv2", "wmav2", 44_100),
    "old.flv": ("flv", "flv", "libmp3lame", 44_100),
    "telephone.3gp": ("3gp", "mpeg4", "libopencore_amrnb", 8_000),
    "tape.mov": ("mov", "mjpeg", "pcm_s16le", 44_100),
    "old-telephone.amr": ("amr", None, "libopencore_amrnb", 8_000),
    "voice.aac": ("adts", None, "aac", _RATE),
    "voice.flac": ("flac", None, "flac", _RATE),
    "voice.aiff": ("aiff", None, "pcm_s16be", _RATE),
    "voice.caf": ("caf", None, "pcm_s16le", _RATE),
    "voice.wma": ("asf", None, "wmav2", 44_100),
    "voice.au": ("au", None, "pcm_mulaw", _RATE),
    "voice.wv": ("wv", None, "wavpack", _RATE),
    "voice.mka": ("matroska", None, "libopus", 48_000),
    "voice.webm": ("webm", None, "libopus", 48_000),
    "voice.ac3": ("ac3", None, "ac3", 48_000),
    "music.mp2": ("mp2", None, "mp2", 48_000),
    "voice.spx.ogg": ("ogg", None, "flac", _RATE),
}


def every_kind() -> dict[str, bytes]:
    """Each kind once, by name: two seconds, with a name and a place in its tags where its container has tags."""
    return {name: of_kind(name) for name in KINDS}


def of_kind(name: str, seconds: float = 2.0, **changes: object) -> bytes:
    """One recording of a kind."""
    form, film, sound, rate = KINDS[name]
    return recorded(form, film, sound, rate=rate, seconds=seconds, **changes)  # type: ignore[arg-type]


def recorded(
    form: str,
    film: str | None,
    sound: str | None,
    *,
    rate: int = 44_100,
    seconds: float = 2.0,
    delay: float = 0.0,
    film_delay: float = 0.0,
    turn: int = 0,
    shape: Fraction | None = None,
    colours: tuple[int, int, int] | None = None,
    pictures: Sequence[Image.Image] = (),
    **options: str,
) -> bytes:
    """A film, a sound, or both; `delay` and `film_delay` say when sound and film begin, in seconds."""
    target = io.BytesIO()
    with av.open(target, "w", format=form, container_options=options) as sink:
        sink.metadata.update({"title": TAG, "artist": TAG, "comment": TAG, "location": "+41.2877+174.7762/"})
        streams = []
        if film:
            frames = _pictures(pictures or [scene().rotate(turn) for turn in range(int(seconds * 25))], film_delay)
            options_of_film = {"libx264": {"x264-params": "threads=1"}, "libvpx": {"deadline": "realtime"}}.get(
                film, {}
            )
            stream = sink.add_stream(film, 25, dict(options_of_film), width=frames[0].width, height=frames[0].height)
            stream.pix_fmt = "yuvj420p" if film == "mjpeg" else "yuv420p"
            if shape:
                stream.codec_context.sample_aspect_ratio = shape
            if colours:
                context = stream.codec_context
                context.color_primaries, context.color_trc, context.colorspace = colours
            if turn:
                stream.set_display_rotation(turn)
            streams.append((stream, frames))
        if sound:
            layout = "mono" if "amr" in sound else "stereo"
            own = {"strict": "experimental"} if sound == "vorbis" else {}
            stream = sink.add_stream(sound, rate, own, layout=layout, bit_rate=12_200 if "amr" in sound else 128_000)
            streams.append((stream, tone(seconds, rate, delay)))
        for packet in _packets(streams):
            sink.mux(packet)
    return target.getvalue()


def _packets(streams: Sequence[tuple[object, Sequence[object]]]) -> list[av.Packet]:
    packets = []
    for stream, frames in streams:
        for frame in [*frames, None]:
            packets += stream.encode(frame)  # type: ignore[attr-defined]
    return sorted(packets, key=lambda packet: packet.dts * packet.time_base)


def _pictures(pictures: Sequence[Image.Image], delay: float) -> list[av.VideoFrame]:
    frames = []
    for number, picture in enumerate(pictures):
        size = picture.width // 2 * 2, picture.height // 2 * 2
        frame = av.VideoFrame.from_image(picture).reformat(*size, "yuv420p")
        frame.pts, frame.time_base = round(delay * 25) + number, Fraction(1, 25)
        frames.append(frame)
    return frames


def tone(seconds: float, rate: int = _RATE, delay: float = 0.0, hertz: int = 220) -> list[av.AudioFrame]:
    """A tone rich in overtones, as a voice is, in stereo."""
    frames = []
    for number in range(round(seconds * rate / 1024)):
        places = range(number * 1024, number * 1024 + 1024)
        samples = [int(12_000 * ((at * hertz / rate) % 1 - 0.5)) for at in places]
        frame = av.AudioFrame(format="s16", layout="stereo", samples=1024)
        frame.planes[0].update(struct.pack("<2048h", *(value for value in samples for _ in range(2))))
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(delay * rate) + number * 1024
        frames.append(frame)
    return frames
