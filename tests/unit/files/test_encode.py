"""Recordings that are encoded anew: taken from many programs, with all that is seen and heard, in their own turns."""

import io
import random
import threading
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise

import av
import pytest
from PIL import Image

from app.core.errors import FileRefusedError
from app.files import encode, frames
from app.files.clean import CleanedFile, RefusedFile, clean_files, mask_voice
from app.files.encode import encode_media
from app.files.frames import FrameClock, TooLongError, WorkMeter
from app.files.protocol import TOO_LONG_SECONDS, OutputFormat, RemovedKind, Voice, is_preview, too_long_code
from app.files.recording_formats import recording_format
from app.files.recordings import Overview
from app.files.turns import FileTurns
from tests.corpus import films, recordings
from tests.corpus.pictures import scene

_BT2020, _PQ, _BT2020_MATRIX = 9, 16, 9


def _jpeg():
    target = io.BytesIO()
    scene().save(target, "JPEG")
    return target.getvalue()


def _played(data):
    """How many pictures a recording shows, and for how many seconds it plays."""
    with av.open(io.BytesIO(data)) as source:
        tracks = [*source.streams.video, *source.streams.audio]
        pictures, end = 0, Fraction(0)
        for packet in source.demux(tracks):
            for frame in packet.decode():
                is_picture = isinstance(frame, av.VideoFrame)
                pictures += is_picture
                length = Fraction(1, 25) if is_picture else Fraction(frame.samples, frame.sample_rate)
                end = max(end, (frame.pts or 0) * frame.time_base + length)
        return pictures, float(end)


@pytest.mark.parametrize("name", films.KINDS)
def test_every_kind_is_taken_and_nothing_that_names_somebody_passes(name):
    """A recording of each kind comes back in full, in a common format, without its tags, and passes once more."""
    data = films.of_kind(name)
    (result,) = clean_files([data])
    assert isinstance(result, CleanedFile), result
    assert films.TAG.encode() not in result.data
    assert b"Lavc" not in result.data
    assert b"x264" not in result.data
    pictures, seconds = _played(result.data)
    assert pictures == (50 if films.KINDS[name][1] else 0)
    assert seconds == pytest.approx(2.0, abs=0.2)  # AAC has frames of 128 ms at 8 kHz
    assert bool(result.preview) == bool(pictures)
    assert not result.preview or is_preview(result.preview)
    (again,) = clean_files([result.data])
    assert isinstance(again, CleanedFile)
    assert again.removed == ()


def test_recordings_after_a_tag_or_zeros_are_taken():
    """A tag before AAC or FLAC, zeros before an MP3, and an MP3 of three, two or one frames are no reason to refuse."""
    tag = b"ID3\4\0\0\0\0\0\x12" + b"Aroha Ngata's phone"[:18]
    music = recordings.music(2.0)
    frame = music[: music.index(music[:2], 2)]
    for data in (
        tag + films.of_kind("voice.aac"), tag + films.of_kind("voice.flac"), tag + films.of_kind("music.mp2"),
        bytes(5000) + music, frame * 3, frame * 2, frame,
    ):  # fmt: skip
        (result,) = clean_files([data])
        assert isinstance(result, CleanedFile), result
        assert b"Aroha" not in result.data


def test_no_demuxer_that_opens_other_files_is_chosen():
    """Playlists, lists of files and descriptions of streams are no recordings."""
    for data in (
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\r\no=- 0 0 IN\r\n", b'<?xml version="1.0"?><MPD></MPD>', b"[Reference]\nRef1=http://host/\n",
        b"RTSPtextRTSP://", b"GIF89a", b"\x89PNG\r\n",
    ):  # fmt: skip
        assert recording_format(data) is None


def _shown(data):
    """Turn, pixel shape, primaries, transfer and matrix of the first picture."""
    with av.open(io.BytesIO(data)) as source:
        frame = next(source.decode(video=0))
        shape = source.streams.video[0].sample_aspect_ratio
        return frame.rotation, shape, frame.color_primaries, frame.color_trc, frame.colorspace


@pytest.mark.parametrize("turn", [90, 180, -90])
def test_a_film_that_is_encoded_anew_stays_upright(turn):
    """The turn is kept also where the first packet of the film is sound."""
    data = films.recorded("mov", "mjpeg", "aac", turn=turn, seconds=0.4)
    rebuilt = encode_media(data).files[0].data
    assert _shown(rebuilt)[0] == _shown(data)[0] != 0


def test_an_upright_film_that_was_trimmed_stays_upright():
    """A film held upright and cut by an edit list is encoded anew, and is as upright as before."""
    data = recordings.cut_by_edit_list(hidden=5, shown=10, turn=90)
    (result,) = clean_files([data])
    assert RemovedKind.CUT in result.removed
    assert _shown(result.data)[0] == _shown(data)[0] != 0


def test_the_shape_of_pixels_is_kept():
    """A film with pixels that are wider than high is as wide as before; an odd ratio becomes a plain one."""
    for shape, kept in ((Fraction(16, 11), Fraction(16, 11)), (Fraction(40_001, 30_000), Fraction(4, 3))):
        data = films.recorded("mov", "mjpeg", None, shape=shape, seconds=0.4)
        assert _shown(encode_media(data).files[0].data)[1] == kept


def test_the_tags_of_colours_are_kept():
    """A film with a high dynamic range says so after it is encoded anew; numbers that no standard names do not pass."""
    colours = (_BT2020, _PQ, _BT2020_MATRIX)
    data = films.recorded("matroska", "libx265", None, colours=colours, seconds=0.4)
    assert _shown(encode_media(data).files[0].data)[2:] == colours


def test_a_full_range_of_colours_stays_as_bright():
    """Pictures of a camera that uses all 256 values are neither darker nor paler once encoded anew."""
    picture = Image.new("RGB", (64, 64), (250, 250, 250))
    picture.paste((5, 5, 5), (0, 0, 32, 64))
    data = films.recorded("mov", "mjpeg", None, pictures=[picture] * 3)
    with av.open(io.BytesIO(encode_media(data).files[0].data)) as source:
        image = next(source.decode(video=0)).to_image()
    assert image.getpixel((10, 30))[0] < 12
    assert image.getpixel((50, 30))[0] > 243


@pytest.mark.parametrize("form", ["matroska", "mpegts", "mp4", "mov"])
@pytest.mark.parametrize(("delay", "film_delay"), [(0.8, 0.0), (0.0, 0.8)])
def test_sound_and_film_keep_their_distance(form, delay, film_delay):
    """Whichever begins later in a container begins as much later in the new one."""
    data = films.recorded(form, "mpeg4", "libmp3lame", delay=delay, film_delay=film_delay, seconds=1.0)
    rebuilt = encode_media(data).files[0].data
    heard, seen = _first_loud(rebuilt), _first_seen(rebuilt)
    assert heard - seen == pytest.approx(delay - film_delay, abs=0.08)


def _first_seen(data):
    with av.open(io.BytesIO(data)) as source:
        return next(source.decode(video=0)).time


def _first_loud(data):
    """When the first sound that can be heard is played, in seconds."""
    resampler = av.AudioResampler("s16", "mono")
    with av.open(io.BytesIO(data)) as source:
        for frame in source.decode(audio=0):
            for part in resampler.resample(frame):
                values = memoryview(bytes(part.planes[0])).cast("h")[: part.samples]
                loud = next((at for at, value in enumerate(values) if abs(value) > 2000), None)
                if loud is not None:
                    return part.time + loud / part.sample_rate
    raise AssertionError("nothing can be heard")


def test_a_film_that_changes_its_size_keeps_its_proportions():
    """A recording that goes on upright is fitted into the first size with black beside the pictures, in its time."""
    wide, high = Image.new("RGB", (320, 192), "blue"), Image.new("RGB", (192, 320), "red")
    data = b"".join(films.recorded("mpegts", "mpeg2video", None, pictures=[picture] * 25) for picture in (wide, high))
    rebuilt = encode_media(data).files[0].data
    assert _played(rebuilt)[0] == _played(data)[0] >= 49
    assert 1.8 < _played(rebuilt)[1] < 3.2
    with av.open(io.BytesIO(rebuilt)) as source:
        last = list(source.decode(video=0))[-1].to_image()
    assert last.size == (320, 192)
    assert max(last.getpixel((20, 96))) < 30
    assert last.getpixel((160, 96))[0] > 150


def test_the_clock_of_frames_runs_on():
    """Frames without a time follow one another, and a clock that goes back does not squeeze what comes after."""
    clock = FrameClock(Fraction(10), Fraction(1, 100))

    def frame(pts):
        made = av.VideoFrame(16, 16, "yuv420p")
        made.pts, made.time_base = pts, Fraction(1, 100)
        return made

    times = [clock.tick(frame(pts), Fraction(1, 25)) for pts in (1000, 1004, None, None, 1004, 200, 204, 208)]
    assert times[:4] == [0, 4, 5, 9]
    assert all(later > earlier for earlier, later in pairwise(times))
    assert times[-1] - times[-2] == times[-2] - times[-3] == 4


@contextmanager
def _taken(turns):
    """Hold every place of these turns."""
    held, free = threading.Event(), threading.Event()

    def hold():
        with turns.turn(["another network"], seconds=5):
            held.set()
            free.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    try:
        yield free.set
    finally:
        free.set()
        thread.join()


def test_photographs_never_wait_for_films():
    """While every place for films is taken, and a film of the same request waits, its photographs are cleaned."""
    films_turns, turns, order = FileTurns("test-films", places=1), FileTurns("test-files"), []

    class Noting(FileTurns):
        @contextmanager
        def turn(self, networks, *, seconds):
            with super().turn(networks, seconds=seconds):
                yield
            order.append("photograph")
            if order.count("photograph") == 3:
                release()

    turns = Noting("test-files")
    with _taken(films_turns) as release:
        results = clean_files(
            [films.of_kind("voice.aac"), films.of_kind("old-telephone.amr"), _jpeg(), _jpeg(), _jpeg()],
            ["a network"], turns=turns, films=films_turns,
        )  # fmt: skip
    assert [result.path for result in results] == [
        f"files/{n}.{e}" for n, e in enumerate(["m4a", "m4a", "jpg", "jpg", "jpg"], 1)
    ]
    assert order == ["photograph"] * 3


def test_a_film_is_made_smaller_where_it_would_take_too_long(monkeypatch):
    """Where the whole would take longer than it may, its pictures are halved, and the film is whole."""
    big = [scene().resize((960, 600)).rotate(turn) for turn in range(40)]
    data = films.recorded("avi", "mjpeg", None, pictures=big)
    monkeypatch.setattr(frames, "_SECONDS_TO_TRY", 0.0)
    limit = _SlowPictures(over=960 * 600)
    monkeypatch.setattr(WorkMeter, "picture_done", limit.picture_done)
    monkeypatch.setattr(encode, "FilmSize", limit.size)
    made = encode_media(data)
    with av.open(io.BytesIO(made.files[0].data)) as source:
        pictures = list(source.decode(video=0))
    assert (len(pictures), pictures[0].width, pictures[0].height) == (40, 480, 300)
    assert RemovedKind.FINE_DETAIL in made.kinds


class _SlowPictures:
    """Stands for a processor on which pictures of the full size take too long."""

    def __init__(self, over):
        self.over, self.divisor = over, 1

    def size(self, picture, divisor, bits):
        self.divisor = divisor
        return frames_size(picture, divisor, bits)

    def picture_done(self, *_):
        if self.divisor == 1:
            raise TooLongError(100.0)


frames_size = encode.FilmSize


def test_a_film_does_not_grow_beyond_what_fits(monkeypatch):
    """Pictures full of detail are encoded in so many bits a second that the film still fits once it is cleaned."""
    monkeypatch.setattr(encode, "_SMALL_FILM", 0)
    draw = random.Random(14)
    noise = [Image.frombytes("RGB", (320, 200), draw.randbytes(320 * 200 * 3)) for _ in range(100)]
    data = films.recorded("avi", "mpeg4", None, pictures=noise)
    rebuilt = encode_media(data).files[0].data
    assert _played(rebuilt)[0] == 100
    assert len(rebuilt) < 3.5 * len(data)


def test_a_film_that_is_too_long_is_refused_with_a_length_that_fits(monkeypatch):
    """What would take too long even at half the size is refused early, and the sentence names a length that fits."""
    monkeypatch.setattr(WorkMeter, "picture_done", lambda *_: (_ for _ in ()).throw(TooLongError(1.5)))
    monkeypatch.setattr(encode, "SECONDS_OF_WORK", 60.0)
    with pytest.raises(FileRefusedError, match="too-long-60"):
        encode_media(films.recorded("avi", "mpeg4", None, seconds=2.0))


def test_the_length_that_fits_is_never_longer_than_what_fits():
    """Of the lengths that sentences name the longest that fits is chosen; if none fits, the file is too slow."""
    assert [too_long_code(seconds) for seconds in (5, 15, 59.9, 60, 200, 10_000)] == [
        "too-slow", "too-long-15", "too-long-15", "too-long-60", "too-long-180", "too-long-600",
    ]  # fmt: skip
    assert list(TOO_LONG_SECONDS.values()) == sorted(TOO_LONG_SECONDS.values())


def test_the_meter_reckons_from_what_is_done(monkeypatch):
    """After two seconds of work the whole is reckoned: half of it done means four seconds, a hundredth two hundred."""
    monkeypatch.setattr(frames.time, "process_time", iter([0.0, 1.0, 2.5, 2.5]).__next__)
    meter = WorkMeter(Overview(100, Fraction(4), Fraction(0), is_cut=False, is_delayed=False))
    meter.picture_done()
    with pytest.raises(TooLongError) as too_long:
        meter.picture_done()
    assert too_long.value.whole == pytest.approx(125.0)


def _pitch_strength(data, lowest=60, highest=400):
    """The pitch of a voice in hertz, and how strongly its sound repeats itself (1 for a tone, 0 for noise)."""
    resampler, samples = av.AudioResampler("s16", "mono", 16_000), []
    with av.open(io.BytesIO(data)) as source:
        for frame in source.decode(audio=0):
            for part in resampler.resample(frame):
                samples += memoryview(bytes(part.planes[0])).cast("h")[: part.samples].tolist()
    part = samples[len(samples) // 2 : len(samples) // 2 + 3000]
    assert len(part) == 3000

    def likeness(lag):
        first, second = part[:-lag], part[lag:]
        own = (sum(a * a for a in first) * sum(b * b for b in second)) ** 0.5
        return sum(a * b for a, b in zip(first, second, strict=True)) / max(own, 1)

    strengths = {lag: likeness(lag) for lag in range(16_000 // highest, 16_000 // lowest)}
    top = max(strengths.values())
    # The shortest lag that is nearly as strong: a tone repeats itself after two periods too.
    lag = next(lag for lag, strength in strengths.items() if strength > 0.95 * top)
    return 16_000 / lag, top


@pytest.mark.parametrize("name", ["voice.aac", "telephone.3gp"])
def test_a_voice_is_made_lower_or_loses_its_pitch(name):
    """Lower: about three quarters of the pitch. Whisper: no pitch. Both play as long, and show the same pictures."""
    (cleaned,) = clean_files([films.of_kind(name)])
    pitch, strength = _pitch_strength(cleaned.data)
    assert pitch == pytest.approx(220, rel=0.05)
    lower, whisper = (mask_voice(cleaned.data, voice) for voice in (Voice.LOWER, Voice.WHISPER))
    low_pitch, low_strength = _pitch_strength(lower.data)
    assert 0.68 * pitch < low_pitch < 0.82 * pitch
    assert low_strength > 0.8 < strength
    assert _pitch_strength(whisper.data)[1] < 0.5
    for masked in (lower, whisper):
        assert masked.type == cleaned.type
        assert _played(masked.data)[0] == _played(cleaned.data)[0]
        assert _played(masked.data)[1] == pytest.approx(_played(cleaned.data)[1], abs=0.15)


def test_a_lower_voice_is_not_lowered_by_the_same_amount_each_time():
    """The amount is drawn anew, so that turning one recording back does not turn back the others."""
    (cleaned,) = clean_files([films.of_kind("voice.aac", seconds=0.5)])
    assert len({mask_voice(cleaned.data, Voice.LOWER).data for _ in range(3)}) > 1


def test_a_picture_has_no_voice():
    """What is no recording is refused."""
    with pytest.raises(FileRefusedError, match="damaged"):
        mask_voice(_jpeg(), Voice.LOWER)


def test_sound_of_opus_or_vorbis_stays_ogg():
    """Opus and Vorbis come back as Opus."""
    assert encode_media(films.recorded("ogg", None, "vorbis", seconds=0.5)).files[0].format is OutputFormat.OGG


def test_a_recording_in_which_most_is_damaged_is_refused():
    """A film with noise in place of its pictures is refused, not sent empty."""
    data = films.of_kind("camera.avi")
    start = data.index(b"movi") + 4
    (result,) = clean_files([data[:start] + bytes(range(256)) * ((len(data) - start) // 256)])
    assert isinstance(result, RefusedFile)


@pytest.mark.parametrize("name", ["screen.mkv", "browser.webm", "camera.avi"])
def test_a_recording_of_which_a_part_is_missing_says_so(name):
    """What can be read is taken, and the sender is told that parts are missing; a whole recording has none."""
    data = films.of_kind(name, seconds=4.0)
    assert RemovedKind.DAMAGED_PARTS not in encode_media(data).kinds
    assert RemovedKind.DAMAGED_PARTS in encode_media(data[: len(data) // 2]).kinds
