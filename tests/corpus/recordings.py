"""Recordings with marks in tags, boxes, tracks and inside the coded streams."""

import io
import re
import struct
from collections.abc import Sequence
from fractions import Fraction

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from PIL import Image

from tests.corpus.boxes import body, box, full, insert, patch
from tests.corpus.marks import Planter, Specimen
from tests.corpus.pictures import C2PA_UUID, profile, scene

_RATE = 44_100
_TRAK = [b"moov", b"trak"]
_STSD = [*_TRAK, b"mdia", b"minf", b"stbl", b"stsd"]
_QUICKTIME_EPOCH = 2_082_844_800


def everything() -> list[Specimen]:
    """Each recording format once, and MP4 once more with HEVC."""
    return [
        _mp4(), _mov(), _hevc(), _m4a(), _mp3(), _ogg("libopus", "voice.ogg"), _ogg("vorbis", "music.ogg"), _wav(),
        _adpcm(),
    ]  # fmt: skip


def still(codec: str = "libx265") -> bytes:
    """An MP4 of one picture."""
    return _recorded("mp4", [_video(codec, [scene()])])


def music(seconds: float = 1.0, channels: int = 1) -> bytes:
    """An MP3 of a tone, its frames and nothing else."""
    layout = "mono" if channels == 1 else "stereo"
    source = _Source("libmp3lame", sine(seconds, channels=channels), _RATE, {}, layout=layout)
    return _recorded("mp3", [source], id3v2_version="0", write_xing="0")


def turned(codec: str) -> bytes:
    """A recording of a telephone held upright: a quarter turn is noted beside the pictures."""
    source = _video(codec, [scene()] * 5)
    source.turn = 90
    return _recorded("mov", [source])


def cut_by_edit_list(hidden: int = 5, shown: int = 10, turn: int = 0) -> bytes:
    """An MP4 whose first pictures, all red, are in the file but skipped by its edit list; the rest are blue."""
    pictures = [Image.new("RGB", (64, 64), "red")] * hidden + [Image.new("RGB", (64, 64), "blue")] * shown
    source = _video("libx264", pictures, bframes=0)
    source.turn = turn
    data = _recorded("mp4", [source])
    elst = body(data, [*_TRAK, b"edts", b"elst"])
    duration, start = struct.unpack_from(">Ii", elst, 8)
    ticks = 1000 // 25
    edited = struct.pack(">Ii", duration - hidden * ticks, start + hidden * _ticks_a_picture(data))
    return patch(data, elst[8:16], edited)


def with_data_after_headers(codec: str, name: str, mark: bytes) -> bytes:
    """An MP4 with a mark after the last field of each parameter set or sequence header, in its box and its packets."""
    pictures = io.BytesIO(_recorded("mp4", [_video(codec, [scene()] * 3)]))
    target = io.BytesIO()
    with av.open(pictures) as source, av.open(target, "w", format="mp4") as sink:
        video = source.streams.video[0]
        stream = sink.add_stream_from_template(video, opaque=True)
        units = BitStreamFilterContext("null" if name == "av1" else f"{name}_mp4toannexb", video, stream)
        extradata = stream.codec_context.extradata
        headers = _av1_header(bytes(next(source.demux(video))), mark) if name == "av1" else _units(extradata, mark)
        source.seek(0)
        stream.codec_context.extradata = extradata[:4] + headers if name == "av1" else headers
        for packet in source.demux(video):
            pts, dts, base, key = packet.pts, packet.dts, video.time_base, packet.is_keyframe
            for made in units.filter(packet):
                planted = Packet(headers + bytes(made))
                planted.pts, planted.dts, planted.time_base, planted.is_keyframe = pts, dts, base, key
                planted.stream = stream
                sink.mux(planted)
    return target.getvalue()


def _units(extradata: bytes, mark: bytes) -> bytes:
    """The parameter sets of a header with start codes (Annex B), each with a mark after it."""
    kinds = {0x67, 0x68, 0x40, 0x42, 0x44}  # the first byte of each in H.264 and HEVC
    units = re.split(rb"\x00\x00\x00?\x01", extradata)
    return b"".join(b"\0\0\0\1" + unit + mark for unit in units if unit and unit[0] in kinds)


def _av1_header(packet: bytes, mark: bytes) -> bytes:
    """The sequence header OBU of a packet, with a mark in it; its length takes one byte (AV1 Bitstream 5.3.2)."""
    at = packet.index(b"\x0a")
    return b"\x0a" + bytes([packet[at + 1] + len(mark)]) + packet[at + 2 : at + 2 + packet[at + 1]] + mark


def sine(seconds: float = 1.0, rate: int = _RATE, channels: int = 1) -> list[av.AudioFrame]:
    """A tone as frames of 1,024 samples."""
    frames = []
    for number in range(int(seconds * rate / 1024)):
        samples = [int(9000 * ((at * 440 / rate) % 1 - 0.5)) for at in range(number * 1024, number * 1024 + 1024)]
        frame = av.AudioFrame(format="s16", layout="mono" if channels == 1 else "stereo", samples=1024)
        frame.planes[0].update(struct.pack(f"<{1024 * channels}h", *(s for s in samples for _ in range(channels))))
        frame.sample_rate, frame.pts, frame.time_base = rate, number * 1024, Fraction(1, rate)
        frames.append(frame)
    return frames


class _Source:
    """One encoded track: the codec, how to open it, and what is fed to it."""

    def __init__(self, codec: str, frames: Sequence[object], rate: int | Fraction, options: dict, **kwargs: object):
        self.codec, self.frames, self.rate, self.options, self.kwargs = codec, frames, rate, options, kwargs
        self.change = lambda _, data: data
        self.turn = 0


def _video(codec: str, pictures: list[Image.Image], bframes: int = 0) -> _Source:
    options = {
        "libx264": {"x264-params": f"threads=1:bframes={bframes}:keyint=250:scenecut=0"},
        "libx265": {"x265-params": "log-level=none:pools=none:frame-threads=1"},
    }.get(codec, {})
    width, height = pictures[0].size
    frames = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_image(picture).reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        frames.append(frame)
    return _Source(
        codec, frames, 25, options, width=width, height=height, pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p"
    )


def _sound(codec: str, seconds: float = 1.0, rate: int = _RATE) -> _Source:
    channels = 2 if codec == "vorbis" else 1  # FFmpeg's own Vorbis encoder knows stereo only
    layout = "stereo" if channels == 2 else "mono"
    return _Source(codec, sine(seconds, rate, channels), rate, {"strict": "experimental"}, layout=layout)


def _recorded(
    form: str, sources: list[_Source], tags: dict[str, str] | None = None, subtitle: str = "", **options: str
) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format=form, container_options=options) as sink:
        sink.metadata.update(tags or {})
        streams = [sink.add_stream(s.codec, s.rate, dict(s.options), **s.kwargs) for s in sources]
        words = sink.add_mux_stream("mov_text") if subtitle else None
        for stream, source in zip(streams, sources, strict=True):
            if source.turn:
                stream.set_display_rotation(source.turn)
            if source.codec == "libx265":
                stream.codec_context.codec_tag = "hvc1"
            number = 0
            for frame in (*source.frames, None):
                for packet in stream.encode(frame):
                    sink.mux(_changed(packet, stream, source.change(number, bytes(packet))))
                    number += 1
            if subtitle:
                sink.mux(_subtitle(words, subtitle))
    return target.getvalue()


def _subtitle(stream: object, text: str) -> Packet:
    """A timed text sample (3GPP 26.245): its length, then its words."""
    made = Packet(struct.pack(">H", len(text)) + text.encode())
    made.pts = made.dts = 0
    made.duration, made.time_base, made.stream = 500, Fraction(1, 1000), stream
    made.is_keyframe = True
    return made


_MOST_REORDERED = 16  # pictures between decoding and showing (H.265, A.4.2)


def _changed(packet: Packet, stream: object, data: bytes) -> Packet:
    made = Packet(data)
    # x265 leaves the decoding time of a single picture unset now and then, and what stands there is anything.
    told = packet.dts is not None and packet.pts - _MOST_REORDERED <= packet.dts <= packet.pts
    made.pts, made.dts = packet.pts, packet.dts if told else packet.pts
    made.duration, made.time_base = packet.duration, packet.time_base
    made.is_keyframe, made.stream = packet.is_keyframe, stream
    return made


def _ticks_a_picture(data: bytes) -> int:
    scale = struct.unpack_from(">I", body(data, [*_TRAK, b"mdia", b"mdhd"]), 12)[0]
    return scale // 25


def _sei(mark: str) -> bytes:
    """A user data SEI unit (H.264 D.1.6) in front of a picture."""
    payload = bytes(range(16)) + mark.encode()
    return b"\0\0\0\1\x06\x05" + bytes([len(payload)]) + payload + b"\x80"


def _film(plant: Planter, codec: str) -> list[_Source]:
    pictures = [scene().rotate(turn) for turn in range(0, 30, 2)]
    video, sound = _video(codec, pictures, bframes=2), _sound("aac")
    if codec == "libx264":
        sei = _sei(plant.mark("SEI user data"))
        video.change = lambda number, data: sei + data if number == 3 else data
    plant.note("encoder's SEI", {"libx264": b"x264 - core", "libx265": b"x265 (build"}[codec])
    # FFmpeg's AAC encoder signs its first access unit with a fill element.
    plant.note("AAC fill element", b"Lavc")
    return [video, sound]


def _mp4_boxes(plant: Planter, data: bytes, entry: bytes) -> bytes:
    """The file with marks in its boxes; `moov` comes last, so nothing moves but what follows it."""
    date = 536_860_800 + len(plant.places) * 86_400
    stamp = struct.pack(">I", date + _QUICKTIME_EPOCH)
    plant.note("creation time", stamp)
    mvhd = body(data, [b"moov", b"mvhd"])
    data = data.replace(mvhd, mvhd[:4] + stamp + mvhd[8:], 1)
    data = patch(data, b"VideoHandler", plant.mark("handler name", 12).encode())
    name = plant.mark("compressor name", 31)
    old = body(data, [*_STSD, entry])[:78]
    data = data.replace(old, old[:42] + bytes([31]) + name.encode() + old[74:], 1)
    data = insert(data, [*_STSD, entry], box(b"colr", b"prof" + profile(plant.mark("profile name", 13))))

    def text(place: str) -> bytes:
        return plant.mark(place).encode()

    xyz = f"+41.28{len(plant.letters)}77+174.7762/".encode()
    plant.note("GPS position", xyz)
    udta = box(b"\xa9xyz", struct.pack(">HH", len(xyz), 0x15C7) + xyz)
    udta += box(b"\xa9mak", struct.pack(">HH", 24, 0) + plant.mark("camera make", 24).encode())
    udta += box(b"XMP_", text("XMP in user data")) + box(b"Xtra", text("unknown user data"))
    data = insert(data, [b"moov"], box(b"udta", udta))
    data = insert(data, _TRAK, box(b"udta", box(b"name", text("track name"))))
    data = insert(data, [b"moov"], box(b"uuid", C2PA_UUID + text("uuid in moov")))
    data += box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + text("XMP uuid"))
    return data + box(b"uuid", C2PA_UUID + text("C2PA")) + box(b"free", text("free box")) + text("trailing bytes")


def _tags(plant: Planter, *names: str) -> dict[str, str]:
    return {name: plant.mark(name) for name in names}


def _mp4() -> Specimen:
    plant = Planter("mp4")
    tags = _tags(plant, "title", "artist", "comment", "description", "copyright", "encoder_tool")
    film = [*_film(plant, "libx264"), _video("libx264", [scene()])]
    data = _recorded("mp4", film, tags, subtitle=plant.mark("subtitle"), movflags="use_metadata_tags")
    data = _mp4_boxes(plant, data, b"avc1")
    config = body(data, [*_STSD, b"avc1", b"avcC"])
    data = insert(data, [*_STSD, b"avc1", b"avcC"], plant.mark("after the parameter sets").encode())
    assert config
    plant.note("edit list", b"elst")
    plant.note("muxer's name", b"Lavf")
    return Specimen("film.mp4", data, plant.places)


def _mov() -> Specimen:
    plant = Planter("mov")
    names = ("com.apple.quicktime.location.ISO6709", "com.apple.quicktime.make", "com.apple.quicktime.model")
    data = _recorded("mov", _film(plant, "libx264"), _tags(plant, *names, "author"), movflags="use_metadata_tags")
    data = _mp4_boxes(plant, data, b"avc1")
    return Specimen("film.mov", _with_chapters(plant, data), plant.places)


def _hevc() -> Specimen:
    plant = Planter("hevc")
    data = _recorded("mp4", _film(plant, "libx265"), _tags(plant, "title", "comment"))
    return Specimen("hevc.mp4", _mp4_boxes(plant, data, b"hvc1"), plant.places)


def _with_chapters(plant: Planter, data: bytes) -> bytes:
    """The file with Nero chapters."""
    name = plant.mark("chapter title").encode()
    chapter = full(b"chpl", struct.pack(">IBQB", 0, 1, 0, len(name)) + name, version=1)
    return insert(data, [b"moov", b"udta"], chapter)


def _m4a() -> Specimen:
    plant = Planter("m4a")
    plant.note("AAC fill element", b"Lavc")
    data = _recorded("ipod", [_sound("aac")], _tags(plant, "title", "artist", "comment", "date", "album"))
    mean, name = full(b"mean", b"com.apple.iTunes"), full(b"name", b"iTunNORM")
    own = box(b"----", mean + name + box(b"data", struct.pack(">II", 1, 0) + plant.mark("iTunes' own").encode()))
    picture = io.BytesIO()
    scene().resize((40, 25)).save(picture, "JPEG", comment=plant.mark("cover picture").encode())
    cover = box(b"covr", box(b"data", struct.pack(">II", 13, 0) + picture.getvalue()))
    for part in (own, cover):
        data = insert(data, [b"moov", b"udta", b"meta", b"ilst"], part)
    esds = plant.mark("after the decoder's configuration").encode()
    data = insert(data, [*_STSD, b"mp4a", b"esds"], esds)
    return Specimen("voice.m4a", data + box(b"free", plant.mark("free box").encode()), plant.places)


def _id3_frame(name: bytes, content: bytes) -> bytes:
    return name + struct.pack(">IH", len(content), 0) + content


def _id3(plant: Planter) -> bytes:
    frames = b"".join(
        _id3_frame(name.encode(), b"\0" + plant.mark(name).encode()) for name in ("TIT2", "TPE1", "TENC", "TSSE")
    )
    frames += _id3_frame(b"COMM", b"\0eng\0" + plant.mark("COMM").encode())
    frames += _id3_frame(b"PRIV", b"owner\0" + plant.mark("PRIV").encode())
    frames += _id3_frame(b"GEOB", b"\0text/plain\0a\0b\0" + plant.mark("GEOB").encode())
    frames += _id3_frame(b"APIC", b"\0image/jpeg\0\3\0" + plant.mark("APIC").encode())
    size = len(frames)
    return b"ID3\3\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + frames


def _mp3() -> Specimen:
    plant = Planter("mp3")
    sound = _sound("libmp3lame", 2.0)
    data = _recorded("mp3", [sound], id3v2_version="0", write_xing="1")
    # LAME signs the first frame and fills the spare bits of the others with its name.
    plant.note("LAME frame", b"Info")
    plant.note("ancillary bits", b"LAME3.1")
    frames = data.index(b"\xff\xfb", 200)
    data = data[:frames] + plant.mark("between frames").encode() + data[frames:]
    ape = plant.mark("APE").encode()
    items = struct.pack("<II", len(ape), 0) + b"Artist\0" + ape
    footer = b"APETAGEX" + struct.pack("<IIII", 2000, len(items) + 32, 1, 0) + bytes(8)
    lyrics = b"LYRICSBEGIN" + plant.mark("Lyrics3").encode() + b"LYRICSEND"
    v1 = b"TAG" + plant.mark("ID3v1", 30).encode() + bytes(94) + b"\0"
    return Specimen("music.mp3", _id3(plant) + data + items + footer + lyrics + v1, plant.places)


def _ogg(codec: str, name: str) -> Specimen:
    plant = Planter(codec[:4] if codec != "libopus" else "opus")
    sound = _sound(codec, 2.0, 48_000)
    if codec == "libopus":
        padding = plant.mark("Opus padding").encode()
        sound.change = lambda _, data: _padded(data, padding)
    data = _recorded("ogg", [sound], _tags(plant, "title", "artist", "location"))
    plant.note("vendor", b"Lavf")
    return Specimen(name, data, plant.places)


def _padded(packet: bytes, padding: bytes) -> bytes:
    """A packet of one frame as a packet of code 3 with padding (RFC 6716, 3.2.5)."""
    if packet[0] & 3:
        return packet
    return bytes([packet[0] | 3, 0x41, len(padding)]) + packet[1:] + padding


def _wav() -> Specimen:
    plant = Planter("wav")

    def chunk(name: bytes, content: bytes) -> bytes:
        content += b"\0" * (len(content) % 2)
        return name + struct.pack("<I", len(content)) + content

    def text(place: str) -> bytes:
        return plant.mark(place).encode()

    samples = b"".join(bytes(frame.planes[0])[:2048] for frame in sine())
    info = chunk(b"IART", text("IART")) + chunk(b"ICMT", text("ICMT")) + chunk(b"ISFT", text("ISFT"))
    data = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, _RATE, _RATE * 2, 2, 16) + text("after the format"))
    data += chunk(b"bext", text("bext").ljust(602, b"\0")) + chunk(b"LIST", b"INFO" + info)
    data += chunk(b"data", samples)
    data += chunk(b"iXML", text("iXML")) + chunk(b"id3 ", text("id3")) + chunk(b"_PMX", text("XMP"))
    data += chunk(b"LIST", b"adtl" + chunk(b"labl", b"\1\0\0\0" + text("cue label")))
    data = b"RIFF" + struct.pack("<I", len(data) + 4) + b"WAVE" + data
    return Specimen("voice.wav", data + text("trailing bytes"), plant.places)


def _adpcm() -> Specimen:
    plant = Planter("adpcm")
    data = _recorded("wav", [_sound("adpcm_ima_wav")], _tags(plant, "title", "artist"))
    plant.note("encoder", b"Lavf")
    return Specimen("small.wav", data, plant.places)
